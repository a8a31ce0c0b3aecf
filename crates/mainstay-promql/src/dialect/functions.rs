//! What other engines know of the functions, by name.

/// Functions that came after Prometheus 2.42.
pub(super) const SINCE_PROMETHEUS_2_42: &[&str] = &[
    "double_exponential_smoothing",
    "first_over_time",
    "histogram_avg",
    "histogram_quantiles",
    "histogram_stddev",
    "histogram_stdvar",
    "info",
    "mad_over_time",
    "sort_by_label",
    "sort_by_label_desc",
    "start_timestamp",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
];
/// Functions of durations: `--enable-feature=promql-duration-expr`.
pub(super) const OF_DURATIONS: &[&str] = &["start", "end", "step", "range", "min_of", "max_of"];
/// Functions that VictoriaMetrics 1.79 does not know; some came later.
pub(super) const NOT_METRICSQL: &[&str] = &[
    "day_of_year",
    "double_exponential_smoothing",
    "histogram_count",
    "histogram_fraction",
    // It is known there, with its arguments in another order.
    "histogram_quantiles",
    "histogram_sum",
    "info",
    "mad_over_time",
    "max_of",
    "min_of",
    "range",
    "start_timestamp",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
];
/// Functions after which MetricsQL keeps the metric's name.
pub(super) const NAME_KEEPERS: &[&str] = &[
    "avg_over_time",
    "ceil",
    "clamp",
    "clamp_max",
    "clamp_min",
    "double_exponential_smoothing",
    "first_over_time",
    "floor",
    "max_over_time",
    "min_over_time",
    "predict_linear",
    "quantile_over_time",
    "round",
];
/// Functions that give NaN for some numbers.
pub(super) const NAN_GIVERS: &[&str] = &[
    "acos",
    "acosh",
    "asin",
    "atanh",
    "ln",
    "log10",
    "log2",
    "sqrt",
    "histogram_quantile",
    "scalar",
    "quantile_over_time",
];
