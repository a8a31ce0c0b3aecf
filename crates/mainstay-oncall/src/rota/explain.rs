//! Why somebody is on call, or nobody.

use jiff::Timestamp;
use mainstay_catalog::response::Rota;
use mainstay_kernel::PersonId;
use serde::Serialize;

use super::restriction::{Restrictions, in_force};
use super::turn::turn_at;
use crate::fold::Override;

/// What a layer or an override has to say about an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It decides who is on call.
    Decides,
    /// It would, if what stands above it did not.
    Overruled,
    /// It has nothing to say.
    Silent,
}

/// One layer or override, from the one that is asked first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Which: `override of anna`, `layer nights`.
    pub what: String,
    /// Whether it decides.
    pub verdict: Verdict,
    /// Whom it names.
    pub person: Option<PersonId>,
    /// Why.
    pub why: String,
}

/// Every override and layer that is asked who is on call at `at`, in the order in which they are asked.
#[must_use]
pub fn explain(name: &str, rota: &Rota, overrides: &[Override], at: Timestamp) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut decided = false;
    let mut step = |what: String, said: Result<(PersonId, String), String>| {
        let (verdict, person, why) = match said {
            Ok((person, why)) if decided => (Verdict::Overruled, Some(person), why),
            Ok((person, why)) => (Verdict::Decides, Some(person), why),
            Err(why) => (Verdict::Silent, None, why),
        };
        decided |= verdict == Verdict::Decides;
        steps.push(Step {
            what,
            verdict,
            person,
            why,
        });
    };
    let covers = |entry: &&Override| entry.rota == name && entry.from <= at && at < entry.until;
    for entry in overrides.iter().rev().filter(covers) {
        let mut why = format!("from {} until {} ({})", entry.from, entry.until, entry.handle());
        if let (Some(swap), Some(of)) = (&entry.swap, &entry.of) {
            why += &format!(", swap {swap} with {of}");
        }
        step(
            format!("override of {}", entry.person),
            Ok((entry.person.clone(), why)),
        );
    }
    for layer in rota.layers.iter().rev() {
        let said = match (
            in_force(&Restrictions::of(layer), layer.dst, at),
            turn_at(layer, at),
        ) {
            ((false, until), _) if until == Timestamp::MAX => Err("it is never in force".to_owned()),
            ((false, until), _) => Err(format!("it is not in force until {until}")),
            ((true, _), Some(turn)) => {
                let why = format!(
                    "the turn of {} from {} until {}",
                    layer.turn, turn.from, turn.until
                );
                Ok((turn.person, why))
            }
            ((true, _), None) if layer.participants.is_empty() => Err("nobody takes turns".to_owned()),
            ((true, _), None) => Err(format!(
                "its first turn begins on {} at {} ({})",
                layer.start, layer.handoff.time, layer.time_zone
            )),
        };
        step(format!("layer {}", layer.name), said);
    }
    steps
}
