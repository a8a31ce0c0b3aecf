//! Shifts and gaps by day, by the wall clock of the reader's zone.

use jiff::Timestamp;
use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

use crate::view::{RotaSchedule, RotaShift};

/// How many days there are.
pub(super) const DAYS: i32 = 28;

/// Days in their order.
pub(super) struct Calendar<'a> {
    pub(super) days: Vec<Day<'a>>,
}

/// One day.
pub(super) struct Day<'a> {
    /// `Mon 2025-01-20`.
    pub(super) name: String,
    pub(super) begins_week: bool,
    /// What each rota has that day, in order of time.
    pub(super) rotas: Vec<Vec<Piece<'a>>>,
}

/// A stretch of a day.
pub(super) struct Piece<'a> {
    pub(super) who: Who<'a>,
    /// When it begins, if that is on this day: `09:00`.
    pub(super) from: Option<String>,
    /// When it ends, if that is on this day and not its end.
    pub(super) until: Option<String>,
}

/// Who has it.
#[derive(Clone, Copy)]
pub(super) enum Who<'a> {
    Person(&'a RotaShift),
    Nobody,
}

impl<'a> Calendar<'a> {
    /// The days from that of `now` on.
    pub(super) fn of(schedules: &'a [RotaSchedule], zone: &TimeZone, now: Timestamp) -> Self {
        let first = zone.to_datetime(now).date();
        let days = (0..DAYS).filter_map(|number| {
            let date = first.checked_add(number.days()).ok()?;
            let (from, until) = (midnight(date, zone)?, midnight(date.tomorrow().ok()?, zone)?);
            // What is over today is nobody's business any more.
            let from_now = from.max(now);
            let rotas = schedules.iter().map(|schedule| {
                let shifts = schedule
                    .shifts
                    .iter()
                    .map(|shift| (shift.from, shift.until, Who::Person(shift)));
                let gaps = schedule.gaps.iter().map(|gap| (gap.from, gap.until, Who::Nobody));
                let mut all: Vec<_> = shifts
                    .chain(gaps)
                    .filter(|(begins, ends, _)| *begins < until && *ends > from_now)
                    .collect();
                all.sort_by_key(|(begins, _, _)| *begins);
                let clock = |at: Timestamp| zone.to_datetime(at).strftime("%H:%M").to_string();
                all.into_iter()
                    .map(|(begins, ends, who)| Piece {
                        who,
                        from: (begins > from).then(|| clock(begins)),
                        until: (ends < until).then(|| clock(ends)),
                    })
                    .collect()
            });
            Some(Day {
                name: date.strftime("%a %Y-%m-%d").to_string(),
                begins_week: date.weekday() == Weekday::Monday,
                rotas: rotas.collect(),
            })
        });
        Self { days: days.collect() }
    }
}

/// The first instant of a day: not always one of midnight.
fn midnight(date: Date, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_ambiguous_timestamp(date.to_datetime(jiff::civil::Time::midnight()))
        .compatible()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::RotaGap;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn shift(person: &str, from: &str, until: &str) -> RotaShift {
        RotaShift {
            person: person.to_owned(),
            name: person.to_owned(),
            from: at(from),
            until: at(until),
            by: "layer base".to_owned(),
        }
    }

    #[test]
    fn a_day_is_the_readers_and_hand_offs_have_their_wall_clock() {
        let schedule = RotaSchedule {
            rota: "primary".to_owned(),
            title: "Primary".to_owned(),
            from: at("2025-03-28T10:00:00Z"),
            until: at("2025-06-28T10:00:00Z"),
            shifts: vec![
                shift("ada", "2025-03-24T07:00:00Z", "2025-03-31T07:00:00Z"),
                shift("ben", "2025-03-31T09:00:00Z", "2025-06-28T10:00:00Z"),
            ],
            gaps: vec![RotaGap {
                from: at("2025-03-31T07:00:00Z"),
                until: at("2025-03-31T09:00:00Z"),
            }],
        };
        let zone = TimeZone::get("Europe/Berlin").expect("it is built in");
        let schedules = [schedule];
        let days = Calendar::of(&schedules, &zone, at("2025-03-28T10:00:00Z")).days;
        assert_eq!(days.len(), 28);
        let said = |day: usize| -> Vec<(String, Option<&str>, Option<&str>)> {
            days[day].rotas[0]
                .iter()
                .map(|piece| {
                    let who = match piece.who {
                        Who::Person(shift) => shift.name.clone(),
                        Who::Nobody => "nobody".to_owned(),
                    };
                    (who, piece.from.as_deref(), piece.until.as_deref())
                })
                .collect()
        };
        assert_eq!(said(0), [("ada".to_owned(), None, None)]);
        // The day of 23 hours.
        assert_eq!((days[2].name.as_str(), said(2).len()), ("Sun 2025-03-30", 1));
        assert!(days[3].begins_week);
        assert_eq!(
            said(3),
            [
                ("ada".to_owned(), None, Some("09:00")),
                ("nobody".to_owned(), Some("09:00"), Some("11:00")),
                ("ben".to_owned(), Some("11:00"), None),
            ]
        );
        assert_eq!(said(27), [("ben".to_owned(), None, None)]);
    }
}
