//! What can have happened to pages and duties.

use jiff::Timestamp;
use mainstay_journal::{DomainEvent, StreamId};
use mainstay_kernel::effect::Channel;
use mainstay_kernel::fact::{Acknowledged, PageRequested};
use mainstay_kernel::{IncidentId, PageId, PersonId, Scope};
use serde::{Deserialize, Serialize};

use crate::feed::Feed;
use crate::fold::Override;
use crate::ring::Turn;
use crate::swap::{Swap, SwapEnd};

/// An event of on-call. `Acknowledged` is a published fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
#[expect(
    missing_docs,
    reason = "each variant is documented; its fields say what they are"
)]
pub enum OncallEvent {
    /// A page was taken in; it climbs by `policy`.
    Opened { request: PageRequested, policy: String },
    /// People of a level are told. `inform` wants no acknowledgement.
    Notified {
        page: PageId,
        round: u32,
        level: usize,
        people: Vec<PersonId>,
        inform: bool,
    },
    /// It is somebody's turn at a level that pages one at a time.
    TurnTaken {
        page: PageId,
        policy: String,
        round: u32,
        level: usize,
        turn: Turn,
    },
    /// Somebody who was told and has not answered is told by other channels too.
    Insisted {
        page: PageId,
        round: u32,
        level: usize,
        person: PersonId,
        channels: Vec<Channel>,
    },
    /// Its incident concerns more than the page said; those who were paged hear of it.
    Widened {
        page: PageId,
        scope: Scope,
        title: String,
        people: Vec<PersonId>,
    },
    /// No channel takes the page to this person.
    Unreachable { page: PageId, person: PersonId },
    /// A worse page of the same incident takes its place.
    Superseded { page: PageId, by: PageId },
    /// A level reaches nobody: an empty rota, or people without an address.
    NobodyReached {
        page: PageId,
        round: u32,
        level: usize,
        why: String,
    },
    /// The policy begins again.
    RoundBegan { page: PageId, round: u32 },
    /// A human took it on.
    Acknowledged(Acknowledged),
    /// Its incident is over.
    Closed { page: PageId, incident: IncidentId },
    /// Somebody takes somebody else's duty for a while.
    Overridden { entry: Override, until: Timestamp },
    /// An override is taken back: what of it is to come is the rota's again.
    Withdrawn { rota: String, id: String },
    /// Somebody asks somebody else to take a stretch.
    SwapAsked(Swap),
    /// What became of it; overrides follow if it was accepted.
    SwapEnded { swap: Swap, end: SwapEnd },
    /// A calendar may be fetched by a link.
    FeedOpened(Feed),
    /// It may not any more.
    FeedClosed { id: String },
    /// Somebody is reminded of a shift that begins soon.
    Reminded {
        rota: String,
        person: PersonId,
        from: Timestamp,
        until: Timestamp,
    },
    /// Something was written down for whoever comes next.
    HandoverNoted { rota: String, text: String },
    /// Whoever comes next gets what was written down, and what is open.
    HandedOver {
        rota: String,
        person: PersonId,
        from: Timestamp,
        until: Timestamp,
        notes: Vec<String>,
        open: Vec<String>,
    },
}

impl DomainEvent for OncallEvent {
    fn kind(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "oncall.opened",
            Self::Notified { .. } => "oncall.notified",
            Self::TurnTaken { .. } => "oncall.turn_taken",
            Self::Insisted { .. } => "oncall.insisted",
            Self::Widened { .. } => "oncall.widened",
            Self::Unreachable { .. } => "oncall.unreachable",
            Self::Superseded { .. } => "oncall.superseded",
            Self::NobodyReached { .. } => "oncall.nobody_reached",
            Self::RoundBegan { .. } => "oncall.round_began",
            Self::Acknowledged(_) => "oncall.acknowledged",
            Self::Closed { .. } => "oncall.closed",
            Self::Overridden { .. } => "oncall.overridden",
            Self::Withdrawn { .. } => "oncall.withdrawn",
            Self::SwapAsked(_) => "oncall.swap_asked",
            Self::SwapEnded { .. } => "oncall.swap_ended",
            Self::FeedOpened(_) => "oncall.feed_opened",
            Self::FeedClosed { .. } => "oncall.feed_closed",
            Self::Reminded { .. } => "oncall.reminded",
            Self::HandoverNoted { .. } => "oncall.handover_noted",
            Self::HandedOver { .. } => "oncall.handed_over",
        }
    }

    fn stream(&self) -> StreamId {
        let page = |page: &PageId| StreamId::new("page", page);
        match self {
            Self::Opened { request, .. } => page(&request.page),
            Self::Acknowledged(fact) => page(&fact.page),
            Self::Notified { page: id, .. }
            | Self::TurnTaken { page: id, .. }
            | Self::Insisted { page: id, .. }
            | Self::Widened { page: id, .. }
            | Self::Unreachable { page: id, .. }
            | Self::Superseded { page: id, .. }
            | Self::NobodyReached { page: id, .. }
            | Self::RoundBegan { page: id, .. }
            | Self::Closed { page: id, .. } => page(id),
            Self::Overridden { entry, .. } => StreamId::new("rota", &entry.rota),
            Self::Withdrawn { rota, .. }
            | Self::Reminded { rota, .. }
            | Self::HandoverNoted { rota, .. }
            | Self::HandedOver { rota, .. } => StreamId::new("rota", rota),
            Self::FeedOpened(feed) => StreamId::new("feed", &feed.id),
            Self::FeedClosed { id } => StreamId::new("feed", id),
            Self::SwapAsked(swap) | Self::SwapEnded { swap, .. } => StreamId::new("swap", &swap.id),
        }
    }

    fn scope(&self) -> Scope {
        Scope::platform()
    }
}
