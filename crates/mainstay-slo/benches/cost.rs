//! What counting and judging cost, without a store and without a network. Run with `cargo bench -p mainstay-slo`, or one
//! part of it with `-- groups`, `-- history`, `-- windows` or `-- replay`; figures are of the machine it runs on.
//!
//! - `groups`: 10,000 groups with 30 days of history: a tick, a sample, a status, the memory
//! - `history`: 500 of them with 400 days: memory and stored state per group
//! - `windows`: what a sample and a reading cost for windows of a day, a month and a quarter
//! - `replay`: 1,000 objectives over 90 days at 30 s, judged every 10 s, by one thread and by two
//!
//! Traffic is of a rate of its own per group (0.05 to 50 events a second), ten times as much by day as by night, one event
//! in 10,000 bad, with incidents now and then.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark reads its arguments and the clock"
)]

use std::fs;
use std::time::Instant;

use jiff::Timestamp;
use mainstay_kernel::{Labels, SloId};
use mainstay_slo::burn::BurnPolicy;
use mainstay_slo::selector::parse_event_count;
use mainstay_slo::window::{Duration, Window};
use mainstay_slo::{
    BudgetPolicy, Counters, Events, Marked, Objective, Promise, SeriesRef, Settings, SliDefinition,
    SloCatalog, SloEngine,
};

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
const SCRAPE_MS: i64 = 30 * SECOND_MS;
const TICK_MS: i64 = 10 * SECOND_MS;
/// 2025-01-01T00:00:00Z: the beginning of all histories.
const BEGIN_MS: i64 = 1_735_689_600_000;
const TENANTS: usize = 1_000;
const CELLS: usize = 10;
const MIB: f64 = 1_048_576.0;

/// CPU time of this process so far, in microseconds, all threads together.
fn cpu_us() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("a process");
    let after_name = stat.rsplit(')').next().expect("fields");
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: f64 = [11, 12]
        .iter()
        .map(|at| fields[*at].parse::<f64>().expect("ticks"))
        .sum();
    ticks * 10_000.0
}

fn rss_bytes() -> f64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("a process");
    let pages: f64 = statm
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .expect("pages");
    pages * 4096.0
}

fn at(t_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(t_ms).expect("in range")
}

/// Noise that costs next to nothing.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// An integer around `mean`, scattered about as much as a count of that mean is.
    fn count(&mut self, mean: f64) -> u64 {
        let bits = self.next();
        // The sum of four uniform numbers: mean 2, variance 1/3.
        let four = (0..4).map(|part| f64::from((bits >> (part * 16)) as u16) / 65_536.0);
        let scattered = mean + (four.sum::<f64>() - 2.0) * (3.0 * mean).sqrt();
        let fraction = f64::from((bits.wrapping_mul(0x9e37_79b9) >> 40) as u16) / 65_536.0;
        (scattered + fraction).max(0.0) as u64
    }

    fn chance(&mut self, probability: f64) -> bool {
        (self.next() >> 11) as f64 * (-53_f64).exp2() < probability
    }
}

/// Ten times as much at 15:00 as at 03:00, on average 1.
fn by_hour(t_ms: i64) -> f64 {
    let turn = (t_ms - 9 * HOUR_MS).rem_euclid(DAY_MS) as f64 / DAY_MS as f64;
    1.0 + 9.0 / 11.0 * (turn * std::f64::consts::TAU).sin()
}

/// The counters of one group or service: those of good and of bad requests.
struct Source {
    series: [SeriesRef; 2],
    values: [u64; 2],
    per_second: f64,
    number: i64,
}

impl Source {
    /// One request in 20 fails for half an hour a month.
    fn failing(&self, t_ms: i64) -> bool {
        (t_ms + self.number * 7 * HOUR_MS).rem_euclid(30 * DAY_MS) < 30 * MINUTE_MS
    }

    /// The counters after `passed_ms` more.
    fn advance(&mut self, t_ms: i64, passed_ms: i64, noise: &mut Noise) {
        let mean = self.per_second * by_hour(t_ms) * passed_ms as f64 / 1_000.0;
        let bad_mean = mean * if self.failing(t_ms) { 0.05 } else { 0.000_1 };
        self.values[0] += noise.count(mean);
        self.values[1] += if bad_mean < 0.5 {
            u64::from(noise.chance(bad_mean))
        } else {
            noise.count(bad_mean)
        };
    }

    fn count(&self, engine: &mut SloEngine, t_ms: i64) {
        for (series, value) in self.series.into_iter().zip(self.values) {
            engine
                .on_sample(series, t_ms, value as f64, Some(BEGIN_MS))
                .expect("watched");
        }
    }
}

fn indicator(name: &str, metric: &str, group_by: &[&str]) -> SliDefinition {
    let selectors = |query: &str| parse_event_count(query).expect("an event count").selectors;
    SliDefinition {
        name: name.to_owned(),
        events: Events::Counters(Counters {
            marked: Marked::Bad,
            marked_by: selectors(&format!(r#"sum(rate({metric}{{code=~"5.."}}[5m]))"#)),
            total: selectors(metric),
        }),
        group_by: group_by.iter().map(|label| (*label).to_owned()).collect(),
        source: "instance".to_owned(),
        witness: None,
    }
}

fn objective(id: &str, sli: &str, window: Window, group_by: &[&str], burn: BurnPolicy) -> Objective {
    Objective {
        id: SloId::new(id).expect("a name"),
        display_name: id.to_owned(),
        description: String::new(),
        service: None,
        sli: sli.to_owned(),
        target: "99.9%".parse().expect("a target"),
        window,
        group_by: group_by.iter().map(|label| (*label).to_owned()).collect(),
        promise: Promise::Objective,
        budget: BudgetPolicy::default(),
        burn,
        labels: Labels::new(),
        runbook: None,
    }
}

fn rolling(text: &str) -> Window {
    Window::Rolling(Duration::parse(text).expect("a duration"))
}

/// Gaps are of no interest here, and the oldest history is fed at 15 min.
fn settings() -> Settings {
    Settings {
        scrape_interval_ms: SCRAPE_MS,
        gap_intervals: 60,
        ..Settings::default()
    }
}

/// One indicator by tenant and cell; its objective of 30 days with all burn windows, and an agreement by calendar month.
fn grouped(groups: usize) -> (SloEngine, Vec<Source>) {
    let by = ["cell", "tenant"];
    let month = Window::month("Africa/Nairobi").expect("a zone");
    let objectives = vec![
        objective("rolling", "api", rolling("30d"), &by, BurnPolicy::workbook()),
        objective("month", "api", month, &by, BurnPolicy::off()),
    ];
    let indicators = vec![indicator("api", "requests_total", &by)];
    let catalog = SloCatalog::new(indicators, objectives).expect("sound");
    let mut engine = SloEngine::new(catalog, settings(), at(BEGIN_MS));
    let sources = (0..groups).map(|number| {
        let series = ["200", "503"].map(|code| {
            let labels: Labels = [
                ("__name__", "requests_total"),
                ("cell", &format!("cell-{}", number / TENANTS % CELLS)),
                ("code", code),
                (
                    "instance",
                    &format!("10.0.{}.{}:9090", number / 250, number % 250),
                ),
                ("tenant", &format!("STD-{:04}", number % TENANTS)),
            ]
            .into_iter()
            .collect();
            engine.watch(&labels).expect("counted")
        });
        let spread = (number * 7_919 % groups) as f64 / groups as f64;
        Source {
            series,
            values: [0, 0],
            per_second: 0.05 * 1_000_f64.powf(spread),
            number: number as i64,
        }
    });
    let sources = sources.collect();
    (engine, sources)
}

/// Feeds `days` of history as far apart as its slices will be in the end. Gives the samples fed and their CPU time, and
/// when the history ends.
fn feed_history(engine: &mut SloEngine, sources: &mut [Source], days: i64) -> (f64, f64, i64) {
    let mut noise = Noise(88_172_645_463_325_252);
    let end_ms = BEGIN_MS + days * DAY_MS;
    let (mut t_ms, mut samples, mut spent_us) = (BEGIN_MS, 0.0, 0.0);
    while t_ms < end_ms {
        let step_ms = match end_ms - t_ms {
            left if left > 5 * DAY_MS => 15 * MINUTE_MS,
            left if left > 8 * HOUR_MS => MINUTE_MS,
            _ => SCRAPE_MS,
        };
        t_ms += step_ms;
        for source in sources.iter_mut() {
            source.advance(t_ms, step_ms, &mut noise);
        }
        let began = cpu_us();
        for source in sources.iter() {
            source.count(engine, t_ms);
        }
        spent_us += cpu_us() - began;
        samples += 2.0 * sources.len() as f64;
    }
    (samples, spent_us, t_ms)
}

fn groups(groups: usize, days: i64) {
    let before = rss_bytes();
    let (mut engine, mut sources) = grouped(groups);
    let (samples, spent_us, end_ms) = feed_history(&mut engine, &mut sources, days);
    let bytes = rss_bytes() - before;
    println!(
        "groups: {groups} groups, {days} days: {:.0} MiB, {:.1} KiB per group; {:.0} ns per sample at 4 levels",
        bytes / MIB,
        bytes / 1_024.0 / groups as f64,
        spent_us * 1_000.0 / samples,
    );
    // One hour of life: a scrape every 30 s, a tick every 10 s.
    let mut noise = Noise(4);
    let (mut tick_us, mut ticks, mut worst_us, mut scrape_us, mut news) = (0.0, 0.0, 0.0, 0.0, 0);
    for tick in 1..=360 {
        let now_ms = end_ms + tick * TICK_MS;
        if tick % 3 == 1 {
            for source in &mut sources {
                source.advance(now_ms, SCRAPE_MS, &mut noise);
            }
            let began = Instant::now();
            for source in &sources {
                source.count(&mut engine, now_ms);
            }
            scrape_us += began.elapsed().as_secs_f64() * 1e6;
        }
        let began = Instant::now();
        news += engine.evaluate(at(now_ms)).alerts.len();
        let one_us = began.elapsed().as_secs_f64() * 1e6;
        // The first tick judges everything for the first time.
        if tick > 1 {
            tick_us += one_us;
            ticks += 1.0;
            worst_us = f64::max(worst_us, one_us);
        }
    }
    println!(
        "groups: a tick {:.2} ms, the worst {:.2} ms: {:.3} % of one core; counting {:.2} %; {news} alerts",
        tick_us / ticks / 1_000.0,
        worst_us / 1_000.0,
        tick_us / ticks / (TICK_MS as f64 * 1_000.0) * 100.0,
        scrape_us / (HOUR_MS as f64 * 1_000.0) * 100.0,
    );
    let now = at(end_ms + HOUR_MS);
    let id = SloId::new("rolling").expect("a name");
    let all: Vec<Labels> = engine
        .groups("api")
        .filter(|group| group.len() == 2)
        .cloned()
        .collect();
    let mut one_us: Vec<f64> = (0..2_000)
        .map(|number| {
            let group = &all[number * 7_919 % all.len()];
            let began = Instant::now();
            std::hint::black_box(engine.status(&id, group, now));
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    one_us.sort_by(f64::total_cmp);
    let began = Instant::now();
    let statuses = engine.statuses(&id, now).len();
    println!(
        "groups: status of one group {:.1} us at the median, {:.1} us at p99; of all {statuses} {:.1} ms",
        one_us[one_us.len() / 2],
        one_us[one_us.len() * 99 / 100],
        began.elapsed().as_secs_f64() * 1e3,
    );
    let began = Instant::now();
    let stored = engine.to_bytes().len();
    println!(
        "groups: the whole state is {:.0} MiB, written in {:.0} ms",
        stored as f64 / MIB,
        began.elapsed().as_secs_f64() * 1e3
    );
}

fn history(groups: usize, days: i64) {
    let before = rss_bytes();
    let (mut engine, mut sources) = grouped(groups);
    let (samples, spent_us, _) = feed_history(&mut engine, &mut sources, days);
    let nodes = engine.groups("api").count() as f64;
    let bytes = rss_bytes() - before;
    println!(
        "history: {groups} groups, {days} days: {:.1} KiB per group and level; {:.0} MiB for 10,000 groups with their \
         1,011 sums; {:.0} ns per sample; stored {:.1} KiB per group and level",
        bytes / 1_024.0 / nodes,
        bytes / nodes * 11_011.0 / MIB,
        spent_us * 1_000.0 / samples,
        engine.to_bytes().len() as f64 / 1_024.0 / nodes,
    );
}

/// `count` objectives with an indicator each, of a window.
fn services(count: usize, first: usize, window: &str) -> (SloEngine, Vec<Source>) {
    let name = |number: usize| format!("service-{:04}", first + number);
    let metric = |number: usize| format!("requests_{}_total", first + number);
    let catalog = SloCatalog::new(
        (0..count)
            .map(|number| indicator(&name(number), &metric(number), &[]))
            .collect(),
        (0..count)
            .map(|number| {
                let window = match number % 4 {
                    3 => Window::month("Africa/Nairobi").expect("a zone"),
                    _ => rolling(window),
                };
                let id = name(number);
                objective(&id, &id, window, &[], BurnPolicy::workbook())
            })
            .collect(),
    );
    let mut engine = SloEngine::new(catalog.expect("sound"), settings(), at(BEGIN_MS));
    let sources = (0..count).map(|number| {
        let series = ["200", "503"].map(|code| {
            let labels: Labels = [
                ("__name__", metric(number).as_str()),
                ("code", code),
                ("instance", "10.0.0.1:9090"),
            ]
            .into_iter()
            .collect();
            engine.watch(&labels).expect("counted")
        });
        Source {
            series,
            values: [0, 0],
            per_second: 0.05 * 1_000_f64.powf(number as f64 / count as f64),
            number: (first + number) as i64,
        }
    });
    let sources = sources.collect();
    (engine, sources)
}

fn windows() {
    for window in ["1d", "30d", "90d"] {
        let (mut engine, mut sources) = services(50, 0, window);
        let (.., end_ms) = feed_history(&mut engine, &mut sources, 100);
        let mut noise = Noise(9);
        // First without ticks, then with them: CPU time cannot be read in smaller pieces.
        let [scrapes_us, judged_us] = [false, true].map(|judged| {
            let began = cpu_us();
            for step in 1..=10_000 {
                let step = step + if judged { 10_000 } else { 0 };
                let now_ms = end_ms + step * SCRAPE_MS;
                for source in &mut sources {
                    source.advance(now_ms, SCRAPE_MS, &mut noise);
                    source.count(&mut engine, now_ms);
                }
                for tick in 0..if judged { 3 } else { 0 } {
                    std::hint::black_box(engine.evaluate(at(now_ms + tick * TICK_MS)));
                }
            }
            cpu_us() - began
        });
        let groups = sources.len() as f64;
        let now = at(end_ms + 20_000 * SCRAPE_MS);
        let id = SloId::new("service-0001").expect("a name");
        let began = Instant::now();
        for _ in 0..1_000 {
            std::hint::black_box(engine.status(&id, &Labels::new(), now));
        }
        println!(
            "windows: {window}: {:.0} ns per sample, {:.0} ns per objective and tick, {:.2} us per status",
            scrapes_us * 1_000.0 / (groups * 20_000.0),
            (judged_us - scrapes_us) * 1_000.0 / (groups * 30_000.0),
            began.elapsed().as_secs_f64() * 1e3,
        );
    }
}

/// One thread's share: the samples of `days`, judged every 10 s. Gives how many alerts were raised.
fn replayed(count: usize, first: usize, days: i64) -> usize {
    let (mut engine, mut sources) = services(count, first, "30d");
    let mut noise = Noise(first as u64 + 1);
    let mut raised = 0;
    for step in 1..=days * DAY_MS / SCRAPE_MS {
        let t_ms = BEGIN_MS + step * SCRAPE_MS;
        for source in &mut sources {
            source.advance(t_ms, SCRAPE_MS, &mut noise);
            source.count(&mut engine, t_ms);
        }
        for tick in 0..SCRAPE_MS / TICK_MS {
            let evaluation = engine.evaluate(at(t_ms + tick * TICK_MS));
            raised += evaluation.alerts.iter().filter(|alert| alert.firing).count();
        }
    }
    raised
}

fn replay(count: usize, days: i64) {
    // What making up the samples costs is not the engine's.
    let began = Instant::now();
    let (_, mut sources) = services(100, 0, "30d");
    let mut noise = Noise(1);
    for step in 0..20_000 {
        for source in &mut sources {
            source.advance(BEGIN_MS + step * SCRAPE_MS, SCRAPE_MS, &mut noise);
        }
    }
    let made_ns = began.elapsed().as_secs_f64() * 1e9 / 4_000_000.0;
    let samples = (2 * count) as f64 * (days * DAY_MS / SCRAPE_MS) as f64;
    for threads in [1, 2] {
        let (began, cpu) = (Instant::now(), cpu_us());
        let share = count / threads;
        let raised: usize = std::thread::scope(|scope| {
            let parts: Vec<_> = (0..threads)
                .map(|part| scope.spawn(move || replayed(share, part * share, days)))
                .collect();
            parts.into_iter().map(|part| part.join().expect("replayed")).sum()
        });
        println!(
            "replay: {count} objectives, {days} days at 30 s, judged every 10 s, {threads} threads: {:.1} s, {:.1} s of CPU \
             time, {:.1} s of it to make up {:.0} M samples; {raised} alerts",
            began.elapsed().as_secs_f64(),
            (cpu_us() - cpu) / 1e6,
            samples * made_ns / 1e9,
            samples / 1e6,
        );
    }
}

fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let number = |index: usize, usual: i64| -> i64 {
        args.get(index)
            .and_then(|text| text.parse().ok())
            .unwrap_or(usual)
    };
    let wanted = |name: &str| args.is_empty() || args[0] == name;
    if wanted("windows") {
        windows();
    }
    if wanted("history") {
        history(number(1, 500) as usize, number(2, 400));
    }
    if wanted("groups") {
        groups(number(1, 10_000) as usize, number(2, 30));
    }
    if wanted("replay") {
        replay(number(1, 1_000) as usize, number(2, 90));
    }
}
