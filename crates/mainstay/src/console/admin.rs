//! Deleting samples and copying the store.

use std::sync::Arc;

use mainstay_change::ChangeCommand;
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::fact::{ChangeKind, ChangeRecorded};
use mainstay_kernel::{Principal, Scope};
use mainstay_plane::{Command, Telemetry};
use mainstay_web::view::{Deleted, Deletion, QueryError};

use super::PlaneConsole;
use crate::check::counted;

/// What is recorded of a deletion's selectors has at most so many characters.
const SELECTORS_CHARS: usize = 1_000;

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    /// Has the telemetry carry an order out, one at a time.
    async fn carry_out<T: Send + 'static, E: std::fmt::Display + Send + 'static>(
        &self,
        order: impl FnOnce(&Telemetry) -> Result<T, E> + Send + 'static,
    ) -> Result<T, QueryError> {
        let telemetry = Arc::clone(&self.telemetry);
        let turn = self.turns.order().await;
        let work = move || {
            let _turn = turn;
            order(&telemetry)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done.map_err(|error| QueryError::Internal(error.to_string())),
            Err(panic) => Err(QueryError::Internal(format!("it broke off: {panic}"))),
        }
    }

    pub(super) async fn delete(&self, who: &Principal, deletion: &Deletion) -> Result<Deleted, QueryError> {
        let (selection, dry_run) = (deletion.selection.clone(), deletion.dry_run);
        let deleted = self
            .carry_out(move |telemetry| {
                let (start_ms, end_ms) = (selection.start_ms, selection.end_ms);
                if dry_run {
                    let store = telemetry.store();
                    return store
                        .would_delete(&selection.selectors, start_ms, end_ms)
                        .map_err(Into::into);
                }
                telemetry.delete(&selection.selectors, start_ms, end_ms)
            })
            .await?;
        let deleted = Deleted {
            series: deleted.series,
            samples: deleted.samples,
        };
        if !dry_run {
            self.record_deletion(who, deletion, deleted).await?;
        }
        Ok(deleted)
    }

    async fn record_deletion(
        &self,
        who: &Principal,
        deletion: &Deletion,
        deleted: Deleted,
    ) -> Result<(), QueryError> {
        let now = self.now();
        let record = ChangeRecorded {
            id: format!("delete@{now}"),
            source: "/mainstay/metrics".to_owned(),
            kind: ChangeKind::Configuration,
            scope: Scope::platform(),
            from_version: None,
            to_version: None,
            summary: summary(deletion, deleted),
            at: now,
            cause: None,
        };
        let command = Command::Change(ChangeCommand::Record(record));
        let recorded = self.plane.submit(who.actor.clone(), command).await;
        recorded.map_err(|error| {
            QueryError::Internal(format!(
                "the samples are deleted, but that could not be recorded: {error}"
            ))
        })?;
        tracing::info!(by = %who.actor, series = deleted.series, samples = deleted.samples, "samples were deleted");
        Ok(())
    }

    pub(super) async fn clean(&self) -> Result<(), QueryError> {
        let clean = |telemetry: &Telemetry| telemetry.store().clean_tombstones();
        self.carry_out(clean).await.map(drop)
    }

    /// The name is as Prometheus': the second, and something that no other snapshot has.
    pub(super) async fn copy_store(&self, skip_head: bool) -> Result<String, QueryError> {
        let now = self.now();
        let name = format!("{}-{:016x}", now.strftime("%Y%m%dT%H%M%SZ"), now.as_nanosecond());
        let into = name.clone();
        self.carry_out(move |telemetry| telemetry.store().snapshot(&into, skip_head))
            .await?;
        Ok(name)
    }
}

fn summary(deletion: &Deletion, deleted: Deleted) -> String {
    let time = |ms: i64, ever: &str| match jiff::Timestamp::from_millisecond(ms) {
        Ok(at) if ms != i64::MIN && ms != i64::MAX => at.to_string(),
        _ => ever.to_owned(),
    };
    let selectors: String = deletion
        .selectors
        .join(" or ")
        .chars()
        .take(SELECTORS_CHARS)
        .collect();
    format!(
        "deleted {} of {} series: {selectors}, {} to {}",
        counted(usize::try_from(deleted.samples).unwrap_or(usize::MAX), "sample"),
        deleted.series,
        time(deletion.selection.start_ms, "ever"),
        time(deletion.selection.end_ms, "the end"),
    )
}
