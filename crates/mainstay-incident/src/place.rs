//! Which alerts are one outage: the tree of places, and how far apart in it and in time they may be.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::Platform;
use mainstay_catalog::response::{HEARTBEAT_LABEL, Response};
use mainstay_kernel::fact::{AlertFact, AlertFired};
use mainstay_kernel::{CellId, RegionId, Scope, TenantId, ZoneId};

use crate::model::{AttachedAlert, Incident, IncidentState};

/// Alerts that begin to fire within this time of an incident's declaration, wherever they are, are the same outage: of
/// two that begin so close together nearly all have one cause, and rules and burn windows see one cause at different times.
pub(crate) const CORRELATES_WITHIN: SignedDuration = SignedDuration::from_mins(5);

/// What incidents need of the catalog: where cells and tenants are, and whom receivers page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncidentSpec {
    region_of: BTreeMap<CellId, RegionId>,
    cell_of: BTreeMap<TenantId, CellId>,
    policy_of: BTreeMap<String, String>,
}

/// Why an alert outside an incident's place is part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OneOutage {
    /// It began when the incident did.
    SameTime,
    /// The same alert already fires in it: what breaks one cell after the other.
    SameAlert,
}

impl OneOutage {
    pub(crate) fn reason(self) -> String {
        match self {
            Self::SameTime => {
                let minutes = CORRELATES_WITHIN.as_mins();
                format!("alerts elsewhere began within {minutes} minutes of it")
            }
            Self::SameAlert => "the same alert fires elsewhere".to_owned(),
        }
    }
}

impl IncidentSpec {
    /// Takes from a catalog what incidents need.
    #[must_use]
    pub fn from_catalog(platform: &Platform, response: &Response) -> Self {
        let cells = platform.cells.iter().flat_map(|(id, cell)| {
            let standby = (cell.standby.cell.value.clone(), cell.standby.region.value.clone());
            [(id.clone(), cell.region.value.clone()), standby]
        });
        let tenants = platform.tenants.iter();
        Self {
            region_of: cells.collect(),
            cell_of: tenants
                .map(|(id, tenant)| (id.clone(), tenant.cell.value.clone()))
                .collect(),
            policy_of: response
                .routing
                .receivers
                .values()
                .filter_map(|receiver| {
                    Some((receiver.name.value.clone(), receiver.page.as_ref()?.value.clone()))
                })
                .collect(),
        }
    }

    /// The policy by which this receiver pages, if those people were not paged for the incident yet. An incident without
    /// alerts was declared by a human, who is at work on it.
    pub(crate) fn others(&self, incident: &Incident, receiver: &str) -> Option<&str> {
        let policy = self.policy_of.get(receiver)?;
        let of = |group: &str| self.policy_of.get(group.split_once('@')?.0);
        let told = |attached: &AttachedAlert| of(&attached.group) == Some(policy);
        let known = incident.alerts.is_empty() || incident.alerts.values().any(told);
        (!known).then_some(policy)
    }

    /// The policy by which a receiver pages.
    pub(crate) fn policy_of(&self, receiver: &str) -> Option<&str> {
        self.policy_of.get(receiver).map(String::as_str)
    }

    /// Whether any of these alerts may be another trouble than whoever took the incident on knows of: of a name and at a
    /// place that no alert had when they did. Until somebody acknowledges a page, that page tells of all of it.
    /// Cost: the alerts at hand of the incident.
    pub(crate) fn is_unknown(&self, incident: &Incident, fact: &AlertFired) -> bool {
        let taken_on_at = incident
            .taken_on_at
            .or(incident.acknowledged.as_ref().map(|(at, _)| *at));
        let Some(taken_on_at) = taken_on_at.filter(|_| incident.asked_since == 0) else {
            return false;
        };
        let place = |alert: &AlertFact| -> Place {
            let placed = self.placed(&Scope::from_labels(&alert.labels));
            (placed.cell, placed.zone, placed.region)
        };
        let known = || {
            let attached = incident.alerts.values();
            let known = attached.filter(|one| one.attached_at.is_none_or(|at| at <= taken_on_at));
            known.map(|one| &one.alert)
        };
        // Most of what comes later has a name that is known: places are looked at for the rest.
        let is_unknown = |alert: &AlertFact| {
            let (about, here) = (told_apart(alert), place(alert));
            let is_of_objective = alert.labels.get("slo").is_some();
            let is_seen = |there: &Place| match is_of_objective {
                // An objective of a wider place burns because of what happens in it.
                true => holds(&here, there),
                false => here != Place::default() && here == *there,
            };
            !known().any(|one| told_apart(one) == about) && !known().any(|one| is_seen(&place(one)))
        };
        let mut new = fact.firing.iter();
        // An incident without alerts was declared by a human, who is at work on it.
        known().next().is_some()
            && new.any(|alert| !incident.alerts.contains_key(&alert.fingerprint) && is_unknown(alert))
    }

    /// The scope with what follows from it: a tenant's cell where no place is named, a cell's region.
    pub(crate) fn placed(&self, scope: &Scope) -> Scope {
        let nowhere = scope.cell.is_none() && scope.zone.is_none() && scope.region.is_none();
        let home = || self.cell_of.get(scope.tenant.as_ref()?).cloned();
        let cell = scope.cell.clone().or_else(|| nowhere.then(home).flatten());
        let region = || self.region_of.get(cell.as_ref()?).cloned();
        Scope {
            region: scope.region.clone().or_else(region),
            cell,
            ..scope.clone()
        }
    }

    /// The narrowest scope that holds both: what they have in common in the tree.
    pub(crate) fn holding(&self, a: &Scope, b: &Scope) -> Scope {
        fn same<T: PartialEq + Clone>(a: &Option<T>, b: &Option<T>) -> Option<T> {
            a.clone().filter(|_| a == b)
        }
        let (placed, other) = (self.placed(a), self.placed(b));
        let cell = same(&placed.cell, &other.cell);
        Scope {
            tenant: same(&placed.tenant, &other.tenant),
            service: same(&placed.service, &other.service),
            zone: same(&placed.zone, &other.zone),
            // A cell says its region: it is named where the cell cannot be.
            region: if cell.is_some() && cell == a.cell {
                a.region.clone()
            } else {
                same(&placed.region, &other.region)
            },
            cell,
        }
    }

    /// What the alerts of a group have in common; by their labels alone two cells of a region have nothing.
    pub(crate) fn scope_of(&self, fact: &AlertFired) -> Scope {
        let scopes = fact.firing.iter().map(|alert| Scope::from_labels(&alert.labels));
        let common = scopes.reduce(|a, b| self.holding(&a, &b));
        match common {
            // A group may be of a place that its alerts' labels do not name.
            Some(common) if fact.scope == Scope::default() || fact.scope.overlaps(&common) => Scope {
                tenant: fact.scope.tenant.clone().or(common.tenant),
                region: fact.scope.region.clone().or(common.region),
                zone: fact.scope.zone.clone().or(common.zone),
                cell: fact.scope.cell.clone().or(common.cell),
                service: fact.scope.service.clone().or(common.service),
            },
            _ => fact.scope.clone(),
        }
    }
}

/// Where something is; nothing says where of what concerns the platform.
type Place = (Option<CellId>, Option<ZoneId>, Option<RegionId>);

/// Whether a place is another or within it.
fn holds(place: &Place, inner: &Place) -> bool {
    (place.0.is_none() || place.0 == inner.0)
        && (place.1.is_none() || place.1 == inner.1)
        && (place.2.is_none() || place.2 == inner.2)
}

/// What an alert is about: its name, and of Mainstay's own, which share theirs, the objective or the heartbeat.
fn told_apart(alert: &AlertFact) -> [Option<&str>; 3] {
    ["alertname", "slo", HEARTBEAT_LABEL].map(|label| alert.labels.get(label))
}

/// The open incident, outside of whose place the alerts of `fact` are, that they are nevertheless part of. Those whom it
/// pages must be the same people: others would never hear of theirs.
/// Cost: the open incidents and the alerts at hand of each.
pub(crate) fn one_outage<'a>(
    state: &'a IncidentState,
    spec: &IncidentSpec,
    fact: &AlertFired,
    now: Timestamp,
) -> Option<(&'a Incident, OneOutage)> {
    let names: BTreeSet<&str> = fact.firing.iter().map(|alert| alert.name()).collect();
    let related = |incident: &'a Incident| {
        if incident.shadow != fact.shadow
            || incident.all_clear_at.is_some()
            || spec.others(incident, &fact.receiver).is_some()
        {
            return None;
        }
        let young = now.duration_since(incident.declared_at) <= CORRELATES_WITHIN;
        let same = || incident.firing().any(|alert| names.contains(alert.name()));
        let why = if young {
            Some(OneOutage::SameTime)
        } else {
            same().then_some(OneOutage::SameAlert)
        };
        why.map(|why| (incident, why))
    };
    let related = state.open().filter_map(related);
    related.min_by_key(|(incident, _)| incident.declared_at)
}
