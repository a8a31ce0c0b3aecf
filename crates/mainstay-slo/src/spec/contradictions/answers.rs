//! Which answers are good and which are bad: rulings R1 and R39, by status codes.

use std::collections::BTreeSet;

use mainstay_catalog::document::Document;
use mainstay_catalog::lint::LintId;
use mainstay_catalog::{Diagnostic, Diagnostics, lint};

use super::expression::{Share, comparisons, share};
use super::model::{Indicator, Model, Side};
use super::rules::Alert;
use super::values::{CODES, overlap, takes, values};
use crate::selector::Selector;
use crate::sli::Marked;
use mainstay_promql::ast::BinaryOp;

type Codes = BTreeSet<u16>;

/// Answers with these codes are our fault: a request that did not come in time, our own load shedding, a client that
/// gave up waiting.
const OURS: [u16; 3] = [408, 429, 499];

/// How a place tells good answers from bad ones.
pub(super) struct Answers {
    /// All answers that it counts, whatever their code.
    whole: Selector,
    /// The label that holds the code.
    label: String,
    pub(super) counted: Codes,
    pub(super) bad: Codes,
}

impl Answers {
    fn of(marked: Marked, sides: &[Selector], totals: &[Selector]) -> Option<Self> {
        let first = sides.first()?;
        let whole = totals.iter().find(|one| one.metric == first.metric)?;
        let label = first
            .matchers
            .iter()
            .map(|matcher| matcher.name().to_owned())
            .find(|label| holds_codes(first, label))?;
        let codes = |selectors: &[Selector]| -> Codes {
            let some = |code: &u16| selectors.iter().any(|one| takes(one, &label, &code.to_string()));
            CODES.filter(some).collect()
        };
        let (selected, counted) = (codes(sides), codes(totals));
        let bad = match marked {
            Marked::Bad => selected,
            Marked::Good => counted.difference(&selected).copied().collect(),
        };
        Some(Self {
            whole: whole.clone(),
            label,
            counted,
            bad,
        })
    }

    pub(super) fn of_indicator(indicator: &Indicator<'_>) -> Option<Self> {
        let (marked, side, total) = indicator.sides()?;
        Self::of(marked, &side.selectors, &total.selectors)
    }

    /// What an alert on a share of answers calls bad: what it fires on when there is more of it.
    pub(super) fn of_share(share: &Share, op: BinaryOp) -> Option<Self> {
        let fires_high = match op {
            BinaryOp::Greater | BinaryOp::GreaterEqual => true,
            BinaryOp::Less | BinaryOp::LessEqual => false,
            _ => return None,
        };
        let marked = if fires_high == share.is_complement {
            Marked::Good
        } else {
            Marked::Bad
        };
        Self::of(
            marked,
            std::slice::from_ref(&share.part),
            std::slice::from_ref(&share.whole),
        )
    }

    /// Whether the two can be about one request.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.label == other.label && overlap(&self.whole, &other.whole, &[&self.label])
    }

    /// Whether it judges by class: every answer of some class is bad.
    fn by_class(&self) -> bool {
        (2..=5).any(|class: u16| (class * 100..class * 100 + 100).all(|code| self.bad.contains(&code)))
    }

    /// What one calls bad and the other good, of what both count; nothing where they are about different failures.
    fn contradiction(&self, other: &Self) -> Option<(Codes, Codes)> {
        if self.bad.is_disjoint(&other.bad) || !self.meets(other) {
            return None;
        }
        let more = |a: &Self, b: &Self| -> Codes {
            let only = a.bad.difference(&b.bad);
            only.copied().filter(|code| b.counted.contains(code)).collect()
        };
        let (here, there) = (more(self, other), more(other, self));
        (!here.is_empty() || !there.is_empty()).then_some((here, there))
    }
}

/// Whether a label's conditions choose among status codes: some of them, not all, and the label says so.
fn holds_codes(selector: &Selector, label: &str) -> bool {
    let named = label.contains("status") || label.contains("code") || label.contains("response");
    let taken = CODES
        .filter(|code| takes(selector, label, &code.to_string()))
        .count();
    named && taken > 0 && taken < CODES.count() && !values(label, &selector.matchers).is_empty()
}

/// Codes in words: whole classes as `5xx`.
fn words(codes: &Codes) -> String {
    let mut words = Vec::new();
    for class in 2..=5_u16 {
        let of_class: Vec<u16> = codes.range(class * 100..class * 100 + 100).copied().collect();
        match of_class.len() {
            100 => words.push(format!("{class}xx")),
            0..=5 => words.extend(of_class.iter().map(ToString::to_string)),
            _ => {
                let missing = (class * 100..class * 100 + 100).filter(|code| !codes.contains(code));
                let missing: Vec<String> = missing.map(|code| code.to_string()).collect();
                let except = if missing.len() <= 5 {
                    format!(" but {}", missing.join(", "))
                } else {
                    format!(" in part ({} of 100 codes)", of_class.len())
                };
                words.push(format!("{class}xx{except}"));
            }
        }
    }
    words.join(", ")
}

/// A place that judges answers.
struct Place<'m> {
    answers: Answers,
    finding: Box<dyn Fn(LintId, String) -> Diagnostic + 'm>,
    /// What it is, for a sentence.
    label: String,
    is_alert: bool,
}

fn of_indicator<'m>(indicator: &'m Indicator<'_>) -> Option<Place<'m>> {
    let (_, side, _): (_, &Side<'_>, _) = indicator.sides()?;
    Some(Place {
        answers: Answers::of_indicator(indicator)?,
        finding: Box::new(|lint, message| side.finding(lint, message)),
        label: format!("the indicator {}", indicator.label()),
        is_alert: false,
    })
}

fn of_alert<'m>(alert: &'m Alert<'_>) -> impl Iterator<Item = Place<'m>> {
    let document: &Document = alert.document;
    comparisons(&alert.expr)
        .into_iter()
        .filter_map(move |comparison| {
            let share = share(comparison.value)?;
            let at = share.at;
            Some(Place {
                answers: Answers::of_share(&share, comparison.op)?,
                finding: Box::new(move |lint, message| alert.finding(lint, at, message)),
                label: format!("the alert {} ({})", alert.name.value, document.file),
                is_alert: true,
            })
        })
}

pub(super) fn check(model: &Model<'_>, diagnostics: &mut Diagnostics) {
    let indicators = model.indicators_in_order();
    let mut places: Vec<Place<'_>> = indicators.into_iter().filter_map(of_indicator).collect();
    places.extend(model.alerts.iter().flat_map(of_alert));
    for (index, place) in places.iter().enumerate() {
        contradicts(place, &places[..index], diagnostics);
        clients_fault(place, diagnostics);
    }
}

/// Ruling R1: of two places that count different answers as good, the later one is named, with the first that it
/// contradicts. An alert on single codes watches a symptom and is no judgement; two alerts may differ.
fn contradicts(place: &Place<'_>, before: &[Place<'_>], diagnostics: &mut Diagnostics) {
    let said = before
        .iter()
        .filter(|other| !other.is_alert)
        .find_map(|other| Some((other, place.answers.contradiction(&other.answers)?)));
    let Some((other, (here, there))) = said else {
        return;
    };
    if place.is_alert && here.is_empty() && !place.answers.by_class() {
        return;
    }
    let (here, there) = (words(&here), words(&there));
    let difference = match (here.as_str(), there.as_str()) {
        (here, "") => format!("counts {here} as bad, and {} as good", other.label),
        ("", there) => format!("counts {there} as good, and {} as bad", other.label),
        (here, there) => format!(
            "counts {here} as bad and {there} as good, and {} the other way round",
            other.label
        ),
    };
    let message = format!("{} {difference}", place.label);
    let help = "say once what a failure of ours is, and select the same answers everywhere: 5xx, and 408, 429 and 499";
    diagnostics.push((place.finding)(lint::GOOD_CONTRADICTS, message).help(help));
}

/// Ruling R39: of those that judge by class, the ones that leave what is our fault to the client.
fn clients_fault(place: &Place<'_>, diagnostics: &mut Diagnostics) {
    let server_errors = 500..=599_u16;
    let judges = server_errors
        .clone()
        .all(|code| place.answers.bad.contains(&code));
    let left: Codes = OURS
        .into_iter()
        .filter(|code| judges && !place.answers.bad.contains(code))
        .collect();
    if !left.is_empty() {
        let message = format!(
            "{} does not count {} as bad: a request that we did not read in time, turned away or kept waiting is our fault",
            place.label,
            words(&left)
        );
        let help = format!("add them: {}=~\"5..|408|429|499\"", place.answers.label);
        diagnostics.push((place.finding)(lint::CLIENT_ERRORS, message).help(help));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selector::parse_event_count;

    fn answers(marked: Marked, side: &str, total: &str) -> Answers {
        let read = |text: &str| parse_event_count(text).expect(text).selectors;
        Answers::of(marked, &read(side), &read(total)).expect("answers")
    }

    #[test]
    fn classes_are_told_in_words() {
        let bad = answers(Marked::Good, r#"a{status=~"2..|3..",x="1"}"#, "a").bad;
        assert_eq!(words(&bad), "4xx, 5xx");
        let bad = answers(Marked::Bad, r#"a{code=~"5..|408|429"}"#, r#"a{code!="401"}"#).bad;
        assert_eq!(words(&bad), "408, 429, 5xx");
        let bad = answers(Marked::Bad, r#"a{code=~"4..",code!~"408|429"}"#, "a").bad;
        assert_eq!(words(&bad), "4xx but 408, 429");
    }

    #[test]
    fn other_labels_hold_no_codes() {
        let read = |text: &str| parse_event_count(text).expect(text).selectors;
        for side in [
            r#"a{port="443"}"#,
            r#"a{status="COMPLETED"}"#,
            r#"a{status!="x"}"#,
            "a",
        ] {
            assert!(
                Answers::of(Marked::Bad, &read(side), &read("a")).is_none(),
                "{side}"
            );
        }
    }
}
