//! Figures that are shown of an objective, held against what it says: rulings R2, R6 and R7.

use mainstay_catalog::{At, Diagnostics, Spanned, lint};
use mainstay_kernel::Ratio;

use super::super::annotations;
use super::model::{Model, Objective};
use super::objectives::{figure, place};
use super::prose::{Found, shares};

/// How a figure is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shown {
    Healthy,
    Warning,
    Critical,
    Exhausted,
}

impl Shown {
    fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Exhausted => "exhausted",
        }
    }
}

/// The first mark or word in what follows a figure. A sign of warning beside a word leaves it to the word.
fn shown(text: &str) -> Option<Shown> {
    const WORDS: [(&str, Shown); 15] = [
        ("✅", Shown::Healthy),
        ("✓", Shown::Healthy),
        ("🟢", Shown::Healthy),
        ("healthy", Shown::Healthy),
        ("green", Shown::Healthy),
        ("good", Shown::Healthy),
        ("ok", Shown::Healthy),
        ("warning", Shown::Warning),
        ("yellow", Shown::Warning),
        ("critical", Shown::Critical),
        ("red", Shown::Critical),
        ("exhausted", Shown::Exhausted),
        ("frozen", Shown::Exhausted),
        ("❌", Shown::Exhausted),
        ("🔴", Shown::Critical),
    ];
    let text = text.to_lowercase();
    let found = WORDS
        .iter()
        .filter_map(|(word, shown)| Some((text.find(word)?, *shown)));
    found.min_by_key(|(at, _)| *at).map(|(_, shown)| shown)
}

/// A figure that is shown.
struct Figure {
    share: f64,
    tolerance: f64,
    shown: Option<Shown>,
    at: At,
}

fn figures(objective: &Objective<'_>, name: &str) -> Vec<Figure> {
    objective
        .notes(name)
        .flat_map(|note: &Spanned<String>| {
            let found: Vec<(f64, Found)> = shares(&note.value).collect();
            let ends: Vec<usize> = found
                .iter()
                .skip(1)
                .map(|(_, next)| next.start)
                .chain([note.value.len()])
                .collect();
            let figures = found.into_iter().zip(ends).map(|((share, found), end)| Figure {
                share,
                tolerance: found.tolerance,
                shown: note.value.get(found.end..end).and_then(shown),
                at: place(objective, note, &found),
            });
            figures.collect::<Vec<_>>()
        })
        .collect()
}

pub(super) fn check(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    for objective in &model.objectives {
        green(objective, diagnostics);
        used(objective, diagnostics);
        states(objective, diagnostics);
    }
}

/// Ruling R2.
fn green(objective: &Objective<'_>, diagnostics: &mut Diagnostics) {
    let Some(target) = objective.target() else { return };
    let most = 1.0 - target.value.to_f64();
    let good = figures(objective, "shown-good")
        .into_iter()
        .map(|figure| (1.0 - figure.share, figure));
    let bad = figures(objective, "shown-bad")
        .into_iter()
        .map(|figure| (figure.share, figure));
    for (share, shown) in good.chain(bad) {
        // Above the most by more than the rounding of the figure.
        if shown.shown == Some(Shown::Healthy) && share - shown.tolerance > most + 1e-12 {
            let message = format!(
                "{}% is shown as good: at most {}% may be bad",
                figure(shown.share * 100.0),
                figure(most * 100.0)
            );
            let help = "show what breaks its objective as broken, and name which ratio it is";
            let found = objective
                .document
                .diagnostic(lint::SHOWN_GREEN, shown.at, message);
            diagnostics.push(found.help(help));
        }
    }
}

/// Ruling R6: the part that is used follows from what was good.
fn used(objective: &Objective<'_>, diagnostics: &mut Diagnostics) {
    let Some(target) = objective.target() else { return };
    let budget = 1.0 - target.value.to_f64();
    let Some(good) = figures(objective, "shown-good").into_iter().next() else {
        return;
    };
    let range = |share: f64| share / budget;
    let (least, most) = (
        range(1.0 - good.share - good.tolerance),
        range(1.0 - good.share + good.tolerance),
    );
    let used = figures(objective, "shown-budget-used")
        .into_iter()
        .map(|figure| (figure.share, figure));
    let left = figures(objective, "shown-budget-left").into_iter().take(1);
    let left = left.map(|figure| (1.0 - figure.share, figure));
    let used: Vec<(f64, Figure)> = used.collect();
    // Several figures of what is left are a course over time, and only one of them is beside this one.
    let beside = if used.is_empty() { left.collect() } else { used };
    for (share, shown) in beside {
        if share + shown.tolerance < least || share - shown.tolerance > most {
            let message = format!(
                "{}% of the budget are said to be used, and {}% good against {} use {}%",
                figure(share * 100.0),
                figure(good.share * 100.0),
                target.value.percent(3),
                figure(range(1.0 - good.share) * 100.0)
            );
            let help = "compute one from the other: used = (1 - good) / (1 - target), over the same window";
            let found = objective
                .document
                .diagnostic(lint::BUDGET_DISAGREES, shown.at, message);
            diagnostics.push(found.help(help));
        }
    }
}

/// Ruling R7: healthy from 50% on, warning below, critical below 20%, exhausted at 0; or as the annotations say.
fn states(objective: &Objective<'_>, diagnostics: &mut Diagnostics) {
    let annotations = &objective.slo.metadata.annotations;
    let threshold = |name: &str, default: f64| {
        let written = annotations.get(name);
        let value = written.and_then(|text| text.value.trim().parse::<Ratio>().ok());
        (value.map_or(default, Ratio::to_f64), written.map(|text| text.at))
    };
    let (warning, _) = threshold(annotations::WARNING_BELOW, 0.5);
    let (critical, at) = threshold(annotations::CRITICAL_BELOW, 0.2);
    if critical > warning {
        let message = format!(
            "critical below {}% begins before warning below {}%",
            figure(critical * 100.0),
            figure(warning * 100.0)
        );
        let at = at.unwrap_or(objective.name().at);
        let found = objective.document.diagnostic(lint::BUDGET_STATES, at, message);
        diagnostics.push(found.help("a budget is healthy, then in warning, then critical, then exhausted"));
        return;
    }
    let state = |left: f64| {
        if left <= 0.0 {
            Shown::Exhausted
        } else if left < critical {
            Shown::Critical
        } else if left < warning {
            Shown::Warning
        } else {
            Shown::Healthy
        }
    };
    let left = figures(objective, "shown-budget-left");
    let used = figures(objective, "shown-budget-used")
        .into_iter()
        .map(|figure| Figure {
            share: 1.0 - figure.share,
            ..figure
        });
    for figure_left in left.into_iter().chain(used) {
        let (low, high) = (
            state(figure_left.share - figure_left.tolerance),
            state(figure_left.share + figure_left.tolerance),
        );
        let fits = |shown: Shown| shown == low || shown == high;
        if let Some(shown) = figure_left.shown.filter(|shown| !fits(*shown)) {
            let message = format!(
                "with {}% left a budget is {}, not {}",
                figure(figure_left.share * 100.0),
                state(figure_left.share).word(),
                shown.word()
            );
            let help = format!(
                "warning is below {}%, critical below {}%; annotations mainstay/budget-warning-below and -critical-below change that",
                figure(warning * 100.0),
                figure(critical * 100.0)
            );
            let found = objective
                .document
                .diagnostic(lint::BUDGET_STATES, figure_left.at, message);
            diagnostics.push(found.help(help));
        }
    }
}
