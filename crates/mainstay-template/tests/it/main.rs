//! Templates against the engine that they were written for.

mod amtool;
mod bounds;
mod random;
mod rendering;
mod support;
