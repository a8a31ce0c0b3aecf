//! One writer a process, committing in groups: what waits while a commit reaches the disk shares the next one.
//!
//! Processes take turns by a lock on a file beside the database. SQLite's own lock would do for correctness, but its
//! waiters sleep and try again, up to 100 ms a time; waiters of this lock are woken by the kernel.

use super::{Result, StoreError, connect};
use futures::future::BoxFuture;
use rustix::fs::{FlockOperation, flock};
use sqlx::SqliteConnection;
use std::{fs::File, path::Path, sync::Arc};
use tokio::sync::{mpsc, oneshot};

/// Most pieces of work in one commit.
const MAX_GROUP: usize = 32;
/// Pieces of work that may wait; more makes the caller wait before it queues.
const MAX_QUEUE: usize = 1024;

/// Tells the caller of a piece of work how it ended; the error is that of the commit.
type Settle = Box<dyn FnOnce(Option<&StoreError>) + Send>;

/// Whether the work succeeded, and how to tell its caller once it is known to be durable.
struct Done {
    ok: bool,
    settle: Settle,
}

type Job = Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Done> + Send>;

/// Runs write transactions.
#[derive(Clone)]
pub(crate) struct Writer(mpsc::Sender<Job>);

impl Writer {
    /// Opens the write connection.
    pub(crate) async fn open(db: &Path) -> Result<Self> {
        let mut connection = connect(db).await?;
        let turns = Turns::open(db)?;
        let (jobs, mut queue) = mpsc::channel::<Job>(MAX_QUEUE);
        tokio::spawn(async move {
            let mut group = Vec::with_capacity(MAX_GROUP);
            while queue.recv_many(&mut group, MAX_GROUP).await > 0 {
                turns.wait().await;
                commit(&mut connection, &mut group).await;
                turns.done();
            }
        });
        Ok(Self(jobs))
    }

    /// Runs `work` inside a transaction of its own (to itself) and returns once that is durable. What `work` did
    /// before it failed is undone. Work that was queued happens even when the caller stops waiting.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            Box::pin(async move {
                let result = work(connection).await;
                Done {
                    ok: result.is_ok(),
                    settle: Box::new(move |failure| {
                        let _ = reply.send(match failure {
                            None => result,
                            Some(error) => Err(StoreError::Commit(error.to_string())),
                        });
                    }),
                }
            })
        });
        self.0.send(job).await.map_err(|_| StoreError::Gone)?;
        answer.await.map_err(|_| StoreError::Gone)?
    }
}

/// The turns that the writing processes of a database take.
///
/// Who wants the database queues at the door and keeps the door while it waits for the room; so a process that has
/// just left the room cannot slip in again before the one that was waiting.
#[derive(Clone)]
struct Turns {
    door: Arc<File>,
    room: Arc<File>,
}

impl Turns {
    fn open(db: &Path) -> Result<Self> {
        let open = |extension| -> Result<Arc<File>> {
            let options = File::options()
                .create(true)
                .append(true)
                .open(db.with_extension(extension));
            Ok(Arc::new(options.map_err(sqlx::Error::Io)?))
        };
        Ok(Self {
            door: open("door")?,
            room: open("room")?,
        })
    }

    /// A lock that cannot be had (on a file system without locks) leaves SQLite's own to keep order.
    async fn wait(&self) {
        let at_door = flock(&*self.door, FlockOperation::NonBlockingLockExclusive).is_ok();
        let inside = at_door && flock(&*self.room, FlockOperation::NonBlockingLockExclusive).is_ok();
        if !inside {
            let turns = self.clone();
            let queue = move || {
                let _ = flock(&*turns.door, FlockOperation::LockExclusive);
                let _ = flock(&*turns.room, FlockOperation::LockExclusive);
            };
            let _ = tokio::task::spawn_blocking(queue).await;
        }
        let _ = flock(&*self.door, FlockOperation::Unlock);
    }

    fn done(&self) {
        let _ = flock(&*self.room, FlockOperation::Unlock);
    }
}

async fn commit(connection: &mut SqliteConnection, group: &mut Vec<Job>) {
    let mut done = Vec::with_capacity(group.len());
    let result = run(connection, group, &mut done).await;
    if result.is_err() {
        group.clear();
        let _ = sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await;
    }
    for one in done {
        (one.settle)(result.as_ref().err());
    }
}

async fn run(connection: &mut SqliteConnection, group: &mut Vec<Job>, done: &mut Vec<Done>) -> Result<()> {
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    let alone = group.len() == 1;
    for job in group.drain(..) {
        // A savepoint keeps one piece's failure from its neighbours.
        if !alone {
            sqlx::raw_sql("SAVEPOINT piece").execute(&mut *connection).await?;
        }
        let one = job(connection).await;
        let ok = one.ok;
        done.push(one);
        if alone && !ok {
            sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await?;
            return Ok(());
        }
        if !alone {
            let end = if ok {
                "RELEASE piece"
            } else {
                "ROLLBACK TO piece; RELEASE piece"
            };
            sqlx::raw_sql(end).execute(&mut *connection).await?;
        }
    }
    sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
    Ok(())
}
