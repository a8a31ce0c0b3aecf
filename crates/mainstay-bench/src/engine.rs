//! The engines: how each is started, and what it has cost so far.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::http::Client;

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Mainstay,
    Prometheus,
    VictoriaMetrics,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Mainstay, Self::Prometheus, Self::VictoriaMetrics];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mainstay => "Mainstay",
            Self::Prometheus => "Prometheus",
            Self::VictoriaMetrics => "VictoriaMetrics",
        }
    }

    /// What it says of its version.
    pub(crate) fn version(self, mainstay: &Path) -> String {
        let (program, argument): (&Path, _) = match self {
            Self::Mainstay => (mainstay, "--version"),
            Self::Prometheus => (Path::new("prometheus"), "--version"),
            Self::VictoriaMetrics => (Path::new("victoria-metrics"), "-version"),
        };
        let output = Command::new(program).arg(argument).output();
        let text = output
            .map(|output| [output.stdout, output.stderr].concat())
            .unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().next().unwrap_or("unknown").to_owned()
    }
}

/// An engine at work, with a directory of its own.
pub(crate) struct Engine {
    pub(crate) kind: Kind,
    child: Child,
    pub(crate) port: u16,
    dir: PathBuf,
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Engine {
    /// Starts one on an empty directory in `work`, with a file of Prometheus rules if one is given.
    pub(crate) fn start(
        kind: Kind,
        mainstay: &Path,
        work: &Path,
        rules: Option<&str>,
    ) -> std::io::Result<Self> {
        let port = free_port()?;
        let dir = work.join(format!("{}-{port}", kind.name()));
        fs::create_dir_all(&dir)?;
        let address = format!("127.0.0.1:{port}");
        let data = dir.join("data");
        let mut command = match kind {
            Kind::Mainstay => {
                let catalog = dir.join("catalog");
                copy_catalog(&catalog)?;
                if let Some(rules) = rules {
                    fs::write(catalog.join("rules.yml"), rules)?;
                }
                let mut command = Command::new(mainstay);
                command
                    .args(["serve", "--catalog"])
                    .arg(catalog)
                    .arg("--data")
                    .arg(&data);
                command.args(["--listen", &address, "--metrics-retention-days", "45"]);
                // Where nobody listens: there is nothing to say.
                command
                    .env("MAINSTAY_SMTP_HOST", "127.0.0.1")
                    .env("MAINSTAY_SMTP_PORT", "9");
                command.env("MAINSTAY_CHAT_URL", "http://127.0.0.1:9");
                for (name, value) in [
                    ("ACCOUNT", "AC"),
                    ("TOKEN", "t"),
                    ("URL", "http://127.0.0.1:9"),
                    ("CALLBACK_URL", "http://127.0.0.1:9"),
                    ("CALLBACK_LISTEN", "127.0.0.1:0"),
                ] {
                    command.env(format!("MAINSTAY_TELEPHONE_{name}"), value);
                }
                command
            }
            Kind::Prometheus => {
                let config = dir.join("prometheus.yml");
                let mut text = "global: {evaluation_interval: 10s}\n".to_owned();
                if let Some(rules) = rules {
                    let file = dir.join("rules.yml");
                    fs::write(&file, rules)?;
                    text.push_str(&format!("rule_files: ['{}']\n", file.display()));
                }
                fs::write(&config, text)?;
                let mut command = Command::new("prometheus");
                command.arg(format!("--config.file={}", config.display()));
                command.arg(format!("--storage.tsdb.path={}", data.display()));
                command.args([
                    "--web.enable-remote-write-receiver",
                    "--web.enable-admin-api",
                    "--storage.tsdb.retention.time=45d",
                ]);
                command.arg(format!("--web.listen-address={address}"));
                command
            }
            Kind::VictoriaMetrics => {
                let mut command = Command::new("victoria-metrics");
                command.arg(format!("-storageDataPath={}", data.display()));
                command.arg(format!("-httpListenAddr={address}"));
                command.args(["-retentionPeriod=2", "-search.disableCache"]);
                command
            }
        };
        let log = fs::File::create(dir.join("log"))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut engine = Self {
            kind,
            child,
            port,
            dir,
        };
        engine.wait_until_ready()?;
        Ok(engine)
    }

    fn wait_until_ready(&mut self) -> std::io::Result<()> {
        let began = Instant::now();
        loop {
            let path = if self.kind == Kind::VictoriaMetrics {
                "/health"
            } else {
                "/-/ready"
            };
            let ready = Client::connect(self.port).and_then(|mut client| client.get(path));
            if ready.is_ok_and(|(status, _)| status == 200) {
                return Ok(());
            }
            if began.elapsed() > Duration::from_secs(60) || self.child.try_wait()?.is_some() {
                let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
                return Err(std::io::Error::other(format!(
                    "{} does not start: {log}",
                    self.kind.name()
                )));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// CPU-seconds so far, of all its threads, in user and kernel mode.
    pub(crate) fn cpu_s(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let ticks = [11, 12].map(|at| {
            fields
                .get(at)
                .and_then(|text| text.parse::<f64>().ok())
                .unwrap_or(0.0)
        });
        ticks.iter().sum::<f64>() / 100.0
    }

    /// A line of `/proc/PID/status` in bytes: `VmHWM` is the peak of resident memory, `VmRSS` what it is now.
    pub(crate) fn memory_bytes(&self, line: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let value = status
            .lines()
            .find_map(|found| found.strip_prefix(line)?.strip_prefix(':'));
        let kib = value.and_then(|value| value.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or(0.0) * 1024.0
    }

    /// What its samples take on disk once they have settled, its write-ahead log left out: of every engine the part that
    /// stays.
    pub(crate) fn disk_bytes(&self) -> u64 {
        let data = self.dir.join("data");
        match self.kind {
            Kind::Mainstay => size_of(&data.join("series/blocks")) + size_of(&data.join("series/series.idx")),
            Kind::Prometheus => size_of(&data.join("snapshots")),
            Kind::VictoriaMetrics => size_of(&data),
        }
    }

    /// Lets it settle, so that what it does behind the answer is in its bill and its files are what stays.
    pub(crate) fn settle(&self) -> std::io::Result<()> {
        let mut client = Client::connect(self.port)?;
        match self.kind {
            Kind::Mainstay => {}
            Kind::Prometheus => {
                client.send("POST", "/api/v1/admin/tsdb/snapshot", "", b"")?;
            }
            Kind::VictoriaMetrics => {
                client.get("/internal/force_flush")?;
            }
        }
        let mut before = self.cpu_s();
        let mut quiet = 0;
        // Mainstay looks after its files once a minute.
        while quiet < 13 {
            std::thread::sleep(Duration::from_secs(5));
            let now = self.cpu_s();
            quiet = if now - before < 0.1 { quiet + 1 } else { 0 };
            before = now;
        }
        Ok(())
    }
}

/// The payments platform's catalog, but for its rules, objectives and runbooks.
fn copy_catalog(to: &Path) -> std::io::Result<()> {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalogs/payments");
    fs::create_dir_all(to.join("calendars"))?;
    for folder in [Path::new(""), Path::new("calendars")] {
        for entry in fs::read_dir(from.join(folder))? {
            let entry = entry?;
            if entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                fs::copy(entry.path(), to.join(folder).join(entry.file_name()))?;
            }
        }
    }
    Ok(())
}

fn size_of(path: &Path) -> u64 {
    let Ok(metadata) = fs::metadata(path) else {
        return 0;
    };
    if metadata.is_file() {
        return metadata.len();
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| size_of(&entry.path())).sum()
}
