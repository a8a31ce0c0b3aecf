//! Alerts, groups and silences for clients of Alertmanager.

use jiff::{SignedDuration, Timestamp};
use mainstay_alert::{
    ActiveAlert, AlertCommand, AlertRefusal, Silence, SilenceDraft, SilenceId, SilenceStatus, Suppressions,
    group_labels,
};
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::notification::GENERATOR_URL;
use mainstay_kernel::{Digest, Labels, Principal};
use mainstay_plane::{Command, PlaneError, Refused, States};
use mainstay_web::Failure;
use mainstay_web::view::{
    AlertGroup, AlertStatus, AlertTold, AlertmanagerStatus, ClusterStatus, GettableAlert, GettableSilence,
    Named, OriginalConfig, PostableSilence, SilenceState, VersionInfo,
};

use super::{PlaneConsole, failure, not_found, sight};

/// For how long an alert is believed whose source said nothing of it: Alertmanager's `resolve_timeout`.
const BELIEVED_FOR: SignedDuration = SignedDuration::from_mins(5);

fn named(name: &str) -> Named {
    Named {
        name: name.to_owned(),
    }
}

/// As an Alertmanager would call the alert: its clients put the two together.
pub(super) fn fingerprint(labels: &Labels) -> String {
    format!("{:016x}", labels.fnv_fingerprint())
}

fn gettable(
    states: &States<'_>,
    suppressions: &Suppressions<'_>,
    active: &ActiveAlert,
    ends_at: Timestamp,
) -> GettableAlert {
    let alert = &active.alert;
    let held = suppressions.of(active);
    let groups = active.groups.iter().filter_map(|name| states.alerts.group(name));
    // In the order of the routes.
    let mut receivers: Vec<Named> = Vec::new();
    for receiver in groups.map(|group| named(&group.placement.receiver)) {
        if !receivers.contains(&receiver) {
            receivers.push(receiver);
        }
    }
    GettableAlert {
        labels: alert.labels.clone(),
        annotations: alert.annotations.filtered(|name| name != GENERATOR_URL),
        starts_at: alert.starts_at,
        ends_at,
        updated_at: alert.starts_at,
        fingerprint: fingerprint(&alert.labels),
        receivers,
        status: AlertStatus {
            state: if held.is_none() {
                AlertTold::Active
            } else {
                AlertTold::Suppressed
            },
            silenced_by: held.silenced_by.iter().map(ToString::to_string).collect(),
            inhibited_by: held
                .inhibited_by
                .iter()
                .filter_map(|id| states.alerts.alert(id))
                .map(|source| fingerprint(&source.alert.labels))
                .collect(),
            muted_by: held.muted_by.into_iter().chain(held.flapping).collect(),
        },
        generator_url: alert
            .annotations
            .get(GENERATOR_URL)
            .unwrap_or_default()
            .to_owned(),
    }
}

fn gettable_silence(silence: &Silence, now: Timestamp) -> GettableSilence {
    let state = match silence.status(now) {
        SilenceStatus::Pending => "pending",
        SilenceStatus::Active => "active",
        SilenceStatus::Expired => "expired",
    };
    GettableSilence {
        id: silence.id.to_string(),
        status: SilenceState {
            state: state.to_owned(),
        },
        updated_at: silence.updated_at,
        matchers: silence.matchers.clone(),
        starts_at: silence.starts_at,
        ends_at: silence.ends_at,
        created_by: silence.created_by.clone(),
        comment: silence.comment.clone(),
    }
}

/// The name of a new silence: a UUID by what it is of, who makes it and when.
fn name_of(draft: &SilenceDraft, who: &Principal, now: Timestamp) -> SilenceId {
    let mut parts = vec![
        who.actor.subject.clone(),
        now.to_string(),
        draft.ends_at.to_string(),
    ];
    parts.extend(draft.matchers.iter().map(ToString::to_string));
    let parts: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
    let hex = Digest::of_parts(&parts).to_string();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    SilenceId::new(format!(
        "{}-{}-4{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    ))
}

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    /// Tells every alert that fires and that the reader may see to `tell`, with what is said of it.
    async fn each_firing<T: Send>(
        &self,
        who: &Principal,
        tell: impl Fn(&States<'_>, &ActiveAlert, GettableAlert) -> Vec<T> + Send,
    ) -> Vec<T> {
        let now = self.now();
        let believed = self.believed_until();
        self.plane
            .look(|states| {
                let routing = &states.catalog.response.routing;
                let suppressions = Suppressions::at(states.alerts, routing, now);
                let seen = |active: &&ActiveAlert| sight::sees_alert(who, &active.alert.labels);
                let firing = states.alerts.firing().filter(seen);
                let told = firing.flat_map(|active| {
                    let until = believed.get(&active.alert.fingerprint).copied();
                    let ends_at = until.unwrap_or(now + BELIEVED_FOR);
                    tell(states, active, gettable(states, &suppressions, active, ends_at))
                });
                told.collect()
            })
            .await
    }

    pub(super) async fn alerts_firing(&self, who: &Principal) -> Vec<GettableAlert> {
        self.each_firing(who, |_, _, alert| vec![alert]).await
    }

    pub(super) async fn groups_firing(&self, who: &Principal) -> Vec<AlertGroup> {
        let members = self
            .each_firing(who, |states, active, alert| {
                let groups = active.groups.iter().filter_map(|name| {
                    let group = states.alerts.group(name)?;
                    let routing = &states.catalog.response.routing;
                    let labels = group_labels(routing, &active.alert.labels, name).unwrap_or_default();
                    Some((
                        name.clone(),
                        group.placement.receiver.clone(),
                        labels,
                        alert.clone(),
                    ))
                });
                groups.collect()
            })
            .await;
        let mut groups = std::collections::BTreeMap::new();
        for (name, receiver, labels, alert) in members {
            let group = groups.entry(name).or_insert_with(|| AlertGroup {
                labels,
                receiver: named(&receiver),
                alerts: Vec::new(),
            });
            group.alerts.push(alert);
        }
        groups.into_values().collect()
    }

    pub(super) async fn silence_list(&self) -> Vec<GettableSilence> {
        let now = self.now();
        let list = |states: &States<'_>| {
            let silences = states.alerts.silences();
            silences.map(|silence| gettable_silence(silence, now)).collect()
        };
        self.plane.look(list).await
    }

    pub(super) async fn set_silence(
        &self,
        who: &Principal,
        silence: PostableSilence,
    ) -> Result<String, Failure> {
        let now = self.now();
        let draft = SilenceDraft {
            changes: silence.id.filter(|id| !id.is_empty()).map(SilenceId::new),
            matchers: silence.matchers,
            starts_at: silence.starts_at,
            ends_at: silence.ends_at,
            created_by: silence.created_by,
            comment: silence.comment,
        };
        let command = AlertCommand::Silence(name_of(&draft, who, now), draft);
        let done = self
            .plane
            .submit(who.actor.clone(), Command::Alert(command))
            .await;
        let done = done.map_err(silence_failure)?;
        let made = done.iter().find(|done| done.kind == "alert.silenced");
        let id = made.and_then(|made| made.stream.split_once('/'));
        let (_, id) = id.ok_or_else(|| Failure::Internal {
            detail: "a silence was made without an event".to_owned(),
        })?;
        Ok(id.to_owned())
    }

    pub(super) async fn expire_silence(&self, who: &Principal, id: &str) -> Result<(), Failure> {
        let command = AlertCommand::EndSilence(SilenceId::new(id));
        let done = self
            .plane
            .submit(who.actor.clone(), Command::Alert(command))
            .await;
        done.map(|_| ()).map_err(silence_failure)
    }

    pub(super) async fn receiver_list(&self) -> Vec<Named> {
        let list = |states: &States<'_>| {
            let receivers = states.catalog.response.routing.receivers.keys();
            receivers.map(|name| named(name)).collect()
        };
        self.plane.look(list).await
    }

    pub(super) async fn routing_status(&self) -> AlertmanagerStatus {
        let config = |states: &States<'_>| states.catalog.response.routing.to_alertmanager();
        let config = self.plane.look(config).await;
        AlertmanagerStatus {
            cluster: ClusterStatus {
                status: "disabled".to_owned(),
                peers: Vec::new(),
            },
            version_info: VersionInfo {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                revision: String::new(),
                branch: String::new(),
                build_user: String::new(),
                build_date: String::new(),
                go_version: String::new(),
            },
            config: OriginalConfig {
                original: serde_json::to_string_pretty(&config).unwrap_or_default(),
            },
            uptime: self.program.started_at,
        }
    }
}

fn silence_failure(error: PlaneError) -> Failure {
    match &error {
        PlaneError::Refused(Refused::Alert(AlertRefusal::UnknownSilence(id))) => {
            not_found(format!("silence {id}"))
        }
        _ => failure(error, "See `mainstay silence list`."),
    }
}
