//! Sessions of people who signed in with a browser. In memory: a restart signs everybody out, which is harmless, since
//! signing in again takes a token and a second.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::{Digest, Entropy, Principal};

/// The cookie that holds the session's id.
pub(crate) const COOKIE: &str = "mainstay_session";
/// How long a session lasts.
pub(crate) const LIFETIME: SignedDuration = SignedDuration::from_hours(12);
/// How many sessions there may be; beyond it the one that ends first gives way.
pub(crate) const MAX_SESSIONS: usize = 4_096;

/// One session.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) principal: Principal,
    pub(crate) csrf: String,
    ends_at: Timestamp,
}

/// The sessions, by the digest of their id: the id itself is nowhere but in the cookie.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: Mutex<BTreeMap<Digest, Session>>,
}

impl Sessions {
    /// Opens a session and gives its id.
    pub(crate) fn open(&self, principal: Principal, now: Timestamp, entropy: &dyn Entropy) -> String {
        let id = random_token(entropy);
        let session = Session {
            principal,
            csrf: random_token(entropy),
            ends_at: now + LIFETIME,
        };
        let mut open = self.lock();
        open.retain(|_, session| session.ends_at > now);
        if open.len() >= MAX_SESSIONS {
            let first = open
                .iter()
                .min_by_key(|(_, session)| session.ends_at)
                .map(|(key, _)| *key);
            if let Some(first) = first {
                open.remove(&first);
            }
        }
        open.insert(Digest::of(id.as_bytes()), session);
        id
    }

    /// The session with this id, if it has not ended.
    pub(crate) fn find(&self, id: &str, now: Timestamp) -> Option<Session> {
        let open = self.lock();
        let session = open.get(&Digest::of(id.as_bytes()))?;
        (session.ends_at > now).then(|| session.clone())
    }

    /// Ends a session.
    pub(crate) fn close(&self, id: &str) {
        self.lock().remove(&Digest::of(id.as_bytes()));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Digest, Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 256 unpredictable bits in hexadecimal.
pub(crate) fn random_token(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    Digest(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_kernel::testing::SeededEntropy;

    #[test]
    fn sessions_end_by_time_and_by_number() {
        let (sessions, entropy) = (Sessions::default(), SeededEntropy::new(7));
        let now = Timestamp::UNIX_EPOCH;
        let first = sessions.open(crate::access::local_admin(), now, &entropy);
        assert!(sessions.find(&first, now).is_some());
        assert!(sessions.find(&first, now + LIFETIME).is_none());
        assert!(sessions.find("guess", now).is_none());
        let later = now + SignedDuration::from_secs(1);
        for _ in 0..MAX_SESSIONS {
            sessions.open(crate::access::local_admin(), later, &entropy);
        }
        assert!(sessions.find(&first, later).is_none(), "the oldest gave way");
        assert_eq!(sessions.lock().len(), MAX_SESSIONS);
    }
}
