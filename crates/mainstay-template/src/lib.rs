//! Go's `text/template` and `html/template` as Alertmanager's notification templates use them. Pure: no IO, no clock.
//!
//! [`Templates`] holds the definitions of template files; a text renders over [`Data`] with them in reach. What comes
//! out is what Alertmanager sends, byte for byte; what Go refuses is an [`Error`] with its place. Everything is
//! bounded by [`Limits`], for a template is a stranger's program.
//!
//! Not there, and an error: complex numbers, hexadecimal floats, `%#g`, a time under a verb for numbers, functions as
//! values (`call` has nothing to call), methods of `time.Time` beyond those of `method.rs`, and in HTML what
//! `html/mod.rs` names. `else with`, and `range` over numbers, strings and functions, are of Go versions after the one
//! that is followed (1.19).

mod ast;
mod clock;
mod data;
mod error;
mod eval;
mod format;
mod function;
mod html;
mod lex;
mod limits;
mod literal;
mod method;
mod parse;
mod templates;
mod value;

pub use data::{Alert, Data, Pairs};
pub use error::{Error, Place};
pub use format::Version;
pub use limits::Limits;
pub use templates::Templates;
