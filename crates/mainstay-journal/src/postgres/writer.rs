//! The one writer of a process: a task with the only connection that writes. Writes that wait together go into one
//! transaction, each in its own savepoint, so that one flush makes them all durable. Because the task owns a write once
//! it has been handed over, a caller who stops waiting cannot leave it half done.
//!
//! Every transaction begins with the lock of the row `lead`. It holds the term and the head of the store, so nobody can
//! take over, or give the same number, between the check of the term and the COMMIT: a leader whose term is over finds
//! out under the lock, however long it was stopped. The lock also serialises the hash chains.
//!
//! The last statement of every transaction writes its number into the writer's own row. If the answer to COMMIT is
//! lost, that row says what became of it: reading it waits for the transaction, should the server still be at it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use mainstay_kernel::{Clock, Entropy};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::fault::{Fault, Kind, Patience, within};
use super::rows::{sql, text, untext};
use crate::envelope::{Epoch, Seq};
use crate::store::JournalError;

/// The most writes in one transaction: bounds how long the first of them waits for the last. Each is a subtransaction,
/// of which PostgreSQL keeps 64 per connection in memory.
const BATCH_MAX: usize = 60;
/// The most writes that wait; further callers wait before they hand theirs over.
const QUEUE_MAX: usize = 1_024;

/// The row `lead`, as it will be when the transaction commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) epoch: Epoch,
    pub(super) holder: String,
    pub(super) until_ms: i64,
    pub(super) head: Seq,
}

/// What a write works with: a transaction that holds the lock.
pub(super) struct Session {
    pub(super) connection: PgConnection,
    pub(super) term: Term,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl Session {
    /// Refuses a term that is over. The row is locked, so what this says holds until the transaction ends.
    pub(super) fn fence(&self, used: Epoch) -> Result<(), JournalError> {
        let current = self.term.epoch;
        if used == current {
            Ok(())
        } else {
            Err(JournalError::StaleEpoch { used, current })
        }
    }

    async fn raw(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(statement)
            .execute(&mut self.connection)
            .await
            .map(|_| ())
    }

    async fn begin(&mut self) -> Result<(), Fault> {
        let row = sqlx::raw_sql(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
             SELECT epoch, holder, until_ms, head FROM lead FOR UPDATE;
             SAVEPOINT one_write",
        )
        .fetch_one(&mut self.connection)
        .await?;
        let (epoch, head): (i64, i64) = (row.try_get(0)?, row.try_get(3)?);
        self.term = Term {
            epoch: Epoch(epoch.unsigned_abs()),
            holder: untext(row.try_get(1)?),
            until_ms: row.try_get(2)?,
            head: Seq(head.unsigned_abs()),
        };
        Ok(())
    }

    /// Writes the term back and the writer's mark.
    async fn mark(&mut self, writer: &[u8], mark: i64) -> Result<(), Fault> {
        let now_ms = self.clock.now().as_millisecond();
        let marked: i64 = sqlx::query_scalar(
            "WITH marked AS (UPDATE writer SET mark = $1, seen_ms = $2 WHERE id = $3 RETURNING 1),
                  led AS (UPDATE lead SET epoch = $4, holder = $5, until_ms = $6, head = $7 RETURNING 1)
             SELECT COUNT(*) FROM marked, led",
        )
        .bind(mark)
        .bind(now_ms)
        .bind(writer)
        .bind(sql(self.term.epoch.0))
        .bind(text(&self.term.holder))
        .bind(self.term.until_ms)
        .bind(sql(self.term.head.0))
        .fetch_one(&mut self.connection)
        .await?;
        if marked == 1 {
            return Ok(());
        }
        // Such as a database that was restored under a running program.
        Err(
            JournalError::Storage("the database is not the one that was opened: start again".to_owned())
                .into(),
        )
    }
}

/// How the statements of one write ended.
enum Verdict {
    /// It stands if the transaction does.
    Keep,
    /// It is refused for a reason of its own; the writes beside it go on.
    Undo,
    /// Nothing of the transaction can be trusted.
    Abort(Fault),
}

trait Job: Send {
    /// May be called again, if the transaction certainly did not happen.
    fn run<'s>(&'s mut self, session: &'s mut Session) -> BoxFuture<'s, Verdict>;
    fn tell(self: Box<Self>, outcome: Result<(), &str>);
}

struct Write<W, T> {
    work: W,
    result: Option<Result<T, JournalError>>,
    reply: oneshot::Sender<Result<T, JournalError>>,
}

impl<W, T> Job for Write<W, T>
where
    W: for<'s> Fn(&'s mut Session) -> BoxFuture<'s, Result<T, Fault>> + Send + Sync + 'static,
    T: Send + 'static,
{
    fn run<'s>(&'s mut self, session: &'s mut Session) -> BoxFuture<'s, Verdict> {
        Box::pin(async move {
            let (result, verdict) = match (self.work)(session).await {
                Ok(value) => (Some(Ok(value)), Verdict::Keep),
                Err(fault) if fault.kind() == Kind::Final => (Some(Err(fault.into())), Verdict::Undo),
                Err(fault) => (None, Verdict::Abort(fault)),
            };
            self.result = result;
            verdict
        })
    }

    fn tell(self: Box<Self>, outcome: Result<(), &str>) {
        let answer = match (outcome, self.result) {
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(JournalError::Storage("the write was not run".to_owned())),
            (Err(reason), _) => Err(JournalError::Storage(reason.to_owned())),
        };
        // A caller who no longer waits is not told; that is all that a failed `send` means.
        let _ = self.reply.send(answer);
    }
}

/// The handle of the task.
pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
    task: JoinHandle<()>,
}

impl Writer {
    pub(super) fn start(state: State) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE_MAX);
        Self {
            jobs,
            task: tokio::spawn(serve(state, queue)),
        }
    }

    /// Hands `work` to the task and waits until its transaction is durable.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl for<'s> Fn(&'s mut Session) -> BoxFuture<'s, Result<T, Fault>> + Send + Sync + 'static,
    ) -> Result<T, JournalError> {
        let stopped = || JournalError::Storage("the journal's writer has stopped".to_owned());
        let (reply, answer) = oneshot::channel();
        let write = Write {
            work,
            result: None,
            reply,
        };
        self.jobs.send(Box::new(write)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Waits for the writes that were handed over.
    pub(super) async fn stop(self) {
        drop(self.jobs);
        let _ = self.task.await;
    }
}

/// What the task has from one transaction to the next.
pub(super) struct State {
    /// `None` after the connection was lost.
    pub(super) session: Option<Session>,
    pub(super) connect: PgConnectOptions,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    /// The writer's row.
    pub(super) id: [u8; 16],
    /// The number of the last transaction that was tried.
    pub(super) mark: i64,
    /// How long a transaction is tried.
    pub(super) patience: Duration,
}

/// How a transaction failed.
enum Failed {
    /// COMMIT was not sent: it certainly did not happen.
    Before(Fault),
    /// COMMIT was sent.
    AtCommit(Fault),
}

/// What became of a transaction whose COMMIT was not answered.
enum Settled {
    Happened,
    DidNot,
    /// The server cannot be asked.
    NotKnown(String),
}

impl State {
    async fn session(&mut self) -> Result<&mut Session, Fault> {
        if self.session.is_none() {
            let mut connection = within(self.patience, self.connect.connect()).await?;
            within(self.patience, durable(&mut connection)).await?;
            self.session = Some(Session {
                connection,
                term: Term {
                    epoch: Epoch(0),
                    holder: String::new(),
                    until_ms: 0,
                    head: Seq(0),
                },
                clock: Arc::clone(&self.clock),
                entropy: Arc::clone(&self.entropy),
            });
        }
        self.session
            .as_mut()
            .ok_or_else(|| JournalError::Storage("no connection".to_owned()).into())
    }

    async fn attempt(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), Failed> {
        self.mark += 1;
        let (id, mark, patience) = (self.id, self.mark, self.patience);
        let session = self.session().await.map_err(Failed::Before)?;
        let kept = within(patience, statements(session, batch, &id, mark))
            .await
            .map_err(Failed::Before)?;
        let end = if kept { "COMMIT" } else { "ROLLBACK" };
        match within(patience, session.raw(end)).await {
            Ok(()) => Ok(()),
            Err(fault) if kept => Err(Failed::AtCommit(fault)),
            // Every write was refused under the lock; that stands.
            Err(_) => {
                self.session = None;
                Ok(())
            }
        }
    }

    /// Finds out what became of the transaction with the number `self.mark`.
    async fn settle(&mut self, patience: &mut Patience) -> Settled {
        loop {
            match self.marked().await {
                Ok(Some(mark)) if mark == self.mark => return Settled::Happened,
                Ok(Some(_)) => return Settled::DidNot,
                Ok(None) => {
                    return Settled::NotKnown("the database is not the one that was opened".to_owned());
                }
                Err(fault) => {
                    self.session = None;
                    if !patience.again().await {
                        return Settled::NotKnown(JournalError::from(fault).to_string());
                    }
                }
            }
        }
    }

    /// The number of this writer's last transaction that is durable. `FOR UPDATE` waits for one that the server is
    /// still busy with.
    async fn marked(&mut self) -> Result<Option<i64>, Fault> {
        let (id, patience) = (self.id, self.patience);
        let session = self.session().await?;
        let mark = sqlx::query_scalar("SELECT mark FROM writer WHERE id = $1 FOR UPDATE")
            .bind(&id[..])
            .fetch_optional(&mut session.connection);
        within(patience, mark).await
    }

    /// Carries a batch out: again as long as it certainly did not happen and patience lasts.
    async fn carry_out(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), String> {
        let mut patience = Patience::new(self.patience);
        loop {
            let fault = match self.attempt(batch).await {
                Ok(()) => return Ok(()),
                Err(Failed::Before(fault)) => fault,
                Err(Failed::AtCommit(fault)) if fault.leaves_commit_unknown() => {
                    self.session = None;
                    match self.settle(&mut patience).await {
                        Settled::Happened => return Ok(()),
                        Settled::DidNot => fault,
                        Settled::NotKnown(reason) => {
                            return Err(format!(
                                "nobody knows whether it was written: {}; {reason}",
                                JournalError::from(fault)
                            ));
                        }
                    }
                }
                Err(Failed::AtCommit(fault)) => fault,
            };
            self.clear(&fault).await;
            if fault.kind() == Kind::Final || !patience.again().await {
                return Err(JournalError::from(fault).to_string());
            }
        }
    }

    /// Leaves no transaction open.
    async fn clear(&mut self, fault: &Fault) {
        let cleared = match &mut self.session {
            Some(session) if fault.kind() != Kind::Lost => {
                within(self.patience, session.raw("ROLLBACK")).await
            }
            _ => return self.session = None,
        };
        if cleared.is_err() {
            self.session = None;
        }
    }
}

/// An acknowledged commit is on the server's disk, and on a synchronous standby's where there is one. Stronger settings
/// are left.
pub(super) async fn durable(connection: &mut PgConnection) -> Result<(), Fault> {
    let flushed: bool = sqlx::query_scalar(
        "SELECT current_setting('fsync') = 'on' FROM (
             SELECT set_config('synchronous_commit',
                 CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)
         ) AS setting",
    )
    .fetch_one(connection)
    .await?;
    if flushed {
        return Ok(());
    }
    Err(JournalError::Storage(
        "the server runs with fsync = off, so what it acknowledges is not durable: turn it on".to_owned(),
    )
    .into())
}

/// Everything before COMMIT. Gives whether there is anything to commit.
async fn statements(
    session: &mut Session,
    batch: &mut [Box<dyn Job>],
    writer: &[u8],
    mark: i64,
) -> Result<bool, Fault> {
    session.begin().await?;
    let mut kept = false;
    let count = batch.len();
    for (index, job) in batch.iter_mut().enumerate() {
        let before = session.term.clone();
        match job.run(session).await {
            Verdict::Keep => {
                kept = true;
                if index + 1 < count {
                    session
                        .raw("RELEASE SAVEPOINT one_write; SAVEPOINT one_write")
                        .await?;
                }
            }
            Verdict::Undo => {
                session.term = before;
                session.raw("ROLLBACK TO SAVEPOINT one_write").await?;
            }
            Verdict::Abort(fault) => return Err(fault),
        }
    }
    if kept {
        session.mark(writer, mark).await?;
    }
    Ok(kept)
}

async fn serve(mut state: State, mut queue: mpsc::Receiver<Box<dyn Job>>) {
    while let Some(first) = queue.recv().await {
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX
            && let Ok(next) = queue.try_recv()
        {
            batch.push(next);
        }
        let outcome = state.carry_out(&mut batch).await;
        let outcome = outcome.as_ref().copied().map_err(String::as_str);
        batch.into_iter().for_each(|job| job.tell(outcome));
    }
    if let Some(session) = state.session {
        let _ = within(state.patience, session.connection.close()).await;
    }
}
