//! The processes of the demo.

use std::fs::{File, OpenOptions};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tokio::process::{Child, Command};

use super::error::DemoError;

/// A child whose pipe we hold: it ends when we do.
pub(crate) struct Process {
    name: &'static str,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts this program again with other arguments; what it says goes to `logs/NAME.log`.
    pub(crate) fn start(
        name: &'static str,
        arguments: Vec<String>,
        environment: Vec<(&'static str, String)>,
        logs: &Path,
    ) -> Result<Self, DemoError> {
        let log = logs.join(format!("{name}.log"));
        let child = spawn(name, &arguments, &environment, &log)?;
        Ok(Self {
            name,
            arguments,
            environment,
            log,
            child,
        })
    }

    /// The exit status, if it has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>, DemoError> {
        self.child.try_wait().map_err(|source| DemoError::Child {
            name: self.name,
            source,
        })
    }

    /// Starts it again if it has ended. Gives whether it had.
    pub(crate) fn revive(&mut self) -> Result<bool, DemoError> {
        if self.ended()?.is_none() {
            return Ok(false);
        }
        self.child = spawn(self.name, &self.arguments, &self.environment, &self.log)?;
        Ok(true)
    }

    /// Closes its pipe and waits for its end.
    pub(crate) async fn finish(mut self) -> Result<(), DemoError> {
        drop(self.child.stdin.take());
        let ended = tokio::time::timeout(std::time::Duration::from_secs(20), self.child.wait()).await;
        match ended {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(source)) => Err(DemoError::Child {
                name: self.name,
                source,
            }),
            Err(_) => self.child.kill().await.map_err(|source| DemoError::Child {
                name: self.name,
                source,
            }),
        }
    }
}

fn spawn(
    name: &'static str,
    arguments: &[String],
    environment: &[(&'static str, String)],
    log: &Path,
) -> Result<Child, DemoError> {
    let failed = |source| DemoError::Child { name, source };
    let program = std::env::current_exe().map_err(failed)?;
    let out: File = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .map_err(failed)?;
    let err = out.try_clone().map_err(failed)?;
    Command::new(program)
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(out)
        .stderr(err)
        .kill_on_drop(true)
        // A Ctrl-C at the terminal is the demo's to handle; its children end with their pipes.
        .process_group(0)
        .spawn()
        .map_err(failed)
}

/// Loopback addresses that are free now; held until all are found, so that they differ.
pub(crate) fn free_addresses<const N: usize>() -> Result<[SocketAddr; N], DemoError> {
    let mut held = Vec::with_capacity(N);
    let mut addresses = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    for address in &mut addresses {
        let listener = TcpListener::bind(*address).map_err(|source| DemoError::Child {
            name: "a free port",
            source,
        })?;
        *address = listener.local_addr().map_err(|source| DemoError::Child {
            name: "a free port",
            source,
        })?;
        held.push(listener);
    }
    Ok(addresses)
}

/// `wanted` if it is free, else a free port on the same address.
pub(crate) fn this_or_free(wanted: SocketAddr) -> Result<SocketAddr, DemoError> {
    if TcpListener::bind(wanted).is_ok() {
        return Ok(wanted);
    }
    let [free] = free_addresses()?;
    Ok(SocketAddr::new(wanted.ip(), free.port()))
}
