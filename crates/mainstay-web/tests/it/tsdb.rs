//! What changes or copies the store, as Prometheus' `admin/tsdb`.

use axum::body::Body;
use http::{StatusCode, header};
use serde_json::{Value, json};

use crate::fake::Mood;
use crate::harness::{FORM, Web};

fn error(error_type: &str, error: &str) -> Value {
    json!({"status": "error", "errorType": error_type, "error": error})
}

#[tokio::test]
async fn series_are_deleted_as_in_prometheus() {
    const DELETE: &str = "/api/v1/admin/tsdb/delete_series";
    let web = Web::open(Mood::Ok);
    let send = async |method: http::Method, path: &str, body: &'static str| {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "127.0.0.1")
            .header(FORM.0, FORM.1);
        web.send(request.body(Body::from(body)).expect("well formed"))
            .await
    };
    for method in [http::Method::POST, http::Method::PUT] {
        let reply = send(method.clone(), DELETE, "match[]=up&start=5&end=9").await;
        assert_eq!((reply.status, &*reply.body), (StatusCode::NO_CONTENT, &b""[..]));
        let dry = send(
            method,
            &format!("{DELETE}?dry_run=true"),
            "match[]=up&match[]=down&end=9",
        )
        .await;
        let expected = json!({"status": "success", "data": {"series": 2, "samples": 9_000}});
        assert_eq!((dry.status, dry.json()), (StatusCode::OK, expected));
    }
    let bad = [
        ("", "no match[] parameter provided"),
        (
            "match[]=up&start=x",
            "invalid parameter \"start\": invalid time value for 'start': cannot parse \"x\" to a valid timestamp",
        ),
        (
            "match[]=up&dry_run=x",
            "invalid parameter \"dry_run\": unable to parse boolean \"x\"",
        ),
    ];
    for (body, problem) in bad {
        let reply = send(http::Method::POST, DELETE, body).await;
        assert_eq!(
            (reply.status, reply.json()),
            (StatusCode::BAD_REQUEST, error("bad_data", problem))
        );
    }
    let everything = send(http::Method::POST, DELETE, "match[]={}").await;
    assert_eq!(everything.status, StatusCode::BAD_REQUEST);
    let broken = send(http::Method::POST, DELETE, "match[]=broken").await;
    assert_eq!(
        (broken.status, broken.json()),
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            error("internal", "the disk is gone")
        )
    );
    assert_eq!(web.get(DELETE).await.status, StatusCode::METHOD_NOT_ALLOWED);

    let clean = send(http::Method::POST, "/api/v1/admin/tsdb/clean_tombstones", "").await;
    assert_eq!(clean.status, StatusCode::NO_CONTENT);
    let snapshot = send(
        http::Method::POST,
        "/api/v1/admin/tsdb/snapshot?skip_head=true",
        "",
    )
    .await;
    assert_eq!(
        snapshot.json(),
        json!({"status": "success", "data": {"name": "20250115T100000Z-true"}})
    );
    let wrong = send(
        http::Method::PUT,
        "/api/v1/admin/tsdb/snapshot?skip_head=maybe",
        "",
    )
    .await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}
