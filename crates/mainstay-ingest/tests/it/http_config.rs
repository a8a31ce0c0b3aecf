//! How targets are spoken to: real sockets, real TLS.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use mainstay_ingest::config::ScrapeConfig;
use mainstay_ingest::{ScrapeBatch, ScrapeError, ScrapeTarget, Scraper, Sink};
use mainstay_kernel::Clock;
use std::io::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto};

use crate::http::{self, Answer, Request};

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

struct Batches(mpsc::UnboundedSender<ScrapeBatch>);

impl Sink for Batches {
    fn accept(&self, scrape: ScrapeBatch) {
        // The test has what it wants after the first.
        let _ = self.0.send(scrape);
    }
}

/// What a file holds that a configuration names; of `tls/` the test's own.
fn read(path: &Path) -> Result<String, String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    match path.to_str() {
        Some("password") => Ok("s3cret\n".to_owned()),
        Some("token") => Ok("t0ken\n".to_owned()),
        _ => std::fs::read_to_string(here.join(path)).map_err(|error| error.to_string()),
    }
}

/// The one target of a job that has these keys.
fn target(address: &str, keys: &str) -> ScrapeTarget {
    let text = format!(
        "scrape_configs:\n  - job_name: t\n    scrape_interval: 50ms\n    {keys}\n    static_configs: [{{targets: ['{address}']}}]\n"
    );
    let config = ScrapeConfig::parse("p.yml", &text).unwrap_or_else(|error| panic!("{error}"));
    let job = &config.jobs[0];
    let http = Arc::new(job.http.resolve(&read).expect("files are there"));
    let mut found = job.targets(&job.static_groups, &http);
    assert_eq!(found.refused, [""; 0]);
    let mut target = found.active.remove(0);
    // The clock stands still: every slot is now, and a slow machine is no reason to fail.
    target.timeout = Duration::from_secs(10);
    target
}

/// The first scrape of this target.
async fn scrape(target: ScrapeTarget) -> ScrapeBatch {
    let (sender, mut batches) = mpsc::unbounded_channel();
    let scraper = Arc::new(Scraper::new(Arc::new(Noon), Arc::new(Batches(sender))));
    scraper.set_targets(vec![target]);
    let runner = Arc::clone(&scraper);
    let task = tokio::spawn(async move { runner.run(std::future::pending()).await });
    let batch = timeout(Duration::from_secs(20), batches.recv())
        .await
        .expect("in time")
        .expect("running");
    task.abort();
    batch
}

type Seen = Arc<Mutex<Vec<Request>>>;

/// A target that answers `a 7`, packed if asked to, and what it was asked.
async fn serve() -> (String, Seen) {
    let seen: Seen = Arc::default();
    let requests = Arc::clone(&seen);
    let address = http::serve(move |request| {
        requests.lock().expect("sound").push(request.clone());
        if request.target.starts_with("/moved") {
            return Answer {
                headers: vec![("location", "/metrics".to_owned())],
                ..Answer::status(302)
            };
        }
        let mut answer = Answer::ok("text/plain", "a 7\n");
        if request.header("accept-encoding") == Some("gzip") {
            let mut packer = GzEncoder::new(Vec::new(), Compression::default());
            packer.write_all(&answer.body).expect("packs");
            answer.body = packer.finish().expect("packs");
            answer.headers.push(("content-encoding", "gzip".to_owned()));
        }
        answer
    })
    .await;
    (address, seen)
}

#[tokio::test]
async fn requests_bear_what_the_configuration_says() {
    let cases = [
        (
            "basic_auth: {username: u, password_file: password}",
            "authorization",
            Some("Basic dTpzM2NyZXQ="),
        ),
        (
            "authorization: {credentials_file: token}",
            "authorization",
            Some("Bearer t0ken"),
        ),
        (
            "authorization: {type: Token, credentials: x}",
            "authorization",
            Some("Token x"),
        ),
        ("bearer_token: y", "authorization", Some("Bearer y")),
        (
            "http_headers: {X-Scope: {values: [a], files: [token]}}",
            "x-scope",
            Some("a"),
        ),
        ("enable_compression: true", "accept-encoding", Some("gzip")),
        ("enable_compression: false", "accept-encoding", None),
        (
            "scrape_protocols: [PrometheusText0.0.4]",
            "accept",
            Some("text/plain;version=0.0.4;q=0.6,*/*;q=0.5"),
        ),
        (
            "metrics_path: /moved",
            "x-prometheus-scrape-timeout-seconds",
            Some("10"),
        ),
    ];
    for (keys, header, expected) in cases {
        let (address, seen) = serve().await;
        let batch = scrape(target(&address, keys)).await;
        assert_eq!(
            (&batch.error, batch.samples[0].value.float()),
            (&None, Some(7.0)),
            "{keys}"
        );
        let request = seen.lock().expect("sound")[0].clone();
        assert_eq!(request.header(header), expected, "{keys}: {request:?}");
    }
    let (address, _) = serve().await;
    let batch = scrape(target(
        &address,
        "metrics_path: /moved\n    follow_redirects: false",
    ))
    .await;
    assert_eq!(batch.error, Some(ScrapeError::Status(302)));
}

#[tokio::test]
async fn a_packed_body_is_held_to_the_limit_unpacked() {
    let address = http::serve(|_| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(&b"# \n".repeat(100_000)).expect("packs");
        Answer {
            headers: vec![
                ("content-type", "text/plain".to_owned()),
                ("content-encoding", "gzip".to_owned()),
            ],
            body: packer.finish().expect("packs"),
            ..Answer::status(200)
        }
    })
    .await;
    let batch = scrape(target(&address, "body_size_limit: 100KB")).await;
    assert_eq!(
        batch.error,
        Some(ScrapeError::BodyTooLarge {
            limit_bytes: 100 << 10
        })
    );
    assert_eq!(
        scrape(target(&address, "body_size_limit: 300KB")).await.error,
        None
    );
}

#[tokio::test]
async fn a_proxy_is_asked_for_the_target() {
    let (proxy, seen) = serve().await;
    let keys = format!("proxy_url: 'http://{proxy}'");
    let batch = scrape(target("nowhere.invalid:9100", &keys)).await;
    assert_eq!(batch.error, None);
    assert_eq!(
        seen.lock().expect("sound")[0].target,
        "http://nowhere.invalid:9100/metrics"
    );
}

#[tokio::test]
async fn an_answer_that_does_not_say_what_it_is_needs_a_fallback() {
    let address = http::serve(|_| Answer::ok("text/html", "a 7\n")).await;
    let refused = scrape(target(&address, "honor_labels: false")).await;
    assert_eq!(
        refused.error,
        Some(ScrapeError::ContentType("text/html".to_owned()))
    );
    let taken = scrape(target(&address, "fallback_scrape_protocol: PrometheusText0.0.4")).await;
    assert_eq!(taken.error, None);
}

/// A target behind TLS whose certificate is of `targets.example`, and who wants one of ours.
async fn serve_tls() -> String {
    let pem = |name: &str| read(Path::new("tls").join(name).as_path()).expect("there");
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(pem("ca.pem").as_bytes()).expect("PEM"))
        .expect("a root");
    let provider = Arc::new(crypto::ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(clients.build().expect("a verifier"))
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(pem("server.pem").as_bytes()).expect("PEM")],
            PrivateKeyDer::from_pem_slice(pem("server.key.pem").as_bytes()).expect("PEM"),
        )
        .expect("a certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(socket).await else {
                    return;
                };
                let mut buffer = [0; 4096];
                while let Ok(1..) = stream.read(&mut buffer).await {
                    let answer =
                        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\na 7\n";
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn tls_checks_whom_it_was_told_to_check() {
    let address = serve_tls().await;
    let ours = "cert_file: tls/client.pem, key_file: tls/client.key.pem";
    let tls = |keys: String| format!("scheme: https\n    tls_config: {{{keys}}}");
    let good = [
        format!("ca_file: tls/ca.pem, server_name: targets.example, {ours}"),
        format!("insecure_skip_verify: true, {ours}"),
        format!("ca_file: tls/ca.pem, server_name: targets.example, min_version: TLS13, {ours}"),
    ];
    for keys in good {
        let batch = scrape(target(&address, &tls(keys.clone()))).await;
        assert_eq!(
            (&batch.error, batch.samples[0].value.float()),
            (&None, Some(7.0)),
            "{keys}"
        );
    }
    let bad = [
        // The certificate is not of 127.0.0.1, nor of another name.
        format!("ca_file: tls/ca.pem, {ours}"),
        format!("ca_file: tls/ca.pem, server_name: other.example, {ours}"),
        // Who vouches for it is nobody whom the machine trusts.
        ours.to_owned(),
        // It wants to know who we are.
        "ca_file: tls/ca.pem, server_name: targets.example".to_owned(),
    ];
    for keys in bad {
        let batch = scrape(target(&address, &tls(keys.clone()))).await;
        assert!(
            matches!(batch.error, Some(ScrapeError::Connection(_))),
            "{keys}: {:?}",
            batch.error
        );
    }
    let broken = "scheme: https\n    tls_config: {ca: 'no PEM at all', server_name: x}";
    let batch = scrape(target(&address, broken)).await;
    assert!(batch.error.is_some(), "{:?}", batch.error);
}

#[tokio::test]
async fn new_credentials_are_no_new_target() {
    let (address, seen) = serve().await;
    let (sender, mut batches) = mpsc::unbounded_channel();
    let scraper = Arc::new(Scraper::new(Arc::new(Noon), Arc::new(Batches(sender))));
    let runner = Arc::clone(&scraper);
    let _task = tokio::spawn(async move { runner.run(std::future::pending()).await });
    let asked_with = |credentials: &str| {
        let seen = seen.lock().expect("sound");
        seen.iter()
            .any(|request| request.header("authorization") == Some(credentials))
    };
    for credentials in ["one", "two"] {
        scraper.set_targets(vec![target(&address, &format!("bearer_token: {credentials}"))]);
        while !asked_with(&format!("Bearer {credentials}")) {
            let batch = timeout(Duration::from_secs(20), batches.recv()).await;
            let batch = batch.expect("in time").expect("running");
            assert!(
                batch.samples.iter().all(|sample| !sample.value.is_stale()),
                "nothing ends: {batch:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_job_with_too_many_targets_fails_without_asking_anybody() {
    let (address, seen) = serve().await;
    let text = format!(
        "scrape_configs: [{{job_name: t, target_limit: 1, static_configs: [{{targets: ['{address}', '{address}:1']}}]}}]"
    );
    let config = ScrapeConfig::parse("p.yml", &text).expect("reads");
    let job = &config.jobs[0];
    let found = job.targets(&job.static_groups, &Arc::default());
    assert_eq!(found.refused.len(), 1, "host:port:1 is no address: {found:?}");
    assert_eq!(found.active[0].target_limit_exceeded, None);
    let text = text.replace(&format!("{address}:1'"), "127.0.0.1:1'");
    let config = ScrapeConfig::parse("p.yml", &text).expect("reads");
    let job = &config.jobs[0];
    let mut targets = job.targets(&job.static_groups, &Arc::default()).active;
    let mut first = targets.remove(0);
    first.interval = Duration::from_millis(50);
    let batch = scrape(first).await;
    assert_eq!(batch.error, Some(ScrapeError::TargetLimit { limit: 1 }));
    assert_eq!(batch.samples[0].value.float(), Some(0.0), "up");
    assert!(seen.lock().expect("sound").is_empty());
}
