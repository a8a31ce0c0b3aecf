//! Files of every format version, as they were written when that version was made, can still be read. To make the files
//! of a new version: run with `MAINSTAY_WRITE_GOLDEN` naming an empty directory.

use std::fs;
use std::path::{Path, PathBuf};

use mainstay_kernel::STALE_NAN;
use mainstay_series::{Options, Sample, Store};

use crate::{HOUR_MS, MINUTE_MS, environment, held, open, series};

fn expected(name: &str) -> Vec<(i64, f64)> {
    let minute = |i: i64, value: f64| (i * MINUTE_MS, value);
    let count = |i: i64| f64::from(i32::try_from(i).expect("few"));
    match name {
        "counter" => (0..300).map(|i| minute(i, count(i * 7))).collect(),
        "decimal" => (0..300).map(|i| minute(i, count(i % 13) / 100.0)).collect(),
        "constant" => (0..300).map(|i| (i * MINUTE_MS + i % 3, 1.0)).collect(),
        _ => {
            let special = [
                f64::NAN,
                STALE_NAN,
                -0.0,
                f64::INFINITY,
                0.1 + 0.2,
                1e300,
                f64::MIN_POSITIVE,
            ];
            (0..)
                .zip(special.repeat(30))
                .map(|(i, value)| minute(i, value))
                .collect()
        }
    }
}

const NAMES: [&str; 4] = ["counter", "decimal", "constant", "special"];

fn write(dir: &Path) {
    let store = open(dir);
    for name in NAMES {
        let series = series(&store, name);
        store.set_created(series, -5).expect("set");
        for chunk in expected(name).chunks(100) {
            let batch: Vec<Sample> = chunk
                .iter()
                .map(|(t_ms, value)| Sample {
                    series,
                    t_ms: *t_ms,
                    value: *value,
                })
                .collect();
            assert_eq!(
                store.append(&batch, 300 * MINUTE_MS).expect("appended").stored,
                batch.len()
            );
        }
    }
    store.hold("slo", store.last_lsn()).expect("held");
    store.flush(4 * HOUR_MS).expect("flushed");
    let late = series(&store, "counter");
    store
        .append(
            &[Sample {
                series: late,
                t_ms: 300 * MINUTE_MS,
                value: 0.5,
            }],
            300 * MINUTE_MS,
        )
        .expect("appended");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listable") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("copied");
        }
    }
}

#[test]
fn every_version_is_read() {
    if let Some(dir) = environment("MAINSTAY_WRITE_GOLDEN") {
        write(Path::new(&dir));
        return;
    }
    for version in ["v1", "v2", "v3"] {
        let dir = tempfile::tempdir().expect("a directory");
        let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        copy(&golden.join(version), dir.path());
        let (store, recovery) = Store::open(dir.path(), Options::default()).expect("opens");
        assert!(
            recovery.corrupt_blocks.is_empty() && !recovery.index_rebuilt,
            "{version}"
        );
        for name in NAMES {
            let mut bits: Vec<(i64, u64)> = expected(name)
                .into_iter()
                .map(|(t_ms, v)| (t_ms, v.to_bits()))
                .collect();
            if name == "counter" {
                bits.push((300 * MINUTE_MS, 0.5f64.to_bits()));
            }
            assert_eq!(held(&store, name), bits, "{version} {name}");
        }
        assert_eq!(store.stats().blocks, 2, "{version}");
        assert_eq!(store.holds().len(), 1, "{version}");
        let selected = store.select(&[], 0, i64::MAX, 10_000).expect("selected");
        assert!(
            selected.iter().all(|series| series.created_ms == Some(-5)),
            "{version}"
        );
    }
}
