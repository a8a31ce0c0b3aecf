//! What if: a plain form, and its answer as a table.

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::SloId;
use mainstay_ui::number::{count, signed};
use mainstay_ui::status::{budget, status, status_word};
use mainstay_ui::table::{Column, dense, numeric, text};
use mainstay_ui::{Status, time, url};
use maud::{Markup, html};
use serde::Deserialize;

use crate::app::App;
use crate::console::Failure;
use crate::request::Visit;
use crate::view::{WhatIf, WhatIfAsked, WhatIfTarget};

/// How long a question reaches back, with its days; the default is the third.
const OVER: [(&str, i64); 4] = [("1d", 1), ("7d", 7), ("30d", 30), ("90d", 90)];
/// How many would-be pages are written out of each target; the API gives all.
const PAGES_SHOWN: usize = 10;

#[derive(Deserialize)]
pub(super) struct WhatIfParams {
    #[serde(default)]
    targets: String,
    #[serde(default)]
    over: String,
}

/// The form, and under it the answer or what was wrong with the question.
pub(super) async fn section(app: &App, visit: &Visit, id: &SloId, asked: &WhatIfParams) -> Markup {
    let answer = if asked.targets.trim().is_empty() {
        None
    } else {
        Some(answer(app, visit, id, asked).await)
    };
    html! {
        section id="what-if" {
            h2 { "What if it promised something else" }
            (form(visit, id, asked))
            @match &answer {
                None => p.dim { "By the counts that are kept: what each target would have allowed, whom it would have paged, what it would have frozen." },
                Some(Ok(found)) => (table(found, app.now())),
                Some(Err(failure)) => p.banner role="alert" {
                    (status_word(Status::Warning, "cannot be answered")) " " (failure)
                    @if let Failure::Invalid { help, .. } | Failure::Refused { help, .. } = failure { ": " (help) "." }
                },
            }
        }
    }
}

fn form(visit: &Visit, id: &SloId, asked: &WhatIfParams) -> Markup {
    let scope = &visit.look.scope;
    html! {
        form.actions action={ (url::path(&["slos", id.as_str()])) "#what-if" } method="get" {
            @if let Some(tenant) = &scope.tenant { input type="hidden" name="tenant" value=(tenant); }
            @if let Some(cell) = &scope.cell { input type="hidden" name="cell" value=(cell); }
            label for="targets" { "Targets in percent, at most ten" }
            input id="targets" name="targets" type="text" inputmode="text" value=(asked.targets) placeholder="99.9, 99.95"
                maxlength="200" required autocomplete="off";
            label { "over the last "
                select name="over" {
                    @for (name, _) in OVER { option value=(name) selected[name == over(asked).0] { (name) } }
                }
            }
            button type="submit" { "Reckon" }
        }
    }
}

fn over(asked: &WhatIfParams) -> (&'static str, i64) {
    OVER.into_iter()
        .find(|(name, _)| *name == asked.over)
        .unwrap_or(OVER[2])
}

async fn answer(app: &App, visit: &Visit, id: &SloId, asked: &WhatIfParams) -> Result<WhatIf, Failure> {
    let days = SignedDuration::from_hours(24 * over(asked).1);
    let what = WhatIfAsked {
        targets: asked
            .targets
            .split(',')
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(percent)
            .collect(),
        from: app.now().saturating_sub(days).unwrap_or(Timestamp::MIN),
        to: None,
    };
    let (who, look) = (&visit.caller.principal, &visit.look);
    app.console.what_if(who, id, look, &what).await
}

/// `99.95` is meant in percent; `99.95%` and `0.9995` say what they are.
fn percent(text: &str) -> String {
    if text.ends_with('%') || text.starts_with("0.") {
        text.to_owned()
    } else {
        format!("{text}%")
    }
}

const COLUMNS: &[Column] = &[
    text("Target"),
    text("Kept"),
    numeric("Bad of total"),
    numeric("Allowed"),
    numeric("Left"),
    text("Budget"),
    text("Policy calls for"),
    text("Would have paged"),
];

fn table(found: &WhatIf, now: Timestamp) -> Markup {
    let rows: Vec<Vec<Markup>> = found.targets.iter().map(|target| row(target, now)).collect();
    html! {
        p {
            "Counted from " (time::instant(found.from, now)) " to " (time::instant(found.to, now))
            "; pages are known since " (time::instant(found.pages_from, now)) "."
        }
        (dense("What other targets would have meant", COLUMNS, &rows, "No target is asked about."))
    }
}

fn row(target: &WhatIfTarget, now: Timestamp) -> Vec<Markup> {
    let pages = target.pages.len() as u64 + target.pages_left_out;
    vec![
        html! { (target.objective.percent()) },
        status(target.status),
        html! { (count(target.bad)) span.sub { "of " (count(target.total)) } },
        html! { (count(target.budget_allowed)) },
        html! { (signed(target.budget_left)) },
        budget(target.budget),
        html! {
            @match &target.calls_for { Some(words) => (words), None => span.dim { "nothing" } }
        },
        html! {
            (count(pages)) @if pages == 1 { " time" } @else { " times" }
            @for page in target.pages.iter().take(PAGES_SHOWN) {
                span.sub {
                    (page.alert) ", " (time::utc(page.from, now))
                    @match page.to {
                        Some(to) => { " for " (time::span(time::elapsed_ms(page.from, to))) },
                        None => " and still",
                    }
                }
            }
            @if pages > PAGES_SHOWN as u64 { span.sub { "and " (count(pages - PAGES_SHOWN as u64)) " more" } }
        },
    ]
}
