//! A real PostgreSQL that a test starts, kills and starts again: Debian's binaries, a directory of its own, a socket
//! there and no port.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mainstay_journal::PostgresJournal;
use mainstay_journal::postgres::Options;
use mainstay_kernel::testing::SeededEntropy;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Executor as _};

use crate::support::clock;

/// Opens the journal in a schema, without much patience: a test that waits for long has failed.
pub(crate) async fn open(url: &str, schema: &str, entropy: std::sync::Arc<SeededEntropy>) -> PostgresJournal {
    try_open(url, schema, entropy).await.expect("the journal opens")
}

pub(crate) async fn try_open(
    url: &str,
    schema: &str,
    entropy: std::sync::Arc<SeededEntropy>,
) -> Result<PostgresJournal, mainstay_journal::JournalError> {
    let options = Options {
        schema: schema.to_owned(),
        ..Options::default()
    };
    PostgresJournal::open_with(url, clock(), entropy, options).await
}

/// A server and its directory.
pub(crate) struct Server {
    bin: PathBuf,
    dir: tempfile::TempDir,
    /// What PostgreSQL runs as, where the test is root: it refuses root.
    user: Option<u32>,
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

fn output(program: &str, args: &[&str]) -> Option<String> {
    let done = Command::new(program)
        .args(args)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(done.stdout).ok()?;
    done.status.success().then(|| text.trim().to_owned())
}

impl Server {
    /// A fresh server; `None`, with the words "not run", where there is no PostgreSQL.
    pub(crate) async fn start() -> Option<Self> {
        let Some(bin) = installed() else {
            eprintln!("not run: no PostgreSQL in /usr/lib/postgresql (Debian's package postgresql)");
            return None;
        };
        let root = output("id", &["-u"]).as_deref() == Some("0");
        // Debian's package makes the account; any that is not root's will do.
        let user = root.then(|| {
            let id = output("id", &["-u", "postgres"]).and_then(|id| id.parse().ok());
            id.unwrap_or(65_534)
        });
        let dir = tempfile::Builder::new()
            .prefix("mainstay-pg-")
            .tempdir_in("/tmp")
            .expect("a temporary directory, with a path short enough for a socket");
        if let Some(user) = user {
            chown(dir.path(), Some(user), Some(user)).expect("root may give a directory away");
        }
        let data = dir.path().join("data");
        let made = as_user(user, &bin.join("initdb"))
            .arg("-D")
            .arg(&data)
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
            .stdout(Stdio::null())
            .status()
            .expect("initdb runs");
        assert!(made.success(), "initdb: {made}");
        let postmaster = spawn(&bin, dir.path(), user);
        let server = Self {
            bin,
            dir,
            user,
            postmaster,
        };
        server.ready().await;
        Some(server)
    }

    /// Kills the postmaster; its children see that and end.
    pub(crate) fn kill(&mut self) {
        self.postmaster.kill().expect("the postmaster can be killed");
        self.postmaster.wait().expect("the postmaster is dead");
    }

    /// Starts again after [`Server::kill`]: PostgreSQL refuses while children of the dead one are left.
    pub(crate) async fn start_again(&mut self) {
        for _ in 0..600 {
            self.postmaster = spawn(&self.bin, self.dir.path(), self.user);
            if self.is_ready().await {
                return;
            }
        }
        panic!("the server does not start again");
    }

    async fn ready(&self) {
        for _ in 0..600 {
            if self.admin().await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the server does not start");
    }

    /// Waits until it answers or has ended.
    async fn is_ready(&mut self) -> bool {
        loop {
            if self
                .postmaster
                .try_wait()
                .expect("a child can be asked")
                .is_some()
            {
                return false;
            }
            if self.admin().await.is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where the socket is.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join(".s.PGSQL.5432")
    }

    pub(crate) fn url(&self) -> String {
        format!(
            "postgres://mainstay@localhost/postgres?host={}&sslmode=disable",
            self.dir.path().display()
        )
    }

    pub(crate) async fn admin(&self) -> Result<PgConnection, sqlx::Error> {
        let options: PgConnectOptions = self.url().parse()?;
        options.application_name("test").connect().await
    }

    pub(crate) async fn run(&self, statement: &'static str) {
        let mut admin = self.admin().await.expect("the server answers");
        admin.execute(statement).await.expect("the statement runs");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing in it is worth an orderly end.
        let _ = self.postmaster.kill();
        let _ = self.postmaster.wait();
    }
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
    command.arg(program).current_dir("/").stdin(Stdio::null());
    command
}

fn spawn(bin: &Path, dir: &Path, user: Option<u32>) -> Child {
    as_user(user, &bin.join("postgres"))
        .arg("-D")
        .arg(dir.join("data"))
        .args(["-c", "listen_addresses=", "-c", "shared_buffers=32MB"])
        .arg("-c")
        .arg(format!("unix_socket_directories={}", dir.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts")
}
