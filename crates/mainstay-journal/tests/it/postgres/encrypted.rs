//! The way to a database that encrypts.

use std::net::TcpListener;

use mainstay_journal::PostgresJournal;
use sqlx::Row as _;

use super::Server;
use crate::support::{clock, entropy, everything};

const CERTIFICATE: &str = include_str!("../../../../mainstay-delivery/tests/it/tls/localhost.pem");
const KEY: &str = include_str!("../../../../mainstay-delivery/tests/it/tls/localhost.key");
const AUTHORITY: &str = include_str!("../../../../mainstay-delivery/tests/it/tls/authority.pem");

#[tokio::test]
async fn a_database_is_believed_by_its_authority_and_under_its_name() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let port = port.expect("a free port").port();
    let Some(server) = Server::start_encrypted(port, CERTIFICATE, KEY).await else {
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let authority = directory.path().join("authority.pem");
    std::fs::write(&authority, AUTHORITY).expect("written");
    let url = |host: &str, rest: &str| {
        format!("postgres://mainstay:se%20cret@{host}:{port}/postgres?sslmode=verify-full{rest}")
    };
    let trusted = format!("&sslrootcert={}", authority.display());

    let journal = PostgresJournal::open(&url("localhost", &trusted), clock(), entropy(1)).await;
    let journal = journal.expect("its authority is trusted");
    assert!(everything(&journal).await.is_empty());
    let mut admin = server.admin().await.expect("the server answers");
    let ours = "SELECT count(*), count(*) FILTER (WHERE ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                WHERE application_name = 'mainstay'";
    let row = sqlx::query(ours).fetch_one(&mut admin).await.expect("a row");
    let (all, encrypted): (i64, i64) = (row.get(0), row.get(1));
    assert!(all > 0 && all == encrypted, "{encrypted} of {all} are encrypted");
    journal.close().await;

    // An authority that nobody named, and a name that the certificate does not have.
    for (host, rest, says) in [
        ("localhost", "", "UnknownIssuer"),
        ("127.0.0.2", trusted.as_str(), "not valid for"),
    ] {
        let began = tokio::time::Instant::now();
        let refused = PostgresJournal::open(&url(host, rest), clock(), entropy(2))
            .await
            .err();
        let words = refused.expect("it is not believed").to_string();
        assert!(
            words.contains(says) && words.contains("sslrootcert=FILE"),
            "{words}"
        );
        assert!(!words.contains("cret"), "{words}");
        assert!(began.elapsed().as_secs() < 20, "it is said at once");
    }
}
