//! The durable core. Every decision of every capability becomes events; events, the effects they call for and the
//! timers they set are committed in one transaction, and only then is anything acknowledged or sent.
//!
//! - [`machine`]: the contract of a pure capability: decide, apply, react.
//! - [`envelope`]: what surrounds every event, for ever: partition, position, actor, cause, digests, hash chain.
//! - [`store`]: what a backend must do ([`Journal`]); [`memory`], [`sqlite`] and [`postgres`] do it, [`conformance`] checks them.
//! - [`stored`]: whichever of the durable ones an operator chose.
//! - [`runner`]: keeps a machine's state in step with the journal.
//! - [`seal`]: personal fields beside the chain, under keys that can be destroyed.
//! - [`verify`]: recomputes every hash.

mod chain;
pub mod conformance;
pub mod envelope;
mod formats;
pub mod machine;
pub mod memory;
pub mod postgres;
pub mod runner;
pub mod seal;
pub mod sqlite;
pub mod store;
pub mod stored;
pub mod verify;

pub use envelope::{Envelope, Epoch, Partition, Personal, PersonalFields, Record, Seq, StreamId};
pub use machine::{DomainEvent, Machine, Reaction};
pub use memory::{MemoryImage, MemoryJournal};
pub use postgres::PostgresJournal;
pub use runner::{Context, ExecuteError, Recorded, Runner, Settle};
pub use sqlite::SqliteJournal;
pub use store::{
    Claimed, Commit, Committed, Finished, Journal, JournalError, NewEffect, NewEvent, Room, Snapshot, Timer,
};
pub use stored::StoredJournal;
