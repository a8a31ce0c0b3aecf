//! The command line of the platform: `payd ROLE ...`, also embedded as a subcommand of another program.

use crate::{audit, error::Error, loadgen, roles, supervisor};
use std::process::ExitCode;

/// Arguments of `payd`; flatten them into a subcommand of another program to embed the platform there.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What this process is.
    #[command(subcommand)]
    pub role: Role,
}

/// What a process of the platform is.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Role {
    /// Run a cell's gateway: routes tenants, measures the service level.
    Gateway(roles::gateway::Options),
    /// Run payment-service: takes payments, answers for payments and balances.
    Payment(roles::payment::Options),
    /// Run validation-service.
    Validation(roles::validation::Options),
    /// Run fraud-service.
    Fraud(roles::fraud::Options),
    /// Run account-adapter: owner of the double-entry ledger.
    Account(roles::account::Options),
    /// Run saga-orchestrator: takes every payment to its end.
    Saga(roles::saga::Options),
    /// Run clearing-adapter, with the simulated bank behind it.
    Clearing(roles::clearing::Options),
    /// Run notification-service.
    Notification(roles::notification::Options),
    /// Run the pods of the Kubernetes manifests as child processes, once per cell.
    Supervisor(supervisor::Options),
    /// Send requests on a fixed schedule and count what clients saw.
    Loadgen(loadgen::Options),
    /// Check the books of a cell: exit status 3 when they are wrong.
    Audit(audit::Options),
}

/// Runs the role until it ends. 0: ended well; 1: failed; 2: wrong usage; 3: the audit found faults.
pub fn run(args: Args) -> ExitCode {
    raise_file_limit();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return failed(&Error::System {
                what: "starting the runtime",
                source: error,
            });
        }
    };
    let result = runtime.block_on(async {
        match args.role {
            Role::Gateway(options) => roles::gateway::run(options).await,
            Role::Payment(options) => roles::payment::run(options).await,
            Role::Validation(options) => roles::validation::run(options).await,
            Role::Fraud(options) => roles::fraud::run(options).await,
            Role::Account(options) => roles::account::run(options).await,
            Role::Saga(options) => roles::saga::run(options).await,
            Role::Clearing(options) => roles::clearing::run(options).await,
            Role::Notification(options) => roles::notification::run(options).await,
            Role::Supervisor(options) => supervisor::run(options).await,
            Role::Loadgen(options) => loadgen::run(options).await,
            Role::Audit(options) => {
                return audit::run(options).await.map(|right| {
                    if right {
                        ExitCode::SUCCESS
                    } else {
                        ExitCode::from(3)
                    }
                });
            }
        }
        .map(|()| ExitCode::SUCCESS)
    });
    // Nothing that is left may hold up the end.
    runtime.shutdown_background();
    result.unwrap_or_else(|error| failed(&error))
}

fn failed(error: &Error) -> ExitCode {
    eprintln!("payd: {error}");
    ExitCode::from(if matches!(error, Error::Usage(_)) { 2 } else { 1 })
}

/// A pool under load holds more sockets than the usual soft limit of 1,024.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}
