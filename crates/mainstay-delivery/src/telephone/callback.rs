//! What the provider tells us: states of messages, and keys that were pressed. It signs every request.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use mainstay_kernel::{Clock, PageId, PersonId};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::progress::{Progress, word};
use super::{Resource, TelephoneOptions, escape, is_sid};
use crate::http::{Call, HttpClient, decoded};
use crate::signature::{self, SignatureError};

/// Where callbacks arrive.
pub(super) const PATH: &str = "/telephone/";
/// Where text messages arrive that people write: the provider is told so in its own console.
pub const REPLY: &str = "/telephone/reply";
/// What is written to acknowledge.
const YES: [&str; 2] = ["ack", "1"];
/// How many text messages are remembered: one that comes again acknowledges nothing that was sent since.
const TEXTS_MAX: usize = 1_000;
/// How long the provider has to say when a text message was written: it waits 15 s for us meanwhile.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);
/// What is written back if it does not say so.
const UNDATED: &str = "Nothing was acknowledged: it is not known when this was written. Use the console, or the link in the mail.";
/// The largest body, in bytes.
const BODY_MAX_BYTES: usize = 16 * 1024;

/// The receiving end of callbacks.
#[derive(Clone)]
pub struct Callbacks {
    pub(super) url: String,
    pub(super) options: TelephoneOptions,
    pub(super) http: HttpClient,
    pub(super) progress: Arc<Progress>,
}

/// What a callback said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Called {
    /// A state, which is noted.
    State,
    /// A human pressed 1: they acknowledge the page.
    Acknowledged {
        /// Who.
        person: PersonId,
        /// What.
        page: PageId,
    },
    /// Another key.
    OtherKey,
    /// A text message came.
    Text {
        /// From which number.
        from: String,
        /// What it says.
        text: String,
        /// The provider's name for it.
        sid: String,
    },
}

/// Takes acknowledgements; gives what is told to the human.
pub trait Acknowledge: Send + Sync + 'static {
    /// Acknowledges a page in the name of a person. Gives the words that they then hear, such as who was first; nothing
    /// if it cannot be acknowledged.
    fn acknowledge(&self, person: PersonId, page: PageId) -> impl Future<Output = Option<String>> + Send;

    /// Acknowledges the newest page that was sent to a telephone as a text message before the answer was written, in the
    /// name of whose telephone it is. Gives the words that are written back; nothing if no page was sent there.
    fn acknowledge_newest(
        &self,
        number: String,
        written_at: Timestamp,
    ) -> impl Future<Output = Option<String>> + Send;

    /// Hears of a callback that was not believed, or that came before.
    fn refused(&self, _error: SignatureError) {}
}

impl Callbacks {
    /// Takes a callback: `path` with its query as it was asked for, the header `X-Twilio-Signature`, and the form.
    ///
    /// # Errors
    /// If it is not signed by the provider, or names nothing that can be acknowledged.
    pub fn take(&self, path: &str, signature: &str, form: &[u8]) -> Result<Called, SignatureError> {
        let form = std::str::from_utf8(form).map_err(|_| SignatureError::Malformed)?;
        let fields = decoded(form);
        let url = format!("{}{path}", self.url);
        signature::twilio(&self.options.auth_token, &url, &fields, signature)?;

        if path == REPLY {
            let text = |name| field(&fields, name).map(str::to_owned);
            return match (text("From"), text("Body"), text("MessageSid")) {
                (Some(from), Some(text), Some(sid)) if is_sid(&sid) => Ok(Called::Text { from, text, sid }),
                _ => Err(SignatureError::Malformed),
            };
        }
        let about = decoded(path.split_once('?').map_or("", |(_, query)| query));
        let key = field(&about, "key").ok_or(SignatureError::Malformed)?;
        if let Some(digits) = field(&fields, "Digits") {
            if digits != "1" {
                return Ok(Called::OtherKey);
            }
            let page = field(&about, "page").and_then(|page| PageId::new(page).ok());
            let person = field(&about, "person").and_then(|person| PersonId::new(person).ok());
            let (Some(page), Some(person)) = (page, person) else {
                return Err(SignatureError::Malformed);
            };
            return Ok(Called::Acknowledged { person, page });
        }
        let status = field(&fields, "MessageStatus").or_else(|| field(&fields, "CallStatus"));
        let sid = field(&fields, "MessageSid").or_else(|| field(&fields, "CallSid"));
        if let (Some(status), Some(sid)) = (status, sid) {
            let code = field(&fields, "ErrorCode").and_then(|code| code.parse().ok());
            self.progress.state(key, sid, &word(status), code);
        }
        Ok(Called::State)
    }

    /// Takes callbacks until `shutdown` is ready.
    ///
    /// # Errors
    /// If the listener breaks.
    pub async fn serve<A: Acknowledge>(
        self,
        listener: TcpListener,
        acknowledge: A,
        clock: Arc<dyn Clock>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        let web = axum::serve(listener, self.router(acknowledge, clock)).into_future();
        tokio::select! {
            ended = web => ended,
            () = shutdown => Ok(()),
        }
    }

    /// The routes to which the provider posts.
    fn router<A: Acknowledge>(self, acknowledge: A, clock: Arc<dyn Clock>) -> Router {
        let shared = Shared {
            callbacks: self,
            acknowledge,
            clock,
            answered: Answered::default(),
        };
        Router::new()
            .route(&format!("{PATH}{{what}}"), post(receive::<A>))
            .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
            .with_state(Arc::new(shared))
    }

    /// When the provider took a text message, by its own word: a signature has no time in it, and is good for ever.
    async fn written_at(&self, sid: &str, now: Timestamp) -> Option<Timestamp> {
        let url = self.options.resource(Resource::Messages, &format!("/{sid}.json"));
        let call = Call::get(&url).by(self.options.login());
        let asked = timeout(WRITTEN_WITHIN, self.http.request(sid, now, call)).await;
        let answer = asked.ok()?.ok()?;
        let document = answer.json();
        let written = document["date_created"]
            .as_str()
            .filter(|_| answer.is_success())?;
        Some(rfc2822::parse(written).ok()?.timestamp())
    }
}

/// What requests share.
struct Shared<A> {
    callbacks: Callbacks,
    acknowledge: A,
    clock: Arc<dyn Clock>,
    answered: Answered,
}

impl<A: Acknowledge> Shared<A> {
    /// What is written back to a text message.
    ///
    /// # Errors
    /// If it was written too long ago: somebody repeats it.
    async fn reply(&self, from: String, text: &str, sid: String) -> Result<String, SignatureError> {
        let word = text.trim().trim_end_matches(['.', '!']).to_ascii_lowercase();
        if !YES.contains(&word.as_str()) {
            return Ok("Write ACK or 1 to acknowledge your newest page. Nothing was done.".to_owned());
        }
        if let Some(words) = self.repeated(&*self.answered.0.lock().await, &sid) {
            return Ok(words);
        }
        // Nobody else waits while the provider is asked.
        let now = self.clock.now();
        let Some(written_at) = self.callbacks.written_at(&sid, now).await else {
            tracing::warn!("the telephone provider does not say when a text message was written");
            return Ok(UNDATED.to_owned());
        };
        signature::fresh(written_at.as_second(), now)?;
        let mut answered = self.answered.0.lock().await;
        if let Some(words) = self.repeated(&answered, &sid) {
            return Ok(words);
        }
        let said = self.acknowledge.acknowledge_newest(from, written_at).await;
        let words =
            said.unwrap_or_else(|| "No page was sent to this number that could be acknowledged.".to_owned());
        if answered.len() >= TEXTS_MAX {
            answered.pop_front();
        }
        answered.push_back((sid, words.clone()));
        Ok(words)
    }

    /// What was written back to a text message that came before; it is counted.
    fn repeated(&self, answered: &VecDeque<(String, String)>, sid: &str) -> Option<String> {
        let (_, words) = answered.iter().find(|(of, _)| of == sid)?;
        self.acknowledge.refused(SignatureError::Repeated);
        Some(words.clone())
    }

    fn refuse(&self, error: SignatureError) -> Response {
        tracing::warn!(%error, "a callback of the telephone provider was refused");
        self.acknowledge.refused(error);
        (StatusCode::FORBIDDEN, error.to_string()).into_response()
    }
}

async fn receive<A: Acknowledge>(
    State(shared): State<Arc<Shared<A>>>,
    uri: Uri,
    headers: HeaderMap,
    form: Bytes,
) -> Response {
    let Shared {
        callbacks,
        acknowledge,
        ..
    } = &*shared;
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let signature = headers
        .get("X-Twilio-Signature")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let words = match callbacks.take(path, signature, &form) {
        Err(error) => return shared.refuse(error),
        Ok(Called::State) => return StatusCode::NO_CONTENT.into_response(),
        Ok(Called::Text { from, text, sid }) => {
            let words = match shared.reply(from, &text, sid).await {
                Ok(words) => words,
                Err(error) => return shared.refuse(error),
            };
            let twiml = format!("<Response><Message>{}</Message></Response>", escape(&words));
            return ([(header::CONTENT_TYPE, "text/xml")], twiml).into_response();
        }
        Ok(Called::OtherKey) => "That was not 1. The page is not acknowledged.".to_owned(),
        Ok(Called::Acknowledged { person, page }) => {
            // Whatever becomes of the page: a human has heard the call.
            let about = decoded(uri.query().unwrap_or_default());
            callbacks
                .progress
                .acknowledged(field(&about, "key").unwrap_or_default());
            let said = acknowledge.acknowledge(person, page).await;
            said.map_or(
                "It could not be acknowledged. Use the console.".to_owned(),
                |said| escape(&said),
            )
        }
    };
    let twiml = format!("<Response><Say>{words}</Say></Response>");
    ([(header::CONTENT_TYPE, "text/xml")], twiml).into_response()
}

/// The newest text messages with what was written back. One is answered after the other.
#[derive(Default)]
struct Answered(tokio::sync::Mutex<VecDeque<(String, String)>>);

fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = fields.iter().find(|(of, _)| of == name);
    found.map(|(_, value)| value.as_str())
}
