//! Prometheus' HTTP API: parameters, envelope, failures, who may ask.

use axum::body::Body;
use http::{StatusCode, header};
use serde_json::{Value, json};

use crate::fake::Mood;
use crate::harness::{FORM, Web, get, post};

async fn asked(path: &str) -> Value {
    Web::open(Mood::Ok).get(path).await.json()
}

async fn failed(path: &str) -> (u16, Value) {
    let reply = Web::open(Mood::Ok).get(path).await;
    (reply.status.as_u16(), reply.json())
}

fn error(error_type: &str, error: &str) -> Value {
    json!({"status": "error", "errorType": error_type, "error": error})
}

#[tokio::test]
async fn an_instant_query_by_address_and_by_form() {
    let web = Web::open(Mood::Ok);
    let by_address = web.get("/api/v1/query?query=up&time=1736935200.5&limit=1").await;
    assert_eq!(by_address.header(header::CONTENT_TYPE), "application/json");
    let expected = json!({
        "status": "success",
        "data": {
            "resultType": "vector",
            "result": [{"metric": {"__name__": "up", "cell": "cell-5"}, "value": [1_736_935_200.5, "1"]}],
        },
        "warnings": ["results truncated due to limit"],
    });
    assert_eq!(by_address.json(), expected);
    // What stands in the form comes before what stands in the address.
    let form = post("/api/v1/query?query=wrong(&limit=1").header(FORM.0, FORM.1);
    let body = Body::from("query=up&time=2025-01-15T10%3A00%3A00.5Z");
    let by_form = web.send(form.body(body).expect("well formed")).await;
    assert_eq!(by_form.json(), expected);
}

#[tokio::test]
async fn every_kind_of_value_and_remark() {
    let scalar = asked("/api/v1/query?query=1&time=5").await;
    assert_eq!(
        scalar["data"],
        json!({"resultType": "scalar", "result": [5, "1"]})
    );
    let text = asked("/api/v1/query?query=%22text%22&time=5").await;
    assert_eq!(
        text["data"],
        json!({"resultType": "string", "result": [5, "text"]})
    );
    let matrix = asked("/api/v1/query_range?query=up&start=0&end=60&step=15").await;
    let series = json!({"metric": {"__name__": "up"}, "values": [[0, "1"], [60, "1"]]});
    assert_eq!(
        matrix["data"],
        json!({"resultType": "matrix", "result": [series]})
    );
    let remarked = asked("/api/v1/query?query=remarked&stats=all").await;
    assert_eq!(remarked["warnings"], json!(["PromQL warning: beware (1:1)"]));
    assert_eq!(remarked["infos"], json!(["PromQL info: by the way (1:1)"]));
    let stats = &remarked["data"]["stats"];
    assert_eq!(stats["timings"]["execTotalTime"], 0.75);
    assert_eq!(stats["samples"]["totalQueryableSamples"], 7);
}

#[tokio::test]
async fn failures_bear_prometheus_words_and_statuses() {
    let wrong =
        |name: &str, problem: &str| error("bad_data", &format!("invalid parameter {name:?}: {problem}"));
    for (path, status, expected) in [
        (
            "query?query=up(",
            400,
            wrong("query", "1:1: parse error: unknown function with name \"up\""),
        ),
        (
            "query?query=failing",
            422,
            error("execution", "it cannot be done"),
        ),
        (
            "query?query=late",
            503,
            error("timeout", "query timed out in expression evaluation"),
        ),
        ("query?query=broken", 500, error("internal", "the disk is gone")),
        (
            "query?query=up&time=noon",
            400,
            wrong(
                "time",
                "invalid time value for 'time': cannot parse \"noon\" to a valid timestamp",
            ),
        ),
        (
            "query?query=up&timeout=soon",
            400,
            wrong("timeout", "cannot parse \"soon\" to a valid duration"),
        ),
        (
            "query?query=up&lookback_delta=soon",
            400,
            error(
                "bad_data",
                "error parsing lookback delta duration: cannot parse \"soon\" to a valid duration",
            ),
        ),
        (
            "query?query=up&limit=-1",
            400,
            wrong("limit", "limit must be non-negative"),
        ),
        (
            "query_range?query=up&start=0&end=60",
            400,
            wrong("step", "cannot parse \"\" to a valid duration"),
        ),
        (
            "query_range?query=up&start=0&end=-1&step=1",
            400,
            wrong("end", "end timestamp must not be before start time"),
        ),
        (
            "query_range?query=up&start=0&end=60&step=0",
            400,
            wrong(
                "step",
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            ),
        ),
        (
            "query_range?query=up&start=0&end=11001&step=1",
            400,
            error(
                "bad_data",
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
            ),
        ),
        ("series", 400, error("bad_data", "no match[] parameter provided")),
        (
            "series?match[]=%7B%7D",
            400,
            wrong(
                "match[]",
                "1:1: parse error: vector selector must contain at least one non-empty matcher",
            ),
        ),
        (
            "label/U__/values",
            400,
            error("bad_data", "invalid label name: \"\""),
        ),
        (
            "rules?group_next_token=a",
            400,
            wrong(
                "group_next_token",
                "group_limit needs to be present in order to paginate over the groups",
            ),
        ),
        (
            "rules?group_next_token=a&group_limit=1",
            400,
            wrong(
                "group_next_token",
                "invalid group_next_token 'a'. were rule groups changed?",
            ),
        ),
        (
            "status/tsdb?limit=10001",
            400,
            error("bad_data", "limit must not exceed 10000"),
        ),
    ] {
        assert_eq!(
            failed(&format!("/api/v1/{path}")).await,
            (status, expected),
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_the_guard_refuses_is_in_prometheus_form_too() {
    let web = Web::with_tokens(Mood::Ok);
    let reply = web.get("/api/v1/query?query=up").await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert_eq!(reply.json(), error("unauthenticated", "no token was sent"));
    assert!(reply.headers.contains_key(header::WWW_AUTHENTICATE));
    let wrong = http::Request::get("/api/v1/query?query=up").header("authorization", "Bearer guess");
    let wrong = web.send(wrong.body(Body::empty()).expect("well formed")).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let said = "the token that was sent is in no tokens file";
    assert_eq!(wrong.json(), error("unauthenticated", said));
    let request = post("/api/v1/query")
        .header("authorization", "Bearer viewer-token")
        .body(Body::from(format!("query={}", "x".repeat(65_536))));
    let large = web.send(request.expect("well formed")).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(large.json()["errorType"], "bad_data");
}

/// Grafana and promtool know basic authentication; browsers must not be made to use it.
#[tokio::test]
async fn a_token_may_come_as_a_password_but_not_to_a_page() {
    let web = Web::with_tokens(Mood::Ok);
    let send = async |path: &str, name_and_password: &str| {
        use base64::Engine as _;
        let credentials = base64::engine::general_purpose::STANDARD.encode(name_and_password);
        let request = get(path).header("authorization", format!("Basic {credentials}"));
        web.send(request.body(Body::empty()).expect("well formed"))
            .await
            .status
    };
    assert_eq!(
        send("/api/v1/labels", "grafana:viewer-token").await,
        StatusCode::OK
    );
    assert_eq!(send("/api/v1/labels", ":viewer-token").await, StatusCode::OK);
    assert_eq!(
        send("/api/v1/labels", "viewer-token:viewer").await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        send("/api/v1/targets", "own-viewer:own-viewer-token").await,
        StatusCode::FORBIDDEN,
        "targets are the platform's"
    );
    assert_eq!(
        send("/query", "grafana:viewer-token").await,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn series_and_their_labels() {
    let series = asked("/api/v1/series?match[]=up&limit=1").await;
    assert_eq!(series["data"], json!([{"__name__": "up", "cell": "cell-5"}]));
    assert_eq!(series["warnings"], json!(["results truncated due to limit"]));
    let names = asked("/api/v1/labels?match[]=up").await;
    assert_eq!(names, json!({"status": "success", "data": ["__name__", "cell"]}));
    let values = asked("/api/v1/label/U__http_2e_code/values").await;
    assert_eq!(values["data"], json!(["http.code 1", "http.code 2"]));
}

#[tokio::test]
async fn rules_are_filtered_and_come_in_pages() {
    let names = async |query: &str| {
        let rules = asked(&format!("/api/v1/rules?{query}")).await;
        let groups = rules["data"]["groups"].as_array().expect("groups").clone();
        let rules = groups
            .iter()
            .flat_map(|group| group["rules"].as_array().expect("rules"));
        rules
            .map(|rule| rule["name"].as_str().expect("a name").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["Down", "up:sum", "up:count", "up:max"]);
    assert_eq!(names("type=alert").await, ["Down"]);
    assert_eq!(names("type=RECORD").await, ["up:sum", "up:count", "up:max"]);
    assert_eq!(
        names("rule_name[]=Down&rule_name[]=up:max").await,
        ["Down", "up:max"]
    );
    assert_eq!(names("rule_group[]=b&file[]=b.yml").await, ["up:count"]);
    assert_eq!(
        names("match[]=%7Bteam=%22up:sum%22%7D&match[]=%7Bteam=%22up:max%22%7D").await,
        ["up:sum", "up:max"]
    );

    let first = asked("/api/v1/rules?group_limit=2").await;
    assert_eq!(first["data"]["groups"].as_array().map(Vec::len), Some(2));
    let token = first["data"]["groupNextToken"].as_str().expect("there is more");
    let second = asked(&format!("/api/v1/rules?group_limit=2&group_next_token={token}")).await;
    assert_eq!(second["data"]["groups"][0]["name"], "c");
    assert_eq!(second["data"]["groupNextToken"], Value::Null);

    let rule =
        asked("/api/v1/rules?type=alert&exclude_alerts=true").await["data"]["groups"][0]["rules"][0].clone();
    assert_eq!(
        (&rule["alerts"], &rule["state"]),
        (&Value::Null, &json!("firing"))
    );
    let alerts = asked("/api/v1/alerts").await;
    assert_eq!(
        alerts["data"]["alerts"],
        json!([{
            "labels": {"alertname": "Down", "cell": "cell-5"},
            "annotations": {"summary": "cell-5 is down"},
            "state": "firing",
            "activeAt": "2025-01-15T10:16:00Z",
            "value": "1e+00",
        }])
    );
}

#[tokio::test]
async fn targets_and_what_they_say() {
    let targets = asked("/api/v1/targets?scrapePool=db").await["data"].clone();
    let target = &targets["activeTargets"][0];
    assert_eq!(
        (&target["health"], &target["lastError"]),
        (&json!("down"), &json!("refused"))
    );
    assert_eq!(
        (&target["scrapeInterval"], &target["lastScrapeDuration"]),
        (&json!("15s"), &json!(0.25))
    );
    let dropped = asked("/api/v1/targets?state=dropped").await;
    let known = |address: &str| json!({"discoveredLabels": {"__address__": address}, "scrapePool": "db"});
    assert_eq!(
        dropped["data"],
        json!({
            "activeTargets": [],
            "droppedTargets": [known("h:8"), known("h:9")],
            "droppedTargetCounts": {"api": 0, "db": 3},
        })
    );
    let active = asked("/api/v1/targets?state=active&scrapePool=api").await;
    assert_eq!(active["data"]["activeTargets"].as_array().map(Vec::len), Some(1));
    assert_eq!(active["data"]["droppedTargets"], json!([]));
    assert_eq!(active["data"]["droppedTargetCounts"], json!(null));
    assert_eq!(
        asked("/api/v1/scrape_pools").await["data"],
        json!({"scrapePools": ["api", "db"]})
    );
    let said = |help: &str| json!({"type": "counter", "help": help, "unit": ""});
    assert_eq!(
        asked("/api/v1/metadata?limit=1").await["data"],
        json!({"a_total": [said("one"), said("two")]})
    );
    assert_eq!(
        asked("/api/v1/metadata?metric=a_total&limit_per_metric=1").await["data"],
        json!({"a_total": [said("one")]})
    );
    let of_target = asked("/api/v1/targets/metadata?match_target=%7Binstance=%22h:2%22%7D").await;
    assert_eq!(of_target["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(of_target["data"][0]["help"], "two");
    let sent = asked("/api/v1/metadata?metric=b_total").await;
    assert_eq!(sent["data"], json!({"b_total": [said("four"), said("three")]}));
    let of_target = asked("/api/v1/targets/metadata?metric=b_total").await;
    assert_eq!(
        of_target["data"].as_array().map(Vec::len),
        Some(1),
        "of no target"
    );
}

#[tokio::test]
async fn states_exemplars_and_expressions() {
    let web = Web::with_tokens(Mood::Ok);
    for path in ["/-/healthy", "/-/ready"] {
        assert_eq!(
            web.get(path).await.status,
            StatusCode::OK,
            "anybody may ask {path}"
        );
    }
    let build = asked("/api/v1/status/buildinfo").await;
    assert!(
        build["data"]["version"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.")),
        "Grafana decides by it what it may ask"
    );
    assert_eq!(
        asked("/api/v1/status/flags").await["data"],
        json!({"data": "mainstay-data"})
    );
    assert_eq!(
        asked("/api/v1/status/runtimeinfo").await["data"]["storageRetention"],
        "15d"
    );
    let store = asked("/api/v1/status/tsdb?limit=5").await;
    assert_eq!(
        store["data"]["seriesCountByMetricName"],
        json!([{"name": "up", "value": 5}])
    );
    assert_eq!(
        asked("/api/v1/query_exemplars?query=rate(x[5m])").await["data"],
        json!([{
            "seriesLabels": {"__name__": "x"},
            "exemplars": [{"labels": {"trace_id": "7f"}, "value": "0.5", "timestamp": 1.5}],
        }])
    );
    assert_eq!(
        asked("/api/v1/format_query?query=sum(up)by(cell)").await["data"],
        "sum by (cell) (up)"
    );
    assert_eq!(
        asked("/api/v1/parse_query?query=1").await["data"],
        json!({"type": "numberLiteral", "val": "1"})
    );
    let federated = Web::open(Mood::Ok).get("/federate?match[]=up").await;
    assert_eq!(
        federated.text(),
        "# TYPE up untyped\nup{cell=\"cell-5\",instance=\"\"} 1 1736935200000\n"
    );
}

#[tokio::test]
async fn what_is_written_is_counted_in_the_answer() {
    let web = Web::open(Mood::Ok);
    let write = async |encoding: Option<&str>| {
        let request = encoding
            .into_iter()
            .fold(post("/api/v1/write"), |request, encoding| {
                request.header(header::CONTENT_ENCODING, encoding)
            });
        web.send(request.body(Body::from("samples")).expect("well formed"))
            .await
    };
    let taken = write(None).await;
    assert_eq!(
        (taken.status, taken.text().as_str()),
        (StatusCode::NO_CONTENT, "")
    );
    assert_eq!(taken.headers["x-samples"], "3");
    let refused = write(Some("gzip")).await;
    assert_eq!(
        (refused.status, refused.text().as_str()),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, "cannot unpack")
    );
}

#[tokio::test]
async fn otlp_is_answered_in_its_encoding_and_says_when_to_try_again() {
    let web = Web::open(Mood::Ok);
    let export = async |encoding: Option<&str>| {
        let request = encoding
            .into_iter()
            .fold(post("/api/v1/otlp/v1/metrics"), |request, encoding| {
                request.header(header::CONTENT_ENCODING, encoding)
            });
        web.send(request.body(Body::from("{}")).expect("well formed"))
            .await
    };
    let taken = export(None).await;
    assert_eq!((taken.status, taken.text().as_str()), (StatusCode::OK, "{}"));
    assert_eq!(taken.headers["content-type"], "application/json");
    assert!(!taken.headers.contains_key("retry-after"));
    let later = export(Some("gzip")).await;
    assert_eq!(later.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(later.headers["retry-after"], "5");
}
