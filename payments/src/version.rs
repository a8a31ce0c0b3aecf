//! Release versions of the services, and what the bad ones get wrong.
//!
//! A pod learns its version from the image tag of its manifest. Versions differ in behaviour only here, so that
//! nothing else in the platform can fake a fault: metrics change because the system does.

use std::{fmt, str::FromStr, time::Duration};

/// A release, as an image tag spells it: `v1.5.0` or `1.5.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    major: u16,
    minor: u16,
    patch: u16,
}

impl Version {
    const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// How long payment-service's read query waits on the database while it holds its connection.
    ///
    /// 1.6 lost an index: 40 ms became 500 ms. With 200 requests/s and 20 connections per cell the pool is less than
    /// half used before (200/s x 0.04 s = 8) and asked for five times what it has after (200/s x 0.5 s = 100).
    pub(crate) fn read_query_wait(self) -> Duration {
        if self >= Self::new(1, 6, 0) && self < Self::new(1, 7, 0) {
            Duration::from_millis(500)
        } else {
            Duration::from_millis(40)
        }
    }

    /// Of 100 calls to the bank, how many clearing-adapter's connector answers with a 5xx.
    ///
    /// 2.1 sends every call through a connection that the bank closes now and then: 30 % fail.
    pub(crate) fn bank_failures_percent(self) -> u8 {
        if self >= Self::new(2, 1, 0) && self < Self::new(2, 2, 0) {
            30
        } else {
            0
        }
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("version {text:?} is not MAJOR.MINOR.PATCH such as v1.5.0");
        let mut parts = text.strip_prefix('v').unwrap_or(text).split('.');
        let mut next = || parts.next().and_then(|p| p.parse::<u16>().ok()).ok_or_else(bad);
        let version = Self::new(next()?, next()?, next()?);
        if parts.next().is_some() {
            Err(bad())
        } else {
            Ok(version)
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bad_releases_are_bad() {
        let wait = |v: &str| {
            v.parse::<Version>()
                .expect("version")
                .read_query_wait()
                .as_millis()
        };
        assert_eq!(
            [wait("v1.5.0"), wait("1.6.0"), wait("v1.6.1"), wait("v1.7.0")],
            [40, 500, 500, 40]
        );
        let bank = |v: &str| v.parse::<Version>().expect("version").bank_failures_percent();
        assert_eq!([bank("v2.0.0"), bank("v2.1.0"), bank("v2.2.0")], [0, 30, 0]);
        assert!("v1.6".parse::<Version>().is_err() && "v1.6.0.1".parse::<Version>().is_err());
    }
}
