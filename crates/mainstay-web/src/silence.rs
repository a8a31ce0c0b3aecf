//! Silences for people: what is held back, by whom, until when. Programs use Alertmanager's API (`alertmanager.rs`).

mod act;
mod draft;
mod page;

use crate::route::{Parameter, Route};

/// What is typed into the form, before it is saved.
const DRAFT: &[Parameter] = &[
    Parameter::optional(
        "matchers",
        "Matchers with commas between, as Alertmanager writes them: what they hold back now is shown.",
    ),
    Parameter::optional(
        "for",
        "For how long: 30m, 1h (default), 2h, 4h, 8h, 24h, 3d or 7d.",
    ),
    Parameter::optional(
        "from",
        "From when on, UTC: 2025-01-15T22:00; now if nothing is said.",
    ),
    Parameter::optional("comment", "Why."),
];

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/silences",
            "Silences, and what one would hold back before it is made",
            page::list,
        )
        .platform()
        .query(DRAFT),
        Route::post("/silences", "Make a silence", act::make)
            .platform()
            .fields(&["matchers", "for", "from", "comment"]),
        Route::post("/silences/{id}/end", "End a silence", act::end).platform(),
    ]
}
