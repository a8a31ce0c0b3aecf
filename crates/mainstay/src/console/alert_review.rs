//! Which alerts were worth it, and which rules and objectives say nothing.

use std::cmp::Reverse;

use jiff::{SignedDuration, Timestamp};
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_plane::{NameReview, alert_review};
use mainstay_web::Failure;
use mainstay_web::view::{AlertReview, ReviewAsked, ReviewedName, ReviewedPerson, UnannouncedIncident};

use super::{PlaneConsole, unavailable};

const USUAL_DAYS: u16 = 30;
const DAYS_MAX: u16 = 366;
/// The most names and incidents in an answer.
const LISTED_MAX: usize = 500;

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    pub(super) async fn review_of_alerts(&self, asked: ReviewAsked) -> Result<AlertReview, Failure> {
        let days = asked.days.unwrap_or(USUAL_DAYS);
        if !(1..=DAYS_MAX).contains(&days) {
            return Err(Failure::Invalid {
                message: format!("{days} days cannot be reviewed"),
                help: format!("Ask for 1 to {DAYS_MAX} days."),
            });
        }
        let until = self.now();
        let back = SignedDuration::from_hours(24 * i64::from(days));
        let from = until.saturating_sub(back).unwrap_or(Timestamp::MIN);
        let found = alert_review(&**self.plane.journal(), from, until).await;
        let found = found.map_err(|error| unavailable(&error))?;
        let pages = self.pages_within(from, until).await?;
        let load = self.load_of(None, &pages, from, until).await?;

        let rules = self.plane.look(|states| self.alert_queries(states.catalog)).await;
        let silent_rules = rules.names().filter(|name| !found.names.contains_key(*name));
        let slos = self.telemetry.slos();
        let objectives = slos.objectives().map(|objective| objective.id.to_string());
        let silent_objectives = objectives.filter(|id| !found.objectives.contains(id));
        let sum = |of: fn(&NameReview) -> u64| found.names.values().map(of).sum();
        let (fired, paged, actionable) = (
            sum(|one| one.fired),
            sum(|one| one.paged),
            sum(|one| one.actionable),
        );
        let names = found.names.iter().map(|(name, one)| ReviewedName {
            name: name.clone(),
            fired: one.fired,
            without_incident: one.fired.saturating_sub(one.in_incident),
            paged: one.paged,
            actionable: one.actionable,
        });
        let mut names: Vec<ReviewedName> = names.collect();
        names.sort_by_key(|one| {
            let for_nothing = one.fired.saturating_sub(one.actionable);
            (Reverse(for_nothing), Reverse(one.fired), one.name.clone())
        });
        names.truncate(LISTED_MAX);
        let without_alert = found.unannounced.into_iter().map(|one| UnannouncedIncident {
            incident: one.incident.to_string(),
            title: one.title,
            severity: one.severity,
            at: one.at,
            by: one.by.subject,
        });
        let paged_people = load.people.into_iter().filter(|one| one.pages > 0);
        let mut people: Vec<ReviewedPerson> = paged_people
            .map(|one| ReviewedPerson {
                person: one.person.to_string(),
                pages: one.pages as u64,
                pages_off_hours: one.pages_off_hours as u64,
                pages_at_night: one.pages_at_night as u64,
            })
            .collect();
        people.sort_by_key(|one| {
            (
                Reverse(one.pages_off_hours),
                Reverse(one.pages),
                one.person.clone(),
            )
        });
        Ok(AlertReview {
            from,
            until,
            fired,
            paged,
            actionable,
            names,
            rules_never_fired: silent_rules.map(ToOwned::to_owned).collect(),
            objectives_never_fired: silent_objectives.collect(),
            without_alert: without_alert.take(LISTED_MAX).collect(),
            people,
        })
    }
}
