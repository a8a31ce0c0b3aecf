//! What came in over the API since the start, by what became of it.

use std::sync::atomic::{AtomicU64, Ordering};

/// The statuses of refusals that are counted one by one.
const STATUSES: [u16; 10] = [400, 401, 403, 404, 405, 408, 413, 415, 422, 429];

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
    /// Requests that were refused, by status.
    refused: [Count; STATUSES.len()],
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
    /// A request was refused with this status.
    pub(super) fn refuse(&self, status: u16) {
        let place = STATUSES.iter().position(|one| *one == status);
        if let Some(count) = place.and_then(|place| self.refused.get(place)) {
            count.add(1);
        }
    }

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
        let labels = STATUSES.map(|status| format!("{{status=\"{status}\"}}"));
        let refused: Vec<(&str, &Count)> = labels.iter().map(String::as_str).zip(&self.refused).collect();
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
                "mainstay_requests_refused_total",
                "Requests that were answered with this status.",
                &refused,
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
