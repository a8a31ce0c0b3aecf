//! Messages of one group of alerts to one receiver, one after the other: an end that overtakes its beginning on the way would
//! leave it open there.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use mainstay_kernel::effect::{Channel, Deliver, Recipient};

/// Whom a message tells of which group.
type About = (Channel, Recipient, String);

/// What is on its way, by whom it tells of what.
#[derive(Default)]
pub(crate) struct Turns(Mutex<BTreeSet<About>>);

/// It is on its way until this is dropped.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    about: Option<About>,
}

impl Turns {
    /// Lets a message go; `None` while another of the same group is on its way to the same receiver. A message that tells of
    /// no group waits for nothing.
    pub(crate) fn take(&self, deliver: &Deliver) -> Option<Turn<'_>> {
        let about = deliver.message.notification.as_ref().map(|told| {
            let group = told.group.text.clone();
            (deliver.channel, deliver.to.clone(), group)
        });
        let is_free = about
            .as_ref()
            .is_none_or(|about| self.on_their_way().insert(about.clone()));
        is_free.then(|| Turn { turns: self, about })
    }

    fn on_their_way(&self) -> std::sync::MutexGuard<'_, BTreeSet<About>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(about) = &self.about {
            self.turns.on_their_way().remove(about);
        }
    }
}
