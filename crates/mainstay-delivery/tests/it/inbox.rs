//! The inbox by itself: other clients, restarts, limits.

use std::io::Write as _;
use std::sync::Arc;

use mainstay_delivery::inbox::{Inbox, InboxError, InboxOptions};
use mainstay_kernel::effect::Channel;
use mainstay_kernel::testing::ManualClock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Running, now, request, word};

#[tokio::test]
async fn a_restart_keeps_everything_and_cuts_off_what_was_not_finished() {
    let inbox = Running::start().await;
    for channel in [Channel::Email, Channel::Chat] {
        assert_eq!(word(&inbox.send(channel, 1, false).await), "done");
    }
    let before = inbox.received().await;
    let directory = inbox.stop().await;
    let file = directory.path().join("inbox.jsonl");
    let mut torn = std::fs::OpenOptions::new()
        .append(true)
        .open(&file)
        .expect("opens");
    torn.write_all(br#"{"seq":3,"received_at":"2025"#)
        .expect("writes");
    let inbox = Running::start_in(directory).await;
    assert_eq!(inbox.received().await, before);
    assert_eq!(word(&inbox.send(Channel::Email, 2, true).await), "done");
    let after = inbox.received().await;
    assert_eq!(after.len(), 3);
    assert_eq!((after[2].seq, after[2].duplicate_of), (3, Some(1)));
    let inbox = Running::start_in(inbox.stop().await).await;
    assert_eq!(inbox.received().await, after);
}

#[tokio::test]
async fn a_file_of_something_else_is_refused_with_its_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("inbox.jsonl");
    std::fs::write(&file, "my own notes\n").expect("writes");
    let started = Inbox::bind(InboxOptions::on_loopback(&file), Arc::new(ManualClock::at(now()))).await;
    let error = started.err().expect("refused").to_string();
    assert!(error.contains("inbox.jsonl:1:1: not a message"), "{error}");
    assert_eq!(std::fs::read_to_string(&file).expect("reads"), "my own notes\n");
}

#[tokio::test]
async fn only_this_machine_is_served() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut options = InboxOptions::on_loopback(directory.path().join("inbox.jsonl"));
    options.http = "0.0.0.0:0".parse().expect("an address");
    let started = Inbox::bind(options, Arc::new(ManualClock::at(now()))).await;
    assert!(matches!(started.err(), Some(InboxError::NotLoopback(_))));
}

#[tokio::test]
async fn a_full_file_is_said_to_be_full_and_memory_stays_within_its_limit() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut options = InboxOptions::on_loopback(directory.path().join("inbox.jsonl"));
    (options.file_max_bytes, options.memory_max_bytes) = (1_000, 300);
    let inbox = Inbox::bind(options, Arc::new(ManualClock::at(now())))
        .await
        .expect("starts");
    let http = inbox.http_address();
    let server = tokio::spawn(inbox.serve(std::future::pending()));
    let mut kept = 0;
    let refusal = loop {
        let answer = request(http, "POST", "/chat", r##"{"text":"hello","channel":"#x"}"##).await;
        if !answer.starts_with("HTTP/1.1 200") {
            break answer;
        }
        kept += 1;
        assert!(kept < 20, "the limit does not hold");
    };
    assert!(refusal.starts_with("HTTP/1.1 507"), "{refusal}");
    let answer = request(http, "GET", "/messages", "").await;
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let messages: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let held = messages["messages"].as_array().expect("a list").len();
    assert!(held < kept, "{held} of {kept}");
    assert_eq!(messages["only_in_file"], kept - held);
    server.abort();
}

#[tokio::test]
async fn it_speaks_smtp_to_a_client_that_is_not_ours() {
    let inbox = Running::start().await;
    let mut stream = TcpStream::connect(inbox.smtp).await.expect("connects");
    let dialogue = "DATA\r\nHELO me\r\nRCPT TO:<a@b>\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRSET\r\nMAIL FROM:<x@y> SIZE=10\r\n\
                    RCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: hi\r\n\r\n..dot\r\nend\r\n.\r\nWHAT\r\nNOOP\r\nQUIT\r\n";
    stream.write_all(dialogue.as_bytes()).await.expect("writes");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.expect("reads");
    let codes: Vec<_> = answers.lines().map(|line| &line[..3]).collect();
    assert_eq!(
        codes,
        [
            "220", "503", "250", "503", "250", "250", "250", "250", "250", "250", "354", "250", "500", "250",
            "221"
        ],
        "{answers}"
    );
    let received = inbox.received().await;
    assert_eq!(received.len(), 1);
    assert_eq!(
        (received[0].subject.as_str(), received[0].text.as_str()),
        ("hi", ".dot\nend\n")
    );
    assert_eq!(received[0].to, ["a@b", "c@d"]);
}

#[tokio::test]
async fn chat_posts_that_are_none_are_refused_as_slack_does() {
    let inbox = Running::start().await;
    let invalid = request(inbox.http, "POST", "/chat", "no JSON").await;
    assert!(
        invalid.starts_with("HTTP/1.1 400") && invalid.ends_with("invalid_payload"),
        "{invalid}"
    );
    let empty = request(inbox.http, "POST", "/chat", "{}").await;
    assert!(
        empty.starts_with("HTTP/1.1 400") && empty.ends_with("no_text"),
        "{empty}"
    );
    let large = request(
        inbox.http,
        "POST",
        "/chat",
        &format!("{{\"text\":\"{}\"}}", "x".repeat(1 << 20)),
    )
    .await;
    assert!(large.starts_with("HTTP/1.1 413"), "{large}");
    let unknown = request(inbox.http, "POST", "/faults", r#"{"smpt":"4xx"}"#).await;
    assert!(unknown.starts_with("HTTP/1.1 422"), "{unknown}");
    assert!(inbox.received().await.is_empty());
}
