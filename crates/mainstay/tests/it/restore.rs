//! The restore drill with real processes: under load a backup is taken, the server is killed, its directory is destroyed,
//! and the backup goes on elsewhere. No page is lost that was asked for before the backup; what is told again says so.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::catalogs::{copy_of_catalog, edit};
use crate::harness::{SERVE, Server, http, until};
use crate::watchdog::Inbox;
use crate::{mainstay, told};

/// How many alerts come in; how many of them before the backup.
fn amount() -> (usize, usize) {
    match std::env::var("MAINSTAY_FULL").is_ok_and(|full| full == "1") {
        true => (4_000, 2_000),
        false => (400, 200),
    }
}

/// Every alert is told by itself, at once.
fn catalog() -> tempfile::TempDir {
    let catalog = copy_of_catalog();
    for folder in ["rules", "slo", "runbooks"] {
        std::fs::remove_dir_all(catalog.path().join(folder)).expect("it was there");
    }
    edit(
        catalog.path(),
        "routing.yaml",
        "        group_by: [cell]\n",
        "        group_by: [\"...\"]\n",
    );
    catalog
}

fn start(inbox: &Inbox, catalog: &Path, data: tempfile::TempDir) -> Server {
    let mut command = mainstay(&SERVE);
    command
        .env("MAINSTAY_SMTP_HOST", "127.0.0.1")
        .env("MAINSTAY_SMTP_PORT", inbox.smtp.to_string())
        .env(
            "MAINSTAY_CHAT_URL",
            format!("http://127.0.0.1:{}/chat", inbox.http),
        )
        .arg("--catalog")
        .arg(catalog)
        .arg("--data")
        .arg(data.path());
    Server::running(command, data)
}

fn alert(number: usize) -> Value {
    json!([{ "labels": {
        "alertname": format!("Load-{number}-"), "priority": "P1", "cell": format!("cell-{}", number % 9 + 1)
    } }])
}

/// Posts one alert; true when it is acknowledged.
fn post(server: &str, number: usize) -> bool {
    use std::io::{Read as _, Write as _};
    let authority = server.strip_prefix("http://").expect("an address");
    let Ok(mut stream) = std::net::TcpStream::connect(authority) else {
        return false;
    };
    let body = alert(number).to_string();
    let request = format!(
        "POST /api/v2/alerts HTTP/1.0\r\nHost: {authority}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.0 200")
}

/// The numbers of the alerts that a message names.
fn numbers(text: &str) -> impl Iterator<Item = usize> {
    let places = text.match_indices("Load-").map(|(at, _)| &text[at + 5..]);
    places.filter_map(|rest| rest.split('-').next()?.parse().ok())
}

#[test]
fn a_backup_under_load_goes_on_elsewhere_and_loses_no_page() {
    let (all, before) = amount();
    let inbox = Inbox::start();
    let catalog = catalog();
    let server = start(&inbox, catalog.path(), tempfile::tempdir().expect("a directory"));
    let address = server.address.clone();
    let (acknowledged, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let vault = tempfile::tempdir().expect("a directory");
    let backup = vault.path().join("backup");
    let (known, made_in) = std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..all {
                if stop.load(Ordering::SeqCst) || !post(&address, number) {
                    return;
                }
                acknowledged.store(number + 1, Ordering::SeqCst);
            }
        });
        until("half of the alerts are in", || {
            acknowledged.load(Ordering::SeqCst) >= before
        });
        let known = acknowledged.load(Ordering::SeqCst);
        let since = Instant::now();
        let made = server.json(&["backup"]);
        let took = since.elapsed();
        let directory = made["directory"].as_str().expect("a directory");
        std::fs::rename(directory, &backup).expect("moved away");
        // Alerts and pages go on for a while after it.
        let more = acknowledged.load(Ordering::SeqCst) + 20;
        until("more alerts are in", || {
            let now = acknowledged.load(Ordering::SeqCst);
            now >= more || now == all
        });
        stop.store(true, Ordering::SeqCst);
        (known, took)
    });
    let after = acknowledged.load(Ordering::SeqCst);
    assert!(after > known, "{after} alerts, {known} before the backup");
    let lost = Instant::now();
    // Its directory is destroyed with it.
    drop(server.kill());

    let elsewhere = tempfile::tempdir().expect("a directory");
    let data = elsewhere.path().join("data");
    let restored = mainstay(&["restore"])
        .arg(&backup)
        .arg("--data")
        .arg(&data)
        .output()
        .expect("it runs");
    assert_eq!(restored.status.code(), Some(0), "{}", told(&restored));
    // The harness owns directories of its own: the restored one moves into such a one.
    let home = tempfile::tempdir().expect("a directory");
    std::fs::remove_dir(home.path()).expect("empty");
    std::fs::rename(&data, home.path()).expect("moved");
    let server = start(&inbox, catalog.path(), home);
    let rto = lost.elapsed();
    assert!(rto < Duration::from_secs(300), "RTO {rto:?}");
    let firing = || {
        let reply = http(&server.address, "/api/v2/alerts", None, "");
        let alerts = reply.json();
        let mut found: Vec<usize> = Vec::new();
        for alert in alerts.as_array().expect("alerts") {
            found.extend(numbers(alert["labels"]["alertname"].as_str().unwrap_or_default()));
        }
        found.sort_unstable();
        found
    };
    let at_start = firing();
    let missing: Vec<usize> = (0..known).filter(|number| !at_start.contains(number)).collect();
    assert_eq!(missing, Vec::<usize>::new(), "acknowledged before the backup");
    // Senders tell what fires again and again, as Prometheus does.
    for number in known..after {
        assert!(post(&server.address, number));
    }
    let told_of = |messages: &[Value]| {
        let mut told: BTreeMap<usize, usize> = BTreeMap::new();
        for message in messages.iter().filter(|message| message["via"] == "chat") {
            for number in numbers(message["text"].as_str().unwrap_or_default()) {
                *told.entry(number).or_default() += 1;
            }
        }
        told
    };
    until("every alert is told", || {
        let told = told_of(&inbox.messages());
        (0..after).all(|number| told.contains_key(&number))
    });
    // One that arrives twice by one key says so the second time.
    let mut keys: BTreeMap<String, usize> = BTreeMap::new();
    let (mut repeated, mut unlabelled) = (0, 0);
    for message in inbox.messages() {
        let Some(key) = message["message_id"].as_str() else {
            continue;
        };
        let seen = keys.entry(key.to_owned()).or_default();
        *seen += 1;
        if *seen > 1 {
            repeated += 1;
            unlabelled += usize::from(message["labelled_duplicate"] != true);
        }
    }
    assert_eq!(unlabelled, 0, "of {repeated} repetitions");
    let report = server.told(&["journal", "verify"]);
    assert!(report.contains("platform"), "{report}");
    let changes = server.json(&["change", "list"]);
    assert!(
        changes.to_string().contains("restored from its backup"),
        "the journal says that it was restored: {changes}"
    );
    println!(
        "backup of {known} alerts under load in {} ms; RTO {:.1} s; {} alerts acknowledged before it: 0 lost; {} after it: \
         told again by their senders; {repeated} messages came twice, labelled",
        made_in.as_millis(),
        rto.as_secs_f64(),
        known,
        after - known
    );
    server.stop();
}

#[test]
fn what_is_damaged_or_not_finished_is_not_put_in_place() {
    let server = Server::start();
    let made = server.json(&["backup"]);
    let directory = Path::new(made["directory"].as_str().expect("a directory")).to_owned();
    let vault = tempfile::tempdir().expect("a directory");
    let restore = |backup: &Path, more: &[&str]| {
        let output = mainstay(&["restore"])
            .arg(backup)
            .arg("--data")
            .arg(vault.path().join("data"))
            .args(more)
            .output()
            .expect("it runs");
        (output.status.code(), told(&output))
    };
    // Over the server itself, and over anything else.
    let over = mainstay(&["restore"])
        .arg(&directory)
        .arg("--data")
        .arg(server.data.path())
        .output()
        .expect("it runs");
    assert!(told(&over).contains("a server runs on"), "{}", told(&over));
    // A look at it needs no place: it may be while the server runs, and leaves nothing behind.
    let scratch = tempfile::tempdir().expect("a directory");
    let looked = mainstay(&["restore", "--dry-run"])
        .arg(&directory)
        .env("MAINSTAY_DATA", server.data.path())
        .env("TMPDIR", scratch.path())
        .output()
        .expect("it runs");
    assert_eq!(looked.status.code(), Some(0), "{}", told(&looked));
    let left = std::fs::read_dir(scratch.path()).expect("readable").count();
    assert_eq!(left, 0, "nothing is left of it");
    let backup = vault.path().join("backup");
    std::fs::rename(&directory, &backup).expect("moved away");
    let data = server.stop();
    let over = mainstay(&["restore"])
        .arg(&backup)
        .arg("--data")
        .arg(data.path())
        .output()
        .expect("it runs");
    assert!(told(&over).contains("is not empty"), "{}", told(&over));

    use std::os::unix::fs::PermissionsExt as _;
    for file in ["backup.json", "signing.key", "journal/journal.db"] {
        let mode = std::fs::metadata(backup.join(file))
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let (code, said) = restore(&backup, &["--dry-run"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(made["at"].as_str().expect("an instant")), "{said}");
    assert!(!vault.path().join("data").exists());
    // Looking at it changes nothing.
    let verified = mainstay(&["journal", "verify"])
        .arg(backup.join("journal"))
        .output()
        .expect("it runs");
    assert_eq!(verified.status.code(), Some(0), "{}", told(&verified));
    assert_eq!(restore(&backup, &["--dry-run"]).0, Some(0));

    for file in ["journal/journal.db", "series/counts.slo", "signing.key"] {
        let path = backup.join(file);
        let whole = std::fs::read(&path).expect("readable");
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        std::fs::write(&path, &damaged).expect("written");
        let (code, said) = restore(&backup, &[]);
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains(file) && said.contains("SHA-256"), "{said}");
        std::fs::remove_file(&path).expect("removed");
        let (code, said) = restore(&backup, &[]);
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("it is missing"), "{said}");
        std::fs::write(&path, &whole).expect("written");
    }
    let manifest = backup.join("backup.json");
    let text = std::fs::read_to_string(&manifest).expect("readable");
    std::fs::write(&manifest, text.replace("\"format\": 1", "\"format\": 2")).expect("written");
    assert!(restore(&backup, &[]).1.contains("use that release"));
    std::fs::write(&manifest, text.replacen("\"path\": \"", "\"path\": \"../", 1)).expect("written");
    assert_eq!(restore(&backup, &[]).0, Some(3));
    std::fs::remove_file(&manifest).expect("removed");
    assert!(restore(&backup, &[]).1.contains("is no backup"));
    assert!(!vault.path().join("data").exists(), "nothing was put in place");
    let left = std::fs::read_dir(vault.path()).expect("readable").count();
    assert_eq!(left, 1, "and nothing is left beside it");
    std::fs::write(&manifest, text).expect("written");
    let (code, said) = restore(&backup, &[]);
    assert_eq!(code, Some(0), "{said}");
}
