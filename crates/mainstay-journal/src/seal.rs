//! Personal fields under keys that can be destroyed (crypto-shredding): ChaCha20-Poly1305 (RFC 8439), one key per data
//! subject, a fresh nonce per event. The event's id is bound in as associated data, so sealed fields cannot be moved.
//!
//! Sealed bytes are: the key's id (16 bytes), the nonce (12 bytes), the ciphertext with its tag. The subject's handle is
//! inside the ciphertext too. The key's id keeps a subject who comes back after erasure (and so gets a new key) apart
//! from the one who was erased.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use mainstay_kernel::{Entropy, EventId};

use crate::envelope::{Personal, PersonalFields};
use crate::store::JournalError;

const KEY_ID_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;

/// The name of a key. Random: it says nothing about the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(pub [u8; KEY_ID_BYTES]);

impl KeyId {
    /// The key that `sealed` needs; `None` where there is nothing sealed.
    #[must_use]
    pub fn of_sealed(sealed: &[u8]) -> Option<Self> {
        sealed.first_chunk().copied().map(Self)
    }
}

/// A data subject's key.
#[derive(Clone, PartialEq, Eq)]
pub struct SubjectKey {
    /// Its name, which sealed fields carry.
    pub id: KeyId,
    /// The secret itself.
    pub secret: [u8; 32],
}

impl SubjectKey {
    /// A new key.
    pub fn generate(entropy: &(impl Entropy + ?Sized)) -> Self {
        let mut key = Self {
            id: KeyId([0; KEY_ID_BYTES]),
            secret: [0; 32],
        };
        entropy.fill(&mut key.id.0);
        entropy.fill(&mut key.secret);
        key
    }
}

impl std::fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SubjectKey({:02x?}, secret)", self.id.0)
    }
}

/// Encrypts the fields of `event`.
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
    let plain = serde_json::to_vec(personal).map_err(|error| JournalError::Storage(error.to_string()))?;
    let cipher = ChaCha20Poly1305::new(&Key::from(key.secret));
    let ciphertext = cipher
        .encrypt(
            &Nonce::from(nonce),
            Payload {
                msg: &plain,
                aad: &event.to_bytes(),
            },
        )
        .map_err(|_| JournalError::Storage("personal fields cannot be encrypted".to_owned()))?;
    Ok([&key.id.0[..], &nonce[..], &ciphertext].concat())
}

/// Decrypts what [`seal`] made. `key` is the one that [`KeyId::of_sealed`] names; without it the fields are gone.
///
/// # Errors
/// If the bytes are not what was sealed for this event.
pub fn open(key: Option<&SubjectKey>, event: EventId, sealed: &[u8]) -> Result<Personal, JournalError> {
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
    let (nonce, ciphertext) = sealed
        .get(KEY_ID_BYTES..)
        .and_then(<[u8]>::split_first_chunk::<NONCE_BYTES>)
        .ok_or_else(damaged)?;
    let plain = ChaCha20Poly1305::new(&Key::from(key.secret))
        .decrypt(
            &Nonce::from(*nonce),
            Payload {
                msg: ciphertext,
                aad: &event.to_bytes(),
            },
        )
        .map_err(|_| damaged())?;
    serde_json::from_slice(&plain)
        .map(Personal::Present)
        .map_err(|_| damaged())
}
