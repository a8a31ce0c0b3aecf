//! What the counts say about an incident: a question to the SLOs, asked by the plane on the incident's behalf.

use jiff::Timestamp;
use mainstay_incident::Impact;
use mainstay_kernel::Scope;
use mainstay_review::facts::BudgetCost;
use mainstay_slo::engine::Standing;
use mainstay_slo::gate::{Covered, Policy};

/// What was counted since something began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Who was hit and how much.
    pub impact: Impact,
    /// The last bad event, if there has been none since for long enough while traffic flowed.
    pub recovered_at: Option<Timestamp>,
}

/// Judges by counts. No answer means unknown, never "all is well".
pub trait Judge: Send + Sync + 'static {
    /// What was counted in `scope` since `since`; `None` if nobody knows.
    fn verdict(&self, scope: &Scope, since: Option<Timestamp>, now: Timestamp) -> Option<Verdict>;

    /// How objectives stand that judge a change to `scope`; what is not known of is left out.
    fn standings(&self, _by: &[(Covered, Policy)], _scope: &Scope, _now: Timestamp) -> Vec<Standing> {
        Vec::new()
    }

    /// How objectives stand in every place that changes are judged by.
    fn standings_in_places(&self, _by: &[Covered], _now: Timestamp) -> Vec<Standing> {
        Vec::new()
    }

    /// What the time from `from` to `to` cost each objective in `scope`.
    fn budget_costs(&self, scope: &Scope, from: Timestamp, to: Timestamp) -> Vec<BudgetCost>;
}

/// Knows nothing: for planes without telemetry.
#[derive(Debug, Clone, Copy, Default)]
pub struct Blind;

impl Judge for Blind {
    fn verdict(&self, _scope: &Scope, _since: Option<Timestamp>, _now: Timestamp) -> Option<Verdict> {
        None
    }

    fn budget_costs(&self, _scope: &Scope, _from: Timestamp, _to: Timestamp) -> Vec<BudgetCost> {
        Vec::new()
    }
}
