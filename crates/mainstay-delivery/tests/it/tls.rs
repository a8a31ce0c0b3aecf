//! Encrypted channels, against servers whose authority is trusted only where the test says so.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use mainstay_delivery::channel::{Address, ChannelOptions, RealChannels};
use mainstay_delivery::smtp::{Security, SmtpOptions};
use mainstay_kernel::effect::{Channel, Outcome};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::{PATIENT, send, word};

const AUTHORITY: &[u8] = include_bytes!("tls/authority.pem");

type Encrypted = BufReader<StreamOwned<ServerConnection, TcpStream>>;

fn encrypted(stream: TcpStream) -> Encrypted {
    let certificate =
        CertificateDer::from_pem_slice(include_bytes!("tls/localhost.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/localhost.key")).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("the key fits");
    let connection = ServerConnection::new(Arc::new(config)).expect("a connection");
    BufReader::new(StreamOwned::new(connection, stream))
}

/// What a server heard, line by line; `secret:` precedes what came encrypted.
type Heard = Receiver<String>;

/// A server for one connection, in a thread of its own.
fn serve(
    dialogue: impl FnOnce(TcpStream, &Sender<String>) -> std::io::Result<()> + Send + 'static,
) -> (SocketAddr, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("an address");
    let (told, heard) = channel();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("accepts");
        // A client that does not trust us hangs up in the middle: that is what some tests are about.
        let _ended_early = dialogue(stream, &told);
    });
    (address, heard)
}

/// The rest of an SMTP session over TLS, from the greeting or from the second EHLO on.
fn mail_session(stream: TcpStream, greet: bool, told: &Sender<String>) -> std::io::Result<()> {
    let mut stream = encrypted(stream);
    if greet {
        stream.get_mut().write_all(b"220 secret hello\r\n")?;
    }
    let mut in_text = false;
    let mut line = String::new();
    while stream.read_line(&mut line)? > 0 {
        told.send(format!("secret:{}", line.trim_end()))
            .expect("the test listens");
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let answer: &[u8] = match (in_text, verb.as_str()) {
            (true, _) if line == ".\r\n" => {
                in_text = false;
                b"250 2.0.0 queued as TLS1\r\n"
            }
            (true, _) => b"",
            (false, "DATA") => {
                in_text = true;
                b"354 go\r\n"
            }
            (false, "EHLO") => b"250-localhost\r\n250 AUTH PLAIN\r\n",
            (false, "AUTH") => b"235 welcome\r\n",
            (false, _) => b"250 ok\r\n",
        };
        stream.get_mut().write_all(answer)?;
        line.clear();
    }
    Ok(())
}

/// The clear part of a session that moves on to TLS by STARTTLS.
fn start_tls(stream: TcpStream, told: &Sender<String>) -> std::io::Result<()> {
    let mut clear = BufReader::new(stream.try_clone()?);
    let mut writer = stream.try_clone()?;
    writer.write_all(b"220 hello\r\n")?;
    for answer in [
        "250-localhost\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n",
        "220 go ahead\r\n",
    ] {
        let mut line = String::new();
        clear.read_line(&mut line)?;
        told.send(line.trim_end().to_owned()).expect("the test listens");
        writer.write_all(answer.as_bytes())?;
    }
    mail_session(stream, false, told)
}

fn channels(server: SocketAddr, security: Security, trust: bool) -> RealChannels {
    let mut mail = SmtpOptions::new("localhost", server.port(), true, "mainstay@platform.example");
    mail.security = security;
    mail.timeout = PATIENT;
    mail.login = Some(("mainstay".to_owned(), "open sesame".to_owned()));
    let options = ChannelOptions {
        smtp: Some(mail),
        http_timeout: PATIENT,
        trust_pem: trust.then(|| AUTHORITY.to_vec()),
        ..ChannelOptions::default()
    };
    RealChannels::new(options).expect("channels")
}

#[tokio::test]
async fn mail_goes_out_encrypted_and_the_password_with_it() {
    let to = Address::Email(vec!["ana@bank.example".to_owned()]);
    for security in [Security::Implicit, Security::StartTls] {
        let (server, heard) = match security {
            Security::Implicit => serve(|stream, told| mail_session(stream, true, told)),
            _ => serve(start_tls),
        };
        let sent = send(&channels(server, security, true), &to, Channel::Email, 1, false).await;
        assert_eq!(
            sent.outcome,
            Outcome::Done {
                receipt: "250 2.0.0 queued as TLS1".to_owned()
            },
            "{security:?}"
        );
        let heard: Vec<_> = heard.into_iter().collect();
        let (secret, clear): (Vec<_>, Vec<_>) = heard.iter().partition(|line| line.starts_with("secret:"));
        let clear_verbs: Vec<_> = clear.iter().filter_map(|line| line.get(..4)).collect();
        let expected: &[&str] = if security == Security::StartTls {
            &["EHLO", "STAR"]
        } else {
            &[]
        };
        assert_eq!(clear_verbs, expected, "{security:?}");
        assert!(
            secret.iter().any(|line| line.starts_with("secret:AUTH PLAIN ")),
            "{secret:?}"
        );
        assert!(
            secret.iter().any(|line| line.starts_with("secret:Subject: [P0]")),
            "{secret:?}"
        );
    }
}

#[tokio::test]
async fn a_mail_server_that_cannot_prove_its_name_gets_nothing() {
    let to = Address::Email(vec!["ana@bank.example".to_owned()]);
    for security in [Security::Implicit, Security::StartTls] {
        let (server, heard) = match security {
            Security::Implicit => serve(|stream, told| mail_session(stream, true, told)),
            _ => serve(start_tls),
        };
        let sent = send(&channels(server, security, false), &to, Channel::Email, 1, false).await;
        assert_eq!(word(&sent), "retry 0", "{security:?}: {sent:?}");
        assert!(
            !heard.into_iter().any(|line| line.starts_with("secret:")),
            "{security:?}"
        );
    }
}

#[tokio::test]
async fn webhooks_go_out_encrypted_to_receivers_that_prove_their_name() {
    for (trust, expected) in [(true, "done"), (false, "retry 0")] {
        let (server, heard) = serve(|stream, told| {
            let mut stream = encrypted(stream);
            let mut line = String::new();
            while stream.read_line(&mut line)? > 2 {
                told.send(line.trim_end().to_owned()).expect("the test listens");
                line.clear();
            }
            stream
                .get_mut()
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        });
        let url = format!("https://localhost:{}/services/secret", server.port());
        let address = Address::ChatWebhook { url, channel: None };
        let sent = send(
            &channels(server, Security::Implicit, trust),
            &address,
            Channel::Chat,
            1,
            false,
        )
        .await;
        assert_eq!(word(&sent), expected, "{sent:?}");
        let reason = format!("{sent:?}");
        assert!(!reason.contains("services/secret"), "{reason}");
        let heard: Vec<_> = heard.into_iter().collect();
        assert_eq!(
            heard
                .iter()
                .any(|line| line.starts_with("POST /services/secret ")),
            trust,
            "{heard:?}"
        );
        assert_eq!(
            heard
                .iter()
                .any(|line| line == "idempotency-key: page-7/level-1/email"),
            trust,
            "{heard:?}"
        );
    }
}

#[test]
fn trust_in_nothing_is_an_error() {
    let options = ChannelOptions {
        trust_pem: Some(b"not a certificate".to_vec()),
        ..ChannelOptions::default()
    };
    assert!(RealChannels::new(options).is_err());
}
