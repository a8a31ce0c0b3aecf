//! What one tenant may take up: the one list of limits, its defaults, and what a catalog says of them.

use std::collections::BTreeMap;

use mainstay_catalog::{Diagnostics, Documents, lint};
use serde::Deserialize;

/// No limit; written `none` in a catalog.
pub const NO_LIMIT: u64 = u64::MAX;
/// The kind of the document that sets limits.
const KIND: &str = "MetricsLimits";

/// A limit as the reference shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitInfo {
    /// Its key in a catalog.
    pub name: &'static str,
    /// What holds where nothing is said.
    pub default: u64,
    /// What it bounds.
    pub about: &'static str,
}

macro_rules! limits {
    ($(#[doc = $about:literal] $name:ident = $default:expr;)*) => {
        /// What one tenant may take up; [`NO_LIMIT`] is no limit.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct TenantLimits {
            $(#[doc = $about] pub $name: u64,)*
        }

        impl Default for TenantLimits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl TenantLimits {
            /// Every limit there is.
            pub const TABLE: &'static [LimitInfo] = &[
                $(LimitInfo { name: stringify!($name), default: $default, about: $about.trim_ascii_start() },)*
            ];

            fn changed(self, change: &Change) -> Self {
                Self { $($name: change.$name.map_or(self.$name, Amount::get),)* }
            }

            /// The smaller of each: what holds for what is of both.
            #[must_use]
            pub fn strictest(self, other: Self) -> Self {
                Self { $($name: self.$name.min(other.$name),)* }
            }
        }

        /// What a catalog says of some limits.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct Change {
            $($name: Option<Amount>,)*
        }
    };
}

limits! {
    /// samples (native histograms too) that it may send or have scraped in a second, on average
    samples_per_s = NO_LIMIT;
    /// samples that it may send at once, if it sent less before; ten seconds' worth if nothing is said
    burst_samples = NO_LIMIT;
    /// samples in one request
    request_samples = 2_000_000;
    /// series held; `--metrics-max-tenant-series` changes the default
    series = 500_000;
    /// labels of a series
    label_names = 128;
    /// bytes of a label's name
    label_name_bytes = 1_024;
    /// bytes of a label's value
    label_value_bytes = 8_192;
    /// queries under way or waiting for their turn
    queries = 100;
    /// milliseconds that a query may take, waiting included
    query_ms = 120_000;
    /// samples that a query may load and produce
    query_samples = 20_000_000;
    /// series that a query may look at, each as often as it is selected
    query_series = 500_000;
    /// bytes that what a query loads and produces may take
    query_bytes = 512 << 20;
}

/// A number, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected a whole number, or none for no limit")]
enum Amount {
    Number(u64),
    None(Unlimited),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unlimited {
    None,
}

impl Amount {
    fn get(self) -> u64 {
        match self {
            Self::Number(number) => number,
            Self::None(Unlimited::None) => NO_LIMIT,
        }
    }
}

/// What a catalog says of limits: of every tenant, and of some of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSpec {
    default: Change,
    tenants: BTreeMap<String, Change>,
}

impl LimitsSpec {
    /// Reads the document of kind `MetricsLimits`, of which there is one at most.
    #[must_use]
    pub fn of(documents: &Documents, diagnostics: &mut Diagnostics) -> Self {
        let mut found = documents.specs::<Self>(KIND, diagnostics).into_iter();
        let first = found.next();
        for (name, second) in found {
            let message = format!("a second document of kind {KIND}");
            let finding = second.document.diagnostic(lint::DUPLICATE_NAME, name.at, message);
            diagnostics.push(finding.help("keep one: what holds must be read in one place"));
        }
        first.map(|(_, spec)| spec.value).unwrap_or_default()
    }
}

/// The limits in force.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    default: TenantLimits,
    tenants: BTreeMap<String, TenantLimits>,
}

impl Limits {
    /// What a catalog makes of the limits that options give.
    pub(crate) fn of(base: TenantLimits, spec: &LimitsSpec) -> Self {
        let default = base.changed(&spec.default);
        let own = |(tenant, change): (&String, &Change)| (tenant.clone(), default.changed(change));
        Self {
            default,
            tenants: spec.tenants.iter().map(own).collect(),
        }
    }

    /// Those of a tenant; "" of what is nobody's, and of the platform as a whole.
    pub(crate) fn of_tenant(&self, tenant: &str) -> TenantLimits {
        self.tenants.get(tenant).copied().unwrap_or(self.default)
    }

    /// How many samples may come at once whosever they are; 0 where any tenant has a rate.
    pub(crate) fn free_samples(&self) -> u64 {
        let all = self.tenants.values().chain([&self.default]);
        let free = all.map(|limits| match limits.samples_per_s {
            NO_LIMIT => limits.request_samples,
            _ => 0,
        });
        free.min().unwrap_or_default()
    }

    pub(crate) fn default(&self) -> TenantLimits {
        self.default
    }

    /// The tenants with limits of their own.
    pub(crate) fn own(&self) -> impl Iterator<Item = (&str, TenantLimits)> {
        self.tenants
            .iter()
            .map(|(tenant, limits)| (tenant.as_str(), *limits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(spec: &str) -> (Limits, Diagnostics) {
        let text =
            format!("apiVersion: mainstay/v1\nkind: MetricsLimits\nmetadata: {{name: m}}\nspec:\n{spec}");
        let (documents, mut diagnostics) = Documents::from_texts([("limits.yaml", text)]);
        let spec = LimitsSpec::of(&documents, &mut diagnostics);
        let base = TenantLimits {
            series: 7,
            ..TenantLimits::default()
        };
        (Limits::of(base, &spec), diagnostics)
    }

    #[test]
    fn a_tenant_has_its_own_limits_then_the_catalogs_then_the_options() {
        let (limits, diagnostics) = read(
            "  default: {samples_per_s: 50, query_series: 9}\n  tenants:\n    A: {series: 3, samples_per_s: none}\n",
        );
        assert!(!diagnostics.has_errors(), "{}", diagnostics.render_short());
        let (a, b) = (limits.of_tenant("A"), limits.of_tenant("B"));
        assert_eq!((a.series, a.samples_per_s, a.query_series), (3, NO_LIMIT, 9));
        assert_eq!((b.series, b.samples_per_s, b.query_series), (7, 50, 9));
        assert_eq!(a.strictest(b).samples_per_s, 50);
    }

    #[test]
    fn what_is_no_amount_is_told_what_is() {
        for amount in ["-1", "1.5", "lots"] {
            let findings = read(&format!("  default: {{series: {amount}}}\n")).1;
            assert!(findings.has_errors(), "{amount}");
            let said = format!("{findings:?}");
            assert!(
                said.contains("expected a whole number, or none for no limit"),
                "{said}"
            );
        }
    }

    #[test]
    fn a_key_that_is_no_limit_is_an_error() {
        assert!(read("  default: {sampels_per_s: 50}\n").1.has_errors());
        assert!(read("  default: {series: lots}\n").1.has_errors());
        assert!(!read("  {}\n").1.has_errors());
    }
}
