//! The course of an incident: its clocks, its timeline, what keeps it open.

use jiff::{SignedDuration, Timestamp};
use mainstay_incident::{Incident as Known, Phase, TimelineKind};
use mainstay_kernel::Principal;
use mainstay_kernel::fact::AlertFact;
use mainstay_web::view::{Clock, Status, TimelineEntry};

use super::{elapsed_ms, sight};

/// Targets of the specification ("Incident Metrics"; ruling R14), as in the post-mortem's form.
const DETECT: SignedDuration = SignedDuration::from_mins(5);
const ACKNOWLEDGE: SignedDuration = SignedDuration::from_mins(5);
const MITIGATE: SignedDuration = SignedDuration::from_mins(30);
const RESOLVE: SignedDuration = SignedDuration::from_hours(4);

/// Why an incident cannot be resolved yet.
pub(super) fn resolve_blocked(incident: &Known) -> Option<String> {
    if !incident.is_open() {
        return None;
    }
    let mut names: Vec<&str> = incident.firing().map(AlertFact::name).collect();
    let firing = names.len();
    names.sort_unstable();
    names.dedup();
    (firing > 0).then(|| {
        let plural = if firing == 1 {
            "alert still fires"
        } else {
            "alerts still fire"
        };
        format!(
            "{firing} {plural} ({}); `mainstay incident resolve --note REASON` does it anyway",
            names.join(", ")
        )
    })
}

/// The clocks of an incident against their targets, from the first failure on unless said otherwise.
pub(super) fn clocks(incident: &Known, now: Timestamp) -> Vec<Clock> {
    let ended = incident.resolved_at;
    let clock = |name: &str, from: Timestamp, to: Option<Timestamp>, target: SignedDuration| {
        let elapsed = elapsed_ms(from, to.or(ended).unwrap_or(now));
        let target = u64::try_from(target.as_millis()).unwrap_or(0);
        let running = to.is_none() && ended.is_none();
        Clock {
            name: name.to_owned(),
            target_ms: target,
            elapsed_ms: elapsed,
            running,
            status: match () {
                () if elapsed > target => Status::Breached,
                () if running && elapsed * 10 > target * 7 => Status::Warning,
                () => Status::Ok,
            },
        }
    };
    let began = incident.began_at;
    let acknowledged = incident.acknowledged.as_ref().map(|(at, _)| *at);
    let mut clocks = vec![
        clock("detect", began, Some(incident.declared_at), DETECT),
        clock(
            "acknowledge (from the page)",
            incident.declared_at,
            acknowledged,
            ACKNOWLEDGE,
        ),
        clock("mitigate", began, incident.mitigated_at, MITIGATE),
        clock("resolve", began, ended, RESOLVE),
    ];
    if incident.is_open() && incident.phase < Phase::Resolution {
        clocks.push(clock(
            &format!("leave {}", incident.phase),
            began,
            None,
            incident.phase.target(),
        ));
    }
    clocks
}

fn kind_word(kind: TimelineKind) -> &'static str {
    match kind {
        TimelineKind::Incident => "phase",
        TimelineKind::Alert => "alert",
        TimelineKind::Page => "page",
        TimelineKind::Change => "change",
        TimelineKind::Runbook => "action",
        TimelineKind::Impact => "impact",
        TimelineKind::Note => "note",
    }
}

/// What happened. Lines may name other tenants, so who is limited to some sees the turning points alone.
pub(super) fn timeline(who: &Principal, incident: &Known) -> Vec<TimelineEntry> {
    if sight::sees(who, &incident.scope) {
        let entries = incident.timeline_by_time().into_iter();
        return entries
            .map(|entry| TimelineEntry {
                at: entry.at,
                kind: kind_word(entry.kind).to_owned(),
                actor: entry.actor.to_string(),
                text: entry.text.clone(),
                event: Some(entry.event),
                link: None,
            })
            .collect();
    }
    let turns = [
        (Some(incident.began_at), "first failing request"),
        (Some(incident.declared_at), "incident declared"),
        (
            incident.acknowledged.as_ref().map(|(at, _)| *at),
            "an engineer works on it",
        ),
        (incident.mitigated_at, "last failing request"),
        (incident.resolved_at, "resolved"),
    ];
    let turn = |(at, text): (Option<Timestamp>, &str)| {
        Some(TimelineEntry {
            at: at?,
            kind: "phase".to_owned(),
            actor: "mainstay".to_owned(),
            text: text.to_owned(),
            event: None,
            link: None,
        })
    };
    turns.into_iter().filter_map(turn).collect()
}
