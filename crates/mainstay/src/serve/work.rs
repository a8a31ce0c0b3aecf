//! Fires timers and carries effects out.

use std::sync::Arc;
use std::time::Duration;

use mainstay_plane::PlaneError;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::lanes::{Lanes, Slot};
use super::{LivePlane, ServeError};

/// How long messages on their way may take when it stops.
const FINISH_WITHIN: Duration = Duration::from_secs(10);
/// The plane looks around at least this often, whatever its timers say.
const LOOK_AROUND: Duration = Duration::from_secs(1);
/// How soon it looks again when something is due and could not be begun for want of room.
const FULL_FOR: Duration = Duration::from_millis(200);
/// How soon it looks again at the earliest, without news.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

type Ended = Result<(Slot, Result<(), PlaneError>), JoinError>;

/// Frees the slot of what is over.
fn over(lanes: &mut Lanes, ended: Ended) -> Result<(), ServeError> {
    match ended {
        Ok((slot, result)) => {
            lanes.end(slot);
            match result {
                Err(PlaneError::Journal(error)) => Err(error.into()),
                Ok(()) | Err(PlaneError::Refused(_)) => Ok(()),
            }
        }
        Err(panic) => Err(ServeError::Web(panic.to_string())),
    }
}

pub(super) async fn work(plane: Arc<LivePlane>, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
    let begun = Instant::now();
    let mut lanes = Lanes::new(
        &plane
            .look(|states| states.catalog.response.channels.limits.clone())
            .await,
    );
    let mut digest = plane.look(|states| states.catalog.digest).await;
    let mut changed = plane.changed();
    let mut under_way = JoinSet::new();
    tokio::pin!(stop);
    loop {
        let next = plane.tick().await?;
        let now_in_force = plane.look(|states| states.catalog.digest).await;
        if digest != now_in_force {
            digest = now_in_force;
            lanes.limit(
                &plane
                    .look(|states| states.catalog.response.channels.limits.clone())
                    .await,
            );
        }
        let claimed = plane.claim_within(&lanes.rooms(begun.elapsed())).await?;
        let nothing = claimed.is_empty();
        for claimed in claimed {
            let slot = (claimed.effect.lane(), claimed.effect.is_urgent());
            lanes.begin(slot);
            let plane = plane.clone();
            under_way.spawn(async move { (slot, plane.perform(claimed).await) });
        }
        let until_due = next.map_or(LOOK_AROUND, |due| {
            let wait = Duration::try_from(due.duration_since(plane.clock().now())).unwrap_or_default();
            let least = if nothing { FULL_FOR } else { LOOK_AGAIN };
            if wait.is_zero() {
                least
            } else {
                wait.clamp(LOOK_AGAIN, LOOK_AROUND)
            }
        });
        tokio::select! {
            () = &mut stop => break,
            _ = changed.changed() => {}
            Some(ended) = under_way.join_next() => over(&mut lanes, ended)?,
            () = tokio::time::sleep(until_due) => {}
        }
        while let Some(ended) = under_way.try_join_next() {
            over(&mut lanes, ended)?;
        }
    }
    // A message that is on its way would be sent again after the next start, and have to say that it may be a repetition.
    let all = async { while under_way.join_next().await.is_some() {} };
    if tokio::time::timeout(FINISH_WITHIN, all).await.is_err() {
        tracing::warn!(
            "messages on their way were left behind; they are sent again, marked, at the next start"
        );
    }
    Ok(())
}
