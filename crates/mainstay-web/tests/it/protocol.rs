//! What programs get: envelope, errors, Prometheus' and Alertmanager's formats, the OpenAPI document.

use axum::body::Body;
use http::StatusCode;
use mainstay_web::route::{self, Kind};

use crate::fake::{INCIDENT, Mood};
use crate::harness::{Web, post};

#[tokio::test]
async fn data_comes_in_an_envelope_and_is_what_the_page_shows() {
    let web = Web::open(Mood::Breached);
    let overview = web.get("/api/v1/overview").await.json();
    assert_eq!(overview["as_of"], "2025-01-15T10:18:04Z");
    let slo = &overview["data"]["slos"][0];
    assert_eq!(slo["objective"], "0.9995");
    assert_eq!(
        (slo["bad"].as_u64(), slo["total"].as_u64()),
        (Some(20_341), Some(24_310_882))
    );
    assert_eq!(slo["status"], "breached");
    let sentence = overview["data"]["sentence"]["text"].as_str().expect("a text");
    assert!(
        web.get("/").await.text().contains(sentence),
        "page and API say the same"
    );
}

#[tokio::test]
async fn errors_say_what_and_how_to_mend_it() {
    let web = Web::open(Mood::Ok);
    for (path, status, code) in [
        ("/api/v1/nowhere", 404, "not_found"),
        ("/api/v1/incidents/none", 404, "not_found"),
        ("/api/v1/incidents/a%20b", 404, "not_found"),
        ("/api/v1/events/xyz/why", 404, "not_found"),
        ("/api/v1/alerts/all?range=5y", 400, "invalid"),
        ("/api/v1/alerts/all?cell=a%20b", 400, "invalid"),
        ("/api/v1/journal/verify", 405, "method"),
    ] {
        let reply = web.get(path).await;
        let error = &reply.json()["error"];
        assert_eq!(
            (reply.status.as_u16(), error["code"].as_str()),
            (status, Some(code)),
            "{path}"
        );
        assert!(
            error["help"].as_str().is_some_and(|help| !help.is_empty()),
            "{path}"
        );
    }
    let page = web.get("/incidents/none").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.text().contains("<h1>incident none is not known</h1>"));
}

#[tokio::test]
async fn notes_have_words_and_an_end() {
    let web = Web::open(Mood::Ok);
    let send = async |body: String| {
        let request = post(&format!("/api/v1/incidents/{INCIDENT}/notes"));
        web.send(request.body(Body::from(body)).expect("well formed"))
            .await
    };
    assert_eq!(
        send(r#"{"text":"pool is full"}"#.to_owned()).await.status,
        StatusCode::OK
    );
    for bad in [
        r#"{"text":"  "}"#.to_owned(),
        format!(r#"{{"text":"{}"}}"#, "x".repeat(2_001)),
        "{".to_owned(),
    ] {
        assert_eq!(send(bad).await.json()["error"]["code"], "invalid");
    }
    let unknown = send(r#"{"text":"a","txet":"b"}"#.to_owned()).await.json();
    assert!(
        unknown["error"]["message"]
            .as_str()
            .is_some_and(|text| text.contains("txet") && text.contains("line 1"))
    );
}

#[tokio::test]
async fn alertmanagers_bodies_are_understood() {
    let web = Web::open(Mood::Ok);
    let send = async |path: &str, body: &'static str| {
        let request = post(path).header("content-type", "application/json");
        web.send(request.body(Body::from(body)).expect("well formed"))
            .await
    };
    // As Prometheus 3 sends it.
    let v2 = r#"[{"annotations":{"summary":"s"},"endsAt":"2025-01-15T10:22:00.000Z","startsAt":"2025-01-15T10:16:00.000Z",
        "generatorURL":"http://p/graph","labels":{"alertname":"A","cell":"cell-5"}}]"#;
    assert_eq!(send("/api/v2/alerts", v2).await.status, StatusCode::OK);
    // As Alertmanager 0.28 sends it.
    let webhook = r#"{"receiver":"m","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"A"},
        "annotations":{},"startsAt":"2025-01-15T10:16:00Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"",
        "fingerprint":"1"}],"groupLabels":{},"commonLabels":{},"commonAnnotations":{},"externalURL":"http://a",
        "version":"4","groupKey":"{}:{}","truncatedAlerts":0}"#;
    assert_eq!(
        send("/api/v1/alerts/webhook", webhook).await.status,
        StatusCode::OK
    );
    assert_eq!(
        web.fake.last_asked().map(|(what, _)| what),
        Some("receive_alerts")
    );
    let old = r#"{"version":"3","groupKey":"g","status":"firing","alerts":[]}"#;
    assert_eq!(
        send("/api/v1/alerts/webhook", old).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        send("/api/v2/alerts", r#"[{"annotations":{}}]"#).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn the_openapi_document_describes_every_route_and_resolves() {
    let web = Web::open(Mood::Ok);
    let document = web.get("/api/v1/openapi.json").await.json();
    let routes: Vec<_> = route::table().into_iter().map(|route| route.info).collect();
    let api = routes.iter().filter(|info| info.kind == Kind::Api);
    let mut ids = std::collections::BTreeSet::new();
    for info in api {
        let operation = &document["paths"][info.path][info.method.as_str().to_lowercase()];
        assert_eq!(operation["summary"], info.summary, "{}", info.path);
        assert!(
            ids.insert(operation["operationId"].to_string()),
            "{} has a twin",
            operation["operationId"]
        );
    }
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().expect("a text ends");
        assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
    assert!(document["components"]["schemas"]["Overview"]["properties"]["sentence"].is_object());
}

/// Where the reference is committed.
const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/api.md");

#[test]
fn the_reference_is_up_to_date() {
    let committed = std::fs::read_to_string(REFERENCE).expect("it is committed");
    assert!(
        committed == mainstay_web::reference::markdown(),
        "docs/reference/api.md is made from the route table; write it anew with \
         `cargo test -p mainstay-web write_the_reference -- --ignored`"
    );
}

#[test]
#[ignore = "writes docs/reference/api.md"]
fn write_the_reference() {
    std::fs::write(REFERENCE, mainstay_web::reference::markdown()).expect("the folder is there");
}
