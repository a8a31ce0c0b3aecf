//! Names of streams, effects, timers, subscriptions and data subjects.

use super::Subject;
use super::events::{stream, timer};
use crate::envelope::Seq;
use crate::store::{Commit, Journal, Timer};
use crate::verify::verify;

/// Names may hold any character, as the labels of alerts of others do, and what differs in one is not the same.
pub async fn any_character_comes_back<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    let names = ["\0", "\u{1}", "\u{1}0", "\0\u{1}1", "a\0b", "a", "é'\"\\\n", "😀"];
    for name in names {
        let timer = Timer {
            payload: name.to_owned(),
            ..timer(subject, name, 1)
        };
        let commit = Commit {
            epoch,
            expected: [(stream(name), 0)].into(),
            events: vec![subject.personal_event(name, name, name)],
            effects: vec![subject.effect(name, 0)],
            timers: vec![timer],
            cursors: [(name.to_owned(), Seq(1))].into(),
            ..Commit::default()
        };
        subject.commit(commit).await;
    }
    let waiting = subject.journal.waiting_effects(100).await.expect("effects");
    let keys: Vec<&str> = waiting.iter().map(|effect| effect.key.as_str()).collect();
    assert_eq!(keys, names);
    let timers = subject
        .journal
        .due_timers(subject.at(1), 100)
        .await
        .expect("timers");
    assert_eq!(timers.len(), names.len());
    for timer in timers {
        assert_eq!(timer.key, timer.payload);
    }
    for name in names {
        let found = subject
            .journal
            .read_stream(&stream(name), 0, 10)
            .await
            .expect("a stream");
        assert_eq!(found.len(), 1, "{name:?}");
        assert_eq!(found[0].envelope.stream, stream(name));
        assert_eq!(found[0].personal.field("phone"), Some(name));
        assert_eq!(subject.journal.cursor(name).await.expect("cursor"), Seq(1));
        assert!(
            subject.journal.destroy_key(epoch, name).await.expect("destroy"),
            "{name:?}"
        );
    }
    verify(&*subject.journal).await.expect("the chain is whole");
}
