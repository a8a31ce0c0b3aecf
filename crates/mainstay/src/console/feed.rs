//! Calendars that others fetch by a secret link, and what is handed over between shifts.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::{Digest, Principal, Role};
use mainstay_oncall::ical::{self, Entry};
use mainstay_oncall::rota::{next_shift, schedule, shift_at};
use mainstay_oncall::{Feed, FeedOf, OncallCommand};
use mainstay_plane::{Command, open_matters};
use mainstay_web::Failure;
use mainstay_web::view::{Done, DutyFeed, Handover, HandoverNote, NewFeed, NewHandover};

use super::rota::{NEXT_WITHIN, chosen};
use super::{PlaneConsole, not_found};

const SHOWS: &str = "`mainstay oncall feed list` shows those in force.";

/// What a calendar shows of the past and of the future.
const PAST: SignedDuration = SignedDuration::from_hours(31 * 24);
const AHEAD: SignedDuration = SignedDuration::from_hours(180 * 24);
/// The most entries of a calendar.
const ENTRIES_MAX: usize = 5_000;
/// How often a calendar may be fetched in an hour.
const FETCHES_MAX: u32 = 60;
const HOUR_MS: i64 = 3_600_000;

/// How often each calendar was fetched in the present hour.
#[derive(Debug, Default)]
pub(crate) struct Fetches(Mutex<(i64, BTreeMap<String, u32>)>);

impl Fetches {
    /// Notes one more; whether it may be.
    fn allows(&self, id: &str, now: Timestamp) -> bool {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hour = now.as_millisecond().div_euclid(HOUR_MS);
        if held.0 != hour {
            *held = (hour, BTreeMap::new());
        }
        let count = held.1.entry(id.to_owned()).or_insert(0);
        *count = count.saturating_add(1);
        *count <= FETCHES_MAX
    }
}

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    pub(super) async fn feeds_in_force(&self, who: &Principal) -> Vec<DutyFeed> {
        let own = self.person(who).await;
        let sees = |feed: &&Feed| match &feed.of {
            FeedOf::Person(person) => who.has(Role::Admin) || own.as_ref() == Some(person),
            FeedOf::Rota(_) => true,
        };
        self.plane
            .look(|states| {
                let shown = states.oncall.feeds().filter(sees).map(|feed| {
                    let (person, rota) = match &feed.of {
                        FeedOf::Person(person) => (Some(person.to_string()), None),
                        FeedOf::Rota(rota) => (None, Some(rota.clone())),
                    };
                    DutyFeed {
                        id: feed.id.clone(),
                        person,
                        rota,
                    }
                });
                shown.collect()
            })
            .await
    }

    pub(super) async fn make_feed(
        &self,
        who: &Principal,
        wanted: NewFeed,
        digest: Digest,
    ) -> Result<String, Failure> {
        let of = match (wanted.person, wanted.rota) {
            (Some(person), None) => FeedOf::Person(person),
            (None, Some(rota)) => FeedOf::Rota(rota),
            _ => {
                return Err(Failure::Invalid {
                    message: "a calendar is of one person or of one rota".to_owned(),
                    help: "Give either a person or a rota.".to_owned(),
                });
            }
        };
        if let FeedOf::Person(person) = &of
            && !who.has(Role::Admin)
            && self.person(who).await.as_ref() != Some(person)
        {
            return Err(Failure::Refused {
                message: format!("the calendar of {person} is {person}'s to make"),
                help: "Ask with that person's token, or as an administrator.".to_owned(),
            });
        }
        let feed = Feed {
            id: String::new(),
            of,
            digest,
        };
        let command = Command::Oncall(OncallCommand::OpenFeed(feed));
        self.order(who, command, SHOWS).await?;
        let id =
            |states: &mainstay_plane::States<'_>| states.oncall.feed(&digest).map(|feed| feed.id.clone());
        Ok(self.plane.look(id).await.unwrap_or_default())
    }

    pub(super) async fn close_feed(&self, who: &Principal, id: String) -> Result<Done, Failure> {
        let by = self.decides_for(who).await?;
        let message = format!("Calendar {id} is revoked: its link shows nothing any more.");
        let command = Command::Oncall(OncallCommand::CloseFeed { id, by });
        let events = self.order(who, command, SHOWS).await?;
        Ok(Done { message, events })
    }

    /// The calendar behind a link.
    pub(super) async fn calendar_behind(&self, digest: Digest) -> Result<String, Failure> {
        let now = self.now();
        let from = now.saturating_sub(PAST).unwrap_or(Timestamp::MIN);
        let until = now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
        let unknown = || not_found("this calendar");
        let found = |states: &mainstay_plane::States<'_>| states.oncall.feed(&digest).cloned();
        let feed = self.plane.look(found).await.ok_or_else(unknown)?;
        if !self.fetches.allows(&feed.id, now) {
            return Err(Failure::Unavailable {
                message: format!("a calendar is given at most {FETCHES_MAX} times in an hour"),
            });
        }
        self.plane
            .look(|states| {
                let mut entries = Vec::new();
                let rotas = match &feed.of {
                    FeedOf::Rota(rota) => chosen(states.catalog, Some(rota))?,
                    FeedOf::Person(_) => chosen(states.catalog, None)?,
                };
                for (id, rota) in rotas {
                    let overrides = states.oncall.overrides();
                    for shift in schedule(id, rota, overrides, from, until) {
                        let summary = match &feed.of {
                            FeedOf::Person(person) if *person != shift.person => continue,
                            FeedOf::Person(_) => rota.title.clone(),
                            FeedOf::Rota(_) => {
                                let name = states.catalog.platform.name_of(&shift.person);
                                format!("{}: {name}", rota.title)
                            }
                        };
                        // The first may have begun before: it is the same entry whenever it is asked for.
                        let begun = (shift.from == from)
                            .then(|| shift_at(id, rota, overrides, from))
                            .flatten();
                        entries.push(Entry {
                            rota: id.clone(),
                            summary,
                            from: begun.map_or(shift.from, |whole| whole.from),
                            until: shift.until,
                        });
                    }
                }
                entries.sort_by_key(|entry| entry.from);
                entries.truncate(ENTRIES_MAX);
                let name = match &feed.of {
                    FeedOf::Person(person) => format!("On-call: {person}"),
                    FeedOf::Rota(rota) => format!("On-call: {rota}"),
                };
                Ok(ical::calendar(&name, &entries))
            })
            .await
    }

    pub(super) async fn handovers_now(&self, rota: Option<&str>) -> Result<Vec<Handover>, Failure> {
        let now = self.now();
        let horizon = now.saturating_add(NEXT_WITHIN).unwrap_or(Timestamp::MAX);
        self.plane
            .look(|states| {
                let overrides = states.oncall.overrides();
                let shown = chosen(states.catalog, rota)?.into_iter().map(|(id, rota)| {
                    let until = shift_at(id, rota, overrides, now).map(|shift| shift.until);
                    let next = next_shift(id, rota, overrides, now, horizon);
                    let notes = states.oncall.notes(id).iter().map(|note| HandoverNote {
                        at: note.at,
                        by: note.by.subject.clone(),
                        text: note.text.clone(),
                        handed_over: note.handed_over,
                    });
                    Handover {
                        rota: id.clone(),
                        title: rota.title.clone(),
                        next_at: next.as_ref().map(|shift| shift.from),
                        next: next.map(|shift| shift.person.to_string()),
                        notes: notes.collect(),
                        open: open_matters(states, now, until.unwrap_or(now)),
                    }
                });
                Ok(shown.collect())
            })
            .await
    }

    pub(super) async fn write_handover(&self, who: &Principal, note: NewHandover) -> Result<Done, Failure> {
        let message = format!(
            "Written down: whoever comes next in {} gets it at the hand-off.",
            note.rota
        );
        let command = Command::Oncall(OncallCommand::NoteHandover {
            rota: note.rota,
            text: note.text,
        });
        let help = "See `mainstay oncall who` for the rotas.";
        let events = self.order(who, command, help).await?;
        Ok(Done { message, events })
    }
}
