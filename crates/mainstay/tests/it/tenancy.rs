//! Two tenants on one server: neither sees the other, and one that is over its limits stops nobody but itself.

use jiff::Timestamp;

use crate::harness::{Reply, Server, encoded, http, quiet_catalog};
use crate::otlp::{JSON, export};

/// Sends so many samples of a gauge for a tenant; gives the status and the head of the answer.
/// The status, the head and the body of the answer.
fn export_points(server: &Server, tenant: &str, metric: &str, count: usize) -> (u16, String, String) {
    let now_nano = Timestamp::now().as_nanosecond();
    let points: Vec<String> = (0..count)
        .map(|n| {
            format!(
                r#"{{"timeUnixNano":"{now_nano}","asInt":"{n}","attributes":[{{"key":"n","value":{{"stringValue":"{n}"}}}}]}}"#
            )
        })
        .collect();
    let body = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"{metric}","gauge":{{"dataPoints":[{}]}}}}]}}]}}]}}"#,
        points.join(",")
    );
    let (status, head, body) = export(server, &[JSON, ("X-Scope-OrgID", tenant)], body.as_bytes());
    (status, head, String::from_utf8_lossy(&body).into_owned())
}

fn send(server: &Server, tenant: &str, metric: &str, count: usize) -> (u16, String) {
    let (status, head, _) = export_points(server, tenant, metric, count);
    (status, head)
}

fn ask(server: &Server, path: &str, form: &[(&str, &str)], tenant: Option<&str>) -> Reply {
    let header = tenant.map_or(String::new(), |tenant| format!("X-Scope-OrgID: {tenant}\r\n"));
    http(&server.address, path, Some(&encoded(form)), &header)
}

#[test]
fn tenants_see_their_own_and_are_limited_alone() {
    let catalog = quiet_catalog();
    std::fs::write(
        catalog.path().join("limits.yaml"),
        "apiVersion: mainstay/v1\nkind: MetricsLimits\nmetadata: {name: metrics}\nspec:\n  tenants:\n    \
         greedy: {samples_per_s: 1, burst_samples: 50, query_series: 10, query_bytes: 4000}\n    small: {series: 2}\n",
    )
    .expect("the disk works");
    let server = Server::start_with(
        tempfile::tempdir().expect("a directory"),
        &catalog.path().display().to_string(),
    );
    assert_eq!(send(&server, "greedy", "depth", 40).0, 200);
    assert_eq!(send(&server, "modest", "depth", 60).0, 200);
    assert_eq!(send(&server, "modest", "height", 1).0, 200);
    let (status, head) = send(&server, "greedy", "depth", 50);
    assert_eq!(status, 429, "{head}");
    assert!(head.contains("retry-after: "), "{head}");

    let (status, _, body) = export_points(&server, "small", "width", 3);
    assert_eq!(status, 200, "{body}");
    assert!(
        body.contains("tenant \\\"small\\\" has 2 series, its limit"),
        "{body}"
    );

    let number = |query: &str, tenant| {
        let reply = ask(&server, "/api/v1/query", &[("query", query)], tenant);
        assert_eq!(reply.status, 200, "{}", reply.body);
        let value = reply.json()["data"]["result"][0]["value"][1].clone();
        value.as_str().map(str::to_owned).unwrap_or_default()
    };
    assert_eq!(number("count(depth)", None), "100");
    assert_eq!(number("count(depth)", Some("modest")), "60");
    assert_eq!(number("count(depth{n=\"1\"})", Some("greedy|modest")), "2");
    // Not even who asks for the other's by name.
    assert_eq!(number("count(depth{tenant=\"modest\"})", Some("greedy")), "");
    assert_eq!(number("count(height or depth{n=\"1\"})", Some("nobody")), "");

    let listed = |path: &str, form: &[(&str, &str)], tenant| {
        ask(&server, path, form, Some(tenant)).json()["data"].clone()
    };
    assert_eq!(
        listed("/api/v1/series", &[("match[]", "height")], "greedy"),
        serde_json::json!([])
    );
    let names = http(
        &server.address,
        "/api/v1/label/__name__/values",
        None,
        "X-Scope-OrgID: greedy\r\n",
    );
    assert_eq!(names.json()["data"], serde_json::json!(["depth"]));
    let tenants = http(
        &server.address,
        "/api/v1/label/tenant/values",
        None,
        "X-Scope-OrgID: greedy\r\n",
    );
    assert_eq!(tenants.json()["data"], serde_json::json!(["greedy"]));
    let federated = http(
        &server.address,
        "/federate?match[]=height",
        None,
        "X-Scope-OrgID: greedy\r\n",
    );
    assert_eq!(federated.body, "");

    // What ends one tenant's query is no limit of the other's.
    let refused = ask(&server, "/api/v1/query", &[("query", "depth")], Some("greedy"));
    assert_eq!(
        (refused.status, &refused.json()["errorType"]),
        (422, &"execution".into())
    );
    assert!(
        refused.body.contains("too many series: the limit is 10"),
        "{}",
        refused.body
    );
    let range = [
        ("query", "depth{n=~\"[1-9]\"}"),
        ("start", "0"),
        ("end", "10000"),
        ("step", "1"),
    ];
    assert_eq!(
        ask(&server, "/api/v1/query_range", &range, Some("greedy")).status,
        422
    );
    assert_eq!(
        ask(&server, "/api/v1/query_range", &range, Some("modest")).status,
        200
    );
    assert_eq!(number("count(depth)", Some("modest")), "60");

    let own = http(&server.address, "/metrics", None, "").body;
    for line in [
        "mainstay_ingest_samples_total{tenant=\"greedy\"} 40\n",
        "mainstay_ingest_samples_total{tenant=\"modest\"} 61\n",
        "mainstay_ingest_refused_samples_total{tenant=\"greedy\",reason=\"rate\"} 50\n",
        "mainstay_series{tenant=\"modest\"} 61\n",
        "mainstay_queries_refused_total{tenant=\"greedy\",reason=\"query_series\"} 1\n",
        "mainstay_queries_refused_total{tenant=\"greedy\",reason=\"query_bytes\"} 1\n",
        "mainstay_queries{tenant=\"modest\"} 0\n",
    ] {
        assert!(own.contains(line), "{line}is not in\n{own}");
    }
    assert!(!own.contains("refused_total{tenant=\"modest\""), "{own}");
}
