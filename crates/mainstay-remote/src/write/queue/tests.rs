use std::sync::Arc;

use mainstay_promql::SampleValue;
use proptest::prelude::*;

use super::*;

fn logged(frame: u64, value: f64) -> Logged {
    Logged {
        frame,
        entry: Entry {
            labels: Arc::default(),
            created_ms: None,
            t_ms: 0,
            value: SampleValue::Float(value),
        },
    }
}

fn number(entry: &Entry) -> f64 {
    match entry.value {
        SampleValue::Float(value) => value,
        SampleValue::Histogram(_) => panic!("a number"),
    }
}

fn queue(batch_samples: usize) -> Queue {
    let pace = Pace {
        batch_samples,
        ..Pace::default()
    };
    Queue::new(pace, Checkpoint::default())
}

fn values(next: Next<'_>) -> Vec<f64> {
    match next {
        Next::Send(entries) => entries.iter().map(number).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_batch_leaves_at_once_and_a_small_one_at_its_deadline() {
    let mut queue = queue(2);
    assert_eq!(queue.next(0), Next::Read);
    queue.push([logged(1, 1.0), logged(1, 2.0), logged(2, 3.0)], 2, 0);
    assert_eq!(values(queue.next(0)), [1.0, 2.0]);
    assert_eq!(queue.checkpoint().in_flight, 2);
    queue.settle(Sent::Taken, 0, 0);
    let settled = Position { frame: 1, samples: 2 };
    assert_eq!(
        queue.checkpoint(),
        Checkpoint {
            settled,
            in_flight: 0
        }
    );
    assert_eq!(queue.next(4_999), Next::Read);
    assert_eq!(values(queue.next(5_000)), [3.0]);
    queue.settle(Sent::Taken, 5_000, 0);
    assert_eq!(queue.checkpoint().settled, Position { frame: 3, samples: 0 });
    assert_eq!(queue.tally().sent, 3);
}

#[test]
fn failures_wait_longer_and_longer_and_as_long_as_the_receiver_asks() {
    let mut queue = queue(1);
    queue.push([logged(1, 1.0)], 1, 0);
    let mut now_ms = 0;
    for expected in [125, 250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000] {
        values(queue.next(now_ms));
        let later = Sent::Later {
            retry_after_ms: None,
            reason: "HTTP 503".to_owned(),
        };
        queue.settle(later, now_ms, 0);
        assert_eq!(queue.next(now_ms), Next::WaitUntil(now_ms + expected));
        now_ms += expected;
    }
    values(queue.next(now_ms));
    let later = Sent::Later {
        retry_after_ms: Some(60_000),
        reason: "HTTP 429".to_owned(),
    };
    queue.settle(later, now_ms, u64::MAX);
    assert_eq!(queue.next(now_ms), Next::WaitUntil(now_ms + 60_000));
    assert_eq!(values(queue.next(now_ms + 60_000)), [1.0]);
    queue.settle(Sent::Taken, now_ms, 0);
    assert_eq!((queue.tally().sent, queue.tally().retries), (1, 10));
}

#[test]
fn one_bad_sample_does_not_take_its_neighbours_with_it() {
    let mut queue = queue(1_000);
    queue.push((0..1_000).map(|n| logged(1, f64::from(n))), 1, 0);
    let mut requests = 0;
    while queue.checkpoint().settled == Position::default() {
        let bad = values(queue.next(0)).contains(&617.0);
        requests += 1;
        let refused = Sent::Refused {
            reason: "out of order".to_owned(),
        };
        queue.settle(if bad { refused } else { Sent::Taken }, 0, 0);
    }
    assert_eq!((queue.tally().sent, queue.tally().refused), (999, 1));
    assert!(requests <= 21, "{requests}");
}

#[test]
fn what_is_refused_altogether_costs_a_bounded_number_of_requests() {
    let mut queue = queue(1_000);
    queue.push((0..1_000).map(|n| logged(1, f64::from(n))), 1, 0);
    let mut requests = 0;
    while queue.checkpoint().settled == Position::default() {
        values(queue.next(0));
        requests += 1;
        let reason = "unknown tenant".to_owned();
        queue.settle(Sent::Refused { reason }, 0, 0);
    }
    assert_eq!(queue.tally().refused, 1_000);
    assert_eq!(requests, 1 + HALVES_MAX);
}

#[test]
fn after_a_crash_the_same_batch_is_sent_again() {
    let mut before = queue(3);
    before.push((0..5).map(|n| logged(n / 2, n as f64)), 2, 0);
    assert_eq!(values(before.next(0)), [0.0, 1.0, 2.0]);
    // Now batches are larger, and more came in; the one that may be with the receiver is as it was.
    let pace = Pace {
        batch_samples: 100,
        ..Pace::default()
    };
    let mut after = Queue::new(pace, before.checkpoint());
    assert_eq!(after.read_from(), Position::default());
    after.push((0..8).map(|n| logged(n / 2, n as f64)), 3, 0);
    assert_eq!(values(after.next(0)), [0.0, 1.0, 2.0]);
    after.settle(Sent::Taken, 0, 0);
    let settled = after.checkpoint().settled;
    assert_eq!(settled, Position { frame: 1, samples: 1 });
    assert_eq!(values(after.next(10_000)), [3.0, 4.0, 5.0, 6.0, 7.0]);
}

#[test]
fn what_the_log_dropped_is_said() {
    let mut queue = queue(3);
    queue.skip_to(40, "the log dropped frames".to_owned());
    assert_eq!(
        queue.read_from(),
        Position {
            frame: 40,
            samples: 0
        }
    );
    assert_eq!(
        queue.checkpoint().settled,
        Position {
            frame: 40,
            samples: 0
        }
    );
    assert_eq!(queue.tally().gaps, 1);
}

proptest! {
    /// Whatever receiver and machine do, the receiver gets every sample, in order but for repetitions of the batch
    /// that was under way in a crash.
    #[test]
    fn nothing_is_lost_and_only_the_batch_under_way_is_repeated(
        frames in prop::collection::vec(0..4usize, 1..30),
        fates in prop::collection::vec(0..5u8, 1..200),
    ) {
        let log: Vec<Logged> = frames
            .iter()
            .enumerate()
            .flat_map(|(frame, count)| (0..*count).map(move |n| (frame, n)))
            .map(|(frame, n)| logged(frame as u64, (frame * 10 + n) as f64))
            .collect();
        let last_frame = frames.len() as u64 - 1;
        let pace = Pace { batch_samples: 5, ..Pace::default() };
        let mut queue = Queue::new(pace, Checkpoint::default());
        let mut got: Vec<f64> = Vec::new();
        let mut fates = fates.into_iter();
        let mut now_ms = 0;
        for _ in 0..2_000 {
            now_ms += 1_000;
            let request: Vec<f64> = match queue.next(now_ms) {
                Next::Read => {
                    let from = queue.read_from();
                    let rest = log.iter().filter(|l| l.frame >= from.frame).cloned();
                    let rest: Vec<Logged> = rest.skip(from.samples as usize).collect();
                    queue.push(rest, last_frame, now_ms);
                    continue;
                }
                Next::WaitUntil(_) => continue,
                Next::Send(entries) => entries.iter().map(number).collect(),
            };
            let durable = queue.checkpoint();
            match fates.next() {
                // The machine dies before, or after, the receiver has it.
                Some(0) => queue = Queue::new(pace, durable),
                Some(1) => {
                    got.extend(&request);
                    queue = Queue::new(pace, durable);
                }
                Some(2) => queue.settle(Sent::Later { retry_after_ms: None, reason: String::new() }, now_ms, 7),
                _ => {
                    got.extend(&request);
                    queue.settle(Sent::Taken, now_ms, 0);
                }
            }
        }
        let mut once: Vec<f64> = Vec::new();
        for value in got {
            if once.last().is_none_or(|last| *last < value) {
                once.push(value);
            }
            prop_assert!(once.contains(&value));
        }
        let all: Vec<f64> = log.iter().map(|l| number(&l.entry)).collect();
        prop_assert_eq!(once, all);
    }
}
