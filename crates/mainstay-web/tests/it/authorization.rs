//! Every route × every kind of caller has the expected answer. There is no list of exceptions: a new route is in the
//! table, so it is in this test.

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use mainstay_kernel::Role;
use mainstay_web::openapi::path_parameters;
use mainstay_web::route::{self, Access, Kind, RouteInfo, Tenancy};

use crate::fake::{INCIDENT, Mood};
use crate::harness::{FORM, Web};

/// A kind of caller: its token, its role, whether it sees the whole platform, whether it sees the fixed tenant.
struct Caller {
    name: &'static str,
    role: Option<Role>,
    platform: bool,
    own: bool,
}

const CALLERS: [Caller; 7] = [
    Caller {
        name: "anonymous",
        role: None,
        platform: false,
        own: false,
    },
    Caller {
        name: "viewer",
        role: Some(Role::Viewer),
        platform: true,
        own: true,
    },
    Caller {
        name: "responder",
        role: Some(Role::Responder),
        platform: true,
        own: true,
    },
    Caller {
        name: "admin",
        role: Some(Role::Admin),
        platform: true,
        own: true,
    },
    Caller {
        name: "own-viewer",
        role: Some(Role::Viewer),
        platform: false,
        own: true,
    },
    Caller {
        name: "foreign-viewer",
        role: Some(Role::Viewer),
        platform: false,
        own: false,
    },
    Caller {
        name: "foreign-responder",
        role: Some(Role::Responder),
        platform: false,
        own: false,
    },
];

/// A path with something that exists for every parameter.
pub(crate) fn concrete(info: &RouteInfo) -> String {
    let mut path = info.path.to_owned();
    for parameter in path_parameters(info.path) {
        let value = match (parameter, info.path) {
            ("id", path) if path.contains("/slos/") => "payments-availability",
            ("id", path) if path.contains("/pages/") => "page-1",
            ("id", path) if path.contains("/silence/") || path.contains("/silences/") => "s-1",
            ("id", _) => INCIDENT,
            ("event", _) => "01JHM8C1E0041061050R3GG28A",
            ("subject", _) => "2025-01-15-001",
            ("name", path) if path.contains("/label/") => "job",
            ("name", path) if path.contains("/heartbeats/") => "nightly-backup",
            ("name", _) => mainstay_ui::assets::STYLE.path.trim_start_matches("/assets/"),
            ("runbook", _) => "payment-service-down",
            ("step", _) => "2",
            ("month", _) => "2026-10",
            ("number", _) => "1",
            ("file", _) => "secret.ics",
            (other, path) => panic!("give {other} of {path} a value here"),
        };
        path = path.replace(&format!("{{{parameter}}}"), value);
    }
    let required: Vec<String> = info
        .query
        .iter()
        .filter(|parameter| parameter.required && info.method == Method::GET)
        .map(|parameter| {
            let value = match parameter.name {
                "query" => "up",
                "start" => "0",
                "end" => "60",
                "step" => "15",
                "topics" => "overview",
                "match[]" => "up",
                "page" => "page-1",
                "person" => "ada",
                "until" => "1736936284",
                "signature" => "good",
                other => panic!("give the parameter {other} of {} a value here", info.path),
            };
            format!("{}={value}", parameter.name)
        })
        .collect();
    if required.is_empty() {
        path
    } else {
        format!("{path}?{}", required.join("&"))
    }
}

/// A body that the route takes.
pub(crate) fn body(info: &RouteInfo) -> &'static str {
    match info.path {
        "/api/v2/alerts" | "/api/v1/completions" => "[]",
        "/api/v1/shadow/alertmanager" => r#"{"version":"4","groupKey":"g","status":"firing","alerts":[]}"#,
        "/api/v1/shadow/pagerduty" => r#"{"event":{"event_type":"incident.triggered","data":{"id":"P1"}}}"#,
        "/api/v1/shadow/cut" => r#"{"route":"root","live":true}"#,
        "/api/v1/alerts/webhook" => r#"{"version":"4","groupKey":"g","status":"firing","alerts":[]}"#,
        "/api/v2/silences" => {
            r#"{"matchers":[{"name":"cell","value":"cell-5","isRegex":false,"isEqual":true}],"comment":"planned",
                "startsAt":"2025-01-15T10:00:00Z","endsAt":"2025-01-15T11:00:00Z","createdBy":"ada"}"#
        }
        "/api/v1/slos/{id}/whatif" => r#"{"targets":["99.9%"],"from":"2025-01-15T00:00:00Z"}"#,
        "/api/v1/changes" => r#"{"specversion":"1.0","id":"1","source":"ci","type":"t"}"#,
        "/api/v1/gate/deploy" => r#"{"service":"payment-service","cell":"cell-5"}"#,
        "/api/v1/oncall/overrides" => r#"{"rota":"primary","person":"ada","until":"2025-01-15T12:00:00Z"}"#,
        "/api/v1/oncall/feeds" => r#"{"rota":"primary"}"#,
        "/api/v1/oncall/handover" => {
            r#"{"rota":"primary","text":"the bank changes its certificate on Tuesday"}"#
        }
        "/api/v1/oncall/swaps" => {
            r#"{"to":"ben","give":{"rota":"primary","from":"2025-01-15T11:00:00Z","until":"2025-01-15T12:00:00Z"}}"#
        }
        "/api/v1/gate/approvals" => r#"{"service":"payment-service","cell":"cell-5","reason":"fixed"}"#,
        "/api/v1/adjustments" => {
            r#"{"objective":"a","from":"2026-10-01T00:00:00Z","to":"2026-10-01T01:00:00Z","reason":"agreed"}"#
        }
        "/api/v1/adjustments/{number}/withdraw" => r#"{"reason":"a mistake"}"#,
        "/api/v1/incidents/{id}/notes" => r#"{"text":"looking"}"#,
        "/incidents/{id}/notes" => "text=looking",
        "/api/v1/query" | "/api/v1/query_exemplars" | "/api/v1/format_query" | "/api/v1/parse_query" => {
            "query=up"
        }
        "/api/v1/series" | "/api/v1/admin/tsdb/delete_series" => "match[]=up",
        "/api/v1/query_range" => "query=up&start=0&end=60&step=15",
        "/silences" => "matchers=cell%3Dcell-5&for=1h&comment=planned",
        "/ack" => "page=page-1&person=ada&until=1736936284&signature=good",
        "/login" => "token=viewer-token",
        _ => "",
    }
}

/// What the rules of access say, without a look at the code that enforces them.
fn expected(info: &RouteInfo, caller: &Caller) -> StatusCode {
    let done = match (info.kind, &info.method) {
        (Kind::Page, &Method::POST) => StatusCode::SEE_OTHER,
        _ if info.path == "/api/v1/write" => StatusCode::NO_CONTENT,
        _ if info.path.ends_with("/delete_series") || info.path.ends_with("/clean_tombstones") => {
            StatusCode::NO_CONTENT
        }
        _ => StatusCode::OK,
    };
    let needed = match info.access {
        Access::Public => return done,
        Access::Role(needed) => needed,
    };
    let Some(role) = caller.role else {
        return match (info.kind, &info.method) {
            (Kind::Page, &Method::GET) => StatusCode::SEE_OTHER,
            _ => StatusCode::UNAUTHORIZED,
        };
    };
    if role < needed || (info.tenancy == Tenancy::Platform && !caller.platform) {
        return StatusCode::FORBIDDEN;
    }
    // Of what belongs to another tenant, nobody learns that it exists.
    // (What a label is called is nobody's.)
    if !caller.own && !path_parameters(info.path).is_empty() && !info.path.contains("/label/") {
        return StatusCode::NOT_FOUND;
    }
    done
}

#[tokio::test]
async fn every_route_answers_every_caller_as_the_rules_say() {
    let web = Web::with_tokens(Mood::Breached);
    let mut wrong = Vec::new();
    let mut checked = 0;
    for route in route::table() {
        let info = route.info;
        for caller in &CALLERS {
            let mut request = Request::builder()
                .method(info.method.clone())
                .uri(concrete(&info))
                .header(header::HOST, "mainstay.example");
            if caller.role.is_some() {
                request = request.header(header::AUTHORIZATION, format!("Bearer {}-token", caller.name));
            }
            if info.kind == Kind::Page || info.path.starts_with("/api/v1/query") {
                request = request.header(FORM.0, FORM.1);
            }
            let request = request.body(Body::from(body(&info))).expect("well formed");
            web.fake.forget();
            let status = if info.path == "/events" {
                // Its body never ends; the head is the answer.
                let response = tower::ServiceExt::oneshot(web.router.clone(), request).await;
                response.expect("the router never fails").status()
            } else {
                web.send(request).await.status
            };
            let due = expected(&info, caller);
            if status != due {
                wrong.push(format!(
                    "{} {} as {}: {status}, not {due}",
                    info.method, info.path, caller.name
                ));
            }
            let reached = web.fake.last_asked();
            if matches!(due, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED) && reached.is_some() {
                wrong.push(format!(
                    "{} {} as {}: the console was asked",
                    info.method, info.path, caller.name
                ));
            }
            if let Some((_, who)) = reached
                && who.actor.subject != caller.name
            {
                wrong.push(format!(
                    "{} as {}: asked as {}",
                    info.path, caller.name, who.actor
                ));
            }
            checked += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(checked, route::table().len() * CALLERS.len());
}

#[test]
fn whatever_writes_needs_more_than_a_viewer_except_asking_and_signing() {
    let lenient: Vec<String> = route::table()
        .into_iter()
        .map(|route| route.info)
        .filter(|info| info.method != Method::GET)
        .filter(|info| !matches!(info.access, Access::Role(Role::Responder | Role::Admin)))
        .map(|info| info.path.to_owned())
        .collect();
    // Questions and queries by POST read; signing in and out concerns only the caller; what a link or Slack says is signed.
    assert_eq!(
        lenient,
        [
            "/api/v1/slos/{id}/whatif",
            "/api/v1/query",
            "/api/v1/query_range",
            "/api/v1/query_exemplars",
            "/api/v1/format_query",
            "/api/v1/parse_query",
            "/api/v1/series",
            "/api/v1/labels",
            "/login",
            "/logout",
            "/ack",
            "/api/v1/slack/actions"
        ]
    );
}
