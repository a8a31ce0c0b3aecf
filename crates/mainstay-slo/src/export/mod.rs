//! Objectives as a Prometheus rule file: for a Prometheus that stays, for its dashboards, for a second opinion.
//!
//! Of each objective: the share of bad events in every burn window, by the labels it is judged by; the bad events of the
//! long windows, for the guard of quiet groups; what the objective is, as series; the share over the whole period; and the
//! alerts, with the labels that alerts of ours have. The series have the names that dashboards of Sloth know. Every number
//! is an exact decimal.
//!
//! A Prometheus computes with `rate`, which extrapolates, does not see what a counter had when it appeared, and knows no
//! calendar: the file says so.

mod expression;
mod file;

use std::collections::BTreeSet;

use mainstay_kernel::{Ratio, SloId};

use crate::burn::{BurnPair, BurnPolicy, window_text};
use crate::engine::{BURN_ALERT, SloCatalog};
use crate::error::SloError;
use crate::exact::reduced;
use crate::objective::{Objective, Promise, error_share};
use crate::sli::SliDefinition;
use crate::slice::Budgeting;
use crate::window::Window;
use expression::Share;
use file::{Group, Rule};

/// How often the share over the whole period is computed: it reads everything, and moves slowly.
const PERIOD_INTERVAL: &str = "2m30s";
const DAY_MS: i64 = 86_400_000;

/// A rule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The file, YAML. The same catalog gives the same bytes.
    pub text: String,
    /// The objectives that no rules can stand for, and why.
    pub left_out: Vec<(SloId, String)>,
}

/// The rules of every objective, or of one.
///
/// # Errors
/// If there is no such objective.
pub fn prometheus_rules(catalog: &SloCatalog, only: Option<&SloId>) -> Result<Exported, SloError> {
    if let Some(id) = only
        && !catalog.objectives().iter().any(|objective| objective.id == *id)
    {
        return Err(SloError::UnknownSlo(id.to_string()));
    }
    let mut groups = Vec::new();
    let mut left_out = Vec::new();
    let wanted = |objective: &&Objective| only.is_none_or(|id| objective.id == *id);
    for objective in catalog.objectives().iter().filter(wanted) {
        match of_objective(catalog, objective) {
            Ok(of_one) => groups.extend(of_one),
            Err(reason) => left_out.push((objective.id.clone(), reason)),
        }
    }
    Ok(Exported {
        text: file::text(&groups, &left_out),
        left_out,
    })
}

fn of_objective(catalog: &SloCatalog, objective: &Objective) -> Result<[Group; 2], String> {
    let indicator = catalog.indicators().iter().find(|sli| sli.name == objective.sli);
    if objective.budgeting != Budgeting::Occurrences {
        return Err("its budget is of time slices, which these rules do not count".to_owned());
    }
    let share = indicator.and_then(|sli| share_of(sli, objective));
    let share = share.ok_or_else(|| "it does not count counters".to_owned())?;
    if let Some(label) = objective.group_by.iter().find(|label| *label == "slo") {
        return Err(format!(
            "it is judged by the label {label:?}, which the rules need for its name"
        ));
    }
    let writer = Writer { objective, share };
    Ok([writer.now(), writer.period()])
}

fn share_of<'a>(sli: &'a SliDefinition, objective: &'a Objective) -> Option<Share<'a>> {
    Some(Share {
        counters: sli.events.counters()?,
        by: &objective.group_by,
    })
}

struct Writer<'a> {
    objective: &'a Objective,
    share: Share<'a>,
}

impl Writer<'_> {
    /// What is computed as often as rules are.
    fn now(&self) -> Group {
        let id = self.objective.id.as_str();
        let budget = error_share(self.objective.target);
        let mut rules: Vec<Rule> = self
            .windows()
            .into_iter()
            .map(|ms| self.record(ratio_name(ms), self.share.of_bad(&window_text(ms))))
            .collect();
        let guarded: BTreeSet<i64> = self
            .objective
            .burn
            .pairs
            .iter()
            .map(|pair| pair.long_ms)
            .collect();
        rules.extend(
            guarded
                .into_iter()
                .map(|ms| self.record(bad_name(ms), self.share.bad(&window_text(ms)))),
        );
        let five_minutes = ratio_name(5 * 60_000);
        rules.push(self.record("slo:objective:ratio", constant(self.objective.target)));
        rules.push(self.record("slo:error_budget:ratio", constant(budget)));
        rules.push(self.record("slo:time_period:days", constant(self.days())));
        rules.push(self.record(
            "slo:current_burn_rate:ratio",
            format!("{} / {budget}", self.series(&five_minutes)),
        ));
        rules.push(self.info());
        rules.extend(self.objective.burn.pairs.iter().map(|pair| self.alert(pair)));
        Group {
            name: format!("mainstay-slo-{id}"),
            interval: None,
            comments: Vec::new(),
            rules,
        }
    }

    /// The whole period.
    fn period(&self) -> Group {
        let id = self.objective.id.as_str();
        let budget = error_share(self.objective.target);
        let window = window_text(self.period_ms());
        let name = ratio_name(self.period_ms());
        let burn = "slo:period_burn_rate:ratio";
        let mut comments = vec![format!(
            "Every event weighs the same here; but the Prometheus must keep {window} of samples, and what rate() cannot see is"
        )];
        comments.push("missing (first samples of new series) or guessed (its edges). `mainstay slo status` has the counts.".to_owned());
        if let Window::Calendar(_) = self.objective.window {
            comments.push(format!(
                "The promise is for a {}; rules know no calendar, so that this is of the last {window}.",
                self.objective.window
            ));
        }
        Group {
            name: format!("mainstay-slo-{id}-period"),
            interval: Some(PERIOD_INTERVAL),
            comments,
            rules: vec![
                self.record(name.clone(), self.share.of_bad(&window)),
                self.record(burn, format!("{} / {budget}", self.series(&name))),
                self.record(
                    "slo:period_error_budget_remaining:ratio",
                    format!("1 - {}", self.series(burn)),
                ),
            ],
        }
    }

    /// The windows of the workbook, which dashboards look at, and those of the objective's own pairs.
    fn windows(&self) -> BTreeSet<i64> {
        let workbook = BurnPolicy::workbook();
        let pairs = workbook.pairs.iter().chain(&self.objective.burn.pairs);
        pairs.flat_map(|pair| [pair.long_ms, pair.short_ms]).collect()
    }

    fn period_ms(&self) -> i64 {
        match &self.objective.window {
            Window::Rolling(duration) => duration.nominal_ms(),
            Window::Calendar(calendar) => calendar.every().nominal_ms(),
        }
    }

    fn days(&self) -> Ratio {
        let ms = self.period_ms().unsigned_abs();
        Ratio::new(ms, DAY_MS.unsigned_abs()).unwrap_or(Ratio::ONE)
    }

    /// The labels that every series of the objective has, beside those of its group.
    fn names(&self) -> Vec<(&str, &str)> {
        let service = self
            .objective
            .service
            .as_ref()
            .map(|service| ("service", service.as_str()));
        let own = [Some(("slo", self.objective.id.as_str())), service];
        own.into_iter()
            .flatten()
            .filter(|(name, _)| !self.groups_by(name))
            .collect()
    }

    fn groups_by(&self, name: &str) -> bool {
        self.objective.group_by.iter().any(|label| label == name)
    }

    fn record(&self, name: impl Into<String>, expr: String) -> Rule {
        Rule::record(name, expr).labels(self.names())
    }

    /// A recorded series of the objective.
    fn series(&self, name: &str) -> String {
        format!("{name}{{slo={}}}", expression::quoted(self.objective.id.as_str()))
    }

    fn info(&self) -> Rule {
        let objective = self.objective;
        let promise = match objective.promise {
            Promise::Objective => "objective",
            Promise::Agreement => "agreement",
        };
        let (target, window) = (objective.target.to_string(), objective.window.to_string());
        let said = [
            ("display_name", objective.display_name.as_str()),
            ("objective", &target),
            ("window", &window),
            ("promise", promise),
        ];
        self.record("mainstay_slo_info", constant(Ratio::ONE))
            .labels(said)
            .labels(objective.labels.iter())
            .labels(self.names())
    }

    fn alert(&self, pair: &BurnPair) -> Rule {
        let objective = self.objective;
        let limit = threshold(pair.factor, objective.target);
        let op = if pair.inclusive { ">=" } else { ">" };
        let (long, short) = (window_text(pair.long_ms), window_text(pair.short_ms));
        let mut expr = format!(
            "{} {op} {limit}\nand\n{} {op} {limit}",
            self.series(&ratio_name(pair.long_ms)),
            self.series(&ratio_name(pair.short_ms)),
        );
        expr.push_str(&format!(
            "\nand\n{} >= {}",
            self.series(&bad_name(pair.long_ms)),
            pair.min_bad.max(1)
        ));
        let (priority, severity) = (pair.severity.to_string(), pair.severity.word());
        let own: Vec<(&str, &str)> = objective
            .labels
            .iter()
            .filter(|(name, _)| !self.groups_by(name))
            .collect();
        let name = file::literal(&objective.display_name);
        let budget = error_share(objective.target).percent(6);
        let budget = trimmed(&budget);
        let rule = Rule::alert(BURN_ALERT, expr)
            .labels(self.service())
            .labels(own.iter().map(|(name, value)| (*name, file::literal(value))))
            .labels([
                ("slo", objective.id.as_str()),
                ("priority", &priority),
                ("severity", severity),
                ("long_window", &long),
                ("short_window", &short),
            ])
            .annotation("title", format!("{name}: budget burns more than {} times too fast", pair.factor))
            .annotation(
                "summary",
                format!("{name}: {{{{ $value | humanizePercentage }}}} of events were bad over {long}"),
            )
            .annotation(
                "description",
                format!(
                    "In the last {long} and in the last {short} the error budget of {budget} of events was spent more than \
                     {} times as fast as it lasts, with at least {} bad events.",
                    pair.factor,
                    pair.min_bad.max(1)
                ),
            );
        match &objective.runbook {
            Some(runbook) => rule.annotation("runbook", file::literal(runbook)),
            None => rule,
        }
    }

    /// The service as a label of alerts; a label of the objective of that name stands before it, and the group's too.
    fn service(&self) -> Option<(&str, &str)> {
        let own = self.objective.labels.get("service").is_some() || self.groups_by("service");
        let service = self.objective.service.as_ref().filter(|_| !own)?;
        Some(("service", service.as_str()))
    }
}

/// The share that burns so many times the budget: exact.
fn threshold(factor: Ratio, target: Ratio) -> String {
    let budget = error_share(target);
    let product = reduced(
        u128::from(factor.numerator()) * u128::from(budget.numerator()),
        u128::from(factor.denominator()) * u128::from(budget.denominator()),
    );
    product.map_or_else(|| format!("{factor} * {budget}"), |product| product.to_string())
}

fn constant(value: Ratio) -> String {
    format!("vector({value})")
}

fn ratio_name(window_ms: i64) -> String {
    format!("slo:sli_error:ratio_rate{}", window_text(window_ms))
}

fn bad_name(window_ms: i64) -> String {
    format!("slo:sli_bad:increase{}", window_text(window_ms))
}

/// `0.050000%` is `0.05%`.
fn trimmed(percent: &str) -> String {
    let digits = percent
        .trim_end_matches('%')
        .trim_end_matches('0')
        .trim_end_matches('.');
    format!("{digits}%")
}
