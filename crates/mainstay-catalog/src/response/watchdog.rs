//! The dead-man's switch: what Mainstay tells a watchdog, and what the watchdog does when it is told nothing.
//!
//! In Mainstay's catalog:
//!
//! ```yaml
//! apiVersion: mainstay/v1
//! kind: Watchdog
//! metadata: { name: watchdog }
//! spec:
//!   receiver: watchdog       # of Routing; it has signed webhooks and nothing else
//!   every: 1m
//! ```
//!
//! On the watchdog's host, in a file of its own:
//!
//! ```yaml
//! apiVersion: mainstay/v1
//! kind: WatchdogHost
//! metadata: { name: second-site }
//! spec:
//!   url: https://mainstay.bank.example
//!   secret: ${WATCHDOG_SECRET}     # the webhook's secret
//!   page_after: 2m30s
//!   repeat_every: 15m
//!   channels: {}                   # as the spec of kind Channels
//!   page:
//!     email: [oncall@bank.example]
//! ```

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::effect::{Channel, Recipient};
use mainstay_kernel::labels::ALERT_NAME;
use mainstay_kernel::{ChannelName, Labels};
use serde::{Deserialize, Serialize};

use super::{Channels, Delay, Receiver, Routing, Setting};
use crate::diagnostic::Diagnostics;
use crate::envelope::Sourced;
use crate::lint;
use crate::platform::is_e164;
use crate::spanned::Spanned;

/// The name of the alert that is told to the watchdog again and again.
pub const BEAT_ALERT: &str = "MainstayWatchdog";
/// The label that makes each of them another alert.
pub const BEAT_SEQUENCE: &str = "sequence";
/// How often Mainstay tells the watchdog that it is well, where nothing is said.
const EVERY: SignedDuration = SignedDuration::from_mins(1);
/// Rules and objectives are judged so often; nothing can be told more often.
const EVERY_MIN: SignedDuration = SignedDuration::from_secs(5);
const EVERY_MAX: SignedDuration = SignedDuration::from_mins(10);
/// Two beats may be lost or late, and a human is paged within three minutes all the same.
const PAGE_AFTER: SignedDuration = SignedDuration::from_secs(150);
const REPEAT_EVERY: SignedDuration = SignedDuration::from_mins(15);

/// The `spec` of the document of kind `Watchdog`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watchdog {
    /// The receiver that the watchdog listens as.
    pub receiver: Spanned<String>,
    /// How often it is told.
    #[serde(default = "every")]
    pub every: Spanned<Delay>,
}

fn every() -> Spanned<Delay> {
    Spanned::nowhere(Delay(EVERY))
}

fn page_after() -> Spanned<Delay> {
    Spanned::nowhere(Delay(PAGE_AFTER))
}

fn repeat_every() -> Spanned<Delay> {
    Spanned::nowhere(Delay(REPEAT_EVERY))
}

/// Whether these are the labels of what the watchdog is told: no trouble of the platform.
#[must_use]
pub fn is_beat(labels: &Labels) -> bool {
    labels.get(ALERT_NAME) == Some(BEAT_ALERT)
}

/// What one beat says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// Its number: it grows.
    pub sequence: i64,
    /// How often beats are told, in milliseconds; the next number is so much greater.
    pub every_ms: i64,
    /// When it was raised.
    pub at: Timestamp,
}

/// The words with which a beat begins, wherever in a message it stands.
const BEAT: &str = "mainstay-beat v1 ";

impl Beat {
    /// The beat that is due at an instant.
    #[must_use]
    pub fn due(watchdog: &Watchdog, now: Timestamp) -> Self {
        let every_ms = i64::try_from(watchdog.every.value.0.as_millis()).unwrap_or(i64::MAX);
        let every_ms = every_ms.max(1);
        Self {
            sequence: now.as_millisecond().div_euclid(every_ms) * every_ms,
            every_ms,
            at: now,
        }
    }

    /// The newest beat in a text; the form of the message around it does not matter.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        let places = text.match_indices(BEAT).map(|(at, _)| &text[at + BEAT.len()..]);
        places.filter_map(Self::read).max_by_key(|beat| beat.sequence)
    }

    fn read(text: &str) -> Option<Self> {
        let mut words = text.splitn(4, ' ');
        let mut number = |key: &str| words.next()?.strip_prefix(key)?.parse().ok();
        let (sequence, every_ms) = (number("sequence=")?, number("every_ms=")?);
        let at = words.next()?.strip_prefix("at=")?;
        let end = at.find('Z')?;
        Some(Self {
            sequence,
            every_ms: Some(every_ms).filter(|every_ms| *every_ms > 0)?,
            at: at[..=end].parse().ok()?,
        })
    }
}

impl std::fmt::Display for Beat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            sequence,
            every_ms,
            at,
        } = self;
        write!(f, "{BEAT}sequence={sequence} every_ms={every_ms} at={at} ")
    }
}

/// The labels of one beat.
#[must_use]
pub fn beat_labels(sequence: i64) -> Labels {
    Labels::new()
        .with(ALERT_NAME, BEAT_ALERT)
        .with(BEAT_SEQUENCE, sequence.to_string())
}

/// What is wrong with the routing of beats is an error: nobody may be paged each minute, and the watchdog must hear.
pub(super) fn check(
    watchdog: &Sourced<'_, Watchdog>,
    routing: &Routing,
    channels: &Channels,
    diagnostics: &mut Diagnostics,
) {
    let (document, spec) = (watchdog.document, &watchdog.value);
    let name = &spec.receiver;
    let mut bad = |at, message: String, help: &str| {
        diagnostics.push(document.diagnostic(lint::BAD_VALUE, at, message).help(help));
    };
    if !(EVERY_MIN..=EVERY_MAX).contains(&spec.every.value.0) {
        let message = format!("the watchdog cannot be told every {}", spec.every.value);
        bad(spec.every.at, message, "from 5s to 10m");
    }
    let Some(receiver) = routing.receivers.get(&name.value) else {
        let known = routing.receivers.keys().map(String::as_str);
        diagnostics.push(document.unknown_reference("receiver", name, known));
        return;
    };
    let signed = |webhook: &Spanned<String>| channels.webhook_secrets.contains_key(&webhook.value);
    if receiver.webhooks.is_empty() || !receiver.webhooks.iter().all(signed) {
        let message = format!(
            "the receiver {:?} has no signed webhook, or others besides",
            name.value
        );
        let help = "give it `webhooks` of the document of kind Channels that are among its `webhook_secrets`";
        bad(name.at, message, help);
    }
    if receiver.page.is_some()
        || !receiver.chat.is_empty()
        || !receiver.email.is_empty()
        || !receiver.integrations.is_empty()
    {
        let message = format!(
            "the receiver {:?} tells humans, who would hear every beat",
            name.value
        );
        bad(name.at, message, "give it `webhooks` alone");
    }
    let routes = routing.route.matching(&beat_labels(0));
    if routes.iter().any(|(_, route)| route.receiver != name.value) || routes.len() != 1 {
        let others = routes.iter().map(|(_, route)| route.receiver.as_str());
        let message = format!(
            "beats are routed to {}, not to {:?} alone",
            others.collect::<Vec<_>>().join(", "),
            name.value
        );
        let help = format!(
            "begin the routes of Routing with `- matchers: ['{ALERT_NAME}=\"{BEAT_ALERT}\"']` and `receiver: {}`",
            name.value
        );
        bad(name.at, message, &help);
    }
    let timed = |route: &&super::Route| {
        !route.mute_time_intervals.is_empty() || !route.active_time_intervals.is_empty()
    };
    if routes.iter().map(|(_, route)| *route).any(|route| timed(&route)) {
        let message = "the route of the beats is silent at times: the watchdog would page then".to_owned();
        bad(name.at, message, "leave out its time intervals");
    }
}

/// The `spec` of the document of kind `WatchdogHost`: how the second process pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchdogHost {
    /// The secret of the webhook: always a `${VARIABLE}`.
    pub secret: Spanned<Setting>,
    /// How long after the last beat a human is paged.
    #[serde(default = "page_after")]
    pub page_after: Spanned<Delay>,
    /// How long after a page it is repeated.
    #[serde(default = "repeat_every")]
    pub repeat_every: Spanned<Delay>,
    /// How pages leave: the watchdog's own way, not Mainstay's.
    pub channels: Channels,
    /// Who is paged, by everything that is said here at once.
    pub page: WatchdogPage,
    /// The address of the Mainstay that is watched: pages lead there.
    pub url: String,
}

/// Who is paged by a watchdog.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WatchdogPage {
    /// Mail addresses.
    pub email: Vec<String>,
    /// Chat channels.
    pub chat: Vec<Spanned<ChannelName>>,
    /// Webhooks of its `channels`, by name.
    pub webhooks: Vec<Spanned<String>>,
    /// Telephone numbers that get a text message, E.164.
    pub sms: Vec<Spanned<String>>,
    /// Telephone numbers that are called, E.164.
    pub voice: Vec<Spanned<String>>,
}

impl WatchdogPage {
    /// It as a receiver, without its telephones.
    #[must_use]
    pub fn receiver(&self, name: &str) -> Receiver {
        Receiver {
            name: Spanned::nowhere(name.to_owned()),
            page: None,
            chat: self.chat.clone(),
            webhooks: self.webhooks.clone(),
            email: self.email.clone(),
            send_resolved: true,
            integrations: Vec::new(),
        }
    }

    /// The telephones, each with what is to be done with it.
    pub fn telephones(&self) -> impl Iterator<Item = (Channel, &str)> {
        let sms = self.sms.iter().map(|number| (Channel::Sms, number.as_str()));
        let voice = self.voice.iter().map(|number| (Channel::Voice, number.as_str()));
        sms.chain(voice)
    }

    /// How many ways there are.
    fn ways(&self) -> Vec<(Channel, Recipient)> {
        self.receiver("").recipients()
    }
}

/// What cannot work is an error.
pub(super) fn check_host(host: &Sourced<'_, WatchdogHost>, diagnostics: &mut Diagnostics) {
    let (document, spec) = (host.document, &host.value);
    let mut bad = |at, message: String, help: &str| {
        diagnostics.push(document.diagnostic(lint::BAD_VALUE, at, message).help(help));
    };
    let minute = SignedDuration::from_secs(1)..=SignedDuration::from_hours(24);
    for (what, delay) in [("paged", &spec.page_after), ("reminded", &spec.repeat_every)] {
        if !minute.contains(&delay.value.0) {
            let message = format!("nobody can be {what} after {}", delay.value);
            bad(delay.at, message, "from 1s to 24h");
        }
    }
    if spec.page.ways().is_empty() && spec.page.telephones().next().is_none() {
        let message = "it pages nobody".to_owned();
        bad(
            spec.secret.at,
            message,
            "give `page` an email, a telephone, a chat or a webhook",
        );
    }
    for number in spec.page.sms.iter().chain(&spec.page.voice) {
        if !is_e164(&number.value) {
            let message = format!("{:?} is no telephone number", number.value);
            bad(number.at, message, "write it as E.164 does, such as +27115550100");
        }
    }
    for webhook in &spec.page.webhooks {
        if !spec.channels.receivers().any(|known| known == webhook.value) {
            let known = spec.channels.receivers();
            diagnostics.push(document.unknown_reference("webhook", webhook, known));
        }
    }
    let channels = &spec.channels;
    let missing = [
        ("smtp", !spec.page.email.is_empty() && channels.smtp.is_none()),
        (
            "chat",
            !spec.page.chat.is_empty() && channels.chat.is_none() && channels.slack.is_none(),
        ),
        (
            "telephone",
            spec.page.telephones().next().is_some() && channels.telephone.is_none(),
        ),
    ];
    for (key, _) in missing.into_iter().filter(|(_, missing)| *missing) {
        let message = format!("nothing says how to page: `{key}` is missing in its `channels`");
        diagnostics.push(
            document
                .diagnostic(lint::UNKNOWN_REFERENCE, spec.secret.at, message)
                .help(format!("add `{key}` as in the document of kind Channels")),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_is_found_in_any_form_of_message_and_nothing_else_is() {
        let watchdog = Watchdog {
            receiver: Spanned::nowhere("watchdog".to_owned()),
            every: every(),
        };
        let now: Timestamp = "2026-11-27T10:00:07.25Z".parse().expect("an instant");
        let beat = Beat::due(&watchdog, now);
        assert_eq!(beat.sequence, now.as_millisecond() / 60_000 * 60_000);
        let later = Beat::due(
            &watchdog,
            now.saturating_add(SignedDuration::from_mins(1)).expect("later"),
        );
        assert_eq!(later.sequence, beat.sequence + beat.every_ms);
        for text in [
            format!("MainstayWatchdog: {beat}. Mainstay is well"),
            format!(r#"{{"body":"x: {beat}","annotations":{{"summary":"{later}"}}}}"#),
            format!("{later}{beat}"),
        ] {
            let found = Beat::find(&text).expect("a beat");
            assert!(found == beat || found == later, "{text}");
            assert_eq!(found == later, text.contains(&later.to_string()), "the newest");
        }
        for text in [
            "",
            "mainstay-beat v1 ",
            "mainstay-beat v1 sequence=1 every_ms=0 at=2026-11-27T10:00:00Z",
            "mainstay-beat v1 sequence=x every_ms=1 at=2026-11-27T10:00:00Z",
            "mainstay-beat v1 sequence=1 every_ms=1 at=2026",
            "mainstay-beat v2 sequence=1 every_ms=1 at=2026-11-27T10:00:00Z",
        ] {
            assert_eq!(Beat::find(text), None, "{text}");
        }
    }
}
