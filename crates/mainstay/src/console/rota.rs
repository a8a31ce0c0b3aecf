//! The shifts of rotas: who, when, and by which layer.

use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::Catalog;
use mainstay_catalog::response::Rota;
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::Principal;
use mainstay_oncall::ring::{self, Ring};
use mainstay_oncall::rota::{Shift, Source, Verdict, explain, gaps, next_shift, schedule, shift_at};
use mainstay_oncall::{OncallCommand, OncallSpec, Override};
use mainstay_plane::Command;
use mainstay_web::Failure;
use mainstay_web::view::{
    Done, DutyAsked, DutyStep, NewOverride, OncallTarget, OncallTurns, RotaDuty, RotaGap, RotaSchedule,
    RotaShift, ShiftsAsked, TurnsAsked,
};

use super::PlaneConsole;

/// How far ahead the next shift is looked for.
pub(super) const NEXT_WITHIN: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How long a schedule is if nothing is said.
const USUAL: SignedDuration = SignedDuration::from_hours(14 * 24);
/// How long it may be.
const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);
/// The most shifts in an answer.
const SHIFTS_MAX: usize = 100_000;

fn shown(catalog: &Catalog, rota: &Rota, shift: Shift) -> RotaShift {
    RotaShift {
        name: catalog.platform.name_of(&shift.person).to_owned(),
        person: shift.person.to_string(),
        from: shift.from,
        until: shift.until,
        by: match shift.source {
            Source::Override(_) => "override".to_owned(),
            Source::Layer(place) => rota
                .layers
                .get(place)
                .map_or_else(String::new, |layer| format!("layer {}", layer.name)),
        },
    }
}

/// Checks that a time that is asked for is one, and not too long.
pub(super) fn bounded(from: Timestamp, until: Timestamp) -> Result<(), Failure> {
    if until <= from || until.duration_since(from) > LONGEST {
        return Err(Failure::Invalid {
            message: format!("from {from} until {until} is no time of at most 366 days"),
            help: "give `until` after `from`, and ask for longer times in pieces".to_owned(),
        });
    }
    Ok(())
}

pub(super) fn chosen<'a>(
    catalog: &'a Catalog,
    name: Option<&str>,
) -> Result<Vec<(&'a String, &'a Rota)>, Failure> {
    let rotas = catalog.response.rotas.iter();
    let rotas: Vec<_> = rotas
        .filter(|(id, _)| name.is_none_or(|name| name == *id))
        .collect();
    match name {
        Some(name) if rotas.is_empty() => Err(Failure::NotFound {
            what: format!("rota {name}"),
        }),
        _ => Ok(rotas),
    }
}

/// Who is on call in each rota that is asked for, and why.
fn duty(
    catalog: &Catalog,
    overrides: &[Override],
    rota: Option<&str>,
    at: Timestamp,
) -> Result<Vec<RotaDuty>, Failure> {
    let horizon = at.saturating_add(NEXT_WITHIN).unwrap_or(Timestamp::MAX);
    let duty = |(id, rota): (&String, &Rota)| {
        let why = explain(id, rota, overrides, at).into_iter().map(|step| DutyStep {
            what: step.what,
            verdict: match step.verdict {
                Verdict::Decides => "decides",
                Verdict::Overruled => "overruled",
                Verdict::Silent => "silent",
            }
            .to_owned(),
            person: step.person.map(|person| person.to_string()),
            why: step.why,
        });
        let shown = |shift| shown(catalog, rota, shift);
        RotaDuty {
            rota: id.clone(),
            title: rota.title.clone(),
            at,
            shift: shift_at(id, rota, overrides, at).map(shown),
            next: next_shift(id, rota, overrides, at, horizon).map(shown),
            why: why.collect(),
        }
    };
    Ok(chosen(catalog, rota)?.into_iter().map(duty).collect())
}

/// The shifts of each rota that is asked for, each whole, and its gaps.
fn shifts(
    catalog: &Catalog,
    overrides: &[Override],
    asked: &ShiftsAsked,
    now: Timestamp,
) -> Result<Vec<RotaSchedule>, Failure> {
    let from = asked.from.unwrap_or(now);
    let usual = || from.saturating_add(USUAL).unwrap_or(Timestamp::MAX);
    let until = asked.until.unwrap_or_else(usual);
    bounded(from, until)?;
    let people = &catalog.platform.people;
    if let Some(person) = &asked.person
        && !people.keys().any(|id| id.as_str() == person)
    {
        return Err(Failure::NotFound {
            what: format!("person {person}"),
        });
    }
    let mut schedules = Vec::new();
    let mut count = 0;
    for (id, rota) in chosen(catalog, asked.rota.as_deref())? {
        let mut found = schedule(id, rota, overrides, from, until);
        count += found.len();
        if count > SHIFTS_MAX {
            return Err(Failure::Invalid {
                message: format!("there are more than {SHIFTS_MAX} shifts in that time"),
                help: "ask for a shorter time, or for one rota".to_owned(),
            });
        }
        let gaps = gaps(&found, from, until);
        // What was cut off at the edges is made whole.
        if let Some(first) = found.first_mut().filter(|first| first.from == from)
            && let Some(whole) = shift_at(id, rota, overrides, from)
        {
            first.from = whole.from;
        }
        if let Some(last) = found.last_mut().filter(|last| last.until == until)
            && let Some(whole) = shift_at(id, rota, overrides, last.from)
        {
            last.until = whole.until;
        }
        let own = |shift: &Shift| {
            let wanted = asked.person.as_deref();
            wanted.is_none_or(|person| shift.person.as_ref() == person)
        };
        let gaps = gaps.into_iter().filter(|_| asked.person.is_none());
        schedules.push(RotaSchedule {
            rota: id.clone(),
            title: rota.title.clone(),
            from,
            until,
            shifts: found
                .into_iter()
                .filter(own)
                .map(|shift| shown(catalog, rota, shift))
                .collect(),
            gaps: gaps
                .map(|gap| RotaGap {
                    from: gap.from,
                    until: gap.until,
                })
                .collect(),
        });
    }
    Ok(schedules)
}

fn turns(ring: Ring) -> OncallTurns {
    let why = ring.next.as_ref().map(ToString::to_string);
    let last = ring.last;
    OncallTurns {
        policy: ring.policy,
        level: ring.level + 1,
        next: ring.next.map(|turn| turn.person.to_string()),
        why: why.unwrap_or_else(|| "it is nobody's turn: the level reaches nobody".to_owned()),
        last_page: last.as_ref().map(|taken| taken.page.to_string()),
        last_at: last.map(|taken| taken.at),
        targets: ring
            .members
            .into_iter()
            .map(|(target, person, passed_over)| OncallTarget {
                target,
                person: person.map(|person| person.to_string()),
                passed_over,
            })
            .collect(),
    }
}

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    pub(super) async fn duty_at(&self, asked: DutyAsked) -> Result<Vec<RotaDuty>, Failure> {
        let at = asked.at.unwrap_or_else(|| self.now());
        self.plane
            .look(|states| {
                duty(
                    states.catalog,
                    states.oncall.overrides(),
                    asked.rota.as_deref(),
                    at,
                )
            })
            .await
    }

    pub(super) async fn turns_at(&self, asked: TurnsAsked) -> Vec<OncallTurns> {
        let at = asked.at.unwrap_or_else(|| self.now());
        self.plane
            .look(|states| {
                let catalog = states.catalog;
                let spec = OncallSpec::from_catalog(&catalog.platform, &catalog.response);
                ring::rings(states.oncall, &spec, at)
                    .into_iter()
                    .map(turns)
                    .collect()
            })
            .await
    }

    pub(super) async fn give_duty(&self, who: &Principal, entry: NewOverride) -> Result<Done, Failure> {
        let from = entry.from.unwrap_or_else(|| self.now());
        let entry = Override::new(entry.rota, entry.person, from, entry.until);
        let message = format!(
            "{} is on call in rota {} from {} until {}",
            entry.person, entry.rota, entry.from, entry.until
        );
        let command = Command::Oncall(OncallCommand::Override(entry.clone()));
        let help = "See `mainstay oncall schedule` for the rotas and their people.";
        let events = self.order(who, command, help).await?;
        let id = self
            .plane
            .look(|states| {
                // Others may have made some since.
                let given = states.oncall.overrides().iter().rev().find(|given| {
                    let numbered = Override {
                        id: given.id.clone(),
                        ..entry.clone()
                    };
                    **given == numbered
                });
                given.map(Override::handle)
            })
            .await
            .unwrap_or_default();
        let message = format!("{message} ({id}).");
        Ok(Done { message, events })
    }

    pub(super) async fn shifts_within(&self, asked: ShiftsAsked) -> Result<Vec<RotaSchedule>, Failure> {
        let now = self.now();
        self.plane
            .look(|states| shifts(states.catalog, states.oncall.overrides(), &asked, now))
            .await
    }
}
