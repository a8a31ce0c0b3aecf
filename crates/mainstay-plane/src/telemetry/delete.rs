//! Deleting samples, and the exemplars beside them.

use mainstay_kernel::Matcher;
use mainstay_series::Deleted;

use super::{Telemetry, TelemetryError};

impl Telemetry {
    /// Deletes what the series that at least one selector means have from one time to another, both included, and gives
    /// what that was: samples, for good once this returns, and exemplars. What objectives have counted stays counted.
    ///
    /// # Errors
    /// If files cannot be read or written, or too much that was deleted is not cleaned up yet.
    pub fn delete(
        &self,
        selectors: &[Vec<Matcher>],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Deleted, TelemetryError> {
        let deleted = self.store.delete(selectors, start_ms, end_ms)?;
        self.erase_exemplars(selectors, start_ms, end_ms);
        Ok(deleted)
    }
}
