//! Shadow: what would have been told.

use jiff::Timestamp;
use mainstay_kernel::Principal;

use super::Answer;
use crate::view::{CutOver, Done, RouteInForce, ShadowReport, ToldElsewhere};

/// Routes that decide beside another system that still tells people.
pub trait Shadow: Send + Sync + 'static {
    /// Another system told somebody. Done: it is in the journal.
    fn told_elsewhere<'a>(&'a self, who: &'a Principal, told: ToldElsewhere) -> Answer<'a, Done>;
    /// What both told since an instant; without one, in the last 24 hours.
    fn shadow_report<'a>(&'a self, who: &'a Principal, since: Option<Timestamp>) -> Answer<'a, ShadowReport>;
    /// Every route in force, and whether what it tells leaves.
    fn routes_in_force<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<RouteInForce>>;
    /// Lets what routes tell leave, or not. Done: it is in force.
    fn cut_over<'a>(&'a self, who: &'a Principal, cut: CutOver) -> Answer<'a, Done>;
}
