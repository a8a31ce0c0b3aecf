//! Pods that are killed between two scrapes: what they counted unread is unknown, and never more than what the gateway
//! saw itself send them.

use mainstay_kernel::Labels;
use mainstay_kernel::testing::SeededEntropy;
use mainstay_slo::selector::parse_event_count;
use mainstay_slo::{Doubt, RawSample, Settings, SloEngine, Witness};

use crate::fixture::{T0, at, catalog, indicator, labels, objective};
use crate::streams::seeds;

const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
const INTERVAL_MS: i64 = 5_000;

fn pods_engine(witnessed: bool) -> SloEngine {
    let mut indicator = indicator(&["cell", "tenant"]);
    let sent = parse_event_count("sum by (upstream_pod) (sent_total)").expect("an event count");
    indicator.witness = witnessed.then(|| Witness {
        counters: sent.selectors,
        label: "upstream_pod".to_owned(),
    });
    let settings = Settings {
        scrape_interval_ms: INTERVAL_MS,
        ..Settings::default()
    };
    SloEngine::new(catalog(indicator, objective(&[])), settings, at(T0))
}

fn counter(pod: &str, tenant: &str) -> Labels {
    labels(&[
        ("__name__", "requests_total"),
        ("cell", "cell-5"),
        ("tenant", tenant),
        ("pod", pod),
        ("code", "200"),
    ])
}

fn sent(pod: &str) -> Labels {
    labels(&[("__name__", "sent_total"), ("upstream_pod", pod)])
}

/// Feeds an engine one sample after the other.
struct Feed {
    engine: SloEngine,
    position: u64,
    now_ms: i64,
}

impl Feed {
    fn new(witnessed: bool) -> Self {
        Self {
            engine: pods_engine(witnessed),
            position: 0,
            now_ms: T0,
        }
    }

    fn give(&mut self, labels: &Labels, t_ms: i64, value: f64, created_ms: i64) {
        self.position += 1;
        self.now_ms = self.now_ms.max(t_ms);
        let sample = RawSample {
            labels,
            t_ms,
            value,
            created_ms: Some(created_ms),
        };
        self.engine.on_samples(self.position, [sample]);
    }

    fn doubt(&self, group: &[(&str, &str)]) -> Doubt {
        self.window(group).doubt
    }

    fn window(&self, group: &[(&str, &str)]) -> mainstay_slo::engine::GroupWindow {
        let window = self.engine.window("api", &labels(group), T0 - 1, self.now_ms);
        window.expect("the group is there")
    }
}

#[test]
fn what_the_gateway_sent_after_the_last_read_bounds_what_died_with_the_pod() {
    let mut feed = Feed::new(true);
    let (one, other) = (counter("a", "STD-001"), counter("a", "SOU-001"));
    for series in [&one, &other] {
        feed.give(series, T0 + 5_000, 0.0, T0);
        feed.give(series, T0 + 20_000, 40.0, T0);
    }
    feed.give(&sent("a"), T0 + 14_000, 50.0, T0);
    feed.give(&sent("a"), T0 + 19_000, 80.0, T0);
    feed.give(&sent("a"), T0 + 24_000, 107.0, T0);
    assert!(feed.doubt(&[]).is_none());
    for series in [&one, &other] {
        feed.give(series, T0 + 25_000, STALE, T0);
    }
    // Sent in (15 s, 24 s]: 30 up to the read at 20 s, some of it under way then, and 27 after.
    let lost = |unread| Doubt {
        ended: 1,
        unread,
        ..Doubt::default()
    };
    assert_eq!(feed.doubt(&[]), lost(57));
    // A gateway that is read later still adds to it.
    feed.give(&sent("a"), T0 + 29_000, 110.0, T0);
    assert_eq!(feed.doubt(&[]), lost(60));
    assert_eq!(feed.window(&[]).counts.total, 80, "what was read stays");
    assert_eq!(
        feed.doubt(&[("tenant", "STD-001")]),
        lost(60),
        "any tenant may have had them"
    );

    // It was only slow to answer: its next answer tells.
    let mut back = feed.engine.clone();
    let sample = RawSample {
        labels: &one,
        t_ms: T0 + 30_000,
        value: 70.0,
        created_ms: Some(T0),
    };
    back.on_samples(1_000, [sample]);
    let whole = back
        .window("api", &Labels::new(), T0, T0 + 40_000)
        .expect("the whole");
    assert_eq!((whole.counts.total, whole.doubt), (110, Doubt::default()));
}

#[test]
fn without_a_witness_the_size_is_unknown() {
    let mut feed = Feed::new(false);
    let series = counter("a", "STD-001");
    feed.give(&series, T0 + 5_000, 10.0, T0);
    feed.give(&series, T0 + 10_000, STALE, T0);
    let unknown = Doubt {
        ended: 1,
        unbounded: 1,
        ..Doubt::default()
    };
    assert_eq!(feed.doubt(&[]), unknown);
}

/// A pod of the simulation.
struct Pod {
    name: String,
    born_ms: i64,
    counted: u64,
    sent: u64,
    alive: bool,
    read: bool,
    phase_ms: i64,
}

fn simulate(seed: u64) {
    let chance = SeededEntropy::new(seed);
    let below = |bound: u64| i64::try_from(chance.below(bound)).expect("small");
    let mut feed = Feed::new(true);
    let pod = |number: usize, born_ms: i64, phase_ms: i64| Pod {
        name: format!("pod-{number}"),
        born_ms,
        counted: 0,
        sent: 0,
        alive: true,
        read: false,
        phase_ms,
    };
    let mut pods: Vec<Pod> = (0..3).map(|number| pod(number, T0, below(50) * 100)).collect();
    let gateway_phase_ms = below(50) * 100;
    // Requests under way: when they end, and where.
    let mut under_way: Vec<(i64, usize)> = Vec::new();
    let (mut truth, mut deaths) = (0_u64, 0_u64);
    let end_ms = T0 + 180_000;
    // In the last 20 s nothing happens but reads: the last scrape of everybody.
    for t_ms in (T0 + 100..=end_ms).step_by(100) {
        let busy = t_ms < end_ms - 20_000;
        // In bursts, so that much is under way when little is sent.
        let burst = if (t_ms - T0) / 6_000 % 2 == 0 { 10 } else { 1 };
        for (index, pod) in pods.iter_mut().enumerate() {
            if busy && pod.alive && pod.read {
                for _ in 0..chance.below(burst) {
                    pod.sent += 1;
                    under_way.push((t_ms + below(50) * 100, index));
                }
            }
        }
        under_way.retain(|(done_ms, index)| {
            let done = *done_ms <= t_ms;
            if done && pods[*index].alive {
                pods[*index].counted += 1;
                truth += 1;
            }
            !done
        });
        if busy && chance.below(100) == 0 {
            let index = usize::try_from(chance.below(pods.len() as u64)).expect("small");
            if pods[index].alive && pods[index].read {
                deaths += 1;
                under_way.retain(|(_, at)| *at != index);
                if chance.below(2) == 0 {
                    // The container begins again under its name.
                    pods[index] = Pod {
                        counted: 0,
                        read: false,
                        born_ms: t_ms,
                        name: pods[index].name.clone(),
                        ..pods[index]
                    };
                } else {
                    pods[index].alive = false;
                    let number = pods.len();
                    pods.push(pod(number, t_ms, below(50) * 100));
                }
            }
        }
        for pod in &mut pods {
            if (t_ms - T0 - pod.phase_ms).rem_euclid(INTERVAL_MS) == 0 {
                let series = counter(&pod.name, "STD-001");
                #[expect(clippy::cast_precision_loss, reason = "small counts")]
                let value = if pod.alive { pod.counted as f64 } else { STALE };
                feed.give(&series, t_ms, value, pod.born_ms);
                pod.read = true;
            }
        }
        if (t_ms - T0 - gateway_phase_ms).rem_euclid(INTERVAL_MS) == 0 {
            for pod in &pods {
                #[expect(clippy::cast_precision_loss, reason = "small counts")]
                feed.give(&sent(&pod.name), t_ms, pod.sent as f64, T0);
            }
        }
        // A state that is stored and read back goes on the same.
        if chance.below(400) == 0 {
            let bytes = feed.engine.to_bytes();
            let mut indicator = indicator(&["cell", "tenant"]);
            indicator.witness = feed
                .engine
                .indicators()
                .next()
                .and_then(|sli| sli.witness.clone());
            let settings = Settings {
                scrape_interval_ms: INTERVAL_MS,
                ..Settings::default()
            };
            let catalog = catalog(indicator, objective(&[]));
            feed.engine = SloEngine::from_bytes(&bytes, catalog, settings, at(t_ms)).expect("a state");
        }
    }
    let window = feed.window(&[]);
    let (counted, doubt) = (window.counts.total, window.doubt);
    let told = format!("seed {seed}: {truth} happened, {counted} counted, {doubt:?}, {deaths} deaths");
    assert!(counted <= truth, "{told}");
    assert!(truth <= counted + doubt.unread, "{told}");
    assert_eq!((doubt.ended, doubt.unbounded), (deaths, 0), "{told}");
    assert_eq!(deaths == 0, counted == truth && doubt.unread == 0, "{told}");
}

#[test]
fn the_truth_lies_between_what_was_counted_and_its_bound() {
    for seed in seeds(5) {
        simulate(seed);
    }
}
