//! The integration tests of the journal.

mod backends;
