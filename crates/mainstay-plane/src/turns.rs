//! Messages of one group of alerts to one receiver, one after the other: an end that overtakes its beginning on the way would
//! leave it open there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mainstay_kernel::effect::{Channel, Deliver, Recipient};
use tokio::sync::OwnedMutexGuard;

/// Whose turn it is to be told of what.
type About = (Channel, Recipient, String);

/// The messages that are on their way, by whom they tell of what.
#[derive(Default)]
pub(crate) struct Turns(Mutex<BTreeMap<About, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits until the message before it has ended; no longer than that may take. A message that tells of no group waits for
    /// nothing.
    pub(crate) async fn take(&self, deliver: &Deliver) -> Option<OwnedMutexGuard<()>> {
        let notification = deliver.message.notification.as_ref()?;
        let about = (
            deliver.channel,
            deliver.to.clone(),
            notification.group.text.clone(),
        );
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody waits for these any more.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(about).or_default())
        };
        Some(turn.lock_owned().await)
    }
}
