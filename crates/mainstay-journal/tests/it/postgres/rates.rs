//! Commits per second, printed: no goal, for the disk decides.

use std::sync::Arc;
use std::time::Duration;

use mainstay_journal::Journal;
use tokio::time::Instant;

use super::{Server, open};
use crate::support::{append, entropy, event, lead};

const MEASURED: Duration = Duration::from_secs(3);

async fn rate(journal: Arc<impl Journal>, writers: u64) -> u64 {
    let epoch = lead(&*journal).await;
    let began = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move {
                let entropy = entropy(began.elapsed().as_nanos() as u64 ^ (writers * 1_000 + writer));
                let mut count = 0;
                while began.elapsed() < MEASURED {
                    append(
                        &*journal,
                        epoch,
                        vec![event(&*entropy, &format!("rate/{writer}"), None)],
                    )
                    .await;
                    count += 1;
                }
                count
            })
        })
        .collect();
    let counts = futures::future::join_all(tasks).await;
    let count: u64 = counts.into_iter().map(|count| count.expect("no panic")).sum();
    count * 1_000 / u64::try_from(began.elapsed().as_millis()).unwrap_or(1).max(1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn commits_per_second() {
    let Some(server) = Server::start().await else {
        return;
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let sqlite = Arc::new(crate::support::open(dir.path()).await);
    let postgres = Arc::new(open(&server.url(), "rates", entropy(1)).await);
    for writers in [1, 16, 64] {
        let (one, many) = (
            rate(Arc::clone(&sqlite), writers).await,
            rate(Arc::clone(&postgres), writers).await,
        );
        eprintln!("{writers} writers: SQLite {one} commits/s, PostgreSQL {many} commits/s");
    }
}
