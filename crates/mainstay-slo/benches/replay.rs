//! How long the past takes: 1,000 objectives, each with an indicator of two counters read every 30 s, over 90 days, judged
//! with the workbook's four pairs; on all cores, by indicators, in parts so small that what one counts fits in a core's own
//! cache. Run with `cargo bench -p mainstay-slo`, or with other numbers:
//! `cargo bench -p mainstay-slo --bench replay -- DAYS OBJECTIVES TICK_S PARTS`. Exit status 1 if the 90 days of 1,000
//! objectives take more than a minute on two cores.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark reads its arguments and the clock"
)]

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use mainstay_kernel::Labels;
use mainstay_slo::burn::BurnPolicy;
use mainstay_slo::replay::{Batch, Course, Sample, Source, TICK_MS, run_in_shards};
use mainstay_slo::selector::parse_event_count;
use mainstay_slo::window::{Duration, Window};
use mainstay_slo::{
    BudgetPolicy, Counters, Events, Marked, Objective, Promise, Settings, SliDefinition, SloCatalog, SloError,
};

/// 2025-01-15T00:00:00Z.
const BEGIN_MS: i64 = 1_736_899_200_000;
const SCRAPE_MS: i64 = 30_000;
const DAY_MS: i64 = 86_400_000;
/// What one objective and its counters keep at hand takes some 3 KB.
const OBJECTIVES_PER_PART: i64 = 62;
/// How long judgements may take, in seconds, at 90 days of 1,000 objectives every 10 s.
const GOAL_S: f64 = 60.0;

fn catalog(objectives: usize) -> SloCatalog {
    let selectors = |query: &str| parse_event_count(query).expect("an event count").selectors;
    let indicators = (0..objectives).map(|at| SliDefinition {
        name: format!("sli-{at}"),
        events: Events::Counters(Counters {
            marked: Marked::Bad,
            marked_by: selectors(&format!("requests_{at}_total{{code=\"500\"}}")),
            total: selectors(&format!("requests_{at}_total")),
        }),
        group_by: Vec::new(),
        source: "instance".to_owned(),
        witness: None,
    });
    let promises = (0..objectives).map(|at| Objective {
        id: format!("slo-{at}").parse().expect("a name"),
        display_name: format!("Objective {at}"),
        description: String::new(),
        service: None,
        sli: format!("sli-{at}"),
        target: "99.95%".parse().expect("a target"),
        window: Window::Rolling(Duration::parse("30d").expect("a duration")),
        group_by: Vec::new(),
        promise: Promise::Objective,
        budgeting: mainstay_slo::Budgeting::Occurrences,
        budget: BudgetPolicy::default(),
        burn: BurnPolicy::workbook(),
        labels: Labels::new(),
        runbook: None,
        traffic_floor: None,
        probes: None,
    });
    SloCatalog::new(indicators.collect(), promises.collect()).expect("sound")
}

/// Two counters for each indicator: 3,000 requests in 30 s, now and then a few failures, and once in a week, for each at
/// another time, half an hour of 5 % of them.
struct Traffic {
    series: Vec<[Arc<Labels>; 2]>,
    numbers: Vec<[u32; 2]>,
    sums: Vec<[u64; 2]>,
    step: i64,
    steps: i64,
}

impl Traffic {
    fn of(catalog: &SloCatalog, steps: i64) -> Self {
        let series = catalog.indicators().iter().filter_map(|indicator| {
            let metric = indicator.selectors().next()?.metric.clone();
            let of_code = |code: &str| {
                let pairs = [
                    ("__name__", metric.as_str()),
                    ("code", code),
                    ("instance", "gateway-0"),
                ];
                Arc::new(pairs.into_iter().collect::<Labels>())
            };
            Some([of_code("200"), of_code("500")])
        });
        let series: Vec<_> = series.collect();
        Self {
            sums: vec![[0; 2]; series.len()],
            series,
            numbers: Vec::new(),
            step: 0,
            steps,
        }
    }
}

impl Source for Traffic {
    type Error = SloError;

    fn fill(&mut self, batch: &mut Batch) -> Result<bool, SloError> {
        if self.numbers.is_empty() {
            let numbers = self
                .series
                .iter()
                .map(|pair| [0, 1].map(|side| batch.series(&pair[side])));
            self.numbers = numbers.collect();
        }
        if self.step >= self.steps {
            return Ok(false);
        }
        self.step += 1;
        let t_ms = BEGIN_MS + self.step * SCRAPE_MS;
        for (at, (numbers, sums)) in self.numbers.iter().zip(&mut self.sums).enumerate() {
            let at = i64::try_from(at).expect("few");
            let in_week = (self.step + at * 17) % 20_160;
            let bad = match in_week {
                0..60 => 150,
                _ if (self.step + at) % 5 == 0 => 2,
                _ => 0,
            };
            sums[0] += 3_000 - bad;
            sums[1] += bad;
            for side in [0, 1] {
                batch.push(Sample {
                    series: numbers[side],
                    t_ms,
                    value: sums[side] as f64,
                    created_ms: None,
                });
            }
        }
        Ok(true)
    }
}

fn main() {
    let numbers: Vec<i64> = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse().ok())
        .collect();
    let number = |at: usize, default: i64| numbers.get(at).copied().unwrap_or(default);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (days, objectives) = (number(0, 90), number(1, 1_000));
    let tick_ms = number(2, TICK_MS / 1_000) * 1_000;
    let parts = number(
        3,
        objectives
            .div_euclid(OBJECTIVES_PER_PART)
            .max(i64::try_from(cores).unwrap_or(1)),
    );
    let size = |number: i64| usize::try_from(number).expect("a size");
    let catalog = catalog(size(objectives));
    let steps = days * DAY_MS / SCRAPE_MS;
    let at = |ms| Timestamp::from_millisecond(ms).expect("in range");
    let course = Course {
        counted_from: at(BEGIN_MS),
        judged_from: at(BEGIN_MS),
        to: at(BEGIN_MS + days * DAY_MS),
        tick_ms,
    };
    let settings = Settings {
        scrape_interval_ms: SCRAPE_MS,
        ..Settings::default()
    };
    let begun = Instant::now();
    let outcome = run_in_shards(
        &catalog,
        settings,
        course,
        size(parts),
        |own| Ok::<_, SloError>(Traffic::of(own, steps)),
        |_, _| (),
    )
    .expect("no failure");
    let seconds = begun.elapsed().as_secs_f64();
    let samples = outcome.ingested.counted as f64;
    let judged = (days * DAY_MS / tick_ms * objectives) as f64;
    println!(
        "{days} days of {objectives} objectives, samples every {} s, judged every {} s, {parts} parts on {cores} cores",
        SCRAPE_MS / 1_000,
        tick_ms / 1_000
    );
    println!(
        "  {seconds:.1} s: {:.1} M samples ({:.2} M/s), {:.1} M judgements ({:.2} M/s), {} pages, {} freezes",
        samples / 1e6,
        samples / seconds / 1e6,
        judged / 1e6,
        judged / seconds / 1e6,
        outcome.pages.len(),
        outcome.freezes.len()
    );
    if numbers.is_empty() && seconds > GOAL_S {
        println!("  it should not take more than {GOAL_S} s");
        std::process::exit(1);
    }
}
