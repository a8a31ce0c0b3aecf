//! The rows of the published comparison that need only counting: what the best-known tools get wrong.

use mainstay_kernel::Labels;
use mainstay_slo::{RawSample, Settings, SloEngine, Status, StatusValue};

use crate::fixture::{T0, at, engine, labels, slo};

const DAY_MS: i64 = 86_400_000;

fn series(pod: &str, code: &str) -> Labels {
    labels(&[("__name__", "requests_total"), ("pod", pod), ("code", code)])
}

fn settings() -> Settings {
    Settings {
        scrape_interval_ms: 600_000,
        ..Settings::default()
    }
}

/// Feeds 30 days, read every 10 minutes; `rates(step)` are good and bad requests in that step.
fn thirty_days(rates: impl Fn(i64) -> (u64, u64)) -> (SloEngine, i64) {
    let mut engine = engine(&[], &[], settings());
    let (good, bad) = (series("gateway", "200"), series("gateway", "503"));
    let mut sums = (0_u64, 0_u64);
    let mut end_ms = T0;
    for step in 1..=4_320_i64 {
        end_ms = T0 + step * 600_000;
        let (more_good, more_bad) = rates(step);
        sums = (sums.0 + more_good, sums.1 + more_bad);
        let samples = [(&good, sums.0), (&bad, sums.1)].map(|(labels, value)| RawSample {
            labels,
            t_ms: end_ms,
            value: value as f64,
            created_ms: Some(T0),
        });
        engine.on_samples(step.unsigned_abs(), samples);
    }
    (engine, end_ms)
}

fn whole(engine: &SloEngine, now_ms: i64) -> Status {
    engine
        .status(&slo(), &Labels::new(), at(now_ms))
        .expect("the objective is there")
}

fn spent(status: &Status, decimals: u32) -> String {
    status.budget.spent_share().expect("fits").percent(decimals)
}

#[test]
fn first_errors_ever_spend_what_they_are() {
    // 10 minutes at 1 %, two hours ago: 0.46 %. Averages of averages say 163 %.
    let (engine, now_ms) = thirty_days(|step| {
        if step == 4_308 {
            (326_700, 3_300)
        } else {
            (330_000, 0)
        }
    });
    let status = whole(&engine, now_ms);
    assert_eq!(status.budget.counts.bad, 3_300);
    assert_eq!(spent(&status, 2), "0.46%");
    assert_eq!(status.value, StatusValue::Ok);
}

#[test]
fn a_stretch_without_traffic_is_no_hole() {
    // 10 minutes without a request on day 3: NaN until day 33 elsewhere, 0 % here.
    let (engine, now_ms) = thirty_days(|step| if step == 400 { (0, 0) } else { (330_000, 0) });
    let status = whole(&engine, now_ms);
    assert_eq!(spent(&status, 2), "0.00%");
    assert_eq!(status.value, StatusValue::Ok);
    assert_eq!(
        status.unknown_ms, 600_000,
        "only the time before the first sample"
    );
    assert!(status.doubt.is_none());
}

#[test]
fn the_incident_spends_what_it_cost_by_the_hour_of_the_day() {
    // 457,297 bad of 1.426 G at the peak, 174,103 at the trough; averages of averages say 44.3 % for both.
    for (bad, share) in [(457_297, "64.2%"), (174_103, "24.4%")] {
        let (engine, now_ms) = thirty_days(|step| {
            let now_bad = match step {
                4_000..4_003 => bad / 4,
                4_003 => bad - bad / 4 * 3,
                _ => 0,
            };
            (330_000 - now_bad, now_bad)
        });
        let status = whole(&engine, now_ms);
        assert_eq!(status.budget.counts.bad, bad);
        assert_eq!(spent(&status, 1), share);
    }
}

#[test]
fn error_series_born_at_their_first_error_lose_nothing_with_created_times() {
    let mut engine = engine(&[], &[], settings());
    let mut bare = engine.clone();
    let mut position = 0;
    let mut truth = 0_u64;
    // 45 deploys of 10 pods, each pod with an error counter that appears with its first errors.
    for deploy in 0..45_i64 {
        for pod in 0..10_i64 {
            let name = format!("payment-{deploy}-{pod}");
            let errors = 1 + (deploy * 7 + pod * 3) % 5 + i64::from(position < 47);
            truth += errors.unsigned_abs();
            let born_ms = T0 + deploy * 14 * 3_600_000 + pod * 60_000 + 3_600_000;
            position += 1;
            let labels = series(&name, "500");
            let sample = RawSample {
                labels: &labels,
                t_ms: born_ms + 600_000,
                value: errors as f64,
                created_ms: Some(born_ms),
            };
            engine.on_samples(position, [sample]);
            bare.on_samples(
                position,
                [RawSample {
                    created_ms: None,
                    ..sample
                }],
            );
        }
    }
    assert_eq!(truth, 1_397);
    let now_ms = T0 + 30 * DAY_MS;
    let status = whole(&engine, now_ms);
    assert_eq!(status.budget.counts.bad, truth, "every one of them");
    assert!(status.doubt.is_none());
    let status = whole(&bare, now_ms);
    assert_eq!(status.budget.counts.bad, 0);
    assert_eq!(
        status.doubt.missed_marked, truth,
        "without created times the bound says what may be missing"
    );
}
