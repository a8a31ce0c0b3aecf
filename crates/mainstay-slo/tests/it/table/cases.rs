//! The streams of the published comparison, 30 days long: what a gateway or its pods would expose.
//!
//! Traffic is 550 requests/s on average and ten times as dense at 15:00 as at 03:00; one request of 10,000 fails on any
//! day. On these days the specification's outage happens: 15 % of the requests fail for 35 minutes.

use mainstay_kernel::Labels;
use mainstay_kernel::testing::SeededEntropy;

/// 2025-01-15T00:00:00Z: when the 30 days begin.
pub(crate) const BEGIN_MS: i64 = 1_736_899_200_000;
const DAY_MS: i64 = 86_400_000;
/// When they are over.
pub(crate) const END_MS: i64 = BEGIN_MS + 30 * DAY_MS;

/// One counter as it was read: when it was at 0, and its values.
pub(crate) struct Course {
    pub(crate) labels: Labels,
    pub(crate) created_ms: i64,
    pub(crate) points: Vec<(i64, u64)>,
}

/// What happened, and how it was seen.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) courses: Vec<Course>,
    /// Bad events and all events that truly happened.
    pub(crate) truth: (u64, u64),
}

/// Requests per second at an instant.
fn requests_per_second(t_ms: i64) -> f64 {
    let hours_from_peak = (t_ms - BEGIN_MS) as f64 / 3_600_000.0 - 15.0;
    550.0 + 450.0 * (hours_from_peak * std::f64::consts::TAU / 24.0).cos()
}

fn labels(case: &str, pod: &str, code: &str) -> Labels {
    let pairs = [
        ("__name__", "requests_total"),
        ("case", case),
        ("pod", pod),
        ("code", code),
    ];
    pairs.into_iter().collect()
}

/// A gateway whose requests fail at `failing(t)`, read every `step_ms`. Its counter of failures is there from the
/// beginning, or is born with the first failure.
fn gateway(
    name: &'static str,
    step_ms: i64,
    traffic: impl Fn(i64) -> f64,
    failing: impl Fn(i64) -> f64,
    failures_from_the_beginning: bool,
) -> Case {
    let mut good = Course {
        labels: labels(name, "gateway", "200"),
        created_ms: BEGIN_MS,
        points: vec![(BEGIN_MS, 0)],
    };
    let mut bad = Course {
        labels: labels(name, "gateway", "503"),
        created_ms: BEGIN_MS,
        points: Vec::new(),
    };
    if failures_from_the_beginning {
        bad.points.push((BEGIN_MS, 0));
    }
    let (mut all, mut failed) = (0.0, 0.0);
    for t_ms in (BEGIN_MS..END_MS).step_by(step_ms.unsigned_abs() as usize) {
        let middle_ms = t_ms + step_ms / 2;
        let requests = traffic(middle_ms) * step_ms as f64 / 1_000.0;
        all += requests;
        failed += requests * failing(middle_ms);
        let whole = failed as u64;
        good.points.push((t_ms + step_ms, all as u64 - whole));
        if whole > 0 && bad.points.is_empty() {
            bad.created_ms = t_ms + 1;
        }
        if whole > 0 || failures_from_the_beginning {
            bad.points.push((t_ms + step_ms, whole));
        }
    }
    Case {
        name,
        truth: (failed as u64, all as u64),
        courses: vec![good, bad],
    }
}

/// The specification's outage on day 20, at this hour.
pub(crate) fn outage(name: &'static str, step_ms: i64, hour: i64) -> Case {
    let length_ms = 35 * 60_000;
    let from_ms = BEGIN_MS + 20 * DAY_MS + hour * 3_600_000 - length_ms / 2;
    let during = move |t_ms: i64| (from_ms..from_ms + length_ms).contains(&t_ms);
    let failing = move |t_ms| if during(t_ms) { 0.15 + 0.0001 } else { 0.0001 };
    gateway(name, step_ms, requests_per_second, failing, true)
}

/// The first failures ever: one request of a hundred for ten minutes, two hours ago.
pub(crate) fn first_errors(step_ms: i64) -> Case {
    let from_ms = END_MS - 2 * 3_600_000;
    let failing = move |t_ms: i64| {
        let during = (from_ms..from_ms + 600_000).contains(&t_ms);
        if during { 0.01 } else { 0.0 }
    };
    gateway("first errors", step_ms, |_| 550.0, failing, false)
}

/// Ten minutes without a request on day 3, and never a failure.
pub(crate) fn no_traffic(step_ms: i64) -> Case {
    let from_ms = BEGIN_MS + 2 * DAY_MS + 6 * 3_600_000;
    let traffic = move |t_ms: i64| {
        let silent = (from_ms..from_ms + 600_000).contains(&t_ms);
        if silent { 0.0 } else { requests_per_second(t_ms) }
    };
    gateway("no traffic", step_ms, traffic, |_| 0.0, true)
}

/// 45 rolling deploys of ten pods. A pod's counter of failures is born with its first failure, which some never have.
pub(crate) fn deploys(step_ms: i64) -> Case {
    const DEPLOYS: i64 = 45;
    const FAILURES: u64 = 1_397;
    let entropy = SeededEntropy::new(45);
    let life_ms = 30 * DAY_MS / DEPLOYS;
    let steps = life_ms / step_ms;
    let mut courses = Vec::new();
    let mut left = FAILURES;
    for deploy in 0..DEPLOYS {
        for pod in 0..10_i64 {
            let pods_left = ((DEPLOYS - deploy) * 10 - pod).unsigned_abs();
            let failures = (left / pods_left + entropy.below(3)).min(left);
            let failures = if pods_left == 1 { left } else { failures };
            left -= failures;
            let born_ms = BEGIN_MS + deploy * life_ms;
            let name = format!("payment-{deploy}-{pod}");
            // In which steps of its life it fails; the last one is read too.
            let mut at: Vec<i64> = (0..failures)
                .map(|_| 1 + entropy.below((steps - 2).unsigned_abs()) as i64)
                .collect();
            at.sort_unstable();
            let points = (1..steps).filter_map(|step| {
                let failed = at.partition_point(|failure| *failure <= step) as u64;
                (failed > 0).then_some((born_ms + step * step_ms, failed))
            });
            courses.push(Course {
                labels: labels("deploys", &name, "500"),
                created_ms: born_ms + 1,
                points: points.collect(),
            });
        }
    }
    courses.push(Course {
        labels: labels("deploys", "gateway", "200"),
        created_ms: BEGIN_MS,
        points: (0..=30 * DAY_MS / step_ms)
            .map(|step| {
                (
                    BEGIN_MS + step * step_ms,
                    (step * step_ms * 55 / 100).unsigned_abs(),
                )
            })
            .collect(),
    });
    let all = (30 * DAY_MS * 55 / 100).unsigned_abs() + FAILURES;
    Case {
        name: "deploys",
        courses,
        truth: (FAILURES, all),
    }
}

/// Every sample of the cases in order of time.
pub(crate) fn in_order<'a>(cases: impl IntoIterator<Item = &'a Case>) -> Vec<(i64, &'a Course, u64)> {
    let courses = cases.into_iter().flat_map(|case| &case.courses);
    let mut samples: Vec<(i64, &Course, u64)> = courses
        .flat_map(|course| {
            course
                .points
                .iter()
                .map(move |(t_ms, value)| (*t_ms, course, *value))
        })
        .collect();
    samples.sort_by_key(|(t_ms, ..)| *t_ms);
    samples
}
