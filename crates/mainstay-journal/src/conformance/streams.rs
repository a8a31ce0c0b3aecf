//! Streams whose versions a writer does not know.

use super::Subject;
use crate::envelope::{Seq, StreamId};
use crate::store::{Commit, Journal, JournalError};

/// Whoever has seen all of a stream may write to it; whoever has not is refused, and told what is new.
pub async fn a_stream_that_changed_unseen_is_refused<J: Journal>(subject: &Subject<J>) {
    let epoch = subject.lead().await;
    for name in ["a/1", "a/2", "a/1"] {
        subject.append(epoch, vec![subject.event(name, "one")]).await;
    }
    let since = |name: &str, seen: u64| Commit {
        epoch,
        unchanged_since: [(StreamId(name.to_owned()), Seq(seen))].into(),
        events: vec![subject.event(name, "another")],
        ..Commit::default()
    };
    for seen in [0, 2] {
        let refused = subject.journal.commit(since("a/1", seen)).await;
        let Err(JournalError::Unseen { stream, seen, last }) = refused else {
            panic!("expected to be refused, got {refused:?}");
        };
        assert_eq!((stream.0.as_str(), seen, last), ("a/1", seen, Seq(3)));
    }
    assert_eq!(subject.journal.head().await.expect("head"), Seq(3));
    // What was seen, what changed elsewhere only, and what is new.
    for (name, seen, version) in [("a/1", 3, 3), ("a/2", 2, 2), ("a/3", 0, 1)] {
        let committed = subject.journal.commit(since(name, seen)).await;
        let committed = committed.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(committed.envelopes[0].version, version, "{name}");
    }
}
