//! Durable timers.

use super::Subject;
use super::events::timer;
use crate::envelope::Epoch;
use crate::store::{Commit, Journal, Timer};

async fn set<J: Journal>(subject: &Subject<J>, epoch: Epoch, cancel: &[&str], timers: Vec<Timer>) {
    subject
        .commit(Commit {
            epoch,
            cancel: cancel.iter().map(|key| (*key).to_owned()).collect(),
            timers,
            ..Commit::default()
        })
        .await;
}

async fn due<J: Journal>(subject: &Subject<J>, seconds: i64, limit: usize) -> Vec<Timer> {
    subject
        .journal
        .due_timers(subject.at(seconds), limit)
        .await
        .expect("due timers")
}

/// A timer is one per key: setting it again moves it, cancelling removes it, and within one commit cancelling comes
/// first. It stays due until it is cancelled.
pub async fn timers_are_set_moved_and_cancelled<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    let first = timer(subject, "escalate", 10);
    set(subject, epoch, &[], vec![first.clone()]).await;
    assert!(due(subject, 9, 10).await.is_empty());
    assert_eq!(due(subject, 10, 10).await, [first]);
    assert_eq!(
        due(subject, 11, 10).await.len(),
        1,
        "it stays until it is cancelled"
    );
    let moved = Timer {
        payload: "level 2".to_owned(),
        ..timer(subject, "escalate", 60)
    };
    set(subject, epoch, &[], vec![moved.clone()]).await;
    assert!(due(subject, 59, 10).await.is_empty());
    assert_eq!(due(subject, 60, 10).await, [moved]);
    let reset = timer(subject, "escalate", 5);
    set(subject, epoch, &["escalate", "nobody's"], vec![reset.clone()]).await;
    assert_eq!(due(subject, 100, 10).await, [reset]);
    set(subject, epoch, &["escalate"], vec![]).await;
    assert!(due(subject, 100, 10).await.is_empty());
}

/// Earliest first, then by key; never more than the limit.
pub async fn timers_come_due_in_order<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    let timers = [("b", 5), ("late", 50), ("a", 5), ("early", -5)].map(|(key, at)| timer(subject, key, at));
    set(subject, epoch, &[], timers.to_vec()).await;
    let keys = async |seconds, limit| -> Vec<String> {
        let timers = due(subject, seconds, limit).await;
        timers.into_iter().map(|timer| timer.key).collect()
    };
    assert_eq!(keys(5, 10).await, ["early", "a", "b"]);
    assert_eq!(keys(5, 2).await, ["early", "a"]);
    assert_eq!(keys(100, 10).await, ["early", "a", "b", "late"]);
}
