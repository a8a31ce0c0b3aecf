//! What being on call asks of people.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Utc;

/// Of which time it is asked what being on call asked of people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadAsked {
    /// From when on; 30 days before its end if nothing is said.
    #[serde(default)]
    pub from: Option<Timestamp>,
    /// Until when, not included; now if nothing is said.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Only this rota.
    #[serde(default)]
    pub rota: Option<String>,
}

/// What being on call asked of everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OncallLoad {
    /// From when on.
    #[schemars(with = "Utc")]
    pub from: Timestamp,
    /// Until when.
    #[schemars(with = "Utc")]
    pub until: Timestamp,
    /// The equal share of those who take turns, in ten thousandths.
    pub equal_share: u64,
    /// By person, the most hours first.
    pub people: Vec<PersonLoad>,
}

/// What being on call asked of somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PersonLoad {
    /// Who, by handle.
    pub person: String,
    /// Who, by name.
    pub name: String,
    /// How long on call, over all rotas, in milliseconds.
    pub on_call_ms: u64,
    /// How much of it off hours: outside business hours of their own zone, at weekends, on public holidays.
    pub off_hours_ms: u64,
    /// Their share of the hours of all, in ten thousandths.
    pub share: u64,
    /// Their share of the off hours of all, in ten thousandths.
    pub off_hours_share: u64,
    /// How often they were paged.
    pub pages: u64,
    /// How many of these off hours.
    pub pages_off_hours: u64,
    /// How many between 22:00 and 07:00 of their own zone.
    pub pages_at_night: u64,
    /// In how many nights.
    pub interrupted_nights: u64,
    /// How many they acknowledged themselves.
    pub acknowledged: u64,
    /// The median time that took, in milliseconds.
    pub acknowledged_median_ms: Option<u64>,
    /// The longest.
    pub acknowledged_worst_ms: Option<u64>,
    /// By rota.
    pub rotas: Vec<RotaLoad>,
}

/// What somebody did in one rota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RotaLoad {
    /// The rota.
    pub rota: String,
    /// How many shifts, those cut off by the asked time among them.
    pub shifts: u64,
    /// How long on call, in milliseconds.
    pub on_call_ms: u64,
    /// How much of it off hours.
    pub off_hours_ms: u64,
    /// What that is paid, exact to two decimals; nothing where the rota says nothing of pay, and for those who are neither
    /// administrators nor this person.
    pub amount: Option<String>,
    /// In which currency.
    pub currency: Option<String>,
}
