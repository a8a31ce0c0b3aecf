//! `mainstay demo`: a payments platform, the control plane and an outage, all real, on this machine.
//!
//! The demo only drives. Its children are the control plane, the supervisor of the platform's pods, an inbox and the load
//! generator; each of them exits when its parent's pipe closes, so that a killed demo leaves nothing behind.

mod api;
mod children;
mod error;
mod stage;
mod story;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::exit::Exit;

/// Options of `mainstay demo`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// What happens.
    #[arg(long, value_enum, default_value_t = Scenario::BadDeploy)]
    scenario: Scenario,
    /// Leave the human's steps (acknowledge, roll back, resolve) to you.
    #[arg(long)]
    interactive: bool,
    /// The cells to run, separated by commas; the last one gets the release.
    #[arg(long, value_delimiter = ',', default_value = "cell-1,cell-5")]
    cells: Vec<String>,
    /// Requests per second at the gateways, all cells together.
    #[arg(long, default_value_t = 400)]
    rps: u32,
    /// How many of them are payments.
    #[arg(long, default_value_t = 150)]
    payments_rps: u32,
    /// Where everything is kept; a second run opens it again.
    #[arg(long, default_value = "mainstay-demo")]
    data: PathBuf,
    /// The catalog.
    #[arg(long, default_value = "catalogs/payments")]
    catalog: PathBuf,
    /// The platform's Kubernetes manifests.
    #[arg(long, default_value = "deploy")]
    manifests: PathBuf,
    /// Where the console listens; a free port is taken if this one is in use.
    #[arg(long, default_value = "127.0.0.1:7070")]
    listen: SocketAddr,
    /// How long traffic flows before anything is released, in seconds.
    #[arg(long, default_value_t = 30)]
    warm_up_s: u64,
}

/// What can happen in a demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// payment-service v1.6.0 at 100 %: a query ten times slower exhausts the connection pool.
    BadDeploy,
    /// payment-service v1.5.1 at 100 %: nothing goes wrong, nobody is paged.
    Good,
    /// clearing-adapter v2.1.0 at 100 %: the bank refuses three payments in ten.
    BadClearing,
}

/// A release and what takes it back.
struct Release {
    service: &'static str,
    version: &'static str,
    bad: bool,
    runbook: (&'static str, &'static str),
}

impl Scenario {
    fn release(self) -> Release {
        let (service, version, bad, runbook) = match self {
            Self::BadDeploy => ("payment-service", "v1.6.0", true, ("high-error-rate", "rollback")),
            Self::Good => (
                "payment-service",
                "v1.5.1",
                false,
                ("high-error-rate", "rollback"),
            ),
            Self::BadClearing => (
                "clearing-adapter",
                "v2.1.0",
                true,
                ("clearing-failing", "rollback"),
            ),
        };
        Release {
            service,
            version,
            bad,
            runbook,
        }
    }
}

/// Runs the demo.
pub(crate) fn run(options: Options) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            anstream::eprintln!("mainstay demo: {error}");
            return Exit::Failure;
        }
    };
    match runtime.block_on(story::tell(&options)) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            anstream::eprintln!("mainstay demo: {error}");
            anstream::eprintln!(
                "the children's logs are in {}",
                options.data.join("logs").display()
            );
            Exit::Failure
        }
    }
}
