//! Whose turn it is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mainstay_kernel::Reach;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns at something that takes memory or a thread. One tenant has half of them at most, so that others have theirs
/// meanwhile; what is about the platform as a whole has as many besides.
pub(in crate::console) struct Turns {
    whole: Arc<Semaphore>,
    tenants: Arc<Semaphore>,
    /// Those of tenants that ask now.
    each: Mutex<BTreeMap<String, Arc<Semaphore>>>,
    of_one_tenant: usize,
}

/// A turn, until it is dropped.
pub(in crate::console) struct Turn {
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Turns {
    /// So many turns at once; who is too many waits.
    pub(in crate::console) fn new(at_once: usize) -> Self {
        Self {
            whole: Arc::new(Semaphore::new(at_once)),
            tenants: Arc::new(Semaphore::new(at_once)),
            each: Mutex::default(),
            of_one_tenant: at_once.div_ceil(2),
        }
    }

    /// Waits for a turn.
    pub(in crate::console) async fn take(&self, reach: &Reach) -> Turn {
        let queues = match reach {
            Reach::All => vec![Arc::clone(&self.whole)],
            Reach::Only(_) => vec![self.own(reach), Arc::clone(&self.tenants)],
        };
        let mut permits = Vec::with_capacity(queues.len());
        for queue in queues {
            // None of them is ever closed.
            permits.extend(queue.acquire_owned().await);
        }
        Turn { _permits: permits }
    }

    fn own(&self, reach: &Reach) -> Arc<Semaphore> {
        let name: Vec<&str> = reach.tenants().collect();
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits or works holds a reference besides ours.
        each.retain(|_, queue| Arc::strong_count(queue) > 1);
        let own = each.entry(name.join("|"));
        Arc::clone(own.or_insert_with(|| Arc::new(Semaphore::new(self.of_one_tenant))))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn one_tenant_leaves_turns_to_others() {
        let turns = Turns::new(4);
        let [a, b] = ["a", "b"].map(|name| Reach::named(name).expect("a tenant"));
        let held: Vec<Turn> = [&a, &a]
            .into_iter()
            .map(|reach| turns.take(reach).now_or_never().expect("there is room"))
            .collect();
        assert!(
            turns.take(&a).now_or_never().is_none(),
            "the tenant waits for itself"
        );
        let other = turns.take(&b).now_or_never();
        assert!(other.is_some(), "nobody else waits for it");
        assert!(turns.take(&Reach::All).now_or_never().is_some());
        drop(held);
        assert!(turns.take(&a).now_or_never().is_some());
        drop(other);
        assert!(turns.take(&b).now_or_never().is_some());
        assert_eq!(turns.each.lock().expect("nobody panics").len(), 1);
    }
}
