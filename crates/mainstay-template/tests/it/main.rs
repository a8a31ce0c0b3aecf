//! Templates against the engine that they were written for.

mod amtool;
mod bounds;
mod defaults;
mod random;
mod rendering;
mod support;
