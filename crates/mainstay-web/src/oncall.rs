//! Who is on call, when, and why.

mod api;
mod calendar;
mod page;

use crate::route::{Parameter, Route};
use crate::view::{Done, NewOverride, RotaDuty, RotaSchedule};

const fn optional(name: &'static str, about: &'static str) -> Parameter {
    Parameter {
        name,
        required: false,
        about,
    }
}

const DUTY: &[Parameter] = &[
    optional("at", "The instant, RFC 3339; now if nothing is said."),
    optional("rota", "Only this rota."),
];
const SHIFTS: &[Parameter] = &[
    optional("from", "From when on, RFC 3339; now if nothing is said."),
    optional(
        "until",
        "Until when, RFC 3339; two weeks later if nothing is said, at most 366 days.",
    ),
    optional("rota", "Only this rota."),
    optional("person", "Only the shifts of this person, by handle."),
];

const PAGE: &[Parameter] = &[
    optional(
        "zone",
        "The zone that times are shown in: Africa/Johannesburg; UTC if nothing is said.",
    ),
    optional(
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
        Route::post(
            "/api/v1/oncall/overrides",
            "Give somebody a duty for a while, whoever has it by the rota",
            api::override_duty,
        )
        .platform()
        .takes::<NewOverride>()
        .gives::<Done>(),
    ]
}
