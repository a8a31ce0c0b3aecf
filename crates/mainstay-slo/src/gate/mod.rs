//! The gate: whether a change may go out, by what is left of the error budgets.
//!
//! - [`policy`]: what a state of a budget calls for, from documents of kind `ErrorBudgetPolicy`
//! - [`decide`]: the decision itself, a pure function of how the objectives stand, the policies, the approvals and the
//!   request
//! - [`Gate`]: the machine that writes down every answer, every approval and every budget whose state changed
//!
//! # Which budgets count
//!
//! Those of the objectives about the service, and those of the objectives whose policy says `appliesTo` the service. Each
//! is looked at in the group that the change is in: by the cell (and its region) as far as the objective is judged by them,
//! and by the tenant where the change is for one tenant alone. An objective that is not judged by cells counts as a whole: it
//! cannot say that this cell is well. Where it is judged by tenants and the change is for all of them, the sum over the
//! tenants of the cell counts.
//!
//! # Unknown
//!
//! What is not seen neither freezes nor thaws. A group that went dark is judged as of the last instant at which all of it
//! was seen, and never better than the state that the journal last has of it.

mod answer;
mod decide;
mod load;
mod machine;
pub mod policy;

pub use answer::{Answer, BudgetRead, ChangeKind, PeriodRead, Reason, Request, Rule, Verdict};
pub use decide::{decide, state_of};
pub use load::load;
pub use machine::{
    Approval, Approve, Gate, GateCommand, GateEvent, GateRefusal, GateState, LastState, RecordedAnswer,
};
pub use policy::{Covered, Exception, FailMode, Policies, Policy};
