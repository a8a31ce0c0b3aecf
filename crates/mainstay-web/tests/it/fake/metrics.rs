//! Samples, rules and targets that are always the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_kernel::{Labels, Principal, Reach};
use mainstay_promql::{Annotation, Annotations, Level, Outcome, Series, Value as Found, VectorSample, parse};
use mainstay_web::view::*;
use mainstay_web::{Answer, Metrics};

use super::Fake;
use super::data::at;

fn series(pairs: &[(&str, &str)]) -> Arc<Labels> {
    Arc::new(pairs.iter().copied().collect())
}

fn answer(value: Found, annotations: Annotations, at_ms: i64) -> QueryAnswer {
    QueryAnswer {
        outcome: Outcome { value, annotations },
        at_ms,
        cost: QueryCost {
            queued_s: 0.25,
            evaluated_s: 0.5,
            samples_read: 7,
        },
    }
}

fn now<'a, T: Send + 'a>(value: T) -> Answer<'a, T, QueryError> {
    Box::pin(async { Ok(value) })
}

/// Three series of `up`; a remark of each kind if the expression says `remarked`, and every kind of failure.
impl Metrics for Fake {
    fn query<'a>(&'a self, query: &'a InstantQuery) -> Answer<'a, QueryAnswer, QueryError> {
        self.reached(&query.reach);
        Box::pin(async move {
            let expr = parse(&query.expr).map_err(|error| QueryError::Parse(error.to_string()))?;
            match query.expr.as_str() {
                "failing" => return Err(QueryError::Execution("it cannot be done".to_owned())),
                "late" => return Err(QueryError::Timeout("expression evaluation")),
                "broken" => return Err(QueryError::Internal("the disk is gone".to_owned())),
                _ => {}
            }
            let remark = |level, message: &str| Annotation {
                level,
                message: message.to_owned(),
                position: expr.span.position,
            };
            let remarks = match query.expr.as_str() {
                "remarked" => vec![
                    remark(Level::Warning, "beware"),
                    remark(Level::Info, "by the way"),
                ],
                _ => Vec::new(),
            };
            let value = match query.expr.as_str() {
                "1" => Found::Scalar(1.0),
                "\"text\"" => Found::String("text".to_owned()),
                _ => Found::Vector(
                    ["cell-5", "cell-6", "cell-7"]
                        .map(|cell| VectorSample {
                            labels: series(&[("__name__", "up"), ("cell", cell)]),
                            at_ms: query.at_ms,
                            value: 1.0.into(),
                        })
                        .into(),
                ),
            };
            Ok(answer(value, remarks.into_iter().collect(), query.at_ms))
        })
    }

    fn query_range<'a>(&'a self, query: &'a RangeQuery) -> Answer<'a, QueryAnswer, QueryError> {
        self.reached(&query.reach);
        let samples = vec![(query.start_ms, 1.0), (query.end_ms, 1.0)];
        let labels = series(&[("__name__", "up")]);
        let value = Found::Matrix(vec![Series {
            labels,
            samples,
            histograms: Vec::new(),
        }]);
        now(answer(value, Annotations::new(), query.end_ms))
    }

    fn exemplars<'a>(&'a self, selection: &'a Selection) -> Answer<'a, Vec<SeriesExemplars>, QueryError> {
        self.reached(&selection.reach);
        now(vec![SeriesExemplars {
            labels: series(&[("__name__", selection.selectors[0][0].value())]),
            exemplars: vec![Exemplar {
                labels: Labels::from_iter([("trace_id", "7f")]),
                value: 0.5,
                at_ms: 1_500,
            }],
        }])
    }

    fn series<'a>(&'a self, selection: &'a Selection) -> Answer<'a, Vec<Arc<Labels>>, QueryError> {
        self.reached(&selection.reach);
        let cells = ["cell-5", "cell-6"];
        now(cells
            .map(|cell| series(&[("__name__", "up"), ("cell", cell)]))
            .into())
    }

    fn label_names<'a>(&'a self, selection: &'a Selection) -> Answer<'a, Vec<String>, QueryError> {
        self.reached(&selection.reach);
        now(vec!["__name__".to_owned(), "cell".to_owned()])
    }

    fn label_values<'a>(
        &'a self,
        name: &'a str,
        selection: &'a Selection,
    ) -> Answer<'a, Vec<String>, QueryError> {
        self.reached(&selection.reach);
        now(vec![format!("{name} 1"), format!("{name} 2")])
    }

    fn latest<'a>(&'a self, selection: &'a Selection) -> Answer<'a, Vec<(Arc<Labels>, Sample)>, QueryError> {
        self.reached(&selection.reach);
        now(vec![(
            series(&[("__name__", "up"), ("cell", "cell-5")]),
            (1_736_935_200_000, 1.0),
        )])
    }

    fn metric_metadata<'a>(&'a self, reach: &'a Reach) -> Answer<'a, Vec<MetricMetadata>, QueryError> {
        self.reached(reach);
        let said = |metric: &str, instance: &str, help: &str| MetricMetadata {
            metric: metric.to_owned(),
            target: Labels::from_iter([("instance", instance)]),
            kind: "counter".to_owned(),
            help: help.to_owned(),
            unit: String::new(),
        };
        now(vec![
            said("a_total", "h:1", "one"),
            said("a_total", "h:2", "two"),
            said("b_total", "h:1", "three"),
            // Sent, not scraped.
            MetricMetadata {
                target: Labels::new(),
                ..said("b_total", "", "four")
            },
        ])
    }

    fn targets(&self) -> Answer<'_, Targets, QueryError> {
        let target = |job: &str, error: Option<&str>| ScrapedTarget {
            discovered: Labels::from_iter([("__address__", "h:1")]),
            labels: Labels::from_iter([("instance", "h:1"), ("job", job)]),
            job: job.to_owned(),
            pool: job.to_owned(),
            url: "http://h:1/metrics".to_owned(),
            interval_ms: 15_000,
            timeout_ms: 10_000,
            last: Some(LastScrape {
                at: at("2025-01-15T10:18:00Z"),
                took_s: 0.25,
                error: error.map(str::to_owned),
            }),
        };
        let dropped = |count, addresses: &[&str]| DroppedTargets {
            count,
            discovered: addresses
                .iter()
                .map(|address| Labels::from_iter([("__address__", *address)]))
                .collect(),
        };
        now(Targets {
            active: vec![target("api", None), target("db", Some("refused"))],
            dropped: BTreeMap::from([
                ("api".to_owned(), dropped(0, &[])),
                ("db".to_owned(), dropped(3, &["h:8", "h:9"])),
            ]),
        })
    }

    fn rule_groups(&self) -> Answer<'_, Vec<RuleGroup>, QueryError> {
        let alert = RuleAlert {
            labels: Labels::from_iter([("alertname", "Down"), ("cell", "cell-5")]),
            annotations: Labels::from_iter([("summary", "cell-5 is down")]),
            firing: true,
            active_at: at("2025-01-15T10:16:00Z"),
            keep_firing_since: None,
            value: 1.0,
        };
        let evaluated = Some(Evaluated {
            at: at("2025-01-15T10:18:00Z"),
            took_s: 0.001,
        });
        let rule = |name: &str, alerting| Rule {
            name: name.to_owned(),
            query: "up == 0".to_owned(),
            labels: Labels::from_iter([("team", name)]),
            evaluated,
            last_error: None,
            alerting,
        };
        let group = |name: &str, rules| RuleGroup {
            file: format!("{name}.yml"),
            name: name.to_owned(),
            interval_ms: 60_000,
            limit: 0,
            evaluated,
            rules,
        };
        let alerting = Alerting {
            for_ms: 60_000,
            keep_firing_for_ms: 0,
            annotations: Labels::from_iter([("summary", "{{ $labels.cell }} is down")]),
            alerts: vec![alert],
        };
        now(vec![
            group("a", vec![rule("Down", Some(alerting)), rule("up:sum", None)]),
            group("b", vec![rule("up:count", None)]),
            group("c", vec![rule("up:max", None)]),
        ])
    }

    fn store_status<'a>(&'a self, limit: usize, reach: &'a Reach) -> Answer<'a, StoreStatus, QueryError> {
        self.reached(reach);
        let list = vec![("up".to_owned(), limit)];
        now(StoreStatus {
            series: 3,
            label_pairs: 4,
            series_by_metric: list.clone(),
            values_by_label: list.clone(),
            bytes_by_label: list.clone(),
            series_by_pair: list,
        })
    }

    fn write<'a>(&'a self, who: &'a Principal, request: WriteRequest) -> Answer<'a, Written> {
        self.heard("write", who);
        self.reached(&request.reach);
        let unpacked = request.content_encoding.is_none();
        Box::pin(async move {
            Ok(Written {
                status: if unpacked { 204 } else { 415 },
                counts: [("x-samples", 3), ("x-histograms", 2), ("x-exemplars", 1)],
                retry_after_s: None,
                problem: if unpacked { "" } else { "cannot unpack" }.to_owned(),
            })
        })
    }

    fn write_otlp<'a>(&'a self, who: &'a Principal, request: WriteRequest) -> Answer<'a, OtlpAnswer> {
        self.heard("write_otlp", who);
        self.reached(&request.reach);
        let unpacked = request.content_encoding.is_none();
        Box::pin(async move {
            Ok(OtlpAnswer {
                status: if unpacked { 200 } else { 503 },
                content_type: "application/json",
                body: b"{}".to_vec(),
                problem: (!unpacked).then(|| "the disk is full: é".to_owned()),
                retry_after_s: None,
            })
        })
    }

    fn delete_series<'a>(
        &'a self,
        who: &'a Principal,
        deletion: &'a Deletion,
    ) -> Answer<'a, Deleted, QueryError> {
        self.heard("delete_series", who);
        Box::pin(async move {
            match deletion.selectors.iter().any(|selector| selector == "broken") {
                true => Err(QueryError::Internal("the disk is gone".to_owned())),
                false => Ok(Deleted {
                    series: deletion.selection.selectors.len() as u64,
                    samples: u64::try_from(deletion.selection.end_ms).unwrap_or(7),
                }),
            }
        })
    }

    fn clean_tombstones<'a>(&'a self, who: &'a Principal) -> Answer<'a, (), QueryError> {
        self.heard("clean_tombstones", who);
        now(())
    }

    fn snapshot<'a>(&'a self, who: &'a Principal, skip_head: bool) -> Answer<'a, String, QueryError> {
        self.heard("snapshot", who);
        now(format!("20250115T100000Z-{skip_head}"))
    }

    fn own_metrics(&self) -> Answer<'_, String, QueryError> {
        now("mainstay_series{tenant=\"\"} 3\n".to_owned())
    }

    fn runtime(&self) -> Answer<'_, Runtime, QueryError> {
        now(Runtime {
            started_at: at("2025-01-15T10:00:00Z"),
            directory: "/".to_owned(),
            retention_ms: 15 * 86_400_000,
            threads: 2,
            flags: Arc::new(vec![("data".to_owned(), "mainstay-data".to_owned())]),
            configuration: "scrape_configs:\n".to_owned(),
        })
    }
}
