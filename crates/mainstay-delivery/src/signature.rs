//! Signatures by a shared secret: those of others over what they send, and ours over webhooks.
//!
//! All comparisons take the same time whatever the signature is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use ring::hmac;

/// How old or how far ahead a signed request may be, in seconds.
const SKEW_MAX_S: i64 = 300;

/// Why a signature is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is not there, or not in its form.
    #[error("no signature that can be read")]
    Malformed,
    /// It was made too long ago, or by a clock that is ahead.
    #[error("signed more than five minutes from now")]
    Stale,
    /// Its time is over.
    #[error("its time is over")]
    Expired,
    /// It does not belong to this secret and this content.
    #[error("the signature does not fit")]
    Wrong,
    /// It was told before.
    #[error("it was told before")]
    Repeated,
}

impl SignatureError {
    /// One word for it, for counters.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Stale => "stale",
            Self::Expired => "expired",
            Self::Wrong => "wrong",
            Self::Repeated => "repeated",
        }
    }
}

/// The value of the header `Mainstay-Signature`: `t=SECONDS,v1=HEX`, where `HEX` is HMAC-SHA256 over `SECONDS.BODY`.
#[must_use]
pub fn webhook(secret: &str, at: Timestamp, body: &[u8]) -> String {
    let seconds = at.as_second();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{seconds}.").as_bytes());
    context.update(body);
    format!("t={seconds},v1={}", hex(context.sign().as_ref()))
}

/// Whether `signature`, the value of `Mainstay-Signature`, is that of [`webhook`] over `body`, and not old.
///
/// # Errors
/// Why not.
pub fn verify_webhook(
    secret: &str,
    signature: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<(), SignatureError> {
    let (seconds, given) = signature
        .strip_prefix("t=")
        .and_then(|rest| rest.split_once(",v1="))
        .ok_or(SignatureError::Malformed)?;
    let signed_s: i64 = seconds.parse().map_err(|_| SignatureError::Malformed)?;
    let given = unhex(given).ok_or(SignatureError::Malformed)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut signed = format!("{seconds}.").into_bytes();
    signed.extend_from_slice(body);
    hmac::verify(&key, &signed, &given).map_err(|_| SignatureError::Wrong)?;
    fresh(signed_s, now)
}

/// Whether what was made at that second is not old, and not of a clock that is ahead.
pub(crate) fn fresh(made_s: i64, now: Timestamp) -> Result<(), SignatureError> {
    match now.as_second().abs_diff(made_s) > SKEW_MAX_S.unsigned_abs() {
        true => Err(SignatureError::Stale),
        false => Ok(()),
    }
}

/// Whether `signature` is that of Twilio over a callback: HMAC-SHA1 over the URL and the sorted fields of the form, as
/// base64 in `X-Twilio-Signature`.
///
/// # Errors
/// Why not.
pub fn twilio(
    auth_token: &str,
    url: &str,
    fields: &[(String, String)],
    signature: &str,
) -> Result<(), SignatureError> {
    let given = STANDARD
        .decode(signature.trim())
        .map_err(|_| SignatureError::Malformed)?;
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let text = twilio_text(url, &fields);
    hmac::verify(&twilio_key(auth_token), text.as_bytes(), &given).map_err(|_| SignatureError::Wrong)
}

/// The value of `X-Twilio-Signature` over a callback.
pub(crate) fn twilio_of(auth_token: &str, url: &str, fields: &[(&str, &str)]) -> String {
    let text = twilio_text(url, fields);
    STANDARD.encode(hmac::sign(&twilio_key(auth_token), text.as_bytes()))
}

fn twilio_key(auth_token: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, auth_token.as_bytes())
}

fn twilio_text(url: &str, fields: &[(&str, &str)]) -> String {
    let mut sorted = fields.to_vec();
    sorted.sort_unstable();
    let parts = sorted.into_iter().flat_map(|(name, value)| [name, value]);
    std::iter::once(url).chain(parts).collect()
}

/// Whether `signature` is that of Slack over a request: HMAC-SHA256 over `v0:TIMESTAMP:BODY`, as `v0=HEX` in
/// `X-Slack-Signature`, where the timestamp is that of `X-Slack-Request-Timestamp`.
///
/// # Errors
/// Why not.
pub fn slack(
    signing_secret: &str,
    timestamp: &str,
    body: &[u8],
    signature: &str,
    now: Timestamp,
) -> Result<(), SignatureError> {
    let seconds: i64 = timestamp.parse().map_err(|_| SignatureError::Malformed)?;
    fresh(seconds, now)?;
    let given = signature
        .strip_prefix("v0=")
        .and_then(unhex)
        .ok_or(SignatureError::Malformed)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, signing_secret.as_bytes());
    let mut signed = format!("v0:{timestamp}:").into_bytes();
    signed.extend_from_slice(body);
    hmac::verify(&key, &signed, &given).map_err(|_| SignatureError::Wrong)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_believed_with_its_secret_its_content_and_its_time() {
        let at = Timestamp::from_second(1_531_420_618).expect("an instant");
        let later = |s| {
            at.saturating_add(jiff::SignedDuration::from_secs(s))
                .expect("later")
        };
        let signature = webhook("secret", at, b"{}");
        let check = |secret, body: &[u8], now| verify_webhook(secret, &signature, body, now);
        assert_eq!(check("secret", b"{}", later(300)), Ok(()));
        assert_eq!(check("secret", b"{}", later(301)), Err(SignatureError::Stale));
        assert_eq!(check("secret", b"{} ", at), Err(SignatureError::Wrong));
        assert_eq!(check("secrets", b"{}", at), Err(SignatureError::Wrong));
        let moved = signature.replace("t=1531420618", "t=1531420619");
        assert_eq!(
            verify_webhook("secret", &moved, b"{}", at),
            Err(SignatureError::Wrong)
        );
        for malformed in ["", "t=1", "t=x,v1=00", "t=1,v1=0", "v1=00,t=1"] {
            let checked = verify_webhook("secret", malformed, b"{}", at);
            assert_eq!(checked, Err(SignatureError::Malformed), "{malformed}");
        }
    }

    /// The example of Twilio's own documentation.
    #[test]
    fn twilios_published_example_is_believed_and_nothing_else() {
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        let fields = |digits: &str| {
            [
                ("CallSid", "CA1234567890ABCDE"),
                ("Digits", digits),
                ("From", "+14158675309"),
                ("To", "+18005551212"),
                ("Caller", "+14158675309"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        let check = |token, url, digits, signature| twilio(token, url, &fields(digits), signature);
        let signature = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
        assert_eq!(check("12345", url, "1234", signature), Ok(()));
        assert_eq!(check("12345", url, "1235", signature), Err(SignatureError::Wrong));
        assert_eq!(check("12346", url, "1234", signature), Err(SignatureError::Wrong));
        assert_eq!(
            check(
                "12345",
                "https://mycompany.com/myapp.php?foo=1",
                "1234",
                signature
            ),
            Err(SignatureError::Wrong)
        );
        assert_eq!(check("12345", url, "1234", ""), Err(SignatureError::Wrong));
        assert_eq!(check("12345", url, "1234", "?"), Err(SignatureError::Malformed));
    }

    /// The example of Slack's own documentation.
    #[test]
    fn slacks_published_example_is_believed_within_five_minutes() {
        let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&\
                    channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&\
                    command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2F\
                    T1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&\
                    trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
        let check = |late_s: i64, body: &str, signature: &str| {
            let now = Timestamp::from_second(1_531_420_618 + late_s).expect("an instant");
            slack(
                "8f742231b10e8888abcd99yyyzzz85a5",
                "1531420618",
                body.as_bytes(),
                signature,
                now,
            )
        };
        assert_eq!(check(0, body, signature), Ok(()));
        assert_eq!(check(300, body, signature), Ok(()));
        assert_eq!(check(-300, body, signature), Ok(()));
        assert_eq!(check(301, body, signature), Err(SignatureError::Stale));
        assert_eq!(check(-301, body, signature), Err(SignatureError::Stale));
        assert_eq!(
            check(0, &format!("{body}&"), signature),
            Err(SignatureError::Wrong)
        );
        assert_eq!(check(0, body, "v0=a2"), Err(SignatureError::Wrong));
        assert_eq!(check(0, body, "v0=a"), Err(SignatureError::Malformed));
        assert_eq!(check(0, body, "v0=ää"), Err(SignatureError::Malformed));
        assert_eq!(check(0, body, "a211"), Err(SignatureError::Malformed));
    }
}
