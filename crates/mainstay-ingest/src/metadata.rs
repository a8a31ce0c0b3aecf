//! What is said of metric families.

use crate::exposition::MetricKind;

/// How much is kept of a name, a help or a unit, in bytes.
const TEXT_MAX_BYTES: usize = 1 << 10;

/// What a target or a sender says of a metric family.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FamilyMetadata {
    /// The family's name, as written.
    pub family: String,
    /// What it is.
    pub kind: MetricKind,
    /// What it means; empty if that is not said.
    pub help: String,
    /// Its unit; empty if that is not said.
    pub unit: String,
}

impl FamilyMetadata {
    /// With texts of at most 1 KiB: what is longer is cut.
    #[must_use]
    pub fn new(family: &str, kind: MetricKind, help: &str, unit: &str) -> Self {
        let cut = |text: &str| text[..text.floor_char_boundary(TEXT_MAX_BYTES)].to_owned();
        Self {
            family: cut(family),
            kind,
            help: cut(help),
            unit: cut(unit),
        }
    }
}
