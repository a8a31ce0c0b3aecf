//! Objectives: their windows, their minutes, and the contracts that they protect.

use std::collections::BTreeMap;

use mainstay_catalog::{At, Diagnostics, Spanned, lint};

use super::model::{Model, Objective};
use super::prose::{Found, shares, times, words};
use crate::sli::Marked;

pub(super) fn check(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    for objective in &model.objectives {
        minutes(objective, diagnostics);
        window_words(objective, diagnostics);
        agreement(model, objective, diagnostics);
        description(model, objective, diagnostics);
    }
    forgiven(model, diagnostics);
}

/// The place of a quantity within a text.
pub(super) fn place(objective: &Objective<'_>, text: &Spanned<String>, found: &Found) -> At {
    text.at
        .of_bytes_within(objective.document.source(), &text.value, found.start..found.end)
}

/// A number without needless digits.
pub(super) fn figure(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

/// Ruling R3: a budget in minutes is that of a real window.
fn minutes(objective: &Objective<'_>, diagnostics: &mut Diagnostics) {
    let (Some(window), false) = (objective.window, objective.targets.is_empty()) else {
        return;
    };
    let mut stated: Vec<(f64, f64, At)> = Vec::new();
    if let Some(text) = &objective.description {
        let spoken = words(&text.value);
        let about = ["downtime", "outage", "unavailable", "unavailability"];
        let budget = spoken.iter().any(|word| word == "budget");
        if budget || spoken.iter().any(|word| about.contains(&word.as_str())) {
            let of_budget = times(&text.value).filter(|(_, found)| is_of_budget(&text.value, found));
            stated.extend(of_budget.map(|(seconds, found)| {
                (
                    seconds / 60.0,
                    found.tolerance / 60.0,
                    place(objective, text, &found),
                )
            }));
        }
    }
    for note in objective.notes("budget-minutes") {
        let number = note.value.trim();
        let decimals = number.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let half = 0.5 * 10_f64.powi(-i32::try_from(decimals).unwrap_or(9));
        if let Ok(value) = number.parse::<f64>() {
            stated.push((value, half, note.at));
        }
    }
    for (value, half, at) in stated {
        let budgets = objective.targets.iter().flat_map(|target| {
            let share = 1.0 - target.value.to_f64();
            window.days().into_iter().map(move |days| share * days * 1_440.0)
        });
        let budgets: Vec<f64> = budgets.collect();
        if budgets.iter().any(|real| (real - value).abs() <= half * 1.01) {
            continue;
        }
        let share = objective
            .target()
            .map_or(0.0, |target| 1.0 - target.value.to_f64());
        let mean = (365.2425 / 12.0 * share * 1_440.0 - value).abs() <= half.max(0.05);
        let of = if mean {
            "of a mean month, which no month is"
        } else {
            "of no such window"
        };
        let real: Vec<String> = budgets.iter().map(|real| figure(*real)).collect();
        let message = format!("{} minutes are the budget {of}", figure(value));
        let help = format!(
            "{} leaves {} minutes{}",
            objective
                .target()
                .map_or_else(String::new, |target| target.value.percent(3)),
            real.join(", "),
            if real.len() == 4 {
                " in a month of 28, 29, 30 or 31 days"
            } else {
                ""
            }
        );
        diagnostics.push(
            objective
                .document
                .diagnostic(lint::BUDGET_MINUTES, at, message)
                .help(help),
        );
    }
}

/// Whether a time in a sentence is how long one may be down: it is not what a request, or a person, may take.
fn is_of_budget(text: &str, found: &Found) -> bool {
    let before = text[..found.start].trim_end();
    !(before.ends_with(['<', '>', '≤', '≥']) || before.ends_with("within") || before.ends_with("last"))
}

/// Ruling R4, in the words of an SLO: a rolling window is no month of the calendar, and the other way round.
fn window_words(objective: &Objective<'_>, diagnostics: &mut Diagnostics) {
    let (Some(window), Some(text)) = (objective.window, &objective.description) else {
        return;
    };
    let spoken = words(&text.value);
    let says = |known: &[&str]| spoken.iter().find(|word| known.contains(&word.as_str()));
    let (wrong, is) = if window.is_rolling {
        (
            says(&["calendar", "month", "monthly", "quarter", "quarterly"]),
            "rolls",
        )
    } else {
        (says(&["rolling", "sliding", "trailing"]), "follows the calendar")
    };
    if let Some(word) = wrong {
        let at = text.at.of_part(objective.document.source(), word);
        let message = format!("the description speaks of {word:?}, and the window {is}");
        let help = "say which of the two decides; where both are wanted, write an SLO for each";
        diagnostics.push(
            objective
                .document
                .diagnostic(lint::WINDOW_KINDS, at, message)
                .help(help),
        );
    }
}

/// Ruling R36: where only a calendar window judges an indicator, the first of the month forgives everything. Said once
/// for the objectives of a service.
fn forgiven(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    let mut by_service: BTreeMap<&str, Vec<&Objective<'_>>> = BTreeMap::new();
    for objective in model.objectives.iter().filter(|one| is_forgiven(model, one)) {
        let service = objective.slo.spec.service.value.as_str();
        by_service.entry(service).or_default().push(objective);
    }
    for (service, objectives) in by_service {
        let Some(first) = objectives.first() else { continue };
        let others = match objectives.len() - 1 {
            0 => "is".to_owned(),
            others => format!("and {others} more of {service} are"),
        };
        let message = format!(
            "{} {others} judged by the calendar alone: a new period forgives an exhausted budget at midnight",
            first.name().value
        );
        let help = "add an SLO of the same indicator and target with a rolling window of 30 days: deploys need an approval until it has recovered";
        let at = first.name().at;
        diagnostics.push(
            first
                .document
                .diagnostic(lint::BUDGET_RESET, at, message)
                .help(help),
        );
    }
}

fn is_forgiven(model: &Model<'_>, objective: &Objective<'_>) -> bool {
    let Some(window) = objective.window.filter(|window| !window.is_rolling) else {
        return false;
    };
    let Some(indicator) = model.indicator_of(objective).filter(|_| !objective.is_agreement) else {
        return false;
    };
    let least_days = window.days().into_iter().fold(f64::INFINITY, f64::min);
    let remembers = |other: &Objective<'_>| {
        let rolls = other
            .window
            .is_some_and(|other| other.is_rolling && other.days().iter().all(|days| *days >= least_days));
        rolls && other.target().map(|one| one.value) >= objective.target().map(|one| one.value)
    };
    !model.objectives_of(indicator).any(remembers)
}

/// A contract is more lenient than the objective, or its breach is the first that anybody hears.
fn agreement(model: &Model<'_>, objective: &Objective<'_>, diagnostics: &mut Diagnostics) {
    let (true, Some(promised), Some(indicator)) = (
        objective.is_agreement,
        objective.target(),
        model.indicator_of(objective),
    ) else {
        return;
    };
    let ours = |other: &&Objective<'_>| !other.is_agreement && other.target().is_some();
    let help = "promise less than you aim for: the difference is the time to act in";
    let same: Vec<&Objective<'_>> = model.objectives_of(indicator).filter(ours).collect();
    let strictest = same.iter().filter_map(|one| Some((one, one.target()?.value)));
    if let Some((one, target)) = strictest.max_by_key(|(_, target)| *target)
        && promised.value > target
    {
        let message = format!(
            "the contract promises {}, and the objective {} aims for {}",
            promised.value.percent(3),
            one.label(),
            target.percent(3)
        );
        let found = objective
            .document
            .diagnostic(lint::AGREEMENT_TIGHTER, promised.at, message);
        diagnostics.push(found.help(help));
    }
    // The same for latencies: the same share within a shorter time is a tighter promise.
    let (Some(edge), Some((Marked::Good, side, _))) = (indicator.edge(), indicator.sides()) else {
        return;
    };
    let aimed = model
        .objectives
        .iter()
        .filter(ours)
        .filter(|one| one.target().is_some_and(|target| target.value <= promised.value))
        .filter_map(|one| {
            let other = model.indicator_of(one)?;
            let (_, aimed, _) = other.sides()?;
            let (a, b) = (aimed.selectors.first()?, side.selectors.first()?);
            let meets = super::values::overlap(a, b, &["le"])
                && one.slo.spec.service.value == objective.slo.spec.service.value;
            Some((one, other.edge()?)).filter(|_| meets)
        });
    let least = aimed.min_by(|(_, a), (_, b)| a.total_cmp(b));
    if let Some((one, aimed)) = least.filter(|(_, aimed)| *aimed > edge) {
        let message = format!(
            "the contract promises {} s, and the objective {} aims for {} s",
            figure(edge),
            one.label(),
            figure(aimed)
        );
        diagnostics.push(side.finding(lint::AGREEMENT_TIGHTER, message).help(help));
    }
}

/// What a description says and what the document counts.
fn description(model: &Model<'_>, objective: &Objective<'_>, diagnostics: &mut Diagnostics) {
    let Some(text) = &objective.description else {
        return;
    };
    let mut targets: Vec<f64> = objective
        .targets
        .iter()
        .map(|target| target.value.to_f64())
        .collect();
    targets.extend(targets.clone().into_iter().map(|target| 1.0 - target));
    let said: Vec<(f64, Found)> = shares(&text.value).collect();
    let agrees = |share: &f64| targets.iter().any(|target| (target - share).abs() < 1e-9);
    if let Some((share, found)) = said.first()
        && !targets.is_empty()
        && !said.iter().any(|(share, _)| agrees(share))
    {
        let target = objective
            .target()
            .map_or_else(String::new, |target| target.value.percent(3));
        let message = format!(
            "the description says {}%, and the target is {target}",
            figure(share * 100.0)
        );
        let at = place(objective, text, found);
        let found = objective.document.diagnostic(lint::SAYS_OTHERWISE, at, message);
        diagnostics.push(found.help("write the same number in both, or leave it out of the text"));
    }
    let Some(edge) = model
        .indicator_of(objective)
        .and_then(super::model::Indicator::edge)
    else {
        return;
    };
    let said: Vec<(f64, Found)> = times(&text.value)
        .filter(|(seconds, _)| *seconds < 3_600.0)
        .collect();
    if let Some((seconds, found)) = said.first()
        && !said.iter().any(|(seconds, _)| (seconds - edge).abs() < 1e-9)
    {
        let message = format!(
            "the description says {} s, and requests within {} s are counted",
            figure(*seconds),
            figure(edge)
        );
        let at = place(objective, text, found);
        let found = objective.document.diagnostic(lint::SAYS_OTHERWISE, at, message);
        diagnostics.push(found.help("write the same threshold in both, in seconds in `le`"));
    }
}
