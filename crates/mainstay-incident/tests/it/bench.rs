//! The machine with a clock that moves when told.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::Catalog;
use mainstay_incident::{
    Impact, Incident, IncidentCommand, IncidentEvent, IncidentRefusal, IncidentSpec, IncidentState, Incidents,
};
use mainstay_journal::machine::Meta;
use mainstay_journal::{DomainEvent, Machine};
use mainstay_kernel::fact::{Acknowledged, AlertFact, AlertFired, AlertResolved};
use mainstay_kernel::notification::GroupKey;
use mainstay_kernel::testing::SeededEntropy;
use mainstay_kernel::{Actor, CellId, EventId, IncidentId, Labels, PersonId, Scope, Severity, TenantId};

pub(crate) struct Bench {
    pub(crate) state: IncidentState,
    pub(crate) now: Timestamp,
    pub(crate) events: Vec<(IncidentEvent, Meta)>,
    pub(crate) spec: IncidentSpec,
    entropy: SeededEntropy,
}

pub(crate) fn cell(name: &str) -> Scope {
    Scope {
        cell: CellId::new(name).ok(),
        ..Scope::default()
    }
}

pub(crate) fn alert(name: &str, starts_at: Timestamp) -> AlertFact {
    let labels: Labels = [("alertname", name)].into_iter().collect();
    AlertFact {
        fingerprint: labels.fingerprint(),
        labels,
        annotations: Labels::new(),
        starts_at,
        ended_at: None,
    }
}

pub(crate) fn impact(tenants: &[&str], bad: u64, last_bad_at: Timestamp) -> Impact {
    let tenants: BTreeSet<TenantId> = tenants
        .iter()
        .filter_map(|name| TenantId::new(*name).ok())
        .collect();
    Impact {
        tenants,
        bad,
        total: bad * 10,
        first_bad_at: None,
        last_bad_at: Some(last_bad_at),
    }
}

/// Somebody acknowledges a page of an incident.
pub(crate) fn acknowledged(id: &IncidentId, by: &str) -> IncidentCommand {
    IncidentCommand::Acknowledged {
        fact: Acknowledged {
            page: "p1".parse().expect("a name"),
            incident: id.clone(),
            by: PersonId::new(by).ok(),
        },
        elsewhere: Vec::new(),
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            state: IncidentState::default(),
            now: "2026-03-02T10:00:00Z".parse().expect("a timestamp"),
            events: Vec::new(),
            spec: IncidentSpec::default(),
            entropy: SeededEntropy::new(1),
        }
    }

    /// On the reference platform.
    pub(crate) fn of_payments() -> Self {
        let catalog = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalogs/payments");
        let (mut catalog, _) = Catalog::load(&catalog).expect("the reference catalog is well");
        // Two more teams, each with a receiver and a policy of its own.
        let receivers = &mut catalog.response.routing.receivers;
        let on_call = receivers.get("on-call").expect("a receiver").clone();
        for team in ["clearing", "ledger"] {
            let mut receiver = on_call.clone();
            receiver.name.value = team.to_owned();
            receiver.page.as_mut().expect("it pages").value = team.to_owned();
            receivers.insert(team.to_owned(), receiver);
        }
        Self {
            spec: IncidentSpec::from_catalog(&catalog.platform, &catalog.response),
            ..Self::new()
        }
    }

    /// A group of one alert fires, which its labels place.
    pub(crate) fn fire_labelled(&mut self, severity: Severity, labels: &[(&str, &str)]) -> Vec<&'static str> {
        self.fire_to("on-call", severity, labels)
    }

    /// The same by the route to a receiver.
    pub(crate) fn fire_to(
        &mut self,
        receiver: &str,
        severity: Severity,
        labels: &[(&str, &str)],
    ) -> Vec<&'static str> {
        let labels: Labels = labels.iter().copied().collect();
        let fact = AlertFired {
            group: format!("{receiver}@{labels}"),
            receiver: receiver.to_owned(),
            severity,
            scope: Scope::from_labels(&labels),
            firing: vec![AlertFact {
                fingerprint: labels.fingerprint(),
                labels,
                annotations: Labels::new(),
                starts_at: self.now,
                ended_at: None,
            }],
            resolved: Vec::new(),
            key: GroupKey::default(),
            shadow: false,
        };
        self.does(IncidentCommand::AlertsFired {
            fact,
            impact: None,
            changes: Vec::new(),
            pages: true,
        })
    }

    /// Carries a command out; gives the kinds of what happened, without the `incident.` before them.
    pub(crate) fn ask(&mut self, command: IncidentCommand) -> Result<Vec<&'static str>, IncidentRefusal> {
        let decided = Incidents::decide(&self.state, &self.spec, command, self.now)?;
        let kinds = decided
            .iter()
            .map(|event| event.kind().trim_start_matches("incident."));
        let kinds = kinds.collect();
        for event in decided {
            let meta = Meta {
                id: EventId::generate(self.now, &self.entropy),
                at: self.now,
                actor: Actor::machine("test"),
                cause: None,
            };
            Incidents::apply(&mut self.state, &event, &meta);
            self.events.push((event, meta));
        }
        Ok(kinds)
    }

    pub(crate) fn does(&mut self, command: IncidentCommand) -> Vec<&'static str> {
        self.ask(command).expect("not refused")
    }

    /// Ana acknowledges it.
    pub(crate) fn acknowledge(&mut self, id: &IncidentId) {
        self.does(acknowledged(id, "ana"));
    }

    pub(crate) fn pass(&mut self, minutes: i64) {
        self.now += SignedDuration::from_mins(minutes);
    }

    pub(crate) fn fired(&self, group: &str, scope: &Scope, severity: Severity, names: &[&str]) -> AlertFired {
        AlertFired {
            group: group.to_owned(),
            receiver: "team".to_owned(),
            severity,
            scope: scope.clone(),
            firing: names.iter().map(|name| alert(name, self.now)).collect(),
            resolved: Vec::new(),
            key: GroupKey::default(),
            shadow: false,
        }
    }

    pub(crate) fn fire(
        &mut self,
        group: &str,
        scope: &Scope,
        severity: Severity,
        names: &[&str],
    ) -> Vec<&'static str> {
        let fact = self.fired(group, scope, severity, names);
        self.does(IncidentCommand::AlertsFired {
            fact,
            impact: None,
            changes: Vec::new(),
            pages: true,
        })
    }

    pub(crate) fn over(&mut self, group: &str, names: &[&str]) -> Vec<&'static str> {
        let fact = AlertResolved {
            group: group.to_owned(),
            receiver: "team".to_owned(),
            scope: Scope::platform(),
            resolved: names.iter().map(|name| alert(name, self.now)).collect(),
            key: GroupKey::default(),
            shadow: false,
        };
        self.does(IncidentCommand::AlertsResolved { fact })
    }

    pub(crate) fn declare(&mut self, severity: Severity, title: &str, scope: Scope) -> IncidentId {
        let title = title.to_owned();
        self.does(IncidentCommand::Declare {
            severity,
            title,
            scope,
        });
        let declared = self.events.iter().rev().find_map(|(event, _)| match event {
            IncidentEvent::Declared { fact, .. } => Some(fact.incident.clone()),
            _ => None,
        });
        declared.expect("declared")
    }

    pub(crate) fn resolve(&mut self, id: &IncidentId) {
        self.does(IncidentCommand::Resolve {
            incident: id.clone(),
            force: None,
        });
    }

    pub(crate) fn measure(
        &mut self,
        id: &IncidentId,
        impact: Impact,
        recovered_at: Option<Timestamp>,
    ) -> Vec<&'static str> {
        self.does(IncidentCommand::Measure {
            incident: id.clone(),
            impact,
            recovered_at,
        })
    }

    pub(crate) fn incident(&self, id: &IncidentId) -> &Incident {
        self.state.get(id).expect("at hand")
    }

    /// The newest incident.
    pub(crate) fn last(&self) -> &Incident {
        self.state
            .all()
            .max_by_key(|incident| incident.declared_at)
            .expect("an incident")
    }

    /// The state that the journal would give back.
    pub(crate) fn replayed(&self) -> IncidentState {
        let mut state = IncidentState::default();
        for (event, meta) in &self.events {
            let text = serde_json::to_string(event).expect("events are JSON");
            let read: IncidentEvent = serde_json::from_str(&text).expect("they can be read");
            assert_eq!(read, *event);
            Incidents::apply(&mut state, &read, meta);
        }
        state
    }
}
