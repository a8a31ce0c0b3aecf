//! What does not count: the catalog's maintenance windows and the ledger's entries, as the engine wants them.

use std::sync::{Arc, MutexGuard, PoisonError};

use jiff::Timestamp;
use mainstay_catalog::{Diagnostics, Documents, Platform};
use mainstay_slo::SloCatalog;
use mainstay_slo::adjust::Exclusion;
use mainstay_slo::adjust::ledger::LedgerState;
use mainstay_slo::adjust::maintenance::{self, MaintenanceWindow};
use mainstay_slo::credits::{self, Credits};
use mainstay_slo::prefix::RETENTION_MS;

use super::Telemetry;

/// How far ahead windows are worked out, and how long before its end that is done anew; in milliseconds.
const AHEAD_MS: i64 = 2 * 86_400_000;
const RENEW_MS: i64 = 86_400_000;

/// What a catalog agrees with customers beside the promises themselves.
#[derive(Debug, Clone, Default)]
pub struct Contracts {
    /// Maintenance windows, in order of name.
    pub maintenance: Arc<Vec<MaintenanceWindow>>,
    /// Service credits.
    pub credits: Arc<Credits>,
}

impl Contracts {
    /// Reads the documents of a catalog.
    #[must_use]
    pub fn of(
        documents: &Documents,
        platform: &Platform,
        slos: &SloCatalog,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        Self {
            maintenance: Arc::new(maintenance::load(documents, platform, slos, diagnostics)),
            credits: Arc::new(credits::load(documents, platform, slos, diagnostics)),
        }
    }
}

/// What the engine was told last.
#[derive(Debug)]
pub(super) struct Adjusting {
    contracts: Contracts,
    /// Of which ledger; none: of none yet.
    revision: Option<u64>,
    /// Up to when windows are worked out.
    until_ms: i64,
}

impl Adjusting {
    pub(super) fn of(contracts: Contracts) -> Self {
        Self {
            contracts,
            revision: None,
            until_ms: 0,
        }
    }
}

impl Telemetry {
    pub(super) fn adjusting(&self) -> MutexGuard<'_, Adjusting> {
        self.adjusting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the catalog in force agrees with customers.
    #[must_use]
    pub fn contracts(&self) -> Contracts {
        self.adjusting().contracts.clone()
    }

    /// Has budgets leave out what does not count. Call it before every evaluation and after every entry: it costs nothing
    /// while ledger, catalog and day are the same.
    pub fn exclude(&self, ledger: &LedgerState, now: Timestamp) {
        let now_ms = now.as_millisecond();
        let mut adjusting = self.adjusting();
        if adjusting.revision == Some(ledger.revision()) && now_ms < adjusting.until_ms - RENEW_MS {
            return;
        }
        adjusting.until_ms = now_ms + AHEAD_MS;
        adjusting.revision = Some(ledger.revision());
        let (from_ms, to_ms) = (now_ms - RETENTION_MS, adjusting.until_ms);
        let windows = adjusting.contracts.maintenance.iter();
        let recurring = windows.flat_map(|window| window.exclusions(from_ms, to_ms));
        let exclusions: Vec<Exclusion> = recurring.chain(ledger.exclusions()).collect();
        let mut slos = self.slos();
        if exclusions == slos.exclusions() {
            return;
        }
        if let Err(error) = self.course.excluded(&slos, now, &exclusions) {
            tracing::error!(%error, "the course of judging could not be written");
        }
        slos.set_exclusions(exclusions);
    }
}
