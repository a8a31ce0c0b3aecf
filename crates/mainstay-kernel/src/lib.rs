//! The words every capability shares: ids, scope, severity, principal, clock, exact ratio, labels, effects and the
//! published facts. Pure data and pure functions; no IO, no wall clock, no entropy.
//!
//! Keep it small and settled: an edit here rebuilds everything.

pub mod clock;
pub mod csv;
pub mod digest;
pub mod effect;
pub mod fact;
pub mod histogram;
pub mod id;
pub mod labels;
pub mod matcher;
mod matcher_text;
pub mod notification;
pub mod principal;
pub mod ratio;
pub mod reach;
pub mod sample;
pub mod scope;
pub mod severity;
pub mod summary;

pub use clock::{Clock, Entropy};
pub use digest::{Digest, Digesting};
pub use histogram::Histogram;
pub use id::{
    CellId, ChannelName, EventId, IncidentId, PageId, PersonId, RegionId, RunbookId, ServiceId, SloId,
    TeamId, TenantId, ZoneId,
};
pub use labels::Labels;
pub use matcher::{MatchOp, Matcher};
pub use matcher_text::{MatcherTextError, parse_matcher, parse_matchers};
pub use principal::{Actor, Principal, Role};
pub use ratio::Ratio;
pub use reach::{Reach, ReachError};
pub use sample::{STALE_NAN, SampleValue, is_stale};
pub use scope::Scope;
pub use severity::Severity;
pub use summary::{MAX_EXACT, Summary};

/// Deterministic stand-ins for the clock and the entropy source, for tests and for the simulator.
pub mod testing;
