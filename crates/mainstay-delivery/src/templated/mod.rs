//! Receivers of an Alertmanager's configuration: what they are told is worded by their own templates.
//!
//! A template that fails loses no message: it is told in Mainstay's words then, with a line that says which template
//! failed, and where.

mod address;
mod mail;
mod pagerduty;
mod slack;
mod teams;
mod words;

use mainstay_kernel::effect::Deliver;

use crate::channel::{Outgoing, Sent};
use crate::http::HttpClient;
use crate::smtp::Smtp;
use crate::{alertmanager, pagerduty as own_pagerduty, slack as own_slack, teams as own_teams, wording};

pub use address::{Login, Reach, Templated};
pub use words::Texts;
use words::{Unworded, Words};

/// How many alerts a receiver of webhooks is told of at most; 0 is no limit.
const MAX_ALERTS: &str = "max_alerts";

/// Makes one attempt to tell a receiver.
pub(crate) async fn send(
    http: &HttpClient,
    smtp: Option<&Smtp>,
    outgoing: &Outgoing<'_>,
    to: &Templated,
) -> Sent {
    let words = Words::of(outgoing, &to.texts);
    match &to.reach {
        Reach::Mail { to } => {
            let Some(smtp) = smtp else {
                return Sent::failed("no mail server is configured");
            };
            let addresses = match mail::addresses(&words, to) {
                Ok(addresses) => addresses,
                Err(unworded) => {
                    return Sent::failed(format!("who the mail is for is not known: {unworded}"));
                }
            };
            match mail::render(&words) {
                Ok(mail) => smtp.send_mail(outgoing, &addresses, mail).await,
                Err(unworded) => {
                    let deliver = in_own_words(outgoing, &unworded);
                    smtp.send(&with(outgoing, &deliver), &addresses, None).await
                }
            }
        }
        Reach::SlackWebhook { url, channel } => {
            let channel = words.channel(channel.as_deref());
            match slack::render(&words, channel.as_deref()) {
                Ok(document) => own_slack::send_document(http, outgoing, url, &document).await,
                Err(unworded) => {
                    let deliver = in_own_words(outgoing, &unworded);
                    own_slack::send(http, &with(outgoing, &deliver), url, channel.as_deref()).await
                }
            }
        }
        Reach::SlackBot { url, token, channel } => {
            let channel = words.channel(Some(channel)).unwrap_or_default();
            match slack::render(&words, Some(&channel)) {
                Ok(document) => own_slack::post_document(http, outgoing, url, token, &document).await,
                Err(unworded) => {
                    let deliver = in_own_words(outgoing, &unworded);
                    own_slack::post(http, &with(outgoing, &deliver), url, token, &channel, false).await
                }
            }
        }
        Reach::PagerDuty { url, routing_key } => match pagerduty::render(&words, routing_key.expose()) {
            Ok(event) => own_pagerduty::enqueue(http, outgoing, url, &event).await,
            Err(unworded) => {
                let deliver = in_own_words(outgoing, &unworded);
                let event = pagerduty::in_own_words(&words, &with(outgoing, &deliver), routing_key.expose());
                own_pagerduty::enqueue(http, outgoing, url, &event).await
            }
        },
        Reach::Teams { url } => match teams::render(&words) {
            Ok(card) => own_teams::send_document(http, outgoing, url, &card).await,
            Err(unworded) => {
                let deliver = in_own_words(outgoing, &unworded);
                own_teams::send(http, &with(outgoing, &deliver), url).await
            }
        },
        Reach::Webhook { url, login } => {
            let max_alerts = to.texts.wording.texts.get(MAX_ALERTS);
            let max_alerts = max_alerts.and_then(|text| text.parse().ok()).unwrap_or(0);
            let login = login.as_ref().map_or(crate::http::Login::None, Login::of);
            alertmanager::send_limited(http, outgoing, url, login, &to.texts.wording.receiver, max_alerts)
                .await
        }
    }
}

/// The message with a line that says why it is not worded as it was meant to be.
fn in_own_words(outgoing: &Outgoing<'_>, unworded: &Unworded) -> Deliver {
    tracing::warn!(%unworded, "a receiver's template failed: the message goes out in other words");
    let mut deliver = outgoing.deliver.clone();
    let note = format!("(This message is not in the receiver's own words: {unworded})");
    let note = wording::cut(&note, 1_000);
    deliver.message.body = format!("{}\n\n{note}", deliver.message.body.trim_end());
    deliver
}

fn with<'a>(outgoing: &Outgoing<'a>, deliver: &'a Deliver) -> Outgoing<'a> {
    Outgoing {
        deliver,
        ..outgoing.clone()
    }
}
