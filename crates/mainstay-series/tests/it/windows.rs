//! Windows that move on give, at every step and bit for bit, what a scan over the samples gives.

use mainstay_kernel::testing::SeededEntropy;
use mainstay_kernel::{Labels, Matcher, STALE_NAN, Summary, is_stale};
use mainstay_series::{Options, Sample, SeriesError, Store, Windows};

use crate::{HOUR_MS, MINUTE_MS, environment, labels, open_with};

/// Everything that a summary says, NaNs by their bits.
pub(crate) fn shown(summary: &Summary) -> String {
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let Summary {
        count,
        first,
        last,
        resets,
        changes,
        min,
        max,
        ..
    } = summary;
    format!(
        "{count} {}:{:x?} {}:{:x?} {:x?} {changes} {:x?} {:x?}",
        first.0,
        first.1.to_bits(),
        last.0,
        last.1.to_bits(),
        bits(resets),
        bits(&[*min, *max]),
        summary.exact_sum().map(f64::to_bits)
    )
}

fn scanned(store: &Store, matchers: &[Matcher], begin_ms: i64, end_ms: i64) -> Vec<(Labels, String)> {
    let selected = store
        .select(matchers, begin_ms, end_ms, usize::MAX)
        .expect("readable");
    selected
        .into_iter()
        .filter_map(|mut series| {
            series.samples.retain(|sample| !is_stale(sample.1));
            let summary = Summary::of_all(&series.samples)?;
            Some(((*series.labels).clone(), shown(&summary)))
        })
        .collect()
}

fn kept(store: &Store, windows: &mut Windows, end_ms: i64) -> Result<Vec<(Labels, String)>, SeriesError> {
    let mut found = Vec::new();
    let answered = store.windows(windows, end_ms, |labels, summary| {
        found.push(((**labels).clone(), shown(summary)))
    })?;
    assert!(answered, "there are only numbers");
    Ok(found)
}

/// One stream of the run: what its next value is.
struct Stream {
    labels: Labels,
    counter: f64,
    kind: u64,
}

impl Stream {
    fn next(&mut self, entropy: &SeededEntropy) -> f64 {
        match (self.kind, entropy.below(100)) {
            (_, 0) => STALE_NAN,
            (0, 1) | (1, 1..=30) => {
                self.counter = 0.0;
                self.counter
            }
            (0 | 1, _) => {
                self.counter += entropy.below(20) as f64;
                self.counter
            }
            (2, 1) => f64::NAN,
            (2, _) => entropy.below(1_000) as f64 / 100.0,
            (_, roll) => [-0.0, 0.0, -5.0, 1e300, 0.1, f64::INFINITY][roll as usize % 6],
        }
    }
}

fn run(seed: u64, steps: u64) {
    let entropy = SeededEntropy::new(seed);
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options {
        block_ms: [10 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS][entropy.below(3) as usize],
        retention_ms: if entropy.below(2) == 0 {
            40 * HOUR_MS
        } else {
            6 * HOUR_MS
        },
        retention_5m_ms: 0,
        retention_1h_ms: 0,
        ..Options::default()
    };
    let mut store = open_with(dir.path(), options.clone());
    let mut now_ms = 1_000 * HOUR_MS;
    let mut streams: Vec<Stream> = Vec::new();
    let all = [Matcher::equal("__name__", "x")];
    let ranges = [MINUTE_MS, 5 * MINUTE_MS, HOUR_MS, 5 * HOUR_MS, 30 * HOUR_MS];
    let new = || ranges.map(|range_ms| Windows::new(all.to_vec(), range_ms));
    let mut windows = new();
    let step_ms = [15_000, MINUTE_MS][entropy.below(2) as usize];
    for step in 0..steps {
        if streams.len() < 5 && entropy.below(40) == 0 || streams.is_empty() {
            streams.push(Stream {
                labels: labels(&[("__name__", "x"), ("n", &streams.len().to_string())]),
                counter: 0.0,
                kind: entropy.below(4),
            });
        }
        now_ms += match entropy.below(300) {
            0 => entropy.below(8) as i64 * HOUR_MS,
            1..=4 => 10 * MINUTE_MS,
            _ => step_ms,
        };
        let mut batch = Vec::new();
        for stream in &mut streams {
            let late_ms = match entropy.below(60) {
                0 => entropy.below(600) as i64 * 1_000,
                1..=3 => continue,
                _ => entropy.below(3) as i64,
            };
            batch.push(Sample {
                series: store.series_ref(&stream.labels).expect("a series"),
                t_ms: now_ms - late_ms,
                value: stream.next(&entropy),
            });
        }
        store.append(&batch, now_ms).expect("appended");
        if entropy.below(40) == 0 {
            // Mostly a part of one series that is in the windows; sometimes of all, and sometimes for ever.
            let max_ms = now_ms - entropy.below(500) as i64 * MINUTE_MS;
            let min_ms = match entropy.below(8) {
                0 => i64::MIN,
                _ => max_ms - entropy.below(300) as i64 * MINUTE_MS,
            };
            let mut selector = all.to_vec();
            if entropy.below(4) > 0 {
                let stream = entropy.below(streams.len() as u64).to_string();
                selector.push(Matcher::equal("n", stream));
            }
            store.delete(&[selector], min_ms, max_ms).expect("deleted");
            if entropy.below(4) == 0 {
                store.clean_tombstones().expect("cleaned");
            }
        }
        match entropy.below(200) {
            0 => {
                store
                    .flush(now_ms - entropy.below(90) as i64 * MINUTE_MS)
                    .expect("flushed");
            }
            1..=8 => {
                store.maintain(now_ms).expect("maintained");
            }
            9 => {
                drop(store);
                store = open_with(dir.path(), options.clone());
                windows = new();
            }
            _ => {}
        }
        // Some evaluations are skipped, and some lag behind the samples.
        if entropy.below(3) == 0 {
            continue;
        }
        let end_ms = now_ms
            - if entropy.below(20) == 0 {
                entropy.below(400) as i64 * 1_000
            } else {
                0
            };
        for (windows, range_ms) in windows.iter_mut().zip(ranges) {
            assert_eq!(
                kept(&store, windows, end_ms).expect("readable"),
                scanned(&store, &all, end_ms - range_ms, end_ms),
                "seed {seed}, step {step}, range {range_ms} ms, at {end_ms}"
            );
        }
    }
}

#[test]
fn at_every_step_they_are_what_a_scan_gives() {
    let full = environment("MAINSTAY_FULL").is_some_and(|value| value == "1");
    let seed = environment("MAINSTAY_SEED")
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0x5eed);
    let runs = if full { 200 } else { 3 };
    println!("seed {seed}, {runs} runs");
    for run_number in 0..runs {
        run(seed + run_number, if full { 1_500 } else { 700 });
    }
}

/// Some series have moved on when a file turns out to be damaged: an error now, and right again once it is mended.
#[test]
fn a_window_that_breaks_off_half_way_is_right_again_afterwards() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open_with(dir.path(), Options::default());
    let all = [Matcher::equal("__name__", "x")];
    let refs = ["0", "1", "2"].map(|n| {
        let labels = labels(&[("__name__", "x"), ("n", n)]);
        store.series_ref(&labels).expect("a series")
    });
    for minute in 0..600 {
        let t_ms = minute * MINUTE_MS;
        let batch = refs.map(|series| Sample {
            series,
            t_ms,
            value: (minute as f64).sqrt(),
        });
        store.append(&batch, t_ms).expect("appended");
    }
    store.flush(10 * HOUR_MS).expect("flushed");
    let range_ms = 5 * HOUR_MS;
    let mut windows = Windows::new(all.to_vec(), range_ms);
    let at = |windows: &mut Windows, end_ms| kept(&store, windows, end_ms);
    let right = |end_ms| scanned(&store, &all, end_ms - range_ms, end_ms);
    assert_eq!(at(&mut windows, 6 * HOUR_MS).expect("sound"), right(6 * HOUR_MS));
    // The windows' beginnings come to this block only later, and the samples of the second series are in its middle.
    let block = dir.path().join("blocks").join(format!("{:020}.block", 2));
    let sound = std::fs::read(&block).expect("readable");
    let mut damaged = sound.clone();
    damaged[sound.len() / 2] ^= 0x10;
    std::fs::write(&block, &damaged).expect("writable");
    let mut end_ms = 6 * HOUR_MS;
    let error = loop {
        end_ms += 7 * MINUTE_MS;
        assert!(end_ms < 9 * HOUR_MS, "it is not looked at");
        if let Err(error) = at(&mut windows, end_ms) {
            break error;
        }
    };
    assert!(error.to_string().contains("00000002.block is damaged"), "{error}");
    at(&mut windows, end_ms).expect_err("it still is");
    std::fs::write(&block, &sound).expect("writable");
    for _ in 0..20 {
        assert_eq!(at(&mut windows, end_ms).expect("mended"), right(end_ms));
        end_ms += 7 * MINUTE_MS;
    }
}
