//! `mainstay gate`.

mod cache;

use std::path::PathBuf;

use jiff::SignedDuration;
use mainstay_kernel::Clock as _;
use mainstay_plane::signing::PublicKey;
use serde_json::{Value, json};

use super::{Ask, Remote, Trouble};
use crate::clock::SystemClock;
use crate::exit::Exit;
use crate::output::{self, Form, Table, clock, count, judged, list, text};
use cache::{Cache, Offline};

/// How long an answer may take: a pipeline waits for it.
const GATE_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

/// What is asked of the gate.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// May this change go out? Exit code 0: yes, 8: when it is approved, 4: no.
    Deploy(Deploy),
    /// Approve changes of a service in a cell.
    Approve(Approve),
    /// What was answered, newest first.
    Answers {
        #[command(flatten)]
        ask: Ask,
    },
    /// Error budget policies, what they apply to, and the approvals that hold.
    Policy {
        #[command(flatten)]
        ask: Ask,
    },
    /// The key that verifies the server's answers, to pin it.
    Key {
        #[command(flatten)]
        ask: Ask,
    },
}

/// A change that is asked about.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Deploy {
    /// The service that is changed.
    #[arg(long)]
    service: String,
    /// The cell that it is changed in.
    #[arg(long)]
    cell: String,
    /// The version that goes out.
    #[arg(long)]
    version: Option<String>,
    /// What for. A rollback, a security fix and a reliability fix are never refused.
    #[arg(long, default_value = "deploy", value_parser = ["deploy", "configuration", "rollback", "security-fix", "reliability-fix"])]
    kind: String,
    /// The tenant for whom alone it is.
    #[arg(long)]
    tenant: Option<String>,
    /// Where last answers are kept, for when the server is away [default: a directory of the user's cache].
    #[arg(long, env = "MAINSTAY_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The key that answers must be signed by, as `mainstay gate key` prints it; else the first one seen is kept.
    #[arg(long, env = "MAINSTAY_GATE_KEY", value_name = "KEY", value_parser = public_key)]
    public_key: Option<PublicKey>,
    #[command(flatten)]
    ask: Ask,
}

/// Changes that are approved.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Approve {
    /// The service.
    #[arg(long)]
    service: String,
    /// The cell.
    #[arg(long)]
    cell: String,
    /// This version only.
    #[arg(long)]
    version: Option<String>,
    /// Why.
    #[arg(long)]
    reason: String,
    /// For how long.
    #[arg(long = "for", default_value = "2h", value_parser = mainstay_catalog::duration::parse)]
    for_: SignedDuration,
    #[command(flatten)]
    ask: Ask,
}

fn public_key(text: &str) -> Result<PublicKey, String> {
    PublicKey::parse(text)
        .ok_or_else(|| "expected 32 bytes as base64, as `mainstay gate key` prints them".to_owned())
}

impl Command {
    pub(crate) fn run(&self) -> Exit {
        match self {
            Self::Deploy(deploy) => deploy.run(),
            Self::Approve(approve) => approve.run(),
            Self::Answers { ask } => answers(ask),
            Self::Policy { ask } => policy(ask),
            Self::Key { ask } => Remote::run(&ask.server, async |remote| {
                let key = remote.get("/api/v1/signing-key").await?;
                match ask.output {
                    Form::Json => output::json(&key),
                    Form::Table => anstream::println!("{}", text(&key, "public_key")),
                }
                Ok(Exit::Ok)
            }),
        }
    }
}

impl Deploy {
    fn run(&self) -> Exit {
        Remote::run(&self.ask.server, async |remote| {
            let cache = Cache::new(
                self.state_dir.as_deref(),
                &self.ask.server.server,
                self.public_key.as_ref(),
            );
            let url = format!("{}/api/v1/gate/deploy", remote.base);
            let request = remote.client.post(url).timeout(GATE_WITHIN).json(&self.request());
            match remote.data(request).await {
                Ok((answer, _)) => {
                    cache.keep(&answer).map_err(Trouble::Strange)?;
                    Ok(self.tell(&answer["answer"]))
                }
                Err(trouble) if is_away(&trouble) => {
                    anstream::eprintln!("mainstay: {trouble}");
                    Ok(self.without_server(cache.offline(&self.request(), SystemClock.now())))
                }
                Err(trouble) => Err(trouble),
            }
        })
    }

    fn request(&self) -> Value {
        let mut request = json!({"service": self.service, "cell": self.cell, "kind": self.kind});
        for (name, value) in [("version", &self.version), ("tenant", &self.tenant)] {
            if let Some(value) = value {
                request[name] = json!(value);
            }
        }
        request
    }

    fn tell(&self, answer: &Value) -> Exit {
        match self.ask.output {
            Form::Json => output::json(answer),
            Form::Table => {
                anstream::println!("{}", text(answer, "answer"));
                for reason in list(answer, "reasons").iter().skip(1) {
                    anstream::println!("  {}", text(reason, "text"));
                }
                budgets(answer);
            }
        }
        exit_of(&text(answer, "verdict"))
    }

    /// What holds while the server is away. Standard error says why, standard output what.
    fn without_server(&self, offline: Offline) -> Exit {
        if let "rollback" | "security-fix" | "reliability-fix" = self.kind.as_str() {
            self.tell_offline(
                "allow",
                &format!("a change of kind {} is never refused", self.kind),
            );
            return Exit::Ok;
        }
        match offline {
            Offline::Holds(answer) => {
                let (at, until) = (text(&answer, "at"), text(&answer, "valid_until"));
                anstream::eprintln!(
                    "mainstay: the last answer holds: it is of {at}, signed, and valid until {until}"
                );
                self.tell(&answer)
            }
            Offline::FailMode { mode, why } => {
                self.tell_offline(&mode, &format!("{why}; the policy says that then holds: {mode}"));
                exit_of(&mode)
            }
            Offline::Nothing { why } => {
                let mode = "needs-approval";
                self.tell_offline(mode, &format!("{why}; somebody must decide"));
                exit_of(mode)
            }
        }
    }

    fn tell_offline(&self, verdict: &str, why: &str) {
        anstream::eprintln!("mainstay: {why}");
        match self.ask.output {
            Form::Json => {
                output::json(&json!({"verdict": verdict, "answer": why, "request": self.request()}))
            }
            Form::Table => anstream::println!("{verdict}"),
        }
    }
}

impl Approve {
    fn run(&self) -> Exit {
        Remote::run(&self.ask.server, async |remote| {
            let for_ms = u64::try_from(self.for_.as_millis()).unwrap_or(0);
            let mut body = json!({
                "service": self.service, "cell": self.cell, "reason": self.reason, "for_ms": for_ms
            });
            if let Some(version) = &self.version {
                body["version"] = json!(version);
            }
            remote
                .act("/api/v1/gate/approvals", Some(body), self.ask.output)
                .await?;
            Ok(Exit::Ok)
        })
    }
}

/// Whether nobody is there to answer: not even an error of the gate's own.
fn is_away(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Away { .. } => true,
        Trouble::Refused { status, .. } => *status >= 500,
        Trouble::Address(_) | Trouble::Token | Trouble::Strange(_) => false,
    }
}

fn exit_of(verdict: &str) -> Exit {
    match verdict {
        "allow" => Exit::Ok,
        "needs-approval" => Exit::Pending,
        _ => Exit::NotAllowed,
    }
}

fn budgets(answer: &Value) {
    let mut table = Table::new(&[
        "OBJECTIVE",
        "GROUP",
        "BUDGET",
        "BAD",
        "ALLOWED",
        "LEFT",
        "TOTAL",
        "WINDOW",
    ]);
    for budget in list(answer, "budgets") {
        let group = budget["group"].as_object().into_iter().flatten();
        let group: Vec<&str> = group.filter_map(|(_, value)| value.as_str()).collect();
        table.row([
            text(budget, "slo"),
            group.join(", "),
            judged(&text(budget, "state")),
            count(budget, "bad"),
            count(budget, "allowed"),
            count(budget, "left"),
            count(budget, "total"),
            text(budget, "window"),
        ]);
    }
    if !list(answer, "budgets").is_empty() {
        table.print("");
    }
}

fn answers(ask: &Ask) -> Exit {
    Remote::run(&ask.server, async |remote| {
        let (answers, now) = remote.look("/api/v1/gate/answers", &[]).await?;
        if ask.output == Form::Json {
            output::json(&answers);
            return Ok(Exit::Ok);
        }
        let mut table = Table::new(&[
            "AT (UTC)", "SERVICE", "CELL", "VERSION", "KIND", "BY", "EVENT", "ANSWER",
        ]);
        for answer in answers.as_array().into_iter().flatten() {
            let request = &answer["request"];
            table.row([
                clock(answer, "at", now),
                text(request, "service"),
                text(request, "cell"),
                text(request, "version"),
                text(request, "kind"),
                text(answer, "by"),
                text(answer, "event"),
                text(answer, "answer"),
            ]);
        }
        table.print("Nothing was asked.");
        Ok(Exit::Ok)
    })
}

fn policy(ask: &Ask) -> Exit {
    Remote::run(&ask.server, async |remote| {
        let (policies, now) = remote.look("/api/v1/gate/policy", &[]).await?;
        if ask.output == Form::Json {
            output::json(&policies);
            return Ok(Exit::Ok);
        }
        let mut table = Table::new(&["SERVICE", "JUDGED BY", "POLICY"]);
        for service in list(&policies, "services") {
            for judge in list(service, "judged_by") {
                table.row([
                    text(service, "service"),
                    text(judge, "slo"),
                    text(judge, "policy"),
                ]);
            }
        }
        table.print("No error budget policy judges any change.");
        for policy in list(&policies, "policies") {
            anstream::println!("\n{}: {}", text(policy, "name"), text(policy, "title"));
            for (state, words) in policy["states"].as_object().into_iter().flatten() {
                anstream::println!("  {state}: {}", words.as_str().unwrap_or_default());
            }
            anstream::println!("  {}", text(policy, "recovery"));
            for exception in list(policy, "exceptions") {
                let (owner, expires) = (text(exception, "owner"), text(exception, "expires"));
                anstream::println!(
                    "  excepted until {expires} by {owner}: {}",
                    text(exception, "reason")
                );
            }
            let valid = text(policy, "last_answer_valid");
            anstream::println!(
                "  without the server: the last answer for {valid}, then {}",
                text(policy, "fail_mode")
            );
        }
        for approval in list(&policies, "approvals") {
            anstream::println!(
                "\napproved: {} {} in {} by {} until {}: {}",
                text(approval, "service"),
                text(approval, "version"),
                text(approval, "cell"),
                text(approval, "by"),
                clock(approval, "until", now),
                text(approval, "reason"),
            );
        }
        Ok(Exit::Ok)
    })
}
