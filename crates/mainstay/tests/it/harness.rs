//! A server under test.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::catalogs::copy_of_catalog;
use crate::{mainstay, told};

/// How long anything here may take before the test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Serves on a free port of loopback until this process ends.
pub(crate) const SERVE: [&str; 4] = ["serve", "--listen", "127.0.0.1:0", "--exit-with-parent"];

/// A server on a free port of loopback; it ends with this process.
pub(crate) struct Server {
    child: Child,
    /// `http://127.0.0.1:port`
    pub(crate) address: String,
    /// What it said before that.
    pub(crate) said: Vec<String>,
    pub(crate) data: tempfile::TempDir,
    log: tempfile::NamedTempFile,
}

fn contents(log: &tempfile::NamedTempFile) -> String {
    std::fs::read_to_string(log.path()).expect("readable")
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_on(tempfile::tempdir().expect("a directory"))
    }

    /// Starts on a data directory.
    pub(crate) fn start_on(data: tempfile::TempDir) -> Self {
        Self::start_with(data, "catalogs/payments")
    }

    /// Starts on a data directory with a catalog.
    pub(crate) fn start_with(data: tempfile::TempDir, catalog: &str) -> Self {
        Self::start_for(data, catalog, &[])
    }

    /// Starts with further options.
    pub(crate) fn start_for(data: tempfile::TempDir, catalog: &str, options: &[&str]) -> Self {
        let mut command = mainstay(&SERVE);
        command.args(["--catalog", catalog]);
        command.args(options).arg("--data").arg(data.path());
        Self::running(command, data)
    }

    /// Waits until a command that becomes a server listens.
    pub(crate) fn running(mut command: Command, data: tempfile::TempDir) -> Self {
        // Nobody listens there: pages stay on their way, which is all that most tests need of them.
        for (name, nobody) in [
            ("MAINSTAY_SMTP_HOST", "127.0.0.1"),
            ("MAINSTAY_SMTP_PORT", "9"),
            ("MAINSTAY_CHAT_URL", "http://127.0.0.1:9/chat"),
            ("MAINSTAY_TELEPHONE_ACCOUNT", "ACtest"),
            ("MAINSTAY_TELEPHONE_TOKEN", "test"),
            ("MAINSTAY_TELEPHONE_URL", "http://127.0.0.1:9"),
            ("MAINSTAY_TELEPHONE_CALLBACK_URL", "http://127.0.0.1:9"),
            ("MAINSTAY_TELEPHONE_CALLBACK_LISTEN", "127.0.0.1:0"),
        ] {
            if command.get_envs().all(|(given, _)| given != name) {
                command.env(name, nobody);
            }
        }
        let log = tempfile::NamedTempFile::new().expect("a file");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.reopen().expect("a file"));
        let mut child = command.spawn().expect("the server starts");
        let stdout = child.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(stdout).lines();
        let mut said = Vec::new();
        let address = lines
            .find_map(|line| {
                let line = line.expect("text");
                let address = line.strip_prefix("mainstay listens on ").map(str::to_owned);
                said.push(line);
                address
            })
            .unwrap_or_else(|| panic!("it does not say where it listens: {}", contents(&log)));
        // What it prints from now on must go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            address,
            said,
            data,
            log,
        }
    }

    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        let mut command: Command = mainstay(arguments);
        command
            .env("MAINSTAY_SERVER", &self.address)
            .output()
            .expect("the program starts")
    }

    /// What a command prints, if it succeeds.
    pub(crate) fn told(&self, arguments: &[&str]) -> String {
        let output = self.ask(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", told(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["-o", "json"]).collect();
        serde_json::from_str(&self.told(&arguments)).expect("JSON")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) {
        let authority = self.address.strip_prefix("http://").expect("an address");
        let mut stream = TcpStream::connect(authority).expect("it listens");
        let body = body.to_string();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .expect("it is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// The most memory that it ever had, in bytes.
    pub(crate) fn peak_bytes(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.expect("a number") * 1024
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        contents(&self.log)
    }

    /// A path as it sees it, in its own mounts.
    pub(crate) fn its_path(&self, path: &Path) -> PathBuf {
        let below = path.strip_prefix("/").expect("from the root");
        Path::new("/proc")
            .join(self.child.id().to_string())
            .join("root")
            .join(below)
    }

    /// kill -9.
    pub(crate) fn kill(mut self) -> tempfile::TempDir {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
        self.data
    }

    pub(crate) fn stop(mut self) -> tempfile::TempDir {
        drop(self.child.stdin.take());
        let since = Instant::now();
        while self.child.try_wait().expect("its state").is_none() {
            assert!(
                since.elapsed() < PATIENCE,
                "it ends when its parent's pipe closes"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        self.data
    }
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "not so after a minute: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A catalog without rules and objectives: nothing but what a test puts there writes samples.
pub(crate) fn quiet_catalog() -> tempfile::TempDir {
    let catalog = copy_of_catalog();
    for folder in ["rules", "slo", "runbooks"] {
        std::fs::remove_dir_all(catalog.path().join(folder)).expect("it was there");
    }
    catalog
}

/// An answer: its status and its body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Asks an HTTP server at `http://host:port`; with a form, by POST. HTTP/1.0, so that bodies end with the connection.
pub(crate) fn http(server: &str, path: &str, form: Option<&str>, headers: &str) -> Reply {
    let authority = server.strip_prefix("http://").expect("an address");
    let mut stream = TcpStream::connect(authority).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = match form {
        None => format!("GET {path} HTTP/1.0\r\nHost: {authority}\r\n{headers}\r\n"),
        Some(form) => format!(
            "POST {path} HTTP/1.0\r\nHost: {authority}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n{headers}\r\n{form}",
            form.len()
        ),
    };
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Reply {
        status: status.expect("a status"),
        body: body.to_owned(),
    }
}

/// `name=value&…`, encoded.
pub(crate) fn encoded(parameters: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in parameters {
        if !text.is_empty() {
            text.push('&');
        }
        for (part, after) in [(name, "="), (value, "")] {
            for byte in part.bytes() {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' => {
                        text.push(char::from(byte));
                    }
                    other => text.push_str(&format!("%{other:02X}")),
                }
            }
            text.push_str(after);
        }
    }
    text
}
