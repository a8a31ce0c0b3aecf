//! Mail through a server that others wrote, aiosmtpd: what is in its mailbox is read by Python's own library.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mainstay_delivery::channel::{Address, ChannelOptions, RealChannels, Sent};
use mainstay_delivery::smtp::{Security, SmtpOptions};
use mainstay_kernel::effect::{Channel, Outcome};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::support::{PATIENT, deliver, send};

const READ: &str = r#"
import email, email.policy, json, mailbox, sys
read = lambda file: email.message_from_binary_file(file, policy=email.policy.default)
box = mailbox.Maildir(sys.argv[1], factory=read)
print(json.dumps([{
    "from": mail["from"], "to": mail["to"], "subject": mail["subject"], "id": mail["message-id"],
    "bcc": mail["bcc"], "defects": len(mail.defects),
    "text": mail.get_body(("plain",)).get_content().replace("\r\n", "\n"),
} for mail in box]))
"#;

/// A server that keeps what it takes; it ends with this value.
struct Server {
    child: Child,
    address: SocketAddr,
    mailbox: tempfile::TempDir,
}

impl Server {
    async fn start(options: &[&str]) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("a port");
        let mailbox = tempfile::tempdir().expect("a directory");
        let mut child = Command::new("aiosmtpd")
            .args([
                "-n",
                "-l",
                &address.to_string(),
                "-c",
                "aiosmtpd.handlers.Mailbox",
            ])
            .args(options)
            .arg(mailbox.path().join("mail"))
            .stdin(Stdio::null())
            .spawn()
            .expect("the package python3-aiosmtpd is installed");
        let listens = async {
            while TcpStream::connect(address).await.is_err() {
                assert!(child.try_wait().expect("its state").is_none(), "it ended");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let listens = tokio::time::timeout(PATIENT, listens).await;
        listens.expect("it listens");
        Self {
            child,
            address,
            mailbox,
        }
    }

    async fn send(&self, security: Security) -> Sent {
        let mut mail = SmtpOptions::new(
            "localhost",
            self.address.port(),
            true,
            "mainstay@platform.example",
        );
        mail.security = security;
        mail.timeout = PATIENT;
        let options = ChannelOptions {
            smtp: Some(mail),
            trust_pem: Some(include_bytes!("tls/authority.pem").to_vec()),
            ..ChannelOptions::default()
        };
        let to = Address::Email(vec!["ana@bank.example".to_owned()]);
        let channels = RealChannels::new(options).expect("channels");
        send(&channels, &to, Channel::Email, 1, false).await
    }

    fn mails(&self) -> Vec<Value> {
        let read = Command::new("python3")
            .args(["-c", READ])
            .arg(self.mailbox.path().join("mail"))
            .output();
        let read = read.expect("Python runs");
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        serde_json::from_slice(&read.stdout).expect("a list")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tls(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tls");
    folder.join(file).display().to_string()
}

#[tokio::test]
async fn a_page_is_in_the_mailbox_of_a_real_server() {
    let (certificate, key) = (tls("localhost.pem"), tls("localhost.key"));
    let encrypted = |kind: &str| {
        [
            format!("--{kind}cert={certificate}"),
            format!("--{kind}key={key}"),
        ]
    };
    for (security, options) in [
        (Security::None, vec![]),
        (Security::StartTls, encrypted("tls").to_vec()),
        (Security::Implicit, encrypted("smtps").to_vec()),
    ] {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let server = Server::start(&options).await;
        let sent = server.send(security).await;
        assert!(
            matches!(sent.outcome, Outcome::Done { .. }),
            "{security:?}: {sent:?}"
        );
        let mails = server.mails();
        let [mail] = mails.as_slice() else {
            panic!("{security:?}: {mails:?}");
        };
        let text = |name: &str| mail[name].as_str().unwrap_or_default();
        assert!(text("subject").contains("größer"), "{mail}");
        assert!(text("from").contains("mainstay@platform.example"), "{mail}");
        assert_eq!(text("to"), "ana@bank.example");
        // Dots at the beginning of a line and letters beyond ASCII arrive, and what is no header becomes none.
        assert!(
            text("text").contains(&deliver(Channel::Email).message.body),
            "{mail}"
        );
        assert!(mail["bcc"].is_null() && mail["defects"] == 0, "{mail}");
        assert!(!text("id").is_empty(), "{mail}");
    }
}

#[tokio::test]
async fn what_a_real_server_refuses_is_not_said_to_have_arrived() {
    let small = Server::start(&["-s", "300"]).await;
    let sent = small.send(Security::None).await;
    assert!(
        matches!(&sent.outcome, Outcome::Failed { reason } if reason.contains("552")),
        "{sent:?}"
    );
    assert!(small.mails().is_empty());
    // It takes nothing in the clear.
    let options = [
        format!("--tlscert={}", tls("localhost.pem")),
        format!("--tlskey={}", tls("localhost.key")),
    ];
    let strict = Server::start(&options.each_ref().map(String::as_str)).await;
    let sent = strict.send(Security::None).await;
    assert!(!matches!(sent.outcome, Outcome::Done { .. }), "{sent:?}");
    assert!(strict.mails().is_empty());
}
