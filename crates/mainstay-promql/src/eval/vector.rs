//! Instant vectors: dispatch over the tree, and the functions that are not about windows.

use std::collections::BTreeSet;
use std::sync::Arc;

use mainstay_kernel::histogram::Histogram;
use mainstay_kernel::labels::METRIC_NAME;
use mainstay_kernel::{Labels, MatchOp};

use crate::ast::{Expr, ExprKind, Extension};
use crate::error::QueryError;
use crate::format;
use crate::histogram::{Tally, variance};
use crate::statistics::{larger, quantile, smaller};
use crate::value::SampleValue;

use super::leaf::Window;
use super::notes::Notes;
use super::over_time::seconds;
use super::over_time::{OverTime, floats_only};
use super::scalar::text;
use super::{Evaluator, Sample, calendar, extended, label, order, over_time};

impl Evaluator<'_> {
    pub(super) fn vector(&mut self, expr: &Expr, at_ms: i64) -> Result<Vec<Sample>, QueryError> {
        match &expr.kind {
            ExprKind::Selector(selector) if selector.extension == Some(Extension::Smoothed) => self
                .each_window(expr, at_ms, |window, notes| {
                    extended::smoothed(window, notes, window.end_ms)
                }),
            ExprKind::Selector(selector) => Ok(self
                .current(selector, at_ms)
                .into_iter()
                .map(|(_, sample)| sample)
                .collect()),
            ExprKind::Paren(inner) => self.vector(inner, at_ms),
            ExprKind::Negate(inner) => Ok(negated(self.vector(inner, at_ms)?)),
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate, expr.span, at_ms),
            ExprKind::Binary(binary) => self.binary(binary, expr.span, at_ms),
            ExprKind::Call { function, args } => self.call(expr, function.name, args, at_ms),
            _ => Err(QueryError::Unsupported("this kind of instant vector".to_owned())),
        }
    }

    fn call(
        &mut self,
        expr: &Expr,
        name: &str,
        args: &[Expr],
        at_ms: i64,
    ) -> Result<Vec<Sample>, QueryError> {
        if let Some(compute) = over_time::named(name) {
            return self.over_time(name, args, at_ms, compute);
        }
        if let Some(compute) = elementwise(name) {
            return Ok(mapped(self.vector(&args[0], at_ms)?, compute));
        }
        if let Some(compute) = of_histogram(name) {
            let samples = self.vector(&args[0], at_ms)?.into_iter();
            let results = samples.filter_map(|sample| {
                let value = compute(sample.value.histogram()?);
                Some(sample.computed(value))
            });
            return Ok(results.collect());
        }
        if let Some(field) = calendar::named(name) {
            let samples = match args {
                [] => vec![Sample::anonymous(seconds(at_ms))],
                [vector, ..] => self.vector(vector, at_ms)?,
            };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                reason = "as Prometheus does"
            )]
            let compute = |value: f64| field(value as i64) as f64;
            return Ok(mapped(samples, compute));
        }
        match (name, args) {
            ("info", args) => self.info(expr, args, at_ms),
            ("vector", [scalar]) => Ok(vec![Sample::anonymous(self.scalar(scalar, at_ms)?)]),
            ("start_timestamp", [vector]) => Ok(match &vector.unwrapped().kind {
                ExprKind::Selector(selector) if self.limits.use_starts => self.newest_starts(selector, at_ms),
                _ => Vec::new(),
            }),
            ("timestamp", [vector]) => self.timestamp(vector, at_ms),
            ("absent", [vector]) => {
                let present = self.vector(vector, at_ms)?;
                Ok(if present.is_empty() {
                    vec![absent(vector)]
                } else {
                    Vec::new()
                })
            }
            ("absent_over_time", [matrix]) => {
                let present = self.each_window(matrix, at_ms, |_, _| Some(1.0.into()))?;
                Ok(if present.is_empty() {
                    vec![absent(matrix)]
                } else {
                    Vec::new()
                })
            }
            ("round", [vector, rest @ ..]) => {
                let nearest = match rest {
                    [] => 1.0,
                    [scalar, ..] => self.scalar(scalar, at_ms)?,
                };
                // Dividing by the inverse is what Prometheus does to lose less precision.
                let inverse = 1.0 / nearest;
                Ok(mapped(self.vector(vector, at_ms)?, |value| {
                    (value * inverse + 0.5).floor() / inverse
                }))
            }
            ("clamp", [vector, low, high]) => {
                let (low, high) = (self.scalar(low, at_ms)?, self.scalar(high, at_ms)?);
                let samples = self.vector(vector, at_ms)?;
                Ok(if high < low {
                    Vec::new()
                } else {
                    mapped(samples, |v| larger(low, smaller(high, v)))
                })
            }
            ("clamp_min" | "clamp_max", [vector, bound]) => {
                let bound = self.scalar(bound, at_ms)?;
                let pick = if name == "clamp_min" { larger } else { smaller };
                Ok(mapped(self.vector(vector, at_ms)?, |value| pick(bound, value)))
            }
            ("sort" | "sort_desc", [vector]) => {
                self.remark_on_sort(expr);
                let mut samples = self.vector(vector, at_ms)?;
                order::by_value(&mut samples, name == "sort_desc");
                Ok(samples)
            }
            ("sort_by_label" | "sort_by_label_desc", [vector, names @ ..]) => {
                self.remark_on_sort(expr);
                let mut samples = self.vector(vector, at_ms)?;
                let names: Vec<&[u8]> = names.iter().map(text).collect();
                order::by_labels(&mut samples, &names, name == "sort_by_label_desc");
                Ok(samples)
            }
            ("label_replace", [vector, destination, replacement, source, pattern]) => {
                let samples = self.vector(vector, at_ms)?;
                label::replace(
                    samples,
                    [text(destination), text(replacement), text(source), text(pattern)],
                )
            }
            ("label_join", [vector, texts @ ..]) => {
                let samples = self.vector(vector, at_ms)?;
                label::join(samples, &texts.iter().map(text).collect::<Vec<_>>())
            }
            ("predict_linear", [matrix, ahead]) => {
                let ahead = self.scalar(ahead, at_ms)?;
                self.windowed(matrix, at_ms, |window, notes| {
                    floats_only(window, notes, |floats| {
                        over_time::predict_linear(floats, window.at_ms, ahead)
                    })
                })
            }
            ("double_exponential_smoothing", [matrix, smoothing, trend]) => {
                let (smoothing, trend) = (self.scalar(smoothing, at_ms)?, self.scalar(trend, at_ms)?);
                check_factor("smoothing", "sf", smoothing)?;
                check_factor("trend", "tf", trend)?;
                self.windowed(matrix, at_ms, |window, notes| {
                    floats_only(window, notes, |floats| {
                        over_time::double_exponential_smoothing(floats, smoothing, trend)
                    })
                })
            }
            ("quantile_over_time", [fraction, matrix]) => {
                let wanted = self.scalar(fraction, at_ms)?;
                let samples = self.windowed(matrix, at_ms, |window, notes| {
                    floats_only(window, notes, |floats| {
                        Some(quantile(wanted, over_time::values(floats).collect()))
                    })
                })?;
                if !samples.is_empty() {
                    self.check_quantile(wanted, fraction.span);
                }
                Ok(samples)
            }
            ("histogram_quantile", [fraction, vector]) => {
                let wanted = self.scalar(fraction, at_ms)?;
                let samples = self.vector(vector, at_ms)?;
                self.check_quantile(wanted, fraction.span);
                let mut histograms = self.histograms(samples, vector.span);
                Ok(self.histogram_quantile(wanted, &mut histograms, vector.span, at_ms))
            }
            ("histogram_quantiles", [vector, into, fractions @ ..]) => {
                let samples = self.vector(vector, at_ms)?;
                let mut histograms = self.histograms(samples, vector.span);
                let into = label::label_name(text(into), "").map_err(QueryError::Execution)?;
                let mut results = Vec::new();
                for fraction in fractions {
                    let wanted = self.scalar(fraction, at_ms)?;
                    self.check_quantile(wanted, fraction.span);
                    let shown = format::open_metrics_float(wanted);
                    for sample in self.histogram_quantile(wanted, &mut histograms, vector.span, at_ms) {
                        let labels = Arc::new(Labels::clone(&sample.labels).with(into, shown.as_str()));
                        results.push(Sample { labels, ..sample });
                    }
                }
                Ok(results)
            }
            ("histogram_fraction", [lower, upper, vector]) => {
                let (lower, upper) = (self.scalar(lower, at_ms)?, self.scalar(upper, at_ms)?);
                let samples = self.vector(vector, at_ms)?;
                let histograms = self.histograms(samples, vector.span);
                Ok(self.histogram_fraction(lower, upper, &histograms, vector.span))
            }
            _ => Err(QueryError::Unsupported(format!("the function {name}"))),
        }
    }

    fn over_time(
        &mut self,
        name: &str,
        args: &[Expr],
        at_ms: i64,
        compute: OverTime,
    ) -> Result<Vec<Sample>, QueryError> {
        let keeps_name = over_time::keeps_name(name);
        if let Some(told) = self.told(&args[0], at_ms, !keeps_name) {
            if matches!(name, "rate" | "increase") {
                self.remark_on_counters(&args[0], &told);
            }
            return Ok(told);
        }
        if keeps_name {
            return self.each_window(&args[0], at_ms, compute);
        }
        self.windowed(&args[0], at_ms, compute)
    }

    /// Says once per metric whose name does not tell that it is a counter.
    fn remark_on_counters(&mut self, arg: &Expr, samples: &[Sample]) {
        let mut notes = self.notes(arg.unwrapped().span);
        let mut before = None;
        for sample in samples {
            let name = sample.labels.metric_name();
            if before != Some(name) {
                notes.maybe_not_a_counter(&sample.labels);
                before = Some(name);
            }
        }
    }

    /// As `each_window`, of values that the metric's name no longer describes.
    fn windowed(
        &mut self,
        matrix: &Expr,
        at_ms: i64,
        compute: impl FnMut(&Window<'_>, &mut Notes<'_>) -> Option<SampleValue>,
    ) -> Result<Vec<Sample>, QueryError> {
        let mut samples = self.each_window(matrix, at_ms, compute)?;
        samples.iter_mut().for_each(|sample| sample.drop_name = true);
        Ok(samples)
    }

    /// Of a selector, the times of the samples themselves; of anything else, the time of evaluation.
    fn timestamp(&mut self, vector: &Expr, at_ms: i64) -> Result<Vec<Sample>, QueryError> {
        if let ExprKind::Selector(selector) = &vector.unwrapped().kind
            && selector.extension != Some(Extension::Smoothed)
        {
            let current = self.current(selector, at_ms).into_iter();
            return Ok(current
                .map(|(time_ms, sample)| sample.computed(seconds(time_ms)))
                .collect());
        }
        let samples = self.vector(vector, at_ms)?.into_iter();
        Ok(samples.map(|sample| sample.computed(seconds(at_ms))).collect())
    }

    fn remark_on_sort(&mut self, expr: &Expr) {
        if !self.is_instant {
            let message = "sort is ineffective for range queries since results are always ordered by labels";
            self.notes(expr.span).warn(message.to_owned());
        }
    }
}

fn check_factor(what: &str, name: &str, value: f64) -> Result<(), QueryError> {
    if value > 0.0 && value < 1.0 {
        return Ok(());
    }
    let message = format!("invalid {what} factor. Expected: 0 < {name} < 1, got: {value:.6}");
    Err(QueryError::Execution(message))
}

/// What comes of the floats; histograms go.
fn mapped(samples: Vec<Sample>, compute: impl Fn(f64) -> f64) -> Vec<Sample> {
    let each = samples.into_iter().filter_map(|sample| {
        let value = compute(sample.value.float()?);
        Some(sample.computed(value))
    });
    each.collect()
}

fn negated(samples: Vec<Sample>) -> Vec<Sample> {
    let each = samples.into_iter().map(|sample| {
        let value = match &sample.value {
            SampleValue::Float(value) => SampleValue::Float(-value),
            SampleValue::Histogram(histogram) => {
                let mut tally = Tally::of(histogram);
                tally.multiply(-1.0);
                tally.finish().into()
            }
        };
        sample.computed(value)
    });
    each.collect()
}

/// The function of this name that makes a number of a native histogram.
fn of_histogram(name: &str) -> Option<fn(&Histogram) -> f64> {
    Some(match name {
        "histogram_count" => |histogram| histogram.count,
        "histogram_sum" => |histogram| histogram.sum,
        "histogram_avg" => |histogram| histogram.sum / histogram.count,
        "histogram_stdvar" => variance,
        "histogram_stddev" => |histogram| variance(histogram).sqrt(),
        _ => return None,
    })
}

/// What `absent` gives: the labels that the selector asks for by equality, unless it asks twice.
fn absent(expr: &Expr) -> Sample {
    let matchers = match &expr.unwrapped().kind {
        ExprKind::Selector(selector) | ExprKind::Matrix { selector, .. } => selector.matchers.as_slice(),
        _ => &[],
    };
    let mut labels = Labels::new();
    let mut seen = BTreeSet::new();
    for matcher in matchers.iter().filter(|matcher| matcher.name() != METRIC_NAME) {
        if matcher.op() == MatchOp::Equal && seen.insert(matcher.name()) {
            labels.set(matcher.name(), matcher.value());
        } else {
            labels.remove(matcher.name());
        }
    }
    Sample {
        labels: Arc::new(labels),
        drop_name: false,
        value: SampleValue::Float(1.0),
    }
}

fn elementwise(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "sqrt" => f64::sqrt,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "asinh" => f64::asinh,
        "acosh" => f64::acosh,
        "atanh" => f64::atanh,
        "rad" => |value| value * std::f64::consts::PI / 180.0,
        "deg" => |value| value * 180.0 / std::f64::consts::PI,
        "sgn" => |value| {
            if value < 0.0 {
                -1.0
            } else if value > 0.0 {
                1.0
            } else {
                value
            }
        },
        _ => return None,
    })
}
