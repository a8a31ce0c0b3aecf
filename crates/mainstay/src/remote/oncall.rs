//! `mainstay oncall`.

use super::{Ask, Remote};
use crate::exit::Exit;
use crate::output::{self, Form, Table, clock, list, text};

/// What is asked about on-call.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Who is on call now, until when, and who comes next.
    Who {
        #[command(flatten)]
        ask: Ask,
    },
}

impl Command {
    pub(crate) fn run(&self) -> Exit {
        let Self::Who { ask } = self;
        Remote::run(&ask.server, async |remote| {
            let (situation, now) = remote.look("/api/v1/situation", &[]).await?;
            if ask.output == Form::Json {
                output::json(&situation["on_call"]);
                return Ok(Exit::Ok);
            }
            let mut table = Table::new(&["ROTA", "NOW", "UNTIL (UTC)", "NEXT"]);
            for duty in list(&situation, "on_call") {
                let who = text(duty, "now");
                let who = if who.is_empty() {
                    "\x1b[31mnobody\x1b[0m".to_owned()
                } else {
                    who
                };
                table.row([
                    text(duty, "rota"),
                    who,
                    clock(duty, "until", now),
                    text(duty, "next"),
                ]);
            }
            table.print("The catalog has no rota, or your account may not see it.");
            Ok(Exit::Ok)
        })
    }
}
