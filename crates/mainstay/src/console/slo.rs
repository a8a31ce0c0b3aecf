//! Objectives: how they stand, by the counts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::fact::BudgetState;
use mainstay_kernel::{Labels, Principal, Ratio};
use mainstay_slo::burn::{burn_rate, window_text};
use mainstay_slo::engine::{ExcludedStretch, Status as Standing, StatusValue};
use mainstay_slo::sli::NO_VALUE;
use mainstay_slo::window::Window;
use mainstay_slo::{Counts, Doubt, Events, Objective, Promise, SliDefinition, SloEngine};
use mainstay_web::view::{Exhaustion, Look, Share, Slo, Status};

use super::expression::{Filter, Reading};
use super::{PlaneConsole, apart, sight};

mod chart;
mod depth;
mod words;

use words::amounts;

/// How many groups that are not well a list shows of each objective.
pub(super) const GROUPS_IN_LIST: usize = 50;
/// The same on the overview.
pub(super) const GROUPS_IN_OVERVIEW: usize = 5;

const HOUR_MS: i64 = 3_600_000;

fn is_part_of(group: &Labels, place: &Labels) -> bool {
    place.iter().all(|(name, value)| group.get(name) == Some(value))
}

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    /// Every objective in the part that is looked at; below it its groups that are not well, worst first, at most
    /// `groups_max` of them. Who is limited to some tenants sees the groups of these tenants.
    pub(super) fn slo_list(&self, who: &Principal, look: &Look, groups_max: usize) -> Vec<Slo> {
        let now = self.now();
        let slos = self.telemetry.slos();
        let agreements = agreements(&slos);
        let of_service = |objective: &&Objective| {
            look.scope
                .service
                .as_ref()
                .is_none_or(|service| objective.service.as_ref() == Some(service))
        };
        let mut list = Vec::new();
        for objective in slos.objectives().filter(of_service) {
            let Some(sli) = slos.indicators().find(|sli| sli.name == objective.sli) else {
                continue;
            };
            let reader = Reader {
                slos: &slos,
                objective,
                sli,
                sla: agreements
                    .get(&objective.sli)
                    .copied()
                    .filter(|_| objective.promise == Promise::Objective),
                now,
                linked: sight::sees_platform(who),
            };
            let place = objective.group_of(&look.scope);
            if sight::sees_group(who, &place)
                && let Some(standing) = slos.status(&objective.id, &place, now)
            {
                list.push(reader.view(&standing));
            }
            let limited = sight::limited_to(who).is_some();
            let mut groups: Vec<Standing> = slos
                .statuses(&objective.id, now)
                .into_iter()
                .filter(|standing| standing.group != place && is_part_of(&standing.group, &place))
                .filter(|standing| sight::sees_group(who, &standing.group))
                .filter(|standing| limited || is_unwell(standing))
                .collect();
            groups.sort_by_key(|standing| {
                let spent = standing.budget.spent_share();
                (std::cmp::Reverse(spent), standing.group.clone())
            });
            list.extend(
                groups
                    .iter()
                    .take(groups_max)
                    .map(|standing| reader.view(standing)),
            );
        }
        list
    }
}

/// What contracts promise, by indicator.
fn agreements(slos: &SloEngine) -> BTreeMap<String, Ratio> {
    let agreements = slos
        .objectives()
        .filter(|objective| objective.promise == Promise::Agreement);
    agreements
        .map(|objective| (objective.sli.clone(), objective.target))
        .collect()
}

/// Whether somebody should look: broken, or its budget is on its way out. A group that is silent is not listed one by
/// one: the objective as a whole says that it is unknown.
fn is_unwell(standing: &Standing) -> bool {
    standing.value == StatusValue::Breached
        || standing.state > BudgetState::Healthy
        || standing
            .burn
            .iter()
            .any(|reading| reading.firing_since_ms.is_some())
}

/// Whether the promise is kept; with a burn alert that fires, not for long.
fn promise_status(standing: &Standing) -> Status {
    let mut alerts = standing.burn.iter();
    match standing.value {
        StatusValue::Ok if alerts.any(|reading| reading.firing_since_ms.is_some()) => Status::Warning,
        StatusValue::Ok => Status::Ok,
        StatusValue::Breached => Status::Breached,
        StatusValue::Unknown => Status::Unknown,
    }
}

/// Everything that is needed to show one objective.
struct Reader<'a> {
    slos: &'a SloEngine,
    objective: &'a Objective,
    sli: &'a SliDefinition,
    sla: Option<Ratio>,
    now: Timestamp,
    linked: bool,
}

impl Reader<'_> {
    fn view(&self, standing: &Standing) -> Slo {
        let objective = self.objective;
        let budget = &standing.budget;
        let counts = budget.counts;
        let left = i64::try_from(budget.remaining()).unwrap_or(if budget.remaining() < 0 {
            i64::MIN
        } else {
            i64::MAX
        });
        Slo {
            id: objective.id.clone(),
            title: objective.display_name.clone(),
            group: group_text(&standing.group),
            labels: standing
                .group
                .iter()
                .filter(|(_, value)| *value != NO_VALUE)
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            service: objective.service.clone().filter(|_| self.linked),
            objective: Share(objective.target),
            sla: self.sla.map(Share),
            value: budget.good_share().map(Share),
            unit: budget.unit.to_string(),
            bad: standing.raw.counts.bad,
            total: standing.raw.counts.total,
            adjusted_bad: counts.bad,
            adjusted_total: counts.total,
            excluded: excluded(standing),
            budget_allowed: budget.allowed(),
            budget_left: left,
            amounts: amounts(&standing.raw, budget, left),
            burn_1h: self.burn_over(standing, HOUR_MS),
            burn_6h: self.burn_over(standing, 6 * HOUR_MS),
            exhaustion: self.exhaustion(standing),
            budget: if standing.value == StatusValue::Unknown {
                BudgetState::Unknown
            } else {
                standing.state
            },
            window: window_words(objective, standing),
            status: promise_status(standing),
            unknown_reason: unknown_reason(standing),
            doubt: doubt(self.sli, standing.doubt),
            apart: apart::words(standing),
            query: self.query(standing).filter(|_| self.linked),
        }
    }

    /// The same ratio from raw data. Samples are kept for days, counts for a year, so over the last hour.
    fn query(&self, standing: &Standing) -> Option<String> {
        let reading = Reading {
            function: "increase",
            window: "1h",
            by: "",
            every_job: false,
        };
        let bad_share = reading.bad_share(self.sli, &Filter::of_group(&standing.group))?;
        Some(format!("1 - ({bad_share})"))
    }

    /// When the budget will be spent; none where that is not to be expected, or nothing is known.
    fn exhaustion(&self, standing: &Standing) -> Option<Exhaustion> {
        let forecast = self
            .slos
            .forecast(&self.objective.id, &standing.group, self.now)?;
        Some(Exhaustion {
            earliest: forecast.earliest,
            likely: forecast.likely,
            latest: forecast.latest,
        })
    }

    fn counts(&self, group: &Labels, length_ms: i64) -> Option<Counts> {
        let now_ms = self.now.as_millisecond();
        let (slo, from_ms) = (&self.objective.id, now_ms - length_ms);
        let window = self.slos.objective_window(slo, group, from_ms, now_ms)?;
        Some(window.counts)
    }

    /// How fast the budget burnt in the last `length_ms`; unknown while nothing is seen or nothing happened.
    fn burn_over(&self, standing: &Standing, length_ms: i64) -> Option<f64> {
        if standing.value == StatusValue::Unknown {
            return None;
        }
        let counts = self.counts(&standing.group, length_ms)?;
        burn_rate(counts, self.objective.target).map(Ratio::to_f64)
    }
}

/// `cell-1, std-001`.
pub(super) fn group_text(group: &Labels) -> Option<String> {
    let values: Vec<&str> = group
        .iter()
        .map(|(_, value)| value)
        .filter(|value| *value != NO_VALUE)
        .collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// What is excluded, in a sentence.
fn excluded(standing: &Standing) -> Option<String> {
    let minutes = ExcludedStretch::length_ms(&standing.excluded) / 60_000;
    (!standing.excluded.is_empty()).then(|| {
        format!(
            "{} min do not count, by agreement.",
            mainstay_ui::number::count(minutes.unsigned_abs())
        )
    })
}

fn unknown_reason(standing: &Standing) -> Option<String> {
    if standing.value != StatusValue::Unknown {
        return None;
    }
    if let Some(missing) = &standing.missing_edge {
        return Some(missing.to_string());
    }
    let instant = |ms: i64| {
        Timestamp::from_millisecond(ms)
            .ok()
            .map(|at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
    };
    Some(match standing.last_sample_ms.and_then(instant) {
        None => "nothing was ever counted towards it".to_owned(),
        Some(at) => format!("no sample counts towards it since {at}"),
    })
}

/// What the counts cannot say. Never a guess: a bound where somebody saw it, else that it is unknown.
fn doubt(sli: &SliDefinition, doubt: Doubt) -> Option<String> {
    let count = mainstay_ui::number::count;
    let mut said = Vec::new();
    let seen = doubt.ended - doubt.unbounded;
    if seen > 0 {
        said.push(format!(
            "{} ended between two reads: at most {} of their events are not counted",
            plural(seen, &sli.source),
            count(doubt.unread)
        ));
    }
    if doubt.unbounded > 0 {
        said.push(format!(
            "{} ended between two reads: how many of their events are not counted is unknown",
            plural(doubt.unbounded, &sli.source)
        ));
    }
    if doubt.missed_total == 0 && doubt.missed_marked > 0 {
        said.push(format!(
            "of {} events it is unknown on which side of the threshold they are: it lies within a bucket",
            count(doubt.missed_marked)
        ));
    }
    if doubt.missed_total > 0 {
        let missed = count(doubt.missed_total);
        said.push(match sli.events {
            Events::Completion(_) => {
                format!("too many were open at once: how {missed} more ended is not counted")
            }
            _ => format!("counters were first seen above 0: at most {missed} more events happened"),
        });
    }
    (!said.is_empty()).then(|| said.join("; "))
}

/// `1 pod`, `3 pods`.
fn plural(number: u64, what: &str) -> String {
    let number = mainstay_ui::number::count(number);
    if number == "1" {
        format!("1 {what}")
    } else {
        format!("{number} {what}s")
    }
}

/// `November 2026, Africa/Johannesburg`, or `the last 30 days`.
fn window_words(objective: &Objective, standing: &Standing) -> String {
    const DAY_MS: i64 = 24 * HOUR_MS;
    match &objective.window {
        Window::Rolling(duration) => match duration.nominal_ms() {
            ms if ms % DAY_MS == 0 => format!("the last {} days", ms / DAY_MS),
            ms => format!("the last {}", window_text(ms)),
        },
        Window::Calendar(_) => {
            let text = objective.window.to_string();
            let zone = text.rsplit_once(" in ").map_or("UTC", |(_, zone)| zone);
            let middle = i64::midpoint(standing.window.start_ms, standing.window.end_ms);
            let days = standing.window.length_ms() / DAY_MS;
            match Timestamp::from_millisecond(middle) {
                Ok(at) if (27..=31).contains(&days) => format!("{}, {zone}", at.strftime("%B %Y")),
                _ => text,
            }
        }
    }
}
