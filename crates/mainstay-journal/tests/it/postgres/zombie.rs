//! A leader that stands still, loses the lead, and comes back to life: it writes and claims nothing more.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;

use jiff::SignedDuration;
use mainstay_journal::verify::verify;
use mainstay_journal::{Claimed, Commit, Epoch, Finished, Journal, JournalError, NewEffect, PostgresJournal};
use mainstay_kernel::testing::SeededEntropy;

use super::proxy::{Mishap, Proxy};
use super::{Server, open};
use crate::counter::page;
use crate::kill::seeded;
use crate::support::{MINUTE, entropy, event, everything, lead, setting, start};

const PLACE: &str = "MAINSTAY_TEST_ZOMBIE_PLACE";
const EFFECTS: usize = 200;

fn later() -> jiff::Timestamp {
    start() + SignedDuration::from_secs(1_000)
}

async fn put_effects(journal: &PostgresJournal, epoch: Epoch, entropy: &SeededEntropy, count: usize) {
    let cause = event(entropy, "asked/1", None);
    let effects = (0..count).map(|number| NewEffect {
        effect: page(&format!("page/{number}")),
        cause: cause.id,
        due: start(),
    });
    let commit = Commit {
        epoch,
        effects: effects.collect(),
        events: vec![cause],
        ..Commit::default()
    };
    journal.commit(commit).await.expect("the commit is in order");
}

/// Records that `claimed` was sent.
fn sent(epoch: Epoch, claimed: &Claimed, entropy: &SeededEntropy) -> Commit {
    Commit {
        epoch,
        events: vec![event(entropy, "sent/1", None)],
        finished: vec![Finished::Over {
            key: claimed.effect.key.clone(),
        }],
        ..Commit::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_frozen_inside_its_transaction_is_passed_by() {
    let Some(server) = Server::start().await else {
        return;
    };
    let proxy = Proxy::start(server.socket()).await;
    let random = entropy(1);
    let old = Arc::new(open(&proxy.url, "frozen", random.clone()).await);
    let term = lead(&*old).await;
    put_effects(&old, term, &random, 2).await;
    let claimed = old.claim(term, start(), MINUTE, 1).await.expect("claim");
    assert_eq!(claimed.len(), 1);
    // It holds the lock of the term, has checked it, and stands still before COMMIT.
    proxy.arm(Mishap::Freeze);
    let frozen = tokio::spawn({
        let (old, commit) = (Arc::clone(&old), sent(term, &claimed[0], &random));
        async move { old.commit(commit).await }
    });
    proxy.until_happened().await;
    let new = open(&server.url(), "frozen", entropy(2)).await;
    let refused = new.lead("b", start(), MINUTE).await;
    assert!(
        matches!(refused, Err(JournalError::LeaseHeld { .. })),
        "the lease runs, got {refused:?}"
    );
    let next = new
        .lead("b", later(), MINUTE)
        .await
        .expect("the lease has run out");
    assert!(next > term);
    let error = frozen.await.expect("no panic").expect_err("its term is over");
    let is_stale = |error: &JournalError| matches!(error, JournalError::StaleEpoch { used, current } if (*used, *current) == (term, next));
    assert!(is_stale(&error), "{error}");
    for refused in [
        old.commit(sent(term, &claimed[0], &random)).await.err(),
        old.claim(term, later(), MINUTE, 10).await.err(),
        old.renew(term, later(), MINUTE).await.err(),
    ] {
        assert!(refused.as_ref().is_some_and(is_stale), "{refused:?}");
    }
    let taken = new.claim(next, later(), MINUTE, 10).await.expect("claim");
    let marked: Vec<bool> = taken.iter().map(|claimed| claimed.possible_duplicate).collect();
    assert_eq!(marked, [false, true], "what the old one had claimed is marked");
    assert_eq!(
        everything(&new).await.len(),
        1,
        "nothing of the frozen commit is there"
    );
}

/// The child: leads, and sends one effect after the other, saying so, until its term is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of the zombie test"]
async fn child_that_leads() {
    let Some(place) = setting(PLACE) else { return };
    let (url, schema) = place.split_once('#').expect("a URL and a schema");
    let random = entropy(11);
    let journal = open(url, schema, random.clone()).await;
    let epoch = lead(&journal).await;
    let say = |words: String| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{words}").expect("the parent listens");
        out.flush().expect("the parent listens");
    };
    let refused = loop {
        let claimed = match journal.claim(epoch, start(), MINUTE, 1).await {
            Ok(claimed) if claimed.is_empty() => break "nothing left".to_owned(),
            Ok(claimed) => claimed,
            Err(error) => break format!("claim: {error}"),
        };
        say(format!("\nsent {}", claimed[0].effect.key));
        if let Err(error) = journal.commit(sent(epoch, &claimed[0], &random)).await {
            break format!("commit: {error}");
        }
    };
    // And again, now that it should know.
    let claim = journal.claim(epoch, start(), MINUTE, 1).await;
    let commit = journal
        .commit(Commit {
            epoch,
            events: vec![event(&*random, "zombie/1", None)],
            ..Commit::default()
        })
        .await;
    say(format!(
        "\nended {} {} {refused}",
        claim.is_err(),
        commit.is_err()
    ));
}

fn signal(name: &str, pid: u32) {
    let done = Command::new("kill").args([name, &pid.to_string()]).status();
    assert!(done.expect("kill runs").success(), "kill {name} {pid}");
}

/// A leader is stopped at a random moment (SIGSTOP), another one takes over and sends the rest, the first goes on
/// (SIGCONT): no effect is sent twice without the word that it may be a repetition, and none is forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_leader_sends_nothing_after_the_next_has_begun() {
    let Some(server) = Server::start().await else {
        return;
    };
    let (seed, random) = seeded();
    let rounds = if setting("MAINSTAY_FULL").is_some() { 20 } else { 4 };
    for round in 0..rounds {
        let context = format!("seed {seed}, round {round}");
        let schema = format!("zombie_{round}");
        let url = server.url();
        let journal = open(&url, &schema, entropy(100 + round)).await;
        let setup = lead(&journal).await;
        put_effects(&journal, setup, &entropy(200 + round), EFFECTS).await;
        let mut child = Command::new(std::env::current_exe().expect("the test binary"))
            .args([
                "--exact",
                "postgres::zombie::child_that_leads",
                "--ignored",
                "--nocapture",
            ])
            .env(PLACE, format!("{url}#{schema}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the child starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        let mut by_old: BTreeMap<String, u32> = BTreeMap::new();
        let wanted = 1 + random.below(60);
        let mut seen = 0;
        while seen < wanted {
            let line = lines.next().expect("the child writes on").expect("text");
            if let Some(key) = line.strip_prefix("sent ") {
                *by_old.entry(key.to_owned()).or_default() += 1;
                seen += 1;
            }
        }
        signal("-STOP", child.id());
        let epoch = journal
            .lead("b", later(), MINUTE)
            .await
            .unwrap_or_else(|error| panic!("{context}: {error}"));
        let mut by_new: BTreeMap<String, bool> = BTreeMap::new();
        let own = entropy(300 + round);
        // Half of the rest before the other comes back, half beside it.
        let mut stopped = true;
        loop {
            let claimed = journal.claim(epoch, later(), MINUTE, 1).await.expect("claim");
            let Some(claimed) = claimed.into_iter().next() else {
                break;
            };
            let twice = by_new.insert(claimed.effect.key.clone(), claimed.possible_duplicate);
            assert_eq!(
                twice, None,
                "{context}: {} was given out twice",
                claimed.effect.key
            );
            journal.commit(sent(epoch, &claimed, &own)).await.expect("commit");
            if stopped && by_new.len() > 50 {
                signal("-CONT", child.id());
                stopped = false;
            }
        }
        assert!(!stopped, "{context}: there was more to send");
        let mut ended = None;
        for line in lines.map_while(Result::ok) {
            if let Some(key) = line.strip_prefix("sent ") {
                *by_old.entry(key.to_owned()).or_default() += 1;
            } else if let Some(words) = line.strip_prefix("ended ") {
                ended = Some(words.to_owned());
            }
        }
        child.wait().expect("the child ends");
        let ended = ended.unwrap_or_else(|| panic!("{context}: the child did not say how it ended"));
        assert!(
            ended.starts_with("true true ") && ended.contains("another process leads"),
            "{context}: the first leader must be refused: {ended}"
        );
        for number in 0..EFFECTS {
            let key = format!("page/{number}");
            let old = by_old.get(&key).copied().unwrap_or(0);
            assert!(old <= 1, "{context}: {key} was sent {old} times by the first");
            match (old, by_new.get(&key)) {
                (0, None) => panic!("{context}: {key} was never sent"),
                (1, Some(false)) => panic!("{context}: {key} was sent twice, and nobody was told"),
                _ => {}
            }
        }
        let doubtful = by_new.values().filter(|marked| **marked).count();
        assert!(
            doubtful <= 1,
            "{context}: at most one effect was in the first one's hands"
        );
        let records = everything(&journal).await;
        let zombie = records
            .iter()
            .any(|record| record.envelope.stream.0 == "zombie/1");
        assert!(!zombie, "{context}: the first one's last words were written");
        verify(&journal)
            .await
            .unwrap_or_else(|error| panic!("{context}: {error}"));
        journal.close().await;
    }
}
