//! What is said around the beginning of a shift: a reminder some time before it, once; and at the hand-off what the one
//! before wrote down, with what is open. Both are asked for again and again, and what was said is remembered: so neither a
//! restart, nor another catalog, nor an override is missed or told twice.

use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::response::Rota;
use mainstay_journal::machine::Meta;
use mainstay_kernel::effect::Effect;
use mainstay_kernel::{Actor, PersonId};
use serde::{Deserialize, Serialize};

use crate::decide::OncallRefusal;
use crate::event::OncallEvent;
use crate::fold::OncallState;
use crate::rota::{Shift, schedule, shift_at};
use crate::spec::OncallSpec;
use crate::swap::quietly;

/// The longest note, in bytes.
pub const NOTE_MAX_BYTES: usize = 4_000;
/// How many notes of a rota are kept at hand.
const NOTES_AT_HAND: usize = 20;
/// The most lines of what is open that a hand-over tells, and the longest of them in bytes.
const LINES_MAX: usize = 100;
const LINE_MAX_BYTES: usize = 300;
/// So long after its beginning a shift is handed over still, where nobody was there to do it in time.
const LATE_MAX: SignedDuration = SignedDuration::from_hours(1);

/// What somebody wrote down for whoever comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Actor,
    /// What.
    pub text: String,
    /// Whether it was handed over.
    #[serde(default)]
    pub handed_over: bool,
}

/// What was said of a rota's shifts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The shifts ahead of which somebody was reminded: the beginning, and who.
    pub(crate) reminded: Vec<(Timestamp, PersonId)>,
    /// The beginning of the last shift that was handed over, and to whom.
    pub(crate) handed_over: Option<(Timestamp, PersonId)>,
    /// What was written down.
    pub(crate) notes: Vec<Note>,
}

impl OncallState {
    /// What was written down for whoever comes next in a rota, oldest first.
    #[must_use]
    pub fn notes(&self, rota: &str) -> &[Note] {
        self.said.get(rota).map_or(&[], |said| &said.notes)
    }
}

pub(crate) fn note(spec: &OncallSpec, rota: String, text: String) -> Result<Vec<OncallEvent>, OncallRefusal> {
    if !spec.rotas.contains_key(&rota) {
        return Err(OncallRefusal::BadNote(format!("there is no rota {rota:?}")));
    }
    if text.trim().is_empty() || text.len() > NOTE_MAX_BYTES {
        let why = format!(
            "a note has 1 to {NOTE_MAX_BYTES} bytes, this one has {}",
            text.len()
        );
        return Err(OncallRefusal::BadNote(why));
    }
    Ok(vec![OncallEvent::HandoverNoted { rota, text }])
}

/// Those who are to be reminded now of shifts that begin soon, rota by rota.
pub(crate) fn remind(state: &OncallState, spec: &OncallSpec, now: Timestamp) -> Vec<OncallEvent> {
    let due = |(name, rota): (&String, &Rota)| {
        let before = rota.remind.as_ref()?.value.0;
        // What begins at the very end of that time is within it.
        let end = now.checked_add(before + SignedDuration::from_nanos(1)).ok()?;
        let told = |shift: &Shift| {
            let known = (shift.from, shift.person.clone());
            let said = state.said.get(name);
            said.is_some_and(|said| said.reminded.contains(&known))
        };
        let shifts = schedule(name, rota, &state.overrides, now, end).into_iter();
        let ahead = shifts.filter(|shift| now < shift.from && !told(shift));
        let reminded = ahead.map(|shift| {
            let whole = shift_at(name, rota, &state.overrides, shift.from);
            OncallEvent::Reminded {
                rota: name.clone(),
                person: shift.person,
                from: shift.from,
                until: whole.map_or(shift.until, |whole| whole.until),
            }
        });
        Some(reminded.collect::<Vec<_>>())
    };
    spec.rotas.iter().filter_map(due).flatten().collect()
}

/// Whether somebody is to be reminded now.
#[must_use]
pub fn is_to_remind(state: &OncallState, spec: &OncallSpec, now: Timestamp) -> bool {
    !remind(state, spec, now).is_empty()
}

/// A shift that has begun and is to be handed over: its rota, who has it, from when until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The rota.
    pub rota: String,
    /// Who has it.
    pub person: PersonId,
    /// Since when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// The shifts that are to be handed over now: those of rotas that remind, and those for which somebody wrote something down.
#[must_use]
pub fn incoming(state: &OncallState, spec: &OncallSpec, now: Timestamp) -> Vec<Incoming> {
    let due = |(name, rota): (&String, &Rota)| {
        let said = state.said.get(name);
        let notes = said.map_or(&[][..], |said| &said.notes);
        if rota.remind.is_none() && notes.is_empty() {
            return None;
        }
        let shift = shift_at(name, rota, &state.overrides, now)?;
        // A note of this very shift is for the next one.
        let has_news = notes
            .iter()
            .any(|note| !note.handed_over && note.at <= shift.from);
        if rota.remind.is_none() && !has_news {
            return None;
        }
        let known = Some((shift.from, shift.person.clone()));
        let told = said.is_some_and(|said| said.handed_over == known);
        (!told && now.duration_since(shift.from) <= LATE_MAX).then(|| Incoming {
            rota: name.clone(),
            person: shift.person,
            from: shift.from,
            until: shift.until,
        })
    };
    spec.rotas.iter().filter_map(due).collect()
}

/// Hands a shift over; `open` says what is open, a line each.
pub(crate) fn hand_over(
    state: &OncallState,
    spec: &OncallSpec,
    shift: &Incoming,
    mut open: Vec<String>,
    now: Timestamp,
) -> Vec<OncallEvent> {
    if !incoming(state, spec, now).contains(shift) {
        return Vec::new();
    }
    open.truncate(LINES_MAX);
    for line in &mut open {
        let end = (0..=LINE_MAX_BYTES.min(line.len())).rev();
        let end = end.into_iter().find(|end| line.is_char_boundary(*end));
        line.truncate(end.unwrap_or(0));
    }
    let fresh = |note: &&Note| !note.handed_over && note.at <= shift.from;
    let notes = state.notes(&shift.rota).iter().filter(fresh);
    vec![OncallEvent::HandedOver {
        rota: shift.rota.clone(),
        person: shift.person.clone(),
        from: shift.from,
        until: shift.until,
        notes: notes
            .map(|note| format!("{}: {}", note.by.subject, note.text))
            .collect(),
        open,
    }]
}

pub(crate) fn apply(state: &mut OncallState, event: &OncallEvent, meta: &Meta) {
    match event {
        OncallEvent::HandoverNoted { rota, text } => {
            let notes = &mut state.said.entry(rota.clone()).or_default().notes;
            notes.push(Note {
                at: meta.at,
                by: meta.actor.clone(),
                text: text.clone(),
                handed_over: false,
            });
            if notes.len() > NOTES_AT_HAND {
                notes.remove(0);
            }
        }
        OncallEvent::Reminded {
            rota, person, from, ..
        } => {
            let reminded = &mut state.said.entry(rota.clone()).or_default().reminded;
            // What has begun is not reminded of: so many are kept as begin within the longest time of a reminder.
            reminded.retain(|(from, _)| meta.at < *from);
            reminded.push((*from, person.clone()));
        }
        OncallEvent::HandedOver {
            rota, person, from, ..
        } => {
            let said = state.said.entry(rota.clone()).or_default();
            said.handed_over = Some((*from, person.clone()));
            for note in said.notes.iter_mut().filter(|note| note.at <= *from) {
                note.handed_over = true;
            }
        }
        _ => {}
    }
}

/// The messages of a reminder or a hand-over.
pub(crate) fn messages(spec: &OncallSpec, event: &OncallEvent) -> Vec<Effect> {
    match event {
        OncallEvent::Reminded {
            rota,
            person,
            from,
            until,
        } => {
            let subject = format!("your shift in {rota} begins at {from}");
            let body =
                format!("{subject} and ends at {until}.\nSomebody else: mainstay oncall swap ask --help");
            quietly(
                spec,
                person,
                &format!("remind/{rota}/{from}/{person}"),
                subject,
                body,
            )
        }
        OncallEvent::HandedOver {
            rota,
            person,
            from,
            until,
            notes,
            open,
        } => {
            let subject = format!("you are on call in {rota} until {until}");
            let part = |head: &str, lines: &[String], none: &str| {
                let lines: String = lines.iter().map(|line| format!("- {line}\n")).collect();
                if lines.is_empty() {
                    format!("{none}\n")
                } else {
                    format!("{head}\n{lines}")
                }
            };
            let body = format!(
                "{subject}.\n{}{}",
                part("Written down for you:", notes, "Nobody wrote anything down."),
                part("Open:", open, "Nothing is open.")
            );
            quietly(
                spec,
                person,
                &format!("handover/{rota}/{from}/{person}"),
                subject,
                body,
            )
        }
        _ => Vec::new(),
    }
}
