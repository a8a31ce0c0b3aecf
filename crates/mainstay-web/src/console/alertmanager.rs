//! What clients of Alertmanager ask.

use mainstay_kernel::Principal;

use super::Answer;
use crate::view::{AlertGroup, AlertmanagerStatus, GettableAlert, GettableSilence, Named, PostableSilence};

/// Alerts, groups and silences as Alertmanager's API v2 has them. As with [`super::Console`], what the asker may not see does
/// not exist.
pub trait Alertmanager: Send + Sync + 'static {
    /// Every alert that fires.
    fn gettable_alerts<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<GettableAlert>>;
    /// Every group with the alerts of it that fire.
    fn alert_groups<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<AlertGroup>>;
    /// Every silence, those that are over lately among them.
    fn silences<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<GettableSilence>>;
    /// Makes or changes a silence; gives its name.
    fn silence<'a>(&'a self, who: &'a Principal, silence: PostableSilence) -> Answer<'a, String>;
    /// Ends a silence.
    fn end_silence<'a>(&'a self, who: &'a Principal, id: &'a str) -> Answer<'a, ()>;
    /// The receivers.
    fn receivers<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<Named>>;
    /// The routing in force.
    fn alertmanager_status<'a>(&'a self, who: &'a Principal) -> Answer<'a, AlertmanagerStatus>;
}
