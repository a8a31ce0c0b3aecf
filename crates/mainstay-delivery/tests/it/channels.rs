//! Every channel against everything that a receiver can do to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mainstay_delivery::channel::{Address, ChannelOptions, Plaintext, RealChannels};
use mainstay_delivery::inbox::{Faults, HttpFault, SmtpFault, Via};
use mainstay_delivery::smtp::{Security, SmtpOptions};
use mainstay_kernel::effect::{Channel, Outcome};

use crate::support::{IMPATIENT, PATIENT, Running, channels, deliver, nobody, says, send, send_this, word};

/// Longer than an impatient sender waits.
const LONGER_MS: u64 = 60_000;

#[tokio::test]
async fn mail_against_every_fault() {
    let cases = [
        (SmtpFault::None, "done", 1),
        (SmtpFault::Refuse, "retry 0", 0),
        (SmtpFault::Temporary, "retry 0", 0),
        (SmtpFault::Permanent, "failed", 0),
        (SmtpFault::Delay, "retry 0", 0),
        (SmtpFault::LostReply, "unknown 0", 1),
        (SmtpFault::LateReply, "unknown 0", 1),
    ];
    for (fault, expected, arrived) in cases {
        let inbox = Running::start().await;
        inbox
            .set(Faults {
                smtp: fault,
                delay_ms: LONGER_MS,
                ..Faults::default()
            })
            .await;
        let waits = matches!(fault, SmtpFault::Delay | SmtpFault::LateReply);
        let channels = channels(inbox.smtp, if waits { IMPATIENT } else { PATIENT });
        let sent = send(
            &channels,
            &inbox.address(Channel::Email),
            Channel::Email,
            1,
            false,
        )
        .await;
        assert_eq!(word(&sent), expected, "{fault:?}: {sent:?}");
        assert_eq!(inbox.received().await.len(), arrived, "{fault:?}");
    }
}

#[tokio::test]
async fn chat_and_webhooks_against_every_fault() {
    let cases = [
        (HttpFault::None, "done", "done", 1),
        (HttpFault::TooMany, "retry 7000", "retry 7000", 0),
        (HttpFault::Broken, "unknown 0", "unknown 0", 0),
        (HttpFault::Gone, "failed", "failed", 0),
        // A webhook's receipt is the status; a chat post's is the word `ok`.
        (HttpFault::ErrorBody, "unknown 0", "done", 0),
        (HttpFault::Timeout, "unknown 0", "unknown 0", 0),
        (HttpFault::LateReply, "unknown 0", "unknown 0", 1),
    ];
    for (fault, chat, hook, arrived) in cases {
        let inbox = Running::start().await;
        let faults = Faults {
            chat: fault,
            hook: fault,
            delay_ms: LONGER_MS,
            retry_after_s: 7,
            ..Faults::default()
        };
        inbox.set(faults).await;
        let waits = matches!(fault, HttpFault::Timeout | HttpFault::LateReply);
        let channels = channels(inbox.smtp, if waits { IMPATIENT } else { PATIENT });
        let (to_chat, to_hook) = (inbox.address(Channel::Chat), inbox.address(Channel::Webhook));
        let (chat_sent, hook_sent) = tokio::join!(
            send(&channels, &to_chat, Channel::Chat, 1, false),
            send(&channels, &to_hook, Channel::Webhook, 1, false),
        );
        assert_eq!(word(&chat_sent), chat, "{fault:?}: {chat_sent:?}");
        assert_eq!(word(&hook_sent), hook, "{fault:?}: {hook_sent:?}");
        assert_eq!(inbox.received().await.len(), 2 * arrived, "{fault:?}");
    }
}

/// What both HTTP channels make of an answer, word for word.
async fn answers(answer: &str) -> [String; 2] {
    at(says(answer).await).await
}

async fn at(server: SocketAddr) -> [String; 2] {
    let channels = channels(server, PATIENT);
    let url = format!("http://{server}/");
    let chat = Address::ChatWebhook {
        url: url.clone(),
        channel: None,
    };
    let hook = Address::Webhook { url };
    [
        word(&send(&channels, &chat, Channel::Chat, 1, false).await),
        word(&send(&channels, &hook, Channel::Webhook, 1, false).await),
    ]
}

#[tokio::test]
async fn answers_are_read_as_their_standards_say() {
    let with = |status: &str, headers: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    assert_eq!(answers(&with("200 OK", "", "ok")).await, ["done", "done"]);
    assert_eq!(answers(&with("204 No Content", "", "")).await, ["done", "done"]);
    assert_eq!(
        answers(&with("200 OK", "", r#"{"success":true}"#)).await,
        ["done", "done"]
    );
    assert_eq!(
        answers(&with("200 OK", "", "<html>")).await,
        ["unknown 0", "done"]
    );
    assert_eq!(
        answers(&with("200 OK", "", "channel_is_archived")).await,
        ["failed", "done"]
    );
    assert_eq!(
        answers(&with("302 Found", "Location: /elsewhere\r\n", "")).await,
        ["failed", "failed"]
    );
    assert_eq!(
        answers(&with("403 Forbidden", "", "invalid_token")).await,
        ["failed", "failed"]
    );
    assert_eq!(
        answers(&with("408 Request Timeout", "", "")).await,
        ["unknown 0", "unknown 0"]
    );
    assert_eq!(
        answers(&with("502 Bad Gateway", "", "")).await,
        ["unknown 0", "unknown 0"]
    );
    assert_eq!(
        answers(&with("503 Busy", "Retry-After: 3\r\n", "")).await,
        ["retry 3000", "retry 3000"]
    );
    let date = "Retry-After: Wed, 15 Jan 2025 14:06:20 GMT\r\n";
    assert_eq!(
        answers(&with("429 Slow Down", date, "")).await,
        ["retry 20000", "retry 20000"]
    );
    // The status came, the body did not: a receipt for a webhook, not for a chat post.
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no";
    assert_eq!(answers(cut).await, ["unknown 0", "done"]);
    assert_eq!(
        answers("HTTP/1.1 200 OK\r\nContent-Le").await,
        ["unknown 0", "unknown 0"]
    );
    assert_eq!(answers("").await, ["unknown 0", "unknown 0"]);
    let endless = with("500 Broken", "", &"x".repeat(200_000));
    assert_eq!(answers(&endless).await, ["unknown 0", "unknown 0"]);
}

/// A receiver that does not read stands for a way on which bytes are lost: what was written is tried again and again.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_nobody_acknowledges_is_not_transmitted_for_ever() {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    socket
        .bind("127.0.0.1:0".parse().expect("an address"))
        .expect("binds");
    let listener = socket.listen(8).expect("listens");
    let server = listener.local_addr().expect("an address");
    let mut message = deliver(Channel::Webhook);
    message.message.body = "x".repeat(64 * 1024);
    let hook = Address::Webhook {
        url: format!("http://{server}/"),
    };
    let channels = channels(server, PATIENT);
    let begun = tokio::time::Instant::now();
    let sent = send_this(&channels, &hook, &message, 1, false).await;
    assert_eq!(word(&sent), "unknown 0", "{sent:?}");
    assert!(begun.elapsed() < PATIENT / 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn nobody_listening_means_that_it_did_not_arrive() {
    let server = nobody().await;
    assert_eq!(at(server).await, ["retry 0", "retry 0"]);
    let to = Address::Email(vec!["ana@bank.example".to_owned()]);
    let sent = send(&channels(server, PATIENT), &to, Channel::Email, 1, false).await;
    assert_eq!(word(&sent), "retry 0", "{sent:?}");
}

#[tokio::test]
async fn a_mail_server_that_is_not_well_is_tried_again_and_one_that_says_no_is_not() {
    let to = Address::Email(vec!["ana@bank.example".to_owned()]);
    for (dialogue, expected) in [
        ("554 go away\r\n", "retry 0"),
        ("220 hi\r\n421 closing\r\n", "retry 0"),
        ("220 hi\r\n250 hi\r\n550 sender refused\r\n", "failed"),
        (
            "220 hi\r\n250 hi\r\n250 ok\r\n250 ok\r\n354 go\r\n552 too large\r\n",
            "failed",
        ),
        (
            "220 hi\r\n250 hi\r\n250 ok\r\n250 ok\r\n354 go\r\n451 later\r\n",
            "retry 0",
        ),
        ("220 hi\r\n250 hi\r\n250 ok\r\n250 ok\r\n354 go\r\n", "unknown 0"),
        ("nonsense\r\n", "retry 0"),
    ] {
        let server = speaks_first(dialogue).await;
        let sent = send(&channels(server, PATIENT), &to, Channel::Email, 1, false).await;
        assert_eq!(word(&sent), expected, "{dialogue:?}: {sent:?}");
    }
}

#[tokio::test]
async fn a_mailbox_that_is_refused_does_not_take_the_mail_from_the_others() {
    const TWO: [&str; 2] = ["ana@bank.example", "gone@bank.example"];
    let ready = "220 hi\r\n250 hi\r\n250 ok\r\n";
    for (to, replies, expected, said) in [
        (
            TWO,
            "250 ok\r\n550 <gone@bank.example> unknown\r\n354 go\r\n250 queued\r\n",
            "done",
            "250 queued; 1 of 2 mailboxes refused",
        ),
        (
            TWO,
            "550 no\r\n250 ok\r\n354 go\r\n250 queued\r\n",
            "done",
            "250 queued; 1 of 2 mailboxes refused",
        ),
        // What cannot be read is not asked for.
        (
            [TWO[0], "gone at bank.example"],
            "250 ok\r\n354 go\r\n250 queued\r\n",
            "done",
            "250 queued; 1 of 2 mailboxes refused",
        ),
        (
            TWO,
            "550 no\r\n550 no\r\n354 go\r\n250 queued\r\n",
            "failed",
            "550",
        ),
        // What passes is waited for before anybody has the mail: nobody gets it twice.
        (
            TWO,
            "250 ok\r\n451 later\r\n354 go\r\n250 queued\r\n",
            "retry 0",
            "451",
        ),
        (
            TWO,
            "550 no\r\n451 later\r\n354 go\r\n250 queued\r\n",
            "retry 0",
            "451",
        ),
        (["gone", "gone at bank.example"], "", "failed", "no mail address"),
    ] {
        let server = speaks_first(format!("{ready}{replies}")).await;
        let to = Address::Email(to.map(str::to_owned).into());
        let sent = send(&channels(server, PATIENT), &to, Channel::Email, 1, false).await;
        assert_eq!(word(&sent), expected, "{replies:?}: {sent:?}");
        let (Outcome::Done { receipt: words }
        | Outcome::Retry { reason: words, .. }
        | Outcome::Failed { reason: words }) = &sent.outcome
        else {
            panic!("{sent:?}")
        };
        assert!(words.contains(said), "{words}");
        assert!(!words.contains("gone") && !words.contains("ana"), "{words}");
    }
}

/// A server that recites its half of a dialogue, one reply per line that it hears (the text counts as one), and hangs up.
async fn speaks_first(dialogue: impl Into<String>) -> SocketAddr {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("an address");
    let dialogue = dialogue.into();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        let (reader, mut writer) = stream.split();
        let mut lines = BufReader::new(reader).lines();
        let mut in_text = false;
        for answer in dialogue.split_inclusive("\r\n") {
            writer.write_all(answer.as_bytes()).await.expect("writes");
            while let Ok(Some(line)) = lines.next_line().await {
                if !in_text || line == "." {
                    break;
                }
            }
            in_text = answer.starts_with("354");
            if in_text {
                while let Ok(Some(line)) = lines.next_line().await {
                    if line == "." {
                        break;
                    }
                }
                in_text = false;
            }
        }
    });
    address
}

#[tokio::test]
async fn a_repetition_is_recognisable_and_says_so() {
    let inbox = Running::start().await;
    inbox
        .set(Faults {
            smtp: SmtpFault::LostReply,
            ..Faults::default()
        })
        .await;
    assert!(inbox.send(Channel::Email, 1, false).await.arrival_unknown);
    inbox.set(Faults::default()).await;
    for channel in [Channel::Email, Channel::Chat, Channel::Chat, Channel::Webhook] {
        let sent = inbox.send(channel, 2, true).await;
        assert_eq!(word(&sent), "done", "{sent:?}");
    }
    let received = inbox.received().await;
    let [first, again, chat, chat_again, hook] = &received[..] else {
        panic!("{received:#?}")
    };
    assert_eq!((first.labelled_duplicate, first.duplicate_of), (false, None));
    assert_eq!(
        (again.labelled_duplicate, again.duplicate_of),
        (true, Some(first.seq))
    );
    assert_eq!(first.message_id, again.message_id);
    assert_eq!(
        again.subject,
        "[P0] Pool exhausted in <cell-eu-1> & größer  Bcc: x (possible duplicate, attempt 2)"
    );
    assert!(
        again.text.starts_with("This is a possible duplicate, attempt 2"),
        "{}",
        again.text
    );
    assert!(chat.labelled_duplicate && hook.labelled_duplicate);
    assert_eq!(chat_again.duplicate_of, Some(chat.seq));
    assert_eq!(chat.channel.as_deref(), Some("#incidents"));
}

#[tokio::test]
async fn the_message_arrives_whole_on_every_channel() {
    let inbox = Running::start().await;
    for channel in [Channel::Email, Channel::Chat, Channel::Webhook] {
        let sent = inbox.send(channel, 1, false).await;
        assert!(
            matches!(&sent.outcome, Outcome::Done { receipt } if receipt.starts_with("2")),
            "{sent:?}"
        );
    }
    let received = inbox.received().await;
    let [mail, chat, hook] = &received[..] else {
        panic!("{received:#?}")
    };
    assert_eq!(
        (mail.via, chat.via, hook.via),
        (Via::Email, Via::Chat, Via::Webhook)
    );
    assert_eq!(mail.from.as_deref(), Some("mainstay@platform.example"));
    assert_eq!(mail.to, ["ana@bank.example"]);
    let id = mail.message_id.as_deref().expect("an id");
    assert!(
        id.starts_with('<') && id.ends_with("@platform.example>") && id.len() == 51,
        "{id}"
    );
    assert_eq!(
        mail.text.replace("\r\n", "\n").trim_end(),
        "accounts: 20 of 20 connections in use.\n.\n.leading dot, naïve café\n\n\
         Severity: P0 (critical)\nIncident: 2025-01-15-001\nPage: page-7\n\
         Open: http://127.0.0.1:8080/incidents/2025-01-15-001"
    );
    assert!(
        chat.subject
            .starts_with("[P0] Pool exhausted in <cell-eu-1> & größer"),
        "{}",
        chat.subject
    );
    assert!(chat.text.contains("naïve café"), "{}", chat.text);
    assert!(
        chat.text
            .contains("http://127.0.0.1:8080/incidents/2025-01-15-001"),
        "{}",
        chat.text
    );
    let document: serde_json::Value = serde_json::from_str(&hook.text).expect("a document");
    assert_eq!(document["key"], "page-7/level-1/email");
    assert_eq!(document["severity"], "P0");
    assert_eq!(hook.message_id.as_deref(), Some("page-7/level-1/email"));
}

#[tokio::test]
async fn what_can_never_be_sent_fails_at_once() {
    let inbox = Running::start().await;
    let channels = channels(inbox.smtp, PATIENT);
    for address in [
        Address::Email(vec!["not an address".to_owned()]),
        Address::Webhook {
            url: "nonsense".to_owned(),
        },
        Address::Webhook {
            url: "ftp://127.0.0.1/x".to_owned(),
        },
        Address::Webhook {
            url: "http://hooks.example/secret".to_owned(),
        },
    ] {
        let sent = send(&channels, &address, Channel::Webhook, 1, false).await;
        let Outcome::Failed { reason } = &sent.outcome else {
            panic!("{sent:?}")
        };
        assert!(!reason.contains("secret"), "{reason}");
    }
    let mut options = SmtpOptions::new("mail.example", 25, false, "mainstay@platform.example");
    let with = |smtp: &SmtpOptions| {
        RealChannels::new(ChannelOptions {
            smtp: Some(smtp.clone()),
            ..Default::default()
        })
    };
    assert!(with(&options).is_err(), "plain text leaves this machine");
    options.plaintext = Plaintext::Anywhere;
    assert!(with(&options).is_ok());
    options.from = "nobody".to_owned();
    assert!(with(&options).is_err());
    assert_eq!(
        SmtpOptions::new("h", 465, true, "a@b").security,
        Security::Implicit
    );
    assert_eq!(
        SmtpOptions::new("h", 587, true, "a@b").security,
        Security::StartTls
    );
}

#[tokio::test]
async fn no_mail_goes_out_unencrypted_when_the_server_offers_no_tls() {
    let inbox = Running::start().await;
    let mut options = SmtpOptions::new("127.0.0.1", inbox.smtp.port(), true, "mainstay@platform.example");
    options.timeout = PATIENT;
    let channels = RealChannels::new(ChannelOptions {
        smtp: Some(options),
        ..ChannelOptions::default()
    })
    .expect("channels");
    let sent = send(
        &channels,
        &inbox.address(Channel::Email),
        Channel::Email,
        1,
        false,
    )
    .await;
    assert_eq!(word(&sent), "retry 0", "{sent:?}");
    assert!(inbox.received().await.is_empty());
}

#[tokio::test]
async fn what_may_not_be_sent_any_more_never_arrives_though_it_was_handed_over() {
    let inbox = Running::start().await;
    let may = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&may);
    let channels = channels(inbox.smtp, PATIENT).fenced(Arc::new(move || asked.load(Ordering::SeqCst)));
    let hook = inbox.address(Channel::Webhook);
    let first = send(&channels, &hook, Channel::Webhook, 1, false).await;
    assert_eq!(word(&first), "done", "{first:?}");
    may.store(false, Ordering::SeqCst);
    // On the connection that is open, and on a new one.
    for address in [hook, inbox.address(Channel::Chat)] {
        let held_back = send(&channels, &address, Channel::Webhook, 1, false).await;
        assert_eq!(word(&held_back), "unknown 0", "{held_back:?}");
    }
    may.store(true, Ordering::SeqCst);
    assert_eq!(inbox.received().await.len(), 1);
}
