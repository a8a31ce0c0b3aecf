//! Alerts, groups and silences that are always the same.

use mainstay_kernel::{Labels, Matcher, Principal, Severity};
use mainstay_web::view::*;
use mainstay_web::{Alertmanager, Answer, Failure};

use super::data::{self, at};
use super::{Fake, TENANT};

fn alert() -> GettableAlert {
    GettableAlert {
        labels: [
            ("alertname", "HighErrorRate"),
            ("cell", "cell-5"),
            ("priority", "P0"),
            ("tenant", TENANT),
        ]
        .into_iter()
        .collect(),
        annotations: Labels::new().with("summary", "High error rate"),
        starts_at: at("2025-01-15T10:15:00Z"),
        ends_at: at("2025-01-15T10:20:00Z"),
        updated_at: at("2025-01-15T10:15:00Z"),
        fingerprint: "c0ffee".to_owned(),
        receivers: vec![Named {
            name: "on-call".to_owned(),
        }],
        status: AlertStatus {
            state: AlertTold::Suppressed,
            silenced_by: vec!["s-1".to_owned()],
            inhibited_by: Vec::new(),
            muted_by: Vec::new(),
        },
        generator_url: String::new(),
    }
}

fn silence() -> GettableSilence {
    GettableSilence {
        id: "s-1".to_owned(),
        status: SilenceState {
            state: "active".to_owned(),
        },
        updated_at: at("2025-01-15T10:00:00Z"),
        matchers: vec![Matcher::equal("cell", "cell-5")],
        starts_at: at("2025-01-15T10:00:00Z"),
        ends_at: at("2025-01-15T11:00:00Z"),
        created_by: "ada".to_owned(),
        comment: "planned".to_owned(),
    }
}

/// One that a silence and another alert hold back.
pub(super) fn held_alert() -> Alert {
    let back = |kind, by: &str| HeldBack {
        kind,
        by: by.to_owned(),
        silence: None,
        alert: None,
    };
    Alert {
        state: AlertState::Silenced,
        held_back: vec![
            HeldBack {
                silence: Some("s-1".to_owned()),
                ..back(HeldKind::Silenced, "ada until 2025-01-15T11:00:00Z: planned")
            },
            HeldBack {
                alert: Some("c0ffee".to_owned()),
                ..back(HeldKind::Inhibited, "CellDown")
            },
        ],
        ..data::alert("SlowQueries", Severity::P2, "3", "up")
    }
}

impl Alertmanager for Fake {
    fn gettable_alerts<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<GettableAlert>> {
        self.heard("gettable_alerts", who);
        Box::pin(async move { Ok(Self::if_seen(who, "it", vec![alert()]).unwrap_or_default()) })
    }

    fn alert_groups<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<AlertGroup>> {
        self.heard("alert_groups", who);
        let group = AlertGroup {
            labels: Labels::new().with("cell", "cell-5"),
            receiver: Named {
                name: "on-call".to_owned(),
            },
            alerts: vec![alert()],
        };
        Box::pin(async move { Ok(Self::if_seen(who, "it", vec![group]).unwrap_or_default()) })
    }

    fn silences<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<GettableSilence>> {
        self.heard("silences", who);
        Box::pin(async move { Ok(vec![silence()]) })
    }

    fn silence<'a>(&'a self, who: &'a Principal, silence: PostableSilence) -> Answer<'a, String> {
        self.heard("silence", who);
        *self.silenced.lock().expect("no test panics while it asks") = Some(silence.clone());
        Box::pin(async move {
            match silence.id.as_deref() {
                None | Some("s-1") => Ok("s-2".to_owned()),
                Some(id) => Err(Failure::NotFound {
                    what: format!("silence {id}"),
                }),
            }
        })
    }

    fn end_silence<'a>(&'a self, who: &'a Principal, id: &'a str) -> Answer<'a, ()> {
        self.heard("end_silence", who);
        Box::pin(async move {
            match id {
                "s-1" => Ok(()),
                _ => Err(Failure::NotFound {
                    what: format!("silence {id}"),
                }),
            }
        })
    }

    fn receivers<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<Named>> {
        self.heard("receivers", who);
        Box::pin(async move { Ok(alert().receivers) })
    }

    fn alertmanager_status<'a>(&'a self, who: &'a Principal) -> Answer<'a, AlertmanagerStatus> {
        self.heard("alertmanager_status", who);
        let status = AlertmanagerStatus {
            cluster: ClusterStatus {
                status: "disabled".to_owned(),
                peers: Vec::new(),
            },
            version_info: VersionInfo {
                version: "0.1.0".to_owned(),
                revision: String::new(),
                branch: String::new(),
                build_user: String::new(),
                build_date: String::new(),
                go_version: String::new(),
            },
            config: OriginalConfig {
                original: "{}".to_owned(),
            },
            uptime: at("2025-01-15T10:00:00Z"),
        };
        Box::pin(async move { Ok(status) })
    }
}
