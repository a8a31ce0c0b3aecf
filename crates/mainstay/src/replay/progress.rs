//! How far a replay is: a bar on a terminal, nothing elsewhere.

use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use mainstay_slo::replay::Course;

const CELLS: usize = 40;

/// A bar that is as far as the slowest part.
pub(super) struct Progress {
    from_ms: i64,
    length_ms: i64,
    parts: Vec<AtomicI64>,
    /// The percentage that is shown.
    shown: AtomicUsize,
    is_seen: bool,
}

impl Progress {
    pub(super) fn new(course: Course, parts: usize) -> Self {
        let from_ms = course.counted_from.as_millisecond();
        Self {
            from_ms,
            length_ms: (course.to.as_millisecond() - from_ms).max(1),
            parts: (0..parts).map(|_| AtomicI64::new(i64::MAX)).collect(),
            shown: AtomicUsize::new(usize::MAX),
            is_seen: io::stderr().is_terminal(),
        }
    }

    pub(super) fn show(&self, part: usize, t_ms: i64) {
        if !self.is_seen {
            return;
        }
        if let Some(own) = self.parts.get(part) {
            own.store(t_ms, Ordering::Relaxed);
        }
        let slowest_ms = self.parts.iter().map(|part| part.load(Ordering::Relaxed)).min();
        let done_ms = slowest_ms.unwrap_or(t_ms).saturating_sub(self.from_ms);
        let done_ms = done_ms.clamp(0, self.length_ms);
        let percent = usize::try_from(done_ms.saturating_mul(100) / self.length_ms).unwrap_or(100);
        if self.shown.swap(percent, Ordering::Relaxed) != percent {
            let full = percent * CELLS / 100;
            let (bar, rest) = ("█".repeat(full), "░".repeat(CELLS - full));
            anstream::eprint!("\r{bar}{rest} {percent} %");
        }
    }

    pub(super) fn end(&self) {
        if self.is_seen {
            anstream::eprint!("\r\x1b[K");
        }
    }
}
