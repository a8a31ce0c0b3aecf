//! One objective in depth: counts, alerts, what spent the budget, what hangs on it.

use jiff::Timestamp;
use mainstay_ui::number::{self, Unit, linked, signed};
use mainstay_ui::status::{severity, status};
use mainstay_ui::table::{Column, dense, numeric, text};
use mainstay_ui::{time, url};
use maud::{Markup, html};

use crate::gate::place_rows;
use crate::view::{Burn, Look, Share, SloAgreement, SloDetail};

const COUNT_COLUMNS: &[Column] = &[text("Counts"), numeric("Bad"), numeric("Of"), numeric("Good")];

/// What was counted, with and without what is excluded, and what is part of neither.
pub(super) fn counts(detail: &SloDetail, look: &Look) -> Markup {
    let slo = &detail.slo;
    let decimals = slo.objective.decimals_beside();
    let good = |bad: u64, total: u64| {
        Share::good(bad, total).map_or_else(|| "unknown".to_owned(), |good| good.percent_floor(decimals))
    };
    let amounts = &slo.amounts;
    let rows = vec![
        vec![
            html! { "Raw" span.sub { "everything that was counted" } },
            linked(&amounts.bad, detail.bad_query.as_deref()),
            linked(&amounts.total, detail.total_query.as_deref()),
            html! { (good(slo.bad, slo.total)) },
        ],
        vec![
            html! { "Adjusted" span.sub { "the budget goes by this" } },
            html! { (amounts.adjusted_bad) },
            html! { (amounts.adjusted_total) },
            html! { (good(slo.adjusted_bad, slo.adjusted_total)) },
        ],
    ];
    html! {
        section {
            h2 { "Counted in " (slo.window) @if let Some(noun) = amounts.noun_beside() { ", in " (noun) } }
            (dense("Raw and adjusted counts", COUNT_COLUMNS, &rows, ""))
            p {
                @match &slo.excluded {
                    Some(excluded) => { (excluded) " " },
                    None => "Nothing is excluded: both are the same. ",
                }
                a href="/adjustments" { "Adjustments" }
            }
            p { (amounts.left) " left of " (amounts.allowed) " that may be bad." }
            @if let Some(doubt) = &slo.doubt { p { b { "In doubt: " } (doubt) "." } }
            @if let Some(apart) = &slo.apart { p { b { "Beside the counts: " } (apart) "." } }
            @if let Some(agreement) = &detail.agreement { (contract(agreement, look)) }
        }
    }
}

fn contract(agreement: &SloAgreement, look: &Look) -> Markup {
    let noun = &agreement.noun;
    let tenant = look.scope.tenant.as_ref().map(AsRef::as_ref).unwrap_or_default();
    let href = url::with_query(
        &url::path(&["slos", agreement.id.as_str()]),
        &[("tenant", tenant)],
    );
    let group = agreement.group.as_deref().unwrap_or("the whole platform");
    html! {
        h3 { "SLA" }
        p {
            a href=(href) { (agreement.title) } ", for " (group) ", promises "
            (agreement.target.percent()) " in " (agreement.window) ": " (status(agreement.status)) " "
            (agreement.left) " of " (agreement.allowed) " " (noun) " left (" (agreement.bad) " bad of " (agreement.total)
            "). The buffer between the objective and the contract is " (agreement.buffer) " " (noun) "."
        }
    }
}

const BURN_COLUMNS: &[Column] = &[
    text("Alert"),
    text("Status"),
    text("Windows"),
    numeric("Long"),
    numeric("Short"),
    numeric("Threshold"),
];

pub(super) fn burns(burns: &[Burn]) -> Markup {
    let rate = |rate: Option<f64>| match rate {
        Some(rate) => format!("{}×", number::measured(rate, Unit::Count)),
        None => "unknown".to_owned(),
    };
    let rows: Vec<Vec<Markup>> = burns
        .iter()
        .map(|burn| {
            vec![
                html! { (burn.alert) },
                html! {
                    (status(burn.status))
                    @if let Some(why) = &burn.held_back { ", held back: " (why) }
                },
                html! { (time::span(burn.long_ms)) " and " (time::span(burn.short_ms)) },
                html! { (rate(burn.long)) },
                html! { (rate(burn.short)) },
                html! { (rate(Some(burn.threshold))) },
            ]
        })
        .collect();
    dense(
        "Burn alerts",
        BURN_COLUMNS,
        &rows,
        "No alert watches how fast this budget burns.",
    )
}

const PART_COLUMNS: &[Column] = &[
    text("What spent it"),
    numeric("Bad"),
    numeric("Of all bad"),
    text("When"),
    text("Suspect changes"),
];

/// Where the bad events belong: incidents, what is excluded, the rest; then their sum.
pub(super) fn parts(detail: &SloDetail, now: Timestamp) -> Markup {
    let Some(parts) = &detail.parts else {
        return html! {
            section {
                h2 { "What spent the budget" }
                p { "Time slices and composites are not divided among incidents: a slice of the whole is not the sum of those of its parts." }
            }
        };
    };
    let share = |bad: i64| {
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        let share = bad as f64 / parts.bad as f64;
        html! { @if parts.bad > 0 { (number::measured(share, Unit::Ratio)) } @else { "–" } }
    };
    let plain = |what: Markup, bad: i64| vec![what, html! { (signed(bad)) }, share(bad), html! {}, html! {}];
    let mut rows: Vec<Vec<Markup>> = parts
        .incidents
        .iter()
        .map(|part| {
            vec![
                html! {
                    a href=(url::path(&["incidents", part.incident.as_str()])) { (part.incident) } " " (severity(part.severity))
                    @if let Some(title) = &part.title { span.sub { (title) } }
                },
                html! { (signed(part.bad)) },
                share(part.bad),
                html! { (time::utc(part.from, now)) span.sub { "to " (time::utc(part.to, now)) } },
                html! {
                    @for (index, suspect) in part.suspects.iter().enumerate() { @if index > 0 { br; } (suspect) }
                    @if part.suspects.is_empty() { span.dim { "none is known" } }
                },
            ]
        })
        .collect();
    if parts.excluded != 0 {
        rows.push(plain(
            html! { a href="/adjustments" { "Excluded by agreement" } },
            parts.excluded,
        ));
    }
    rows.push(plain(html! { "In no incident" }, parts.background));
    rows.push(plain(html! { b { "All, as counted" } }, parts.bad));
    html! {
        section {
            h2 { "What spent the budget" }
            (dense("Bad events by incident", PART_COLUMNS, &rows, ""))
        }
    }
}

/// What hangs on the budget.
pub(super) fn gate(detail: &SloDetail, sees_gate: bool, now: Timestamp) -> Markup {
    html! {
        section {
            h2 { "The gate" }
            @match &detail.gate {
                None if sees_gate => p.dim { "No error budget policy covers this objective: no deploy waits for it." },
                None => p.dim { "The gate is of the platform as a whole; your account is limited to its tenants." },
                Some(gate) => {
                    p {
                        "Policy " a href="/gate" { (gate.title) }
                        @for (state, words) in &gate.states { "; " b { (state) } ": " (words) }
                        "."
                    }
                    (place_rows("Deploys that this objective judges", &gate.places, now))
                }
            }
        }
    }
}

/// Text in which what stands between backticks is code.
fn with_code(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 0 { (part) } @else { code { (part) } }
        }
    }
}

pub(super) fn definition(detail: &SloDetail, look: &Look, month: String) -> Markup {
    let slo = &detail.slo;
    let tenant = look
        .scope
        .tenant
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let cell = look
        .scope
        .cell
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let explain = url::with_query(
        &(url::path(&["api", "v1", "slos", slo.id.as_str()]) + "/explain"),
        &[("tenant", &tenant), ("cell", &cell)],
    );
    let report = url::with_query(
        &url::path(&["api", "v1", "reports", &month]),
        &[("tenant", &tenant), ("format", "html")],
    );
    html! {
        section {
            h2 { "What is counted" }
            p { (with_code(&detail.definition)) }
            @if let Some(source) = &detail.source { p.dim { "Defined in " code { (source) } } }
            ul.facts {
                li { a href=(explain) { "How each number comes about" } }
                li { a href=(report) { "This month's report, so far" } }
            }
        }
    }
}
