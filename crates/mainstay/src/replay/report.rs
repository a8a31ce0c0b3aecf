//! What came of a replay, for people and for programs.

use jiff::Timestamp;
use mainstay_kernel::Labels;
use mainstay_slo::burn::window_text;
use mainstay_slo::engine::{Status, StatusValue};
use mainstay_slo::replay::whatif::Variant;
use mainstay_slo::replay::{Outcome, Stretch};
use mainstay_ui::number::{count, signed};
use serde::Serialize;

use crate::output::{self, Form, Table, judged};

/// How many lines of one kind a table has at most; JSON has all.
const LINES_MAX: usize = 200;

/// What was judged, and what came of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The first and the last instant that were judged.
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// Since when was counted.
    pub(super) counted_from: Timestamp,
    /// Whether a recorded run was repeated judgement by judgement.
    pub(super) is_exact: bool,
    /// Of such a run: whether the counts were, when the server last wrote them down, the same to the last bit.
    pub(super) is_equal: Option<bool>,
    /// What cannot be known.
    pub(super) doubts: Vec<String>,
    /// The objectives and targets.
    pub(super) variants: Vec<Variant>,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
}

impl Report {
    pub(super) fn print(&self, form: Form) {
        match form {
            Form::Json => output::json(self),
            Form::Table => self.print_tables(),
        }
        for doubt in &self.doubts {
            anstream::eprintln!("In doubt: {doubt}.");
        }
        for variant in self
            .variants
            .iter()
            .filter(|variant| !variant.unreachable.is_empty())
        {
            let pairs: Vec<String> = variant
                .unreachable
                .iter()
                .map(|pair| format!("{} times over {}", pair.factor, window_text(pair.long_ms)))
                .collect();
            anstream::eprintln!(
                "{} cannot alert at {}: even a total outage burns less than {}.",
                variant.slo,
                variant.target.percent(3),
                pairs.join(" and ")
            );
        }
        if self.outcome.left_out > 0 {
            anstream::eprintln!("{} later entries are left out.", count(self.outcome.left_out));
        }
    }

    fn print_tables(&self) {
        let how = if self.is_exact {
            "as it was judged live"
        } else {
            "judged anew"
        };
        let (from, to) = (self.time(self.from), self.time(self.to));
        anstream::println!(
            "{from} to {to} UTC, {how}{}; {} samples counted since {}\n",
            match self.is_equal {
                Some(true) => ", and the counts are the server's to the last bit",
                Some(false) => ", but the counts are not the server's",
                None => "",
            },
            count(self.outcome.ingested.counted),
            self.time(self.counted_from)
        );
        self.budgets().print("Nothing was counted.");
        self.stretches(
            "would-be pages and tickets",
            &["FROM", "TO", "OBJECTIVE", "TARGET", "GROUP", "PAIR"],
            self.pages(),
        );
        self.stretches(
            "freezes",
            &["FROM", "TO", "OBJECTIVE", "TARGET", "GROUP"],
            self.rows(&self.outcome.freezes),
        );
        self.stretches(
            "blind stretches",
            &["FROM", "TO", "OBJECTIVE", "TARGET", "GROUP"],
            self.rows(&self.outcome.blind),
        );
        self.stretches(
            "stretches without the usual traffic",
            &["FROM", "TO", "OBJECTIVE", "TARGET", "GROUP"],
            self.rows(&self.outcome.absent),
        );
    }

    fn stretches(&self, title: &str, heads: &[&'static str], rows: Vec<Vec<String>>) {
        let all = rows.len();
        anstream::println!("\n{} {title}", count(all as u64));
        if all == 0 {
            return;
        }
        let mut table = Table::new(heads);
        rows.into_iter().take(LINES_MAX).for_each(|row| table.row(row));
        table.print("");
        if all > LINES_MAX {
            anstream::println!(
                "... and {} more (-o json has all)",
                count((all - LINES_MAX) as u64)
            );
        }
    }

    fn budgets(&self) -> Table {
        let mut table = Table::new(&[
            "OBJECTIVE",
            "TARGET",
            "GROUP",
            "BAD",
            "TOTAL",
            "ALLOWED",
            "LEFT",
            "BUDGET",
            "KEPT",
            "PAGES",
            "FREEZES",
        ]);
        for standing in self.outcome.standings.iter().filter(|one| is_worth_a_line(one)) {
            let budget = &standing.budget;
            let is_it = |slo: &_, group: &_| *slo == standing.slo && *group == standing.group;
            let pages = self.outcome.pages.iter();
            let pages = pages.filter(|page| is_it(&page.slo, &page.group) && page.pair.severity.pages());
            let freezes = self.outcome.freezes.iter();
            let freezes = freezes.filter(|freeze| is_it(&freeze.slo, &freeze.group));
            let (slo, target) = self.name(standing.slo.as_str());
            table.row([
                slo,
                target,
                group_text(&standing.group),
                count(budget.counts.bad),
                count(budget.counts.total),
                count(budget.allowed()),
                i64::try_from(budget.remaining()).map_or_else(|_| "unknown".to_owned(), signed),
                judged(&format!("{:?}", standing.state).to_lowercase()),
                judged(match standing.value {
                    StatusValue::Ok => "ok",
                    StatusValue::Breached => "breached",
                    StatusValue::Unknown => "unknown",
                }),
                count(pages.count() as u64),
                count(freezes.count() as u64),
            ]);
        }
        table
    }

    fn pages(&self) -> Vec<Vec<String>> {
        let row = |page: &mainstay_slo::replay::Page| {
            let pair = page.pair;
            let mut row = self.row(page.from, page.to, page.slo.as_str(), &page.group);
            row.push(format!(
                "{} {} over {} and {}",
                pair.severity,
                pair.factor,
                window_text(pair.long_ms),
                window_text(pair.short_ms)
            ));
            row
        };
        self.outcome.pages.iter().map(row).collect()
    }

    fn rows(&self, stretches: &[Stretch]) -> Vec<Vec<String>> {
        let row = |one: &Stretch| self.row(one.from, one.to, one.slo.as_str(), &one.group);
        stretches.iter().map(row).collect()
    }

    fn row(&self, from: Timestamp, to: Option<Timestamp>, slo: &str, group: &Labels) -> Vec<String> {
        let (slo, target) = self.name(slo);
        let to = to.map_or_else(|| "goes on".to_owned(), |to| self.time(to));
        vec![self.time(from), to, slo, target, group_text(group)]
    }

    /// An objective and the target that it was judged by.
    fn name(&self, id: &str) -> (String, String) {
        let variant = self.variants.iter().find(|variant| variant.id.as_str() == id);
        variant.map_or_else(
            || (id.to_owned(), String::new()),
            |variant| {
                let target = mainstay_web::view::Share(variant.target).percent();
                let target = if variant.is_own {
                    target
                } else {
                    format!("{target} (what if)")
                };
                (variant.slo.to_string(), target)
            },
        )
    }

    fn time(&self, at: Timestamp) -> String {
        at.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }
}

/// The whole, and every group that spent something.
fn is_worth_a_line(standing: &Status) -> bool {
    standing.group.is_empty() || standing.budget.counts.bad > 0
}

fn group_text(group: &Labels) -> String {
    let values: Vec<&str> = group.iter().map(|(_, value)| value).collect();
    values.join(", ")
}
