//! Rotas: who is on call when.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::civil;
use mainstay_kernel::PersonId;
use serde::{Deserialize, Serialize};

use super::escalation::Delay;
use super::pay::{BusinessHours, Pay};
use crate::platform::{TimeZoneName, Weekday};
use crate::spanned::Spanned;

/// The name of the layer that a rota's own keys make.
pub const BASE_LAYER: &str = "base";

/// A rota: layers, of which the last one that is in force says who is on call. What no layer covers is a gap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rota {
    /// How people call it.
    pub title: String,
    /// The zone in which people think of it; layers may have others.
    pub time_zone: TimeZoneName,
    /// From the lowest to the one that wins.
    pub layers: Vec<Layer>,
    /// The rota that this one backs up: at no time may the two be of one team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backs_up: Option<Spanned<String>>,
    /// When its people work anyway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_hours: Option<BusinessHours>,
    /// What being on call is paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pay: Option<Pay>,
    /// How long before a shift its person is reminded of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remind: Option<Spanned<Delay>>,
}

/// A rotation, perhaps in force only at some times of the week: people take turns of equal length, in order, for ever.
/// Turn `n` begins when the wall clock shows the handoff's time, `n` lengths after the day `start`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// Its name.
    pub name: Spanned<String>,
    /// The zone of the handoff.
    pub time_zone: TimeZoneName,
    /// What happens where clocks change.
    pub dst: DstConvention,
    /// When turns change.
    pub handoff: Handoff,
    /// The day of the first handoff.
    pub start: Spanned<civil::Date>,
    /// How long a turn lasts.
    pub turn: Spanned<TurnLength>,
    /// Who takes turns.
    pub participants: Vec<Spanned<PersonId>>,
    /// When it is in force; always if nothing is said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<Restriction>,
}

impl Rota {
    /// Everybody who takes turns in any layer, as often as they are named.
    pub fn participants(&self) -> impl Iterator<Item = &Spanned<PersonId>> {
        self.layers.iter().flat_map(|layer| &layer.participants)
    }
}

/// Times of the week, by a wall clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restriction {
    /// The days on which it begins.
    pub days: BTreeSet<Weekday>,
    /// When on those days.
    pub from: civil::Time,
    /// When it ends: on the same day if that is later than `from`, else on the next.
    pub until: civil::Time,
    /// Whose wall clock.
    pub time_zone: TimeZoneName,
}

/// When turns change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handoff {
    /// The day of the week; left out for turns that are not whole weeks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekday: Option<Weekday>,
    /// The time of day. Where a clock change skips it, the first instant after the gap; where one repeats it, the first.
    pub time: civil::Time,
}

/// What happens where clocks change and where months are short.
///
/// Under both, a turn begins at the first instant at which the wall clock shows its time or, if it never does, at the
/// first instant after the gap; so turns of hours follow the wall clock too, and one of them may last twice as long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DstConvention {
    /// Ours: restrictions, too, begin and end at the first instant; a turn of months that would begin on a day that the
    /// month lacks begins on its last; nobody is on call before the first handoff.
    #[default]
    FirstInstant,
    /// As GoAlert does: a restriction ends at the *last* instant at which the wall clock shows its end; a turn of months
    /// that would begin on a day that the month lacks begins as many days into the next one; turns go on backwards before
    /// the first handoff.
    Goalert,
}

/// The unit of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TurnUnit {
    /// Hours of the wall clock.
    Hours,
    /// Days of the calendar.
    Days,
    /// Seven days.
    Weeks,
    /// Months of the calendar.
    Months,
}

impl TurnUnit {
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Hours, "hour", "hourly"),
        (Self::Days, "day", "daily"),
        (Self::Weeks, "week", "weekly"),
        (Self::Months, "month", "monthly"),
    ];
}

/// How long a turn lasts, by the calendar and the wall clock: `hourly`, `daily`, `weekly`, `monthly` or `12 hours`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TurnLength {
    /// How many; not 0.
    pub count: u16,
    /// Of what.
    pub unit: TurnUnit,
}

/// The text is not the length of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a turn is hourly, daily, weekly, monthly, or a number of hours, days, weeks or months, such as `12 hours`"
)]
pub struct TurnLengthError;

impl TurnLength {
    /// Some days.
    #[must_use]
    pub fn days(count: u16) -> Self {
        let unit = TurnUnit::Days;
        Self { count, unit }
    }

    /// Whether turns change on one day of the week.
    #[must_use]
    pub fn is_whole_weeks(self) -> bool {
        match self.unit {
            TurnUnit::Hours => self.count.is_multiple_of(168),
            TurnUnit::Days => self.count.is_multiple_of(7),
            TurnUnit::Weeks => true,
            TurnUnit::Months => false,
        }
    }
}

impl FromStr for TurnLength {
    type Err = TurnLengthError;

    fn from_str(text: &str) -> Result<Self, TurnLengthError> {
        if let Some((unit, ..)) = TurnUnit::ALL.iter().find(|(.., word)| *word == text) {
            return Ok(Self {
                count: 1,
                unit: *unit,
            });
        }
        let (count, word) = text.split_once(' ').ok_or(TurnLengthError)?;
        let count: u16 = count.parse().map_err(|_| TurnLengthError)?;
        let word = word.trim();
        let singular = word.strip_suffix('s').unwrap_or(word);
        let (unit, ..) = TurnUnit::ALL
            .iter()
            .find(|(_, name, _)| *name == singular)
            .filter(|_| count > 0)
            .ok_or(TurnLengthError)?;
        Ok(Self { count, unit: *unit })
    }
}

impl TryFrom<String> for TurnLength {
    type Error = TurnLengthError;

    fn try_from(text: String) -> Result<Self, TurnLengthError> {
        text.parse()
    }
}

impl From<TurnLength> for String {
    fn from(length: TurnLength) -> Self {
        length.to_string()
    }
}

impl fmt::Display for TurnLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = TurnUnit::ALL
            .iter()
            .find(|(unit, ..)| *unit == self.unit)
            .map_or("", |(_, name, _)| *name);
        let plural = if self.count == 1 { "" } else { "s" };
        f.pad(&format!("{} {name}{plural}", self.count))
    }
}

/// The `spec` of a document of kind `Rota`, as it is written: its own keys make the lowest layer, `layers` go on top.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RotaSpec {
    pub(super) title: String,
    pub(super) time_zone: TimeZoneName,
    #[serde(default)]
    pub(super) dst: DstConvention,
    #[serde(default)]
    pub(super) handoff: Option<Handoff>,
    #[serde(default)]
    pub(super) start: Option<Spanned<civil::Date>>,
    #[serde(default)]
    pub(super) turn: Option<Spanned<TurnLength>>,
    /// The length of a turn in days, before there were other units.
    #[serde(default)]
    pub(super) turn_days: Option<Spanned<u16>>,
    #[serde(default)]
    pub(super) participants: Option<Vec<Spanned<PersonId>>>,
    #[serde(default)]
    pub(super) layers: Vec<LayerSpec>,
    #[serde(default)]
    pub(super) backs_up: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) business_hours: Option<BusinessHours>,
    #[serde(default)]
    pub(super) pay: Option<Pay>,
    #[serde(default)]
    pub(super) remind: Option<Spanned<Delay>>,
}

/// A layer as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LayerSpec {
    pub(super) name: Spanned<String>,
    /// The rota's if nothing is said.
    #[serde(default)]
    pub(super) time_zone: Option<TimeZoneName>,
    pub(super) handoff: Handoff,
    pub(super) start: Spanned<civil::Date>,
    #[serde(default)]
    pub(super) turn: Option<Spanned<TurnLength>>,
    pub(super) participants: Vec<Spanned<PersonId>>,
    #[serde(default)]
    pub(super) only: Vec<RestrictionSpec>,
}

/// A restriction as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RestrictionSpec {
    /// Every day if nothing is said.
    #[serde(default)]
    pub(super) days: BTreeSet<Weekday>,
    /// Midnight if nothing is said.
    #[serde(default)]
    pub(super) from: civil::Time,
    /// The next midnight if nothing is said.
    #[serde(default)]
    pub(super) until: civil::Time,
    /// The layer's if nothing is said.
    #[serde(default)]
    pub(super) time_zone: Option<TimeZoneName>,
}

impl RotaSpec {
    /// The rota, and which keys are missing.
    pub(super) fn complete(self) -> (Rota, Vec<&'static str>) {
        let week = || {
            Spanned::nowhere(TurnLength {
                count: 1,
                unit: TurnUnit::Weeks,
            })
        };
        let (zone, dst) = (self.time_zone, self.dst);
        let turn = self.turn.or_else(|| {
            let days = self.turn_days?;
            Some(Spanned {
                value: TurnLength::days(days.value),
                at: days.at,
            })
        });
        let given = self.handoff.is_some() || self.start.is_some() || self.participants.is_some();
        let wanted = given || turn.is_some() || self.layers.is_empty();
        let mut missing = Vec::new();
        let mut layers = Vec::new();
        match (self.handoff, self.start, self.participants) {
            (Some(handoff), Some(start), Some(participants)) => layers.push(Layer {
                name: Spanned::nowhere(BASE_LAYER.to_owned()),
                time_zone: zone.clone(),
                dst,
                handoff,
                start,
                turn: turn.unwrap_or_else(week),
                participants,
                only: Vec::new(),
            }),
            (handoff, start, participants) if wanted => {
                let keys = [
                    ("handoff", handoff.is_none()),
                    ("start", start.is_none()),
                    ("participants", participants.is_none()),
                ];
                missing.extend(keys.into_iter().filter(|(_, none)| *none).map(|(key, _)| key));
            }
            _ => {}
        }
        layers.extend(self.layers.into_iter().map(|layer| {
            let time_zone = layer.time_zone.unwrap_or_else(|| zone.clone());
            let only = layer.only.into_iter().map(|only| Restriction {
                days: if only.days.is_empty() {
                    Weekday::ALL.into_iter().collect()
                } else {
                    only.days
                },
                from: only.from,
                until: only.until,
                time_zone: only.time_zone.unwrap_or_else(|| time_zone.clone()),
            });
            Layer {
                only: only.collect(),
                name: layer.name,
                dst,
                handoff: layer.handoff,
                start: layer.start,
                turn: layer.turn.unwrap_or_else(week),
                participants: layer.participants,
                time_zone,
            }
        }));
        let rota = Rota {
            title: self.title,
            time_zone: zone,
            layers,
            backs_up: self.backs_up,
            business_hours: self.business_hours,
            pay: self.pay,
            remind: self.remind,
        };
        (rota, missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_a_word_or_a_number_of_units() {
        for (text, shown) in [
            ("hourly", "1 hour"),
            ("monthly", "1 month"),
            ("12 hours", "12 hours"),
            ("1 weeks", "1 week"),
            ("2 month", "2 months"),
        ] {
            let length: TurnLength = text.parse().expect(text);
            assert_eq!(length.to_string(), shown);
            assert_eq!(shown.parse(), Ok(length));
        }
        for bad in [
            "",
            "0 days",
            "-1 days",
            "2 fortnights",
            "days",
            "70000 hours",
            "2s days",
        ] {
            assert_eq!(bad.parse::<TurnLength>(), Err(TurnLengthError), "{bad}");
        }
    }
}
