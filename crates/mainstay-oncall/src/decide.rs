//! Whom to tell now.

use jiff::Timestamp;
use mainstay_kernel::fact::{Acknowledged, PageRequested};
use mainstay_kernel::{IncidentId, PageId, PersonId, Scope};

use crate::climb;
use crate::event::OncallEvent;
use crate::feed::{self, Feed};
use crate::fold::{OncallState, Override, Page};
use crate::handover::{self, Incoming};
use crate::news;
use crate::notify::{self, Insist};
use crate::spec::OncallSpec;
use crate::swap::{self, Swap, SwapEnd};

/// What on-call can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each variant is documented; its fields say what they are"
)]
pub enum OncallCommand {
    /// A human is needed; without a policy the default one holds.
    Page {
        request: PageRequested,
        policy: Option<String>,
    },
    /// The time of a level has come.
    Climb { page: PageId, round: u32, level: usize },
    /// Whose turn it was has not answered: it is the next one's of the level.
    PassTurn { page: PageId, round: u32, level: usize },
    /// The time to begin again has come.
    Repeat { page: PageId, round: u32 },
    /// The time to tell somebody by another channel has come.
    Insist(Insist),
    /// The incident concerns more than was thought.
    Widen {
        incident: IncidentId,
        scope: Scope,
        title: String,
    },
    /// No channel takes a page to this person.
    Undeliverable { page: PageId, person: PersonId },
    /// A human takes a page on.
    AcknowledgePage { page: PageId, by: Option<PersonId> },
    /// A human takes all open pages of an incident on.
    AcknowledgeIncident {
        incident: IncidentId,
        by: Option<PersonId>,
    },
    /// The incident is over.
    Close { incident: IncidentId },
    /// Somebody takes a duty for a while.
    Override(Override),
    /// An override, or both of a swap, is taken back; `by` nobody is somebody who may do so for all.
    Withdraw { id: String, by: Option<PersonId> },
    /// A calendar may be fetched by a link.
    OpenFeed(Feed),
    /// It may not any more; `by` nobody is somebody who may say so for all.
    CloseFeed { id: String, by: Option<PersonId> },
    /// Those whose shifts begin soon are reminded.
    Remind,
    /// Something is written down for whoever comes next.
    NoteHandover { rota: String, text: String },
    /// A shift has begun; `open` says what is open, a line each.
    HandOver { shift: Incoming, open: Vec<String> },
    /// Somebody asks somebody else to take a stretch.
    AskSwap(Swap),
    /// What becomes of a swap; `by` nobody is somebody who may answer for all, or the clock.
    AnswerSwap {
        swap: String,
        by: Option<PersonId>,
        end: SwapEnd,
    },
}

/// Why it says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OncallRefusal {
    /// No such page at hand.
    #[error("there is no page {0}")]
    UnknownPage(PageId),
    /// The incident has no page that waits.
    #[error("incident {0} has no page that waits for an acknowledgement")]
    NothingToAcknowledge(IncidentId),
    /// Somebody has it.
    #[error("page {page} was acknowledged by {by}")]
    AlreadyAcknowledged {
        /// The page.
        page: PageId,
        /// By whom.
        by: String,
    },
    /// There is nobody who could be paged.
    #[error("the catalog has no escalation policy{}", .0.as_ref().map(|name| format!(" {name:?}")).unwrap_or_default())]
    NoPolicy(Option<String>),
    /// The override makes no sense.
    #[error("{0}")]
    BadOverride(String),
    /// No such override.
    #[error("there is no override or swap {0} in force")]
    UnknownOverride(String),
    /// The swap makes no sense, or not any more.
    #[error("{0}")]
    BadSwap(String),
    /// No such swap.
    #[error("no swap {0} waits for an answer")]
    UnknownSwap(String),
    /// The calendar makes no sense.
    #[error("{0}")]
    BadFeed(String),
    /// No such calendar.
    #[error("there is no calendar {0}")]
    UnknownFeed(String),
    /// The note makes no sense.
    #[error("{0}")]
    BadNote(String),
    /// It is somebody else's to decide.
    #[error("{0}")]
    NotTheirs(String),
}

pub(crate) fn decide(
    state: &OncallState,
    spec: &OncallSpec,
    command: OncallCommand,
    now: Timestamp,
) -> Result<Vec<OncallEvent>, OncallRefusal> {
    match command {
        OncallCommand::Page { request, policy } => open(state, spec, request, policy, now),
        OncallCommand::Climb { page, round, level } => {
            Ok(climb::climb(state, spec, &page, round, level, now))
        }
        OncallCommand::PassTurn { page, round, level } => {
            Ok(climb::pass_turn(state, spec, &page, round, level, now))
        }
        OncallCommand::Repeat { page, round } => Ok(climb::repeat(state, spec, &page, round, now)),
        OncallCommand::Insist(asked) => Ok(notify::insist(state, spec, asked)),
        OncallCommand::Widen {
            incident,
            scope,
            title,
        } => Ok(news::widen(state, &incident, &scope, &title)),
        OncallCommand::Undeliverable { page, person } => {
            Ok(climb::undeliverable(state, spec, &page, person, now))
        }
        OncallCommand::AcknowledgePage { page, by } => {
            let open = state
                .page(&page)
                .ok_or_else(|| OncallRefusal::UnknownPage(page.clone()))?;
            if let Some((_, by)) = &open.acknowledged {
                return Err(OncallRefusal::AlreadyAcknowledged {
                    page,
                    by: by.subject.clone(),
                });
            }
            // Who takes a page on takes its incident on: a second page of it, of a worse severity, climbs no further.
            // Another team answers for itself.
            let others = state.pages_of(&open.request.incident).filter(|other| {
                other.is_climbing() && other.request.page != page && other.policy == open.policy
            });
            let taken = std::iter::once(open).chain(others);
            Ok(taken.map(|page| acknowledged(page, by.clone())).collect())
        }
        OncallCommand::AcknowledgeIncident { incident, by } => {
            let waiting = state.pages_of(&incident).filter(|page| page.is_climbing());
            let events: Vec<OncallEvent> = waiting.map(|page| acknowledged(page, by.clone())).collect();
            if events.is_empty() {
                Err(OncallRefusal::NothingToAcknowledge(incident))
            } else {
                Ok(events)
            }
        }
        OncallCommand::Close { incident } => {
            let open = state.pages_of(&incident).filter(|page| page.closed_at.is_none());
            Ok(open
                .map(|page| OncallEvent::Closed {
                    page: page.request.page.clone(),
                    incident: incident.clone(),
                })
                .collect())
        }
        OncallCommand::Override(entry) => swap::give(state, spec, entry, now),
        OncallCommand::Withdraw { id, by } => swap::withdraw(state, &id, by, now),
        OncallCommand::OpenFeed(feed) => feed::open(state, spec, feed),
        OncallCommand::CloseFeed { id, by } => feed::close(state, &id, by.as_ref()),
        OncallCommand::Remind => Ok(handover::remind(state, spec, now)),
        OncallCommand::NoteHandover { rota, text } => handover::note(spec, rota, text),
        OncallCommand::HandOver { shift, open } => Ok(handover::hand_over(state, spec, &shift, open, now)),
        OncallCommand::AskSwap(asked) => swap::ask(state, spec, asked, now),
        OncallCommand::AnswerSwap { swap: id, by, end } => swap::answer(state, spec, &id, by, end, now),
    }
}

fn acknowledged(page: &Page, by: Option<PersonId>) -> OncallEvent {
    let request = &page.request;
    OncallEvent::Acknowledged(Acknowledged {
        page: request.page.clone(),
        incident: request.incident.clone(),
        by,
    })
}

fn open(
    state: &OncallState,
    spec: &OncallSpec,
    request: PageRequested,
    policy: Option<String>,
    now: Timestamp,
) -> Result<Vec<OncallEvent>, OncallRefusal> {
    if state.page(&request.page).is_some() {
        return Ok(Vec::new());
    }
    let asked = policy.or_else(|| spec.default_policy.clone());
    let found = asked.as_ref().and_then(|name| spec.policy(name));
    let (name, policy) = found.ok_or(OncallRefusal::NoPolicy(asked))?;
    let mut events = news::superseded(state, &request, name);
    events.push(OncallEvent::Opened {
        request: request.clone(),
        policy: name.to_owned(),
    });
    let climbing = climb::Climbing {
        request: &request,
        name,
        policy,
        round: 0,
    };
    events.extend(climb::begin(state, spec, climbing, now));
    Ok(events)
}
