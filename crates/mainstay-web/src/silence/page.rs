//! Silences for people, with a look at what one would hold back before it is made.

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use mainstay_kernel::{Matcher, Role, Severity};
use mainstay_ui::number::count;
use mainstay_ui::status::{severity, status_word};
use mainstay_ui::table::{Column, dense, text};
use mainstay_ui::{Status, form, live, time, url};
use maud::{Markup, html};

use super::draft::{Asked, Draft, LENGTHS, USUAL, severity_of};
use crate::app::App;
use crate::error::WebError;
use crate::events::Topic;
use crate::request::{Head, Params, Visit, show};
use crate::view::{GettableAlert, GettableSilence};

/// How many alerts a preview lists; it counts all.
const PREVIEW_MAX: usize = 100;

pub(super) async fn list(
    State(app): State<App>,
    Params(asked): Params<Asked>,
    visit: Visit,
) -> Result<Response, WebError> {
    let who = &visit.caller.principal;
    let alerts = app.console.gettable_alerts(who).await?;
    let silences = app.console.silences(who).await?;
    let (topic, now) = (Topic::overview(), app.now());
    let may = visit.may(Role::Responder);
    let csrf = may.then(|| visit.caller.csrf());
    let section = |heading: &str, caption: &str, state: &str, empty: &str| {
        let mut found: Vec<_> = silences.iter().filter(|one| one.status.state == state).collect();
        found.sort_by_key(|one| one.ends_at);
        if state == "expired" {
            found.reverse();
        }
        let rows: Vec<Vec<Markup>> = found.iter().map(|one| row(one, &alerts, csrf, now)).collect();
        html! { section { h2 { (heading) } (dense(caption, COLUMNS, &rows, empty)) } }
    };
    let main = html! {
        h1 { "Silences" }
        p.dim {
            "Alerts that all matchers of a silence match are not told while it lasts. What still fires when it ends is told then. "
            a href="/alerts" { "Alerts" }
        }
        (live::region("in-force", topic.as_str(), section("In force", "Silences in force", "active", "Nothing is silenced.")))
        @if may {
            section {
                h2 { "New silence" }
                (new(&asked))
                (live::region("preview", topic.as_str(), html! {
                    @if !asked.matchers.trim().is_empty() { (preview(&asked, &alerts, visit.caller.csrf(), now)) }
                }))
            }
        }
        (live::region("others", topic.as_str(), html! {
            (section("To come", "Silences to come", "pending", "None is planned."))
            (section("Over", "Silences that are over", "expired", "None ended within five days."))
        }))
    };
    let head = Head {
        title: "Silences",
        place: "/alerts",
        topic,
        scoped: false,
    };
    show(&app, &visit, head, main).await
}

const COLUMNS: &[Column] = &[
    text("What"),
    text("State"),
    text("Action"),
    text("Holds back now"),
    text("From"),
    text("Until"),
    text("By"),
];

fn row(
    silence: &GettableSilence,
    alerts: &[GettableAlert],
    csrf: Option<&str>,
    now: Timestamp,
) -> Vec<Markup> {
    let held = alerts
        .iter()
        .filter(|alert| alert.status.silenced_by.contains(&silence.id));
    let held: Vec<Severity> = held.map(severity_of).collect();
    let matchers = in_words(&silence.matchers);
    let again = url::with_query(
        "/silences",
        &[("matchers", &matchers), ("comment", &silence.comment)],
    );
    let state = silence.status.state.as_str();
    let status = match state {
        "active" => Status::Warning,
        _ => Status::Neutral,
    };
    vec![
        html! { code { (matchers) } span.sub { (silence.comment) } },
        html! {
            (status_word(status, state))
            @if state == "active" { span.sub { "ends in " (time::span(time::elapsed_ms(now, silence.ends_at))) } }
        },
        html! {
            @if let Some(csrf) = csrf {
                @if state == "expired" { a href=(again) { "Again" } }
                @else { (form::button(&url::path(&["silences", &silence.id, "end"]), csrf, "End now")) }
            }
        },
        html! {
            @match (state, held.iter().min()) {
                ("active", Some(worst)) => { (count(held.len() as u64)) ", worst " (severity(*worst)) },
                ("active", None) => "nothing",
                _ => span.dim { "–" },
            }
        },
        time::instant(silence.starts_at, now),
        time::instant(silence.ends_at, now),
        html! { (silence.created_by) },
    ]
}

/// The form. Sending it only shows what the silence would do.
fn new(asked: &Asked) -> Markup {
    let length = match asked.length.as_str() {
        "" => USUAL,
        text => text,
    };
    html! {
        form.fields action="/silences" method="get" {
            label for="matchers" { "Matchers" }
            input id="matchers" name="matchers" type="text" required maxlength="4000" autocomplete="off" spellcheck="false"
                placeholder="cell=\"cell-5\", alertname=~\"Slow.*\"" value=(asked.matchers);
            label for="comment" { "Why" }
            input id="comment" name="comment" type="text" required maxlength="2000" autocomplete="off"
                placeholder="disks of cell-5 are replaced" value=(asked.comment);
            label for="for" { "For" }
            select id="for" name="for" {
                @for (name, _) in LENGTHS { option value=(name) selected[name == length] { (name) } }
            }
            label for="from" { "From (UTC)" }
            input id="from" name="from" type="datetime-local" value=(asked.from);
            span.sub { "Left empty: from now on." }
            button type="submit" { "Show what it would hold back" }
        }
    }
}

const PREVIEW: &[Column] = &[text("Alert"), text("Severity"), text("Receivers"), text("Since")];

fn preview(asked: &Asked, alerts: &[GettableAlert], csrf: &str, now: Timestamp) -> Markup {
    let wrong = |word: &str, text: &str| {
        html! { p.banner.s-breached role="alert" { (status_word(Status::Breached, word)) " " (text) } }
    };
    let draft = match Draft::of(asked, now) {
        Ok(draft) if draft.takes_everything() => {
            return wrong(
                "matches everything",
                "Name at least one value: a silence of everything is refused.",
            );
        }
        Ok(draft) => draft,
        Err(problem) => return wrong("cannot be read", &problem),
    };
    let mut held: Vec<&GettableAlert> = alerts.iter().filter(|alert| draft.takes(&alert.labels)).collect();
    held.sort_by_key(|alert| (severity_of(alert), alert.starts_at));
    let p0 = held
        .iter()
        .filter(|alert| severity_of(alert) == Severity::P0)
        .count();
    let shown = held.iter().take(PREVIEW_MAX);
    let rows: Vec<Vec<Markup>> = shown.map(|alert| preview_row(alert, now)).collect();
    let unexplained = asked.comment.trim().is_empty();
    html! {
        h3 { "It would hold back " (count(held.len() as u64)) " of the " (count(alerts.len() as u64)) " alerts that fire now" }
        @if p0 > 0 {
            (wrong("P0 among them", &format!("{p0} of severity P0: nobody is paged for what it holds back.")))
        } @else if draft.may_take_p0() {
            p.banner {
                (status_word(Status::Warning, "P0 not left out"))
                " A P0 that begins later and matches is held back too. Add " code { "priority!=\"P0\"" } " to let it through."
            }
        }
        @if held.len() > 1 && held.len() == alerts.len() {
            (wrong("all that fires", "It matches every alert that fires now."))
        }
        (dense("What it would hold back", PREVIEW, &rows, "Nothing that fires now matches. What begins later and matches is held back."))
        @if held.len() > PREVIEW_MAX { p.dim { "The worst " (PREVIEW_MAX) " are shown." } }
        div.actions {
            (form::post("/silences", csrf, html! {
                input type="hidden" name="matchers" value=(asked.matchers);
                input type="hidden" name="for" value=(asked.length);
                input type="hidden" name="from" value=(asked.from);
                input type="hidden" name="comment" value=(asked.comment);
                button.main type="submit" disabled[unexplained] {
                    "Silence " @if draft.starts_at > now { "from " (time::utc(draft.starts_at, now)) " " }
                    "until " (time::utc(draft.ends_at, now))
                }
                @if unexplained { span.dim { "Say why first." } }
            }))
        }
    }
}

fn preview_row(alert: &GettableAlert, now: Timestamp) -> Vec<Markup> {
    let label = |name: &str| alert.labels.get(name).unwrap_or_default();
    let place = ["service", "cell", "tenant"].map(label).into_iter();
    let place: Vec<&str> = place.filter(|value| !value.is_empty()).collect();
    let receivers = alert.receivers.iter().map(|receiver| receiver.name.as_str());
    let receivers: Vec<&str> = receivers.collect();
    vec![
        html! {
            b { (label("alertname")) }
            span.sub { (place.join(" · ")) }
            @if !alert.status.silenced_by.is_empty() { span.sub { "silenced already" } }
        },
        severity(severity_of(alert)),
        html! { (receivers.join(", ")) },
        time::since(alert.starts_at, now),
    ]
}

/// Matchers as they are typed.
fn in_words(matchers: &[Matcher]) -> String {
    let texts: Vec<String> = matchers.iter().map(ToString::to_string).collect();
    texts.join(", ")
}
