//! A circuit breaker: opens when half of the last calls failed, lets one probe through after a pause.
//!
//! The state is exposed under the metric names of resilience4j, which the specification's rules read.

use crate::metrics::{Gauge, Registry};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Calls that are looked back on.
const WINDOW: usize = 20;
/// Fewest calls before the rate means anything.
const MINIMUM_CALLS: usize = 10;
/// How long an open breaker refuses before it probes.
const OPEN_FOR: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open {
        until: Instant,
    },
    /// One probe is out; it counts as lost when it has not come back by then.
    HalfOpen {
        until: Instant,
    },
}

struct Inner {
    state: State,
    /// The last outcomes, as bits; 1 is a failure.
    outcomes: u32,
    calls: usize,
}

/// A circuit breaker around one dependency.
pub(crate) struct Breaker {
    inner: Mutex<Inner>,
    gauges: [Gauge; 3],
}

impl Breaker {
    pub(crate) fn new(name: &str, registry: &Registry) -> Self {
        let states = registry.gauges(
            "resilience4j_circuitbreaker_state",
            "1 for the state that the circuit breaker is in.",
            &["name", "state"],
        );
        let gauges = ["closed", "open", "half_open"].map(|state| states.with(&[name, state]));
        gauges[0].set(1.0);
        Self {
            inner: Mutex::new(Inner {
                state: State::Closed,
                outcomes: 0,
                calls: 0,
            }),
            gauges,
        }
    }

    /// Whether a call may go out at `now`.
    pub(crate) fn admit(&self, now: Instant) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match inner.state {
            State::Closed => true,
            State::Open { until } | State::HalfOpen { until } if now < until => false,
            State::Open { .. } | State::HalfOpen { .. } => {
                self.enter(
                    &mut inner,
                    State::HalfOpen {
                        until: now + OPEN_FOR,
                    },
                );
                true
            }
        }
    }

    /// Records how an admitted call ended.
    pub(crate) fn record(&self, ok: bool, now: Instant) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match inner.state {
            State::Closed => {
                inner.outcomes = (inner.outcomes << 1 | u32::from(!ok)) & ((1 << WINDOW) - 1);
                inner.calls = (inner.calls + 1).min(WINDOW);
                let failures = inner.outcomes.count_ones() as usize;
                if inner.calls >= MINIMUM_CALLS && failures * 2 >= inner.calls {
                    self.enter(
                        &mut inner,
                        State::Open {
                            until: now + OPEN_FOR,
                        },
                    );
                }
            }
            State::HalfOpen { .. } if ok => self.enter(&mut inner, State::Closed),
            State::HalfOpen { .. } => self.enter(
                &mut inner,
                State::Open {
                    until: now + OPEN_FOR,
                },
            ),
            // A call from before the breaker opened: it has nothing to say about now.
            State::Open { .. } => {}
        }
    }

    fn enter(&self, inner: &mut Inner, state: State) {
        inner.state = state;
        inner.outcomes = 0;
        inner.calls = 0;
        let shown = match state {
            State::Closed => 0,
            State::Open { .. } => 1,
            State::HalfOpen { .. } => 2,
        };
        for (position, gauge) in self.gauges.iter().enumerate() {
            gauge.set(if position == shown { 1.0 } else { 0.0 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_probes_and_closes() {
        let breaker = Breaker::new("fraud", &Registry::default());
        let start = Instant::now();
        for _ in 0..MINIMUM_CALLS {
            assert!(breaker.admit(start));
            breaker.record(false, start);
        }
        assert!(!breaker.admit(start), "open after ten failures");
        let later = start + OPEN_FOR;
        assert!(breaker.admit(later), "one probe");
        assert!(!breaker.admit(later), "only one");
        breaker.record(true, later);
        assert!(breaker.admit(later), "closed by a good probe");
    }
}
