//! Who is on call: one function, shared by the notifier, the CLI and the pages.

mod clock;
mod duty;
mod explain;
mod restriction;
mod turn;

pub use clock::{first_instant, last_instant};
pub use duty::{Gap, Shift, Source, gaps, next_shift, on_call_at, schedule, shift_at};
pub use explain::{Step, Verdict, explain};
pub use turn::{Turn, turn_at};
