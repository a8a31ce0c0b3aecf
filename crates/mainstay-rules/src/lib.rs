//! Prometheus rule files and the engine that runs them: groups, `for`, `keep_firing_for`, templates, write-back between
//! rules, and rule unit tests. Pure: time and samples come from the caller.
//!
//! A [`RuleFile`] is read by [`RuleFile::parse`]; each of its groups becomes a [`Group`], which is evaluated against a
//! [`RuleStore`] and reports only the transitions of its alerts.

pub mod alert;
pub mod dependency;
pub mod error;
pub mod file;
pub mod group;
pub mod schedule;
pub mod template;
pub mod unit_test;

mod yaml;

pub use alert::{ActiveAlert, AlertState, Change, Transition};
pub use error::{Diagnostic, RuleFileError};
pub use file::{GroupSpec, RuleFile, RuleKind, RuleSpec};
pub use group::{
    Evaluation, Group, GroupContext, GroupMemory, RuleFailure, RuleMemory, RuleSample, RuleStore, Settling,
};
pub use schedule::Schedule;
