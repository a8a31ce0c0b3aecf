//! Every channel against every fault, in one table: delivered, again at T, nobody knows and again at T, or failed for good.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay_delivery::channel::{Address, ChannelOptions, RealChannels, Sent};
use mainstay_delivery::inbox::{Faults, SmtpFault};
use mainstay_delivery::smtp::SmtpOptions;
use mainstay_delivery::telephone::TelephoneOptions;
use mainstay_kernel::effect::Channel;

use crate::pagerduty;
use crate::provider::{NUMBER, Provider, SECRET, answer, basic};
use crate::support::{IMPATIENT, PATIENT, Running, deliver, nobody, send, send_this, word};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Nothing,
    Timeout,
    Refused,
    Busy,
    Broken,
    ErrorWith200,
    Undelivered,
    LostCallback,
}

const FAULTS: [Fault; 8] = [
    Fault::Nothing,
    Fault::Timeout,
    Fault::Refused,
    Fault::Busy,
    Fault::Broken,
    Fault::ErrorWith200,
    Fault::Undelivered,
    Fault::LostCallback,
];

/// The channel; then a word for each fault, in their order; `-` where there is no such thing.
///
/// A receiver that does not say later what became of a message has no undelivered ones and no callbacks. Mail is told
/// 451 for busy and 550 for broken, and has no 200; see `mail_against_every_fault` for its own faults.
const TABLE: [(&str, [&str; 8]); 12] = [
    // nothing, timeout, refused, 429, 500, 200 with an error, undelivered, lost callback
    (
        "email",
        ["done", "retry 0", "retry 0", "retry 0", "failed", "-", "-", "-"],
    ),
    (
        "chat",
        [
            "done",
            "unknown 0",
            "retry 0",
            "retry 7000",
            "unknown 0",
            "failed",
            "-",
            "-",
        ],
    ),
    (
        "slack",
        [
            "done",
            "unknown 0",
            "retry 0",
            "retry 7000",
            "unknown 0",
            "failed",
            "-",
            "-",
        ],
    ),
    // The status is a webhook's receipt, whatever the body says.
    (
        "webhook",
        [
            "done",
            "unknown 0",
            "retry 0",
            "retry 7000",
            "unknown 0",
            "done",
            "-",
            "-",
        ],
    ),
    (
        "signed",
        [
            "done",
            "unknown 0",
            "retry 0",
            "retry 7000",
            "unknown 0",
            "done",
            "-",
            "-",
        ],
    ),
    (
        "pagerduty",
        [
            "done",
            "unknown 0",
            "retry 0",
            "retry 7000",
            "unknown 0",
            "unknown 0",
            "-",
            "-",
        ],
    ),
    (
        "pagerduty-acknowledgement",
        [
            "done",
            "unknown 0",
            "retry 0",
            "retry 7000",
            "unknown 0",
            "unknown 0",
            "-",
            "-",
        ],
    ),
    (
        "pagerduty-change",
        [
            "done",
            "unknown 0",
            "retry 0",
            "retry 7000",
            "unknown 0",
            "unknown 0",
            "-",
            "-",
        ],
    ),
    (
        "teams",
        [
            "done",
            "unknown 0",
            "retry 0",
            "retry 7000",
            "unknown 0",
            "retry 0",
            "-",
            "-",
        ],
    ),
    (
        "ntfy",
        [
            "done",
            "unknown 0",
            "retry 0",
            "retry 7000",
            "unknown 0",
            "unknown 0",
            "-",
            "-",
        ],
    ),
    // A callback that never comes is asked for; a key that was pressed cannot be, so the call is made again.
    (
        "sms",
        [
            "done",
            "unknown 0",
            "retry 0",
            "retry 7000",
            "unknown 0",
            "unknown 0",
            "failed",
            "done",
        ],
    ),
    (
        "voice",
        [
            "retry 30000",
            "unknown 0",
            "retry 0",
            "retry 7000",
            "unknown 0",
            "unknown 0",
            "retry 30000",
            "retry 30000",
        ],
    ),
];

#[tokio::test]
async fn every_channel_against_every_fault() {
    let mut wrong = Vec::new();
    for (channel, expected) in TABLE {
        for (fault, expected) in FAULTS.into_iter().zip(expected) {
            if expected == "-" {
                continue;
            }
            let sent = match channel {
                "email" => mail(fault).await,
                _ => over_http(channel, fault).await,
            };
            let told = format!("{:?}", sent.outcome);
            assert!(
                !told.contains(SECRET) && !told.contains(NUMBER),
                "{channel} {fault:?}: {told}"
            );
            if word(&sent) != expected {
                wrong.push(format!(
                    "{channel} {fault:?}: {} instead of {expected}: {told}",
                    word(&sent)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_of_any_level_holds_a_secret_or_a_number() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _for_this_thread = tracing::subscriber::set_default(subscriber);
    tracing::info!("the log works");
    for (channel, _) in TABLE.iter().filter(|(channel, _)| *channel != "email") {
        for fault in [Fault::Nothing, Fault::Refused, Fault::Busy, Fault::ErrorWith200] {
            over_http(channel, fault).await;
        }
    }
    let log = String::from_utf8_lossy(&log.0.lock().expect("no panic")).into_owned();
    assert!(log.contains("the log works"));
    for secret in [
        SECRET,
        NUMBER,
        "27115550100",
        basic().trim_start_matches("Basic "),
    ] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

async fn mail(fault: Fault) -> Sent {
    let inbox = Running::start().await;
    let smtp = match fault {
        Fault::Timeout => SmtpFault::Delay,
        Fault::Busy => SmtpFault::Temporary,
        Fault::Broken => SmtpFault::Permanent,
        _ => SmtpFault::None,
    };
    let faults = Faults {
        smtp,
        delay_ms: 60_000,
        ..Faults::default()
    };
    inbox.set(faults).await;
    let server = match fault {
        Fault::Refused => nobody().await,
        _ => inbox.smtp,
    };
    let mut options = SmtpOptions::new("127.0.0.1", server.port(), false, "mainstay@platform.example");
    options.timeout = patience(fault);
    options.login = None;
    let channels = RealChannels::new(ChannelOptions {
        smtp: Some(options),
        ..ChannelOptions::default()
    });
    let to = Address::Email(vec!["ana@bank.example".to_owned()]);
    send(&channels.expect("channels"), &to, Channel::Email, 1, false).await
}

fn patience(fault: Fault) -> Duration {
    if fault == Fault::Timeout {
        IMPATIENT
    } else {
        PATIENT
    }
}

async fn over_http(channel: &'static str, fault: Fault) -> Sent {
    let provider = Provider::start(move |asked, before| match fault {
        Fault::Timeout => None,
        Fault::Busy => Some(answer(
            "429 Too Many Requests",
            "Retry-After: 7",
            r#"{"code":20429}"#,
        )),
        // The provider's words may hold what must not be told.
        Fault::Broken => Some(answer("500 Broken", "", r#"{"code":20500}"#)),
        Fault::ErrorWith200 => Some(answer("200 OK", "", wrong_in_200(channel))),
        Fault::Nothing | Fault::Undelivered | Fault::LostCallback | Fault::Refused => {
            let (status, body) = match (channel, asked.is_post(), fault) {
                ("chat", ..) => ("200 OK", "ok".to_owned()),
                ("slack", ..) => (
                    "200 OK",
                    r#"{"ok":true,"channel":"C1","ts":"1700.01"}"#.to_owned(),
                ),
                ("pagerduty-change", ..) => (
                    "202 Accepted",
                    r#"{"status":"success","message":"Change event processed"}"#.to_owned(),
                ),
                ("pagerduty" | "pagerduty-acknowledgement", ..) => (
                    "202 Accepted",
                    r#"{"status":"success","dedup_key":"k"}"#.to_owned(),
                ),
                ("teams", ..) => ("200 OK", "1".to_owned()),
                ("ntfy", ..) => ("200 OK", r#"{"id":"sPs71M8A2T"}"#.to_owned()),
                ("sms" | "voice", true, _) => {
                    ("201 Created", r#"{"sid":"SM1","status":"queued"}"#.to_owned())
                }
                ("sms", false, Fault::Undelivered) => {
                    let body = r#"{"sid":"SM1","status":"undelivered","error_code":30005}"#;
                    ("200 OK", body.to_owned())
                }
                ("voice", false, Fault::Undelivered) => {
                    ("200 OK", r#"{"sid":"SM1","status":"no-answer"}"#.to_owned())
                }
                ("sms", ..) => {
                    let status = if before < 2 { "sent" } else { "delivered" };
                    (
                        "200 OK",
                        format!(r#"{{"sid":"SM1","status":"{status}","error_code":null}}"#),
                    )
                }
                ("voice", ..) => ("200 OK", r#"{"sid":"SM1","status":"completed"}"#.to_owned()),
                _ => ("200 OK", String::new()),
            };
            Some(answer(status, "", &body))
        }
    })
    .await;
    let url = match fault {
        Fault::Refused => format!("http://{}", nobody().await),
        _ => provider.url(),
    };
    let secret = || SECRET.to_owned().into();
    let (kind, address) = match channel {
        "chat" => (
            Channel::Chat,
            Address::ChatWebhook {
                url: format!("{url}/{SECRET}"),
                channel: None,
            },
        ),
        "slack" => (
            Channel::Chat,
            Address::Slack {
                url: url.clone(),
                token: secret(),
                channel: "#alerts".to_owned(),
                buttons: false,
            },
        ),
        "webhook" => (
            Channel::Webhook,
            Address::Webhook {
                url: format!("{url}/{SECRET}"),
            },
        ),
        "signed" => (
            Channel::Webhook,
            Address::SignedWebhook {
                url: url.clone(),
                secret: secret(),
            },
        ),
        "pagerduty" | "pagerduty-acknowledgement" | "pagerduty-change" => (
            Channel::Webhook,
            Address::PagerDuty {
                url: url.clone(),
                routing_key: secret(),
            },
        ),
        "teams" => (
            Channel::Webhook,
            Address::Teams {
                url: format!("{url}/{SECRET}"),
            },
        ),
        "ntfy" => (
            Channel::Webhook,
            Address::Ntfy {
                url: url.clone(),
                topic: "mainstay".to_owned(),
                token: Some(secret()),
            },
        ),
        "sms" => (Channel::Sms, Address::Phone(NUMBER.to_owned())),
        "voice" => (Channel::Voice, Address::Phone(NUMBER.to_owned())),
        other => panic!("{other}"),
    };
    let mut telephone = TelephoneOptions::new("AC1", SECRET, "+27115550199");
    telephone.url = url;
    telephone.wait = patience(fault);
    telephone.poll = Duration::from_millis(20);
    let channels = RealChannels::new(ChannelOptions {
        telephone: Some(telephone),
        http_timeout: patience(fault),
        ..ChannelOptions::default()
    });
    let mut deliver = deliver(kind);
    match channel {
        "pagerduty-acknowledgement" => deliver = pagerduty::acknowledged("{}:{}"),
        "pagerduty-change" => deliver.message.change = Some(Box::new(pagerduty::change())),
        _ => {}
    }
    let sent = send_this(&channels.expect("channels"), &address, &deliver, 1, false).await;
    if channel == "sms" && fault == Fault::LostCallback {
        assert_eq!(provider.posts(), 1, "asked for, not sent again");
    }
    sent
}

fn wrong_in_200(channel: &str) -> &'static str {
    match channel {
        "chat" => "channel_is_archived",
        "slack" => r#"{"ok":false,"error":"channel_not_found"}"#,
        "teams" => {
            "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429"
        }
        _ => r#"{"status":"error"}"#,
    }
}
