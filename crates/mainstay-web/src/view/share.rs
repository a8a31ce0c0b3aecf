//! A part of a whole, exact.

use mainstay_kernel::Ratio;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

/// A part of a whole. As JSON an exact decimal in a string, `"0.9995"`, or a fraction where no decimal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(pub Ratio);

impl Share {
    /// The good part, given how many of `total` were bad; nothing is known of nothing.
    #[must_use]
    pub fn good(bad: u64, total: u64) -> Option<Self> {
        Ratio::new(total.checked_sub(bad)?, total).ok().map(Self)
    }

    /// An objective in percent with as many digits as it has: `99.95%`.
    #[must_use]
    pub fn percent(self) -> String {
        let text = self.0.percent(6);
        let digits = text
            .trim_end_matches('%')
            .trim_end_matches('0')
            .trim_end_matches('.');
        format!("{digits}%")
    }

    /// A measured share in percent, cut to `decimals` digits and never rounded up: 99.9499 % must not be shown as the
    /// 99.95 % that was promised.
    #[must_use]
    pub fn percent_floor(self, decimals: u32) -> String {
        let scale = 10_u128.pow(decimals.min(9));
        let scaled = u128::from(self.0.numerator()) * 100 * scale / u128::from(self.0.denominator());
        match decimals.min(9) {
            0 => format!("{scaled}%"),
            width => format!(
                "{}.{:0width$}%",
                scaled / scale,
                scaled % scale,
                width = width as usize
            ),
        }
    }

    /// How many digits a measured value needs beside this objective: one more than the objective has, at least two.
    #[must_use]
    pub fn decimals_beside(self) -> u32 {
        let text = self.percent();
        let digits = text
            .trim_end_matches('%')
            .split_once('.')
            .map_or(0, |(_, fraction)| fraction.len());
        u32::try_from(digits).unwrap_or(6).saturating_add(1).max(2)
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl JsonSchema for Share {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A part of a whole: an exact decimal (0.9995), or a fraction (1/3) where no decimal ends."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_objective_is_never_rounded_up_to_a_kept_one() {
        let objective = Share("99.95%".parse().expect("a percentage"));
        let value = Share::good(501, 1_000_000).expect("there were requests");
        assert!(value < objective);
        assert_eq!(value.0.percent(2), "99.95%", "rounding would hide it");
        assert_eq!(value.percent_floor(2), "99.94%");
        assert_eq!(value.percent_floor(objective.decimals_beside()), "99.949%");
        assert_eq!(objective.percent(), "99.95%");
        assert_eq!(Share(Ratio::ONE).percent(), "100%");
        assert_eq!(Share::good(0, 0), None);
        assert_eq!(Share::good(2, 1), None);
    }
}
