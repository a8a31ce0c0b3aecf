//! What went wrong with the server, and what may be done about it.

use std::time::Duration;

use tokio::time::Instant;

use crate::store::JournalError;

/// How to mend what is wrong with TLS.
const TLS_HELP: &str = "a database on another machine must encrypt and prove its name, by an authority of this machine or of \
                        `sslrootcert=FILE` in the URL; `sslmode` in the URL asks for less";

/// Why a piece of work did not succeed.
#[derive(Debug)]
pub(super) enum Fault {
    /// The journal says no, or what it read is damaged.
    Refused(JournalError),
    /// The server said no, or nothing.
    Sql(sqlx::Error),
}

/// What an error of the server means for the transaction under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It was rolled back because of others: the same again may succeed.
    Again,
    /// The connection is gone. Before COMMIT was sent the transaction certainly did not happen; after, nobody knows.
    Lost,
    /// The same again fails again.
    Final,
}

/// PostgreSQL's `SQLSTATE` codes (appendix A of its manual).
fn kind_of_state(state: &str) -> Kind {
    match state {
        // Serialization failure, deadlock, lock timeout, cancelled by a timeout of the server.
        "40001" | "40P01" | "55P03" | "57014" => Kind::Again,
        // Idle in transaction for too long, too many connections.
        "25P03" | "53300" => Kind::Lost,
        // Connection exceptions; the server stops, has crashed, or is not up yet.
        _ if state.starts_with("08") || state.starts_with("57P") => Kind::Lost,
        _ => Kind::Final,
    }
}

/// Whether the server does not encrypt, or did not prove who it is: it will not the next time either.
fn is_distrust(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    }
}

fn kind(error: &sqlx::Error) -> Kind {
    match error {
        _ if is_distrust(error) => Kind::Final,
        sqlx::Error::Database(error) => error.code().map_or(Kind::Final, |state| kind_of_state(&state)),
        sqlx::Error::Io(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::WorkerCrashed => Kind::Lost,
        _ => Kind::Final,
    }
}

impl Fault {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Refused(_) => Kind::Final,
            Self::Sql(error) => kind(error),
        }
    }

    /// Whether a COMMIT that ended so may have gone through. Only an error that the server reports about the
    /// transaction itself says that it did not.
    pub(super) fn leaves_commit_unknown(&self) -> bool {
        match self {
            Self::Sql(sqlx::Error::Database(_)) => self.kind() == Kind::Lost,
            Self::Sql(_) => true,
            Self::Refused(_) => false,
        }
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<JournalError> for Fault {
    fn from(error: JournalError) -> Self {
        Self::Refused(error)
    }
}

impl From<Fault> for JournalError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(error) => error,
            Fault::Sql(error) if is_distrust(&error) => Self::Storage(format!("{error}; {TLS_HELP}")),
            Fault::Sql(error) => Self::Storage(error.to_string()),
        }
    }
}

/// Waits for an answer, but not for ever: a server that is stopped answers nothing and closes nothing.
pub(super) async fn within<T, E: Into<Fault>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(Fault::Sql(sqlx::Error::Io(std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            format!("no answer within {} ms", limit.as_millis()),
        )))),
    }
}

/// How long something is tried again, and at what distances.
pub(super) struct Patience {
    until: Instant,
    wait: Duration,
}

impl Patience {
    const FIRST_WAIT: Duration = Duration::from_millis(10);
    const LONGEST_WAIT: Duration = Duration::from_millis(500);

    pub(super) fn new(limit: Duration) -> Self {
        Self {
            until: Instant::now() + limit,
            wait: Self::FIRST_WAIT,
        }
    }

    /// Waits before the next attempt; false if there should be none.
    pub(super) async fn again(&mut self) -> bool {
        if Instant::now() + self.wait > self.until {
            return false;
        }
        tokio::time::sleep(self.wait).await;
        self.wait = (self.wait * 2).min(Self::LONGEST_WAIT);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_the_manual_are_told_apart() {
        for (state, expected) in [
            ("40001", Kind::Again),
            ("40P01", Kind::Again),
            ("08006", Kind::Lost),
            ("57P01", Kind::Lost),
            ("57P03", Kind::Lost),
            ("25P03", Kind::Lost),
            ("53100", Kind::Final),
            ("23505", Kind::Final),
        ] {
            assert_eq!(kind_of_state(state), expected, "{state}");
        }
    }
}
