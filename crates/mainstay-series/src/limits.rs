//! What the series of one tenant may be. Looked at only when a series is made: samples of known ones pay nothing.

use std::collections::BTreeMap;

use mainstay_kernel::Labels;

use crate::error::SeriesError;
use crate::store::Options;

/// What the series of one tenant may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesLimits {
    /// How many there may be.
    pub max_series: usize,
    /// How many labels each may have.
    pub max_label_names: usize,
    /// The longest name of a label, in bytes.
    pub max_label_name_bytes: usize,
    /// The longest value of a label, in bytes.
    pub max_label_value_bytes: usize,
}

/// Those of every tenant.
#[derive(Debug, Clone)]
pub(crate) struct LimitsByTenant {
    default: SeriesLimits,
    tenants: BTreeMap<String, SeriesLimits>,
}

impl LimitsByTenant {
    pub(crate) fn new(default: SeriesLimits, tenants: BTreeMap<String, SeriesLimits>) -> Self {
        Self { default, tenants }
    }

    /// As many series as the options say, of any labels.
    pub(crate) fn of(options: &Options) -> Self {
        let default = SeriesLimits {
            max_series: options.max_tenant_series,
            max_label_names: usize::MAX,
            max_label_name_bytes: usize::MAX,
            max_label_value_bytes: usize::MAX,
        };
        Self::new(default, BTreeMap::new())
    }

    pub(crate) fn of_tenant(&self, tenant: &str) -> SeriesLimits {
        self.tenants.get(tenant).copied().unwrap_or(self.default)
    }
}

impl SeriesLimits {
    /// Whether a series of the tenant may have these labels.
    pub(crate) fn check(&self, tenant: &str, labels: &Labels) -> Result<(), SeriesError> {
        let over = |what, found: usize, limit: usize| {
            if found <= limit {
                return Ok(());
            }
            Err(SeriesError::LabelLimit {
                tenant: tenant.to_owned(),
                what,
                found,
                limit,
            })
        };
        over("labels", labels.len(), self.max_label_names)?;
        for (name, value) in labels.iter() {
            over("bytes in a label's name", name.len(), self.max_label_name_bytes)?;
            over(
                "bytes in a label's value",
                value.len(),
                self.max_label_value_bytes,
            )?;
        }
        Ok(())
    }
}
