//! What telemetry is judged by: the part of a catalog that is about counts and samples.

use mainstay_catalog::{Catalog, Diagnostics};
use mainstay_slo::SloCatalog;

use super::adjusting::Contracts;
use super::rules::RuleBook;
use super::tenants::LimitsSpec;

/// What is judged by.
pub struct Judged {
    /// Objectives and indicators.
    pub slos: SloCatalog,
    /// What does not count, and what is given back.
    pub contracts: Contracts,
    /// Alerting and recording rules.
    pub(super) rules: RuleBook,
    /// What tenants may take up.
    pub(super) limits: LimitsSpec,
}

impl Judged {
    /// Reads the objectives and rules of a catalog.
    #[must_use]
    pub fn of(catalog: &Catalog, diagnostics: &mut Diagnostics) -> Self {
        let slos = mainstay_slo::spec::load(&catalog.documents, &catalog.platform, diagnostics);
        Self {
            contracts: Contracts::of(&catalog.documents, &catalog.platform, &slos, diagnostics),
            rules: RuleBook::of(&catalog.documents, slos.recordings(), diagnostics),
            slos,
            limits: LimitsSpec::of(&catalog.documents, diagnostics),
        }
    }
}
