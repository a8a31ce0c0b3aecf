//! `mainstay inbox`: the demo's mail and chat inbox, a process of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use mainstay_delivery::inbox::{self, InboxOptions};

use crate::clock::SystemClock;
use crate::exit::Exit;
use crate::serve::{start_logging, told_to_stop};

/// Options of `mainstay inbox`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Where to listen for SMTP.
    #[arg(long)]
    smtp: SocketAddr,
    /// Where to listen for HTTP.
    #[arg(long)]
    http: SocketAddr,
    /// The file that keeps every message, one JSON object a line.
    #[arg(long)]
    file: PathBuf,
    /// Exit when standard input closes: the parent is gone.
    #[arg(long)]
    exit_with_parent: bool,
}

/// Runs until it is told to stop.
pub(crate) fn run(options: Options) -> Exit {
    start_logging();
    let listen = InboxOptions {
        smtp: options.smtp,
        http: options.http,
        ..InboxOptions::on_loopback(options.file)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        anstream::println!(
            "mainstay inbox: mail at {}, chat at http://{}/chat",
            options.smtp,
            options.http
        );
        let until = told_to_stop(options.exit_with_parent);
        let served = runtime.block_on(inbox::serve(listen, Arc::new(SystemClock), until));
        // Reading from standard input cannot be cancelled.
        runtime.shutdown_background();
        served.map_err(|error| error.to_string())
    });
    match result {
        Ok(()) => Exit::Ok,
        Err(error) => {
            anstream::eprintln!("mainstay inbox: {error}");
            Exit::Failure
        }
    }
}
