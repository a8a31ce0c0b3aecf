//! On-call for people: who now and next, the rotas of four weeks in the reader's zone, the gaps of 90 days, and why.

use axum::extract::State;
use axum::response::Response;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use mainstay_ui::status::status_word;
use mainstay_ui::table::{Column, dense, text};
use mainstay_ui::{Status, live, time};
use maud::{Markup, html};
use serde::Deserialize;

use super::calendar::{Calendar, Piece, Who};
use crate::app::App;
use crate::error::WebError;
use crate::events::Topic;
use crate::request::{Head, Params, Visit, show, typed_instant};
use crate::view::{DutyAsked, RotaDuty, RotaSchedule, RotaShift, ShiftsAsked};

/// How far ahead gaps are looked for.
const GAPS_WITHIN: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How many gaps are listed.
const GAPS_MAX: usize = 200;
/// How many turns a day of a rota shows.
const PIECES_MAX: usize = 12;

/// What is asked by the address.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    zone: String,
    #[serde(default)]
    at: String,
}

pub(super) async fn duty(
    State(app): State<App>,
    Params(asked): Params<Asked>,
    visit: Visit,
) -> Result<Response, WebError> {
    let who = &visit.caller.principal;
    let (zone_name, zone) = zone_of(&asked.zone)?;
    let now = app.now();
    let explained = match asked.at.trim() {
        "" => None,
        text => {
            let at = typed_instant(text, &zone).ok_or_else(|| {
                WebError::invalid(
                    format!("at: {text:?} is no instant"),
                    "Write 2025-12-24T18:00, by the clock of the zone, or 2025-12-24T18:00:00Z.",
                )
            })?;
            let asked = DutyAsked {
                at: Some(at),
                rota: None,
            };
            Some((at, app.console.duty(who, asked).await?))
        }
    };
    let until = now.saturating_add(GAPS_WITHIN).unwrap_or(Timestamp::MAX);
    let shifts = ShiftsAsked {
        from: Some(now),
        until: Some(until),
        ..ShiftsAsked::default()
    };
    let schedules = app.console.shifts(who, shifts).await?;
    let duties = app.console.duty(who, DutyAsked::default()).await?;
    let clock = Clock { zone: &zone, now };
    let topic = Topic::overview();
    let main = html! {
        h1 { "On-call" }
        (live::region("now", topic.as_str(), html! { section { h2 { "Now and next" } (duty_table(&duties, &clock)) } }))
        form.actions action="/oncall" method="get" {
            label for="zone" { "Times in" }
            input id="zone" name="zone" type="text" value=(zone_name) maxlength="60" autocomplete="off" spellcheck="false"
                placeholder="Africa/Johannesburg";
            label for="at" { "explain" }
            input id="at" name="at" type="datetime-local" value=(asked.at);
            button type="submit" { "Show" }
            a id="own-zone" href="/oncall" hidden { "in this browser's zone" }
        }
        @if let Some((at, duties)) = &explained { (explanation(*at, duties, &clock)) }
        (live::region("gaps", topic.as_str(), html! { section { h2 { "Gaps of the next 90 days" } (gaps(&schedules, &clock)) } }))
        (live::region("schedule", topic.as_str(), html! {
            section {
                h2 { "Four weeks, in " (zone_name) }
                p.dim {
                    "A name without a time has the whole day. " (override_mark()) " stands above the rota. "
                    a href="/api/v1/oncall/schedule" { "API" }
                }
                (schedule(&schedules, &clock))
            }
        }))
    };
    let head = Head {
        title: "On-call",
        place: "/oncall",
        topic,
        scoped: false,
    };
    show(&app, &visit, head, main).await
}

/// The zone that times are shown in.
fn zone_of(name: &str) -> Result<(&str, TimeZone), WebError> {
    match name.trim() {
        "" | "UTC" => Ok(("UTC", TimeZone::UTC)),
        name => TimeZone::get(name).map(|zone| (name, zone)).map_err(|_| {
            WebError::invalid(
                format!("zone: {name:?} is not known"),
                "Use a name such as Africa/Johannesburg.",
            )
        }),
    }
}

/// How instants are shown.
struct Clock<'a> {
    zone: &'a TimeZone,
    now: Timestamp,
}

impl Clock<'_> {
    /// `Mon 2025-01-20 09:00`.
    fn instant(&self, at: Timestamp) -> Markup {
        let wall = at.to_zoned_datetime(self.zone.clone());
        html! { time datetime=(at) title=(time::utc(at, self.now)) { (wall.strftime("%a %Y-%m-%d %H:%M").to_string()) } }
    }
}

const DUTY: &[Column] = &[
    text("Rota"),
    text("Now"),
    text("Until"),
    text("Next"),
    text("Why"),
];

fn duty_table(duties: &[RotaDuty], clock: &Clock<'_>) -> Markup {
    let rows: Vec<Vec<Markup>> = duties
        .iter()
        .map(|duty| {
            vec![
                html! { b { (duty.title) } span.sub { (duty.rota) } },
                html! {
                    @match &duty.shift {
                        Some(shift) => (person(shift)),
                        None => (nobody("nobody")),
                    }
                },
                html! {
                    @match &duty.shift {
                        Some(shift) => {
                            (clock.instant(shift.until))
                            span.sub { "in " (time::span(time::elapsed_ms(clock.now, shift.until))) }
                        },
                        None => span.dim { "–" },
                    }
                },
                html! {
                    @match &duty.next {
                        Some(next) => { (person(next)) span.sub { "from " (clock.instant(next.from)) } },
                        None => (nobody("nobody within 90 days")),
                    }
                },
                html! { (duty.shift.as_ref().map_or("no layer covers it", |shift| &shift.by)) },
            ]
        })
        .collect();
    dense(
        "Who is on call now and next",
        DUTY,
        &rows,
        "The catalog has no rota.",
    )
}

fn person(shift: &RotaShift) -> Markup {
    html! { b { (shift.name) } @if is_override(shift) { " " (override_mark()) } }
}

fn is_override(shift: &RotaShift) -> bool {
    shift.by == "override"
}

/// Word and shape of what stands above the rota.
fn override_mark() -> Markup {
    status_word(Status::Warning, "override")
}

fn nobody(words: &str) -> Markup {
    status_word(Status::Breached, words)
}

const STEPS: &[Column] = &[text("Asked"), text("Verdict"), text("Names"), text("Why")];

/// Who is on call at an instant, with every override and layer in the order in which it is asked.
fn explanation(at: Timestamp, duties: &[RotaDuty], clock: &Clock<'_>) -> Markup {
    html! {
        section {
            h2 { "At " (clock.instant(at)) " · " (time::utc(at, clock.now)) }
            @for duty in duties {
                h3 {
                    (duty.title) ": "
                    @match &duty.shift { Some(shift) => (person(shift)), None => (nobody("nobody")) }
                }
                @let rows: Vec<Vec<Markup>> = duty.why.iter().map(|step| vec![
                    html! { (step.what) },
                    html! { @if step.verdict == "decides" { b { "decides" } } @else { (step.verdict) } },
                    html! { (step.person.as_deref().unwrap_or("–")) },
                    html! { (step.why) },
                ]).collect();
                (dense(&format!("Why, in {}", duty.title), STEPS, &rows, "Nothing was asked: the rota has no layer."))
            }
        }
    }
}

const GAPS: &[Column] = &[
    text("Rota"),
    text("State"),
    text("From"),
    text("Until"),
    text("Length"),
];

fn gaps(schedules: &[RotaSchedule], clock: &Clock<'_>) -> Markup {
    let mut gaps: Vec<_> = schedules
        .iter()
        .flat_map(|schedule| schedule.gaps.iter().map(move |gap| (schedule, gap)))
        .collect();
    gaps.sort_by_key(|(_, gap)| gap.from);
    if gaps.is_empty() && !schedules.is_empty() {
        return html! { p { (status_word(Status::Ok, "none")) " Somebody is on call in every rota at every instant." } };
    }
    let shown = gaps.iter().take(GAPS_MAX);
    let rows: Vec<Vec<Markup>> = shown
        .map(|(schedule, gap)| {
            let running = gap.from <= clock.now;
            vec![
                html! { b { (schedule.title) } },
                nobody(if running { "nobody now" } else { "nobody" }),
                clock.instant(gap.from),
                clock.instant(gap.until),
                html! { (time::span(time::elapsed_ms(gap.from, gap.until))) },
            ]
        })
        .collect();
    html! {
        (dense("Gaps", GAPS, &rows, "The catalog has no rota."))
        @if gaps.len() > GAPS_MAX { p.dim { "The first " (GAPS_MAX) " of " (gaps.len()) "." } }
    }
}

/// One row a day, one column a rota.
fn schedule(schedules: &[RotaSchedule], clock: &Clock<'_>) -> Markup {
    let days = Calendar::of(schedules, clock.zone, clock.now).days;
    let caption = "The schedule of all rotas";
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table.schedule {
                caption.sr { (caption) }
                thead { tr { th scope="col" { "Day" } @for schedule in schedules { th scope="col" { (schedule.title) } } } }
                tbody {
                    @for (number, day) in days.iter().enumerate() {
                        tr class=[day.begins_week.then_some("week")] {
                            th scope="row" { (day.name) @if number == 0 { span.sub { "today" } } }
                            @for pieces in &day.rotas {
                                td {
                                    @for piece in pieces.iter().take(PIECES_MAX) { (shown(piece)) }
                                    @if pieces.len() > PIECES_MAX { span.sub { "and " (pieces.len() - PIECES_MAX) " more" } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn shown(piece: &Piece<'_>) -> Markup {
    html! {
        div {
            @match piece.who {
                Who::Nobody => (nobody("nobody")),
                Who::Person(shift) => (person(shift)),
            }
            // The first instant of a turn is a hand-off; what goes on from the day before needs no time.
            @match (&piece.from, &piece.until) {
                (None, None) => {},
                (Some(from), None) => { " from " (from) },
                (None, Some(until)) => { " until " (until) },
                (Some(from), Some(until)) => { " " (from) "–" (until) },
            }
        }
    }
}
