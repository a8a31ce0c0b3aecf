//! The one writer: a thread with the only connection that writes. Writes that wait together go into one transaction,
//! each in its own savepoint, so that one fsync makes them all durable. Because the thread owns a write once it has been
//! handed over, a caller who stops waiting cannot leave it half done.

use std::fs::File;
use std::sync::Arc;
use std::thread::JoinHandle;

use futures::future::BoxFuture;
use mainstay_kernel::{Clock, Entropy};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Row as _};
use tokio::sync::{mpsc, oneshot};

use super::storage;
use crate::envelope::{Epoch, Seq};
use crate::store::JournalError;

/// The most writes in one transaction: bounds how long the first of them waits for the last.
const BATCH_MAX: usize = 128;
/// The most writes that wait; further callers wait before they hand theirs over.
const QUEUE_MAX: usize = 1_024;

/// What a write works with.
pub(super) struct Session {
    pub(super) connection: SqliteConnection,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    /// Set by writes that removed something secret: the write-ahead log must then be emptied as well.
    pub(super) scrub: bool,
}

impl Session {
    /// Refuses a term that is over. Gives the last event of the store, which a commit needs next: every statement is a
    /// round trip to the connection's thread.
    pub(super) async fn fence(&mut self, used: Epoch) -> Result<Seq, JournalError> {
        let row = sqlx::query("SELECT epoch, (SELECT MAX(seq) FROM event) FROM lead")
            .fetch_one(&mut self.connection)
            .await
            .map_err(storage)?;
        let current: i64 = row.try_get(0).map_err(storage)?;
        let current = Epoch(current.unsigned_abs());
        if used != current {
            return Err(JournalError::StaleEpoch { used, current });
        }
        let head: Option<i64> = row.try_get(1).map_err(storage)?;
        Ok(Seq(head.unwrap_or(0).unsigned_abs()))
    }

    async fn raw(&mut self, statement: &'static str) -> Result<(), JournalError> {
        sqlx::query(statement)
            .execute(&mut self.connection)
            .await
            .map(|_| ())
            .map_err(storage)
    }
}

/// Tells the caller how the transaction ended.
type Tell = Box<dyn FnOnce(Result<(), &str>) + Send>;

/// A write whose statements have been run.
enum Done {
    /// It stands if the transaction does.
    Keep(Tell),
    /// It is refused for a reason of its own; the writes beside it go on.
    Undo(Tell),
    /// The storage failed under it: nothing of the transaction can be trusted.
    Abort(Tell, String),
}

trait Job: Send {
    fn run(self: Box<Self>, session: &mut Session) -> BoxFuture<'_, Done>;
    fn refuse(self: Box<Self>, reason: &str);
}

struct Write<W, T> {
    work: W,
    reply: oneshot::Sender<Result<T, JournalError>>,
}

impl<W, T> Job for Write<W, T>
where
    W: for<'s> FnOnce(&'s mut Session) -> BoxFuture<'s, Result<T, JournalError>> + Send + 'static,
    T: Send + 'static,
{
    fn run(self: Box<Self>, session: &mut Session) -> BoxFuture<'_, Done> {
        let Self { work, reply } = *self;
        Box::pin(async move {
            // A caller who no longer waits is not told; that is all that a failed `send` means.
            match work(session).await {
                Ok(value) => Done::Keep(Box::new(move |durable| {
                    let answer = durable.map(|()| value);
                    let _ = reply.send(answer.map_err(|reason| JournalError::Storage(reason.to_owned())));
                })),
                Err(error) => {
                    let failed = match &error {
                        JournalError::Storage(reason) => Some(reason.clone()),
                        JournalError::Corrupt { .. } => Some(error.to_string()),
                        _ => None,
                    };
                    let tell: Tell = Box::new(move |_| drop(reply.send(Err(error))));
                    match failed {
                        Some(reason) => Done::Abort(tell, reason),
                        None => Done::Undo(tell),
                    }
                }
            }
        })
    }

    fn refuse(self: Box<Self>, reason: &str) {
        let _ = self.reply.send(Err(JournalError::Storage(reason.to_owned())));
    }
}

/// The handle of the thread.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread. It keeps `lock` until everything handed to it is written.
    pub(super) fn start(session: Session, lock: File) -> Result<Self, JournalError> {
        let (jobs, queue) = mpsc::channel(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("journal-writer".to_owned())
            .spawn(move || {
                futures::executor::block_on(serve(session, queue));
                drop(lock);
            })
            .map_err(|error| JournalError::Storage(format!("cannot start the writer: {error}")))?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Hands `work` to the thread and waits until its transaction is durable.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl for<'s> FnOnce(&'s mut Session) -> BoxFuture<'s, Result<T, JournalError>> + Send + 'static,
    ) -> Result<T, JournalError> {
        let stopped = || JournalError::Storage("the journal's writer has stopped".to_owned());
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        jobs.send(Box::new(Write { work, reply }))
            .await
            .map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    /// Waits for the writes that were handed over, so that the directory is free afterwards.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(mut session: Session, mut queue: mpsc::Receiver<Box<dyn Job>>) {
    while let Some(first) = queue.recv().await {
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX
            && let Ok(next) = queue.try_recv()
        {
            batch.push(next);
        }
        carry_out(&mut session, batch).await;
    }
    // Closing checkpoints the write-ahead log. If that fails, the next open does it.
    let _ = session.connection.close().await;
}

async fn carry_out(session: &mut Session, batch: Vec<Box<dyn Job>>) {
    let mut jobs = batch.into_iter();
    let mut kept = Vec::new();
    let mut refused = Vec::new();
    let mut failure = session
        .raw("BEGIN IMMEDIATE; SAVEPOINT one_write")
        .await
        .err()
        .map(|error| error.to_string());
    while failure.is_none()
        && let Some(job) = jobs.next()
    {
        let next = match job.run(session).await {
            Done::Keep(tell) => {
                kept.push(tell);
                // COMMIT releases the last one.
                match jobs.len() {
                    0 => Ok(()),
                    _ => {
                        session
                            .raw("RELEASE SAVEPOINT one_write; SAVEPOINT one_write")
                            .await
                    }
                }
            }
            Done::Undo(tell) => {
                refused.push(tell);
                session.raw("ROLLBACK TO SAVEPOINT one_write").await
            }
            Done::Abort(tell, reason) => {
                refused.push(tell);
                failure = Some(reason);
                break;
            }
        };
        failure = next.err().map(|error| error.to_string());
    }
    if failure.is_none() {
        failure = session.raw("COMMIT").await.err().map(|error| error.to_string());
    }
    if failure.is_some() {
        // Some failures have rolled back already; then there is nothing to do and this fails.
        let _ = session.raw("ROLLBACK").await;
    }
    if session.scrub {
        session.scrub = !scrubbed(session).await;
    }
    let outcome = failure.as_deref().map_or(Ok(()), Err);
    kept.into_iter().chain(refused).for_each(|tell| tell(outcome));
    if let Some(reason) = &failure {
        jobs.for_each(|job| job.refuse(reason));
    }
}

/// Empties the write-ahead log into the database, whose freed bytes are overwritten (`secure_delete`). A reader in the
/// middle of an old snapshot can prevent it; then it is tried again after the next write.
async fn scrubbed(session: &mut Session) -> bool {
    let busy: Result<i64, _> = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)")
        .fetch_one(&mut session.connection)
        .await;
    matches!(busy, Ok(0))
}
