//! What is asked of reports and adjustments.

use mainstay_kernel::{Principal, SloId};

use super::Answer;
use crate::view::{
    Adjustment, Done, IssuedReport, Look, NewAdjustment, ReportAsk, ReportFile, ReportIndex, SigningKeyInfo,
};

/// Monthly reports, and what does not count in them. As with [`super::Console`], what the asker may not see does not exist.
pub trait Reports: Send + Sync + 'static {
    /// The reports of a month, the running one if none is named, that the asker may see.
    fn reports<'a>(&'a self, who: &'a Principal, month: Option<&'a str>) -> Answer<'a, ReportIndex>;
    /// A report, drafted or as it was issued.
    fn report<'a>(&'a self, who: &'a Principal, ask: &'a ReportAsk) -> Answer<'a, ReportFile>;
    /// Issues the next edition, unless nothing changed.
    fn issue_report<'a>(&'a self, who: &'a Principal, ask: &'a ReportAsk) -> Answer<'a, IssuedReport>;
    /// What verifies editions.
    fn signing_key<'a>(&'a self, who: &'a Principal) -> Answer<'a, SigningKeyInfo>;
    /// Every adjustment, oldest first; those of the catalog with their next and last times.
    fn adjustments<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<Adjustment>>;
    /// Writes an adjustment down.
    fn adjust<'a>(&'a self, who: &'a Principal, new: &'a NewAdjustment) -> Answer<'a, Done>;
    /// Takes one back.
    fn withdraw<'a>(&'a self, who: &'a Principal, number: u32, reason: &'a str) -> Answer<'a, Done>;
    /// How every number of an objective comes about, CommonMark.
    fn explain<'a>(&'a self, who: &'a Principal, id: &'a SloId, look: &'a Look) -> Answer<'a, String>;
}
