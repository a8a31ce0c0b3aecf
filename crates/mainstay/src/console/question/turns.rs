//! Whose turn it is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mainstay_kernel::Reach;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns at something that takes memory or a thread. One asker, a tenant or an account, has half of them at most, so that
/// others have theirs meanwhile; what is about the platform as a whole has as many besides.
pub(in crate::console) struct Turns {
    whole: Arc<Semaphore>,
    shared: Arc<Semaphore>,
    /// Those of who asks now.
    each: Mutex<BTreeMap<String, Arc<Semaphore>>>,
    of_one: usize,
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
            shared: Arc::new(Semaphore::new(at_once)),
            each: Mutex::default(),
            of_one: at_once.div_ceil(2),
        }
    }

    /// Waits for a turn of these tenants, or of the platform.
    pub(in crate::console) async fn take(&self, reach: &Reach) -> Turn {
        match reach {
            Reach::All => Self::each_of([Arc::clone(&self.whole)]).await,
            Reach::Only(_) => {
                let names: Vec<&str> = reach.tenants().collect();
                self.take_as(names.join("|")).await
            }
        }
    }

    /// Waits for a turn of whoever has this name.
    pub(in crate::console) async fn take_as(&self, name: String) -> Turn {
        Self::each_of([self.own(name), Arc::clone(&self.shared)]).await
    }

    async fn each_of<const N: usize>(queues: [Arc<Semaphore>; N]) -> Turn {
        let mut permits = Vec::with_capacity(N);
        for queue in queues {
            // None of them is ever closed.
            permits.extend(queue.acquire_owned().await);
        }
        Turn { _permits: permits }
    }

    fn own(&self, name: String) -> Arc<Semaphore> {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits or works holds a reference besides ours.
        each.retain(|_, queue| Arc::strong_count(queue) > 1);
        let own = each.entry(name);
        Arc::clone(own.or_insert_with(|| Arc::new(Semaphore::new(self.of_one))))
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
