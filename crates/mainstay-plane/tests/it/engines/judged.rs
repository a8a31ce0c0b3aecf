//! Rules fire and objectives count alike, whichever engine has the samples.

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mainstay_alert::Observation;
use mainstay_catalog::{Catalog, Diagnostics, Documents};
use mainstay_kernel::testing::{ManualClock, SeededEntropy};
use mainstay_kernel::{Clock, Labels};
use mainstay_plane::Telemetry;
use mainstay_plane::telemetry::Judged;
use mainstay_plane::telemetry::remote::{
    Evaluation, PullPace, Puller, RemoteEngine, RemoteSamples, StoreLog,
};
use mainstay_promql::dialect::differences;
use mainstay_remote::write::Protocol;
use mainstay_series::Row;
use mainstay_slo::Settings;
use tokio::runtime::Handle;

use super::data::{self, END_MS};
use super::peer::{FROM_THE_BEGINNING, Kind, Peer, send_everything, sender};
use crate::bench::payments;

/// A rule that records, rules that see what it recorded, and rules whose value an engine sees differently.
const RULES: &str = r#"groups:
- name: demo
  interval: 15s
  rules:
  - record: instance:cpus:max
    expr: max by (instance) (max_over_time(demo_num_cpus[1m]))
  - alert: CpusRecorded
    expr: instance:cpus:max > 3
  - alert: MemoryHigh
    expr: sum by (instance) (demo_memory_usage_bytes) > 3e7
    annotations: {summary: "{{ $labels.instance }} uses {{ $value }}"}
  - alert: Busy
    expr: sum by (instance) (rate(demo_cpu_usage_seconds_total[5m])) > 1
    for: 30s
  - alert: Gone
    expr: absent(demo_ended_total{instance="demo.promlabs.com:10000"})
    labels: {priority: P2}
"#;

fn catalog(documents: Documents) -> Catalog {
    let mut diagnostics = Diagnostics::new();
    Catalog::build(documents, &mut diagnostics)
}

fn telemetry(dir: &Path, catalog: &Catalog, clock: &Arc<ManualClock>) -> Telemetry {
    let judged = Judged::of(catalog, &mut Diagnostics::new());
    let opened = Telemetry::open(
        dir,
        judged,
        Settings::default(),
        Arc::clone(clock) as Arc<dyn Clock>,
    );
    opened.expect("it opens").0
}

/// What fires, as lines.
fn lines(observations: Vec<Observation>) -> Vec<String> {
    let line = |observation: Observation| {
        let ended = if observation.ended_at.is_some() {
            "ended"
        } else {
            "fires"
        };
        format!(
            "{} {ended} since {} {:?}",
            observation.labels,
            observation.starts_at,
            observation.annotations.get("summary")
        )
    };
    let mut lines: Vec<String> = observations.into_iter().map(line).collect();
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_fire_alike() {
    let place = tempfile::tempdir().expect("a directory");
    let (store, count) = data::store(place.path());
    let catalog = catalog(Documents::from_texts([("rules/demo.yml".to_owned(), RULES.to_owned())]).0);
    for kind in Kind::ALL {
        let Some(peer) = Peer::start(kind).await else {
            continue;
        };
        peer.take_all_of(&store, place.path(), count).await;
        let clock = Arc::new(ManualClock::at(instant(END_MS - 300_000)));
        let dirs: Vec<_> = (0..3)
            .map(|_| tempfile::tempdir().expect("a directory"))
            .collect();
        let samples = RemoteSamples::new(peer.client(), kind.dialect(), Handle::current());
        let on = |dir: usize, evaluation| {
            let engine = RemoteEngine::new(samples.clone(), evaluation);
            telemetry(dirs[dir].path(), &catalog, &clock).with_engine(engine)
        };
        let embedded = telemetry(dirs[0].path(), &catalog, &clock);
        copy(&store, &embedded);
        let (here, there) = (on(1, Evaluation::Here), on(2, Evaluation::There));
        let mut fired = String::new();
        for _ in 0..20 {
            clock.advance(SignedDuration::from_secs(15));
            let now = clock.now();
            let found = [&embedded, &here, &there].map(|telemetry| telemetry.evaluate(now));
            assert!(found.iter().all(|found| found.failures.is_empty()), "{found:?}");
            let [wanted, over_raw, pushed] = found.map(|found| lines(found.observations));
            fired.extend(wanted.iter().map(String::as_str));
            assert_eq!(
                over_raw, wanted,
                "{kind:?} at {now}, our evaluator over its samples"
            );
            assert_eq!(
                alike(&pushed, kind),
                alike(&wanted, kind),
                "{kind:?} at {now}, the engine itself"
            );
        }
        for alert in ["CpusRecorded", "MemoryHigh", "Busy", "Gone"] {
            assert!(fired.contains(alert), "{alert} did not fire");
        }
    }
}

/// What the engine itself must find too: not what is about recorded samples that it was never sent, nor what its dialect sees
/// differently.
fn alike(lines: &[String], kind: Kind) -> Vec<String> {
    let differs = |query: &str| {
        let expr = mainstay_promql::parse(query).expect("PromQL");
        !differences(&expr, kind.dialect()).is_empty()
    };
    let busy = "sum by (instance) (rate(demo_cpu_usage_seconds_total[5m])) > 1";
    let is_other = |line: &String| line.contains("CpusRecorded") || line.contains("Busy") && differs(busy);
    let passes = |line: &&String| !is_other(line);
    lines.iter().filter(passes).cloned().collect()
}

fn instant(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).expect("an instant")
}

/// Gives the embedded engine what the others were sent.
fn copy(from: &mainstay_series::Store, to: &Telemetry) {
    let mut samples = Vec::new();
    from.replay_since(mainstay_series::Lsn::ZERO, |sample| {
        samples.push((
            sample.labels,
            sample.t_ms,
            sample.value.float().expect("a number"),
        ));
    })
    .expect("the log reads");
    let rows: Vec<Row<'_>> = samples
        .iter()
        .map(|(labels, t_ms, value)| Row {
            labels,
            created_ms: None,
            t_ms: *t_ms,
            value: *value,
        })
        .collect();
    let appended = to.append(&rows).expect("the disk works");
    assert_eq!(appended.stored, rows.len());
}

/// The counters of a gateway: what happened, and what each engine counts of it.
#[tokio::test(flavor = "multi_thread")]
async fn objectives_count_every_request_once() {
    for kind in Kind::ALL {
        let Some(mut peer) = Peer::start(kind).await else {
            continue;
        };
        let catalog = catalog(payments());
        let start: Timestamp = "2026-03-02T10:00:00Z".parse().expect("an instant");
        let clock = Arc::new(ManualClock::at(start));
        let dirs = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
        // One side scrapes and sends to the engine; the other knows only what the engine has.
        let scraping = telemetry(dirs[0].path(), &catalog, &clock);
        let mut counting = Arc::new(telemetry(dirs[1].path(), &catalog, &clock));
        let (sent, place) = (dirs[0].path().join("sent"), dirs[1].path().join("pulled"));
        std::fs::write(&sent, FROM_THE_BEGINNING).expect("written");
        let log = Arc::new(StoreLog::open(Arc::clone(scraping.store()), "peer", sent).expect("a place"));
        let sender = sender(peer.receiver(), Arc::clone(&log), Protocol::V1, 1_000);
        let client = peer.client();
        let pace = PullPace {
            late_ms: 30_000,
            ..PullPace::default()
        };
        let open = || Puller::open(client.clone(), kind.dialect(), pace, place.clone());
        let mut puller = open().expect("a place");
        let entropy = SeededEntropy::new(7);
        let (mut good, mut bad) = ([0_u64; 3], [0_u64; 3]);
        let mut base = None;
        let mut before_last = None;
        for step in 0..48 {
            clock.advance(SignedDuration::from_secs(15));
            let t_ms = clock.now().as_millisecond();
            let mut rows = Vec::new();
            for cell in 0..3 {
                good[cell] += entropy.below(1_000);
                bad[cell] += entropy.below(5);
                rows.push((request_counter(cell, "200"), good[cell]));
                rows.push((request_counter(cell, "500"), bad[cell]));
            }
            base.get_or_insert((bad.iter().sum::<u64>(), good.iter().sum::<u64>()));
            let rows: Vec<Row<'_>> = rows
                .iter()
                .map(|(labels, value)| Row {
                    labels,
                    created_ms: None,
                    t_ms,
                    value: *value as f64,
                })
                .collect();
            scraping.append(&rows).expect("the disk works");
            match step {
                // The engine is away for longer than what is read again in any case.
                20 => peer.stop(),
                24 => peer.go().await,
                _ => {}
            }
            if (20..24).contains(&step) {
                assert!(puller.pull(&counting, clock.now()).await.is_err(), "it is away");
                continue;
            }
            send_everything(&sender, &log, scraping.store()).await;
            peer.show_everything().await;
            puller.pull(&counting, clock.now()).await.expect("it answers");
            if step % 7 == 3 {
                // Gone without a word, at times between the samples and the place up to which was read.
                drop(puller);
                drop(counting);
                if let Some(earlier) = before_last.filter(|_| step % 2 == 0) {
                    std::fs::write(&place, earlier).expect("written");
                }
                counting = Arc::new(telemetry(dirs[1].path(), &catalog, &clock));
                puller = open().expect("a place");
            }
            before_last = std::fs::read(&place).ok();
        }
        let counts = |telemetry: &Telemetry| -> Vec<(u64, u64)> {
            let slos = telemetry.slos();
            let to_ms = clock.now().as_millisecond();
            let counts = slos.objectives().map(|objective| {
                let window = slos.window(&objective.sli, &Labels::new(), 0, to_ms);
                window.map_or((0, 0), |window| (window.counts.bad, window.counts.total))
            });
            counts.collect()
        };
        let wanted = counts(&scraping);
        assert_eq!(counts(&counting), wanted, "{kind:?}");
        // The first sample of a counter is where counting begins.
        let (base_bad, base_good) = base.expect("a first step");
        let bad: u64 = bad.iter().sum::<u64>() - base_bad;
        let total = bad + good.iter().sum::<u64>() - base_good;
        assert!(
            wanted.contains(&(bad, total)),
            "({bad}, {total}) is not among {wanted:?}"
        );
    }
}

fn request_counter(cell: usize, status: &str) -> Labels {
    let cell = format!("cell-{}", cell + 1);
    Labels::from_iter([
        ("__name__", "http_requests_total"),
        ("job", "api-gateway"),
        ("cell", &cell),
        ("tenant", "STD-021"),
        ("status", status),
    ])
}
