//! Live pages hear that something happened.

use std::sync::Arc;
use std::time::Duration;

use mainstay_web::Topic;
use tokio::sync::broadcast;

use super::{LivePlane, ServeError};

/// Tells the pages that something happened.
pub(super) async fn announce(
    plane: Arc<LivePlane>,
    live: broadcast::Sender<Topic>,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let mut changed = plane.changed();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            moved = changed.changed() => if moved.is_err() { return Ok(()) },
        }
        let open = plane
            .look(|states| {
                states
                    .incidents
                    .all()
                    .rev()
                    .take(20)
                    .map(|incident| incident.id.clone())
                    .collect::<Vec<_>>()
            })
            .await;
        let topics = open
            .iter()
            .map(Topic::incident)
            .chain([Topic::overview(), Topic::inbox()]);
        for topic in topics {
            // Nobody listening is fine.
            let _ = live.send(topic);
        }
        // A burst of events is one piece of news.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
