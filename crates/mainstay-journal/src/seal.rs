//! Personal fields under keys that can be destroyed (crypto-shredding): ChaCha20-Poly1305 (RFC 8439), one key per data
//! subject, a fresh nonce per event. The event's id is bound in as associated data, so sealed fields cannot be moved.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use mainstay_kernel::{Entropy, EventId};

use crate::envelope::{Personal, PersonalFields};
use crate::store::JournalError;

/// A data subject's key.
#[derive(Clone, PartialEq, Eq)]
pub struct SubjectKey(pub [u8; 32]);

impl SubjectKey {
    /// A new key.
    pub fn generate(entropy: &(impl Entropy + ?Sized)) -> Self {
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        Self(bytes)
    }
}

impl std::fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SubjectKey(secret)")
    }
}

const NONCE_BYTES: usize = 12;

/// Encrypts the fields of `event`: nonce, then ciphertext.
///
/// # Errors
/// If the fields cannot be encrypted.
pub fn seal(
    key: &SubjectKey,
    event: EventId,
    personal: &PersonalFields,
    entropy: &(impl Entropy + ?Sized),
) -> Result<Vec<u8>, JournalError> {
    let mut nonce = [0; NONCE_BYTES];
    entropy.fill(&mut nonce);
    let plain =
        serde_json::to_vec(&personal.fields).map_err(|error| JournalError::Storage(error.to_string()))?;
    let cipher = ChaCha20Poly1305::new(&Key::from(key.0));
    let ciphertext = cipher
        .encrypt(
            &Nonce::from(nonce),
            Payload {
                msg: &plain,
                aad: &event.to_bytes(),
            },
        )
        .map_err(|_| JournalError::Storage("personal fields cannot be encrypted".to_owned()))?;
    Ok([&nonce[..], &ciphertext].concat())
}

/// Decrypts what [`seal`] made; without a key the fields are gone.
///
/// # Errors
/// If the bytes are not what was sealed for this event.
pub fn open(
    key: Option<&SubjectKey>,
    event: EventId,
    subject: &str,
    sealed: &[u8],
) -> Result<Personal, JournalError> {
    if sealed.is_empty() {
        return Ok(Personal::None);
    }
    let Some(key) = key else {
        return Ok(Personal::Erased);
    };
    let damaged = || JournalError::Corrupt {
        place: format!("personal fields of event {event}"),
        reason: "they do not decrypt under their subject's key".to_owned(),
    };
    let (nonce, ciphertext) = sealed.split_at_checked(NONCE_BYTES).ok_or_else(damaged)?;
    let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| damaged())?;
    let cipher = ChaCha20Poly1305::new(&Key::from(key.0));
    let plain = cipher
        .decrypt(
            &Nonce::from(nonce),
            Payload {
                msg: ciphertext,
                aad: &event.to_bytes(),
            },
        )
        .map_err(|_| damaged())?;
    let fields = serde_json::from_slice(&plain).map_err(|_| damaged())?;
    Ok(Personal::Present(PersonalFields {
        subject: subject.to_owned(),
        fields,
    }))
}
