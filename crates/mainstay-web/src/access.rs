//! Who may come in: nobody is asked on loopback, everybody beyond it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use mainstay_kernel::principal::Tenants;
use mainstay_kernel::{Actor, Digest, PersonId, Principal, Role, TenantId};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq as _;

/// The largest tokens file, in bytes.
pub const TOKENS_FILE_MAX_BYTES: usize = 1 << 20;

/// How callers prove who they are.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Not at all: whoever reaches the socket is the administrator `local`. Only for loopback; see [`check_bind`].
    Open,
    /// By a token of the tokens file.
    Tokens(Tokens),
}

/// The accounts of a tokens file:
///
/// ```yaml
/// tokens:
///   - name: ada-laptop          # unique; shown in the journal where no person is named
///     person: ada               # optional: on whose behalf it acts
///     role: responder           # viewer, responder or admin
///     tenants: all              # or a list: [std-001, std-002]
///     sha256: 9f86d081884c7d65… # of the token: `openssl rand -hex 32 | tee token | tr -d '\n' | sha256sum`
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    tokens: Vec<Account>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    name: String,
    #[serde(default)]
    person: Option<PersonId>,
    role: Role,
    tenants: AllOrSome,
    sha256: Digest,
}

#[derive(Debug, Clone)]
struct AllOrSome(Tenants);

impl<'de> Deserialize<'de> for AllOrSome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AllOrList;
        impl<'de> Visitor<'de> for AllOrList {
            type Value = AllOrSome;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`all` or a list of tenants")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<AllOrSome, E> {
                match text {
                    "all" => Ok(AllOrSome(Tenants::All)),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<AllOrSome, A::Error> {
                let mut tenants = BTreeSet::new();
                while let Some(tenant) = list.next_element::<TenantId>()? {
                    tenants.insert(tenant);
                }
                Ok(AllOrSome(Tenants::Only(tenants)))
            }
        }
        deserializer.deserialize_any(AllOrList)
    }
}

/// Why a tokens file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// It is too large.
    #[error("{path}: has more than {TOKENS_FILE_MAX_BYTES} bytes")]
    TooLarge {
        /// The file.
        path: String,
    },
    /// It is not a tokens file.
    #[error("{path}:{line}:{column}: {problem}")]
    Document {
        /// The file.
        path: String,
        /// Where, from 1.
        line: u64,
        /// Where, from 1.
        column: u64,
        /// What is wrong.
        problem: String,
    },
    /// It names no token, so that nobody could come in.
    #[error(
        "{path}: names no token, so nobody could sign in; add one, or serve on loopback without the file"
    )]
    Empty {
        /// The file.
        path: String,
    },
    /// Two tokens bear one name or one digest.
    #[error("{path}: token {name:?} is there twice, by name or by sha256; give each its own")]
    Twice {
        /// The file.
        path: String,
        /// The token.
        name: String,
    },
}

impl Tokens {
    /// Reads the text of a tokens file; `path` is only for messages.
    ///
    /// # Errors
    /// If it is not a tokens file; the error says where and how to mend it.
    pub fn parse(path: &str, text: &str) -> Result<Self, TokensError> {
        let path = path.to_owned();
        if text.len() > TOKENS_FILE_MAX_BYTES {
            return Err(TokensError::TooLarge { path });
        }
        let tokens: Self = match serde_saphyr::from_str(text) {
            Ok(tokens) => tokens,
            Err(error) => {
                let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
                return Err(TokensError::Document {
                    path,
                    line,
                    column,
                    problem: error.without_snippet().to_string(),
                });
            }
        };
        if tokens.tokens.is_empty() {
            return Err(TokensError::Empty { path });
        }
        let mut names = BTreeSet::new();
        let mut digests = BTreeSet::new();
        for account in &tokens.tokens {
            if !(names.insert(&account.name) && digests.insert(account.sha256)) {
                return Err(TokensError::Twice {
                    path,
                    name: account.name.clone(),
                });
            }
        }
        Ok(tokens)
    }

    /// Whose token this is. Looks at every account and at every byte, so that the time it takes tells nothing.
    #[must_use]
    pub fn principal(&self, token: &str) -> Option<Principal> {
        let digest = Digest::of(token.as_bytes());
        let mut found = None;
        for account in &self.tokens {
            if bool::from(account.sha256.0.ct_eq(&digest.0)) {
                found = Some(account);
            }
        }
        found.map(Account::principal)
    }
}

impl Account {
    fn principal(&self) -> Principal {
        let actor = match &self.person {
            Some(person) => Actor::person(person.as_str()),
            None => Actor::token(&self.name),
        };
        Principal {
            actor,
            role: self.role,
            tenants: self.tenants.0.clone(),
        }
    }
}

/// Who everybody is where nobody is asked.
#[must_use]
pub fn local_admin() -> Principal {
    Principal {
        actor: Actor::person("local"),
        role: Role::Admin,
        tenants: Tenants::All,
    }
}

/// Serving there would let strangers in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "refusing to listen on {addr} without authentication: whoever reaches it could acknowledge pages and roll back \
     services\n  help: pass a tokens file, or listen on loopback, such as 127.0.0.1:{port}", port = .addr.port()
)]
pub struct BindRefused {
    /// Where it would have listened.
    pub addr: SocketAddr,
}

/// Whether `addr` may be listened on. Call it before binding.
///
/// # Errors
/// If the address is reachable from beyond this machine and nobody would be asked who they are.
pub fn check_bind(addr: SocketAddr, auth: &Auth) -> Result<(), BindRefused> {
    let loopback = match addr.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip
            .to_ipv4_mapped()
            .map_or(ip.is_loopback(), |ip| ip.is_loopback()),
    };
    match auth {
        Auth::Open if !loopback => Err(BindRefused { addr }),
        Auth::Open | Auth::Tokens(_) => Ok(()),
    }
}
