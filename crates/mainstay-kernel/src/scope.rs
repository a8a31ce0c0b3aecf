//! Where something is: tenant, region, zone, cell, service. Every part may be open.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{CellId, RegionId, ServiceId, TenantId, ZoneId};
use crate::labels::Labels;

/// The part of the platform that an event, an alert or an effect concerns. An absent part means "any" or "not known".
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// The bank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// The region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<RegionId>,
    /// The zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneId>,
    /// The cell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell: Option<CellId>,
    /// The service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceId>,
}

impl Scope {
    /// The whole platform.
    #[must_use]
    pub fn platform() -> Self {
        Self::default()
    }

    /// Reads the labels `tenant`, `region`, `zone`, `cell` and `service` (or, without it, `job`).
    #[must_use]
    pub fn from_labels(labels: &Labels) -> Self {
        let part = |name: &str| labels.get(name).filter(|value| !value.is_empty());
        Self {
            tenant: part("tenant").and_then(|v| TenantId::new(v).ok()),
            region: part("region").and_then(|v| RegionId::new(v).ok()),
            zone: part("zone").and_then(|v| ZoneId::new(v).ok()),
            cell: part("cell").and_then(|v| CellId::new(v).ok()),
            service: part("service")
                .or_else(|| part("job"))
                .and_then(|v| ServiceId::new(v).ok()),
        }
    }

    /// Whether everything that `self` names is the same in `other`, or open there.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        fn agree<T: PartialEq>(a: Option<&T>, b: Option<&T>) -> bool {
            a.zip(b).is_none_or(|(a, b)| a == b)
        }
        agree(self.tenant.as_ref(), other.tenant.as_ref())
            && agree(self.region.as_ref(), other.region.as_ref())
            && agree(self.zone.as_ref(), other.zone.as_ref())
            && agree(self.cell.as_ref(), other.cell.as_ref())
            && agree(self.service.as_ref(), other.service.as_ref())
    }
}

impl fmt::Display for Scope {
    /// `payment-service in cell-5 for std-001`, or `the platform`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        if let Some(service) = &self.service {
            words.push(service.to_string());
        }
        let place = [
            self.cell.as_ref().map(ToString::to_string),
            self.zone.as_ref().map(ToString::to_string),
            self.region.as_ref().map(ToString::to_string),
        ];
        if let Some(place) = place.into_iter().flatten().next() {
            words.push(format!("in {place}"));
        }
        if let Some(tenant) = &self.tenant {
            words.push(format!("for {tenant}"));
        }
        if words.is_empty() {
            f.pad("the platform")
        } else {
            f.pad(&words.join(" "))
        }
    }
}
