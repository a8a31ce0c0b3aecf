//! Prometheus' HTTP API, version 1: what Grafana, promtool and every other client of Prometheus asks.
//!
//! Queries, series, rules, targets and states answer as Prometheus' own documentation says. Where Prometheus takes a
//! form as well as parameters in the address, so does this. Left out is what only its own pages ask.

mod admin;
mod answer;
mod federate;
mod given;
mod histogram;
mod json;
mod name;
mod otlp;
mod query;
mod rules;
mod select;
mod status;
mod targets;
mod tenant;
mod tree;
mod write;

pub(crate) use answer::failed;
pub(crate) use otlp::{PATH as OTLP_METRICS, Problem};

use axum::handler::Handler;
use mainstay_kernel::Role;

use crate::app::App;
use crate::route::{Gives, INGEST_MAX_BYTES, Parameter, Route};

const QUERY: Parameter = Parameter::required("query", "The PromQL expression.");
const START: Parameter = Parameter::optional("start", "From when: seconds since the epoch or RFC 3339.");
const END: Parameter = Parameter::optional("end", "Until when.");
const MATCH: Parameter = Parameter::optional(
    "match[]",
    "A selector of series, such as up{job=\"a\"}; may be given several times.",
);
const LIMIT: Parameter = Parameter::optional(
    "limit",
    "How many entries at most; a warning says if there were more. 0: all.",
);
const TIMEOUT: Parameter = Parameter::optional(
    "timeout",
    "How long it may take: seconds or 1m30s; at most 2 minutes.",
);
const LOOKBACK: Parameter = Parameter::optional(
    "lookback_delta",
    "How old a sample may be to count as current; default 5m.",
);
const STATS: Parameter = Parameter::optional("stats", "Anything: say what the query cost.");
const METRIC: Parameter = Parameter::optional("metric", "Only this metric.");

const INSTANT: &[Parameter] = &[
    QUERY,
    Parameter::optional(
        "time",
        "The instant: seconds since the epoch or RFC 3339; default now.",
    ),
    LIMIT,
    TIMEOUT,
    LOOKBACK,
    STATS,
];
const RANGE: &[Parameter] = &[
    QUERY,
    Parameter::required("start", "The first instant: seconds since the epoch or RFC 3339."),
    Parameter::required("end", "The last instant."),
    Parameter::required("step", "The distance between instants: seconds or 1m30s."),
    LIMIT,
    TIMEOUT,
    LOOKBACK,
    STATS,
];
const SERIES: &[Parameter] = &[
    Parameter::required(
        "match[]",
        "A selector of series, such as up{job=\"a\"}; may be given several times.",
    ),
    START,
    END,
    LIMIT,
];
const LABELS: &[Parameter] = &[MATCH, START, END, LIMIT];
const RULES: &[Parameter] = &[
    Parameter::optional("type", "alert or record; both, if nothing is said."),
    Parameter::optional(
        "rule_name[]",
        "Only rules of this name; may be given several times.",
    ),
    Parameter::optional("rule_group[]", "Only this group; may be given several times."),
    Parameter::optional("file[]", "Only this file; may be given several times."),
    Parameter::optional(
        "match[]",
        "Only rules whose labels match; may be given several times.",
    ),
    Parameter::optional("exclude_alerts", "true: leave the alerts out."),
    Parameter::optional("group_limit", "How many groups at most."),
    Parameter::optional(
        "group_next_token",
        "Go on where the last answer ended: its groupNextToken.",
    ),
];
const METADATA: &[Parameter] = &[
    METRIC,
    LIMIT,
    Parameter::optional("limit_per_metric", "How many sayings per metric at most."),
];
const TARGETS: &[Parameter] = &[
    Parameter::optional("state", "active, dropped or any (default)."),
    Parameter::optional("scrapePool", "Only this job."),
];
const TARGET_METADATA: &[Parameter] = &[
    METRIC,
    LIMIT,
    Parameter::optional("match_target", "Only targets whose labels match this selector."),
];
const STORE: &[Parameter] = &[Parameter::optional(
    "limit",
    "How long its lists are; default 10, at most 10000.",
)];
/// A little more than the longest query may take.
pub(crate) const TIMEOUT_MS: u64 = 125_000;

fn api(route: Route) -> Route {
    route
        .role(Role::Viewer)
        .content(Gives::Prometheus)
        .timeout_ms(TIMEOUT_MS)
}

/// A route that reads, by parameters in the address. It shows the series that the caller reaches.
fn get<T: 'static, H: Handler<T, App>>(
    path: &'static str,
    summary: &'static str,
    query: &'static [Parameter],
    handler: H,
) -> Route {
    api(Route::get(path, summary, handler)).query(query)
}

/// The same, and by a form.
fn both<T: 'static, H: Handler<T, App>>(
    path: &'static str,
    summary: &'static str,
    query: &'static [Parameter],
    handler: H,
) -> [Route; 2] {
    let post = Route::post(path, "The same, with the parameters in a form", handler.clone());
    [get(path, summary, query, handler), api(post).form(query)]
}

pub(crate) fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    routes.extend(both(
        "/api/v1/query",
        "An expression at one instant",
        INSTANT,
        query::instant,
    ));
    routes.extend(both(
        "/api/v1/query_range",
        "An expression over a range",
        RANGE,
        query::range,
    ));
    routes.extend(both(
        "/api/v1/query_exemplars",
        "Exemplars of the series that an expression reads",
        &[QUERY, START, END],
        query::exemplars,
    ));
    routes.extend(both(
        "/api/v1/format_query",
        "An expression, laid out",
        &[QUERY],
        query::format,
    ));
    routes.extend(both(
        "/api/v1/parse_query",
        "An expression, taken apart",
        &[QUERY],
        query::parse,
    ));
    routes.extend(both(
        "/api/v1/series",
        "The label sets of series",
        SERIES,
        select::series,
    ));
    routes.extend(both(
        "/api/v1/labels",
        "The names of labels",
        LABELS,
        select::label_names,
    ));
    routes.extend([
        get(
            "/api/v1/label/{name}/values",
            "The values of a label; a name with other characters is written U__http_2e_code",
            LABELS,
            select::label_values,
        ),
        get(
            "/api/v1/metadata",
            "What targets say about their metrics",
            METADATA,
            targets::metadata,
        ),
        get(
            "/api/v1/targets",
            "What is scraped, and how that went",
            TARGETS,
            targets::targets,
        )
        .platform(),
        get(
            "/api/v1/targets/metadata",
            "What each target says about its metrics",
            TARGET_METADATA,
            targets::target_metadata,
        )
        .platform(),
        get(
            "/api/v1/scrape_pools",
            "The jobs that scrape",
            &[],
            targets::pools,
        )
        .platform(),
        get(
            "/api/v1/rules",
            "The rules of the catalog, and how they stand",
            RULES,
            rules::rules,
        )
        .platform(),
        get(
            "/api/v1/alerts",
            "The alerts of the catalog's rules that are pending or fire",
            &[],
            rules::alerts,
        )
        .platform(),
        get(
            "/api/v1/alertmanagers",
            "The Alertmanagers that alerts are sent to: none",
            &[],
            rules::alertmanagers,
        )
        .platform(),
        get(
            "/api/v1/status/buildinfo",
            "The version of Prometheus whose API this is",
            &[],
            status::build,
        ),
        get(
            "/api/v1/status/runtimeinfo",
            "How the program runs",
            &[],
            status::runtime,
        )
        .platform(),
        get("/api/v1/status/flags", "Its options", &[], status::flags).platform(),
        get(
            "/api/v1/status/config",
            "What is scraped and judged, as a Prometheus configuration",
            &[],
            status::config,
        )
        .platform(),
        get(
            "/api/v1/status/tsdb",
            "What the store holds",
            STORE,
            status::store,
        )
        .platform(),
        get(
            "/api/v1/status/walreplay",
            "How far the log has been read at the start",
            &[],
            status::replay,
        )
        .platform(),
        get(
            "/federate",
            "The newest samples of series, in Prometheus' text format",
            &[MATCH],
            federate::federate,
        )
        .program()
        .content(Gives::Other("text/plain")),
        Route::post(
            "/api/v1/write",
            "Take samples in by remote write, version 1.0 or 2.0",
            write::write,
        )
        .bytes("application/x-protobuf")
        .content(Gives::Other("text/plain"))
        .body_max_bytes(INGEST_MAX_BYTES),
        Route::post(
            otlp::PATH,
            "Take metrics in by OTLP, protobuf (application/x-protobuf) or JSON (application/json), with or without gzip",
            otlp::metrics,
        )
        .bytes("application/x-protobuf")
        .content(Gives::Other("application/x-protobuf"))
        .body_max_bytes(INGEST_MAX_BYTES),
        get(
            "/metrics",
            "What Mainstay says of itself, in Prometheus' text format: what each tenant sent, asked and was refused",
            &[],
            status::own_metrics,
        )
        .platform()
        .program()
        .content(Gives::Other("text/plain")),
        Route::get("/-/healthy", "Whether this process lives", status::healthy)
            .public()
            .program()
            .content(Gives::Other("text/plain")),
        Route::get("/-/ready", "Whether it serves", status::ready)
            .public()
            .program()
            .content(Gives::Other("text/plain")),
    ]);
    routes.extend(admin::routes());
    routes
}
