//! The SMTP side of the inbox (RFC 5321): enough for any client that wants to hand over mail, nothing to relay it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::faults::SmtpFault;
use super::mail::Mail;
use super::store::{Draft, Via};
use super::{MESSAGE_MAX_BYTES, Shared};

/// The most connections at a time.
const CONNECTIONS_MAX: usize = 64;
/// The longest command line, in bytes (RFC 5321 asks for 512).
const LINE_MAX_BYTES: usize = 2_048;
/// The most recipients of one mail (RFC 5321 asks for 100).
const RECIPIENTS_MAX: usize = 100;
/// What is offered; the size is [`MESSAGE_MAX_BYTES`].
const EHLO: &str = "250-localhost\r\n250-SIZE 1048576\r\n250-8BITMIME\r\n250 SMTPUTF8";
/// How long a client may be silent.
const IDLE: Duration = Duration::from_secs(60);

/// Takes connections until dropped; dropping ends the sessions too.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    let mut sessions = JoinSet::new();
    loop {
        let (mut stream, _peer) = listener.accept().await?;
        while sessions.try_join_next().is_some() {}
        if sessions.len() >= CONNECTIONS_MAX {
            // A client that is gone already does not mind that it is not told.
            let _told = stream
                .write_all(b"421 too many connections, try again later\r\n")
                .await;
            continue;
        }
        let shared = Arc::clone(&shared);
        sessions.spawn(async move {
            if let Err(error) = session(stream, shared).await {
                tracing::debug!(%error, "an SMTP session broke off");
            }
        });
    }
}

/// The mail that a session is about to hand over.
#[derive(Default)]
struct Envelope {
    from: Option<String>,
    to: Vec<String>,
}

async fn session(mut stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let delay = Duration::from_millis(shared.faults().delay_ms);
    match shared.faults().smtp {
        SmtpFault::Refuse => return Ok(()),
        SmtpFault::Delay => sleep(delay).await,
        _ => {}
    }
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader);
    reply(&mut writer, "220 localhost Mainstay inbox").await?;
    let mut envelope = Envelope::default();
    loop {
        let mut line = Vec::new();
        let limit = (LINE_MAX_BYTES + 1) as u64;
        match timeout(IDLE, (&mut reader).take(limit).read_until(b'\n', &mut line)).await {
            Err(_silent) => return reply(&mut writer, "421 idle for too long").await,
            Ok(read) => match read? {
                0 => return Ok(()),
                length if length > LINE_MAX_BYTES => return reply(&mut writer, "500 line too long").await,
                _ => {}
            },
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim();
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "QUIT" => return reply(&mut writer, "221 2.0.0 bye").await,
            "DATA" if envelope.to.is_empty() => reply(&mut writer, "503 5.5.1 RCPT first").await?,
            "DATA" => {
                reply(&mut writer, "354 end with a line that has only a dot").await?;
                let Ok(data) = timeout(IDLE, read_data(&mut reader)).await else {
                    return reply(&mut writer, "421 idle for too long").await;
                };
                match data? {
                    Some(data) => match take(&shared, std::mem::take(&mut envelope), &data).await {
                        Some(answer) => reply(&mut writer, &answer).await?,
                        None => return Ok(()),
                    },
                    None => reply(&mut writer, "552 5.3.4 message too large").await?,
                }
            }
            verb => {
                reply(
                    &mut writer,
                    command(&mut envelope, shared.faults().smtp, verb, rest),
                )
                .await?
            }
        }
    }
}

/// The reply to a command that needs nothing but the envelope.
fn command(envelope: &mut Envelope, fault: SmtpFault, verb: &str, rest: &str) -> &'static str {
    match (verb, fault) {
        ("EHLO", _) => {
            *envelope = Envelope::default();
            EHLO
        }
        ("HELO", _) => {
            *envelope = Envelope::default();
            "250 localhost"
        }
        ("MAIL", _) => mail_from(envelope, rest),
        ("RCPT", SmtpFault::Temporary) => "451 4.3.0 try again later",
        ("RCPT", SmtpFault::Permanent) => "550 5.1.1 no such mailbox",
        ("RCPT", _) => rcpt_to(envelope, rest),
        ("RSET", _) => {
            *envelope = Envelope::default();
            "250 2.0.0 ok"
        }
        ("NOOP", _) => "250 2.0.0 ok",
        ("VRFY", _) => "252 2.5.0 send some mail and see",
        ("STARTTLS" | "AUTH" | "EXPN" | "HELP", _) => "502 5.5.1 not offered",
        _ => "500 5.5.1 unknown command",
    }
}

fn mail_from(envelope: &mut Envelope, rest: &str) -> &'static str {
    match path(rest, "FROM:") {
        Some(from) => {
            *envelope = Envelope {
                from: Some(from),
                to: Vec::new(),
            };
            "250 2.1.0 ok"
        }
        None => "501 5.5.4 expected MAIL FROM:<address>",
    }
}

fn rcpt_to(envelope: &mut Envelope, rest: &str) -> &'static str {
    if envelope.from.is_none() {
        return "503 5.5.1 MAIL first";
    }
    if envelope.to.len() >= RECIPIENTS_MAX {
        return "452 4.5.3 too many recipients";
    }
    match path(rest, "TO:") {
        Some(to) if !to.is_empty() => {
            envelope.to.push(to);
            "250 2.1.5 ok"
        }
        _ => "501 5.5.4 expected RCPT TO:<address>",
    }
}

/// The address in `FROM:<address> parameters`.
fn path(rest: &str, keyword: &str) -> Option<String> {
    let start = rest.get(..keyword.len())?;
    let (address, _parameters) = rest[keyword.len()..]
        .trim_start()
        .strip_prefix('<')?
        .split_once('>')?;
    start.eq_ignore_ascii_case(keyword).then(|| address.to_owned())
}

/// Reads up to the line with only a dot, taking away the dots that the client doubled. `None` if it is too large.
async fn read_data(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut data = Vec::new();
    let mut too_large = false;
    let mut at_line_start = true;
    loop {
        let mut piece = Vec::new();
        if (&mut *reader)
            .take(LINE_MAX_BYTES as u64)
            .read_until(b'\n', &mut piece)
            .await?
            == 0
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if at_line_start && matches!(piece.as_slice(), b".\r\n" | b".\n") {
            return Ok((!too_large).then_some(data));
        }
        let text = if at_line_start {
            piece.strip_prefix(b".").unwrap_or(&piece)
        } else {
            &piece
        };
        too_large |= data.len() + text.len() > MESSAGE_MAX_BYTES;
        if !too_large {
            data.extend_from_slice(text);
        }
        at_line_start = piece.ends_with(b"\n");
    }
}

/// Keeps the mail and returns the reply; `None` closes the connection without one.
async fn take(shared: &Arc<Shared>, envelope: Envelope, data: &[u8]) -> Option<String> {
    let mail = Mail::parse(data);
    let draft = Draft {
        via: Via::Email,
        from: envelope.from,
        to: envelope.to,
        channel: None,
        subject: mail.header("Subject").unwrap_or_default(),
        message_id: mail.header("Message-ID"),
        labelled_duplicate: mail
            .header("X-Mainstay-Notice")
            .is_some_and(|notice| notice.contains("duplicate")),
        text: mail.text(),
    };
    let kept = shared.keep(draft).await;
    let faults = shared.faults();
    match faults.smtp {
        SmtpFault::LostReply => return None,
        SmtpFault::LateReply => sleep(Duration::from_millis(faults.delay_ms)).await,
        _ => {}
    }
    Some(match kept {
        Ok(seq) => format!("250 2.0.0 kept as {seq}"),
        Err(error) => {
            tracing::warn!(%error, "a mail was not kept");
            "452 4.3.1 cannot keep it now".to_owned()
        }
    })
}

async fn reply(writer: &mut (impl AsyncWrite + Unpin), text: &str) -> io::Result<()> {
    writer.write_all(format!("{text}\r\n").as_bytes()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_offered_is_the_size_taken() {
        assert!(EHLO.contains(&format!("SIZE {MESSAGE_MAX_BYTES}\r\n")));
    }

    #[tokio::test]
    async fn doubled_dots_are_taken_away_at_line_starts_only() {
        let mut input: &[u8] = b"..a\r\nb.c\r\n..\r\n.\r\nQUIT\r\n";
        let data = read_data(&mut input).await.expect("reads").expect("is small");
        assert_eq!(data, b".a\r\nb.c\r\n.\r\n");
        assert_eq!(input, b"QUIT\r\n");
    }

    #[tokio::test]
    async fn a_long_line_with_a_dot_in_the_middle_stays_whole() {
        let mut input = vec![b'x'; LINE_MAX_BYTES];
        input.extend_from_slice(b".\r\n.\r\n");
        let data = read_data(&mut input.as_slice())
            .await
            .expect("reads")
            .expect("is small");
        assert_eq!(data, &input[..LINE_MAX_BYTES + 3]);
    }

    #[tokio::test]
    async fn a_mail_over_the_limit_is_read_to_its_end_and_dropped() {
        let mut input = b"0123456\n".repeat(MESSAGE_MAX_BYTES / 8 + 1);
        input.extend_from_slice(b".\r\nNOOP\r\n");
        let mut input = input.as_slice();
        assert!(read_data(&mut input).await.expect("reads").is_none());
        assert_eq!(input, b"NOOP\r\n");
    }

    #[test]
    fn paths_need_brackets_and_keep_no_parameters() {
        assert_eq!(path("FROM:<a@b> SIZE=3", "FROM:").as_deref(), Some("a@b"));
        assert_eq!(path("to: <a@b>", "TO:").as_deref(), Some("a@b"));
        assert_eq!(path("FROM:<>", "FROM:").as_deref(), Some(""));
        assert_eq!(path("FROM:a@b", "FROM:"), None);
        assert_eq!(path("Ω", "FROM:"), None);
    }
}
