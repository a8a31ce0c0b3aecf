//! Servers that are started on one directory, one after the other.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver as Ear, channel};
use std::time::{Duration, Instant};

use super::receiver::Receiver;
use crate::harness::{PATIENCE, SERVE};
use crate::mainstay;

/// Where and how servers are started, one after the other.
pub(crate) struct Site<'a> {
    pub(crate) catalog: &'a Path,
    pub(crate) data: &'a Path,
    pub(crate) database: Option<String>,
    pub(crate) receiver: &'a Receiver,
}

/// One process, from its start to its end.
pub(crate) struct Life {
    child: Child,
    address: Ear<String>,
    pub(crate) begun: Instant,
}

impl Site<'_> {
    pub(crate) fn begin(&self) -> Life {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.data.with_extension("log"));
        let mut command = mainstay(&SERVE);
        command
            .arg("--catalog")
            .arg(self.catalog)
            .arg("--data")
            .arg(self.data)
            .env("STORM_CHAT", format!("{}/chat", self.receiver.address))
            .env("STORM_HOOK", format!("{}/desk", self.receiver.address))
            .env("STORM_SLOW", format!("{}/slow", self.receiver.address))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.expect("a file"));
        if let Some(database) = &self.database {
            command.env("MAINSTAY_DATABASE_URL", database);
        }
        let begun = Instant::now();
        let mut child = command.spawn().expect("it starts");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (tell, address) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("mainstay listens on ") {
                    let _ = tell.send(address.to_owned());
                }
            }
        });
        Life {
            child,
            address,
            begun,
        }
    }

    /// A server that listens, and where.
    pub(crate) fn serving(&self) -> (Life, String) {
        let life = self.begin();
        let address = life.address(PATIENCE);
        let address = address.unwrap_or_else(|| panic!("it does not listen: {}", self.log()));
        (life, address)
    }

    /// All that its servers logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.data.with_extension("log")).unwrap_or_default()
    }
}

impl Life {
    /// Where it listens; `None` if it does not until `patience` is over.
    pub(crate) fn address(&self, patience: Duration) -> Option<String> {
        self.address.recv_timeout(patience).ok()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }

    /// Lets it end by itself.
    pub(crate) fn end(mut self) {
        drop(self.child.stdin.take());
        self.ended();
    }

    /// SIGSTOP, SIGCONT.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name}");
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(&mut self) {
        let since = Instant::now();
        while self.child.try_wait().expect("its state").is_none() {
            assert!(since.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
