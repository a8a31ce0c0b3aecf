//! A real PostgreSQL that a test starts, kills and starts again: Debian's binaries, a directory of its own, a socket there,
//! and a port of loopback only where it is to encrypt. How long to wait until it is ready is the test's business.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// By which its socket is called, where there is no port.
const DEFAULT_PORT: u16 = 5432;

/// A server and its directory; both go when it is dropped.
pub struct Postgres {
    bin: PathBuf,
    dir: tempfile::TempDir,
    /// What PostgreSQL runs as, where the test is root: it refuses root.
    user: Option<u32>,
    port: u16,
    settings: Vec<String>,
    postmaster: Child,
}

/// The newest installation on this machine.
fn installed() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let bins = versions.filter_map(|entry| {
        let bin = entry.ok()?.path().join("bin");
        let version: u32 = bin.parent()?.file_name()?.to_str()?.parse().ok()?;
        bin.join("initdb").is_file().then_some((version, bin))
    });
    bins.max().map(|(_, bin)| bin)
}

fn number(program: &str, arguments: &[&str]) -> Option<u32> {
    let output = Command::new(program)
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// Runs a program as somebody else, ended when this process ends.
fn as_user(user: Option<u32>, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if let Some(user) = user {
        command.args([
            format!("--reuid={user}"),
            format!("--regid={user}"),
            "--clear-groups".to_owned(),
        ]);
    }
    command
        .arg(program)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

fn spawn(bin: &Path, dir: &Path, user: Option<u32>, settings: &[String]) -> Child {
    as_user(user, &bin.join("postgres"))
        .arg("-D")
        .arg(dir.join("data"))
        .args(["-c", "shared_buffers=32MB"])
        .arg("-c")
        .arg(format!("unix_socket_directories={}", dir.display()))
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts")
}

impl Postgres {
    /// Starts a fresh server, which is not ready yet; `None`, with the words "not run", where there is no PostgreSQL.
    ///
    /// # Panics
    /// If a PostgreSQL that is there cannot be used.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::start_with(DEFAULT_PORT, |_, _| vec!["listen_addresses=".to_owned()])
    }

    /// One that encrypts, on a port of 127.0.0.1 and 127.0.0.2, with a certificate and its key as PEM.
    ///
    /// # Panics
    /// If a PostgreSQL that is there cannot be used.
    #[must_use]
    pub fn start_encrypted(port: u16, certificate: &str, key: &str) -> Option<Self> {
        Self::start_with(port, |dir, user| {
            let file = |name: &str, text: &str| {
                let path = dir.join(name);
                let mut open = std::fs::OpenOptions::new();
                let mut file = open.write(true).create_new(true).mode(0o600).open(&path);
                let file = file.as_mut().expect("a file that is only the server's");
                file.write_all(text.as_bytes()).expect("written");
                chown(&path, user, user).expect("root may give a file away");
                path.display().to_string()
            };
            vec![
                "listen_addresses=127.0.0.1,127.0.0.2".to_owned(),
                "ssl=on".to_owned(),
                format!("ssl_cert_file={}", file("server.pem", certificate)),
                format!("ssl_key_file={}", file("server.key", key)),
            ]
        })
    }

    fn start_with(port: u16, settings: impl FnOnce(&Path, Option<u32>) -> Vec<String>) -> Option<Self> {
        let Some(bin) = installed() else {
            println!("not run: no PostgreSQL in /usr/lib/postgresql (Debian's package postgresql)");
            return None;
        };
        let root = number("id", &["-u"]) == Some(0);
        // Debian's package makes the account; any that is not root's will do.
        let user = root.then(|| number("id", &["-u", "postgres"]).unwrap_or(65_534));
        let dir = tempfile::Builder::new()
            .prefix("mainstay-pg-")
            .tempdir_in("/tmp")
            .expect("a directory with a path short enough for a socket");
        if let Some(user) = user {
            chown(dir.path(), Some(user), Some(user)).expect("root may give a directory away");
        }
        let made = as_user(user, &bin.join("initdb"))
            .arg("-D")
            .arg(dir.path().join("data"))
            .args([
                "-U",
                "mainstay",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ])
            .status()
            .expect("initdb runs");
        assert!(made.success(), "initdb: {made}");
        let mut settings = settings(dir.path(), user);
        settings.push(format!("port={port}"));
        let postmaster = spawn(&bin, dir.path(), user, &settings);
        Some(Self {
            bin,
            dir,
            user,
            port,
            settings,
            postmaster,
        })
    }

    /// Whether it takes connections.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let mut ask = as_user(self.user, &self.bin.join("pg_isready"));
        ask.arg("-q").arg("-h").arg(self.dir.path());
        ask.arg("-p").arg(self.port.to_string());
        ask.status().is_ok_and(|status| status.success())
    }

    /// Whether the postmaster has ended.
    ///
    /// # Panics
    /// If the system does not say.
    pub fn has_ended(&mut self) -> bool {
        let ended = self.postmaster.try_wait().expect("a child can be asked");
        ended.is_some()
    }

    /// Kills the postmaster; its children see that and end.
    ///
    /// # Panics
    /// If it cannot be killed.
    pub fn kill(&mut self) {
        self.postmaster.kill().expect("the postmaster can be killed");
        self.postmaster.wait().expect("the postmaster is dead");
    }

    /// Starts again after [`Postgres::kill`]. As long as children of the dead one are left it ends at once.
    ///
    /// # Panics
    /// If the program cannot be run.
    pub fn start_again(&mut self) {
        self.postmaster = spawn(&self.bin, self.dir.path(), self.user, &self.settings);
    }

    /// Where the socket is.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join(format!(".s.PGSQL.{}", self.port))
    }

    /// Where it is reached without any network.
    #[must_use]
    pub fn url(&self) -> String {
        format!(
            "postgres://mainstay@localhost:{}/postgres?host={}&sslmode=disable",
            self.port,
            self.dir.path().display()
        )
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Nothing in it is worth an orderly end.
        let _ = self.postmaster.kill();
        let _ = self.postmaster.wait();
    }
}
