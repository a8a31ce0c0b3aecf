//! The bounded pool of reader connections, with the gauges that HikariCP exposes.

use super::{Result, StoreError, options};
use crate::metrics::{Counter, DURATION_BUCKETS_SECONDS, Histogram, Registry};
use sqlx::{Sqlite, SqliteConnection, SqlitePool, pool::PoolConnection, sqlite::SqlitePoolOptions};
use std::{
    ops::{Deref, DerefMut},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// How long a request waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Usage {
    active: AtomicUsize,
    pending: AtomicUsize,
}

/// A bounded pool of reader connections.
pub(crate) struct ReaderPool {
    pool: SqlitePool,
    max: usize,
    usage: Arc<Usage>,
    waits: Histogram,
    timeouts: Counter,
}

/// A connection on loan; goes back when dropped.
pub(crate) struct Reader {
    connection: PoolConnection<Sqlite>,
    _active: Counted,
}

/// Counts one user of the pool for as long as it lives, however the request that holds it ends.
struct Counted(Arc<Usage>, fn(&Usage) -> &AtomicUsize);

impl Counted {
    fn new(usage: &Arc<Usage>, which: fn(&Usage) -> &AtomicUsize) -> Self {
        which(usage).fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(usage), which)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.1)(&self.0).fetch_sub(1, Ordering::Relaxed);
    }
}

impl ReaderPool {
    /// Opens a pool of at most `max` connections, named `name` in the metrics.
    pub(crate) fn open(db: &Path, max: u16, name: &str, metrics: &Registry) -> Self {
        let pool = SqlitePoolOptions::new()
            .max_connections(max.into())
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options(db).read_only(true));
        let usage = Arc::<Usage>::default();
        let gauge = |metric, help| metrics.gauges(metric, help, &["pool"]).with(&[name]);
        let active = gauge("hikaricp_connections_active", "Connections in use.");
        let idle = gauge(
            "hikaricp_connections_idle",
            "Open connections that are not in use.",
        );
        let pending = gauge(
            "hikaricp_connections_pending",
            "Requests that wait for a connection.",
        );
        gauge(
            "hikaricp_connections_max",
            "Most connections that the pool may open.",
        )
        .set(f64::from(max));
        let (seen, watched) = (Arc::clone(&usage), pool.clone());
        #[expect(clippy::cast_precision_loss, reason = "counts of connections are small")]
        metrics.on_collect(move || {
            active.set(seen.active.load(Ordering::Relaxed) as f64);
            pending.set(seen.pending.load(Ordering::Relaxed) as f64);
            idle.set(watched.num_idle() as f64);
        });
        Self {
            pool,
            max: max.into(),
            usage,
            waits: metrics
                .histograms(
                    "hikaricp_connections_acquire_seconds",
                    "Time to get a connection.",
                    &["pool"],
                    DURATION_BUCKETS_SECONDS,
                )
                .with(&[name]),
            timeouts: metrics
                .counters(
                    "hikaricp_connections_timeout_total",
                    "Requests that got no connection in time.",
                    &["pool"],
                )
                .with(&[name]),
        }
    }

    /// Borrows a connection, waiting at most one second.
    pub(crate) async fn acquire(&self) -> Result<Reader> {
        let began = Instant::now();
        let waiting = Counted::new(&self.usage, |u| &u.pending);
        let result = self.pool.acquire().await;
        drop(waiting);
        self.waits.observe(began.elapsed().as_secs_f64());
        match result {
            Ok(connection) => Ok(Reader {
                connection,
                _active: Counted::new(&self.usage, |u| &u.active),
            }),
            Err(sqlx::Error::PoolTimedOut) => {
                self.timeouts.increment();
                Err(StoreError::PoolExhausted {
                    max: self.max,
                    waited_ms: began.elapsed().as_millis(),
                })
            }
            Err(other) => Err(other.into()),
        }
    }
}

impl Deref for Reader {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Reader {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}
