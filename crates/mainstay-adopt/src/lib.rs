//! Moving in from another on-call system: its people, schedules and escalation policies, read from what its own API
//! gives, as documents of ours. What has no counterpart is named with its place; nothing is dropped in silence. Who is on
//! call by what was written is compared with what the other system itself says ([`compare`]).

mod build;
pub mod compare;
mod goalert;
mod grafana;
mod names;
mod node;
mod opsgenie;
mod pagerduty;
mod policy;
mod window;
mod write;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use mainstay_catalog::platform::TimeZoneName;
use mainstay_catalog::response::Rota;
use mainstay_kernel::PersonId;
use mainstay_kernel::effect::Channel;
use mainstay_oncall::Override;

use build::Builder;
use node::Node;
pub use write::{Written, written};

/// The most that an export may be, in bytes.
pub const EXPORT_MAX_BYTES: usize = 64 << 20;

/// The systems whose exports are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// Its REST API, version 2.
    PagerDuty,
    /// Its REST API, version 2.
    Opsgenie,
    /// Its GraphQL API.
    GoAlert,
    /// Its public HTTP API, version 1.
    GrafanaOncall,
}

impl System {
    /// How it calls itself.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PagerDuty => "PagerDuty",
            Self::Opsgenie => "Opsgenie",
            Self::GoAlert => "GoAlert",
            Self::GrafanaOncall => "Grafana OnCall",
        }
    }

    /// The beginning of the names of files that are written.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::PagerDuty => "pagerduty",
            Self::Opsgenie => "opsgenie",
            Self::GoAlert => "goalert",
            Self::GrafanaOncall => "grafana-oncall",
        }
    }
}

/// Something of an export that is not in what was written, or not as it was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loss {
    /// The file.
    pub file: String,
    /// Where in it, as a JSON path.
    pub path: String,
    /// What is lost.
    pub what: String,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.file, self.path, self.what)
    }
}

/// A person of the other system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The handle here.
    pub id: PersonId,
    /// The name.
    pub name: String,
    /// What they do.
    pub role: String,
    /// Their zone, where it is known here.
    pub time_zone: Option<TimeZoneName>,
    /// Mail address.
    pub email: String,
    /// Telephone, E.164.
    pub phone: Option<String>,
    /// How they are told of what is urgent: after so many minutes, by these.
    pub notify: BTreeMap<u64, Vec<Channel>>,
    /// Whether the catalog has them already: by their address.
    pub known: bool,
}

/// A schedule of the other system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// How people call it.
    pub title: String,
    /// What became of it: more than one rota where several people are on call at once, for a rota has one.
    pub rotas: Vec<(String, Rota)>,
    /// Who is on call by the other system itself, where the export says so.
    pub rendered: Vec<Span>,
}

/// A stretch of time that somebody is on call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Who; the name that the other system has, if it is nobody known.
    pub person: String,
    /// From when.
    pub from: Timestamp,
    /// Until when, not included.
    pub until: Timestamp,
}

/// Whom a step of a policy is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Whoever is on call there.
    Rota(String),
    /// A person.
    Person(PersonId),
}

/// A step of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Minutes after the page.
    pub after: u64,
    /// Whom.
    pub targets: Vec<Target>,
}

/// An escalation policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its name here.
    pub id: String,
    /// How people call it.
    pub title: String,
    /// In order of time.
    pub steps: Vec<Step>,
    /// How often it begins again, and after how many minutes.
    pub repeat: Option<(u32, u64)>,
}

/// All that was understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moved {
    /// Who there is.
    pub people: Vec<Person>,
    /// Who is on call when.
    pub schedules: Vec<Schedule>,
    /// Who is told after how long.
    pub policies: Vec<Policy>,
    /// Who stands in for whom: made on the running server, for an override is an event and no document.
    pub overrides: Vec<Override>,
    /// What is not as it was.
    pub losses: Vec<Loss>,
}

/// A file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// It is no JSON.
    #[error("{file}: no JSON: {reason}")]
    NoJson {
        /// The file.
        file: String,
        /// What the reader says.
        reason: String,
    },
    /// It is too large.
    #[error("{0}: larger than 64 MiB")]
    TooLarge(String),
    /// Nothing in it is known.
    #[error("{file}: nothing in it is of {system}: expected {expected}")]
    Unknown {
        /// The file.
        file: String,
        /// Whose it should be.
        system: &'static str,
        /// What it should have.
        expected: &'static str,
    },
}

/// Reads the files of an export, each with its name. `known` are the addresses of people that the catalog has.
///
/// # Errors
/// If a file is no JSON, or nothing in it is of that system.
pub fn read(
    system: System,
    files: &[(String, String)],
    known: &BTreeMap<String, PersonId>,
    now: Timestamp,
) -> Result<Moved, ExportError> {
    let mut values = Vec::new();
    for (file, text) in files {
        if text.len() > EXPORT_MAX_BYTES {
            return Err(ExportError::TooLarge(file.clone()));
        }
        let value: serde_json::Value = serde_json::from_str(text).map_err(|error| ExportError::NoJson {
            file: file.clone(),
            reason: error.to_string(),
        })?;
        values.push((file.as_str(), value));
    }
    let roots: Vec<Node<'_>> = values
        .iter()
        .map(|(file, value)| Node::root(file, value))
        .collect();
    let mut builder = Builder::new(known, now);
    let (read, expected) = match system {
        System::PagerDuty => (pagerduty::read(&mut builder, &roots), pagerduty::EXPECTED),
        System::Opsgenie => (opsgenie::read(&mut builder, &roots), opsgenie::EXPECTED),
        System::GoAlert => (goalert::read(&mut builder, &roots), goalert::EXPECTED),
        System::GrafanaOncall => (grafana::read(&mut builder, &roots), grafana::EXPECTED),
    };
    match read.into_iter().zip(files).find(|(read, _)| !read) {
        Some((_, (file, _))) => Err(ExportError::Unknown {
            file: file.clone(),
            system: system.name(),
            expected,
        }),
        None => Ok(builder.finish()),
    }
}
