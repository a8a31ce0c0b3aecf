//! The dead-man's switch with real processes: Mainstay, the watchdog, and a human's inbox. Whatever ends Mainstay, the
//! human has a page within three minutes.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::beside::free_port;
use crate::catalogs::{copy_of_catalog, edit};
use crate::harness::{PATIENCE, SERVE, Server, http, until};
use crate::mainstay;

const SECRET: &str = "a secret of two hosts";

fn is_full() -> bool {
    std::env::var("MAINSTAY_FULL").is_ok_and(|full| full == "1")
}

/// How often Mainstay tells, and after how long a human is paged: the defaults at full count.
fn timing() -> (&'static str, &'static str, Duration) {
    match is_full() {
        true => ("1m", "2m30s", Duration::from_secs(180)),
        false => ("5s", "12s", Duration::from_secs(25)),
    }
}

/// A process that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(mut command: Command, log: &std::path::Path) -> Ended {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .expect("a file");
    command
        .stdin(Stdio::piped())
        .stdout(log.try_clone().expect("a file"))
        .stderr(log);
    Ended(command.spawn().expect("it starts"))
}

/// What lies between Mainstay and its watchdog: it can be cut.
struct Line {
    port: u16,
    cut: Arc<AtomicBool>,
}

impl Line {
    fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let cut = Arc::new(AtomicBool::new(false));
        let is_cut = Arc::clone(&cut);
        std::thread::spawn(move || {
            for incoming in listener.incoming() {
                let Ok(from) = incoming else { return };
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(to) = TcpStream::connect(("127.0.0.1", target)) else {
                    continue;
                };
                for (mut read, mut write) in [
                    (
                        from.try_clone().expect("a socket"),
                        to.try_clone().expect("a socket"),
                    ),
                    (to, from),
                ] {
                    let is_cut = Arc::clone(&is_cut);
                    std::thread::spawn(move || {
                        let mut bytes = [0; 4096];
                        while let Ok(count @ 1..) = std::io::Read::read(&mut read, &mut bytes) {
                            // What is cut lets nothing through and says nothing.
                            if is_cut.load(Ordering::SeqCst)
                                || std::io::Write::write_all(&mut write, &bytes[..count]).is_err()
                            {
                                break;
                            }
                        }
                        let _ = write.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Self { port, cut }
    }
}

/// A human's mail and chat.
pub(crate) struct Inbox {
    pub(crate) smtp: u16,
    pub(crate) http: u16,
    _dir: tempfile::TempDir,
    _process: Ended,
}

impl Inbox {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (http, smtp) = (free_port(), free_port());
        let mut command = mainstay(&["inbox", "--exit-with-parent"]);
        command
            .args(["--smtp", &format!("127.0.0.1:{smtp}")])
            .args(["--http", &format!("127.0.0.1:{http}")])
            .arg("--file")
            .arg(dir.path().join("inbox.jsonl"));
        let process = spawn(command, &dir.path().join("inbox.log"));
        until("the inbox listens", || {
            TcpStream::connect(("127.0.0.1", smtp)).is_ok() && TcpStream::connect(("127.0.0.1", http)).is_ok()
        });
        Self {
            smtp,
            http,
            _dir: dir,
            _process: process,
        }
    }

    /// Everything that came.
    pub(crate) fn messages(&self) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let after = all
                .last()
                .map_or(0, |last: &Value| last["seq"].as_u64().unwrap_or(0));
            let path = format!("/messages?after={after}");
            let reply = http(&format!("http://127.0.0.1:{}", self.http), &path, None, "");
            let mut messages = reply.json();
            let messages = messages["messages"].take();
            match messages {
                Value::Array(more) if !more.is_empty() => all.extend(more),
                _ => return all,
            }
        }
    }
}

struct Stage {
    dir: tempfile::TempDir,
    catalog: tempfile::TempDir,
    line: Line,
    human: Inbox,
    watchdog_port: u16,
    watchdog: Option<Ended>,
}

impl Stage {
    fn set() -> Self {
        let (every, page_after, _) = timing();
        let dir = tempfile::tempdir().expect("a directory");
        let human = Inbox::start();
        let (inbox_smtp, watchdog_port) = (human.smtp, free_port());
        let catalog = copy_of_catalog();
        for folder in ["rules", "slo", "runbooks"] {
            std::fs::remove_dir_all(catalog.path().join(folder)).expect("it was there");
        }
        let (dogs, routing) = (
            format!(
                "apiVersion: mainstay/v1\nkind: Watchdog\nmetadata: {{name: watchdog}}\n\
                 spec: {{receiver: watchdog, every: {every}}}\n"
            ),
            "    routes:\n      - receiver: watchdog\n        matchers: ['alertname=\"MainstayWatchdog\"']\n",
        );
        std::fs::write(catalog.path().join("watchdog.yaml"), dogs).expect("written");
        edit(catalog.path(), "routing.yaml", "    routes:\n", routing);
        edit(
            catalog.path(),
            "routing.yaml",
            "  receivers:\n",
            "  receivers:\n    - {name: watchdog, webhooks: [watchdog]}\n",
        );
        edit(
            catalog.path(),
            "routing.yaml",
            "  chat:\n",
            "  webhooks: {watchdog: \"${WATCHDOG_URL}\"}\n  webhook_secrets: {watchdog: \"${WATCHDOG_SECRET}\"}\n  chat:\n",
        );
        let config = format!(
            "apiVersion: mainstay/v1\nkind: WatchdogHost\nmetadata: {{name: second-site}}\nspec:\n  \
             url: http://mainstay.example\n  secret: ${{WATCHDOG_SECRET}}\n  page_after: {page_after}\n  \
             repeat_every: 1h\n  channels:\n    smtp: {{host: 127.0.0.1, port: \"{inbox_smtp}\", from: watchdog@bank.example}}\n  \
             page: {{email: [human@bank.example]}}\n"
        );
        std::fs::write(dir.path().join("watchdog.yaml"), config).expect("written");
        let mut stage = Self {
            line: Line::to(watchdog_port),
            catalog,
            human,
            watchdog_port,
            watchdog: None,
            dir,
        };
        stage.start_watchdog();
        stage
    }

    fn start_watchdog(&mut self) {
        let mut command = mainstay(&["watchdog", "--exit-with-parent"]);
        command
            .env("WATCHDOG_SECRET", SECRET)
            .args(["--listen", &format!("127.0.0.1:{}", self.watchdog_port)])
            .arg("--config")
            .arg(self.dir.path().join("watchdog.yaml"))
            .arg("--data")
            .arg(self.dir.path().join("watchdog"));
        self.watchdog = Some(spawn(command, &self.dir.path().join("watchdog.log")));
        until("the watchdog listens", || {
            TcpStream::connect(("127.0.0.1", self.watchdog_port)).is_ok()
        });
    }

    fn start(&self, data: tempfile::TempDir) -> Server {
        let mut command = mainstay(&SERVE);
        command
            .env(
                "WATCHDOG_URL",
                format!("http://127.0.0.1:{}/beat", self.line.port),
            )
            .env("WATCHDOG_SECRET", SECRET)
            .arg("--catalog")
            .arg(self.catalog.path())
            .arg("--data")
            .arg(data.path());
        Server::running(command, data)
    }

    fn health(&self) -> (u16, Value) {
        let reply = http(
            &format!("http://127.0.0.1:{}", self.watchdog_port),
            "/healthz",
            None,
            "",
        );
        (reply.status, reply.json())
    }

    fn heard(&self) -> u64 {
        self.health().1["beats_heard"].as_u64().expect("a number")
    }

    /// The subjects of what the human has.
    fn inbox(&self) -> Vec<String> {
        let messages = self.human.messages();
        let of_watchdog = messages.iter().filter(|message| {
            message["from"]
                .as_str()
                .is_some_and(|from| from.contains("watchdog@"))
        });
        of_watchdog
            .map(|message| message["subject"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Waits for the human's `count`th message, and gives it.
    fn page(&self, count: usize, within: Duration) -> String {
        let since = Instant::now();
        loop {
            let inbox = self.inbox();
            if inbox.len() >= count {
                assert_eq!(inbox.len(), count, "{inbox:?}");
                return inbox[count - 1].clone();
            }
            let log = || std::fs::read_to_string(self.dir.path().join("watchdog.log"));
            assert!(
                since.elapsed() < within,
                "{:?}\n{}",
                self.health(),
                log().expect("readable")
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn beats_go_on(&self) {
        let before = self.heard();
        let since = Instant::now();
        while self.heard() < before + 1 {
            assert!(
                since.elapsed() < PATIENCE + Duration::from_secs(70),
                "{:?}",
                self.health()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn signal(server: &Server, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &server.pid().to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
}

fn say(what: &str, took: Duration) {
    let (every, page_after, _) = timing();
    println!(
        "{what}: the human was paged after {:.1} s (a beat every {every}, paged {page_after} after the last)",
        took.as_secs_f64()
    );
}

/// kill -9, a stop, and a Mainstay that is up and cannot deliver.
#[test]
fn whatever_ends_mainstay_a_human_is_paged_within_three_minutes() {
    let (_, _, within) = timing();
    let mut stage = Stage::set();
    let server = stage.start(tempfile::tempdir().expect("a directory"));
    stage.beats_go_on();
    stage.beats_go_on();
    assert_eq!(stage.health().0, 200);
    assert_eq!(stage.inbox(), Vec::<String>::new());
    let alerts = server.json(&["alert", "list"]);
    let beats = alerts.as_array().expect("alerts").iter();
    assert_eq!(
        beats.filter(|alert| alert["state"] == "firing").count(),
        1,
        "{alerts}"
    );
    assert_eq!(
        server.json(&["incident", "list"]),
        serde_json::json!([]),
        "it is no incident"
    );

    // kill -9.
    let killed = Instant::now();
    let data = server.kill();
    let page = stage.page(1, within);
    say("kill -9", killed.elapsed());
    assert!(page.starts_with("[P0] Mainstay is silent"), "{page}");
    assert_eq!(stage.health().0, 503);
    // The watchdog's own restart neither forgets the alarm nor tells it again.
    stage.watchdog = None;
    stage.start_watchdog();
    assert_eq!(stage.health().1["status"], "silent");

    let server = stage.start(data);
    let back = stage.page(2, within);
    assert!(back.contains("[resolved] Mainstay is heard again"), "{back}");
    assert_eq!(stage.health().0, 200);
    stage.beats_go_on();

    // SIGSTOP: it is there and does nothing.
    let stopped = Instant::now();
    signal(&server, "STOP");
    let page = stage.page(3, within);
    say("SIGSTOP", stopped.elapsed());
    assert!(page.starts_with("[P0] Mainstay is silent"), "{page}");
    signal(&server, "CONT");
    let back = stage.page(4, within);
    assert!(back.contains("is heard again"), "{back}");
    stage.beats_go_on();

    // It is well, and what it sends arrives nowhere.
    let cut = Instant::now();
    stage.line.cut.store(true, Ordering::SeqCst);
    let page = stage.page(5, within);
    say("no delivery", cut.elapsed());
    assert!(page.starts_with("[P0] Mainstay is silent"), "{page}");
    assert_eq!(
        http(&server.address, "/healthz", None, "").status,
        200,
        "it is up"
    );
    stage.line.cut.store(false, Ordering::SeqCst);
    let back = stage.page(6, within + PATIENCE);
    assert!(back.contains("is heard again"), "{back}");
    server.stop();
}

/// What is not signed, or signed with another secret, proves nothing; the watchdog away is no alarm.
#[test]
fn nobody_else_keeps_the_watchdog_quiet_and_its_absence_invents_nothing() {
    let mut stage = Stage::set();
    let server = stage.start(tempfile::tempdir().expect("a directory"));
    stage.beats_go_on();
    let heard = stage.heard();
    let forged = http(
        &format!("http://127.0.0.1:{}", stage.watchdog_port),
        "/beat",
        Some("mainstay-beat v1 sequence=9999999999999 every_ms=1 at=2026-11-27T10:00:00Z"),
        "Mainstay-Signature: t=1,v1=00\r\n",
    );
    assert_eq!(
        (forged.status, forged.body.as_str()),
        (401, "the signature does not fit")
    );
    assert!(stage.heard() <= heard + 1);
    // Nor does an alert of that name that somebody sends to Mainstay.
    let body = r#"[{"labels": {"alertname": "MainstayWatchdog", "sequence": "1"}}]"#;
    let posted = http(&server.address, "/api/v2/alerts", Some(body), "");
    assert_eq!(posted.status, 400, "{}", posted.body);
    // It is away for longer than its patience, while Mainstay is well.
    stage.watchdog = None;
    let (_, _, within) = timing();
    std::thread::sleep(within.min(Duration::from_secs(15)));
    stage.start_watchdog();
    stage.beats_go_on();
    stage.beats_go_on();
    assert_eq!(stage.inbox(), Vec::<String>::new());
    assert_eq!(stage.health().1["status"], "ok");
    server.stop();
}

/// A configuration that cannot work is refused with its place.
#[test]
fn what_cannot_page_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("watchdog.yaml");
    let text = "apiVersion: mainstay/v1\nkind: WatchdogHost\nmetadata: {name: w}\nspec:\n  url: http://m.example\n  \
                secret: plain\n  channels: {}\n  page:\n    sms: [\"12\"]\n";
    std::fs::write(&file, text).expect("written");
    let checked = mainstay(&["check", "-o", "short"])
        .arg(&file)
        .output()
        .expect("it runs");
    let said = crate::told(&checked);
    assert_eq!(checked.status.code(), Some(3), "{said}");
    for place in [":6:11: error", ":9:11: error"] {
        assert!(said.contains(place), "{place} is not in {said}");
    }
    let run = mainstay(&["watchdog", "--config"])
        .arg(&file)
        .output()
        .expect("it runs");
    assert_eq!(run.status.code(), Some(1), "{}", crate::told(&run));
}
