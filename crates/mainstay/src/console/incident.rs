//! Incidents: the list, and one of them in full.

use std::collections::BTreeSet;

use jiff::Timestamp;
use mainstay_alert::Suppressions;
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_incident::Incident as Known;
use mainstay_journal::Journal;
use mainstay_kernel::fact::{ChangeKind, ChangeRecorded};
use mainstay_kernel::{IncidentId, Labels, Principal, Scope, TenantId};
use mainstay_plane::Judge;
use mainstay_review::suspects;
use mainstay_slo::{Counts, Objective, SloEngine};
use mainstay_ui::{Unit, number};
use mainstay_web::Failure;
use mainstay_web::view::{Bridge, Impact, Incident, IncidentSummary, Look, Suspect, TenantImpact};

use super::course::{clocks, resolve_blocked, timeline};
use super::expression::{Filter, Reading};
use super::inbound::change_view;
use super::{PlaneConsole, alert, no_incident, page, runbook, sight};

/// The most incidents that a list has.
const LIST_MAX: usize = 500;
/// For how many of the newest ended incidents of a list the suspects are ranked again.
const SUSPECTS_OF_ENDED: usize = 20;
/// Counts are kept in slices of this length: the first failure lies in the slice that begins so long before.
const SLICE_MS: i64 = 10_000;

/// What was counted at the place of an incident while it lasted.
struct Counted<'a> {
    slos: &'a SloEngine,
    objective: &'a Objective,
    place: Labels,
    from_ms: i64,
    to_ms: i64,
}

impl<'a> Counted<'a> {
    fn of(slos: &'a SloEngine, incident: &Known, now: Timestamp) -> Option<Self> {
        let objective = slos.yardstick()?;
        Some(Self {
            slos,
            objective,
            place: objective.group_of(&incident.scope),
            from_ms: incident.began_at.as_millisecond() - SLICE_MS,
            to_ms: incident.resolved_at.unwrap_or(now).as_millisecond(),
        })
    }

    fn in_group(&self, group: &Labels) -> Option<Counts> {
        let window = self
            .slos
            .window(&self.objective.sli, group, self.from_ms, self.to_ms)?;
        Some(window.counts)
    }

    fn whole(&self) -> Option<Counts> {
        self.in_group(&self.place)
    }

    /// The tenants at the place with their counts.
    fn tenants(&self) -> Vec<(TenantId, Counts)> {
        let place = &self.place;
        let width = place.len() + usize::from(place.get("tenant").is_none());
        let inside = |group: &&Labels| {
            group.len() == width && place.iter().all(|(name, value)| group.get(name) == Some(value))
        };
        let groups = self.slos.groups(&self.objective.sli).filter(inside);
        groups
            .filter_map(|group| Some((sight::tenant_of(group)?, self.in_group(group)?)))
            .collect()
    }

    /// The same, summed up for the tenants that the reader may see.
    fn seen_by(&self, who: &Principal) -> Option<Counts> {
        let mine = self
            .tenants()
            .into_iter()
            .filter(|(tenant, _)| who.sees(Some(tenant)));
        mine.map(|(_, counts)| counts).reduce(|a, b| Counts {
            bad: a.bad + b.bad,
            total: a.total + b.total,
        })
    }
}

/// `payment-service v1.6.0 in cell-5`.
pub(super) fn changed_thing(change: &ChangeRecorded) -> String {
    let scope = &change.scope;
    let service = scope
        .service
        .as_ref()
        .map_or_else(|| "the platform".to_owned(), ToString::to_string);
    let version = change
        .to_version
        .as_ref()
        .map(|version| format!(" {version}"))
        .unwrap_or_default();
    let cell = scope
        .cell
        .as_ref()
        .map(|cell| format!(" in {cell}"))
        .unwrap_or_default();
    format!("{service}{version}{cell}")
}

pub(super) fn verb(kind: ChangeKind) -> (&'static str, &'static str) {
    match kind {
        ChangeKind::Deploy => ("Deploy", "deployed"),
        ChangeKind::Rollback => ("Rollback", "rolled back"),
        ChangeKind::Configuration => ("Configuration", "configured"),
    }
}

fn suspect_line(change: &ChangeRecorded) -> String {
    format!(
        "{}, {} {} UTC",
        changed_thing(change),
        verb(change.kind).1,
        change.at.strftime("%H:%M:%S")
    )
}

/// Whom an incident hits: by the counts, and by what its alerts name, which may be another system's and counted nowhere
/// here.
fn hit(incident: &Known) -> BTreeSet<TenantId> {
    let named = incident.alerts.values();
    let named = named.filter_map(|attached| sight::tenant_of(&attached.alert.labels));
    incident.impact.tenants.iter().cloned().chain(named).collect()
}

/// The title as the reader may see it: to who is limited to some tenants it may name others.
fn title(who: &Principal, incident: &Known) -> String {
    if sight::sees(who, &incident.scope) {
        return incident.title.clone();
    }
    let scope = Scope {
        tenant: None,
        ..incident.scope.clone()
    };
    format!(
        "Trouble {}",
        if scope == Scope::platform() {
            "on the platform".to_owned()
        } else {
            scope.to_string()
        }
    )
}

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    /// The likeliest cause so far.
    async fn suspect(&self, id: &IncidentId) -> Option<String> {
        let facts = self.plane.postmortem_facts(id).await?;
        suspects(&facts)
            .first()
            .map(|suspect| suspect_line(&suspect.change))
    }

    pub(super) async fn incident_list(&self, who: &Principal, look: &Look) -> Vec<IncidentSummary> {
        let known = self.plane.look(|states| {
            let seen = |incident: &&Known| sight::knows_of(who, incident) && sight::is_in(look, incident);
            let mut known: Vec<Known> = states.incidents.all().rev().filter(seen).cloned().collect();
            known.sort_by_key(|incident| !incident.is_open());
            known.truncate(LIST_MAX);
            known
        });
        self.summaries(who, known.await).await
    }

    /// What lists say of incidents.
    pub(super) async fn summaries(&self, who: &Principal, known: Vec<Known>) -> Vec<IncidentSummary> {
        let mut summaries = Vec::new();
        let mut ended = 0;
        for incident in known {
            ended += usize::from(!incident.is_open());
            let ranked = sight::sees_platform(who) && ended <= SUSPECTS_OF_ENDED;
            let suspect = if ranked {
                self.suspect(&incident.id).await
            } else {
                None
            };
            summaries.push(self.summary(who, &incident, suspect));
        }
        summaries
    }

    fn summary(&self, who: &Principal, incident: &Known, suspect: Option<String>) -> IncidentSummary {
        let now = self.now();
        let slos = self.telemetry.slos();
        let counted = Counted::of(&slos, incident, now);
        let all = sight::sees(who, &incident.scope);
        let counts = counted.as_ref().and_then(|counted| {
            if all {
                counted.whole()
            } else {
                counted.seen_by(who)
            }
        });
        let by = incident
            .acknowledged
            .as_ref()
            .map(|(_, actor)| actor.subject.clone());
        let tenants = hit(incident).into_iter().filter(|tenant| who.sees(Some(tenant)));
        IncidentSummary {
            id: incident.id.clone(),
            severity: incident.severity,
            title: title(who, incident),
            phase: incident.phase.to_string(),
            shadow: incident.shadow,
            scope: Scope {
                tenant: incident
                    .scope
                    .tenant
                    .clone()
                    .filter(|tenant| who.sees(Some(tenant))),
                ..incident.scope.clone()
            },
            started_at: incident.began_at,
            resolved_at: incident.resolved_at,
            tenants: tenants.map(|tenant| tenant.to_string()).collect(),
            failed_requests: counts.filter(|counts| counts.total > 0).map(|counts| counts.bad),
            acknowledged_by: by.map(|by| {
                if all {
                    by
                } else {
                    "the on-call engineer".to_owned()
                }
            }),
            suspect,
        }
    }

    pub(super) async fn incident_in_full(
        &self,
        who: &Principal,
        id: &IncidentId,
    ) -> Result<Incident, Failure> {
        let now = self.now();
        let found = self.plane.look(|states| {
            let incident = states
                .incidents
                .get(id)
                .filter(|incident| sight::knows_of(who, incident))
                .cloned()?;
            let all = sight::sees(who, &incident.scope);
            let attached = incident
                .alerts
                .values()
                .filter(|attached| sight::sees_alert(who, &attached.alert.labels));
            let suppressions = Suppressions::at(states.alerts, &states.catalog.response.routing, now);
            let alerts = attached
                .map(|attached| alert::view(states, &suppressions, who, &attached.alert, attached.ended_at));
            Some((
                alerts.collect::<Vec<_>>(),
                if all {
                    page::known(states, id, now)
                } else {
                    Vec::new()
                },
                if all {
                    runbook::serving(states, &incident)
                } else {
                    Vec::new()
                },
                all && states.oncall.pages_of(id).any(mainstay_oncall::Page::is_climbing),
                states.catalog.clone(),
                incident,
            ))
        });
        let (mut alerts, pages, runbooks, awaits_acknowledgement, catalog, incident) =
            found.await.ok_or_else(|| no_incident(id))?;
        let all = sight::sees(who, &incident.scope);
        alerts.sort_by_key(|alert| {
            (
                alert.state == mainstay_web::view::AlertState::Resolved,
                alert.severity,
                alert.since,
            )
        });
        let suspects = if all {
            self.suspects(&incident).await
        } else {
            Vec::new()
        };
        let first = suspects.first().map(|(_, line)| line.clone());
        let mut changes: Vec<_> = incident
            .changes
            .iter()
            .filter(|linked| sight::sees(who, &linked.change.scope))
            .map(|linked| change_view(linked.event, &linked.change))
            .collect();
        changes.sort_by_key(|change| std::cmp::Reverse(change.at));
        Ok(Incident {
            bridge: self.bridge(who, &incident),
            summary: self.summary(who, &incident, first),
            clocks: clocks(&incident, now),
            impact: self.impact(who, &incident),
            pages: self.pages(pages).await,
            timeline: timeline(who, &incident),
            suspects: suspects.into_iter().map(|(suspect, _)| suspect).collect(),
            alerts: self.with_values(who, alerts, &catalog).await,
            changes,
            runbooks,
            charts: self.incident_charts(who, &incident).await,
            awaits_acknowledgement,
            resolve_blocked: resolve_blocked(&incident),
            has_postmortem: sight::sees_platform(who),
        })
    }

    /// Where those who work on it meet, while they do.
    fn bridge(&self, who: &Principal, incident: &Known) -> Option<Bridge> {
        let meets = incident.is_open() && sight::sees_platform(who);
        let directory = self.plane.directory();
        let bridge = directory.bridge(incident.severity).filter(|_| meets)?;
        Some(Bridge {
            url: bridge.url.clone(),
            phone: bridge.phone.clone(),
        })
    }

    async fn suspects(&self, incident: &Known) -> Vec<(Suspect, String)> {
        let Some(facts) = self.plane.postmortem_facts(&incident.id).await else {
            return Vec::new();
        };
        let event = |change: &ChangeRecorded| {
            let same = |linked: &&mainstay_incident::model::LinkedChange| {
                linked.change.id == change.id && linked.change.source == change.source
            };
            incident.changes.iter().find(same).map(|linked| linked.event)
        };
        suspects(&facts)
            .into_iter()
            .map(|suspect| {
                let change = &suspect.change;
                let view = Suspect {
                    title: format!("{} of {}", verb(change.kind).0, changed_thing(change)),
                    at: change.at,
                    event: event(change),
                    evidence: suspect.evidence.clone(),
                };
                (view, suspect_line(change))
            })
            .collect()
    }

    fn impact(&self, who: &Principal, incident: &Known) -> Impact {
        let now = self.now();
        let until = incident.resolved_at.unwrap_or(now);
        let all = sight::sees(who, &incident.scope);
        let measured = self
            .telemetry
            .verdict(&incident.scope, Some(incident.began_at), until);
        let slos = self.telemetry.slos();
        let counted = Counted::of(&slos, incident, now);
        let counts = if all {
            measured.map(|verdict| Counts {
                bad: verdict.impact.bad,
                total: verdict.impact.total,
            })
        } else {
            counted.as_ref().and_then(|counted| counted.seen_by(who))
        };
        let counts = counts.filter(|counts| counts.total > 0);
        let mut tenants: Vec<TenantImpact> = counted
            .iter()
            .flat_map(Counted::tenants)
            .filter(|(tenant, counts)| counts.bad > 0 && who.sees(Some(tenant)))
            .map(|(tenant, counts)| TenantImpact {
                tenant: tenant.to_string(),
                failed_requests: Some(counts.bad),
            })
            .collect();
        let named = hit(incident).into_iter().filter(|tenant| who.sees(Some(tenant)));
        for tenant in named.map(|tenant| tenant.to_string()) {
            if !tenants.iter().any(|known| known.tenant == tenant) {
                tenants.push(TenantImpact {
                    tenant,
                    failed_requests: None,
                });
            }
        }
        tenants.sort_by_key(|hit| (std::cmp::Reverse(hit.failed_requests), hit.tenant.clone()));
        let query = counted
            .as_ref()
            .filter(|_| sight::sees_platform(who))
            .and_then(|counted| {
                let sli = slos.indicators().find(|sli| sli.name == counted.objective.sli)?;
                let window = format!("{}s", ((counted.to_ms - counted.from_ms) / 1_000).max(60));
                let reading = Reading {
                    function: "increase",
                    window: &window,
                    by: "tenant",
                    every_job: false,
                };
                let bad = reading.bad(sli, &Filter::of_group(&counted.place))?;
                Some(match incident.resolved_at {
                    None => bad,
                    Some(_) => bad.replace("])", &format!("] @ {})", counted.to_ms / 1_000)),
                })
            });
        Impact {
            text: impact_text(counts, tenants.len(), incident.mitigated_at),
            tenants,
            failed_requests: counts.map(|counts| counts.bad),
            total_requests: counts.map(|counts| counts.total),
            query,
        }
    }
}

fn impact_text(counts: Option<Counts>, tenants: usize, mitigated_at: Option<Timestamp>) -> String {
    let Some(counts) = counts else {
        return "Unknown: no requests are counted at this place.".to_owned();
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share for people; the counts stand beside it"
    )]
    let share = counts.bad as f64 / counts.total as f64;
    let hit = match tenants {
        0 => String::new(),
        1 => ", 1 tenant hit".to_owned(),
        more => format!(", {more} tenants hit"),
    };
    let state = mitigated_at.map_or_else(
        || "; it goes on".to_owned(),
        |at| format!("; none since {} UTC", at.strftime("%H:%M:%S")),
    );
    let failed = number::measured(share, Unit::Ratio);
    format!(
        "{} of {} requests failed ({failed}){hit}{state}.",
        number::count(counts.bad),
        number::count(counts.total)
    )
}
