//! Sums and means of histograms.

use mainstay_kernel::histogram::{Histogram, ResetHint};

use crate::histogram::{Incompatible, Tally};

use super::notes::Notes;

/// Histograms added up; for a mean, an incremental one once their sum would overflow.
pub(super) struct Totals {
    tally: Tally,
    count: f64,
    is_incremental: bool,
    has_reset: bool,
    has_no_reset: bool,
    bounds_reconciled: bool,
}

impl Totals {
    pub(super) fn starting_with(histogram: &Histogram) -> Self {
        let mut totals = Self {
            tally: Tally::of(histogram),
            count: 1.0,
            is_incremental: false,
            has_reset: false,
            has_no_reset: false,
            bounds_reconciled: false,
        };
        totals.see(histogram.reset_hint);
        totals
    }

    fn see(&mut self, hint: ResetHint) {
        self.has_reset |= hint == ResetHint::Reset;
        self.has_no_reset |= hint == ResetHint::NotReset;
    }

    /// Adds to a sum.
    pub(super) fn add(&mut self, histogram: &Histogram) -> Result<(), Incompatible> {
        self.see(histogram.reset_hint);
        self.bounds_reconciled |= self.tally.add(histogram)?.bounds_reconciled;
        Ok(())
    }

    /// Adds to a mean.
    pub(super) fn average(&mut self, histogram: &Histogram) -> Result<(), Incompatible> {
        self.see(histogram.reset_hint);
        self.count += 1.0;
        if !self.is_incremental {
            let mut next = self.tally.clone();
            self.bounds_reconciled |= next.add(histogram)?.bounds_reconciled;
            if !next.overflows() {
                self.tally = next;
                return Ok(());
            }
            self.is_incremental = true;
            self.tally.divide(self.count - 1.0);
        }
        let mut part = Tally::of(histogram);
        part.divide(self.count);
        self.tally.multiply((self.count - 1.0) / self.count);
        self.bounds_reconciled |= self.tally.add(&part.finish())?.bounds_reconciled;
        Ok(())
    }

    /// The sum.
    pub(super) fn sum(self, notes: &mut Notes<'_>) -> Tally {
        self.remark(notes);
        self.tally
    }

    /// The mean.
    pub(super) fn mean(mut self, notes: &mut Notes<'_>) -> Tally {
        self.remark(notes);
        if !self.is_incremental {
            self.tally.divide(self.count);
        }
        self.tally
    }

    fn remark(&self, notes: &mut Notes<'_>) {
        if self.has_reset && self.has_no_reset {
            notes.resets_collide("aggregation");
        }
        if self.bounds_reconciled {
            notes.bounds_reconciled("aggregation");
        }
    }
}
