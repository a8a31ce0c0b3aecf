//! What surrounds every page: who is on call, how much fires, how old the data is, where one is and where one may go.

use jiff::Timestamp;
use mainstay_kernel::Scope;
use maud::{DOCTYPE, Markup, html};

use crate::assets;
use crate::number::count;
use crate::status::{Status, status_word};
use crate::{form, live, time, url};

/// How old data may be before the frame warns, in milliseconds: two scrapes of 15 s.
pub const FRESH_MS: u64 = 30_000;

/// A page that the navigation leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub name: &'static str,
    /// Its path.
    pub path: &'static str,
}

/// Who is on call in one rota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duty<'a> {
    /// The rota.
    pub rota: &'a str,
    /// Who is on call now; nobody is a finding, not a blank.
    pub now: Option<&'a str>,
    /// Until when, and who comes next.
    pub next: Option<(Timestamp, &'a str)>,
}

/// What the scope bar holds, all of it in the address.
#[derive(Debug, Clone, Default)]
pub struct ScopeBar<'a> {
    /// What is looked at now.
    pub scope: Scope,
    /// Which time range is looked at: `1h`.
    pub range: &'a str,
    /// The ranges to choose from.
    pub ranges: &'a [&'a str],
    /// The tenants to choose from.
    pub tenants: &'a [String],
    /// The cells to choose from.
    pub cells: &'a [String],
    /// The services to choose from.
    pub services: &'a [String],
}

impl ScopeBar<'_> {
    /// `path` with the scope and the range in its query, so that a link keeps both.
    #[must_use]
    pub fn link(&self, path: &str) -> String {
        let text = |part: Option<&dyn std::fmt::Display>| part.map(ToString::to_string).unwrap_or_default();
        let (tenant, cell, service) = (
            text(self.scope.tenant.as_ref().map(|id| id as _)),
            text(self.scope.cell.as_ref().map(|id| id as _)),
            text(self.scope.service.as_ref().map(|id| id as _)),
        );
        let range = if self.ranges.first() == Some(&self.range) {
            ""
        } else {
            self.range
        };
        url::with_query(
            path,
            &[
                ("tenant", &tenant),
                ("cell", &cell),
                ("service", &service),
                ("range", range),
            ],
        )
    }
}

/// Everything around the content of a page.
#[derive(Debug)]
pub struct Frame<'a> {
    /// What the page is about; also the title of the browser's tab.
    pub title: &'a str,
    /// The present instant.
    pub now: Timestamp,
    /// The instant of the newest sample; `None` if there never was one.
    pub data_at: Option<Timestamp>,
    /// How many alerts fire.
    pub firing: u64,
    /// Who is on call.
    pub on_call: Vec<Duty<'a>>,
    /// The pages to go to.
    pub places: Vec<Place>,
    /// The path of this page's place in the navigation.
    pub current: &'a str,
    /// The scope bar, on pages that have one.
    pub scope: ScopeBar<'a>,
    /// Whether the page can be narrowed by the scope bar.
    pub scoped: bool,
    /// Who is looking.
    pub user: &'a str,
    /// The anti-forgery token, where there is a session to end.
    pub sign_out: Option<&'a str>,
    /// What the page is about, as a topic; the frame itself follows it too.
    pub topic: &'a str,
}

/// A whole page.
#[must_use]
pub fn page(frame: &Frame<'_>, main: &Markup) -> Markup {
    document(
        &tab_title(frame),
        html! {
            body data-now-ms=(frame.now.as_millisecond()) {
                a.skip href="#main" { "Skip to content" }
                header {
                    (top(frame))
                    (vitals(frame))
                    @if frame.scoped { (scope_bar(&frame.scope, frame.current)) }
                }
                main id="main" { (main) }
                footer {
                    "All times UTC. " a href="/api/v1/openapi.json" { "API" } " · "
                    span id="live-state" role="status" { "Live updates need script; " a href="" { "reload" } " for newer data." }
                }
            }
        },
    )
}

/// Only what may have changed: what the script fetches.
#[must_use]
pub fn fragment(frame: &Frame<'_>, main: &Markup) -> Markup {
    html! {
        title { (tab_title(frame)) }
        (vitals(frame))
        (main)
    }
}

/// A page for who is not signed in.
#[must_use]
pub fn bare(title: &str, main: &Markup) -> Markup {
    document(
        title,
        html! {
            body.bare {
                header { div.top { a.brand href="/" { "Mainstay" } } }
                main id="main" { (main) }
            }
        },
    )
}

fn document(title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href="data:,";
                link rel="stylesheet" href=(assets::STYLE.path);
                script src=(assets::SCRIPT.path) defer {}
            }
            (body)
        }
    }
}

/// The tab says how much fires, so that it can be seen from another tab.
fn tab_title(frame: &Frame<'_>) -> String {
    match frame.firing {
        0 => format!("{} · Mainstay", frame.title),
        firing => format!("({}) {} · Mainstay", count(firing), frame.title),
    }
}

fn top(frame: &Frame<'_>) -> Markup {
    let here = |place: &Place| (place.path == frame.current).then_some("page");
    html! {
        div.top {
            a.brand href="/" { "Mainstay" }
            nav aria-label="Pages" {
                ul {
                    @for place in &frame.places {
                        li { a href=(frame.scope.link(place.path)) aria-current=[here(place)] { (place.name) } }
                    }
                }
            }
            form.search role="search" action="/search" method="get" {
                label.sr for="search" { "Search incidents, alerts, objectives, changes" }
                input id="search" name="q" type="search" placeholder="Search  /" maxlength="200" autocomplete="off";
            }
            div.user {
                (frame.user)
                @if let Some(csrf) = frame.sign_out { " " (form::button("/logout", csrf, "Sign out")) }
            }
        }
    }
}

fn vitals(frame: &Frame<'_>) -> Markup {
    let (age_status, age) = match frame.data_at {
        None => (Status::Unknown, html! { "no data yet" }),
        Some(at) => {
            let age_ms = time::elapsed_ms(at, frame.now);
            let status = if age_ms > FRESH_MS {
                Status::Unknown
            } else {
                Status::Ok
            };
            let age =
                html! { "data " span.age data-since=(at.as_millisecond()) { (time::span(age_ms)) } " old" };
            (status, age)
        }
    };
    let firing = match frame.firing {
        0 if age_status == Status::Unknown => status_word(Status::Unknown, "firing unknown"),
        0 => status_word(Status::Ok, "0 firing"),
        firing => status_word(Status::Breached, format!("{} firing", count(firing))),
    };
    live::region(
        "vitals",
        frame.topic,
        html! {
            ul.vitals aria-label="Now" {
                li { time.clock datetime=(frame.now) { (time::utc(frame.now, frame.now)) } }
                li { (status_word(age_status, &age)) }
                li { a href="/alerts" { (firing) } }
                @for duty in &frame.on_call { li { (on_call(duty, frame.now)) } }
                @if frame.on_call.is_empty() { li { (status_word(Status::Unknown, "no rota")) } }
            }
        },
    )
}

fn on_call(duty: &Duty<'_>, now: Timestamp) -> Markup {
    html! {
        "on call " a.rota href="/oncall" { (duty.rota) } ": "
        @match duty.now {
            Some(person) => b { (person) },
            None => (status_word(Status::Breached, "nobody")),
        }
        @if let Some((until, next)) = duty.next {
            span.next { " until " (time::utc(until, now)) ", then " (next) }
        }
    }
}

fn scope_bar(bar: &ScopeBar<'_>, action: &str) -> Markup {
    let choose = |name: &str, label: &str, any: &str, chosen: Option<String>, choices: &[String]| {
        html! {
            label { (label) " "
                select name=(name) {
                    option value="" { (any) }
                    // What the address names is shown even if it is not among the choices.
                    @if let Some(chosen) = chosen.as_ref().filter(|chosen| !choices.contains(chosen)) {
                        option value=(chosen) selected { (chosen) }
                    }
                    @for choice in choices {
                        option value=(choice) selected[chosen.as_deref() == Some(choice)] { (choice) }
                    }
                }
            }
        }
    };
    html! {
        form.scope role="search" aria-label="Scope" action=(action) method="get" {
            (choose("cell", "Cell", "all cells", bar.scope.cell.as_ref().map(ToString::to_string), bar.cells))
            (choose("service", "Service", "all services", bar.scope.service.as_ref().map(ToString::to_string), bar.services))
            (choose("tenant", "Tenant", "all tenants", bar.scope.tenant.as_ref().map(ToString::to_string), bar.tenants))
            label { "Last "
                select name="range" {
                    @for range in bar.ranges { option value=(range) selected[*range == bar.range] { (range) } }
                }
            }
            button type="submit" { "Show" }
            @if bar.scope != Scope::platform() { a href=(action) { "clear" } }
        }
    }
}
