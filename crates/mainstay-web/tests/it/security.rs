//! Strangers, forgers and the greedy.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use axum::body::Body;
use futures::FutureExt as _;
use http::{StatusCode, header};
use mainstay_web::guard::{CONTENT_SECURITY_POLICY, CSRF_HEADER};
use mainstay_web::{Auth, Settings, Tokens, check_bind};
use tower::ServiceExt as _;

use crate::fake::{INCIDENT, Mood};
use crate::harness::{FORM, Reply, Web, between, get, post, tokens_file};

#[test]
fn without_authentication_only_loopback_may_be_listened_on() {
    let addr = |text: &str| -> SocketAddr { text.parse().expect("an address") };
    for open in [
        "127.0.0.1:80",
        "127.8.8.8:80",
        "[::1]:80",
        "[::ffff:127.0.0.1]:80",
    ] {
        assert_eq!(check_bind(addr(open), &Auth::Open), Ok(()), "{open}");
    }
    for reachable in [
        "0.0.0.0:8080",
        "[::]:8080",
        "10.0.0.1:8080",
        "[::ffff:10.0.0.1]:80",
        "[2001:db8::1]:80",
    ] {
        let refused = check_bind(addr(reachable), &Auth::Open).expect_err("strangers could come in");
        assert!(refused.to_string().contains("tokens file"), "{refused}");
    }
    let tokens = Tokens::parse("tokens.yaml", &tokens_file()).expect("well formed");
    assert_eq!(check_bind(addr("0.0.0.0:8080"), &Auth::Tokens(tokens)), Ok(()));
}

#[test]
fn a_wrong_tokens_file_is_refused_with_its_place() {
    let refused = |text: &str| {
        Tokens::parse("tokens.yaml", text)
            .expect_err("it is wrong")
            .to_string()
    };
    let digest = "ab".repeat(32);
    let unknown = refused(&format!(
        "tokens:\n  - name: a\n    role: viewer\n    tenants: all\n    sha256: \"{digest}\"\n    tenant: x\n"
    ));
    assert!(unknown.starts_with("tokens.yaml:6:"), "{unknown}");
    let role = refused(&format!(
        "tokens:\n  - name: a\n    role: root\n    tenants: all\n    sha256: \"{digest}\"\n"
    ));
    assert!(
        role.starts_with("tokens.yaml:3:") && role.contains("viewer"),
        "{role}"
    );
    let missing = refused(&format!(
        "tokens:\n  - name: a\n    role: viewer\n    sha256: \"{digest}\"\n"
    ));
    assert!(
        missing.contains("tenants"),
        "nobody gets everything by silence: {missing}"
    );
    assert!(refused("tokens: []\n").contains("names no token"));
    let twice =
        format!("  - name: a\n    role: viewer\n    tenants: all\n    sha256: \"{digest}\"\n").repeat(2);
    assert!(refused(&format!("tokens:\n{twice}")).contains("twice"));
}

async fn sign_in(web: &Web, token: &str) -> Reply {
    let request = post("/login").header(FORM.0, FORM.1);
    web.send(
        request
            .body(Body::from(format!("token={token}&next=/alerts")))
            .expect("well formed"),
    )
    .await
}

/// Signs in and gives the cookie.
async fn session(web: &Web, token: &str) -> String {
    let reply = sign_in(web, token).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    let cookie = reply.header(header::SET_COOKIE);
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    cookie
        .split(';')
        .next()
        .expect("a cookie has a first part")
        .to_owned()
}

#[tokio::test]
async fn signing_in_and_out_with_a_browser() {
    let web = Web::with_tokens(Mood::Breached);
    let sent = web.get("/incidents?range=6h").await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER);
    assert_eq!(
        sent.header(header::LOCATION),
        "/login?next=%2Fincidents%3Frange%3D6h"
    );

    assert_eq!(sign_in(&web, "guess").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        sign_in(&web, "responder-token").await.header(header::LOCATION),
        "/alerts"
    );
    let cookie = session(&web, "responder-token").await;

    let page = |path: &str| {
        get(path)
            .header(header::COOKIE, &cookie)
            .body(Body::empty())
            .expect("well formed")
    };
    let home = web.send(page("/")).await;
    assert_eq!(home.status, StatusCode::OK);
    let html = home.text();
    assert!(html.contains("token:responder"));
    let csrf = between(&html, "name=\"csrf\" value=\"", "\"").to_owned();

    let out = post("/logout")
        .header(header::COOKIE, &cookie)
        .header(FORM.0, FORM.1);
    let reply = web
        .send(out.body(Body::from(format!("csrf={csrf}"))).expect("well formed"))
        .await;
    assert_eq!(reply.header(header::LOCATION), "/login");
    assert!(reply.header(header::SET_COOKIE).contains("Max-Age=0"));
    assert_eq!(
        web.send(page("/")).await.status,
        StatusCode::SEE_OTHER,
        "the session is over"
    );
}

#[tokio::test]
async fn a_session_ends_by_itself() {
    let web = Web::with_tokens(Mood::Ok);
    let cookie = session(&web, "viewer-token").await;
    let home = || {
        get("/")
            .header(header::COOKIE, &cookie)
            .body(Body::empty())
            .expect("well formed")
    };
    web.clock.advance(jiff::SignedDuration::from_mins(12 * 60 - 1));
    assert_eq!(web.send(home()).await.status, StatusCode::OK);
    web.clock.advance(jiff::SignedDuration::from_mins(1));
    assert_eq!(web.send(home()).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_form_must_come_from_the_session_that_sends_it() {
    let web = Web::with_tokens(Mood::Breached);
    let (mine, other) = (
        session(&web, "responder-token").await,
        session(&web, "admin-token").await,
    );
    let token_of = async |cookie: &str| {
        let request = get(&format!("/incidents/{INCIDENT}")).header(header::COOKIE, cookie);
        let html = web
            .send(request.body(Body::empty()).expect("well formed"))
            .await
            .text();
        between(&html, "name=\"csrf\" value=\"", "\"").to_owned()
    };
    let path = format!("/incidents/{INCIDENT}/acknowledge");
    let send = async |csrf: &str| {
        let request = post(&path).header(header::COOKIE, &mine).header(FORM.0, FORM.1);
        web.send(
            request
                .body(Body::from(format!("csrf={csrf}")))
                .expect("well formed"),
        )
        .await
    };
    let (good, foreign) = (token_of(&mine).await, token_of(&other).await);
    web.fake.forget();
    for forged in ["", "0", &foreign] {
        let reply = send(forged).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
        assert!(reply.text().contains("not from this session"));
    }
    assert_eq!(
        web.fake.last_asked().map(|(what, _)| what),
        None,
        "nothing was done"
    );
    let reply = send(&good).await;
    assert_eq!(
        (reply.status, reply.header(header::LOCATION)),
        (StatusCode::SEE_OTHER, "/incidents/2025-01-15-001")
    );
    assert_eq!(web.fake.last_asked().map(|(what, _)| what), Some("acknowledge"));

    let api = |csrf: Option<&str>| {
        let request = post(&format!("/api/v1{path}")).header(header::COOKIE, &mine);
        let request = csrf
            .iter()
            .fold(request, |request, csrf| request.header(CSRF_HEADER, *csrf));
        request.body(Body::empty()).expect("well formed")
    };
    assert_eq!(web.send(api(None)).await.json()["error"]["code"], "csrf");
    assert_eq!(web.send(api(Some(&good))).await.status, StatusCode::OK);
}

#[tokio::test]
async fn pages_of_other_sites_cannot_write_even_where_nobody_is_asked() {
    let web = Web::open(Mood::Breached);
    let path = format!("/api/v1/incidents/{INCIDENT}/acknowledge");
    let from = |origin: Option<&str>| {
        let request = origin.iter().fold(post(&path), |request, origin| {
            request.header(header::ORIGIN, *origin)
        });
        request.body(Body::empty()).expect("well formed")
    };
    for foreign in ["https://evil.example", "null", "http://127.0.0.1:9999"] {
        assert_eq!(
            web.send(from(Some(foreign))).await.status,
            StatusCode::FORBIDDEN,
            "{foreign}"
        );
    }
    assert_eq!(web.fake.last_asked().map(|(what, _)| what), None);
    assert_eq!(
        web.send(from(Some("http://127.0.0.1:8080"))).await.status,
        StatusCode::OK
    );
    assert_eq!(
        web.send(from(None)).await.status,
        StatusCode::OK,
        "a command line sends no origin"
    );

    let form = post(&format!("/incidents/{INCIDENT}/acknowledge")).header(FORM.0, FORM.1);
    let reply = web
        .send(form.body(Body::from("csrf=guess")).expect("well formed"))
        .await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn where_nobody_is_asked_a_strangers_name_for_this_machine_does_not_work() {
    let web = Web::open(Mood::Breached);
    let from = |host: &str| {
        http::Request::get("/")
            .header(header::HOST, host)
            .body(Body::empty())
            .expect("well formed")
    };
    for good in ["localhost:8080", "127.0.0.1", "[::1]:8080"] {
        assert_eq!(web.send(from(good)).await.status, StatusCode::OK, "{good}");
    }
    for bad in [
        "evil.example",
        "127.0.0.1.evil.example:8080",
        "localhost.evil.example",
    ] {
        assert_eq!(web.send(from(bad)).await.status, StatusCode::FORBIDDEN, "{bad}");
    }
}

#[tokio::test]
async fn every_answer_bears_the_security_headers() {
    let web = Web::open(Mood::Ok);
    for path in [
        "/",
        "/api/v1/overview",
        "/nowhere",
        "/api/v1/nowhere",
        "/assets/none.css",
        "/healthz",
    ] {
        let reply = web.get(path).await;
        assert_eq!(
            reply.header(header::CONTENT_SECURITY_POLICY),
            CONTENT_SECURITY_POLICY,
            "{path}"
        );
        assert_eq!(reply.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{path}");
        assert_eq!(reply.header(header::CACHE_CONTROL), "no-store", "{path}");
    }
    let style = web.get(&mainstay_ui::assets::STYLE.path).await;
    assert_eq!(
        style.header(header::CACHE_CONTROL),
        "public, max-age=31536000, immutable"
    );
}

#[tokio::test]
async fn bodies_are_limited_route_by_route() {
    let web = Web::with_tokens(Mood::Ok);
    let send = async |path: &str, bytes: usize, announced: bool| {
        let mut request = post(path).header(header::AUTHORIZATION, "Bearer responder-token");
        if announced {
            request = request.header(header::CONTENT_LENGTH, bytes);
        }
        let body = format!("[{}]", " ".repeat(bytes - 2));
        web.send(request.body(Body::from(body)).expect("well formed"))
            .await
    };
    for announced in [true, false] {
        let reply = send("/api/v1/changes", 65_537, announced).await;
        assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(reply.json()["error"]["code"], "too_large");
        assert_eq!(
            send("/api/v2/alerts", 65_537, announced).await.status,
            StatusCode::OK
        );
        assert_eq!(
            send("/api/v2/alerts", (4 << 20) + 1, announced).await.status,
            StatusCode::PAYLOAD_TOO_LARGE
        );
    }
}

#[tokio::test]
async fn what_was_begun_is_ended_even_if_the_caller_hangs_up() {
    let web = Web::open(Mood::Breached);
    let path = format!("/api/v1/incidents/{INCIDENT}/acknowledge");
    let request = post(&path).body(Body::empty()).expect("well formed");
    // Looked at once, then dropped: the caller is gone before the answer is there.
    let answer = web.router.clone().oneshot(request).now_or_never();
    assert!(answer.is_none(), "it takes longer than one look");
    let done = || web.fake.acknowledged.load(Ordering::SeqCst);
    for _ in 0..1_000 {
        if done() == 1 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the acknowledgement was dropped halfway");
}

#[tokio::test]
async fn cookies_are_secure_where_tls_ends_before() {
    let tokens = Tokens::parse("tokens.yaml", &tokens_file()).expect("well formed");
    let settings = Settings {
        secure_cookies: true,
        ..Settings::default()
    };
    let web = Web::with(Mood::Ok, Auth::Tokens(tokens), settings);
    let reply = sign_in(&web, "viewer-token").await;
    assert!(reply.header(header::SET_COOKIE).ends_with("; Secure"));
    assert_eq!(
        reply.header(header::STRICT_TRANSPORT_SECURITY),
        "max-age=31536000"
    );
}
