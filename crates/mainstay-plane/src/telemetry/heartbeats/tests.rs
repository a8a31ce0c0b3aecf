use mainstay_alert::{AlertCommand, Alerts};
use mainstay_catalog::Spanned;
use mainstay_catalog::response::{Delay, Routing};
use mainstay_journal::Machine as _;
use mainstay_journal::machine::Meta;
use mainstay_kernel::{Actor, EventId, Severity};
use mainstay_segment::SealedWriter;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("an instant")
}

/// A backup expected every 600 s, which may be 60 s late.
fn catalog() -> BTreeMap<String, Heartbeat> {
    let seconds = |s| Spanned::nowhere(Delay(SignedDuration::from_secs(s)));
    let heartbeat = Heartbeat {
        id: Spanned::nowhere("backup".to_owned()),
        interval: seconds(600),
        grace: seconds(60),
        severity: Severity::P1,
        summary: "the backup".to_owned(),
        runbook: None,
        labels: BTreeMap::new(),
    };
    [("backup".to_owned(), heartbeat)].into()
}

/// The journal's side: it folds what it is told.
fn tell(alerts: &mut AlertState, observations: Vec<Observation>, now: Timestamp) -> Vec<&'static str> {
    use mainstay_journal::DomainEvent as _;
    let command = AlertCommand::Observe(observations);
    let events = Alerts::decide(alerts, &Routing::default(), command, now).expect("taken");
    let meta = Meta {
        id: EventId::from_bytes([7; 16]),
        at: now,
        actor: Actor::machine("telemetry"),
        cause: None,
    };
    events
        .iter()
        .for_each(|event| Alerts::apply(alerts, event, &meta));
    let kinds = events.iter().map(|event| event.kind());
    kinds
        .filter(|kind| ["alert.started", "alert.ended"].contains(kind))
        .collect()
}

struct World {
    dir: tempfile::TempDir,
    heartbeats: Heartbeats,
    alerts: AlertState,
    catalog: BTreeMap<String, Heartbeat>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self {
            heartbeats: Heartbeats::open(dir.path()).expect("opened"),
            dir,
            alerts: AlertState::default(),
            catalog: catalog(),
        }
    }

    fn restart(&mut self) {
        self.heartbeats = Heartbeats::open(self.dir.path()).expect("opened");
    }

    /// Judges every 5 s from `from` to `until`, and gives what was told when.
    fn watch(&mut self, from: i64, until: i64) -> Vec<(i64, &'static str)> {
        let mut told = Vec::new();
        for now in (from..=until).step_by(5) {
            let judged = self.heartbeats.judge(&self.catalog, &self.alerts, at(now));
            told.extend(
                tell(&mut self.alerts, judged, at(now))
                    .into_iter()
                    .map(|kind| (now, kind)),
            );
        }
        told
    }

    fn beat(&mut self, now: i64) -> Vec<&'static str> {
        self.heartbeats.beat("backup", at(now)).expect("kept");
        let ended = self.heartbeats.ended("backup", &self.alerts);
        tell(&mut self.alerts, ended, at(now))
    }

    fn state(&self, now: i64) -> HeartbeatState {
        self.heartbeats.status(&self.catalog, &self.alerts, at(now))[0].state
    }
}

#[test]
fn a_beat_that_does_not_come_is_told_once_and_the_next_one_ends_it() {
    let mut world = World::new();
    assert_eq!(world.watch(0, 300), []);
    assert_eq!(world.state(300), HeartbeatState::Waiting);
    assert_eq!(world.beat(300), Vec::<&str>::new());
    assert_eq!(world.watch(305, 955), []);
    assert_eq!(world.state(955), HeartbeatState::Late);
    assert_eq!(world.watch(960, 2000), [(960, "alert.started")]);
    assert_eq!(world.state(2000), HeartbeatState::Missed);
    assert_eq!(world.beat(2001), ["alert.ended"]);
    assert_eq!(world.watch(2005, 2600), []);
    assert_eq!(world.state(2500), HeartbeatState::Ok);
}

#[test]
fn one_that_never_came_is_missed_too() {
    let mut world = World::new();
    assert_eq!(world.watch(0, 1000), [(660, "alert.started")]);
    // The catalog has it no more.
    world.catalog.clear();
    assert_eq!(world.watch(1005, 1010), [(1005, "alert.ended")]);
}

/// A restart forgets no beat and raises nothing; what is missed stays missed.
#[test]
fn a_downtime_of_ours_is_not_the_senders_fault() {
    let mut world = World::new();
    world.watch(0, 100);
    world.beat(100);
    world.restart();
    // Away from 100 to 5000: a beat may have been sent every 600 s and found nobody.
    assert_eq!(world.watch(5000, 5655), []);
    assert_eq!(world.state(5600), HeartbeatState::Late);
    assert_eq!(
        world.heartbeats.kept().last("backup"),
        Some(at(100)),
        "not forgotten"
    );
    assert_eq!(world.watch(5660, 5700), [(5660, "alert.started")]);
    world.restart();
    assert_eq!(world.watch(9000, 9900), [], "it still is, and is not told again");
    assert_eq!(world.state(9900), HeartbeatState::Missed);
    assert_eq!(world.beat(9901), ["alert.ended"]);
    // A crash swallows the end: the next evaluation tells it.
    assert_eq!(world.watch(9905, 10_600), [(10_565, "alert.started")]);
    world.heartbeats.beat("backup", at(10_601)).expect("kept");
    world.restart();
    assert_eq!(world.watch(10_700, 10_800), [(10_700, "alert.ended")]);
}

/// A machine that was stopped for an hour is a downtime, too.
#[test]
fn a_pause_is_a_downtime() {
    let mut world = World::new();
    world.watch(0, 100);
    world.beat(100);
    assert_eq!(world.watch(3600, 4255), []);
    assert_eq!(world.watch(4260, 4300), [(4260, "alert.started")]);
}

/// Another severity is another alert: the old one ends, and nobody takes it for a beat.
#[test]
fn another_severity_of_what_is_missed() {
    let mut world = World::new();
    assert_eq!(world.watch(0, 700), [(660, "alert.started")]);
    if let Some(heartbeat) = world.catalog.get_mut("backup") {
        heartbeat.severity = Severity::P0;
    }
    world.restart();
    assert_eq!(
        world.watch(705, 1300),
        [(705, "alert.ended"), (705, "alert.started")]
    );
    assert_eq!(world.beat(1301), ["alert.ended"]);
}

#[test]
fn a_damaged_file_is_put_aside_and_one_of_the_future_is_refused() {
    let mut world = World::new();
    world.beat(0);
    let file = world.dir.path().join(HEARTBEATS_FILE);
    let mut bytes = std::fs::read(&file).expect("readable");
    bytes[20] ^= 1;
    std::fs::write(&file, &bytes).expect("written");
    world.restart();
    assert_eq!(world.heartbeats.kept().last("backup"), None);
    assert!(file.with_extension("damaged").exists());
    let later = SealedWriter::create(&file, FORMAT.magic, FORMAT.version + 1).expect("created");
    later.finish(b"{}").expect("written");
    let refused = Heartbeats::open(world.dir.path()).expect_err("it would be lost");
    assert!(refused.to_string().contains("version 2"), "{refused}");
}
