//! The ledger of adjustments: entries are added, never changed; one is withdrawn by a further entry.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_journal::machine::Meta;
use mainstay_journal::{DomainEvent, Machine, Reaction, StreamId};
use mainstay_kernel::{Actor, EventId, Labels, Scope};
use serde::{Deserialize, Serialize};

use super::{Exclusion, Of, QUARTER_HOUR_MS, quarter_hours_around};
use crate::prefix::RETENTION_MS;
use crate::window::Bounds;

/// The longest reason, in bytes.
pub const REASON_MAX_BYTES: usize = 1_000;
/// The longest ticket, in bytes.
pub const TICKET_MAX_BYTES: usize = 200;
/// The most entries. Withdrawn ones count: nothing leaves the ledger.
pub const ENTRIES_MAX: usize = 10_000;
/// The longest stretch, in milliseconds: 31 days.
const STRETCH_MAX_MS: i64 = 31 * 86_400_000;
/// How far ahead a stretch may be agreed, in milliseconds: a year.
const AHEAD_MAX_MS: i64 = 366 * 86_400_000;

/// The ledger.
pub struct Ledger;

/// A stretch that is not to count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustment {
    /// Of which objectives.
    pub of: Of,
    /// Where: a tenant, a cell, both, or everywhere.
    #[serde(default)]
    pub scope: Scope,
    /// From when; a quarter hour.
    pub from: Timestamp,
    /// Up to when; a quarter hour.
    pub to: Timestamp,
    /// Why.
    pub reason: String,
    /// Where it was agreed.
    #[serde(default)]
    pub ticket: Option<String>,
}

/// What it can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerCommand {
    /// Write an adjustment down.
    Exclude(Box<Adjustment>),
    /// Take one back. What was counted counts again; both entries stay.
    Withdraw {
        /// Its number.
        number: u32,
        /// Why.
        reason: String,
    },
}

/// What can have happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum LedgerEvent {
    /// An adjustment was written down.
    Excluded {
        /// Its number, from 1.
        number: u32,
        /// What it says.
        adjustment: Adjustment,
    },
    /// One was taken back.
    Withdrawn {
        /// Its number.
        number: u32,
        /// What it was about.
        scope: Scope,
        /// Why.
        reason: String,
    },
}

/// Why it says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerRefusal {
    /// A text is missing or too long.
    #[error("{what} has 1 to {max} bytes, not {bytes}")]
    Text {
        /// Which.
        what: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// The stretch is not one.
    #[error("{0}")]
    Stretch(String),
    /// There is no such entry.
    #[error("there is no adjustment {0}")]
    Unknown(u32),
    /// It was taken back before.
    #[error("adjustment {number} was withdrawn on {at} by {by}")]
    AlreadyWithdrawn {
        /// Its number.
        number: u32,
        /// When.
        at: Timestamp,
        /// By whom.
        by: Actor,
    },
    /// There are too many.
    #[error("the ledger has {ENTRIES_MAX} entries and takes no more")]
    Full,
}

/// Who wrote something down, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// The event.
    pub event: EventId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Actor,
}

/// That an adjustment was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// By whom and when.
    pub written: Written,
    /// Why.
    pub reason: String,
}

/// An adjustment of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Its number, from 1.
    pub number: u32,
    /// What it says.
    pub adjustment: Adjustment,
    /// By whom and when.
    pub written: Written,
    /// Whether it was taken back.
    pub withdrawn: Option<Withdrawal>,
}

/// All entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerState {
    entries: BTreeMap<u32, LedgerEntry>,
    /// How many events it holds: another number, other adjustments.
    revision: u64,
}

impl LedgerState {
    /// All adjustments, oldest first, withdrawn ones among them.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &LedgerEntry> {
        self.entries.values()
    }

    /// How often it changed.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// What is in force, for the engine.
    pub fn exclusions(&self) -> impl Iterator<Item = Exclusion> {
        let in_force = self.entries().filter(|entry| entry.withdrawn.is_none());
        in_force.map(|entry| entry.adjustment.exclusion())
    }
}

/// The labels of groups that a place is: those that adjustments can name.
#[must_use]
pub(crate) fn place_of(scope: &Scope) -> Labels {
    let parts = [
        ("tenant", scope.tenant.as_ref().map(AsRef::as_ref)),
        ("cell", scope.cell.as_ref().map(AsRef::as_ref)),
        ("region", scope.region.as_ref().map(AsRef::as_ref)),
    ];
    let given = parts
        .into_iter()
        .filter_map(|(name, value): (_, Option<&str>)| Some((name, value?)));
    given.collect()
}

impl Adjustment {
    /// The labels of the groups that it is about.
    #[must_use]
    pub fn place(&self) -> Labels {
        place_of(&self.scope)
    }

    /// When it is.
    #[must_use]
    pub fn stretch(&self) -> Bounds {
        Bounds {
            start_ms: self.from.as_millisecond(),
            end_ms: self.to.as_millisecond(),
        }
    }

    fn exclusion(&self) -> Exclusion {
        Exclusion {
            of: self.of.clone(),
            place: self.place(),
            stretch: self.stretch(),
            silences_burn: false,
        }
    }

    fn check(&self, now: Timestamp) -> Result<(), LedgerRefusal> {
        text("a reason", &self.reason, REASON_MAX_BYTES)?;
        if let Some(ticket) = &self.ticket {
            text("a ticket", ticket, TICKET_MAX_BYTES)?;
        }
        let refuse = |why: String| Err(LedgerRefusal::Stretch(why));
        for at in [self.from, self.to] {
            let exact_ms = at.as_millisecond();
            let is_whole = at.subsec_nanosecond() == 0 && exact_ms % QUARTER_HOUR_MS == 0;
            if !is_whole {
                let near = quarter_hours_around(exact_ms).map(spoken);
                return refuse(format!(
                    "{at} is not at a quarter hour, in which counts are kept for good: write {} or {}",
                    near[0], near[1]
                ));
            }
        }
        let Bounds { start_ms, end_ms } = self.stretch();
        let now_ms = now.as_millisecond();
        if end_ms <= start_ms {
            return refuse("it ends before it begins: give --to after --from".to_owned());
        }
        if end_ms - start_ms > STRETCH_MAX_MS {
            return refuse(
                "it is longer than 31 days: an objective that does not count is no objective".to_owned(),
            );
        }
        if start_ms < now_ms - RETENTION_MS {
            return refuse(
                "it begins more than 400 days ago: nothing is counted any more of that time".to_owned(),
            );
        }
        if end_ms > now_ms + AHEAD_MAX_MS {
            return refuse("it ends more than a year from now".to_owned());
        }
        Ok(())
    }
}

fn spoken(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms).map_or_else(|_| "another instant".to_owned(), |at| at.to_string())
}

fn text(what: &'static str, text: &str, max: usize) -> Result<(), LedgerRefusal> {
    if (1..=max).contains(&text.len()) && !text.trim().is_empty() {
        return Ok(());
    }
    Err(LedgerRefusal::Text {
        what,
        bytes: text.trim().len(),
        max,
    })
}

impl DomainEvent for LedgerEvent {
    fn kind(&self) -> &'static str {
        match self {
            Self::Excluded { .. } => "ledger.excluded",
            Self::Withdrawn { .. } => "ledger.withdrawn",
        }
    }

    fn stream(&self) -> StreamId {
        let (Self::Excluded { number, .. } | Self::Withdrawn { number, .. }) = self;
        StreamId::new("ledger", number)
    }

    fn scope(&self) -> Scope {
        match self {
            Self::Excluded { adjustment, .. } => adjustment.scope.clone(),
            Self::Withdrawn { scope, .. } => scope.clone(),
        }
    }
}

impl Machine for Ledger {
    const NAME: &'static str = "ledger";
    type Spec = ();
    type State = LedgerState;
    type Command = LedgerCommand;
    type Event = LedgerEvent;
    type Refusal = LedgerRefusal;

    fn decide(
        state: &LedgerState,
        _spec: &(),
        command: LedgerCommand,
        now: Timestamp,
    ) -> Result<Vec<LedgerEvent>, LedgerRefusal> {
        match command {
            LedgerCommand::Exclude(adjustment) => {
                adjustment.check(now)?;
                if state.entries.len() >= ENTRIES_MAX {
                    return Err(LedgerRefusal::Full);
                }
                let last = state.entries.last_key_value().map_or(0, |(number, _)| *number);
                Ok(vec![LedgerEvent::Excluded {
                    number: last + 1,
                    adjustment: *adjustment,
                }])
            }
            LedgerCommand::Withdraw { number, reason } => {
                text("a reason", &reason, REASON_MAX_BYTES)?;
                let entry = state.entries.get(&number).ok_or(LedgerRefusal::Unknown(number))?;
                if let Some(withdrawn) = &entry.withdrawn {
                    return Err(LedgerRefusal::AlreadyWithdrawn {
                        number,
                        at: withdrawn.written.at,
                        by: withdrawn.written.by.clone(),
                    });
                }
                Ok(vec![LedgerEvent::Withdrawn {
                    number,
                    scope: entry.adjustment.scope.clone(),
                    reason,
                }])
            }
        }
    }

    fn apply(state: &mut LedgerState, event: &LedgerEvent, meta: &Meta) {
        state.revision += 1;
        let written = Written {
            event: meta.id,
            at: meta.at,
            by: meta.actor.clone(),
        };
        match event {
            LedgerEvent::Excluded { number, adjustment } => {
                let entry = LedgerEntry {
                    number: *number,
                    adjustment: adjustment.clone(),
                    written,
                    withdrawn: None,
                };
                state.entries.insert(*number, entry);
            }
            LedgerEvent::Withdrawn { number, reason, .. } => {
                if let Some(entry) = state.entries.get_mut(number) {
                    entry.withdrawn = Some(Withdrawal {
                        written,
                        reason: reason.clone(),
                    });
                }
            }
        }
    }

    fn react(_state: &LedgerState, _spec: &(), _event: &LedgerEvent, _meta: &Meta) -> Reaction {
        Reaction::default()
    }
}
