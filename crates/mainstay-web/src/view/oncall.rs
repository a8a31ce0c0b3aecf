//! Who is on call, when, and why.

use jiff::Timestamp;
use mainstay_kernel::PersonId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Utc;

/// Of which instant it is asked who is on call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DutyAsked {
    /// The instant; now if nothing is said.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// Only this rota.
    #[serde(default)]
    pub rota: Option<String>,
}

/// Of which instant it is asked whose turn it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TurnsAsked {
    /// The instant; now if nothing is said.
    #[serde(default)]
    pub at: Option<Timestamp>,
}

/// Of which time the shifts are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShiftsAsked {
    /// From when on; now if nothing is said.
    #[serde(default)]
    pub from: Option<Timestamp>,
    /// Until when, not included; two weeks later if nothing is said, and at most 366 days later.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Only this rota.
    #[serde(default)]
    pub rota: Option<String>,
    /// Only the shifts of this person; then gaps are left out.
    #[serde(default)]
    pub person: Option<String>,
}

/// Somebody takes a duty for a while.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOverride {
    /// Of which rota.
    pub rota: String,
    /// Who, by handle.
    #[schemars(with = "String")]
    pub person: PersonId,
    /// From when on; now if nothing is said.
    #[serde(default)]
    #[schemars(with = "Option<Utc>")]
    pub from: Option<Timestamp>,
    /// Until when; not included.
    #[schemars(with = "Utc")]
    pub until: Timestamp,
}

/// An override that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DutyOverride {
    /// By what it is withdrawn.
    pub id: String,
    /// Of which rota.
    pub rota: String,
    /// Who has the duty, by handle.
    pub person: String,
    /// From when.
    #[schemars(with = "Utc")]
    pub from: Timestamp,
    /// Until when; not included.
    #[schemars(with = "Utc")]
    pub until: Timestamp,
    /// The swap that it is a half of.
    pub swap: Option<String>,
}

/// A time of one rota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DutyStretch {
    /// Of which rota.
    pub rota: String,
    /// From when.
    #[schemars(with = "Utc")]
    pub from: Timestamp,
    /// Until when; not included.
    #[schemars(with = "Utc")]
    pub until: Timestamp,
}

/// Somebody asks somebody else to take a stretch.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSwap {
    /// Whose stretch it is, by handle; that of who asks if nothing is said. Only administrators ask for others.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub by: Option<PersonId>,
    /// Who is asked to take it, by handle.
    #[schemars(with = "String")]
    pub to: PersonId,
    /// The stretch.
    pub give: DutyStretch,
    /// What is taken in turn; nothing, if it is just given.
    #[serde(default)]
    pub take: Option<DutyStretch>,
    /// When the question lapses; when the first of the stretches begins if nothing is said, or ends if it runs already.
    #[serde(default)]
    #[schemars(with = "Option<Utc>")]
    pub lapses_at: Option<Timestamp>,
}

/// A swap that waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DutySwap {
    /// By what it is answered.
    pub id: String,
    /// Whose stretch it is.
    pub by: String,
    /// Who is asked to take it.
    pub to: String,
    /// The stretch.
    pub give: DutyStretch,
    /// What is taken in turn.
    pub take: Option<DutyStretch>,
    /// Without an answer by then nothing changes.
    #[schemars(with = "Utc")]
    pub lapses_at: Timestamp,
}

/// How a swap is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwapAnswer {
    /// Who was asked takes it.
    Accept,
    /// Who was asked does not.
    Decline,
    /// Who asked does not want it any more.
    Cancel,
}

/// Who is on call in a rota at an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RotaDuty {
    /// The rota.
    pub rota: String,
    /// How people call it.
    pub title: String,
    /// The instant.
    #[schemars(with = "Utc")]
    pub at: Timestamp,
    /// The shift at that instant; none is a gap.
    pub shift: Option<RotaShift>,
    /// The first shift after it within 90 days.
    pub next: Option<RotaShift>,
    /// Every override and layer that was asked, in that order.
    pub why: Vec<DutyStep>,
}

/// A shift.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RotaShift {
    /// Who, by handle.
    pub person: String,
    /// Who, by name.
    pub name: String,
    /// When it begins.
    #[schemars(with = "Utc")]
    pub from: Timestamp,
    /// When it ends; not included.
    #[schemars(with = "Utc")]
    pub until: Timestamp,
    /// By what: `layer nights`, `override`.
    pub by: String,
}

/// A stretch of time in which nobody is on call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RotaGap {
    /// When it begins.
    #[schemars(with = "Utc")]
    pub from: Timestamp,
    /// When it ends; not included.
    #[schemars(with = "Utc")]
    pub until: Timestamp,
}

/// What an override or a layer says about an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DutyStep {
    /// Which: `override of ada`, `layer nights`.
    pub what: String,
    /// `decides`, `overruled` by what stands before it, or `silent`.
    pub verdict: String,
    /// Whom it names, by handle.
    pub person: Option<String>,
    /// Why.
    pub why: String,
}

/// The shifts of a rota. Each is whole: the first may begin before the time that was asked for, the last end after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RotaSchedule {
    /// The rota.
    pub rota: String,
    /// How people call it.
    pub title: String,
    /// From when on it was asked.
    #[schemars(with = "Utc")]
    pub from: Timestamp,
    /// Until when.
    #[schemars(with = "Utc")]
    pub until: Timestamp,
    /// In order; they do not overlap.
    pub shifts: Vec<RotaShift>,
    /// The time in which nobody is on call.
    pub gaps: Vec<RotaGap>,
}

/// A level of an escalation policy that pages one at a time, and whose turn the next incident is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OncallTurns {
    /// The policy.
    pub policy: String,
    /// Which of its levels, from 1.
    pub level: usize,
    /// Whose turn the next incident is, by handle; nobody's where the level reaches nobody.
    pub next: Option<String>,
    /// Why it is theirs.
    pub why: String,
    /// The page for which a turn was last taken.
    pub last_page: Option<String>,
    /// When that was.
    #[schemars(with = "Option<Utc>")]
    pub last_at: Option<Timestamp>,
    /// Those who take turns, in their order.
    pub targets: Vec<OncallTarget>,
}

/// One of those who take turns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OncallTarget {
    /// `rota primary`, `person ada`.
    pub target: String,
    /// Who that is, by handle.
    pub person: Option<String>,
    /// Why they are passed over.
    pub passed_over: Option<String>,
}
