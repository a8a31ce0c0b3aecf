//! What being on call asks of each person: hours, nights, pages, and what that is paid. Integers all the way; an amount
//! is rounded once, at its end, half to even.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{self, Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use mainstay_catalog::Platform;
use mainstay_catalog::response::{BusinessHours, Pay, Rota};
use mainstay_kernel::principal::ActorKind;
use mainstay_kernel::{Actor, PageId, PersonId};
use serde::Serialize;

use crate::event::OncallEvent;
use crate::rota::{Shift, first_instant};

/// When people sleep, by the wall clock of their own zone: from then on, and until then on the next day.
pub const NIGHT: (Time, Time) = (Time::constant(22, 0, 0, 0), Time::constant(7, 0, 0, 0));
const HOUR_MS: u128 = 3_600_000;

/// A page as somebody lived it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lived {
    told_at: Timestamp,
    acknowledged_at: Option<Timestamp>,
}

/// Who was paged when and who answered, read off events in their order.
#[derive(Debug, Clone, Default)]
pub struct Pages {
    lived: BTreeMap<(PersonId, PageId), Lived>,
}

impl Pages {
    /// Takes the next event; `by` is who caused it.
    pub fn take(&mut self, event: OncallEvent, at: Timestamp, by: &Actor) {
        match event {
            OncallEvent::Notified {
                page,
                people,
                inform: false,
                ..
            } => {
                for person in people {
                    let lived = Lived {
                        told_at: at,
                        acknowledged_at: None,
                    };
                    self.lived.entry((person, page.clone())).or_insert(lived);
                }
            }
            OncallEvent::Acknowledged(fact) => {
                let actor = || (by.kind == ActorKind::Person).then(|| by.subject.parse().ok());
                let Some(person) = fact.by.or_else(|| actor().flatten()) else {
                    return;
                };
                if let Some(lived) = self.lived.get_mut(&(person, fact.page)) {
                    lived.acknowledged_at.get_or_insert(at);
                }
            }
            _ => {}
        }
    }

    /// The instants at which somebody was paged, from `from` to `until`.
    fn of<'a>(
        &'a self,
        person: &'a PersonId,
        from: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = &'a Lived> {
        let own = self.lived.iter().filter(move |((who, _), _)| who == person);
        own.map(|(_, lived)| lived)
            .filter(move |lived| from <= lived.told_at && lived.told_at < until)
    }

    fn people(&self) -> impl Iterator<Item = &PersonId> {
        self.lived.keys().map(|(person, _)| person)
    }
}

/// Somebody's wall clock and public holidays.
struct Home {
    zone: TimeZone,
    holidays: BTreeSet<Date>,
}

impl Home {
    fn of(platform: &Platform, person: &PersonId) -> Self {
        let own = platform
            .people
            .get(person)
            .and_then(|known| known.time_zone.as_ref());
        let zone = own.unwrap_or(&platform.time_zone);
        let calendars = platform
            .calendars
            .values()
            .filter(|calendar| calendar.time_zone == *zone);
        let holidays = calendars.flat_map(|calendar| &calendar.holidays);
        Self {
            zone: zone.zone(),
            holidays: holidays.map(|holiday| holiday.date).collect(),
        }
    }

    /// How much of a time lies in business hours, in milliseconds.
    fn business_ms(&self, hours: &BusinessHours, from: Timestamp, until: Timestamp) -> u64 {
        let days: Vec<civil::Weekday> = hours.days.iter().map(|day| (*day).into()).collect();
        let mut total = 0;
        let mut day = self.zone.to_datetime(from).date();
        let last = self.zone.to_datetime(until).date();
        while day <= last {
            if days.contains(&day.weekday()) && !self.holidays.contains(&day) {
                let instant = |time: Time| first_instant(&self.zone, day.to_datetime(time));
                if let (Some(begins), Some(ends)) = (instant(hours.from), instant(hours.until)) {
                    total += between_ms(begins.max(from), ends.min(until));
                }
            }
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
        total
    }

    /// The evening of the night in which an instant lies.
    fn night_of(&self, at: Timestamp) -> Option<Date> {
        let wall = self.zone.to_datetime(at);
        if wall.time() >= NIGHT.0 {
            Some(wall.date())
        } else if wall.time() < NIGHT.1 {
            wall.date().checked_sub(1.day()).ok()
        } else {
            None
        }
    }
}

/// Milliseconds from one instant to another; none if the second is not later.
fn between_ms(from: Timestamp, until: Timestamp) -> u64 {
    u64::try_from(until.as_millisecond() - from.as_millisecond()).unwrap_or(0)
}

/// What somebody did in one rota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RotaLoad {
    /// The rota.
    pub rota: String,
    /// How many shifts, those cut off by the asked time among them.
    pub shifts: usize,
    /// How long on call, in milliseconds.
    pub on_call_ms: u64,
    /// How much of it off hours.
    pub off_hours_ms: u64,
    /// What that is paid: `"1234.50"`; none where the rota says nothing of pay.
    pub amount: Option<String>,
    /// In which currency.
    pub currency: Option<String>,
}

/// What being on call asked of somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PersonLoad {
    /// Who.
    pub person: PersonId,
    /// How long on call, over all rotas.
    pub on_call_ms: u64,
    /// How much of it off hours: outside business hours of their own zone, at weekends, on public holidays.
    pub off_hours_ms: u64,
    /// Their share of the hours of all, in ten thousandths.
    pub share: u64,
    /// Their share of the off hours of all, in ten thousandths.
    pub off_hours_share: u64,
    /// How often they were paged.
    pub pages: usize,
    /// How many of these off hours.
    pub pages_off_hours: usize,
    /// How many of these between 22:00 and 07:00 of their own zone.
    pub pages_at_night: usize,
    /// In how many nights.
    pub interrupted_nights: usize,
    /// How many they acknowledged themselves.
    pub acknowledged: usize,
    /// The median time that took, in milliseconds.
    pub acknowledged_median_ms: Option<u64>,
    /// The longest.
    pub acknowledged_worst_ms: Option<u64>,
    /// By rota.
    pub rotas: Vec<RotaLoad>,
}

/// What being on call asked of everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Load {
    /// The equal share of those who take turns, in ten thousandths.
    pub equal_share: u64,
    /// By person, the most hours first.
    pub people: Vec<PersonLoad>,
}

/// A rota with its shifts in the time that is looked at, cut off at its ends.
pub struct Turns<'a> {
    /// Its name.
    pub name: &'a str,
    /// The rota.
    pub rota: &'a Rota,
    /// Its shifts.
    pub shifts: Vec<Shift>,
}

/// What being on call asked of everybody from `from` to `until`.
#[must_use]
pub fn load(
    platform: &Platform,
    rotas: &[Turns<'_>],
    pages: &Pages,
    from: Timestamp,
    until: Timestamp,
) -> Load {
    let turns = rotas.iter().flat_map(|turns| turns.rota.participants());
    let turns: BTreeSet<PersonId> = turns.map(|person| person.value.clone()).collect();
    let mut people = turns.clone();
    let on_call = rotas.iter().flat_map(|turns| &turns.shifts);
    people.extend(on_call.map(|shift| shift.person.clone()));
    people.extend(
        pages
            .people()
            .filter(|person| pages.of(person, from, until).next().is_some())
            .cloned(),
    );
    let mut found: Vec<PersonLoad> = people
        .into_iter()
        .map(|person| of_person(platform, rotas, pages, person, from, until))
        .collect();
    let sum = |of: fn(&PersonLoad) -> u64| found.iter().map(of).sum::<u64>();
    let (all, off) = (sum(|one| one.on_call_ms), sum(|one| one.off_hours_ms));
    for one in &mut found {
        one.share = share(one.on_call_ms, all);
        one.off_hours_share = share(one.off_hours_ms, off);
    }
    found.sort_by(|a, b| {
        b.on_call_ms
            .cmp(&a.on_call_ms)
            .then_with(|| a.person.cmp(&b.person))
    });
    Load {
        equal_share: share(1, turns.len() as u64),
        people: found,
    }
}

/// In ten thousandths, rounded half up; nothing of nothing.
fn share(part: u64, whole: u64) -> u64 {
    let (part, whole) = (u128::from(part), u128::from(whole));
    let parts = (part * 20_000 + whole).checked_div(whole * 2).unwrap_or(0);
    u64::try_from(parts).unwrap_or(0)
}

fn of_person(
    platform: &Platform,
    all: &[Turns<'_>],
    pages: &Pages,
    person: PersonId,
    from: Timestamp,
    until: Timestamp,
) -> PersonLoad {
    let home = Home::of(platform, &person);
    let by_rota = |turns: &Turns<'_>| {
        let usual = BusinessHours::default();
        let hours = turns.rota.business_hours.as_ref().unwrap_or(&usual);
        let own: Vec<&Shift> = turns
            .shifts
            .iter()
            .filter(|shift| shift.person == person)
            .collect();
        let on_call_ms: u64 = own.iter().map(|shift| between_ms(shift.from, shift.until)).sum();
        let business_ms: u64 = own
            .iter()
            .map(|shift| home.business_ms(hours, shift.from, shift.until))
            .sum();
        let off_hours_ms = on_call_ms.saturating_sub(business_ms);
        let pay = turns.rota.pay.as_ref();
        RotaLoad {
            rota: turns.name.to_owned(),
            shifts: own.len(),
            on_call_ms,
            off_hours_ms,
            amount: pay.map(|pay| amount(pay, &person, business_ms, off_hours_ms)),
            currency: pay.map(|pay| pay.currency.clone()),
        }
    };
    let rotas: Vec<RotaLoad> = all.iter().map(by_rota).filter(|load| load.shifts > 0).collect();
    let takes_turns = |turns: &&Turns<'_>| turns.rota.participants().any(|one| one.value == person);
    let own = all.iter().find(takes_turns);
    let hours = own.and_then(|turns| turns.rota.business_hours.clone());
    let hours = hours.unwrap_or_default();
    let is_off = |lived: &&&Lived| {
        let at = lived.told_at;
        let after = at.saturating_add(SignedDuration::from_millis(1)).unwrap_or(at);
        home.business_ms(&hours, at, after) == 0
    };
    let lived: Vec<&Lived> = pages.of(&person, from, until).collect();
    let nights: Vec<Date> = lived
        .iter()
        .filter_map(|lived| home.night_of(lived.told_at))
        .collect();
    let mut answered: Vec<u64> = lived
        .iter()
        .filter_map(|lived| Some(between_ms(lived.told_at, lived.acknowledged_at?)))
        .collect();
    answered.sort_unstable();
    PersonLoad {
        on_call_ms: rotas.iter().map(|load| load.on_call_ms).sum(),
        off_hours_ms: rotas.iter().map(|load| load.off_hours_ms).sum(),
        share: 0,
        off_hours_share: 0,
        pages: lived.len(),
        pages_off_hours: lived.iter().filter(is_off).count(),
        pages_at_night: nights.len(),
        interrupted_nights: nights.iter().collect::<BTreeSet<_>>().len(),
        acknowledged: answered.len(),
        acknowledged_median_ms: median(&answered),
        acknowledged_worst_ms: answered.last().copied(),
        rotas,
        person,
    }
}

/// Of sorted values; of an even number of them the mean of the two in the middle, rounded down.
fn median(sorted: &[u64]) -> Option<u64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(middle.checked_sub(1)?)?;
    Some(lower + (upper - lower) / 2)
}

/// Hours × times × rate, to two decimals.
fn amount(pay: &Pay, person: &PersonId, business_ms: u64, off_hours_ms: u64) -> String {
    let hourly = pay.people.get(person).copied().unwrap_or(pay.hourly);
    let part = |ms: u64, times: u64| u128::from(ms) * u128::from(times);
    let weighted = part(off_hours_ms, pay.off_hours.ten_thousandths())
        .saturating_add(part(business_ms, pay.business_hours.ten_thousandths()));
    // Ten thousandths of ten thousandths, in hundredths.
    let above = weighted.saturating_mul(u128::from(hourly.ten_thousandths()));
    let below = HOUR_MS * 1_000_000;
    let (whole, rest) = (above / below, above % below);
    let up = match (rest * 2).cmp(&below) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => whole % 2,
        std::cmp::Ordering::Greater => 1,
    };
    let cents = whole + up;
    format!("{}.{:02}", cents / 100, cents % 100)
}
