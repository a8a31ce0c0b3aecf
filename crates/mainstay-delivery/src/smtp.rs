//! Mail. One connection per attempt, so that the dialogue's stage is known: before the text is handed over a failure means
//! "did not arrive", after it a missing reply means "nobody knows". The receipt is the server's final reply.

use std::time::{Duration, SystemTime};

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, MailParameter};
use lettre::transport::smtp::{Error, response::Response};
use mainstay_kernel::Digest;
use mainstay_kernel::effect::Recipient;
use tokio::time::{Instant, timeout, timeout_at};

use crate::ack_link::AckLinks;
use crate::channel::{ChannelError, DEFAULT_TIMEOUT, Outgoing, Plaintext, Sent};
use crate::http::chain;
use crate::wording;

/// How long the farewell may take once the receipt is in hand.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (port 465).
    Implicit,
    /// TLS by STARTTLS, and no mail without it (port 587 or 25).
    StartTls,
    /// None.
    None,
}

/// A mail server.
#[derive(Clone)]
pub struct SmtpOptions {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// Where [`Security::None`] is allowed.
    pub plaintext: Plaintext,
    /// Who logs in, and with what password.
    pub login: Option<(String, String)>,
    /// The sender's address.
    pub from: String,
    /// How long one attempt may take, from connect to receipt.
    pub timeout: Duration,
}

impl SmtpOptions {
    /// A mail server on `port`: with `tls`, port 465 means implicit TLS and any other STARTTLS.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16, tls: bool, from: impl Into<String>) -> Self {
        let security = match (tls, port) {
            (false, _) => Security::None,
            (true, 465) => Security::Implicit,
            (true, _) => Security::StartTls,
        };
        Self {
            host: host.into(),
            port,
            security,
            plaintext: Plaintext::default(),
            login: None,
            from: from.into(),
            timeout: DEFAULT_TIMEOUT,
        }
    }
}

impl std::fmt::Debug for SmtpOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmtpOptions")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("security", &self.security)
            .field("login", &self.login.as_ref().map(|(user, _password)| user))
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// What a mail says.
pub(crate) struct Letter {
    /// Its subject.
    pub(crate) subject: String,
    /// Headers besides.
    pub(crate) headers: Vec<(String, String)>,
    /// Its plain text.
    pub(crate) text: Option<String>,
    /// Its page of HTML.
    pub(crate) html: Option<String>,
}

/// The mail channel.
pub(crate) struct Smtp {
    options: SmtpOptions,
    from: Mailbox,
    tls: Option<TlsParameters>,
}

/// Why a dialogue ended before the text was handed over.
enum Early {
    /// The session could not be opened: the server's trouble, or ours with it, not the message's.
    Session(Error),
    /// The server did not want this message.
    Message(Error),
}

/// Whom a mail is for, as far as mailboxes can be read.
struct Recipients {
    mailboxes: Vec<Mailbox>,
    unreadable: usize,
}

impl Recipients {
    fn of(to: &[String]) -> Self {
        let mailboxes: Vec<_> = to.iter().filter_map(|to| to.parse().ok()).collect();
        let unreadable = to.len() - mailboxes.len();
        Self {
            mailboxes,
            unreadable,
        }
    }
}

impl Smtp {
    pub(crate) fn new(options: SmtpOptions, trust: Option<&[u8]>) -> Result<Self, ChannelError> {
        let from = options
            .from
            .parse::<Mailbox>()
            .map_err(|error| ChannelError::Sender {
                address: options.from.clone(),
                reason: error.to_string(),
            })?;
        let tls = match options.security {
            Security::None if !options.plaintext.allows(&options.host) => {
                return Err(ChannelError::PlaintextMail { host: options.host });
            }
            Security::None => None,
            Security::Implicit | Security::StartTls => Some(tls(&options.host, trust)?),
        };
        Ok(Self { options, from, tls })
    }

    /// Makes one attempt to mail the message to `to`.
    pub(crate) async fn send(
        &self,
        outgoing: &Outgoing<'_>,
        to: &[String],
        links: Option<&AckLinks>,
    ) -> Sent {
        let mut text = wording::text(outgoing);
        let message = &outgoing.deliver.message;
        if let (Some(links), Some(page), Recipient::Person(person), false) =
            (links, &message.page, &outgoing.deliver.to, message.resolved)
        {
            let url = links.url(outgoing.base_url, page, person, outgoing.at);
            text += &format!("Acknowledge: {url}\n");
        }
        let mail = Letter {
            subject: wording::subject(outgoing),
            headers: Vec::new(),
            text: Some(text),
            html: None,
        };
        self.send_mail(outgoing, to, mail).await
    }

    /// The same with a mail that is written already.
    pub(crate) async fn send_mail(&self, outgoing: &Outgoing<'_>, to: &[String], mail: Letter) -> Sent {
        let Recipients {
            mailboxes,
            unreadable,
        } = Recipients::of(to);
        if mailboxes.is_empty() {
            // Reasons are kept for ever, addresses are not.
            return Sent::failed("it is for no mail address, or for none that can be read");
        }
        let message = match self.render(outgoing, mailboxes, mail) {
            Ok(message) => message,
            Err(reason) => return Sent::failed(reason),
        };
        let deadline = Instant::now() + self.options.timeout;
        let (mut connection, refused) = match timeout_at(deadline, self.open(&message)).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(early)) => return early.into(),
            Err(_late) => return Sent::retry("the mail server did not answer in time", 0),
        };
        match timeout_at(deadline, connection.message(&message.formatted())).await {
            Ok(Ok(reply)) => {
                // The receipt is in hand: a server that does not say goodbye changes nothing.
                let _farewell = timeout(QUIT_TIMEOUT, connection.quit()).await;
                let receipt = receipt(&reply);
                Sent::done(match refused + unreadable {
                    0 => receipt,
                    passed_over => format!("{receipt}; {passed_over} of {} mailboxes refused", to.len()),
                })
            }
            Ok(Err(error)) if error.status().is_some() => Early::Message(error).into(),
            Ok(Err(error)) => Sent::unknown(format!("the mail server hung up: {}", chain(&error)), 0),
            Err(_late) => Sent::unknown("the mail server did not confirm in time", 0),
        }
    }

    /// Opens a session and leads it up to the server's go-ahead for the text. Gives how many mailboxes the server refuses for
    /// ever, too: they are passed over while somebody is left, for a list of addresses has no other channel to fall over to.
    async fn open(&self, message: &Message) -> Result<(AsyncSmtpConnection, usize), Early> {
        let Self { options, tls, .. } = self;
        let hello = ClientId::default();
        let implicit = tls.clone().filter(|_| options.security == Security::Implicit);
        let server = (options.host.as_str(), options.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(options.timeout), &hello, implicit, None)
                .await
                .map_err(Early::Session)?;
        if let (Security::StartTls, Some(tls)) = (options.security, tls.clone()) {
            connection.starttls(tls, &hello).await.map_err(Early::Session)?;
        }
        if let Some((user, password)) = options.login.clone() {
            let credentials = Credentials::new(user, password);
            connection
                .auth(DEFAULT_MECHANISMS, &credentials)
                .await
                .map_err(Early::Session)?;
        }
        let envelope = message.envelope();
        let mut parameters = Vec::new();
        if !envelope
            .to()
            .iter()
            .chain(envelope.from())
            .all(|address| AsRef::<str>::as_ref(address).is_ascii())
        {
            parameters.push(MailParameter::SmtpUtfEight);
        }
        connection
            .command(Mail::new(envelope.from().cloned(), parameters))
            .await
            .map_err(Early::Message)?;
        let mut refusals = Vec::new();
        for to in envelope.to() {
            match connection.command(Rcpt::new(to.clone(), Vec::new())).await {
                Ok(_) => {}
                Err(error) if error.is_permanent() => refusals.push(error),
                // Nothing was sent to anybody yet: the next attempt reaches all of them.
                Err(error) => return Err(Early::Message(error)),
            }
        }
        let refused = refusals.len();
        if let (true, Some(refusal)) = (refused == envelope.to().len(), refusals.pop()) {
            return Err(Early::Message(refusal));
        }
        connection.command(Data).await.map_err(Early::Message)?;
        Ok((connection, refused))
    }

    /// The mail. Its `Message-ID` comes from the effect's key, so that a repetition is recognised; mails about one
    /// incident refer to one id, so that mail clients show them together.
    fn render(&self, outgoing: &Outgoing<'_>, to: Vec<Mailbox>, mail: Letter) -> Result<Message, String> {
        let domain = self.from.email.domain();
        let id = |text: &str| format!("<{:.32}@{domain}>", Digest::of(text.as_bytes()).to_string());
        let mut builder = Message::builder()
            .from(self.from.clone())
            .date(
                SystemTime::try_from(outgoing.at)
                    .map_err(|error| format!("the mail cannot be dated: {error}"))?,
            )
            .message_id(Some(id(outgoing.key)))
            .subject(mail.subject)
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("X-Mainstay-Key", outgoing.key));
        for to in to {
            builder = builder.to(to);
        }
        if let Some(incident) = &outgoing.deliver.message.incident {
            let thread = id(&format!("incident {incident}"));
            builder = builder.in_reply_to(thread.clone()).references(thread);
        }
        if let Some(mark) = wording::duplicate(outgoing) {
            builder = builder.raw_header(header("X-Mainstay-Notice", &mark));
        }
        for (name, value) in mail.headers {
            let name =
                HeaderName::new_from_ascii(name).map_err(|_| "a header's name that is none".to_owned())?;
            let value = value.chars().map(|c| if c.is_control() { ' ' } else { c });
            builder = builder.raw_header(HeaderValue::new(name, value.collect()));
        }
        match (mail.text, mail.html) {
            (Some(text), Some(html)) => builder.multipart(MultiPart::alternative_plain_html(text, html)),
            (None, Some(html)) => builder.header(ContentType::TEXT_HTML).body(html),
            (text, None) => builder
                .header(ContentType::TEXT_PLAIN)
                .body(text.unwrap_or_default()),
        }
        .map_err(|error| format!("the mail cannot be built: {error}"))
    }
}

impl From<Early> for Sent {
    fn from(early: Early) -> Self {
        match early {
            Early::Message(error) if error.is_permanent() => Self::failed(without_addresses(&chain(&error))),
            Early::Message(error) => Self::retry(without_addresses(&chain(&error)), 0),
            Early::Session(error) => {
                Self::retry(format!("no session with the mail server: {}", chain(&error)), 0)
            }
        }
    }
}

/// TLS to `host`, by the public authorities and those in `trust`.
fn tls(host: &str, trust: Option<&[u8]>) -> Result<TlsParameters, ChannelError> {
    let failed = |error: Error| ChannelError::Tls(chain(&error));
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(pem) = trust {
        builder = builder.add_root_certificate(Certificate::from_pem(pem).map_err(failed)?);
    }
    builder.build().map_err(failed)
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    let value = value
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

/// A server's words without mail addresses: reasons are kept for ever, addresses are not.
fn without_addresses(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.contains('@') {
        true => "(address)",
        false => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The server's reply on one line: `250 2.0.0 queued as 4F1A`.
fn receipt(reply: &Response) -> String {
    let lines: Vec<_> = reply.message().collect();
    let words = without_addresses(&lines.join(" "));
    wording::cut(&format!("{} {words}", reply.code()), 500)
        .trim_end()
        .to_owned()
}
