//! Time and chance as parameters. Only the binary hands in the real ones; the simulator hands in seeded ones.

use jiff::Timestamp;

/// Says what time it is. Always at millisecond precision, so that a stored instant equals the one decided on.
pub trait Clock: Send + Sync + 'static {
    /// The present instant, in whole milliseconds.
    fn now(&self) -> Timestamp;
}

/// A source of unpredictable bytes: ids, nonces, keys.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `buffer` with random bytes.
    fn fill(&self, buffer: &mut [u8]);
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

impl<E: Entropy + ?Sized> Entropy for std::sync::Arc<E> {
    fn fill(&self, buffer: &mut [u8]) {
        (**self).fill(buffer);
    }
}

/// Cuts an instant to whole milliseconds, towards the past.
#[must_use]
pub fn truncate_to_ms(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(Timestamp::UNIX_EPOCH)
}
