//! Heartbeats of others.

use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::{Principal, Scope};
use mainstay_plane::telemetry::HeartbeatState as Stands;
use mainstay_web::Failure;
use mainstay_web::view::{Done, Heartbeat, HeartbeatState};

use super::{PlaneConsole, failure, not_found, sight};

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    pub(super) async fn heartbeat_list(&self, who: &Principal) -> Vec<Heartbeat> {
        let now = self.now();
        let heartbeats = self.telemetry.heartbeats();
        self.plane
            .look(|states| {
                let known = &states.catalog.response.heartbeats;
                let status = heartbeats.status(known, states.alerts, now);
                let ms = |duration: jiff::SignedDuration| u64::try_from(duration.as_millis()).unwrap_or(0);
                let all = known.values().zip(status).map(|(heartbeat, status)| Heartbeat {
                    name: heartbeat.id.value.clone(),
                    summary: heartbeat.summary.clone(),
                    state: match status.state {
                        Stands::Ok => HeartbeatState::Ok,
                        Stands::Late => HeartbeatState::Late,
                        Stands::Missed => HeartbeatState::Missed,
                        Stands::Waiting => HeartbeatState::Waiting,
                    },
                    last_at: status.last_at,
                    missed_at: status.missed_at,
                    interval_ms: ms(heartbeat.interval.value.0),
                    grace_ms: ms(heartbeat.grace.value.0),
                    severity: heartbeat.severity,
                    scope: Scope::from_labels(&heartbeat.alert_labels()),
                });
                all.filter(|heartbeat| sight::sees(who, &heartbeat.scope))
                    .collect()
            })
            .await
    }

    pub(super) async fn take_beat(&self, who: &Principal, name: &str) -> Result<Done, Failure> {
        let known = self
            .plane
            .look(|states| {
                let heartbeat = states.catalog.response.heartbeats.get(name);
                heartbeat.is_some_and(|heartbeat| sight::sees_alert(who, &heartbeat.alert_labels()))
            })
            .await;
        if !known {
            return Err(not_found(format!("heartbeat {name}")));
        }
        let heartbeats = self.telemetry.heartbeats();
        let (kept, named, now) = (heartbeats.clone(), name.to_owned(), self.now());
        // It waits for the disk.
        let written = tokio::task::spawn_blocking(move || kept.beat(&named, now)).await;
        let unavailable = |message: String| Failure::Unavailable { message };
        written
            .map_err(|error| unavailable(error.to_string()))?
            .map_err(|error| unavailable(format!("the beat cannot be written down: {error}")))?;
        let ended = self
            .plane
            .look(|states| heartbeats.ended(name, states.alerts))
            .await;
        if ended.is_empty() {
            return Ok(Done {
                message: format!("Heard {name}."),
                events: Vec::new(),
            });
        }
        let told = self.plane.observe(&who.actor, ended).await;
        let (done, _) =
            told.map_err(|error| failure(error, "The beat is kept; the next evaluation tells."))?;
        Ok(Done {
            message: format!("Heard {name}, which was missed: that is over."),
            events: done.into_iter().map(|done| done.id).collect(),
        })
    }
}
