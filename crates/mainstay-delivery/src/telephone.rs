//! Text messages and calls, in the format of Twilio's API of 2010-04-01.
//!
//! That a provider took a message proves nothing: only `delivered` does, or a human who presses a key. So an attempt
//! goes on until the state is final or its time is over, and the next one asks what became of the message, by its SID or
//! in the provider's log, before anything is sent again. Reasons and receipts never hold a number: the provider's own
//! words do, so that of an error only the code is told.

mod callback;
mod progress;

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use mainstay_catalog::platform::is_e164;
use mainstay_kernel::Digest;
use mainstay_kernel::effect::{Channel, Recipient};
use serde_json::Value;
use tokio::time::{Instant, sleep_until, timeout_at};

pub use callback::{Acknowledge, Callbacks, Called, REPLY};

use crate::channel::{Outgoing, Sent};
use crate::http::{Answer, Call, HttpClient, Login, encoded};
use crate::wording;
use progress::{Known, Progress, Verdict, judge};

/// Twilio's own API.
const TWILIO: &str = "https://api.twilio.com";
/// The longest text, in bytes: three to five parts on the way.
const TEXT_MAX_BYTES: usize = 320;
/// The longest text that is read out, in bytes.
const SPEECH_MAX_BYTES: usize = 500;
/// How far back the provider's log is searched.
const LOG_BACK: SignedDuration = SignedDuration::from_hours(24);
/// How much of the log is read, in bytes.
const LOG_MAX_BYTES: usize = 256 * 1024;
/// How many attempts ask for a state that never becomes final.
const ASKED_MAX: u32 = 10;
/// How many calls are made to somebody who does not answer.
const CALLS_MAX: u32 = 3;
/// How long after a call that nobody answered the next one is made.
const CALL_AGAIN_MS: u64 = 30_000;
/// How often a message is sent to a telephone that does not take it.
const TIMES_MAX: u32 = 5;

/// A provider of telephony.
#[derive(Clone)]
pub struct TelephoneOptions {
    /// The account.
    pub account_sid: String,
    /// Its token, which also signs callbacks.
    pub auth_token: String,
    /// The number that calls and writes, E.164.
    pub from: String,
    /// Where the API is, without a slash at the end.
    pub url: String,
    /// Where the provider reaches [`Callbacks`], without a slash at the end.
    pub callback_url: Option<String>,
    /// How long one attempt waits for a final state.
    pub wait: Duration,
    /// How often it asks for the state meanwhile.
    pub poll: Duration,
}

impl TelephoneOptions {
    /// An account at Twilio itself.
    #[must_use]
    pub fn new(
        account_sid: impl Into<String>,
        auth_token: impl Into<String>,
        from: impl Into<String>,
    ) -> Self {
        Self {
            account_sid: account_sid.into(),
            auth_token: auth_token.into(),
            from: from.into(),
            url: TWILIO.to_owned(),
            callback_url: None,
            // Two attempts and the wait between them stay under the 30 s after which the next contact is tried.
            wait: Duration::from_secs(10),
            poll: Duration::from_secs(2),
        }
    }

    fn resource(&self, resource: Resource, rest: &str) -> String {
        let Self { url, account_sid, .. } = self;
        format!(
            "{url}/2010-04-01/Accounts/{account_sid}/{}{rest}",
            resource.name()
        )
    }

    fn login(&self) -> Login<'_> {
        Login::Basic(&self.account_sid, &self.auth_token)
    }
}

impl std::fmt::Debug for TelephoneOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TelephoneOptions")
            .field("account_sid", &self.account_sid)
            .field("from", &self.from)
            .field("url", &self.url)
            .field("callback_url", &self.callback_url)
            .finish_non_exhaustive()
    }
}

/// The telephone channel.
pub(crate) struct Telephone {
    options: TelephoneOptions,
    progress: Arc<Progress>,
}

/// Text messages and calls are two resources of one API.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Resource {
    Messages,
    Calls,
}

impl Resource {
    fn name(self) -> &'static str {
        match self {
            Self::Messages => "Messages",
            Self::Calls => "Calls",
        }
    }
}

impl Telephone {
    pub(crate) fn new(options: TelephoneOptions) -> Self {
        Self {
            options,
            progress: Arc::default(),
        }
    }

    pub(crate) fn callbacks(&self, http: &HttpClient) -> Option<Callbacks> {
        let url = self.options.callback_url.clone()?;
        Some(Callbacks {
            url,
            options: self.options.clone(),
            http: http.clone(),
            progress: Arc::clone(&self.progress),
        })
    }

    /// Makes one attempt: sends, unless an earlier attempt did, and waits for a final state.
    pub(crate) async fn send(&self, http: &HttpClient, outgoing: &Outgoing<'_>, to: &str) -> Sent {
        if !is_e164(to) {
            return Sent::failed("the telephone number is not in the form of E.164, such as +27115550100");
        }
        let deadline = Instant::now() + self.options.wait;
        let resource = match outgoing.deliver.channel {
            Channel::Voice => Resource::Calls,
            _ => Resource::Messages,
        };
        if self.progress.known(outgoing.key).is_none() {
            // Nobody here remembers an attempt that may have arrived: the provider's log does.
            let repeats = outgoing.possible_duplicate && resource == Resource::Messages;
            let logged = match repeats {
                true => self.in_log(http, outgoing, to).await,
                false => Ok(None),
            };
            let sid = match logged {
                Ok(Some(sid)) => Ok(sid),
                Ok(None) => self.create(http, outgoing, resource, to).await,
                Err(sent) => Err(sent),
            };
            match sid {
                Ok(sid) => self.progress.begin(outgoing.key, &sid),
                Err(sent) => return sent,
            }
        }
        self.wait(http, outgoing, resource, deadline).await
    }

    /// Hands a message or a call over and gives its SID.
    async fn create(
        &self,
        http: &HttpClient,
        outgoing: &Outgoing<'_>,
        resource: Resource,
        to: &str,
    ) -> Result<String, Sent> {
        let text = match resource {
            Resource::Messages => text(outgoing),
            Resource::Calls => self.twiml(outgoing),
        };
        let status = self.callback(outgoing, "status");
        let mut fields = vec![("To", to), ("From", self.options.from.as_str())];
        match resource {
            Resource::Messages => fields.push(("Body", &text)),
            Resource::Calls => fields.push(("Twiml", &text)),
        }
        if let Some(status) = &status {
            fields.push(("StatusCallback", status));
        }
        let url = self.options.resource(resource, ".json");
        let answer = http
            .call(outgoing, Call::form(&url, &fields).by(self.options.login()))
            .await?;
        if !answer.is_success() {
            return Err(refusal(&answer, &answer.json()));
        }
        match answer.json()["sid"].as_str() {
            Some(sid) if is_sid(sid) => Ok(sid.to_owned()),
            _ => Err(Sent::unknown(format!("HTTP {} without a SID", answer.status), 0)),
        }
    }

    /// Waits until the state is final, by callback or by asking, but not for longer than an attempt may.
    async fn wait(
        &self,
        http: &HttpClient,
        outgoing: &Outgoing<'_>,
        resource: Resource,
        deadline: Instant,
    ) -> Sent {
        let mut next_ask = Instant::now();
        // Until the provider says something, it says nothing.
        let mut trouble = Some(0);
        loop {
            let news = self.progress.news();
            tokio::pin!(news);
            // From here on a callback is not missed.
            news.as_mut().enable();
            let Some(known) = self.progress.known(outgoing.key) else {
                return Sent::unknown("too many messages are on their way", 0);
            };
            if let Some(sent) = self.concluded(outgoing, resource, &known) {
                return sent;
            }
            if next_ask <= Instant::now() {
                next_ask += self.options.poll;
                let asked = self.ask(http, outgoing, resource, &known.sid);
                trouble = match timeout_at(deadline, asked).await {
                    Ok(Ok((status, code))) => {
                        self.progress.state(outgoing.key, &known.sid, &status, code);
                        None
                    }
                    Ok(Err(sent)) => Some(retry_after_ms(&sent)),
                    Err(_late) => trouble,
                };
                // What was said and what was called meanwhile count alike.
                continue;
            }
            if next_ask > deadline {
                break;
            }
            // News of other messages are no reason to ask.
            tokio::select! {
                () = news => {}
                () = sleep_until(next_ask) => {}
            }
        }
        let Some(known) = self.progress.asked(outgoing.key) else {
            return Sent::unknown("too many messages are on their way", 0);
        };
        if let Some(after_ms) = trouble {
            let reason = format!("the provider does not say what became of {}", known.sid);
            return Sent::unknown(reason, after_ms);
        }
        if known.asked >= ASKED_MAX {
            self.progress.forget(outgoing.key);
            let reason = format!("{} is {} and was never delivered", known.sid, known.status);
            return Sent::failed(reason);
        }
        Sent::unknown(format!("{} is {}", known.sid, known.status), 0)
    }

    /// The result, once the state is final.
    fn concluded(&self, outgoing: &Outgoing<'_>, resource: Resource, known: &Known) -> Option<Sent> {
        let code = known
            .code
            .map(|code| format!(", code {code}"))
            .unwrap_or_default();
        let told = format!("{} {}{code}", known.sid, known.status);
        let (sent, again) = match judge(resource == Resource::Calls, known) {
            Verdict::Open => return None,
            Verdict::Delivered => (Sent::done(told), false),
            Verdict::Acknowledged => (Sent::done(format!("{told}, acknowledged by key")), false),
            Verdict::Unheard if known.times >= CALLS_MAX => {
                let reason = format!("{told}; nobody pressed a key in {CALLS_MAX} calls");
                (Sent::failed(reason), false)
            }
            Verdict::Unheard => (
                Sent::retry(format!("{told}; nobody pressed a key"), CALL_AGAIN_MS),
                true,
            ),
            Verdict::Undelivered if known.times >= TIMES_MAX => (Sent::failed(told), false),
            Verdict::Undelivered => (Sent::retry(told, 0), true),
            Verdict::Refused => (Sent::failed(told), false),
        };
        match again {
            true => self.progress.again(outgoing.key),
            false => self.progress.forget(outgoing.key),
        }
        Some(sent)
    }

    /// Asks for the state of a message.
    async fn ask(
        &self,
        http: &HttpClient,
        outgoing: &Outgoing<'_>,
        resource: Resource,
        sid: &str,
    ) -> Result<(String, Option<u64>), Sent> {
        let url = self.options.resource(resource, &format!("/{sid}.json"));
        let answer = http
            .call(outgoing, Call::get(&url).by(self.options.login()))
            .await?;
        let document = answer.json();
        match document["status"].as_str() {
            Some(status) if answer.is_success() => {
                Ok((progress::word(status), document["error_code"].as_u64()))
            }
            _ => Err(refusal(&answer, &document)),
        }
    }

    /// The SID of the newest message in the provider's log that bears the reference of this one and is not known to be
    /// over.
    async fn in_log(
        &self,
        http: &HttpClient,
        outgoing: &Outgoing<'_>,
        to: &str,
    ) -> Result<Option<String>, Sent> {
        let since = outgoing.at.saturating_sub(LOG_BACK).unwrap_or(outgoing.at);
        let since = since.strftime("%Y-%m-%d").to_string();
        let query = encoded(&[("To", to), ("DateSent>", &since), ("PageSize", "100")]);
        let url = self
            .options
            .resource(Resource::Messages, &format!(".json?{query}"));
        let call = Call {
            answer_max_bytes: LOG_MAX_BYTES,
            ..Call::get(&url).by(self.options.login())
        };
        let answer = http.call(outgoing, call).await;
        let document = match &answer {
            Ok(answer) if answer.is_success() => answer.json(),
            _ => Value::Null,
        };
        let Some(messages) = document["messages"].as_array() else {
            // Sent again without asking, it could be the second.
            let wait = answer.map_or_else(|sent| retry_after_ms(&sent), |answer| answer.retry_after_ms);
            return Err(Sent::unknown("the provider's log cannot be read", wait));
        };
        let reference = reference(outgoing);
        let concluded = self.progress.concluded(outgoing.key);
        let mine = messages.iter().filter(|message| {
            message["body"]
                .as_str()
                .is_some_and(|body| body.contains(&reference))
        });
        let mut sids = mine.filter_map(|message| message["sid"].as_str());
        let sid = sids.find(|sid| is_sid(sid) && !concluded.iter().any(|over| over == sid));
        Ok(sid.map(str::to_owned))
    }

    /// The call as TwiML: read out twice, with a key to press where somebody hears of it.
    fn twiml(&self, outgoing: &Outgoing<'_>) -> String {
        let what = escape(&wording::subject_within(outgoing, SPEECH_MAX_BYTES));
        match self.callback(outgoing, "key") {
            Some(action) if outgoing.deliver.message.page.is_some() => {
                let action = escape(&action);
                let say =
                    format!("<Say>Mainstay. {what}. Press 1 to acknowledge.</Say><Pause length=\"2\"/>");
                format!(
                    "<Response><Gather numDigits=\"1\" timeout=\"10\" method=\"POST\" action=\"{action}\">{say}{say}\
                     </Gather><Say>Nothing was pressed.</Say></Response>"
                )
            }
            _ => format!("<Response><Say loop=\"2\">Mainstay. {what}.</Say></Response>"),
        }
    }

    /// The address of a callback. What it is about stands in it, and the provider signs the whole of it.
    fn callback(&self, outgoing: &Outgoing<'_>, what: &str) -> Option<String> {
        let base = self.options.callback_url.as_deref()?;
        let mut about = vec![("key", outgoing.key)];
        if let (Some(page), Recipient::Person(person)) =
            (&outgoing.deliver.message.page, &outgoing.deliver.to)
        {
            about.extend([("page", page.as_str()), ("person", person.as_str())]);
        }
        Some(format!("{base}{}{what}?{}", callback::PATH, encoded(&about)))
    }
}

/// What is written: what is wrong, where to look, and a reference by which the message is found again.
fn text(outgoing: &Outgoing<'_>) -> String {
    let bridge = outgoing.bridge.map(|bridge| {
        let phone = bridge.phone.as_ref();
        let phone = phone.map(|phone| format!(" or {phone}")).unwrap_or_default();
        format!("\nbridge {}{phone}", bridge.url)
    });
    let tail = format!(
        "\n{}{}\n{}",
        wording::link(outgoing),
        bridge.unwrap_or_default(),
        reference(outgoing)
    );
    let room = TEXT_MAX_BYTES.saturating_sub(tail.len()).max(60);
    format!("{}{tail}", wording::subject_within(outgoing, room))
}

fn reference(outgoing: &Outgoing<'_>) -> String {
    format!("ref {:.12}", Digest::of(outgoing.key.as_bytes()).to_string())
}

/// The result when the provider does not take it; of its own words only the code is told.
fn refusal(answer: &Answer, document: &Value) -> Sent {
    let code = document["code"].as_u64();
    let words = code.map(|code| format!(", code {code}")).unwrap_or_default();
    let stopped = match code {
        Some(21610) => ": the receiver has said STOP to this number",
        _ => "",
    };
    answer.refused(format!("HTTP {}{words}{stopped}", answer.status))
}

fn retry_after_ms(sent: &Sent) -> u64 {
    match sent.outcome {
        mainstay_kernel::effect::Outcome::Retry { after_ms, .. } => after_ms,
        _ => 0,
    }
}

/// SIDs go into addresses: two letters and 32 hexadecimal digits, or what another provider makes of them.
fn is_sid(sid: &str) -> bool {
    (1..=64).contains(&sid.len()) && sid.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_e164_or_nothing() {
        for number in ["+27115550100", "+14158675309", "+4420123"] {
            assert!(!number.is_empty() && is_e164(number), "{number}");
        }
        for number in [
            "0115550100",
            "+0115550100",
            "+27 11 555 0100",
            "+1234567890123456",
            "",
            "+",
            "+27115550100\n",
        ] {
            assert!(!is_e164(number), "{number:?}");
        }
    }
}
