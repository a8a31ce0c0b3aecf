//! Real servers, as processes of a test.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mainstay_kernel::testing::SeededEntropy;
use mainstay_kernel::{Clock, Labels};
use mainstay_plane::telemetry::remote::StoreLog;
use mainstay_promql::dialect::Dialect;
use mainstay_remote::query::Client;
use mainstay_remote::write::{Log, Pace, Protocol, Sender, Settings};
use mainstay_remote::{Connection, Endpoint};
use mainstay_series::Store;

/// A server that a test may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Prometheus,
    VictoriaMetrics,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Prometheus, Self::VictoriaMetrics];

    /// That of the versions that Debian has.
    pub(crate) fn dialect(self) -> Dialect {
        match self {
            Self::Prometheus => Dialect::Prometheus2,
            Self::VictoriaMetrics => Dialect::VictoriaMetrics,
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::VictoriaMetrics => "victoria-metrics",
        }
    }
}

/// A server that runs, and keeps its data over a restart. It ends with the test.
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    dir: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
}

impl Peer {
    /// Starts a server with nothing in it; `None`, with a line on stderr, when it is not installed and not required.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test is told by its environment what must be there"
    )]
    pub(crate) async fn start(kind: Kind) -> Option<Self> {
        let installed = Command::new(kind.program())
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok();
        if !installed {
            let required = std::env::var("MAINSTAY_CONFORMANCE_REQUIRED").is_ok_and(|value| value == "1");
            assert!(!required, "{} is not installed", kind.program());
            eprintln!("skipped: {} is not installed", kind.program());
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let mut peer = Self {
            kind,
            dir: tempfile::tempdir().expect("a directory"),
            port,
            process: None,
        };
        peer.go().await;
        Some(peer)
    }

    /// Starts it, again if need be, and waits until it answers.
    pub(crate) async fn go(&mut self) {
        let data = self.dir.path().join("data");
        let address = format!("127.0.0.1:{}", self.port);
        let mut command = Command::new(self.kind.program());
        match self.kind {
            Kind::Prometheus => {
                let config = self.dir.path().join("prometheus.yml");
                std::fs::write(&config, "global: {}\n").expect("written");
                command
                    .arg(format!("--config.file={}", config.display()))
                    .arg(format!("--storage.tsdb.path={}", data.display()))
                    .arg(format!("--web.listen-address={address}"))
                    .arg("--web.enable-remote-write-receiver")
                    .arg("--storage.tsdb.retention.time=100y")
                    .arg("--log.level=error");
            }
            Kind::VictoriaMetrics => {
                command
                    .arg(format!("-storageDataPath={}", data.display()))
                    .arg(format!("-httpListenAddr={address}"))
                    .args(["-retentionPeriod=100y", "-loggerLevel=ERROR"])
                    .args(["-search.maxQueryLen=65536", "-memory.allowedBytes=256MB"]);
            }
        }
        let log = std::fs::File::create(self.dir.path().join("log")).expect("a file");
        self.process = Some(
            command
                .stdout(log.try_clone().expect("a file"))
                .stderr(log)
                .spawn()
                .expect("it starts"),
        );
        for _ in 0..400 {
            if self.client().engine().await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} did not come up: {}", self.kind.program(), self.log());
    }

    /// Ends it without a word.
    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it ran");
            process.wait().expect("it ended");
        }
    }

    /// Ends it as a restart of its machine would: Prometheus without a word, VictoriaMetrics, which keeps the last seconds in
    /// memory, in peace.
    pub(crate) fn stop(&mut self) {
        match (self.kind, &mut self.process) {
            (Kind::VictoriaMetrics, Some(process)) => {
                let told = Command::new("kill").arg(process.id().to_string()).status();
                assert!(told.expect("kill").success());
                process.wait().expect("it ended");
                self.process = None;
            }
            _ => self.kill(),
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&Endpoint::new(self.url(""))).expect("an address")
    }

    /// Where it takes remote write.
    pub(crate) fn receiver(&self) -> Endpoint {
        Endpoint::new(self.url("/api/v1/write"))
    }

    /// VictoriaMetrics shows samples a second or so after it took them, or when it is told to.
    pub(crate) async fn show_everything(&self) {
        if self.kind == Kind::VictoriaMetrics {
            let answer = reqwest::get(self.url("/internal/force_flush"))
                .await
                .expect("an answer");
            assert!(answer.status().is_success());
        }
    }

    /// Sends everything that `store` ever accepted to this server.
    pub(crate) async fn take_all_of(&self, store: &Arc<Store>, place: &Path, samples: u64) {
        let file = place.join(format!("{:?}", self.kind));
        std::fs::write(&file, FROM_THE_BEGINNING).expect("written");
        let log = StoreLog::open(Arc::clone(store), "peer", file);
        let log = Arc::new(log.expect("a place"));
        let sender = sender(
            self.receiver(),
            Arc::clone(&log),
            Protocol::V1,
            Pace::default().batch_samples,
        );
        send_everything(&sender, &log, store).await;
        assert_eq!((sender.tally().sent, sender.tally().refused), (samples, 0));
        self.show_everything().await;
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The place of a receiver that has nothing yet.
pub(crate) const FROM_THE_BEGINNING: &str = r#"{"settled":{"frame":1,"samples":0},"in_flight":0}"#;

/// A sender with a short deadline.
pub(crate) fn sender(
    endpoint: Endpoint,
    log: Arc<StoreLog>,
    protocol: Protocol,
    batch_samples: usize,
) -> Sender {
    let settings = Settings {
        protocol,
        external_labels: Labels::new(),
        pace: Pace {
            batch_samples,
            deadline_ms: 50,
            back_off_max_ms: 500,
            ..Pace::default()
        },
        metadata: None,
    };
    let entropy = Arc::new(SeededEntropy::new(1));
    let connection = Connection::new(&endpoint).expect("an address");
    Sender::new(connection, settings, log, Arc::new(WallClock), entropy)
}

/// Lets a sender run until all of the log has arrived.
pub(crate) async fn send_everything(sender: &Sender, log: &StoreLog, store: &Store) {
    let end = async {
        loop {
            let saved = log.saved().expect("a place");
            if saved.in_flight == 0 && saved.settled.frame > store.last_lsn().get() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        ended = sender.run() => panic!("{ended:?}"),
        () = end => {}
        () = tokio::time::sleep(Duration::from_secs(180)) => panic!("{:?}", sender.tally()),
    }
}

/// The time that the servers have.
pub(crate) struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "real servers run on real time")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
