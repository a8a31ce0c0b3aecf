//! Signatures on what leaves Mainstay and must be believed without it: answers of the gate, editions of reports.
//!
//! Ed25519 (RFC 8032). The key is made at the first start and stays in the data directory, readable by its owner only; the
//! public key is no secret: who verifies later, offline, keeps a copy of it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mainstay_kernel::Entropy;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

/// The key's file in the data directory: the seed of 32 bytes, as base64 on one line.
pub const KEY_FILE: &str = "signing.key";
const SEED_BYTES: usize = 32;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The file cannot be read or written.
    #[error("{file}: {source}")]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file holds no key.
    #[error(
        "{file} holds no signing key: restore it from a backup, or move it away for a new key, which \
         earlier copies of the public key will not verify"
    )]
    NoKey {
        /// The file.
        file: PathBuf,
    },
}

/// The key that signs.
pub struct SigningKey {
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public()).finish()
    }
}

/// The key that verifies; no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

impl SigningKey {
    /// The key of a data directory, made where there is none.
    ///
    /// # Errors
    /// If its file cannot be read or written, or holds no key.
    pub fn open(dir: &Path, entropy: &dyn Entropy) -> Result<Self, SigningError> {
        let file = dir.join(KEY_FILE);
        let failed = |source| SigningError::File {
            file: file.clone(),
            source,
        };
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut seed = [0; SEED_BYTES];
                entropy.fill(&mut seed);
                let text = BASE64.encode(seed);
                write_secret(&file, &text).map_err(failed)?;
                text
            }
            Err(error) => return Err(failed(error)),
        };
        let seed = BASE64.decode(text.trim()).ok();
        seed.and_then(|seed| Ed25519KeyPair::from_seed_unchecked(&seed).ok())
            .map(|pair| Self { pair })
            .ok_or(SigningError::NoKey { file })
    }

    /// Signs; the signature as base64.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> String {
        BASE64.encode(self.pair.sign(message))
    }

    /// What verifies its signatures.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.pair.public_key().as_ref().to_owned())
    }
}

/// On the disk before it is used, and for nobody else to read.
fn write_secret(file: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(file)?;
    writeln!(out, "{text}")?;
    out.sync_all()
}

impl PublicKey {
    /// Reads a key as [`PublicKey`] prints it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text.trim()).ok()?;
        (bytes.len() == SEED_BYTES).then_some(Self(bytes))
    }

    /// Whether `signature` (base64) is of `message` and of this key.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let Ok(signature) = BASE64.decode(signature.trim()) else {
            return false;
        };
        UnparsedPublicKey::new(&ED25519, &self.0)
            .verify(message, &signature)
            .is_ok()
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&BASE64.encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use mainstay_kernel::testing::SeededEntropy;

    use super::*;

    #[test]
    fn a_signature_is_of_one_message_and_one_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let key = SigningKey::open(dir.path(), &SeededEntropy::new(1)).expect("a key");
        let again = SigningKey::open(dir.path(), &SeededEntropy::new(2)).expect("the same key");
        assert_eq!(key.public(), again.public());
        let signature = key.sign(b"allow");
        let public = PublicKey::parse(&key.public().to_string()).expect("a key");
        assert!(public.verifies(b"allow", &signature));
        assert!(!public.verifies(b"refuse", &signature));
        assert!(!public.verifies(b"allow", "bm8="));
        let other = tempfile::tempdir().expect("a directory");
        let other = SigningKey::open(other.path(), &SeededEntropy::new(3)).expect("another key");
        assert!(!other.public().verifies(b"allow", &signature));
        assert!(
            !format!("{key:?}").contains(
                std::fs::read_to_string(dir.path().join(KEY_FILE))
                    .expect("a file")
                    .trim()
            )
        );
    }

    #[test]
    fn a_file_that_holds_no_key_is_said_and_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join(KEY_FILE), "not a key").expect("written");
        let opened = SigningKey::open(dir.path(), &SeededEntropy::new(1));
        assert!(matches!(opened, Err(SigningError::NoKey { .. })));
    }
}
