//! Copies of everything that a server keeps, and the way back.

pub(crate) mod manifest;
mod restore;

pub(crate) use restore::{Options, run, take_note};
