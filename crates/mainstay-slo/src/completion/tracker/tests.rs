//! What becomes of payments, whatever the order in which it is told.

use mainstay_kernel::testing::SeededEntropy;

use super::*;
use crate::codec::{Reader, Writer};

const LIMITS: Limits = Limits {
    remember_ms: 600_000,
    heard_every_ms: 15_000,
    payments_max: 10_000,
    groups_max: 10,
};

fn definition() -> Completion {
    Completion::parse("stream: payments\ndeadline: 5s\nrejected: AC04, AM04").expect("sound")
}

fn labels() -> Labels {
    [("tenant", "bank-1")].into_iter().collect()
}

fn begun(payment: u64, at_ms: i64) -> CompletionEvent {
    CompletionEvent::Initiated {
        payment: format!("p{payment}"),
        at_ms,
        deadline_ms: None,
        kind: None,
        labels: labels(),
    }
}

fn ended(payment: u64, at_ms: i64, state: &str, reason: Option<&str>) -> CompletionEvent {
    CompletionEvent::Finished {
        payment: format!("p{payment}"),
        at_ms,
        state: state.to_owned(),
        reason: reason.map(str::to_owned),
    }
}

fn told(at_ms: i64) -> CompletionEvent {
    CompletionEvent::Heartbeat {
        at_ms,
        labels: Labels::new(),
    }
}

/// Bad, total, rejected, late, untold, begun: by the second of initiation.
type Sums = BTreeMap<i64, [i64; 6]>;

fn feed(tracker: &mut Tracker, sums: &mut Sums, limits: Limits, events: Vec<CompletionEvent>) {
    let batch = CompletionBatch {
        stream: "payments".to_owned(),
        sender: "/cell-5".to_owned(),
        events,
    };
    let mut add = |effect: Effect| {
        let change = [
            effect.bad,
            effect.total,
            effect.rejected,
            effect.late,
            effect.untold,
            i64::from(effect.begins),
        ];
        let sum = sums.entry(effect.at_ms / 1_000).or_default();
        sum.iter_mut()
            .zip(change)
            .for_each(|(sum, change)| *sum += change);
    };
    tracker.on_batch(&batch, &definition(), limits, &mut add);
}

fn sum(sums: &Sums) -> [i64; 6] {
    sums.values().fold([0; 6], |all, one| {
        std::array::from_fn(|index| all[index] + one[index])
    })
}

#[test]
fn each_payment_counts_once_where_it_began() {
    let (mut tracker, mut sums) = (Tracker::default(), Sums::new());
    let events = (1..=6).map(|payment| begun(payment, 1_000)).collect();
    feed(&mut tracker, &mut sums, LIMITS, events);
    assert_eq!(sum(&sums), [0, 0, 0, 0, 0, 6], "all are pending");
    let events = vec![
        ended(1, 6_000, "COMPLETED", None),
        ended(2, 2_000, "REJECTED", Some("AM04")),
        ended(3, 2_000, "FAILED", Some("AB03")),
        ended(4, 6_001, "COMPLETED", None),
        ended(5, 2_000, "RETURNED", None),
        ended(5, 3_000, "COMPLETED", None),
        begun(5, 1_000),
    ];
    feed(&mut tracker, &mut sums, LIMITS, events);
    // 1 just in time; 2 in no sum; 3 and 5 bad, whatever is said again; 4 too late; 6 nothing until its deadline.
    assert_eq!(sums[&1], [4, 5, 1, 2, 0, 6]);
    assert_eq!(tracker.told.duplicate, 2);
}

#[test]
fn a_deadline_passes_when_its_sender_has_told_of_it_and_not_before() {
    let (mut tracker, mut sums) = (Tracker::default(), Sums::new());
    feed(
        &mut tracker,
        &mut sums,
        LIMITS,
        vec![begun(1, 1_000), told(5_999)],
    );
    assert_eq!(sums[&1], [0, 0, 0, 0, 0, 1]);
    feed(&mut tracker, &mut sums, LIMITS, vec![told(6_000)]);
    assert_eq!(sums[&1], [1, 1, 0, 1, 0, 1]);
    // It had ended in time; it was only told late.
    feed(
        &mut tracker,
        &mut sums,
        LIMITS,
        vec![ended(1, 4_000, "COMPLETED", None), told(60_000)],
    );
    assert_eq!(sums[&1], [0, 1, 0, 0, 0, 1]);
}

#[test]
fn an_end_without_a_beginning_is_kept_for_it_and_then_said_to_be_unknown() {
    let (mut tracker, mut sums) = (Tracker::default(), Sums::new());
    let early = vec![
        ended(1, 1_500, "COMPLETED", None),
        ended(2, 1_500, "FAILED", None),
    ];
    feed(&mut tracker, &mut sums, LIMITS, early);
    feed(
        &mut tracker,
        &mut sums,
        LIMITS,
        vec![begun(1, 1_000), told(9_000)],
    );
    assert_eq!(sums[&1], [0, 1, 0, 0, 0, 1]);
    feed(&mut tracker, &mut sums, LIMITS, vec![told(700_000)]);
    assert_eq!((tracker.told.unknown, tracker.payments.len()), (1, 0));
    // Told again after it was forgotten: refused, not counted twice.
    feed(
        &mut tracker,
        &mut sums,
        LIMITS,
        vec![begun(1, 1_000), ended(1, 1_500, "COMPLETED", None)],
    );
    assert_eq!((sum(&sums), tracker.told.too_late), ([0, 1, 0, 0, 0, 1], 2));
}

#[test]
fn the_order_of_arrival_and_repeats_change_no_count() {
    for seed in 0..200 {
        let entropy = SeededEntropy::new(seed);
        let below = |bound: i64| i64::try_from(entropy.below(bound.unsigned_abs())).expect("small");
        let mut events = Vec::new();
        for payment in 0..60 {
            let at_ms = 10_000 + below(60_000);
            events.push(begun(payment, at_ms));
            let (state, reason) = match below(5) {
                0 => ("REJECTED", Some("AC04")),
                1 => ("FAILED", Some("TM01")),
                _ => ("COMPLETED", None),
            };
            if below(6) > 0 {
                events.push(ended(payment, at_ms + below(8_000), state, reason));
            }
        }
        events.sort_by_key(CompletionEvent::at_ms);
        let (mut in_order, mut expected) = (Tracker::default(), Sums::new());
        feed(&mut in_order, &mut expected, LIMITS, events.clone());
        feed(&mut in_order, &mut expected, LIMITS, vec![told(100_000)]);

        let (mut shuffled, mut sums) = (Tracker::default(), Sums::new());
        let repeats: Vec<CompletionEvent> = events.iter().filter(|_| below(4) == 0).cloned().collect();
        events.extend(repeats);
        for last in (1..events.len()).rev() {
            events.swap(
                last,
                usize::try_from(entropy.below(last as u64 + 1)).expect("small"),
            );
        }
        for chunk in events.chunks(7) {
            feed(&mut shuffled, &mut sums, LIMITS, chunk.to_vec());
            // A crash at any time: what was written down goes on as it was.
            let mut out = Writer::default();
            shuffled.encode(&mut out);
            let bytes = out.into_bytes();
            assert_eq!(Tracker::decode(&mut Reader::new(&bytes)).as_ref(), Ok(&shuffled));
        }
        feed(&mut shuffled, &mut sums, LIMITS, vec![told(100_000)]);
        // What was pending and is decided otherwise leaves zeros behind: they are nothing.
        assert_eq!(sums, expected, "seed {seed}");
        assert_eq!(sum(&sums)[5], 60);
    }
}

#[test]
fn what_does_not_fit_is_doubt_and_what_is_decided_makes_room_first() {
    let limits = Limits {
        payments_max: 3,
        ..LIMITS
    };
    let (mut tracker, mut sums) = (Tracker::default(), Sums::new());
    let events = (1..=4).map(|payment| begun(payment, 1_000)).collect();
    feed(&mut tracker, &mut sums, limits, events);
    assert_eq!(sum(&sums), [0, 0, 0, 0, 1, 3]);
    feed(&mut tracker, &mut sums, limits, vec![told(9_000)]);
    feed(&mut tracker, &mut sums, limits, vec![begun(5, 9_000)]);
    assert_eq!(sum(&sums), [3, 3, 0, 3, 1, 4]);
    assert_eq!((tracker.payments.len(), tracker.told.over_limit), (3, 1));
}
