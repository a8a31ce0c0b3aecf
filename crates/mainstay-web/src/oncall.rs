//! Who is on call, when, and why.

mod api;
mod calendar;
mod page;

use crate::route::{Gives, Parameter, Route};
use crate::view::{
    Done, DutyFeed, DutyOverride, DutySwap, FeedMade, Handover, NewFeed, NewHandover, NewOverride, NewSwap,
    OncallLoad, RotaDuty, RotaSchedule,
};

const DUTY: &[Parameter] = &[
    Parameter::optional("at", "The instant, RFC 3339; now if nothing is said."),
    Parameter::optional("rota", "Only this rota."),
];
const SHIFTS: &[Parameter] = &[
    Parameter::optional("from", "From when on, RFC 3339; now if nothing is said."),
    Parameter::optional(
        "until",
        "Until when, RFC 3339; two weeks later if nothing is said, at most 366 days.",
    ),
    Parameter::optional("rota", "Only this rota."),
    Parameter::optional("person", "Only the shifts of this person, by handle."),
];

const HANDOVER: &[Parameter] = &[Parameter::optional("rota", "Only this rota.")];
const LOAD: &[Parameter] = &[
    Parameter::optional(
        "from",
        "From when on, RFC 3339; 30 days before the end if nothing is said.",
    ),
    Parameter::optional(
        "until",
        "Until when, RFC 3339; now if nothing is said. At most 366 days later.",
    ),
    Parameter::optional("rota", "Only this rota."),
];
const PAGE: &[Parameter] = &[
    Parameter::optional(
        "zone",
        "The zone that times are shown in: Africa/Johannesburg; UTC if nothing is said.",
    ),
    Parameter::optional(
        "at",
        "An instant to explain: 2025-12-24T18:00 by the clock of the zone, or RFC 3339.",
    ),
];

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/oncall",
            "Who is on call now, next and in the coming weeks, where nobody is, and why",
            page::duty,
        )
        .platform()
        .query(PAGE),
        Route::get(
            "/api/v1/oncall",
            "Who is on call at an instant, until when, who comes next, and why",
            api::duty,
        )
        .platform()
        .query(DUTY)
        .gives::<Vec<RotaDuty>>(),
        Route::get(
            "/api/v1/oncall/schedule",
            "The shifts and gaps of every rota",
            api::shifts,
        )
        .platform()
        .query(SHIFTS)
        .gives::<Vec<RotaSchedule>>(),
        Route::get(
            "/api/v1/oncall/feeds",
            "Calendars that others fetch, without their secrets",
            api::feeds,
        )
        .platform()
        .gives::<Vec<DutyFeed>>(),
        Route::post(
            "/api/v1/oncall/feeds",
            "Make a secret link to the calendar of a person or a rota; it is said once",
            api::open_feed,
        )
        .platform()
        .takes::<NewFeed>()
        .gives::<FeedMade>(),
        Route::post(
            "/api/v1/oncall/feeds/{id}/revoke",
            "Have a link show nothing any more",
            api::revoke_feed,
        )
        .platform()
        .gives::<Done>(),
        Route::get(
            "/api/v1/oncall/feed/{file}",
            "The calendar behind a secret link, `SECRET.ics`; at most 60 times in an hour",
            api::feed,
        )
        .public()
        .content(Gives::Other("text/calendar")),
        Route::get(
            "/api/v1/oncall/handover",
            "What was written down for whoever comes next, and what is open",
            api::handovers,
        )
        .platform()
        .query(HANDOVER)
        .gives::<Vec<Handover>>(),
        Route::post(
            "/api/v1/oncall/handover",
            "Write something down for whoever comes next",
            api::note_handover,
        )
        .platform()
        .takes::<NewHandover>()
        .gives::<Done>(),
        Route::get(
            "/api/v1/oncall/load",
            "Hours on call and off hours, pages, nights, shares and pay of each person",
            api::load,
        )
        .platform()
        .query(LOAD)
        .gives::<OncallLoad>(),
        Route::post(
            "/api/v1/oncall/overrides",
            "Give somebody a duty for a while, whoever has it by the rota",
            api::override_duty,
        )
        .platform()
        .takes::<NewOverride>()
        .gives::<Done>(),
        Route::get(
            "/api/v1/oncall/overrides",
            "Overrides that are not over, with the ids by which they are withdrawn",
            api::overrides,
        )
        .platform()
        .gives::<Vec<DutyOverride>>(),
        Route::post(
            "/api/v1/oncall/overrides/{id}/withdraw",
            "Take an override back, or both of a swap; what of it is over stays as it was",
            api::withdraw,
        )
        .platform()
        .gives::<Done>(),
        Route::get(
            "/api/v1/oncall/swaps",
            "Swaps of shifts that wait for an answer",
            api::swaps,
        )
        .platform()
        .gives::<Vec<DutySwap>>(),
        Route::post(
            "/api/v1/oncall/swaps",
            "Ask somebody to take a shift, for one of theirs or just so; nothing changes before they accept",
            api::ask_swap,
        )
        .platform()
        .takes::<NewSwap>()
        .gives::<Done>(),
        Route::post(
            "/api/v1/oncall/swaps/{id}/accept",
            "Accept a swap; only who was asked may, or an administrator",
            api::accept,
        )
        .platform()
        .gives::<Done>(),
        Route::post(
            "/api/v1/oncall/swaps/{id}/decline",
            "Decline a swap; only who was asked may, or an administrator",
            api::decline,
        )
        .platform()
        .gives::<Done>(),
        Route::post(
            "/api/v1/oncall/swaps/{id}/cancel",
            "Take the question back; only who asked may, or an administrator",
            api::cancel,
        )
        .platform()
        .gives::<Done>(),
    ]
}
