//! What comes in: changes, other systems' alerts; and what the demo's inbox received.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use jiff::{SignedDuration, Timestamp};
use mainstay_alert::observation::{PostableAlert as Posted, from_api};
use mainstay_alert::{FIRING_MAX, FIRING_MAX_BYTES, Observation};
use mainstay_catalog::response::is_beat;
use mainstay_change::{ChangeCommand, CloudEvent};
use mainstay_delivery::channel::Channels;
use mainstay_delivery::inbox::{Messages, Via};
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::fact::ChangeRecorded;
use mainstay_kernel::labels::ALERT_NAME;
use mainstay_kernel::notification::GENERATOR_URL;
use mainstay_kernel::{Actor, Digest, EventId, IncidentId, Labels, Principal};
use mainstay_plane::telemetry::completions::CompletionsError;
use mainstay_plane::{Command, OBSERVED_AT_ONCE, PlaneError};
use mainstay_slo::completion::from_cloud_events;
use mainstay_web::Failure;
use mainstay_web::view::{Change, Done, InboxMessage, Look, PostableAlert};
use serde_json::Value;

use super::{PlaneConsole, before, failure, not_found, sight};

/// Room among the alerts that fire which is kept for Mainstay's own.
const RESERVED: usize = 10_000;
/// The same of their weight, in bytes.
const RESERVED_BYTES: usize = 32 << 20;
/// The most changes that a list has.
const CHANGES_MAX: usize = 1_000;
/// How long the inbox may take to answer, and how large its answer may be.
const INBOX_WITHIN: std::time::Duration = std::time::Duration::from_secs(3);
const INBOX_MAX_BYTES: usize = 64 << 20;
/// How many messages are shown.
const MESSAGES_MAX: usize = 500;

/// So many milliseconds from now.
fn ahead(now: Timestamp, ms: i64) -> Timestamp {
    now.saturating_add(SignedDuration::from_millis(ms))
        .unwrap_or(Timestamp::MAX)
}

pub(super) fn change_view(event: EventId, change: &ChangeRecorded) -> Change {
    Change {
        id: change.id.clone(),
        source: change.source.clone(),
        kind: change.kind,
        scope: change.scope.clone(),
        from_version: change.from_version.clone(),
        to_version: change.to_version.clone(),
        summary: change.summary.clone(),
        at: change.at,
        event,
    }
}

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    pub(super) async fn change_list(&self, who: &Principal, look: &Look) -> Vec<Change> {
        let since = before(self.now(), look.range_ms);
        self.plane
            .look(|states| {
                let seen = |change: &ChangeRecorded| {
                    change.at >= since
                        && sight::sees(who, &change.scope)
                        && change.scope.overlaps(&look.scope)
                };
                let known = states
                    .changes
                    .changes()
                    .iter()
                    .filter(|known| seen(&known.change));
                let mut changes: Vec<Change> = known
                    .map(|known| change_view(known.event, &known.change))
                    .collect();
                changes.sort_by_key(|change| std::cmp::Reverse(change.at));
                changes.truncate(CHANGES_MAX);
                changes
            })
            .await
    }

    pub(super) async fn take_change(&self, who: &Principal, event: Value) -> Result<Done, Failure> {
        let invalid = |message: String| {
            Failure::Invalid {
            message,
            help: "Send a CloudEvent 1.0 of type com.mainstay.change.deploy, .rollback or .configuration, with the service \
                   as subject and cell, from_version and to_version in its data."
                .to_owned(),
        }
        };
        let event: CloudEvent =
            serde_json::from_value(event).map_err(|error| invalid(format!("not a CloudEvent: {error}")))?;
        let change = event
            .into_change(self.now())
            .map_err(|error| invalid(error.to_string()))?;
        if !sight::sees(who, &change.scope) {
            return Err(invalid("the change concerns more than your tenants".to_owned()));
        }
        let summary = change.summary.clone();
        match self
            .submit(&who.actor, Command::Change(ChangeCommand::Record(change)))
            .await
        {
            Ok(events) => Ok(Done {
                message: format!("Recorded: {summary}."),
                events,
            }),
            Err(PlaneError::Refused(refused)) if refused.is_repetition() => Ok(Done {
                message: "It was recorded before.".to_owned(),
                events: Vec::new(),
            }),
            Err(error) => Err(failure(
                error,
                "Send it again with another id if it is another change.",
            )),
        }
    }

    pub(super) async fn take_completions(&self, events: Vec<Value>) -> Result<Done, Failure> {
        let invalid = |message: String| {
            Failure::Invalid {
            message,
            help: "Send CloudEvents 1.0 of type com.mainstay.completion.initiated, .finished or .heartbeat, with the payment \
                   as subject, its time, and in the data the stream and the tenant, or the state and the reason."
                .to_owned(),
        }
        };
        let count = events.len();
        let batches = from_cloud_events(events).map_err(invalid)?;
        let telemetry = Arc::clone(&self.telemetry);
        // It waits for the disk.
        let taken = tokio::task::spawn_blocking(move || telemetry.take_completions(&batches)).await;
        match taken {
            Ok(Ok(())) => Ok(Done {
                message: format!("Taken: {count} events."),
                events: Vec::new(),
            }),
            Ok(Err(error @ CompletionsError::Ahead { .. })) => Err(invalid(error.to_string())),
            Ok(Err(error)) => Err(Failure::Unavailable {
                message: format!("what became of payments cannot be written down: {error}"),
            }),
            Err(error) => Err(Failure::Internal {
                detail: error.to_string(),
            }),
        }
    }

    /// Notes until when alerts are to be believed: a Prometheus says with each repetition that an alert ends in a few
    /// minutes unless it is told again.
    fn believe(&self, told: &[Observation], now: Timestamp) {
        let mut believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        for one in told {
            let fingerprint = one.labels.fingerprint();
            match one.believed_for_ms {
                Some(ms) if believed.len() < FIRING_MAX => {
                    believed.insert(fingerprint, (one.labels.clone(), ahead(now, ms)));
                }
                _ => {
                    believed.remove(&fingerprint);
                }
            }
        }
    }

    /// After a start: whoever told of alerts before has as long as at first to tell of them again.
    pub(crate) async fn believe_again(&self) {
        let now = self.now();
        let look = self.plane.look(|states| {
            let told = states.alerts.firing().filter_map(|active| {
                let until = ahead(now, active.believed_for_ms?);
                Some((active.alert.fingerprint, (active.alert.labels.clone(), until)))
            });
            told.collect::<Vec<_>>()
        });
        let told = look.await;
        let mut believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        believed.extend(told);
    }

    /// Until when alerts of others are believed.
    pub(super) fn believed_until(&self) -> BTreeMap<Digest, Timestamp> {
        let believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        let until = believed.iter().map(|(id, (_, until))| (*id, *until));
        until.collect()
    }

    /// Ends the alerts of others that were not told again in time: their rule or their sender is gone.
    pub(crate) async fn expire(&self) -> Result<(), PlaneError> {
        let mut over = Vec::new();
        // Whoever tells one of them again meanwhile is believed.
        let next = || {
            let now = self.now();
            let mut believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
            let due = believed.extract_if(.., |_, (_, until)| *until <= now);
            let due: Vec<_> = due.take(OBSERVED_AT_ONCE).collect();
            let ended = due.iter().map(|(_, (labels, until))| Observation {
                labels: labels.clone(),
                annotations: Labels::new(),
                starts_at: *until,
                ended_at: Some(*until),
                believed_for_ms: None,
            });
            let ended = ended.collect();
            over.extend(due);
            ended
        };
        let ended = self.plane.observe_each(&Actor::machine("alert"), next).await;
        if ended.is_err() {
            // It is tried again.
            let mut believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
            for (fingerprint, kept) in over {
                believed.entry(fingerprint).or_insert(kept);
            }
        }
        ended.map(|_| ())
    }

    pub(super) async fn take_alerts(
        &self,
        who: &Principal,
        alerts: Vec<PostableAlert>,
    ) -> Result<Done, Failure> {
        if let Some(beat) = alerts.iter().find(|alert| is_beat(&alert.labels)) {
            // The watchdog would take it for a sign of life.
            return Err(Failure::Invalid {
                message: format!(
                    "the name {} is Mainstay's own",
                    beat.labels.get(ALERT_NAME).unwrap_or_default()
                ),
                help: "Call the alert something else; none of these alerts was taken.".to_owned(),
            });
        }
        let posted = alerts.into_iter().map(|alert| {
            let link = alert.generator_url.unwrap_or_default();
            let annotations: Labels = alert.annotations.with(GENERATOR_URL, link);
            Posted {
                labels: alert.labels,
                annotations,
                starts_at: alert.starts_at,
                ends_at: alert.ends_at,
            }
        });
        // One reading of the clock: what had not ended by it is believed until it has.
        let now = self.now();
        let (mut good, bad) = from_api(posted.collect(), now);
        self.counts.malformed.add(bad.len());
        let help = "Resolve some, or group them at their source.";
        let full = Failure::Unavailable {
            message: "more alerts fire than are kept, and not all of these were taken".to_owned(),
        };
        // Whoever floods us must not keep our own alerts out. What fires already is told again, or over, in any case.
        let told = good.len();
        let looked = self.plane.look(|states| {
            let is_new = |one: &Observation| {
                one.ended_at.is_none() && states.alerts.alert(&one.labels.fingerprint()).is_none()
            };
            let firing = states.alerts.firing().count();
            let new = good.iter().filter(|one| is_new(one)).count();
            let is_full = firing + new > FIRING_MAX - RESERVED
                || states.alerts.firing_bytes() > FIRING_MAX_BYTES - RESERVED_BYTES;
            if is_full {
                good.retain(|one| !is_new(one));
            }
        });
        looked.await;
        let without_room = told - good.len();
        let (done, shed) = self
            .plane
            .observe_noting(&who.actor, good, |told| self.believe(told, now))
            .await
            .map_err(|error| failure(error, help))?;
        let events = done.into_iter().map(|done| done.id).collect();
        let shed = shed + without_room;
        let taken = told - shed;
        self.counts.taken.add(taken);
        self.counts.no_room.add(shed);
        if shed > 0 && bad.is_empty() {
            return Err(full);
        }
        if bad.is_empty() {
            let plural = if taken == 1 { "alert" } else { "alerts" };
            return Ok(Done {
                message: format!("{taken} {plural} taken."),
                events,
            });
        }
        let reasons: Vec<String> = bad.iter().map(ToString::to_string).collect();
        Err(Failure::Invalid {
            message: reasons.join("; "),
            help: format!("The other {taken} were taken. Mend these and send them again."),
        })
    }

    pub(super) async fn inbox_messages(&self, who: &Principal) -> Result<Vec<InboxMessage>, Failure> {
        let address = self.inbox.as_deref().filter(|_| sight::sees_platform(who));
        let address = address.ok_or_else(|| not_found("an inbox"))?;
        let away = |error: reqwest::Error| {
            tracing::warn!(%error, "the inbox does not answer");
            Failure::Unavailable {
                message: "the inbox does not answer".to_owned(),
            }
        };
        let url = format!("{}/messages", address.trim_end_matches('/'));
        let answer = self
            .client
            .get(url)
            .timeout(INBOX_WITHIN)
            .send()
            .await
            .map_err(away)?;
        let mut answer = answer.error_for_status().map_err(away)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(away)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > INBOX_MAX_BYTES {
                return Err(Failure::Unavailable {
                    message: format!("the inbox holds more than {INBOX_MAX_BYTES} bytes"),
                });
            }
        }
        let messages: Messages = serde_json::from_slice(&bytes).map_err(|error| Failure::Internal {
            detail: format!(
                "the inbox answered with {} bytes that are no messages: {error}",
                bytes.len()
            ),
        })?;
        let incidents: Vec<IncidentId> = self
            .plane
            .look(|states| {
                states
                    .incidents
                    .all()
                    .map(|incident| incident.id.clone())
                    .collect()
            })
            .await;
        let newest = messages.messages.iter().rev().take(MESSAGES_MAX);
        Ok(newest
            .map(|message| {
                let about = |id: &&IncidentId| {
                    message.text.contains(id.as_str()) || message.subject.contains(id.as_str())
                };
                let chat = message.channel.clone().into_iter();
                let body = message
                    .text
                    .strip_prefix(&message.subject)
                    .unwrap_or(&message.text);
                InboxMessage {
                    at: message
                        .received_at
                        .round(jiff::Unit::Millisecond)
                        .unwrap_or(message.received_at),
                    channel: match message.via {
                        Via::Email => "email",
                        Via::Chat => "chat",
                        Via::Webhook => "webhook",
                        Via::Sms => "sms",
                        Via::Voice => "voice",
                    }
                    .to_owned(),
                    to: message
                        .to
                        .iter()
                        .cloned()
                        .chain(chat)
                        .collect::<Vec<_>>()
                        .join(", "),
                    subject: message.subject.clone(),
                    body: body.trim().to_owned(),
                    incident: incidents.iter().rev().find(about).cloned(),
                }
            })
            .collect())
    }
}
