//! What a store may rely on: see the crate's documentation.

mod sealed;
mod wal;
mod wal_full;
