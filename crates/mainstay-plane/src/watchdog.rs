//! What the watchdog hears: an alert that is another one each minute and takes the way of every alert. It is raised where
//! rules and objectives are judged, routed, written to the outbox, and sent. As long as it arrives, all of that works.

use jiff::{SignedDuration, Timestamp};
use mainstay_alert::{AlertState, Observation};
use mainstay_catalog::response::{BEAT_ALERT, Beat, Watchdog, beat_labels, is_beat};
use mainstay_delivery::channel::Sent;
use mainstay_kernel::Labels;
use mainstay_kernel::effect::{Deliver, Outcome};

/// The beat that is due, if it was not raised yet, and the ends of earlier ones. Its number is the beginning of its
/// minute in milliseconds since 1970: it grows over restarts and over a restored backup without being kept anywhere.
#[must_use]
pub fn beat(watchdog: Option<&Watchdog>, alerts: &AlertState, now: Timestamp) -> Vec<Observation> {
    let wanted = watchdog.map(|watchdog| Beat::due(watchdog, now));
    let wanted = wanted.map(|beat| (beat_labels(beat.sequence), beat));
    let mut told = Vec::new();
    let mut raised = false;
    for alert in alerts.firing().map(|active| &active.alert) {
        if !is_beat(&alert.labels) {
            continue;
        }
        if wanted.as_ref().is_some_and(|(labels, _)| *labels == alert.labels) {
            raised = true;
            continue;
        }
        told.push(Observation {
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            starts_at: alert.starts_at,
            ended_at: Some(now),
            believed_for_ms: None,
        });
    }
    if let Some((labels, beat)) = wanted.filter(|_| !raised) {
        let every_s = SignedDuration::from_millis(beat.every_ms).as_secs();
        let description = format!("Mainstay is well and says so every {every_s} s; its silence pages");
        told.push(Observation {
            labels,
            annotations: Labels::new()
                .with("summary", beat.to_string())
                .with("description", description),
            starts_at: now,
            ended_at: None,
            believed_for_ms: None,
        });
    }
    told
}

/// What becomes of an attempt: a beat that cannot be delivered is not tried for ever, for later ones stand for it.
pub(crate) fn settled(sent: Sent, deliver: &Deliver, now: Timestamp) -> Sent {
    let Outcome::Retry { reason, .. } = &sent.outcome else {
        return sent;
    };
    if !deliver.message.subject.contains(BEAT_ALERT) {
        return sent;
    }
    let old = Beat::find(&deliver.message.body).is_some_and(|beat| {
        let age = now.duration_since(beat.at);
        age > SignedDuration::from_millis(beat.every_ms.saturating_mul(2))
    });
    match old {
        true => Sent::failed(format!("{reason}; a later beat stands for it")),
        false => sent,
    }
}
