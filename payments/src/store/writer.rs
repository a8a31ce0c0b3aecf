//! One writer a process, committing in groups: what waits while a commit reaches the disk shares the next one.

use super::{Result, StoreError, connect};
use futures::future::BoxFuture;
use sqlx::SqliteConnection;
use std::path::Path;
use tokio::sync::{mpsc, oneshot};

/// Most pieces of work in one commit.
const MAX_GROUP: usize = 64;
/// Pieces of work that may wait; more makes the caller wait before it queues.
const MAX_QUEUE: usize = 1024;

/// Whether the work succeeded, and how to tell its caller once it is known to be durable.
struct Done {
    ok: bool,
    settle: Box<dyn FnOnce(Option<&StoreError>) + Send>,
}

type Job = Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Done> + Send>;

/// Runs write transactions.
#[derive(Clone)]
pub(crate) struct Writer(mpsc::Sender<Job>);

impl Writer {
    /// Opens the write connection.
    pub(crate) async fn open(db: &Path) -> Result<Self> {
        let mut connection = connect(db).await?;
        let (jobs, mut queue) = mpsc::channel::<Job>(MAX_QUEUE);
        tokio::spawn(async move {
            let mut group = Vec::with_capacity(MAX_GROUP);
            while queue.recv_many(&mut group, MAX_GROUP).await > 0 {
                commit(&mut connection, &mut group).await;
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
