//! Whose series a request sees: every route of Prometheus' API × every account × every `X-Scope-OrgID`.

use std::collections::BTreeSet;

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use mainstay_kernel::{Reach, Role};
use mainstay_web::route::{self, Access, Gives, RouteInfo, Tenancy};

use crate::authorization::{body, concrete};
use crate::fake::{Mood, TENANT};
use crate::harness::{FORM, Web, get, post};

/// The routes by which samples are read and written.
fn routes() -> Vec<RouteInfo> {
    const BESIDE: [&str; 3] = ["/federate", "/api/v1/write", "/api/v1/otlp/v1/metrics"];
    let of_samples =
        |info: &RouteInfo| matches!(info.gives, Gives::Prometheus) || BESIDE.contains(&info.path);
    let routes = route::table().into_iter().map(|route| route.info);
    // What only administrators may do is not for the accounts of this test.
    let for_all = |info: &RouteInfo| !matches!(info.access, Access::Role(Role::Admin));
    routes.filter(of_samples).filter(for_all).collect()
}

fn uri(info: &RouteInfo) -> String {
    match info.path {
        "/federate" => "/federate?match[]=up".to_owned(),
        _ => concrete(info),
    }
}

fn only(tenants: &[&str]) -> Option<Reach> {
    let tenants: BTreeSet<String> = tenants.iter().map(|tenant| (*tenant).to_owned()).collect();
    Some(Reach::Only(tenants))
}

/// What the console is asked for, or the status of the refusal.
fn expected(platform: bool, header: Option<&str>) -> Result<Option<Reach>, StatusCode> {
    match (platform, header) {
        (true, None) => Ok(Some(Reach::All)),
        (false, None) => Ok(only(&[TENANT])),
        (_, Some("std-001")) => Ok(only(&["std-001"])),
        (true, Some("big-002")) => Ok(only(&["big-002"])),
        (true, Some("big-002|std-001")) => Ok(only(&["big-002", "std-001"])),
        (_, Some("big-002" | "big-002|std-001")) => Err(StatusCode::FORBIDDEN),
        (_, Some(_)) => Err(StatusCode::BAD_REQUEST),
    }
}

#[tokio::test]
async fn every_route_reaches_what_account_and_header_allow_and_no_more() {
    let web = Web::with_tokens(Mood::Ok);
    let headers = [
        None,
        Some("std-001"),
        Some("big-002"),
        Some("big-002|std-001"),
        Some("a b"),
        Some(""),
    ];
    let (mut asked, mut routes_that_ask) = (0, BTreeSet::new());
    for info in routes() {
        for (account, platform) in [("responder", true), ("own-responder", false)] {
            for tenant in headers {
                let mut request = Request::builder()
                    .method(info.method.clone())
                    .uri(uri(&info))
                    .header(header::HOST, "mainstay.example")
                    .header(header::AUTHORIZATION, format!("Bearer {account}-token"));
                if info.method == Method::POST {
                    request = request.header(FORM.0, FORM.1);
                }
                if let Some(tenant) = tenant {
                    request = request.header("X-Scope-OrgID", tenant);
                }
                let case = format!("{} {} as {account} for {tenant:?}", info.method, info.path);
                *web.fake.reached.lock().expect("nobody panics") = None;
                let request = request.body(Body::from(body(&info))).expect("well formed");
                let status = web.send(request).await.status;
                let reached = web.fake.reached.lock().expect("nobody panics").clone();
                if info.tenancy == Tenancy::Platform && !platform {
                    assert_eq!((status, reached), (StatusCode::FORBIDDEN, None), "{case}");
                    continue;
                }
                match expected(platform, tenant) {
                    Ok(due) => {
                        assert!(status.is_success(), "{case}: {status}");
                        if let Some(reached) = reached {
                            assert_eq!(Some(reached), due, "{case}");
                            asked += 1;
                            routes_that_ask.insert((info.method.to_string(), info.path));
                        }
                    }
                    // What shows no series does not look at the header.
                    Err(_) if status.is_success() => assert_eq!(reached, None, "{case}"),
                    Err(due) => assert_eq!((status, reached), (due, None), "{case}"),
                }
            }
        }
    }
    let paths: BTreeSet<&str> = routes_that_ask.iter().map(|(_, path)| *path).collect();
    let expected = [
        "/api/v1/label/{name}/values",
        "/api/v1/labels",
        "/api/v1/metadata",
        "/api/v1/otlp/v1/metrics",
        "/api/v1/query",
        "/api/v1/query_exemplars",
        "/api/v1/query_range",
        "/api/v1/series",
        "/api/v1/status/tsdb",
        "/api/v1/targets/metadata",
        "/api/v1/write",
        "/federate",
    ];
    assert_eq!(paths, BTreeSet::from(expected));
    assert!(asked > 80, "{asked}");
}

#[tokio::test]
async fn a_header_that_is_no_tenant_is_refused_in_the_form_of_the_route() {
    let web = Web::open(Mood::Ok);
    let ask = |tenant: &str| {
        let request = get("/api/v1/query?query=up").header("X-Scope-OrgID", tenant);
        request.body(Body::empty()).expect("well formed")
    };
    let reply = web.send(ask("a/b")).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let said = reply.json();
    assert_eq!(said["errorType"], "bad_data");
    assert_eq!(
        said["error"],
        "the header X-Scope-OrgID names no tenant: a tenant has letters, digits and ! - _ . * ' ( ), not '/'"
    );
    // Twice is once too often: a proxy must not be talked over.
    let request = get("/api/v1/query?query=up")
        .header("X-Scope-OrgID", "a")
        .header("X-Scope-OrgID", "b");
    let reply = web.send(request.body(Body::empty()).expect("well formed")).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let request = post("/api/v1/write").header("X-Scope-OrgID", "..");
    let reply = web.send(request.body(Body::empty()).expect("well formed")).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(reply.json()["error"]["code"], "invalid");
}

#[tokio::test]
async fn alerts_and_targets_of_others_are_left_out() {
    let web = Web::open(Mood::Ok);
    let listed = async |path: &str, list: &str| {
        let request = get(path).header("X-Scope-OrgID", "std-001");
        let reply = web.send(request.body(Body::empty()).expect("well formed")).await;
        reply.json()["data"][list].as_array().expect("a list").len()
    };
    for (path, list) in [
        ("/api/v1/alerts", "alerts"),
        ("/api/v1/targets", "activeTargets"),
        ("/api/v1/scrape_pools", "scrapePools"),
    ] {
        assert!(
            web.get(path).await.json()["data"][list][0].is_object() || list == "scrapePools",
            "{path}"
        );
        assert_eq!(listed(path, list).await, 0, "none of {path} bears the tenant");
    }
    // The rules are the platform's; the alerts under them are not.
    assert_eq!(listed("/api/v1/rules", "groups").await, 3);
}
