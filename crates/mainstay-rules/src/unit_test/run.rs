//! Running rule unit tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_kernel::histogram::Histogram;
use mainstay_kernel::labels::ALERT_NAME;
use mainstay_promql::notation::{Point, histogram_text, parse_series, parse_values};
use mainstay_promql::{Limits, MemorySamples, SampleValue, Value, difference, duration, instant, parse};
use serde_saphyr::Spanned;

use crate::alert::AlertState;
use crate::error::Diagnostic;
use crate::file::{GroupSpec, RuleFile};
use crate::group::{Group, GroupContext};
use crate::yaml::Source;

use super::compare;
use super::document::{AlertTest, QueryTest, Test, TestFile};
use super::timestamp::rfc3339_ms;
use super::{Files, Report, beside};

/// The interval when a test file names none.
const DEFAULT_INTERVAL_MS: i64 = 60_000;
/// How many evaluations one test may take.
const MAX_EVALUATIONS: i64 = 1_000_000;

pub(super) fn run(source: Source<'_>, document: TestFile, files: &dyn Files) -> Report {
    let mut report = Report::default();
    let file = match TestRules::load(source, &document, files) {
        Ok(file) => file,
        Err(errors) => {
            return Report {
                failures: errors,
                ..report
            };
        }
    };
    for test in document.tests {
        let name = test.value.name.clone();
        let runner = Runner {
            source,
            rules: &file,
            report: Report::default(),
        };
        let mut found = runner.run(test);
        if let Some(name) = name {
            let named =
                |diagnostic: &mut Diagnostic| diagnostic.message = format!("{name}: {}", diagnostic.message);
            found.failures.iter_mut().for_each(named);
        }
        report.absorb(found);
    }
    report
}

/// The rules under test, and how the file evaluates them.
struct TestRules {
    groups: Vec<GroupSpec>,
    interval_ms: i64,
    is_fuzzy: bool,
}

impl TestRules {
    fn load(source: Source<'_>, document: &TestFile, files: &dyn Files) -> Result<Self, Vec<Diagnostic>> {
        let interval_ms = match &document.evaluation_interval {
            Some(text) => time_ms(source, text).map_err(|error| vec![error])?,
            None => DEFAULT_INTERVAL_MS,
        };
        if interval_ms <= 0 {
            return Err(vec![source.diagnostic(
                1,
                1,
                "evaluation_interval must be positive",
            )]);
        }
        let mut errors = Vec::new();
        let mut groups = Vec::new();
        for pattern in &document.rule_files {
            let paths = match files.matching(&beside(source.file, &pattern.value)) {
                Ok(paths) => paths,
                Err(message) => {
                    errors.push(source.at(pattern.referenced, message));
                    continue;
                }
            };
            if paths.is_empty() {
                errors.push(source.at(
                    pattern.referenced,
                    format!("no rule file fits {:?}", pattern.value),
                ));
            }
            for path in paths {
                match files.read(&path) {
                    Ok(text) => match RuleFile::parse(&path, &text) {
                        Ok(file) => groups.extend(file.groups),
                        Err(error) => errors.extend(error.0),
                    },
                    Err(message) => errors.push(source.at(pattern.referenced, message)),
                }
            }
        }
        let mut order = BTreeMap::new();
        for (index, name) in document.group_eval_order.iter().enumerate() {
            if order.insert(name.value.as_str(), index).is_some() {
                errors.push(source.at(
                    name.referenced,
                    format!("group name repeated in evaluation order: {}", name.value),
                ));
            }
        }
        // Groups that the order does not name come first, in the order of the files.
        groups.sort_by_key(|group: &GroupSpec| order.get(group.name.as_str()).copied());
        if errors.is_empty() {
            Ok(Self {
                groups,
                interval_ms,
                is_fuzzy: document.fuzzy_compare,
            })
        } else {
            Err(errors)
        }
    }
}

/// Runs one test.
struct Runner<'a> {
    source: Source<'a>,
    rules: &'a TestRules,
    report: Report,
}

/// Samples of the input that are not yet due, by time.
type Input = BTreeMap<i64, Vec<(Arc<Labels>, SampleValue)>>;

impl Runner<'_> {
    fn run(mut self, test: Spanned<Test>) -> Report {
        if let Err(error) = self.run_test(&test) {
            self.report.failures.push(error);
        }
        self.report
    }

    fn run_test(&mut self, test: &Spanned<Test>) -> Result<(), Diagnostic> {
        let place = test.referenced;
        let test = &test.value;
        let start_ms = match &test.start_timestamp {
            Some(text) => self.start_ms(text)?,
            None => 0,
        };
        let mut input = self.input(test, start_ms)?;
        let context = GroupContext {
            interval_ms: self.rules.interval_ms,
            external_labels: test.external_labels.clone().into(),
            external_url: test.external_url.clone(),
            ..GroupContext::default()
        };
        let mut groups: Vec<Group> = self
            .rules
            .groups
            .iter()
            .map(|spec| Group::new(spec.clone(), context.clone()))
            .collect();
        let mut alert_tests = self.timed(&test.alert_rule_test, |test| test.eval_time.as_ref())?;
        let mut query_tests = self.timed(&test.promql_expr_test, |test| test.eval_time.as_ref())?;
        alert_tests.sort_by_key(|(at_ms, _)| *at_ms);
        query_tests.sort_by_key(|(at_ms, _)| *at_ms);
        let last = alert_tests
            .iter()
            .map(|(at_ms, _)| *at_ms)
            .chain(query_tests.iter().map(|(at_ms, _)| *at_ms))
            .max();
        let end_ms = last.unwrap_or_default();
        let interval_ms = self.rules.interval_ms;
        if end_ms / interval_ms > MAX_EVALUATIONS {
            let message =
                format!("more than {MAX_EVALUATIONS} evaluations: take a larger evaluation_interval");
            return Err(self.source.at(place, message));
        }
        let mut store = MemorySamples::new();
        let mut alert_tests = alert_tests.into_iter().peekable();
        let mut at_ms = 0;
        while at_ms <= end_ms {
            feed(&mut store, &mut input, start_ms + at_ms);
            let errors = evaluate(&mut groups, start_ms + at_ms, at_ms, &mut store);
            if !errors.is_empty() {
                self.report.failures.extend(errors);
                return Ok(());
            }
            while let Some((_, test)) = alert_tests.next_if(|(due_ms, _)| *due_ms < at_ms + interval_ms) {
                self.check_alerts(test, &groups);
            }
            at_ms += interval_ms;
        }
        // As in promtool, queries see only what was loaded for the last evaluation.
        for (due_ms, test) in query_tests {
            self.check_query(test, start_ms + due_ms, &store);
        }
        Ok(())
    }

    fn timed<'t, T>(
        &self,
        tests: &'t [Spanned<T>],
        eval_time: impl Fn(&T) -> Option<&Spanned<String>>,
    ) -> Result<Vec<(i64, &'t Spanned<T>)>, Diagnostic> {
        let timed = tests.iter().map(|test| {
            // Without a time, it is the start.
            let at_ms = eval_time(&test.value).map_or(Ok(0), |text| time_ms(self.source, text));
            at_ms.map(|at_ms| (at_ms, test))
        });
        timed.collect()
    }

    fn start_ms(&self, text: &Spanned<String>) -> Result<i64, Diagnostic> {
        #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
        let seconds = text
            .value
            .parse::<f64>()
            .ok()
            .map(|seconds| (seconds * 1000.0).round() as i64);
        seconds.or_else(|| rfc3339_ms(&text.value)).ok_or_else(|| {
            let message = format!(
                "bad start_timestamp {:?}: expected seconds since 1970 or RFC 3339",
                text.value
            );
            self.source.at(text.referenced, message)
        })
    }

    fn input(&self, test: &Test, start_ms: i64) -> Result<Input, Diagnostic> {
        let step_ms = match &test.interval {
            Some(text) => time_ms(self.source, text)?,
            None => self.rules.interval_ms,
        };
        let mut by_series: BTreeMap<Labels, Vec<Point>> = BTreeMap::new();
        for series in &test.input_series {
            let (text, values) = (&series.series, &series.values);
            let (labels, rest) = parse_series(&text.value).map_err(|error| {
                let (line, column) = (error.position.line, error.position.column);
                self.source
                    .within(text.referenced, &text.value, line, column, error.message)
            })?;
            if !rest.is_empty() {
                return Err(self
                    .source
                    .at(text.referenced, "expected a series without values"));
            }
            let points = parse_values(&values.value).map_err(|(at, message)| {
                let column = values.value[..at].chars().count() + 1;
                self.source
                    .within(values.referenced, &values.value, 1, column, message)
            })?;
            by_series.insert(labels, points);
        }
        let mut input = Input::new();
        for (labels, points) in by_series {
            let labels = Arc::new(labels);
            let mut at_ms = start_ms;
            for point in points {
                let value = match point {
                    Point::Float(value) => Some(SampleValue::Float(value)),
                    Point::Histogram { histogram, .. } => Some(SampleValue::Histogram(histogram)),
                    Point::Missing => None,
                };
                if let Some(value) = value {
                    input.entry(at_ms).or_default().push((Arc::clone(&labels), value));
                }
                at_ms = at_ms.saturating_add(step_ms);
            }
        }
        Ok(input)
    }

    fn check_alerts(&mut self, test: &Spanned<AlertTest>, groups: &[Group]) {
        let place = test.referenced;
        let test = &test.value;
        let Some(name) = &test.alertname else {
            let message = "an item under alert_rule_test misses the key alertname";
            self.report.failures.push(self.source.at(place, message));
            return;
        };
        let firing = groups.iter().flat_map(Group::alerts);
        let firing = firing.filter(|alert| alert.state == AlertState::Firing && alert.rule == name.value);
        let mut found: Vec<_> = firing
            .map(|alert| (alert.labels.clone(), alert.annotations.clone()))
            .collect();
        let mut wanted: Vec<(Labels, BTreeMap<String, String>)> = test
            .exp_alerts
            .iter()
            .map(|alert| {
                let labels: Labels = alert.exp_labels.clone().into();
                (
                    labels.with(ALERT_NAME, name.value.as_str()),
                    alert.exp_annotations.clone(),
                )
            })
            .collect();
        found.sort();
        wanted.sort();
        let differences = compare::alerts(wanted, found);
        if differences.is_empty() {
            self.report.passed += 1;
            return;
        }
        let message = format!(
            "alert {} at {}: {}",
            name.value,
            shown(test.eval_time.as_ref()),
            difference::told(&differences)
        );
        self.report.failures.push(self.source.at(place, message));
    }

    fn check_query(&mut self, test: &Spanned<QueryTest>, at_ms: i64, store: &MemorySamples) {
        let test = &test.value;
        let expr = match parse(&test.expr.value) {
            Ok(expr) => expr,
            Err(error) => {
                let (line, column) = (error.position.line, error.position.column);
                let found = self.source.within(
                    test.expr.referenced,
                    &test.expr.value,
                    line,
                    column,
                    error.message,
                );
                self.report.failures.push(found);
                return;
            }
        };
        match self.compare(test, &expr, at_ms, store) {
            Ok(()) => self.report.passed += 1,
            Err(message) => {
                let message = format!(
                    "query {} at {}: {message}",
                    test.expr.value.trim(),
                    shown(test.eval_time.as_ref())
                );
                self.report
                    .failures
                    .push(self.source.at(test.expr.referenced, message));
            }
        }
    }

    fn compare(
        &self,
        test: &QueryTest,
        expr: &mainstay_promql::Expr,
        at_ms: i64,
        store: &MemorySamples,
    ) -> Result<(), String> {
        let limits = Limits {
            subquery_step_ms: self.rules.interval_ms,
            ..Limits::default()
        };
        let outcome = instant(expr, at_ms, store, &limits).map_err(|error| format!("err: {error}"))?;
        let found: Vec<(Labels, SampleValue)> = match outcome.value {
            Value::Vector(samples) => samples
                .into_iter()
                .map(|s| (Labels::clone(&s.labels), s.value))
                .collect(),
            Value::Scalar(value) => vec![(Labels::new(), value.into())],
            other => {
                return Err(format!(
                    "rule result is not a vector or scalar but a {}",
                    other.value_type()
                ));
            }
        };
        let mut wanted = Vec::with_capacity(test.exp_samples.len());
        for sample in &test.exp_samples {
            let labels = match &sample.labels {
                Some(text) => {
                    parse_series(&text.value)
                        .map_err(|error| format!("labels {:?}: {error}", text.value))?
                        .0
                }
                None => Labels::new(),
            };
            let value = match &sample.histogram {
                Some(text) => SampleValue::Histogram(histogram(text)?),
                None => SampleValue::Float(sample.value),
            };
            wanted.push((labels, value));
        }
        let differences = compare::samples(wanted, found, |a, b| is_same(a, b, self.rules.is_fuzzy));
        if differences.is_empty() {
            return Ok(());
        }
        Err(difference::told(&differences))
    }
}

/// The one histogram of an expected sample.
fn histogram(text: &str) -> Result<Arc<Histogram>, String> {
    let points = parse_values(text).map_err(|(_, message)| message)?;
    match points.as_slice() {
        [Point::Histogram { histogram, .. }] => Ok(Arc::clone(histogram)),
        _ => Err(format!(
            "expected one histogram such as {{{{count:1}}}}, found {text:?}"
        )),
    }
}

fn shown(eval_time: Option<&Spanned<String>>) -> &str {
    eval_time.map_or("0s", |text| text.value.as_str())
}

fn feed(store: &mut MemorySamples, input: &mut Input, until_ms: i64) {
    let later = input.split_off(&(until_ms + 1));
    for (at_ms, samples) in std::mem::replace(input, later) {
        for (labels, value) in samples {
            store.append(&labels, at_ms, value);
        }
    }
}

fn evaluate(
    groups: &mut [Group],
    at_ms: i64,
    since_start_ms: i64,
    store: &mut MemorySamples,
) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    for group in groups {
        let subquery_step_ms = group.schedule().interval_ms;
        let limits = Limits {
            subquery_step_ms,
            ..Limits::default()
        };
        for failure in group.evaluate(at_ms, store, &limits).failures {
            let time = duration::format_ms(since_start_ms);
            let message = format!("rule {} at {time}: {}", failure.rule, failure.message);
            errors.push(Diagnostic {
                file: failure.file,
                line: failure.line,
                column: 1,
                message,
                help: crate::error::FORMAT_HELP,
            });
        }
    }
    errors
}

/// Equal; floats, if fuzzy, at most one representable number apart.
fn is_same(a: &SampleValue, b: &SampleValue, fuzzy: bool) -> bool {
    match (a, b) {
        (SampleValue::Float(a), SampleValue::Float(b)) => is_same_float(*a, *b, fuzzy),
        (SampleValue::Histogram(a), SampleValue::Histogram(b)) => histogram_text(a) == histogram_text(b),
        _ => false,
    }
}

/// Equal; or, if fuzzy, at most one representable number apart.
fn is_same_float(a: f64, b: f64, is_fuzzy: bool) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (is_fuzzy && (a.next_up() == b || a.next_down() == b))
}

fn time_ms(source: Source<'_>, text: &Spanned<String>) -> Result<i64, Diagnostic> {
    duration::parse_ms(&text.value).ok_or_else(|| {
        source.at(
            text.referenced,
            format!("not a valid duration: {:?}, expected one such as 5m", text.value),
        )
    })
}
