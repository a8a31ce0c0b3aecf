//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use jiff::Timestamp;

use crate::exit::Exit;
use crate::serve;

/// An instant as somebody types it.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    let refused = |_| "a time is written as in 2026-12-24T16:00:00Z or 2026-12-24T18:00:00+02:00".to_owned();
    text.parse().map_err(refused)
}

/// The SRE control plane of a multi-tenant, cell-based payments platform.
#[derive(Debug, Parser)]
#[command(name = "mainstay", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the control plane.
    Serve(Box<serve::Options>),
    /// Listen to Mainstay from another host, and page a human when it falls silent.
    Watchdog(crate::watchdog::Options),
    /// Check a catalog, or single files of any known format; exit code 3 if there are errors.
    Check(crate::check::Options),
    /// Say what a new version of a catalog changes.
    Plan(crate::plan::Options),
    /// Draft a catalog from a running Prometheus, and count a first true budget; it only reads there.
    Init(Box<crate::adopt::Init>),
    /// Write objectives, routes, people, rotas and policies of other tools as documents of a catalog.
    Import(crate::adopt::Import),
    /// Have the server read its catalog's directory anew and put it in force, without a restart.
    Apply(crate::plan::ApplyOptions),
    /// Run unit tests of rules, or scripts of queries.
    #[command(subcommand)]
    Test(crate::test::Options),
    /// Take a page on, or all pages of an incident.
    Ack(crate::remote::Ack),
    /// Incidents: list, show, note, resolve.
    #[command(subcommand)]
    Incident(crate::remote::IncidentCommand),
    /// Alerts that fire or ended lately.
    #[command(subcommand)]
    Alert(crate::remote::AlertCommand),
    /// Silences: alerts that are not told for a while.
    #[command(subcommand)]
    Silence(crate::remote::SilenceCommand),
    /// Routes in shadow: what Mainstay would have told, beside what another system told.
    #[command(subcommand)]
    Shadow(crate::remote::ShadowCommand),
    /// Routes: where an alert would go.
    #[command(subcommand)]
    Route(crate::route::Command),
    /// Objectives and their budgets.
    #[command(subcommand)]
    Slo(crate::remote::SloCommand),
    /// Whether a change may go out, by what is left of the error budgets; approvals, policies.
    #[command(subcommand)]
    Gate(crate::remote::GateCommand),
    /// Who is on call.
    #[command(subcommand)]
    Oncall(crate::remote::OncallCommand),
    /// What others must tell at least so often.
    #[command(subcommand)]
    Heartbeat(crate::remote::HeartbeatCommand),
    /// Runbooks and their steps.
    #[command(subcommand)]
    Runbook(crate::remote::RunbookCommand),
    /// Print the post-mortem draft of an incident, CommonMark.
    Postmortem(crate::remote::Postmortem),
    /// Deploys, rollbacks and configuration changes.
    #[command(subcommand)]
    Change(crate::remote::ChangeCommand),
    /// Say why an event came about, back to where it began.
    Why(crate::remote::Why),
    /// Ask the metrics, in PromQL.
    Query(crate::remote::QueryOptions),
    /// The store of samples: import, delete, clean, snapshot.
    #[command(subcommand)]
    Metrics(crate::remote::MetricsCommand),
    /// The journal: verify its hash chains.
    #[command(subcommand)]
    Journal(crate::remote::JournalCommand),
    /// Copy everything that the server keeps, without stopping it; it prints the directory, on the server.
    Backup(crate::remote::Backup),
    /// Put a backup in place: into an empty directory, after everything in it was checked.
    Restore(crate::backup::Options),
    /// Show everything at work: a payments platform, a bad release, the page, the rollback, the post-mortem.
    #[cfg(feature = "demo")]
    Demo(crate::demo::Options),
    /// Run a mail and chat inbox that shows what it received.
    #[cfg(feature = "demo")]
    #[command(hide = true)]
    Inbox(crate::inbox::Options),
    /// Run a role of the reference payments platform.
    #[cfg(feature = "demo")]
    Payd(payments::cli::Args),
}

/// Runs the command that the arguments name.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            let _ = error.print();
            return exit.into();
        }
    };
    match cli.command {
        Command::Serve(options) => serve::run(*options).into(),
        Command::Watchdog(options) => crate::watchdog::run(options).into(),
        Command::Check(options) => crate::check::run(&options).into(),
        Command::Plan(options) => crate::plan::run(&options).into(),
        Command::Init(options) => options.run().into(),
        Command::Import(options) => options.run().into(),
        Command::Apply(options) => crate::plan::apply(&options).into(),
        Command::Test(options) => crate::test::run(&options).into(),
        Command::Ack(options) => options.run().into(),
        Command::Incident(command) => command.run().into(),
        Command::Alert(command) => command.run().into(),
        Command::Silence(command) => command.run().into(),
        Command::Route(command) => command.run().into(),
        Command::Slo(command) => command.run().into(),
        Command::Gate(command) => command.run().into(),
        Command::Oncall(command) => command.run().into(),
        Command::Shadow(command) => command.run().into(),
        Command::Heartbeat(command) => command.run().into(),
        Command::Runbook(command) => command.run().into(),
        Command::Postmortem(options) => options.run().into(),
        Command::Change(command) => command.run().into(),
        Command::Why(options) => options.run().into(),
        Command::Query(options) => options.run().into(),
        Command::Metrics(command) => command.run().into(),
        Command::Journal(command) => command.run().into(),
        Command::Backup(options) => options.run().into(),
        Command::Restore(options) => crate::backup::run(&options).into(),
        #[cfg(feature = "demo")]
        Command::Demo(options) => crate::demo::run(options).into(),
        #[cfg(feature = "demo")]
        Command::Inbox(options) => crate::inbox::run(options).into(),
        #[cfg(feature = "demo")]
        Command::Payd(args) => payments::cli::run(args),
    }
}
