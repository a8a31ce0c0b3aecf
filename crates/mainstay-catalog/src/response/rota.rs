//! Rotas: who is on call when.

use jiff::civil;
use mainstay_kernel::PersonId;
use serde::{Deserialize, Serialize};

use crate::platform::{TimeZoneName, Weekday};
use crate::spanned::Spanned;

/// The `spec` of a document of kind `Rota`: people take turns of equal length, in order, for ever. Turn `n` begins at
/// the handoff's wall time on the day `start + n × turn_days`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rota {
    /// How people call it.
    pub title: String,
    /// The zone of the handoff.
    pub time_zone: TimeZoneName,
    /// When turns change.
    pub handoff: Handoff,
    /// The day of the first handoff.
    pub start: Spanned<civil::Date>,
    /// How many days a turn lasts; a week if nothing is said.
    #[serde(default = "week")]
    pub turn_days: Spanned<u16>,
    /// Who takes turns.
    pub participants: Vec<Spanned<PersonId>>,
    /// The rota that this one backs up: in each turn the two must be of different teams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backs_up: Option<Spanned<String>>,
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

fn week() -> Spanned<u16> {
    Spanned::nowhere(7)
}
