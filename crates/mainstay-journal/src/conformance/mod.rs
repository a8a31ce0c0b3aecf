//! What every journal backend must do, as tests that a backend calls: [`run`] runs all of them, each over a fresh
//! journal. A property that does not hold panics with what was seen.
//!
//! ```no_run
//! # async fn example() {
//! use mainstay_journal::{MemoryJournal, conformance};
//! conformance::run(async |clock, entropy| MemoryJournal::new(clock, entropy)).await;
//! # }
//! ```

pub mod events;
pub mod names;
pub mod outbox;
pub mod personal;
pub mod streams;
pub mod terms;
pub mod timers;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::effect::{Channel, Deliver, Effect, EffectBody, EffectClass, Message, Recipient};
use mainstay_kernel::testing::{ManualClock, SeededEntropy};
use mainstay_kernel::{Actor, Clock, Digest, Entropy, EventId, Scope, Severity, TenantId};

use crate::envelope::{Epoch, PersonalFields, Record, Seq, StreamId};
use crate::store::{Commit, Committed, Journal, NewEffect, NewEvent};

/// 2025-01-15 10:00:00 UTC: where the clock of every property starts.
pub const START_MS: i64 = 1_736_935_200_000;

/// A fresh journal with its clock and entropy.
pub struct Subject<J> {
    /// The journal.
    pub journal: Arc<J>,
    /// Its clock.
    pub clock: Arc<ManualClock>,
    /// Its entropy.
    pub entropy: Arc<SeededEntropy>,
}

impl<J> Clone for Subject<J> {
    fn clone(&self) -> Self {
        Self {
            journal: Arc::clone(&self.journal),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
        }
    }
}

/// Runs every property, each over a journal of its own that `fresh` makes.
///
/// # Panics
/// If a property does not hold.
pub async fn run<J: Journal>(fresh: impl AsyncFn(Arc<dyn Clock>, Arc<dyn Entropy>) -> J) {
    macro_rules! all {
        ($($property:path),+ $(,)?) => {$(
            let subject = Subject::new(&fresh).await;
            eprintln!("{}", stringify!($property));
            $property(&subject).await;
        )+};
    }
    all![
        events::a_commit_over_many_streams_is_whole,
        events::a_refused_commit_leaves_no_trace,
        events::a_version_conflict_is_refused,
        streams::a_stream_that_changed_unseen_is_refused,
        events::an_event_id_is_used_once,
        events::limits_are_refused,
        events::every_tenant_has_a_chain_of_its_own,
        events::pages_and_streams_are_read_in_order,
        events::a_tail_reader_misses_nothing_while_writers_race,
        events::only_one_of_racing_writers_gets_a_version,
        events::causes_lead_both_ways,
        names::any_character_comes_back,
        events::a_cursor_moves_with_the_events_or_not_at_all,
        events::a_dropped_commit_is_whole_or_absent,
        terms::a_new_term_is_greater,
        terms::a_term_that_is_over_writes_nothing,
        terms::catalogs_are_found_by_digest,
        terms::a_snapshot_replaces_the_one_before,
        outbox::an_effect_is_claimed_once_per_lease,
        outbox::effects_are_claimed_in_order_of_due_time,
        outbox::what_is_urgent_waits_behind_nothing,
        outbox::what_has_no_room_waits_for_it,
        outbox::what_is_new_is_claimed_before_what_is_tried_again,
        outbox::a_lease_that_ran_out_may_mean_a_duplicate,
        outbox::a_claim_of_an_earlier_term_may_mean_a_duplicate,
        outbox::again_and_unknown_come_back_when_due,
        outbox::what_is_over_stays_over,
        outbox::a_key_is_done_once_for_ever,
        outbox::next_due_sees_timers_effects_and_leases,
        timers::timers_are_set_moved_and_cancelled,
        timers::timers_come_due_in_order,
        personal::personal_fields_come_back,
        personal::a_destroyed_key_erases_and_the_chain_stays_whole,
        personal::a_subject_who_comes_back_gets_a_new_key,
    ];
}

impl<J: Journal> Subject<J> {
    /// A fresh journal at [`START_MS`].
    pub async fn new(fresh: &impl AsyncFn(Arc<dyn Clock>, Arc<dyn Entropy>) -> J) -> Self {
        let clock = Arc::new(ManualClock::at(ms(START_MS)));
        let entropy = Arc::new(SeededEntropy::new(7));
        let shared_clock: Arc<dyn Clock> = clock.clone();
        let shared_entropy: Arc<dyn Entropy> = entropy.clone();
        let journal = fresh(shared_clock, shared_entropy).await;
        Self {
            journal: Arc::new(journal),
            clock,
            entropy,
        }
    }

    /// The instant `seconds` after the start.
    #[must_use]
    pub fn at(&self, seconds: i64) -> Timestamp {
        ms(START_MS + seconds * 1_000)
    }

    /// A new term.
    pub async fn lead(&self) -> Epoch {
        self.journal
            .lead("conformance", self.clock.now(), SignedDuration::from_mins(1))
            .await
            .expect("the lead is free")
    }

    /// An event of the platform's chain.
    #[must_use]
    pub fn event(&self, stream: &str, payload: &str) -> NewEvent {
        let at = self.clock.now();
        NewEvent {
            id: EventId::generate(at, &*self.entropy),
            stream: StreamId(stream.to_owned()),
            at,
            actor: Actor::machine("conformance"),
            cause: None,
            kind: "test.happened".to_owned(),
            schema: 1,
            scope: Scope::platform(),
            catalog: Digest::of(b"a catalog"),
            payload: serde_json::to_vec(payload).expect("a text is JSON"),
            personal: None,
        }
    }

    /// An event of a tenant's chain.
    #[must_use]
    pub fn tenant_event(&self, tenant: &str, stream: &str) -> NewEvent {
        NewEvent {
            scope: Scope {
                tenant: Some(TenantId::new(tenant).expect("the suite's names are names")),
                ..Scope::platform()
            },
            ..self.event(stream, tenant)
        }
    }

    /// An event with personal fields of `subject`.
    #[must_use]
    pub fn personal_event(&self, stream: &str, subject: &str, phone: &str) -> NewEvent {
        NewEvent {
            personal: Some(PersonalFields {
                subject: subject.to_owned(),
                fields: [("phone".to_owned(), phone.to_owned())].into(),
            }),
            ..self.event(stream, "has personal fields")
        }
    }

    /// Commits `events` alone.
    pub async fn append(&self, epoch: Epoch, events: Vec<NewEvent>) -> Committed {
        self.commit(Commit {
            epoch,
            events,
            ..Commit::default()
        })
        .await
    }

    /// Commits what must succeed.
    pub async fn commit(&self, commit: Commit) -> Committed {
        self.journal.commit(commit).await.expect("the commit is in order")
    }

    /// Everything in the journal.
    pub async fn everything(&self) -> Vec<Record> {
        self.journal
            .read(Seq(0), usize::MAX)
            .await
            .expect("the journal can be read")
    }

    /// An effect to be done at `seconds`.
    #[must_use]
    pub fn effect(&self, key: &str, seconds: i64) -> NewEffect {
        NewEffect {
            effect: message(key),
            cause: EventId::generate(self.clock.now(), &*self.entropy),
            due: self.at(seconds),
        }
    }
}

fn ms(instant: i64) -> Timestamp {
    Timestamp::from_millisecond(instant).expect("the suite's instants are in range")
}

fn message(key: &str) -> Effect {
    Effect {
        key: key.to_owned(),
        class: EffectClass::Once,
        body: EffectBody::Deliver(Deliver {
            channel: Channel::Webhook,
            to: Recipient::Receiver("conformance".to_owned()),
            message: Message {
                subject: format!("subject of {key}"),
                body: "é, \"quotes\"\nand lines".to_owned(),
                severity: Severity::P0,
                resolved: false,
                incident: None,
                page: None,
                path: "/".to_owned(),
                notification: None,
            },
        }),
    }
}
