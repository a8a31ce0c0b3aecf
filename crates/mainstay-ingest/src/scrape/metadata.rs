//! What an exposition says of its families. It is mostly the same as in the scrape before, so it is only read out when a
//! digest of it is another.

use std::collections::BTreeMap;

use super::Scrape;
use crate::exposition::{HistogramForm, Item, MetricKind, ParseError, parse};
use crate::metadata::FamilyMetadata;
use crate::series_key::SeriesKey;

/// How many families of one target are kept.
const FAMILIES_MAX: usize = 10_000;

/// The digest of what was said before, with one more saying.
pub(super) fn noted(digest: SeriesKey, item: &Item<'_>) -> SeriesKey {
    let (what, family, said) = match item {
        Item::Type { family, kind } => ("type", family, kind.name()),
        Item::Help { family, help } => ("help", family, help.as_ref()),
        Item::Unit { family, unit } => ("unit", family, *unit),
        Item::Sample(_) | Item::Created { .. } => return digest,
    };
    [what, family, said]
        .into_iter()
        .fold(digest, |digest, text| digest.then(SeriesKey::of(text.as_bytes())))
}

/// What is said, in order of family. One pass, O(bytes).
pub(super) fn read(scrape: &Scrape, form: HistogramForm) -> Result<Vec<FamilyMetadata>, ParseError> {
    let mut families: BTreeMap<String, FamilyMetadata> = BTreeMap::new();
    parse(&scrape.body, scrape.format, form, |item| {
        let (Item::Type { family, .. } | Item::Help { family, .. } | Item::Unit { family, .. }) = &item
        else {
            return;
        };
        let new = |kind, help: &str, unit: &str| FamilyMetadata::new(family, kind, help, unit);
        let unknown = MetricKind::Unknown;
        if !families.contains_key(*family) {
            if families.len() == FAMILIES_MAX {
                return;
            }
            families.insert((*family).to_owned(), new(unknown, "", ""));
        }
        let Some(known) = families.get_mut(*family) else {
            return;
        };
        match &item {
            Item::Type { kind, .. } => known.kind = *kind,
            Item::Help { help, .. } => known.help = new(unknown, help, "").help,
            Item::Unit { unit, .. } => known.unit = new(unknown, "", unit).unit,
            Item::Sample(_) | Item::Created { .. } => {}
        }
    })?;
    Ok(families.into_values().collect())
}
