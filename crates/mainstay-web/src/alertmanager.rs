//! Alertmanager's API v2: what amtool, Grafana, karma and every Prometheus ask of an Alertmanager. Alerts come in by
//! `POST /api/v2/alerts` (`alert.rs`).

mod api;
mod select;

use crate::route::{Parameter, Route};
use crate::view::{
    AlertGroup, AlertmanagerStatus, GettableAlert, GettableSilence, Named, PostableSilence, SilenceMade,
};

const FILTER: Parameter = Parameter::optional(
    "filter",
    "A matcher such as cell=\"cell-5\"; may be given several times, and all must match.",
);
const ACTIVE: Parameter = Parameter::optional("active", "false: not those that are told.");
const SILENCED: Parameter = Parameter::optional("silenced", "false: not those that are silenced.");
const INHIBITED: Parameter = Parameter::optional("inhibited", "false: not those that are inhibited.");
const RECEIVER: Parameter = Parameter::optional(
    "receiver",
    "Only those of receivers whose whole name this regular expression matches.",
);
const ALERTS: &[Parameter] = &[
    FILTER,
    ACTIVE,
    SILENCED,
    INHIBITED,
    Parameter::optional("unprocessed", "Anything: there is none."),
    RECEIVER,
];
const GROUPS: &[Parameter] = &[
    FILTER,
    ACTIVE,
    SILENCED,
    INHIBITED,
    Parameter::optional("muted", "false: not those that a time interval mutes."),
    RECEIVER,
];
const SILENCES: &[Parameter] = &[Parameter::optional(
    "filter",
    "A matcher; only silences that have it, or that are of this value.",
)];

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/api/v2/alerts",
            "Alerts that fire, as Alertmanager's API v2 has them",
            api::alerts,
        )
        .query(ALERTS)
        .gives_bare::<Vec<GettableAlert>>(),
        Route::get(
            "/api/v2/alerts/groups",
            "Alerts that fire by group, as Alertmanager's API v2 has them",
            api::groups,
        )
        .query(GROUPS)
        .gives_bare::<Vec<AlertGroup>>(),
        Route::get("/api/v2/silences", "Silences", api::silences)
            .platform()
            .query(SILENCES)
            .gives_bare::<Vec<GettableSilence>>(),
        Route::post("/api/v2/silences", "Make or change a silence", api::silence)
            .platform()
            .takes::<PostableSilence>()
            .gives_bare::<SilenceMade>(),
        Route::get("/api/v2/silence/{id}", "One silence", api::one_silence)
            .platform()
            .gives_bare::<GettableSilence>(),
        Route::delete("/api/v2/silence/{id}", "End a silence", api::end_silence).platform(),
        Route::get("/api/v2/receivers", "Receivers", api::receivers)
            .platform()
            .gives_bare::<Vec<Named>>(),
        Route::get(
            "/api/v2/status",
            "The routing in force, as an Alertmanager would read it",
            api::status,
        )
        .platform()
        .gives_bare::<AlertmanagerStatus>(),
    ]
}
