//! A running server, asked over its API: the commands of everyday work.

mod adjust;
mod alert;
mod change;
mod gate;
mod heartbeat;
mod incident;
mod journal;
mod metrics;
mod oncall;
mod query;
mod report;
mod runbook;
mod shadow;
mod silence;
mod slo;
mod store;

use jiff::Timestamp;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::exit::Exit;
use crate::output::Form;

/// The largest answer that is read, in bytes.
const ANSWER_MAX_BYTES: usize = 64 << 20;
/// How long an answer may take.
const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_secs(30);
/// The same for orders over everything that is kept: verifying a journal takes minutes.
const ORDER_WITHIN: std::time::Duration = std::time::Duration::from_secs(310);
const CONNECT_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

/// Which server is asked, and as whom.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Server {
    /// The server.
    #[arg(
        long,
        env = "MAINSTAY_SERVER",
        default_value = "http://127.0.0.1:7070",
        value_name = "URL"
    )]
    server: String,
    /// The token that says who asks.
    #[arg(long, env = "MAINSTAY_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
}

impl Server {
    /// A server at another address, asked by whom the environment says.
    pub(crate) fn at(server: String, token: Option<String>) -> Self {
        Self { server, token }
    }
}

/// Which server is asked, as whom, and how its answer is written.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Ask {
    #[command(flatten)]
    pub(crate) server: Server,
    /// How the answer is written.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Form,
}

/// What part of the platform, and how far back.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Within {
    /// Only this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Only this cell.
    #[arg(long)]
    cell: Option<String>,
    /// Only this service.
    #[arg(long)]
    service: Option<String>,
    /// How far back.
    #[arg(long, default_value = "24h", value_parser = ["1h", "6h", "24h", "7d", "30d"])]
    range: String,
}

impl Within {
    fn query(&self) -> Vec<(&'static str, &str)> {
        let parts = [
            ("tenant", &self.tenant),
            ("cell", &self.cell),
            ("service", &self.service),
        ];
        let given = parts
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)));
        given.chain([("range", self.range.as_str())]).collect()
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// Nobody is there.
    #[error("{url} does not answer: {reason}\nIs `mainstay serve` running? --server names another address.")]
    Away {
        /// Whom.
        url: String,
        /// Why.
        reason: String,
    },
    /// The address is none.
    #[error(
        "{0:?} is no address of a server: write it as in http://127.0.0.1:7070 (--server, MAINSTAY_SERVER)"
    )]
    Address(String),
    /// The token is none.
    #[error("the token has a line break or another character that no token has (--token, MAINSTAY_TOKEN)")]
    Token,
    /// It says no.
    #[error("{message}{}", if .help.is_empty() { String::new() } else { format!("\n{}", .help) })]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Why.
        message: String,
        /// What to do.
        help: String,
    },
    /// The answer is not what was expected.
    #[error("the server's answer is not understood: {0}")]
    Strange(String),
}

impl From<&Trouble> for Exit {
    fn from(trouble: &Trouble) -> Self {
        match trouble {
            Trouble::Refused {
                status: 401 | 403, ..
            } => Self::NotAllowed,
            _ => Self::Failure,
        }
    }
}

/// A server to ask.
pub(crate) struct Remote {
    client: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Remote {
    /// Asks a server, and says what went wrong.
    pub(crate) fn run(server: &Server, ask: impl AsyncFnOnce(&Self) -> Result<Exit, Trouble>) -> Exit {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                anstream::eprintln!("mainstay: {error}");
                return Exit::Failure;
            }
        };
        let asked = runtime.block_on(async { ask(&Self::new(server)?).await });
        asked.unwrap_or_else(|trouble| {
            anstream::eprintln!("mainstay: {trouble}");
            Exit::from(&trouble)
        })
    }

    fn new(server: &Server) -> Result<Self, Trouble> {
        // Fails only if it was done before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base = server.server.trim_end_matches('/').to_owned();
        let is_http = |url: reqwest::Url| matches!(url.scheme(), "http" | "https");
        if !base.parse().is_ok_and(is_http) {
            return Err(Trouble::Address(server.server.clone()));
        }
        let is_odd = |token: &str| !token.bytes().all(|byte| byte.is_ascii_graphic());
        if server.token.as_deref().is_some_and(is_odd) {
            return Err(Trouble::Token);
        }
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER_WITHIN)
            .connect_timeout(CONNECT_WITHIN);
        let away = |error: reqwest::Error| Trouble::Away {
            url: base.clone(),
            reason: error.to_string(),
        };
        Ok(Self {
            client: client.build().map_err(away)?,
            token: server.token.clone(),
            base,
        })
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<(u16, Vec<u8>), Trouble> {
        let (status, _, body) = self.answer(request).await?;
        Ok((status, body))
    }

    /// Status, headers and body, whatever they say.
    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<(u16, HeaderMap, Vec<u8>), Trouble> {
        let away = |error: reqwest::Error| Trouble::Away {
            url: self.base.clone(),
            reason: root_cause(&error),
        };
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let mut answer = request.send().await.map_err(away)?;
        let status = answer.status().as_u16();
        let headers = std::mem::take(answer.headers_mut());
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(away)? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_MAX_BYTES {
                return Err(Trouble::Strange(format!(
                    "it is longer than {ANSWER_MAX_BYTES} bytes"
                )));
            }
        }
        Ok((status, headers, body))
    }

    async fn data(&self, request: reqwest::RequestBuilder) -> Result<(Value, Timestamp), Trouble> {
        let (status, body) = self.send(request).await?;
        let answer = understood(&body);
        if status >= 300 {
            return Err(refused(status, answer.ok()));
        }
        let mut answer = answer?;
        let as_of = answer["as_of"].as_str().and_then(|text| text.parse().ok());
        let as_of = as_of.ok_or_else(|| Trouble::Strange("it does not say of when it is".to_owned()))?;
        Ok((answer["data"].take(), as_of))
    }

    /// What is at a path, as it is.
    pub(crate) async fn bytes(&self, path: &str) -> Result<Vec<u8>, Trouble> {
        let (status, body) = self.send(self.client.get(format!("{}{path}", self.base))).await?;
        if status >= 300 {
            return Err(refused(status, understood(&body).ok()));
        }
        Ok(body)
    }

    /// Has something done that needs no words; the data of the answer.
    pub(crate) async fn order(&self, path: &str) -> Result<Value, Trouble> {
        let request = self.client.post(format!("{}{path}", self.base));
        Ok(self.data(request.timeout(ORDER_WITHIN)).await?.0)
    }

    /// The data at a path.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Trouble> {
        Ok(self.look(path, &[]).await?.0)
    }

    /// The data at a path with parameters, and the instant of which it is true.
    async fn look(&self, path: &str, query: &[(&str, &str)]) -> Result<(Value, Timestamp), Trouble> {
        let url = format!("{}{}", self.base, with_query(path, query));
        self.data(self.client.get(url)).await
    }

    /// Does something, and says what it did.
    async fn act(&self, path: &str, body: Option<Value>, form: Form) -> Result<Value, Trouble> {
        let request = self.client.post(format!("{}{path}", self.base));
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let (done, _) = self.data(request).await?;
        match form {
            Form::Json => crate::output::json(&done),
            Form::Table => {
                if let Some(message) = done["message"].as_str() {
                    anstream::println!("{message}");
                }
            }
        }
        Ok(done)
    }

    /// A text that is no JSON.
    async fn text(&self, path: &str) -> Result<String, Trouble> {
        let (status, body) = self.send(self.client.get(format!("{}{path}", self.base))).await?;
        if status >= 300 {
            return Err(refused(status, understood(&body).ok()));
        }
        String::from_utf8(body).map_err(|_| Trouble::Strange("it is not text".to_owned()))
    }

    /// An answer in the form of Prometheus' API.
    async fn prometheus(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Trouble> {
        let url = format!("{}{}", self.base, with_query(path, query));
        let (status, body) = self.send(self.client.get(url)).await?;
        as_prometheus(status, &body)
    }
}

/// An answer in the form of Prometheus' API, or why there is none.
fn as_prometheus(status: u16, body: &[u8]) -> Result<Value, Trouble> {
    match understood(body) {
        Ok(answer) if answer["status"] == "success" => Ok(answer),
        Ok(answer) if answer["status"] == "error" => Err(Trouble::Refused {
            status,
            message: answer["error"].as_str().unwrap_or("the query failed").to_owned(),
            help: String::new(),
        }),
        Ok(answer) => Err(refused(status, Some(answer))),
        Err(_) if status >= 300 => Err(refused(status, None)),
        Err(strange) => Err(strange),
    }
}

fn understood(body: &[u8]) -> Result<Value, Trouble> {
    serde_json::from_slice(body).map_err(|error| Trouble::Strange(error.to_string()))
}

fn refused(status: u16, answer: Option<Value>) -> Trouble {
    let said = |key: &str| {
        let text = answer.as_ref().and_then(|answer| answer["error"][key].as_str());
        text.map(str::to_owned)
    };
    Trouble::Refused {
        status,
        message: said("message").unwrap_or_else(|| format!("the server answers with HTTP status {status}")),
        help: said("help").unwrap_or_default(),
    }
}

/// The innermost reason: `Connection refused (os error 111)`.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    if query.is_empty() {
        path.to_owned()
    } else {
        mainstay_ui::url::with_query(path, query)
    }
}

/// A path of the API made of parts that may hold anything.
fn path(parts: &[&str]) -> String {
    let all: Vec<&str> = ["api", "v1"].into_iter().chain(parts.iter().copied()).collect();
    mainstay_ui::url::path(&all)
}

pub(crate) use alert::Command as AlertCommand;
pub(crate) use change::Command as ChangeCommand;
pub(crate) use gate::Command as GateCommand;
pub(crate) use heartbeat::Command as HeartbeatCommand;
pub(crate) use incident::{Ack, Command as IncidentCommand, Postmortem};
pub(crate) use journal::{Backup, Command as JournalCommand, Why};
pub(crate) use metrics::Command as MetricsCommand;
pub(crate) use oncall::Command as OncallCommand;
pub(crate) use query::Options as QueryOptions;
pub(crate) use runbook::Command as RunbookCommand;
pub(crate) use shadow::{Command as ShadowCommand, cut, list};
pub(crate) use silence::Command as SilenceCommand;
pub(crate) use slo::Command as SloCommand;
