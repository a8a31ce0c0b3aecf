//! What came in over the API since the start, by what became of it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted since the start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Alerts that were taken.
    pub(super) taken: Count,
    /// Bodies that are no alerts.
    pub(super) unreadable: Count,
    /// Alerts that are not as they must be.
    pub(super) malformed: Count,
    /// Alerts for which there was no room.
    pub(super) no_room: Count,
    /// Acknowledgements of what was acknowledged before.
    pub(super) repeated_acks: Count,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, count: usize) {
        self.0
            .fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counts {
    /// In Prometheus' text format.
    pub(super) fn exposition(&self) -> String {
        let family = |name: &str, help: &str, lines: &[(&str, &Count)]| {
            let lines = lines
                .iter()
                .map(|(labels, count)| format!("{name}{labels} {}\n", count.get()));
            format!(
                "# HELP {name} {help}\n# TYPE {name} counter\n{}",
                lines.collect::<String>()
            )
        };
        [
            family(
                "mainstay_alerts_taken_total",
                "Alerts of others that were taken, each time they are told.",
                &[("", &self.taken)],
            ),
            family(
                "mainstay_alerts_refused_total",
                "Alerts of others that were refused; unreadable counts bodies.",
                &[
                    ("{reason=\"unreadable\"}", &self.unreadable),
                    ("{reason=\"malformed\"}", &self.malformed),
                    ("{reason=\"no_room\"}", &self.no_room),
                ],
            ),
            family(
                "mainstay_acknowledgements_repeated_total",
                "Acknowledgements of what was acknowledged before.",
                &[("", &self.repeated_acks)],
            ),
        ]
        .concat()
    }
}
