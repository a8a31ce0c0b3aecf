//! The first screen.

use jiff::{SignedDuration, Timestamp};
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_incident::Incident as Known;
use mainstay_journal::Journal;
use mainstay_kernel::Principal;
use mainstay_kernel::fact::ChangeKind;
use mainstay_plane::States;
use mainstay_ui::chart::Mark;
use mainstay_ui::{Unit, time};
use mainstay_web::view::{
    AlertState, Banner, Change, Figure, FigureGroup, Look, Overview, Sentence, Share, Situation, Status,
};

use super::chart::Span;
use super::expression::{Filter, Reading, Yardstick, latency_p95};
use super::{PlaneConsole, elapsed_ms, sight, slo};

/// Incidents that ended in this time are shown as recent, at most [`RECENT_MAX`].
const RECENT: SignedDuration = SignedDuration::from_hours(24);
const RECENT_MAX: usize = 10;
/// The most firing alerts that are shown.
const ALERTS_MAX: usize = 20;
/// Data older than this is said to be old, in milliseconds: four scrapes of the usual interval.
const OLD_DATA_MS: u64 = 60_000;
/// Over which time incidents and changes are summed up.
const SUMMED_UP: SignedDuration = SignedDuration::from_hours(30 * 24);

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    pub(super) async fn overview_now(&self, who: &Principal, look: &Look) -> Overview {
        let now = self.now();
        let situation = self.situation_now(who).await;
        let (open, recent) = self.open_and_recent(who, look, now).await;
        let mut open = self.summaries(who, open).await;
        open.sort_by_key(|incident| (incident.severity, incident.started_at));
        let slos = self.slo_list(who, look, slo::GROUPS_IN_OVERVIEW);
        let mut alerts = self.alert_list(who, look).await;
        alerts.retain(|alert| alert.state == AlertState::Firing);
        alerts.truncate(ALERTS_MAX);
        let changes = self.change_list(who, look).await;
        let span = Span::until(now, look.range_ms);
        let marks: Vec<Mark> = changes.iter().map(mark).collect();
        let (grid, silent) = self.grid(who, look).await;
        let mut banners: Vec<Banner> = old_data(&situation, now).into_iter().collect();
        banners.extend(silent);
        if sight::sees_platform(who) {
            banners.extend(self.freezes().await);
        }
        Overview {
            sentence: Sentence::compose(&situation, &open, &slos),
            banners,
            recent: self.summaries(who, recent).await,
            alerts,
            slos,
            grid,
            charts: self.signals(who, look, span, &marks).await,
            figures: self.figures(who, look, now).await,
            changes,
            open,
        }
    }

    async fn open_and_recent(
        &self,
        who: &Principal,
        look: &Look,
        now: Timestamp,
    ) -> (Vec<Known>, Vec<Known>) {
        let since = now.saturating_sub(RECENT).unwrap_or(Timestamp::MIN);
        self.plane
            .look(|states| {
                let seen = |incident: &&Known| sight::knows_of(who, incident) && sight::is_in(look, incident);
                let open = states.incidents.open().filter(seen).cloned().collect();
                let ended = states.incidents.all().rev().filter(seen);
                let ended = ended.filter(|incident| incident.resolved_at.is_some_and(|at| at >= since));
                (open, ended.take(RECENT_MAX).cloned().collect())
            })
            .await
    }

    async fn figures(&self, who: &Principal, look: &Look, now: Timestamp) -> Vec<FigureGroup> {
        let traffic = self.traffic(who, look, now).await;
        if !sight::sees_platform(who) {
            return vec![traffic];
        }
        let lately = self.plane.look(|states| lately(states, now)).await;
        let stats = self.telemetry.store().stats();
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let held = FigureGroup {
            title: "Metrics held".to_owned(),
            figures: vec![
                plain("Series", Some(stats.series as f64), Unit::Count),
                plain(
                    "Samples",
                    Some((stats.head_samples + stats.block_samples) as f64),
                    Unit::Count,
                ),
                plain(
                    "On disk",
                    Some((stats.block_bytes + stats.wal_bytes) as f64),
                    Unit::Bytes,
                ),
            ],
        };
        vec![traffic, lately, held]
    }

    async fn traffic(&self, who: &Principal, look: &Look, now: Timestamp) -> FigureGroup {
        let filter = Filter::of(who, look);
        let reading = Reading {
            function: "rate",
            window: "2m",
            by: "",
            every_job: false,
        };
        let (yardstick, latency) = {
            let slos = self.telemetry.slos();
            let latency = latency_p95(&slos, &filter, "2m").map(|expr| expr.replace("cell, le", "le"));
            (Yardstick::of(&slos), latency)
        };
        let linked = sight::sees_platform(who);
        let mut figures = Vec::new();
        let exprs = yardstick.as_ref().and_then(|yardstick| {
            let requests = reading.total(&yardstick.sli, &filter)?;
            Some((requests, reading.bad_share(&yardstick.sli, &filter)?))
        });
        if let (Some(yardstick), Some((requests, failing))) = (yardstick, exprs) {
            figures.push(self.asked("Requests now", &requests, Unit::PerSecond, now).await);
            let mut figure = self.asked("Failing now", &failing, Unit::Ratio, now).await;
            let (alarming, budget) = (yardstick.alarming_share(), yardstick.budget_share());
            figure.status = match figure.value {
                Some(share) if share > alarming => Status::Breached,
                Some(share) if share > budget => Status::Warning,
                Some(_) => Status::Ok,
                None => Status::Unknown,
            };
            let budget = yardstick.objective.target.complement().map(Share);
            figure.target = budget.map(|budget| format!("{} may fail", budget.percent()));
            figures.push(figure);
        }
        if let Some(latency) = latency {
            figures.push(
                self.asked("95th percentile of latency", &latency, Unit::Seconds, now)
                    .await,
            );
        }
        if !linked {
            figures.iter_mut().for_each(|figure| figure.query = None);
        }
        FigureGroup {
            title: "Traffic, last 2 minutes".to_owned(),
            figures,
        }
    }

    async fn asked(&self, label: &str, expr: &str, unit: Unit, now: Timestamp) -> Figure {
        let values = self.questions.values_lately(expr, now.as_millisecond()).await;
        let value = values
            .first()
            .map(|(_, value)| *value)
            .filter(|value| value.is_finite());
        Figure {
            query: Some(expr.to_owned()),
            ..plain(label, value, unit)
        }
    }
}

fn plain(label: &str, value: Option<f64>, unit: Unit) -> Figure {
    Figure {
        label: label.to_owned(),
        value,
        unit,
        status: if value.is_some() {
            Status::Neutral
        } else {
            Status::Unknown
        },
        target: None,
        query: None,
    }
}

pub(super) fn mark(change: &Change) -> Mark {
    Mark {
        at_ms: change.at.as_millisecond(),
        text: change.summary.clone(),
        href: Some(mainstay_ui::url::path(&["why", &change.event.to_string()])),
    }
}

fn old_data(situation: &Situation, now: Timestamp) -> Option<Banner> {
    let age_ms = elapsed_ms(situation.data_at?, now);
    (age_ms > OLD_DATA_MS).then(|| Banner {
        status: Status::Unknown,
        text: format!(
            "The newest sample is {} old: what is shown was true then.",
            time::span(age_ms)
        ),
        event: None,
    })
}

/// Incidents and changes of the last 30 days, as far as they are at hand.
fn lately(states: &States<'_>, now: Timestamp) -> FigureGroup {
    let since = now.saturating_sub(SUMMED_UP).unwrap_or(Timestamp::MIN);
    let incidents: Vec<&Known> = states
        .incidents
        .all()
        .filter(|incident| incident.began_at >= since)
        .collect();
    let count = |kind: ChangeKind| {
        let changes = states.changes.changes().iter();
        changes
            .filter(|known| known.change.kind == kind && known.change.at >= since)
            .count()
    };
    let mean = |lengths: Vec<u64>| {
        #[expect(clippy::cast_precision_loss, reason = "a mean for people")]
        let mean = lengths.iter().sum::<u64>() as f64 / 1_000.0 / lengths.len() as f64;
        (!lengths.is_empty()).then_some(mean)
    };
    let acknowledged = incidents.iter().filter_map(|incident| {
        let (at, _) = incident.acknowledged.as_ref()?;
        Some(elapsed_ms(incident.declared_at, *at))
    });
    let mitigated = incidents
        .iter()
        .filter_map(|incident| Some(elapsed_ms(incident.began_at, incident.mitigated_at?)));
    let within = |label: &str, value: Option<f64>, target_s: f64, target: &str| Figure {
        status: match value {
            Some(value) if value <= target_s => Status::Ok,
            Some(_) => Status::Breached,
            None => Status::Neutral,
        },
        target: Some(target.to_owned()),
        ..plain(label, value, Unit::Seconds)
    };
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let counted = |label: &str, count: usize| plain(label, Some(count as f64), Unit::Count);
    let mut figures = vec![
        counted("Incidents", incidents.len()),
        counted("Deployments", count(ChangeKind::Deploy)),
        counted("Rollbacks", count(ChangeKind::Rollback)),
    ];
    if !incidents.is_empty() {
        figures.push(within(
            "Acknowledged after, mean",
            mean(acknowledged.collect()),
            300.0,
            "target ≤ 5 min (R14)",
        ));
        figures.push(within(
            "Mitigated after, mean",
            mean(mitigated.collect()),
            1_800.0,
            "target ≤ 30 min (R14)",
        ));
    }
    FigureGroup {
        title: "Last 30 days".to_owned(),
        figures,
    }
}
