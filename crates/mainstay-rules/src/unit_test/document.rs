//! The YAML of rule unit tests.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::yaml::nullable;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestFile {
    #[serde(default, deserialize_with = "nullable")]
    pub(super) rule_files: Vec<Spanned<String>>,
    pub(super) evaluation_interval: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) group_eval_order: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) fuzzy_compare: bool,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) tests: Vec<Spanned<Test>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Test {
    pub(super) name: Option<String>,
    pub(super) interval: Option<Spanned<String>>,
    pub(super) start_timestamp: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) input_series: Vec<InputSeries>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) alert_rule_test: Vec<Spanned<AlertTest>>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) promql_expr_test: Vec<Spanned<QueryTest>>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) external_labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) external_url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InputSeries {
    pub(super) series: Spanned<String>,
    pub(super) values: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertTest {
    pub(super) eval_time: Option<Spanned<String>>,
    pub(super) alertname: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) exp_alerts: Vec<ExpectedAlert>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedAlert {
    #[serde(default, deserialize_with = "nullable")]
    pub(super) exp_labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) exp_annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QueryTest {
    pub(super) expr: Spanned<String>,
    pub(super) eval_time: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) exp_samples: Vec<ExpectedSample>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedSample {
    pub(super) labels: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) value: f64,
    pub(super) histogram: Option<String>,
}
