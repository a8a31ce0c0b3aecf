//! Service credits: what a contract gives back where it was not kept. Catalog documents of kind `ServiceCredits`.
//!
//! ```yaml
//! apiVersion: mainstay/v1
//! kind: ServiceCredits
//! metadata:
//!   name: api-availability-large
//! spec:
//!   objective: api-availability-sla   # an agreement
//!   sizes: [large]                    # or tenants: [STD-001]; neither: everybody else
//!   tiers:                            # of the month's fee, by the adjusted share of good events
//!     - {below: 99.9%, credit: 10%}
//!     - {below: 99%, credit: 25%}
//! ```
//!
//! The table that names a tenant goes before the one that names its size, and that before the one for everybody.

use std::collections::BTreeSet;

use mainstay_catalog::platform::TenantSize;
use mainstay_catalog::{At, Diagnostics, Document, Documents, Platform, Spanned, lint};
use mainstay_kernel::{Ratio, SloId, TenantId};
use serde::Deserialize;

use crate::engine::SloCatalog;
use crate::exact::compare_products;
use crate::objective::Promise;
use crate::tally::Counts;

/// The kind of these documents.
pub const KIND: &str = "ServiceCredits";
/// The most tiers of a table.
pub const TIERS_MAX: usize = 20;

/// One tier of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditTier {
    /// Applies where less than this share of the events was good.
    pub below: Ratio,
    /// The share of the month's fee that is given back.
    pub credit: Ratio,
}

/// Whom a table is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Customers {
    /// These.
    Tenants(BTreeSet<TenantId>),
    /// Those of these sizes.
    Sizes(BTreeSet<TenantSize>),
    /// Everybody else.
    Others,
}

/// What one agreement gives back to some tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditTable {
    /// Its name.
    pub name: String,
    /// The agreement.
    pub objective: SloId,
    /// Whom it is for.
    pub customers: Customers,
    /// By falling share and rising credit.
    pub tiers: Vec<CreditTier>,
}

impl CreditTable {
    /// The tier that applies, exactly; none where the promise was kept well enough or nothing was counted.
    #[must_use]
    pub fn tier(&self, counts: Counts) -> Option<CreditTier> {
        let good = counts.total.saturating_sub(counts.bad);
        let applies = |tier: &&CreditTier| {
            counts.total > 0
                && compare_products(
                    &[good, tier.below.denominator()],
                    &[tier.below.numerator(), counts.total],
                )
                .is_lt()
        };
        self.tiers.iter().rev().find(applies).copied()
    }

    /// How closely it names a tenant; `None` if it is not for it.
    fn closeness(&self, tenant: &TenantId, size: Option<TenantSize>) -> Option<u8> {
        match &self.customers {
            Customers::Tenants(tenants) => tenants.contains(tenant).then_some(2),
            Customers::Sizes(sizes) => size.is_some_and(|size| sizes.contains(&size)).then_some(1),
            Customers::Others => Some(0),
        }
    }
}

/// All tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credits(Vec<CreditTable>);

impl Credits {
    /// The table that holds for a tenant.
    #[must_use]
    pub fn of(&self, objective: &SloId, tenant: &TenantId, size: Option<TenantSize>) -> Option<&CreditTable> {
        let ours = self.0.iter().filter(|table| table.objective == *objective);
        ours.filter_map(|table| Some((table.closeness(tenant, size)?, table)))
            .max_by_key(|(closeness, _)| *closeness)
            .map(|(_, table)| table)
    }

    /// The tables, in order of name.
    #[must_use]
    pub fn tables(&self) -> &[CreditTable] {
        &self.0
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    objective: Spanned<SloId>,
    #[serde(default)]
    tenants: Vec<Spanned<TenantId>>,
    #[serde(default)]
    sizes: Vec<Spanned<TenantSize>>,
    tiers: Vec<WrittenTier>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTier {
    below: Spanned<Ratio>,
    credit: Spanned<Ratio>,
}

/// Reads the documents of a catalog.
pub fn load(
    documents: &Documents,
    platform: &Platform,
    slos: &SloCatalog,
    diagnostics: &mut Diagnostics,
) -> Credits {
    let mut tables: Vec<CreditTable> = Vec::new();
    for (name, sourced) in documents.specs::<Written>(KIND, diagnostics) {
        let (document, written) = (sourced.document, sourced.value);
        let found = check(document, &written, &name, platform, slos);
        let clash = tables.iter().find(|table| clashes(table, &written));
        let clash = clash.map(|other| {
            let message = format!(
                "{:?} gives credits for this agreement to the same tenants",
                other.name
            );
            let found = document.diagnostic(lint::DUPLICATE_NAME, written.objective.at, message);
            found.help("one table says what a tenant gets: keep one")
        });
        let found: Vec<_> = found.into_iter().chain(clash).collect();
        if found.is_empty() {
            tables.push(table(name.value, written));
        }
        found.into_iter().for_each(|one| diagnostics.push(one));
    }
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    Credits(tables)
}

fn table(name: String, written: Written) -> CreditTable {
    let customers = if !written.tenants.is_empty() {
        Customers::Tenants(written.tenants.into_iter().map(|tenant| tenant.value).collect())
    } else if !written.sizes.is_empty() {
        Customers::Sizes(written.sizes.into_iter().map(|size| size.value).collect())
    } else {
        Customers::Others
    };
    let tier = |tier: WrittenTier| CreditTier {
        below: tier.below.value,
        credit: tier.credit.value,
    };
    CreditTable {
        name,
        objective: written.objective.value,
        customers,
        tiers: written.tiers.into_iter().map(tier).collect(),
    }
}

fn clashes(table: &CreditTable, written: &Written) -> bool {
    let same = match &table.customers {
        Customers::Tenants(tenants) => written
            .tenants
            .iter()
            .any(|tenant| tenants.contains(&tenant.value)),
        Customers::Sizes(sizes) => {
            written.tenants.is_empty() && written.sizes.iter().any(|size| sizes.contains(&size.value))
        }
        Customers::Others => written.tenants.is_empty() && written.sizes.is_empty(),
    };
    same && table.objective == written.objective.value
}

fn check(
    document: &Document,
    written: &Written,
    name: &Spanned<String>,
    platform: &Platform,
    slos: &SloCatalog,
) -> Vec<mainstay_catalog::Diagnostic> {
    let mut found = Vec::new();
    let bad =
        |at: At, message: String, help: &str| document.diagnostic(lint::BAD_VALUE, at, message).help(help);
    let objective = slos
        .objectives()
        .iter()
        .find(|slo| slo.id == written.objective.value);
    match objective {
        None => {
            let agreements = slos
                .objectives()
                .iter()
                .filter(|slo| slo.promise == Promise::Agreement);
            let known = agreements.map(|slo| slo.id.as_str());
            found.push(document.unknown_reference("objective", &written.objective, known));
        }
        Some(slo) if slo.promise != Promise::Agreement => {
            let message = format!(
                "{} is a promise to ourselves: no contract gives credits for it",
                slo.id
            );
            found.push(bad(
                written.objective.at,
                message,
                "name an objective with mainstay/promise: agreement",
            ));
        }
        Some(slo) if !slo.group_by.iter().any(|label| label == "tenant") => {
            let message = format!(
                "{} is not judged by tenant: nobody can say who gets a credit",
                slo.id
            );
            found.push(bad(
                written.objective.at,
                message,
                "add tenant to its mainstay/group-by",
            ));
        }
        Some(_) => {}
    }
    if !written.tenants.is_empty() && !written.sizes.is_empty() {
        let message = "a table is for tenants or for sizes, not for both".to_owned();
        found.push(bad(name.at, message, "make two tables of it"));
    }
    for tenant in &written.tenants {
        if !platform.tenants.is_empty() && !platform.tenants.contains_key(&tenant.value) {
            found.push(document.unknown_reference(
                "tenant",
                tenant,
                platform.tenants.keys().map(TenantId::as_str),
            ));
        }
    }
    if written.tiers.is_empty() || written.tiers.len() > TIERS_MAX {
        let message = format!("a table has 1 to {TIERS_MAX} tiers");
        found.push(bad(name.at, message, "such as {below: 99.9%, credit: 10%}"));
    }
    if let Some(first) = written.tiers.first()
        && objective.is_some_and(|slo| first.below.value > slo.target)
    {
        let message = "this tier gives a credit although the agreement is kept".to_owned();
        found.push(bad(
            first.below.at,
            message,
            "the first tier begins at the agreement's target or below",
        ));
    }
    for tier in &written.tiers {
        if tier.credit.value == Ratio::ZERO || tier.credit.value > Ratio::ONE {
            let message = format!("a credit of {} is none", tier.credit.value);
            found.push(bad(
                tier.credit.at,
                message,
                "more than 0% and at most 100% of the fee",
            ));
        }
    }
    for pair in written.tiers.windows(2) {
        if pair[1].below.value >= pair[0].below.value {
            let message = "tiers fall: this one does not begin below the one before it".to_owned();
            found.push(bad(
                pair[1].below.at,
                message,
                "order them from the best share to the worst",
            ));
        }
        if pair[1].credit.value <= pair[0].credit.value {
            let message =
                "the worse the share, the higher the credit: this one is not above the one before it"
                    .to_owned();
            found.push(bad(pair[1].credit.at, message, "raise it, or leave the tier out"));
        }
    }
    found
}
