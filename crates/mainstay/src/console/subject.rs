//! What a word names that somebody asks about: an incident, a page or an alert.

use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::fact::AlertFact;
use mainstay_kernel::{IncidentId, Labels, Principal, Severity};
use mainstay_plane::{States, Subject, newest_start};
use mainstay_web::Failure;

use super::{PlaneConsole, alertmanager, sight, unavailable};

/// The fewest digits of a fingerprint that name an alert: those that tables show.
const DIGITS_MIN: usize = 12;
/// The most other alerts of a name that a note lists.
const OTHERS_MAX: usize = 5;

/// What was meant.
pub(super) struct Named {
    pub(super) subject: Subject,
    /// Which of several it is, or that it is over, where the word does not say so.
    pub(super) note: Option<String>,
}

impl Named {
    fn plain(subject: Subject) -> Self {
        Self { subject, note: None }
    }

    fn alert(alert: &AlertFact, note: Option<String>) -> Self {
        let subject = Subject::Alert(alert.fingerprint.to_string());
        Self { subject, note }
    }
}

fn is_fingerprint(word: &str) -> bool {
    word.len() >= DIGITS_MIN && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a word names an alert: by its name, by the beginning of its fingerprint, or by the one that amtool shows.
fn names(word: &str, alert: &AlertFact) -> bool {
    let digits = word.to_ascii_lowercase();
    let by_digits = || {
        alert.fingerprint.to_string().starts_with(&digits)
            || alertmanager::fingerprint(&alert.labels) == digits
    };
    alert.name() == word || (is_fingerprint(word) && by_digits())
}

/// What a word names among what is at hand: an incident, or the worst alert that fires.
pub(super) fn at_hand(states: &States<'_>, who: &Principal, word: &str) -> Option<Named> {
    let incident = word.parse::<IncidentId>().ok();
    let incident = incident.and_then(|id| states.incidents.get(&id));
    if let Some(incident) = incident.filter(|incident| sight::knows_of(who, incident)) {
        return Some(Named::plain(Subject::Incident(incident.id.clone())));
    }
    let firing = states.alerts.firing().map(|active| &active.alert);
    let mut meant: Vec<&AlertFact> = firing
        .filter(|alert| names(word, alert) && sight::sees_alert(who, &alert.labels))
        .collect();
    meant.sort_by_key(|alert| {
        let severity = Severity::from_labels(&alert.labels).unwrap_or(Severity::P2);
        (severity, alert.starts_at, alert.fingerprint)
    });
    let (first, others) = meant.split_first()?;
    Some(Named::alert(first, one_of_several(first, others)))
}

/// `3 alerts of this name fire; this is the one with {cell="cell-5"}. Ask by fingerprint for another: ...`
fn one_of_several(first: &AlertFact, others: &[&AlertFact]) -> Option<String> {
    if others.is_empty() {
        return None;
    }
    let apart = |alert: &AlertFact| -> Labels {
        let all = || others.iter().copied().chain([first]);
        let differs = |name: &str| all().any(|other| other.labels.get(name) != alert.labels.get(name));
        alert.labels.filtered(differs)
    };
    let listed = others.iter().take(OTHERS_MAX);
    let mut listed: Vec<String> = listed
        .map(|alert| format!("{} {}", alert.fingerprint.short(), apart(alert)))
        .collect();
    if let Some(more) = others.len().checked_sub(OTHERS_MAX).filter(|more| *more > 0) {
        listed.push(format!("{more} more"));
    }
    Some(format!(
        "{} alerts of this name fire; this is the one with {}. Ask by fingerprint for another: {}.",
        others.len() + 1,
        apart(first),
        listed.join(", ")
    ))
}

/// What a word may name of which nothing is at hand any more. The names of pages end in a number.
pub(super) fn in_journal(word: &str) -> Option<Subject> {
    if is_fingerprint(word) {
        Some(Subject::Alert(word.to_ascii_lowercase()))
    } else if word.contains("-p") {
        word.parse().ok().map(Subject::Page)
    } else {
        word.parse().ok().map(Subject::Incident)
    }
}

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    /// What a word names at hand, or may name in the journal.
    pub(super) async fn named(&self, who: &Principal, word: &str) -> Option<Named> {
        let known = self.plane.look(|states| at_hand(states, who, word)).await;
        known.or_else(|| in_journal(word).map(Named::plain))
    }

    /// The alert that a word names and that fires no more: the one that began last, or of an incident at hand.
    pub(super) async fn ended(&self, who: &Principal, word: &str) -> Result<Option<Named>, Failure> {
        let meant = |alert: &AlertFact| names(word, alert) && sight::sees_alert(who, &alert.labels);
        let journal = &**self.plane.journal();
        let newest = newest_start(journal, meant).await;
        let newest = newest.map_err(|error| unavailable(&error))?;
        let of_incident = self.plane.look(|states| {
            let attached = states.incidents.all().flat_map(|one| one.alerts.values());
            let ended = attached
                .map(|attached| &attached.alert)
                .filter(|alert| meant(alert));
            ended.max_by_key(|alert| alert.starts_at).cloned()
        });
        let found = match newest {
            Some(alert) => Some(alert),
            None => of_incident.await,
        };
        Ok(found.map(|alert| {
            let over = || {
                format!(
                    "No alert of this name fires; the last that did was {}.",
                    alert.labels
                )
            };
            Named::alert(&alert, (alert.name() == word).then(over))
        }))
    }
}
