//! A real PostgreSQL that a test starts, kills and starts again, and asks itself.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use mainstay_journal::PostgresJournal;
use mainstay_journal::postgres::Options;
use mainstay_kernel::testing::SeededEntropy;
use scratch_postgres::Postgres;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Executor as _};

use crate::support::clock;

/// Opens the journal in a schema, without much patience: a test that waits for long has failed.
pub(crate) async fn open(url: &str, schema: &str, entropy: std::sync::Arc<SeededEntropy>) -> PostgresJournal {
    try_open(url, schema, entropy).await.expect("the journal opens")
}

pub(crate) async fn try_open(
    url: &str,
    schema: &str,
    entropy: std::sync::Arc<SeededEntropy>,
) -> Result<PostgresJournal, mainstay_journal::JournalError> {
    let options = Options {
        schema: schema.to_owned(),
        ..Options::default()
    };
    PostgresJournal::open_with(url, clock(), entropy, options).await
}

/// A server that is waited for.
pub(crate) struct Server(Postgres);

impl Deref for Server {
    type Target = Postgres;

    fn deref(&self) -> &Postgres {
        &self.0
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Postgres {
        &mut self.0
    }
}

impl Server {
    /// A fresh server; `None` where there is no PostgreSQL.
    pub(crate) async fn start() -> Option<Self> {
        Self::waited_for(Postgres::start()).await
    }

    /// The same, on a port of loopback and with TLS.
    pub(crate) async fn start_encrypted(port: u16, certificate: &str, key: &str) -> Option<Self> {
        Self::waited_for(Postgres::start_encrypted(port, certificate, key)).await
    }

    async fn waited_for(server: Option<Postgres>) -> Option<Self> {
        let mut server = Self(server?);
        assert!(server.becomes_ready().await, "the server does not start");
        Some(server)
    }

    /// Starts again after [`Postgres::kill`]: PostgreSQL refuses while children of the dead one are left.
    pub(crate) async fn start_again(&mut self) {
        for _ in 0..600 {
            self.0.start_again();
            if self.becomes_ready().await {
                return;
            }
        }
        panic!("the server does not start again");
    }

    /// Waits until it answers; false if it has ended, or does not in half a minute.
    async fn becomes_ready(&mut self) -> bool {
        for _ in 0..1_500 {
            if self.has_ended() {
                return false;
            }
            if self.admin().await.is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    pub(crate) async fn admin(&self) -> Result<PgConnection, sqlx::Error> {
        let options: PgConnectOptions = self.url().parse()?;
        options.application_name("test").connect().await
    }

    pub(crate) async fn run(&self, statement: &'static str) {
        let mut admin = self.admin().await.expect("the server answers");
        admin.execute(statement).await.expect("the statement runs");
    }
}
