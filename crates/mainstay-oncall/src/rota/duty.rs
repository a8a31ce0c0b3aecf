//! Layers and overrides together: exactly one owner, or none, at every instant.

use jiff::Timestamp;
use mainstay_catalog::response::{Layer, Rota};
use mainstay_kernel::PersonId;
use serde::Serialize;

use super::restriction::{Restrictions, in_force};
use super::turn::{Rotation, Turn};
use crate::fold::Override;

/// What makes somebody the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The layer of that place among the rota's.
    Layer(usize),
    /// The override of that place among all.
    Override(usize),
}

/// A stretch of time with one owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shift {
    /// Whose it is.
    pub person: PersonId,
    /// When it begins.
    pub from: Timestamp,
    /// When it ends; not included.
    pub until: Timestamp,
    /// By which layer or override.
    pub source: Source,
}

/// A stretch of time without an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// When it begins.
    pub from: Timestamp,
    /// When it ends; not included.
    pub until: Timestamp,
}

/// Who owns an instant.
struct Owner {
    person: PersonId,
    source: Source,
    /// When the turn or the override behind it began: shifts of one turn that touch are one shift.
    began: Timestamp,
}

/// The owner of an instant, and until when surely nothing changes.
struct Look {
    owner: Option<Owner>,
    until: Timestamp,
}

/// A layer with its zones at hand.
struct Open<'a> {
    layer: &'a Layer,
    rotation: Rotation<'a>,
    restrictions: Restrictions<'a>,
}

impl Open<'_> {
    /// The turn at an instant, and until when this surely stays so.
    fn look(&self, at: Timestamp) -> (Option<Turn>, Timestamp) {
        let (applies, until) = in_force(&self.restrictions, self.layer.dst, at);
        if !applies || self.layer.participants.is_empty() {
            return (None, until);
        }
        if let Some(turn) = self.rotation.turn_at(at) {
            let until = until.min(turn.until);
            return (Some(turn), until);
        }
        // Before the first handoff, or after the end of all calendars.
        let begins = self.rotation.start(0).filter(|begins| at < *begins);
        (None, begins.map_or(until, |begins| until.min(begins)))
    }
}

/// A rota's layers with its own overrides.
struct Duty<'a> {
    layers: Vec<Open<'a>>,
    overrides: Vec<(usize, &'a Override)>,
}

impl<'a> Duty<'a> {
    fn of(name: &str, rota: &'a Rota, overrides: &'a [Override]) -> Self {
        let own = overrides
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.rota == name);
        let layers = rota.layers.iter().map(|layer| Open {
            layer,
            rotation: Rotation::of(layer),
            restrictions: Restrictions::of(layer),
        });
        Self {
            layers: layers.collect(),
            overrides: own.collect(),
        }
    }

    fn look(&self, at: Timestamp) -> Look {
        let mut until = Timestamp::MAX;
        for (index, entry) in self.overrides.iter().rev() {
            if at < entry.from {
                until = until.min(entry.from);
            } else if at < entry.until {
                let owner = Owner {
                    person: entry.person.clone(),
                    source: Source::Override(*index),
                    began: entry.from,
                };
                return Look {
                    owner: Some(owner),
                    until: until.min(entry.until),
                };
            }
        }
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let (turn, unchanged) = layer.look(at);
            until = until.min(unchanged);
            if let Some(turn) = turn {
                let owner = Owner {
                    person: turn.person,
                    source: Source::Layer(index),
                    began: turn.from,
                };
                return Look {
                    owner: Some(owner),
                    until,
                };
            }
        }
        Look { owner: None, until }
    }

    fn schedule(&self, from: Timestamp, until: Timestamp) -> Vec<Shift> {
        let mut shifts: Vec<Shift> = Vec::new();
        let mut last: Option<(Source, Timestamp)> = None;
        let mut at = from;
        while at < until {
            let look = self.look(at);
            let end = look.until.min(until);
            if let Some(owner) = look.owner {
                let of = (owner.source, owner.began);
                match shifts.last_mut() {
                    Some(shift) if shift.until == at && last == Some(of) => shift.until = end,
                    _ => shifts.push(Shift {
                        person: owner.person,
                        from: at,
                        until: end,
                        source: owner.source,
                    }),
                }
                last = Some(of);
            }
            at = end;
        }
        shifts
    }

    /// The whole shift around an instant.
    fn shift_at(&self, at: Timestamp) -> Option<Shift> {
        let owner = self.look(at).owner?;
        let after = at.checked_add(jiff::SignedDuration::from_nanos(1)).ok()?;
        let begun = self.schedule(owner.began, after).pop()?;
        let of = (owner.source, owner.began);
        // What it was broken into by restrictions that touch is one shift.
        let mut until = at;
        loop {
            let look = self.look(until);
            match look.owner {
                Some(owner) if (owner.source, owner.began) == of => until = look.until,
                _ => break,
            }
            if until == Timestamp::MAX {
                break;
            }
        }
        Some(Shift { until, ..begun })
    }
}

/// Who is on call at `at`: the last override that covers the instant, else the owner of the last layer in force.
#[must_use]
pub fn on_call_at(name: &str, rota: &Rota, overrides: &[Override], at: Timestamp) -> Option<PersonId> {
    let owner = Duty::of(name, rota, overrides).look(at).owner;
    owner.map(|owner| owner.person)
}

/// The shifts from `from` to `until`, in order and cut off at both ends; between them lie gaps. At every instant it says
/// what [`on_call_at`] says. Cost: linear in the shifts, times the layers and overrides.
#[must_use]
pub fn schedule(
    name: &str,
    rota: &Rota,
    overrides: &[Override],
    from: Timestamp,
    until: Timestamp,
) -> Vec<Shift> {
    Duty::of(name, rota, overrides).schedule(from, until)
}

/// The shift at `at` from its very beginning to its end; none in a gap.
#[must_use]
pub fn shift_at(name: &str, rota: &Rota, overrides: &[Override], at: Timestamp) -> Option<Shift> {
    Duty::of(name, rota, overrides).shift_at(at)
}

/// The first shift that begins after `at` and before `horizon`.
#[must_use]
pub fn next_shift(
    name: &str,
    rota: &Rota,
    overrides: &[Override],
    at: Timestamp,
    horizon: Timestamp,
) -> Option<Shift> {
    let duty = Duty::of(name, rota, overrides);
    let mut from = duty.shift_at(at).map_or(at, |shift| shift.until);
    while from < horizon {
        if duty.look(from).owner.is_some() {
            return duty.shift_at(from);
        }
        from = duty.look(from).until;
    }
    None
}

/// What lies between shifts that are in order of their beginnings, from `from` to `until`. They may overlap, as those of
/// several rotas do.
#[must_use]
pub fn gaps<'a>(shifts: impl IntoIterator<Item = &'a Shift>, from: Timestamp, until: Timestamp) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut covered = from;
    for shift in shifts {
        if covered >= until {
            break;
        }
        if covered < shift.from {
            gaps.push(Gap {
                from: covered,
                until: shift.from.min(until),
            });
        }
        covered = covered.max(shift.until);
    }
    if covered < until {
        gaps.push(Gap { from: covered, until });
    }
    gaps
}
