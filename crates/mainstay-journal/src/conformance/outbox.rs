//! Effects: claims, leases, results, idempotency.

use jiff::SignedDuration;
use mainstay_kernel::Severity;
use mainstay_kernel::effect::{Channel, EffectBody, LANES};

use super::events::timer;
use super::{Subject, message};
use crate::envelope::Epoch;
use crate::store::{Claimed, Commit, Finished, Journal, NewEffect, Room};

const LEASE: SignedDuration = SignedDuration::from_secs(30);

async fn put<J: Journal>(subject: &Subject<J>, epoch: Epoch, effects: Vec<NewEffect>) {
    subject
        .commit(Commit {
            epoch,
            effects,
            ..Commit::default()
        })
        .await;
}

async fn finish<J: Journal>(subject: &Subject<J>, epoch: Epoch, finished: Finished) {
    subject
        .commit(Commit {
            epoch,
            finished: vec![finished],
            ..Commit::default()
        })
        .await;
}

async fn claim<J: Journal>(subject: &Subject<J>, epoch: Epoch, seconds: i64, limit: usize) -> Vec<Claimed> {
    subject
        .journal
        .claim(epoch, subject.at(seconds), LEASE, limit)
        .await
        .expect("the claim is in order")
}

fn keys(claimed: &[Claimed]) -> Vec<&str> {
    claimed
        .iter()
        .map(|claimed| claimed.effect.key.as_str())
        .collect()
}

async fn waiting<J: Journal>(subject: &Subject<J>) -> Vec<String> {
    let effects = subject
        .journal
        .waiting_effects(100)
        .await
        .expect("waiting effects");
    effects.into_iter().map(|effect| effect.key).collect()
}

/// A claimed effect comes back whole and is nobody else's until its lease runs out.
pub async fn an_effect_is_claimed_once_per_lease<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    let page = subject.effect("page", 0);
    put(subject, epoch, vec![page.clone()]).await;
    let claimed = claim(subject, epoch, 0, 10).await;
    assert_eq!(
        claimed,
        [Claimed {
            effect: page.effect,
            cause: page.cause,
            attempt: 1,
            possible_duplicate: false,
            lease_until: subject.at(30),
        }]
    );
    assert!(claim(subject, epoch, 0, 10).await.is_empty());
    assert!(claim(subject, epoch, 29, 10).await.is_empty());
    assert_eq!(waiting(subject).await, ["page"], "claimed is not over");
}

/// What was due first is claimed first; among those due at once, what was asked for first; never more than the limit.
pub async fn effects_are_claimed_in_order_of_due_time<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    let effects = [("z", 5), ("late", 60), ("y", 5), ("first", 1), ("x", 5)]
        .map(|(key, seconds)| subject.effect(key, seconds));
    put(subject, epoch, effects.to_vec()).await;
    assert!(
        claim(subject, epoch, 0, 10).await.is_empty(),
        "nothing is due yet"
    );
    assert_eq!(keys(&claim(subject, epoch, 5, 2).await), ["first", "z"]);
    assert_eq!(keys(&claim(subject, epoch, 5, 10).await), ["y", "x"]);
    assert_eq!(waiting(subject).await, ["z", "late", "y", "first", "x"]);
    assert_eq!(
        subject.journal.waiting_effects(2).await.expect("waiting").len(),
        2
    );
}

/// What was never tried goes before what is tried again, however long that has been due.
pub async fn what_is_new_is_claimed_before_what_is_tried_again<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    put(subject, epoch, vec![subject.effect("stuck", 0)]).await;
    assert_eq!(keys(&claim(subject, epoch, 0, 10).await), ["stuck"]);
    put(subject, epoch, vec![subject.effect("page", 40)]).await;
    assert_eq!(keys(&claim(subject, epoch, 40, 1).await), ["page"]);
    assert_eq!(keys(&claim(subject, epoch, 40, 10).await), ["stuck"]);
}

/// A lane without room keeps what is in it, and nothing else; what is urgent has room of its own.
pub async fn what_has_no_room_waits_for_it<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    let with = |key: &str, channel: Channel, severity: Severity| {
        let mut new = subject.effect(key, 0);
        if let EffectBody::Deliver(deliver) = &mut new.effect.body {
            deliver.message.severity = severity;
            deliver.channel = channel;
        }
        new
    };
    let effects = vec![
        with("word-1", Channel::Chat, Severity::P3),
        with("word-2", Channel::Chat, Severity::P2),
        with("mail", Channel::Email, Severity::P2),
        with("page-1", Channel::Chat, Severity::P1),
        with("page-0", Channel::Chat, Severity::P0),
        with("call", Channel::Voice, Severity::P0),
    ];
    put(subject, epoch, effects).await;
    let room = |lane, urgent, count| Room { lane, urgent, count };
    let taken = async |rooms: &[Room]| {
        let at = subject.at(1);
        let claimed = subject.journal.claim_within(epoch, at, LEASE, rooms).await;
        claimed.expect("the claim is in order")
    };
    assert!(taken(&[]).await.is_empty());
    let full = [room("chat", false, 0), room("email", true, 9)];
    assert!(taken(&full).await.is_empty());
    let first = taken(&[room("chat", false, 1), room("chat", true, 1)]).await;
    let mut first = keys(&first);
    first.sort_unstable();
    assert_eq!(first, ["page-0", "word-2"], "of each kind the most urgent");
    let all = LANES.map(|lane| [room(lane, true, 9), room(lane, false, 9)]);
    let rest = taken(all.as_flattened()).await;
    let mut rest = keys(&rest);
    rest.sort_unstable();
    assert_eq!(rest, ["call", "mail", "page-1", "word-1"]);
}

/// A P0 goes before whatever waited longer, tried or not.
pub async fn what_is_urgent_waits_behind_nothing<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    let with = |key: &str, seconds: i64, severity: Severity| {
        let mut new = subject.effect(key, seconds);
        if let EffectBody::Deliver(deliver) = &mut new.effect.body {
            deliver.message.severity = severity;
        }
        new
    };
    let storm = [("chat-1", 0), ("chat-2", 1), ("chat-3", 2)];
    let mut effects: Vec<NewEffect> = storm.map(|(key, at)| with(key, at, Severity::P2)).into();
    effects.push(with("word", 0, Severity::P3));
    effects.push(with("page", 3, Severity::P0));
    put(subject, epoch, effects).await;
    assert_eq!(keys(&claim(subject, epoch, 3, 2).await), ["page", "chat-1"]);
    let again = Finished::Again {
        key: "page".to_owned(),
        due: subject.at(3),
    };
    finish(subject, epoch, again).await;
    assert_eq!(
        keys(&claim(subject, epoch, 4, 10).await),
        ["page", "chat-2", "chat-3", "word"],
        "a page that is tried again as well"
    );
}

/// A claim whose lease ran out holds nothing; whoever claims the effect next is told that it may have happened.
pub async fn a_lease_that_ran_out_may_mean_a_duplicate<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    put(subject, epoch, vec![subject.effect("page", 0)]).await;
    claim(subject, epoch, 0, 10).await;
    let again = claim(subject, epoch, 30, 10).await;
    assert_eq!(keys(&again), ["page"]);
    assert_eq!((again[0].attempt, again[0].possible_duplicate), (2, true));
    // Once in doubt, always in doubt, even when this attempt certainly failed.
    let due = subject.at(40);
    finish(
        subject,
        epoch,
        Finished::Again {
            key: "page".into(),
            due,
        },
    )
    .await;
    let third = claim(subject, epoch, 40, 10).await;
    assert_eq!((third[0].attempt, third[0].possible_duplicate), (3, true));
}

/// A new leader takes over the claims of the one before at once, and knows that they may have been carried out.
pub async fn a_claim_of_an_earlier_term_may_mean_a_duplicate<J: Journal>(subject: &Subject<J>) {
    let old = subject.lead().await;
    put(
        subject,
        old,
        vec![subject.effect("claimed", 0), subject.effect("waiting", 1)],
    )
    .await;
    assert_eq!(keys(&claim(subject, old, 0, 1).await), ["claimed"]);
    let lead = subject
        .journal
        .lead("successor", subject.at(1_000), SignedDuration::from_mins(1));
    let new = lead.await.expect("the lease has run out");
    // Before the old claim's lease would have run out.
    let taken = claim(subject, new, 2, 10).await;
    assert_eq!(keys(&taken), ["waiting", "claimed"]);
    assert_eq!((taken[0].attempt, taken[0].possible_duplicate), (1, false));
    assert_eq!((taken[1].attempt, taken[1].possible_duplicate), (2, true));
}

/// An attempt that certainly failed comes back unmarked, one with an unknown end comes back marked, both when due.
pub async fn again_and_unknown_come_back_when_due<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    put(
        subject,
        epoch,
        vec![subject.effect("again", 0), subject.effect("unknown", 0)],
    )
    .await;
    claim(subject, epoch, 0, 10).await;
    let due = subject.at(10);
    finish(
        subject,
        epoch,
        Finished::Again {
            key: "again".into(),
            due,
        },
    )
    .await;
    finish(
        subject,
        epoch,
        Finished::Unknown {
            key: "unknown".into(),
            due,
        },
    )
    .await;
    assert!(claim(subject, epoch, 9, 10).await.is_empty());
    let claimed = claim(subject, epoch, 10, 10).await;
    assert_eq!(keys(&claimed), ["again", "unknown"]);
    assert_eq!((claimed[0].attempt, claimed[0].possible_duplicate), (2, false));
    assert_eq!((claimed[1].attempt, claimed[1].possible_duplicate), (2, true));
}

/// What is over is never claimed again, whatever is said about it later. Unknown keys are ignored.
pub async fn what_is_over_stays_over<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    put(subject, epoch, vec![subject.effect("page", 0)]).await;
    claim(subject, epoch, 0, 10).await;
    finish(subject, epoch, Finished::Over { key: "page".into() }).await;
    let due = subject.at(0);
    finish(
        subject,
        epoch,
        Finished::Again {
            key: "page".into(),
            due,
        },
    )
    .await;
    finish(
        subject,
        epoch,
        Finished::Over {
            key: "nobody's".into(),
        },
    )
    .await;
    assert!(claim(subject, epoch, 10_000, 10).await.is_empty());
    assert!(waiting(subject).await.is_empty());
    assert_eq!(subject.journal.next_due().await.expect("next due"), None);
}

/// A key that the outbox has seen is ignored: while it waits, while it is claimed and when it is over.
pub async fn a_key_is_done_once_for_ever<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    let first = subject.effect("page", 0);
    let other = || NewEffect {
        effect: mainstay_kernel::effect::Effect {
            key: "page".to_owned(),
            ..message("another content")
        },
        ..subject.effect("page", -5)
    };
    put(subject, epoch, vec![first.clone(), other()]).await;
    put(subject, epoch, vec![other()]).await;
    let claimed = claim(subject, epoch, 0, 10).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].effect, first.effect, "the first content stands");
    put(subject, epoch, vec![other()]).await;
    assert!(claim(subject, epoch, 1, 10).await.is_empty());
    finish(subject, epoch, Finished::Over { key: "page".into() }).await;
    put(subject, epoch, vec![other()]).await;
    assert!(claim(subject, epoch, 1_000, 10).await.is_empty());
}

/// The next instant at which there is something to do: a timer, an effect, or a lease that runs out.
pub async fn next_due_sees_timers_effects_and_leases<J: Journal>(subject: &Subject<J>) {
    let next_due = async || subject.journal.next_due().await.expect("next due");
    assert_eq!(next_due().await, None);
    let epoch = subject.lead().await;
    subject
        .commit(Commit {
            epoch,
            timers: vec![timer(subject, "t", 100)],
            ..Commit::default()
        })
        .await;
    assert_eq!(next_due().await, Some(subject.at(100)));
    put(subject, epoch, vec![subject.effect("page", 10)]).await;
    assert_eq!(next_due().await, Some(subject.at(10)));
    claim(subject, epoch, 20, 10).await;
    assert_eq!(
        next_due().await,
        Some(subject.at(50)),
        "the claim holds until its lease runs out"
    );
    let lead = subject
        .journal
        .lead("successor", subject.at(1_000), SignedDuration::from_mins(1));
    let epoch = lead.await.expect("the lease has run out");
    assert_eq!(
        next_due().await,
        Some(subject.at(10)),
        "claims of an earlier term hold nothing"
    );
    finish(subject, epoch, Finished::Over { key: "page".into() }).await;
    assert_eq!(next_due().await, Some(subject.at(100)));
}
