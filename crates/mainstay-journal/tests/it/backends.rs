//! The conformance suite over every backend.

use mainstay_journal::{MemoryJournal, SqliteJournal, conformance};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory() {
    conformance::run(async |clock, entropy| MemoryJournal::new(clock, entropy)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let count = std::sync::atomic::AtomicUsize::new(0);
    conformance::run(async |clock, entropy| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        SqliteJournal::open(&root.path().join(number.to_string()), clock, entropy)
            .await
            .expect("a fresh journal opens")
    })
    .await;
}

// Over PostgreSQL: `postgres::conforms`, where the server is started.
