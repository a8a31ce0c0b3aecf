//! Calendars that others fetch: who has the link reads it, until it is revoked. Only the digest of its secret is kept.

use mainstay_kernel::{Digest, PersonId};
use serde::{Deserialize, Serialize};

use crate::decide::OncallRefusal;
use crate::event::OncallEvent;
use crate::fold::OncallState;
use crate::spec::OncallSpec;

/// How many links may be in force.
pub(crate) const FEEDS_MAX: usize = 1_000;

/// Whose shifts a calendar shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeedOf {
    /// Those of a person, in every rota.
    Person(PersonId),
    /// Those of a rota.
    Rota(String),
}

/// A calendar that others fetch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// By what it is revoked: `f3`. Empty until it is made.
    pub id: String,
    /// Whose shifts.
    pub of: FeedOf,
    /// The digest of the secret in its link.
    pub digest: Digest,
}

impl OncallState {
    /// The calendars that are in force.
    pub fn feeds(&self) -> impl Iterator<Item = &Feed> {
        self.feeds.values()
    }

    /// The calendar behind a link.
    #[must_use]
    pub fn feed(&self, digest: &Digest) -> Option<&Feed> {
        self.feeds.values().find(|feed| feed.digest == *digest)
    }
}

pub(crate) fn open(
    state: &OncallState,
    spec: &OncallSpec,
    feed: Feed,
) -> Result<Vec<OncallEvent>, OncallRefusal> {
    let missing = match &feed.of {
        FeedOf::Person(person) if !spec.reach.contains_key(person) => Some(format!("person {person}")),
        FeedOf::Rota(rota) if !spec.rotas.contains_key(rota) => Some(format!("rota {rota:?}")),
        _ => None,
    };
    if let Some(missing) = missing {
        return Err(OncallRefusal::BadFeed(format!("there is no {missing}")));
    }
    if state.feeds.len() >= FEEDS_MAX {
        let text = format!("there are {FEEDS_MAX} calendars already: revoke some");
        return Err(OncallRefusal::BadFeed(text));
    }
    if state.feed(&feed.digest).is_some() {
        return Err(OncallRefusal::BadFeed("that secret is taken".to_owned()));
    }
    Ok(vec![OncallEvent::FeedOpened(Feed {
        id: format!("f{}", state.numbered + 1),
        ..feed
    })])
}

/// `by` nobody is somebody who may do so for all; others revoke their own, and those of rotas.
pub(crate) fn close(
    state: &OncallState,
    id: &str,
    by: Option<&PersonId>,
) -> Result<Vec<OncallEvent>, OncallRefusal> {
    let Some(feed) = state.feeds.get(id) else {
        return Err(OncallRefusal::UnknownFeed(id.to_owned()));
    };
    if let (FeedOf::Person(owner), Some(by)) = (&feed.of, by)
        && owner != by
    {
        return Err(OncallRefusal::NotTheirs(format!(
            "{id} is the calendar of {owner}"
        )));
    }
    Ok(vec![OncallEvent::FeedClosed { id: id.to_owned() }])
}
