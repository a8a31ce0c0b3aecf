//! Random streams of raw samples: restarts, churn, gaps, late and repeated samples, created times or none.

use mainstay_kernel::Labels;
use mainstay_kernel::testing::SeededEntropy;
use mainstay_slo::Settings;
use mainstay_slo::counter::Lateness;

use crate::fixture::{T0, labels};

/// A sample as it arrives.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) series: usize,
    pub(crate) t_ms: i64,
    pub(crate) value: f64,
    pub(crate) created_ms: Option<i64>,
}

/// A stream: its series and its batches in order of arrival.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) settings: Settings,
    pub(crate) series: Vec<Labels>,
    pub(crate) batches: Vec<Vec<Sample>>,
}

/// The seeds of the streams to try: 500, or 10,000 in the full tier, divided by `share`.
#[expect(
    clippy::disallowed_methods,
    reason = "the tier and the seed of a test run are environment variables"
)]
pub(crate) fn seeds(share: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("MAINSTAY_SEED").unwrap_or(0);
    let streams = if number("MAINSTAY_FULL") == Some(1) {
        10_000
    } else {
        500
    } / share;
    eprintln!(
        "MAINSTAY_SEED={first}: streams {first} to {}",
        first + streams - 1
    );
    first..first + streams
}

/// The settings of a stream whose samples are this far apart.
fn settings(interval_ms: i64) -> Settings {
    Settings {
        scrape_interval_ms: interval_ms,
        lateness: Lateness {
            window_ms: 20 * interval_ms,
            forget_ms: 100 * interval_ms,
        },
        ..Settings::default()
    }
}

/// One pod: two counters, which restart and end together.
struct Pod {
    series: [usize; 2],
    values: [u64; 2],
    created_ms: i64,
    says_created: bool,
}

/// The stream of a seed.
pub(crate) fn stream(seed: u64) -> Stream {
    let entropy = SeededEntropy::new(seed);
    let one_in = |n: u64| entropy.below(n) == 0;
    let interval_ms = [12_000, 15_000, 30_000, 60_000, 600_000][entropy.below(5) as usize];
    let settings = settings(interval_ms);
    let steps = 60 + entropy.below(200) as i64;
    let mut series: Vec<Labels> = Vec::new();
    let mut pods: Vec<Pod> = Vec::new();
    let mut arrivals: Vec<(i64, Sample)> = Vec::new();
    let start = |now_ms: i64, series: &mut Vec<Labels>| {
        let pod = format!("pod-{}", series.len());
        let cell = format!("cell-{}", entropy.below(2));
        let tenant = format!("tenant-{}", entropy.below(3));
        let first = series.len();
        for code in ["200", "500"] {
            let mut one = labels(&[
                ("__name__", "requests_total"),
                ("code", code),
                ("pod", &pod),
                ("cell", &cell),
            ]);
            if !one_in(8) {
                one.set("tenant", tenant.clone());
            }
            series.push(one);
        }
        let begun = if one_in(3) { entropy.below(1_000) } else { 0 };
        Pod {
            series: [first, first + 1],
            values: [begun, begun / 10],
            created_ms: now_ms - entropy.below(3 * interval_ms.unsigned_abs()) as i64,
            says_created: !one_in(3),
        }
    };
    for _ in 0..2 {
        pods.push(start(T0, &mut series));
    }
    for step in 1..=steps {
        let now_ms = T0 + step * interval_ms + entropy.below(interval_ms.unsigned_abs() / 10) as i64;
        if one_in(25) && pods.len() > 1 {
            let ended = pods.remove(entropy.below(pods.len() as u64) as usize);
            for series in ended.series {
                let value = mainstay_kernel::STALE_NAN;
                arrivals.push((
                    now_ms,
                    Sample {
                        series,
                        t_ms: now_ms,
                        value,
                        created_ms: None,
                    },
                ));
            }
        }
        if one_in(25) && pods.len() < 6 {
            pods.push(start(now_ms, &mut series));
        }
        for pod in &mut pods {
            if one_in(40) {
                pod.created_ms = now_ms - entropy.below(interval_ms.unsigned_abs()) as i64;
                pod.values = [entropy.below(400), entropy.below(3)];
            }
            pod.values[0] += entropy.below(200);
            pod.values[1] += if one_in(4) { entropy.below(9) } else { 0 };
            // A missed scrape now and then, and sometimes a long silence.
            if one_in(15) || (step > 30 && step < 40 && seed.is_multiple_of(4)) {
                continue;
            }
            for (series, value) in pod.series.into_iter().zip(pod.values) {
                let created_ms = pod.says_created.then_some(pod.created_ms);
                let sample = Sample {
                    series,
                    t_ms: now_ms,
                    value: value as f64,
                    created_ms,
                };
                let delay_ms = if one_in(12) {
                    entropy.below(26 * interval_ms.unsigned_abs()) as i64
                } else {
                    0
                };
                if one_in(20) {
                    arrivals.push((now_ms + delay_ms + interval_ms, sample.clone()));
                }
                if one_in(60) {
                    let value = [f64::NAN, 0.5, -3.0, f64::INFINITY][entropy.below(4) as usize];
                    arrivals.push((
                        now_ms,
                        Sample {
                            t_ms: now_ms + 1,
                            value,
                            ..sample.clone()
                        },
                    ));
                }
                arrivals.push((now_ms + delay_ms, sample));
            }
        }
    }
    arrivals.sort_by_key(|(arrival_ms, _)| *arrival_ms);
    let mut batches: Vec<Vec<Sample>> = Vec::new();
    for (index, (_, sample)) in arrivals.into_iter().enumerate() {
        if index == 0 || one_in(6) {
            batches.push(Vec::new());
        }
        if let Some(batch) = batches.last_mut() {
            batch.push(sample);
        }
    }
    Stream {
        settings,
        series,
        batches,
    }
}
