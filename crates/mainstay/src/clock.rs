//! The wall clock and the system's entropy: the only place where they are read.

use jiff::Timestamp;
use mainstay_kernel::clock::truncate_to_ms;
use mainstay_kernel::{Clock, Entropy};

/// The wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        truncate_to_ms(Timestamp::now())
    }
}

/// The operating system's random bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the operating system gives random bytes");
    }
}
