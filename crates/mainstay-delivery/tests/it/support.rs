//! An inbox to send to, messages to send, and a server that says what the test tells it to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mainstay_delivery::channel::{Address, ChannelOptions, Channels, Outgoing, RealChannels, Sent};
use mainstay_delivery::inbox::{Faults, Inbox, InboxOptions, Received};
use mainstay_delivery::smtp::SmtpOptions;
use mainstay_kernel::effect::{Channel, Deliver, Message, Outcome, Recipient};
use mainstay_kernel::testing::ManualClock;
use mainstay_kernel::{IncidentId, PageId, PersonId, Severity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How long a sender waits where the receiver answers: far longer than that takes on a busy machine.
pub(crate) const PATIENT: Duration = Duration::from_secs(30);
/// How long a sender waits where the receiver does not answer: the test waits as long, and all before must fit in it.
pub(crate) const IMPATIENT: Duration = Duration::from_millis(1_500);

pub(crate) fn now() -> Timestamp {
    "2025-01-15T14:06:00Z".parse().expect("an instant")
}

/// A running inbox with its file in a directory of its own.
pub(crate) struct Running {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) smtp: SocketAddr,
    pub(crate) http: SocketAddr,
    task: JoinHandle<()>,
    stop: tokio::sync::oneshot::Sender<()>,
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().expect("a directory")).await
    }

    pub(crate) async fn start_in(directory: tempfile::TempDir) -> Self {
        let options = InboxOptions::on_loopback(directory.path().join("inbox.jsonl"));
        let inbox = Inbox::bind(options, Arc::new(ManualClock::at(now())))
            .await
            .expect("the inbox starts");
        let (smtp, http) = (inbox.smtp_address(), inbox.http_address());
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let shutdown = async {
                let _stopped_or_dropped = stopped.await;
            };
            inbox.serve(shutdown).await.expect("the inbox serves");
        });
        Self {
            directory,
            smtp,
            http,
            task,
            stop,
        }
    }

    /// Stops it and gives back the directory.
    pub(crate) async fn stop(self) -> tempfile::TempDir {
        self.stop.send(()).expect("it runs");
        tokio::time::timeout(Duration::from_secs(5), self.task)
            .await
            .expect("it stops in time")
            .expect("no panic");
        self.directory
    }

    pub(crate) async fn set(&self, faults: Faults) {
        let body = serde_json::to_string(&faults).expect("faults are JSON");
        let answer = request(self.http, "POST", "/faults", &body).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    pub(crate) async fn received(&self) -> Vec<Received> {
        let answer = request(self.http, "GET", "/messages", "").await;
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let messages: mainstay_delivery::inbox::Messages = serde_json::from_str(body).expect("messages");
        assert_eq!(messages.only_in_file, 0);
        messages
            .messages
            .iter()
            .map(|received| Received::clone(received))
            .collect()
    }

    pub(crate) fn address(&self, channel: Channel) -> Address {
        match channel {
            Channel::Email => Address::Email(vec!["ana@bank.example".to_owned()]),
            Channel::Chat => Address::ChatWebhook {
                url: format!("http://{}/chat", self.http),
                channel: Some("#incidents".parse().expect("a name")),
            },
            Channel::Webhook => Address::Webhook {
                url: format!("http://{}/hook", self.http),
            },
            Channel::Sms | Channel::Voice => Address::Phone(crate::provider::NUMBER.to_owned()),
        }
    }

    pub(crate) async fn send(&self, channel: Channel, attempt: u32, possible_duplicate: bool) -> Sent {
        send(
            &channels(self.smtp, PATIENT),
            &self.address(channel),
            channel,
            attempt,
            possible_duplicate,
        )
        .await
    }
}

pub(crate) fn channels(smtp: SocketAddr, timeout: Duration) -> RealChannels {
    let mut mail = SmtpOptions::new(
        smtp.ip().to_string(),
        smtp.port(),
        false,
        "mainstay@platform.example",
    );
    mail.timeout = timeout;
    let options = ChannelOptions {
        smtp: Some(mail),
        http_timeout: timeout,
        ..ChannelOptions::default()
    };
    RealChannels::new(options).expect("channels")
}

pub(crate) fn deliver(channel: Channel) -> Deliver {
    let message = Message {
        subject: "Pool exhausted in <cell-eu-1> & größer\r\nBcc: x".to_owned(),
        body: "accounts: 20 of 20 connections in use.\n.\n.leading dot, naïve café".to_owned(),
        severity: Severity::P0,
        resolved: false,
        incident: Some(IncidentId::new("2025-01-15-001").expect("an id")),
        page: Some(PageId::new("page-7").expect("an id")),
        path: "/incidents/2025-01-15-001".to_owned(),
        notification: None,
        change: None,
    };
    Deliver {
        channel,
        to: Recipient::Person(PersonId::new("ana").expect("an id")),
        message,
    }
}

pub(crate) async fn send(
    channels: &RealChannels,
    address: &Address,
    channel: Channel,
    attempt: u32,
    possible_duplicate: bool,
) -> Sent {
    send_this(channels, address, &deliver(channel), attempt, possible_duplicate).await
}

pub(crate) async fn send_this(
    channels: &RealChannels,
    address: &Address,
    deliver: &Deliver,
    attempt: u32,
    possible_duplicate: bool,
) -> Sent {
    let outgoing = Outgoing {
        key: "page-7/level-1/email",
        attempt,
        possible_duplicate,
        at: now(),
        address,
        deliver,
        base_url: "http://127.0.0.1:8080/",
        bridge: None,
    };
    channels.send(outgoing).await
}

/// One HTTP request, word for word; the whole answer.
pub(crate) async fn request(to: SocketAddr, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(to).await.expect("connects");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream
        .write_all(format!("{head}{body}").as_bytes())
        .await
        .expect("writes");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("reads");
    answer
}

/// A server that reads one request and answers with these bytes, whatever it was; then it hangs up.
pub(crate) async fn says(answer: impl Into<String>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("an address");
    let answer = answer.into();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 64 * 1024];
            let mut length = 0;
            while !whole(&request[..length]) {
                match stream.read(&mut request[length..]).await {
                    Ok(read) if read > 0 => length += read,
                    _ => break,
                }
            }
            stream.write_all(answer.as_bytes()).await.expect("writes");
        }
    });
    address
}

fn whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    // Lossy text is never shorter than the bytes that it was made from.
    body.len() >= length.unwrap_or(0)
}

/// An address at which nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    listener.local_addr().expect("an address")
}

/// The outcome in one word, with what the outbox must know.
pub(crate) fn word(sent: &Sent) -> String {
    match (&sent.outcome, sent.arrival_unknown) {
        (Outcome::Done { .. }, false) => "done".to_owned(),
        (Outcome::Failed { .. }, false) => "failed".to_owned(),
        (Outcome::Retry { after_ms, .. }, false) => format!("retry {after_ms}"),
        (Outcome::Retry { reason, after_ms }, true) => {
            assert!(reason.contains("unknown whether it arrived"), "{reason}");
            format!("unknown {after_ms}")
        }
        (Outcome::Withdrawn { .. } | Outcome::Withheld, false) => panic!("no channel withdraws"),
        (outcome, true) => panic!("{outcome:?} cannot be unknown"),
    }
}
