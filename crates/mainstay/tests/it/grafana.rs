//! What Grafana's Prometheus data source asks, in its order, of a server with samples.

use mainstay_kernel::Labels;
use mainstay_series::{Options, Row, Store};
use serde_json::{Value, json};

use crate::harness::{Server, encoded, http, quiet_catalog};

/// Puts samples into the store of a data directory that no server has open.
pub(crate) fn fill(data: &std::path::Path, samples: &[(Labels, i64, f64)]) {
    let (store, _) = Store::open(&data.join("series"), Options::default()).expect("a store");
    let mut samples: Vec<&(Labels, i64, f64)> = samples.iter().collect();
    samples.sort_by_key(|(_, at_ms, _)| *at_ms);
    for at_once in samples.chunk_by(|a, b| a.1 == b.1) {
        let rows: Vec<Row<'_>> = at_once
            .iter()
            .map(|(labels, t_ms, value)| Row {
                labels,
                created_ms: None,
                t_ms: *t_ms,
                value: *value,
            })
            .collect();
        let appended = store.append_rows(&rows, at_once[0].1).expect("samples are taken");
        assert!((0..rows.len()).all(|index| appended.accepted(index)));
    }
}

#[test]
fn grafanas_data_source_gets_what_it_asks_for() {
    let now_s = jiff::Timestamp::now().as_second();
    let start_s = now_s - 3_600;
    let mut samples = Vec::new();
    for step in 0..240_i32 {
        for (cell, per_step) in [("cell-1", 150), ("cell-2", 300)] {
            let labels = [
                ("__name__", "http_requests_total"),
                ("job", "api"),
                ("cell", cell),
            ];
            let at_ms = (start_s + i64::from(step) * 15) * 1_000;
            samples.push((Labels::from_iter(labels), at_ms, f64::from(step * per_step)));
        }
    }
    let data = tempfile::tempdir().expect("a directory");
    fill(data.path(), &samples);
    let catalog = quiet_catalog();
    let server = Server::start_with(data, catalog.path().to_str().expect("text"));
    let asked = |method: &str, path: &str, parameters: &[(&str, &str)]| -> Value {
        let parameters = encoded(parameters);
        let reply = match method {
            "GET" => http(&server.address, &format!("{path}?{parameters}"), None, ""),
            _ => http(&server.address, path, Some(&parameters), ""),
        };
        assert_eq!(reply.status, 200, "{method} {path}: {}", reply.body);
        let json = reply.json();
        assert_eq!(json["status"], "success", "{method} {path}");
        json["data"].clone()
    };
    let (start, end) = (start_s.to_string(), now_s.to_string());
    let range = [("start", start.as_str()), ("end", end.as_str())];

    // "Save & test".
    let version = asked("GET", "/api/v1/status/buildinfo", &[])["version"].clone();
    let major: u32 = version
        .as_str()
        .and_then(|version| version.split('.').next()?.parse().ok())
        .expect("a version");
    assert!(
        major >= 3,
        "what was added since version 2 is asked for: {version}"
    );
    let health = asked("POST", "/api/v1/query", &[("query", "1+1"), ("time", &end)]);
    assert_eq!(health, json!({"resultType": "scalar", "result": [now_s, "2"]}));

    // The editor: labels, metrics, values.
    let limited = [range[0], range[1], ("limit", "40000")];
    let names = asked("GET", "/api/v1/labels", &limited);
    assert_eq!(names, json!(["__name__", "cell", "job"]));
    let of_metric = [&limited[..], &[("match[]", "http_requests_total")]].concat();
    assert_eq!(
        asked("POST", "/api/v1/labels", &of_metric),
        json!(["__name__", "cell", "job"])
    );
    let with_name = [&limited[..], &[("match[]", "{__name__=~\".*requests.*\"}")]].concat();
    assert_eq!(
        asked("GET", "/api/v1/label/__name__/values", &with_name),
        json!(["http_requests_total"])
    );
    assert_eq!(
        asked("GET", "/api/v1/label/cell/values", &of_metric),
        json!(["cell-1", "cell-2"])
    );
    let earlier = [
        ("start", "1000"),
        ("end", "2000"),
        ("match[]", "http_requests_total"),
    ];
    assert_eq!(asked("GET", "/api/v1/label/cell/values", &earlier), json!([]));
    let series = asked("POST", "/api/v1/series", &of_metric);
    assert_eq!(
        series,
        json!([
            {"__name__": "http_requests_total", "cell": "cell-1", "job": "api"},
            {"__name__": "http_requests_total", "cell": "cell-2", "job": "api"},
        ])
    );
    assert!(asked("GET", "/api/v1/metadata", &[("limit", "40000")]).is_object());

    // A panel.
    let query = "sum by (cell) (rate(http_requests_total{job=\"api\"}[5m]))";
    let panel = [
        ("query", query),
        ("start", &(start_s + 600).to_string()),
        ("end", &(start_s + 1_200).to_string()),
        ("step", "60"),
        ("timeout", "60s"),
    ];
    let graph = asked("POST", "/api/v1/query_range", &panel);
    assert_eq!(graph["resultType"], "matrix");
    for (index, rate) in [(0, 10.0), (1, 20.0)] {
        let line = &graph["result"][index];
        assert_eq!(line["metric"], json!({"cell": format!("cell-{}", index + 1)}));
        let values = line["values"].as_array().expect("points");
        assert_eq!(values.len(), 11);
        assert_eq!(values[0][0], json!(start_s + 600));
        let value: f64 = values[0][1]
            .as_str()
            .and_then(|value| value.parse().ok())
            .expect("a number");
        assert!((value - rate).abs() < 1e-9, "{value}");
    }
    assert_eq!(asked("POST", "/api/v1/query_exemplars", &panel[..3]), json!([]));
    // Alerting.
    assert_eq!(asked("GET", "/api/v1/rules", &[]), json!({"groups": []}));
    assert_eq!(asked("GET", "/api/v1/alerts", &[]), json!({"alerts": []}));
}

/// A page of a million points is answered without a pause for everybody else.
#[test]
fn a_million_points_are_answered() {
    let start_ms = (jiff::Timestamp::now().as_second() - 3_600) * 1_000;
    let samples: Vec<(Labels, i64, f64)> = (0..1_000)
        .flat_map(|series| {
            let labels = Labels::from_iter([
                ("__name__", "wide".to_owned()),
                ("series", format!("{series:04}")),
            ]);
            [0, 1_800_000, 3_599_000].map(|at_ms| (labels.clone(), start_ms + at_ms, f64::from(series) / 7.0))
        })
        .collect();
    let data = tempfile::tempdir().expect("a directory");
    fill(data.path(), &samples);
    let catalog = quiet_catalog();
    let server = Server::start_with(data, catalog.path().to_str().expect("text"));
    let query = encoded(&[
        ("query", "last_over_time(wide[1h])"),
        ("start", &(start_ms / 1_000).to_string()),
        ("end", &(start_ms / 1_000 + 1_998).to_string()),
        ("step", "2"),
    ]);
    let reply = http(&server.address, &format!("/api/v1/query_range?{query}"), None, "");
    let result = reply.json()["data"]["result"].clone();
    let series = result.as_array().expect("series");
    assert_eq!(series.len(), 1_000);
    for (index, series) in series.iter().enumerate() {
        let values = series["values"].as_array().expect("points");
        assert_eq!(values.len(), 1_000, "{}", series["metric"]);
        let expected = (index as f64 / 7.0).to_string();
        assert!(values.iter().all(|point| point[1] == expected.as_str()));
    }
}
