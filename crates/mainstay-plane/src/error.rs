//! Why the plane could not do what it was asked.

use mainstay_alert::AlertRefusal;
use mainstay_catalog::response::SettingError;
use mainstay_change::ChangeRefusal;
use mainstay_incident::IncidentRefusal;
use mainstay_journal::{ExecuteError, JournalError};
use mainstay_oncall::OncallRefusal;
use mainstay_runbook::RunbookRefusal;
use mainstay_slo::adjust::ledger::LedgerRefusal;
use mainstay_slo::gate::GateRefusal;
use mainstay_slo::report::machine::ReportRefusal;

/// A capability says no. Nothing has happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "each variant is the refusal of the capability it is named after"
)]
pub enum Refused {
    #[error(transparent)]
    Alert(#[from] AlertRefusal),
    #[error(transparent)]
    Change(#[from] ChangeRefusal),
    #[error(transparent)]
    Gate(#[from] GateRefusal),
    #[error(transparent)]
    Incident(#[from] IncidentRefusal),
    #[error(transparent)]
    Ledger(#[from] LedgerRefusal),
    #[error(transparent)]
    Oncall(#[from] OncallRefusal),
    #[error(transparent)]
    Report(#[from] ReportRefusal),
    #[error(transparent)]
    Runbook(#[from] RunbookRefusal),
    #[error(transparent)]
    Delivery(#[from] mainstay_delivery::machine::DeliveryRefusal),
    /// What follows from it is more than the journal takes at once.
    #[error("{0}")]
    TooLarge(String),
}

impl Refused {
    /// Whether what was asked for has happened before, so that a repetition may be answered as a success.
    #[must_use]
    pub fn is_repetition(&self) -> bool {
        matches!(self, Self::Change(ChangeRefusal::AlreadyRecorded { .. }))
    }

    /// Whether something that was named does not exist.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::Incident(IncidentRefusal::Unknown(_))
                | Self::Ledger(LedgerRefusal::Unknown(_))
                | Self::Oncall(
                    OncallRefusal::UnknownPage(_)
                        | OncallRefusal::UnknownSwap(_)
                        | OncallRefusal::UnknownOverride(_)
                        | OncallRefusal::UnknownFeed(_)
                )
                | Self::Runbook(RunbookRefusal::UnknownRunbook(_) | RunbookRefusal::UnknownStep { .. })
        )
    }
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum PlaneError {
    /// A capability says no.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The journal failed: this process must stop leading.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl<R: std::error::Error + Into<Refused> + 'static> From<ExecuteError<R>> for PlaneError {
    fn from(error: ExecuteError<R>) -> Self {
        match error {
            ExecuteError::Refused(refusal) => Self::Refused(refusal.into()),
            // Asking again would give the same: this is about what was asked, not about the journal.
            ExecuteError::Journal(error @ JournalError::Limit { .. }) => {
                tracing::error!(%error, "a command was refused");
                Self::Refused(Refused::TooLarge(error.to_string()))
            }
            ExecuteError::Journal(error) => Self::Journal(error),
        }
    }
}

/// Why a catalog could not be put in force.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A setting of its channels.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// A page climbs by a policy that it lacks.
    #[error("a page climbs by the escalation policy {0:?}, which the new catalog lacks")]
    PolicyInUse(String),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}
