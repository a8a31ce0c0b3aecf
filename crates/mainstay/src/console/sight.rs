//! What a reader may see. Whoever is limited to some tenants sees what concerns one of them alone, and of an incident
//! that hits one of them only that it does.

use std::collections::BTreeSet;

use mainstay_incident::Incident;
use mainstay_kernel::principal::Tenants;
use mainstay_kernel::{Labels, Principal, Scope, TenantId};
use mainstay_slo::sli::NO_VALUE;
use mainstay_web::view::Look;

/// Whether the reader sees what concerns the platform as a whole, and so everything.
pub(super) fn sees_platform(who: &Principal) -> bool {
    who.sees(None)
}

/// Whether the reader sees what concerns `scope`.
pub(super) fn sees(who: &Principal, scope: &Scope) -> bool {
    who.sees(scope.tenant.as_ref())
}

/// Whether the reader sees counts of this group.
pub(super) fn sees_group(who: &Principal, group: &Labels) -> bool {
    who.sees(tenant_of(group).as_ref())
}

/// The tenant that a group is about.
pub(super) fn tenant_of(group: &Labels) -> Option<TenantId> {
    let name = group.get("tenant").filter(|name| *name != NO_VALUE)?;
    TenantId::new(name).ok()
}

/// Whether the reader may know of an incident: all of it, or that it hits one of their tenants.
pub(super) fn knows_of(who: &Principal, incident: &Incident) -> bool {
    sees(who, &incident.scope)
        || incident
            .impact
            .tenants
            .iter()
            .any(|tenant| who.sees(Some(tenant)))
}

/// Whether an incident is in the part of the platform that is looked at.
pub(super) fn is_in(look: &Look, incident: &Incident) -> bool {
    let tenant = look.scope.tenant.as_ref();
    let hit = &incident.impact.tenants;
    look.scope.overlaps(&incident.scope) && tenant.is_none_or(|tenant| hit.is_empty() || hit.contains(tenant))
}

/// The tenants that the reader is limited to; `None` for who sees everything.
pub(super) fn limited_to(who: &Principal) -> Option<&BTreeSet<TenantId>> {
    match &who.tenants {
        Tenants::All => None,
        Tenants::Only(tenants) => Some(tenants),
    }
}

/// Whether the reader sees an alert with these labels.
pub(super) fn sees_alert(who: &Principal, labels: &Labels) -> bool {
    who.sees(Scope::from_labels(labels).tenant.as_ref())
}
