//! The course of a budget: how it went, and where it goes.

use jiff::Timestamp;
use mainstay_kernel::Ratio;
use mainstay_slo::window::Window;
use mainstay_slo::{Counts, Objective, SloEngine};
use mainstay_ui::chart::{Chart, Limit, Mark, Series};
use mainstay_ui::{Unit, time};
use mainstay_web::view::Exhaustion;

use super::Standing;
use super::words::number;

/// How many points a burn-down has.
const POINTS: u16 = 120;

/// What the chart is drawn from.
pub(super) struct Course<'a> {
    pub(super) slos: &'a SloEngine,
    pub(super) objective: &'a Objective,
    pub(super) standing: &'a Standing,
    pub(super) exhaustion: Option<&'a Exhaustion>,
    /// What a contract promises of the same events.
    pub(super) agreement: Option<Ratio>,
    /// Changes.
    pub(super) marks: Vec<Mark>,
    pub(super) now: Timestamp,
}

impl Course<'_> {
    /// The burn-down with its projection: from what is left now straight to nothing left, at the earliest, most likely and at
    /// the latest, as the forecast has it.
    pub(super) fn chart(self) -> Chart {
        let (objective, standing, now) = (self.objective, self.standing, self.now);
        let share = objective.target.complement().unwrap_or(Ratio::ZERO);
        let (budget, unit) = (&standing.budget, standing.budget.unit);
        let counted = self.slos.burn_down(&objective.id, &standing.group, now, POINTS);
        let amount = |count: u64| unit.amount(count).map_or(0.0, Ratio::to_f64);
        // Of slices it is known how many the window has; of events the budget grows with them.
        let allowed = |counts: &Counts| match budget.to_come {
            0 => share.floor_of(counts.total),
            _ => budget.allowed(),
        };
        let known =
            |counts: &Counts| (counts.total > 0).then(|| amount(allowed(counts)) - amount(counts.bad));
        let points: Vec<(i64, Option<f64>)> = counted
            .iter()
            .map(|(at_ms, counts)| (*at_ms, known(counts)))
            .collect();
        let left = points.last().and_then(|(at_ms, left)| Some((*at_ms, (*left)?)));
        let ahead = self.projection(left);
        let whole = amount(budget.allowed());
        let bounds = objective.window.bounds(now);
        let now_ms = now.as_millisecond();
        // Of a spent budget nothing lies ahead; of one that is left, the rest of its window.
        let is_left = left.is_some_and(|(_, left)| left > 0.0);
        let window_end_ms = if is_left { bounds.end_ms } else { now_ms };
        let ahead_ms = ahead
            .iter()
            .flat_map(|line| &line.points)
            .map(|(at_ms, _)| *at_ms);
        let end_ms = ahead_ms.fold(window_end_ms.max(now_ms), i64::max);
        // Where counting began late in the window, the time before says nothing.
        let first_ms = points
            .iter()
            .find(|(_, left)| left.is_some())
            .map(|(at_ms, _)| *at_ms);
        let step_ms = (now_ms - bounds.start_ms) / i64::from(POINTS);
        let start_ms = first_ms.map_or(bounds.start_ms, |first_ms| {
            bounds.start_ms.max(first_ms - step_ms)
        });
        let mut marks = self.marks.clone();
        if end_ms > now_ms {
            marks.push(mark(now_ms, "now"));
        }
        if is_left && matches!(objective.window, Window::Calendar(_)) {
            marks.push(mark(bounds.end_ms, "the window ends, and the budget begins anew"));
        }
        Chart {
            id: "burn-down".to_owned(),
            title: format!("Budget left, in {}", unit.noun()),
            sentence: self.sentence(counted.last()),
            unit: Unit::Count,
            start_ms,
            end_ms,
            series: std::iter::once(Series {
                name: "left".to_owned(),
                points,
            })
            .chain(ahead)
            .collect(),
            limits: self.limits(whole),
            marks,
            query: None,
        }
    }

    /// Lines from what is left now to nothing left.
    fn projection(&self, left: Option<(i64, f64)>) -> Vec<Series> {
        let Some((exhaustion, from)) = self.exhaustion.zip(left.filter(|(_, left)| *left > 0.0)) else {
            return Vec::new();
        };
        let line = |word: &str, at: Timestamp| Series {
            name: format!("spent {word}, {}", time::utc(at, self.now)),
            points: vec![(from.0, Some(from.1)), (at.as_millisecond(), Some(0.0))],
        };
        let earliest = Some(line("at the earliest", exhaustion.earliest));
        let likely = exhaustion.likely.map(|at| line("most likely", at));
        let latest = exhaustion.latest.map(|at| line("at the latest", at));
        [earliest, likely, latest].into_iter().flatten().collect()
    }

    fn limits(&self, whole: f64) -> Vec<Limit> {
        let critical = whole * self.objective.budget.critical_below.to_f64();
        let mut limits = vec![
            Limit {
                name: "spent".to_owned(),
                value: 0.0,
            },
            Limit {
                name: "critical below".to_owned(),
                value: critical,
            },
        ];
        // The contract breaks where so much more is bad than the objective allows.
        let share = |target: Ratio| target.complement().map_or(0.0, Ratio::to_f64);
        if let Some(target) = self.agreement {
            limits.push(Limit {
                name: "SLA broken".to_owned(),
                value: whole - whole * share(target) / share(self.objective.target),
            });
        }
        limits
    }

    fn sentence(&self, last: Option<&(i64, Counts)>) -> String {
        let now = self.now;
        let Some((at_ms, counts)) = last.filter(|(_, counts)| counts.total > 0) else {
            return "Nothing was counted in this window.".to_owned();
        };
        let at = Timestamp::from_millisecond(*at_ms).unwrap_or(now);
        let window = match &self.objective.window {
            Window::Rolling(_) => "The window rolls: what ages out of it is given back.".to_owned(),
            Window::Calendar(_) => {
                let end_ms = self.objective.window.bounds(now).end_ms;
                let end = Timestamp::from_millisecond(end_ms).unwrap_or(now);
                format!("The window is of the calendar and ends {}.", time::utc(end, now))
            }
        };
        let ahead = match self.exhaustion {
            Some(_) => {
                " The dashed lines go to where it will be spent, with a probability of 80 % between the first and the last."
            }
            None => "",
        };
        format!(
            "{} were bad by {}. {window}{ahead}",
            self.standing.budget.unit.part_of(*counts, number),
            time::utc(at, now)
        )
    }
}

fn mark(at_ms: i64, text: &str) -> Mark {
    Mark {
        at_ms,
        text: text.to_owned(),
        href: None,
    }
}
