//! Who acts: a person, a token or the machine itself, and what they may do.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::TenantId;

/// What an account may do. Each role includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Acknowledges, resolves, runs runbooks, reports changes.
    Responder,
    /// Applies catalogs, manages accounts.
    Admin,
}

impl Role {
    /// Every role, least powerful first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Responder, Self::Admin];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Viewer => "viewer",
            Self::Responder => "responder",
            Self::Admin => "admin",
        })
    }
}

/// Which tenants' data an account may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tenants {
    /// All, and what belongs to the platform as a whole.
    All,
    /// Only these; nothing of the platform as a whole.
    Only(BTreeSet<TenantId>),
}

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who it is, for the journal.
    pub actor: Actor,
    /// What it may do.
    pub role: Role,
    /// Whose data it may see.
    pub tenants: Tenants,
}

impl Principal {
    /// Whether it may do what `role` may.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.role >= role
    }

    /// Whether it may see `tenant`'s data; `None` stands for the platform's own.
    #[must_use]
    pub fn sees(&self, tenant: Option<&TenantId>) -> bool {
        match (&self.tenants, tenant) {
            (Tenants::All, _) => true,
            (Tenants::Only(_), None) => false,
            (Tenants::Only(allowed), Some(tenant)) => allowed.contains(tenant),
        }
    }
}

/// Who caused an event. `subject` is a handle, never a person's name: names are personal fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// Which kind of actor it is.
    pub kind: ActorKind,
    /// Its handle: a person's id, a token's name, or the part of the machine that acted.
    pub subject: String,
}

/// The kinds of actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorKind {
    /// A human.
    Person,
    /// An API token, on behalf of another system.
    Token,
    /// Mainstay itself.
    Machine,
}

impl Actor {
    /// Mainstay itself; `part` says which part of it.
    #[must_use]
    pub fn machine(part: &str) -> Self {
        Self {
            kind: ActorKind::Machine,
            subject: part.to_owned(),
        }
    }

    /// A human, by handle.
    #[must_use]
    pub fn person(handle: &str) -> Self {
        Self {
            kind: ActorKind::Person,
            subject: handle.to_owned(),
        }
    }

    /// An API token, by name.
    #[must_use]
    pub fn token(name: &str) -> Self {
        Self {
            kind: ActorKind::Token,
            subject: name.to_owned(),
        }
    }
}

impl fmt::Display for Actor {
    /// `person:ada`, `token:ci`, `machine:oncall`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ActorKind::Person => "person",
            ActorKind::Token => "token",
            ActorKind::Machine => "machine",
        };
        write!(f, "{kind}:{}", self.subject)
    }
}

/// The text is not `person:…`, `token:…` or `machine:…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an actor is written person:HANDLE, token:NAME or machine:PART")]
pub struct ActorError;

impl std::str::FromStr for Actor {
    type Err = ActorError;

    fn from_str(text: &str) -> Result<Self, ActorError> {
        let (kind, subject) = text.split_once(':').ok_or(ActorError)?;
        let kind = match kind {
            "person" => ActorKind::Person,
            "token" => ActorKind::Token,
            "machine" => ActorKind::Machine,
            _ => return Err(ActorError),
        };
        Ok(Self {
            kind,
            subject: subject.to_owned(),
        })
    }
}
