//! Deadlines travel with a request as the milliseconds that are left, so that clocks need not agree.

use http::HeaderMap;
use std::time::Duration;
use tokio::time::Instant;

/// The header that carries the remaining time, in milliseconds.
pub const HEADER: &str = "x-request-timeout-ms";

/// What a request without the header is given.
pub const DEFAULT: Duration = Duration::from_millis(2000);

/// The point in time until which the request with these headers may take; never later than `longest` from now.
pub(crate) fn of(headers: &HeaderMap, longest: Duration) -> Instant {
    let asked = headers
        .get(HEADER)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse().ok())
        .map(Duration::from_millis);
    Instant::now() + asked.unwrap_or(DEFAULT).min(longest)
}

/// The header's value for a call that may take until `deadline`.
pub(crate) fn remaining_ms(deadline: Instant) -> u64 {
    u64::try_from(deadline.saturating_duration_since(Instant::now()).as_millis()).unwrap_or(u64::MAX)
}
