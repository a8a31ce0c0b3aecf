//! World: the whole plane on one thread, under a clock that jumps, chance that is seeded, receivers that fail and a
//! process that dies at any boundary. A seed run twice gives the same log to the byte.

mod kill;
mod outside;
pub mod scenario;
mod storage;
mod world;

pub use kill::{Boundary, KillSwitch};
pub use outside::{Mishap, Received};
pub use storage::{Memory, Storage};
pub use world::{World, WorldError};
