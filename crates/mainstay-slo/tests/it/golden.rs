//! A state of each format version, as it was written when that version was made, can still be read. To make the file of a
//! new version: run with `MAINSTAY_WRITE_GOLDEN` naming a directory.

use mainstay_kernel::Labels;
use mainstay_slo::{Doubt, RawSample, Settings, SloEngine};

use crate::fixture::{T0, at, catalog, indicator, labels, objective, slo};

/// The version that is written.
const CURRENT: &str = "state-v2.mslo";

fn settings() -> Settings {
    Settings {
        scrape_interval_ms: 5_000,
        ..Settings::default()
    }
}

fn the_catalog() -> mainstay_slo::SloCatalog {
    catalog(indicator(&["cell"]), objective(&["cell"]))
}

/// An hour of one cell: failures, a restart, a late sample, a pod that ends, a state that was judged.
fn written() -> SloEngine {
    let mut engine = SloEngine::new(the_catalog(), settings(), at(T0));
    let series = |pod: &str, code: &str| {
        labels(&[
            ("__name__", "requests_total"),
            ("cell", "cell-5"),
            ("pod", pod),
            ("code", code),
        ])
    };
    let (good, bad, gone) = (series("a", "200"), series("a", "503"), series("b", "200"));
    for step in 1..=720_i32 {
        let t_ms = T0 + i64::from(step) * 5_000;
        let sample = |labels, t_ms, value| RawSample {
            labels,
            t_ms,
            value,
            created_ms: None,
        };
        let after_restart = if step > 400 { step - 400 } else { step };
        let mut batch = vec![
            sample(&good, t_ms, f64::from(after_restart * 10)),
            sample(&bad, t_ms, f64::from((step - 600).max(0) * 2)),
        ];
        match step {
            1..=299 => batch.push(sample(&gone, t_ms, f64::from(step * 3))),
            300 => batch.push(sample(&gone, t_ms, f64::from_bits(0x7ff0_0000_0000_0002))),
            500 => batch.push(sample(&good, t_ms - 7_000, 981.0)),
            _ => {}
        }
        engine.on_samples(step.unsigned_abs().into(), batch);
        if step % 60 == 0 {
            engine.evaluate(at(t_ms));
        }
    }
    engine
}

#[test]
fn a_state_of_version_1_is_read() {
    check("state-v1.mslo");
}

#[test]
fn a_state_of_version_2_is_read_and_written_the_same() {
    let bytes = check(CURRENT);
    let read = SloEngine::from_bytes(&bytes, the_catalog(), settings(), at(T0)).expect("a state");
    assert!(read.to_bytes() == bytes && written().to_bytes() == bytes);
}

/// Reads a file and gives its bytes.
fn check(file: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    #[expect(
        clippy::disallowed_methods,
        reason = "asked for by whoever makes a new version"
    )]
    if let Some(directory) = std::env::var_os("MAINSTAY_WRITE_GOLDEN") {
        std::fs::write(
            std::path::Path::new(&directory).join(CURRENT),
            written().to_bytes(),
        )
        .expect("written");
    }
    let bytes = std::fs::read(folder.join(file)).expect("the file of the version");
    let read = SloEngine::from_bytes(&bytes, the_catalog(), settings(), at(T0)).expect("a state");
    assert_eq!(read.position(), Some(720));
    let window = read
        .window("api", &Labels::new(), T0, T0 + 3_600_000)
        .expect("the whole");
    // 10 per step of the good (its first sample is a base line), 2 per step of the bad, 3 of the pod that ended.
    assert_eq!((window.counts.bad, window.counts.total), (240, 7_190 + 240 + 894));
    let doubt = Doubt {
        restarts: 1,
        ended: 2,
        unbounded: 2,
        ..Doubt::default()
    };
    assert_eq!(window.doubt, doubt);
    let now = at(T0 + 3_600_000);
    let group = labels(&[("cell", "cell-5")]);
    assert_eq!(
        read.status(&slo(), &group, now),
        written().status(&slo(), &group, now)
    );
    bytes
}
