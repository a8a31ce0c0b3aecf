//! What is wrong with promises although every document by itself can be read: places that contradict each other.
//!
//! Nothing here knows a name, a number or a sentence of one catalog. Selectors are compared by the label values that
//! they take, queries by their syntax trees, texts by the quantities in them ([`prose`]). A finding is made only where
//! a witness is at hand (a status code that one place counts as good and the other as bad, a number above what a ratio
//! can reach); where nothing can be shown, nothing is said.
//!
//! What a team says elsewhere about its objectives is read where it usually stands:
//!
//! | what | where |
//! |---|---|
//! | targets, thresholds, minutes of budget | `description` of SLOs and SLIs; annotations `*/budget-minutes` |
//! | figures that a dashboard or a report shows of an SLO | annotations `*/shown-good`, `*/shown-bad`, `*/shown-budget-used`, `*/shown-budget-left` of the SLO: percentages, each with the mark or word that it is shown with |
//! | how long raw samples are kept, how often they arrive | `spec.retention` and `spec.scrapeInterval` of a `Prometheus` object of its operator, `interval` of its monitors' endpoints |
//! | edges of a histogram | annotation `mainstay/edges` of the SLI |

mod alerts;
mod answers;
mod composition;
mod expression;
mod figures;
mod indicators;
mod model;
mod objectives;
pub mod prose;
mod rules;
mod values;

use mainstay_catalog::{Diagnostics, Documents, Platform};

use model::Model;

/// Adds what is found. What cannot be read is passed over: whoever reads it says so. Costs grow with the pairs of
/// places that talk about one metric.
pub fn check(documents: &Documents, platform: &Platform, diagnostics: &mut Diagnostics) {
    let objects = super::Objects::of(documents, &mut Diagnostics::new());
    let model = Model::of(&objects, documents);
    indicators::check(&model, diagnostics);
    answers::check(&model, diagnostics);
    objectives::check(&model, diagnostics);
    figures::check(&model, diagnostics);
    alerts::check(&model, diagnostics);
    rules::check_times(&model, documents, diagnostics);
    composition::check(&model, platform, documents, diagnostics);
}
