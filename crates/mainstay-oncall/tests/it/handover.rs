//! Reminders before shifts, hand-overs at their beginnings, and calendars behind secret links.

use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::response::Delay;
use mainstay_catalog::spanned::Spanned;
use mainstay_kernel::Digest;
use mainstay_kernel::effect::EffectBody;
use mainstay_oncall::handover::incoming;
use mainstay_oncall::{Feed, FeedOf, OncallCommand, OncallRefusal, OncallState, Override};

use crate::escalation::{Bench, START};
use crate::rota::person;

const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;
/// From the present to the next hand-off: Monday 10:00 to Monday 09:00.
const HANDOFF: i64 = 7 * DAY - HOUR;

fn at(minutes: i64) -> Timestamp {
    let start: Timestamp = START.parse().expect("a timestamp");
    start + SignedDuration::from_mins(minutes)
}

fn bench(remind: bool) -> Bench {
    Bench::with(|spec| {
        let rota = spec.rotas.get_mut("primary").expect("a rota");
        rota.remind = remind.then(|| Spanned::nowhere(Delay(SignedDuration::from_hours(24))));
    })
}

/// Every quarter of an hour it is asked what is to be said, as a server does.
fn live(bench: &mut Bench, minutes: i64) {
    for _ in 0..minutes / 15 {
        bench.pass(15);
        bench.ask(OncallCommand::Remind).expect("never refused");
        for shift in incoming(&bench.state, &bench.spec, bench.now) {
            let open = vec!["incident 2026-03-02-001 (P1), nobody has it: Payments fail".to_owned()];
            bench
                .ask(OncallCommand::HandOver { shift, open })
                .expect("never refused");
        }
    }
}

/// When who was told by mail, and what.
fn mails(bench: &Bench) -> Vec<(i64, String, String)> {
    let of = |(at, effect): &(Timestamp, mainstay_kernel::effect::Effect)| {
        let EffectBody::Deliver(deliver) = &effect.body else {
            return None;
        };
        let start: Timestamp = START.parse().expect("a timestamp");
        effect.key.ends_with("/email").then(|| {
            (
                at.duration_since(start).as_mins(),
                effect.key.clone(),
                deliver.message.body.clone(),
            )
        })
    };
    bench.sent().iter().filter_map(of).collect()
}

#[test]
fn each_is_reminded_once_and_whoever_takes_over_too() {
    let mut bench = bench(true);
    live(&mut bench, 5 * DAY);
    assert_eq!(mails(&bench), []);
    // A restart in between: what was said is in the state.
    live(&mut bench, DAY + 12 * HOUR);
    let text = serde_json::to_string(&bench.state).expect("it is written");
    bench.state = serde_json::from_str::<OncallState>(&text).expect("it is read");
    let taken = Override::new(
        "primary".to_owned(),
        person("chi"),
        at(HANDOFF),
        at(HANDOFF + DAY),
    );
    bench.ask(OncallCommand::Override(taken)).expect("a good one");
    live(&mut bench, 8 * HOUR);
    let told: Vec<(i64, bool, bool)> = mails(&bench)
        .iter()
        .map(|(minute, key, _)| (*minute, key.contains("/ben/"), key.contains("/chi/")))
        .collect();
    assert_eq!(
        told,
        [
            (HANDOFF - DAY, true, false),
            (6 * DAY + 12 * HOUR + 15, false, true)
        ]
    );
}

#[test]
fn at_the_hand_off_whoever_comes_gets_what_was_written_down_and_what_is_open_once() {
    let mut bench = bench(false);
    let note = |rota: &str, text: String| OncallCommand::NoteHandover {
        rota: rota.to_owned(),
        text,
    };
    for bad in [
        note("tertiary", "x".to_owned()),
        note("primary", " \n".to_owned()),
        note("primary", "x".repeat(4_001)),
    ] {
        let answer = bench.ask(bad);
        assert!(matches!(answer, Err(OncallRefusal::BadNote(_))), "{answer:?}");
    }
    live(&mut bench, DAY);
    bench
        .ask(note("primary", "The bank changes its certificate".to_owned()))
        .expect("a note");
    assert_eq!(bench.state.notes("primary").len(), 1);
    live(&mut bench, 7 * DAY);
    let told = mails(&bench);
    assert_eq!(told.len(), 1, "{told:?}");
    let (minute, key, body) = &told[0];
    assert_eq!(*minute, HANDOFF);
    assert!(
        key.starts_with("handover/primary/") && key.contains("/ben/"),
        "{key}"
    );
    assert!(
        body.contains("test: The bank changes its certificate")
            && body.contains("nobody has it: Payments fail"),
        "{body}"
    );
    // What ben writes is for chi; what was handed over is not told again.
    bench
        .ask(note("primary", "All is well".to_owned()))
        .expect("a note");
    live(&mut bench, 7 * DAY);
    let told = mails(&bench);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[1].1.contains("/chi/") && told[1].2.contains("All is well"),
        "{told:?}"
    );
    assert!(!told[1].2.contains("certificate"), "{told:?}");
}

#[test]
fn a_calendar_is_found_by_its_secret_until_it_is_revoked() {
    let mut bench = Bench::new();
    let digest = Digest::of(b"secret");
    let open = |of: FeedOf| {
        OncallCommand::OpenFeed(Feed {
            id: String::new(),
            of,
            digest,
        })
    };
    let unknown = bench.ask(open(FeedOf::Rota("tertiary".to_owned())));
    assert!(matches!(unknown, Err(OncallRefusal::BadFeed(_))), "{unknown:?}");
    bench
        .ask(open(FeedOf::Person(person("ana"))))
        .expect("a calendar");
    let id = bench.state.feed(&digest).expect("it is there").id.clone();
    assert!(bench.state.feed(&Digest::of(b"guess")).is_none());
    let close = |by: Option<&str>| OncallCommand::CloseFeed {
        id: id.clone(),
        by: by.map(person),
    };
    let stranger = bench.ask(close(Some("ben")));
    assert!(
        matches!(stranger, Err(OncallRefusal::NotTheirs(_))),
        "{stranger:?}"
    );
    bench.ask(close(Some("ana"))).expect("hers");
    assert!(bench.state.feed(&digest).is_none());
    let again = bench.ask(close(None));
    assert!(matches!(again, Err(OncallRefusal::UnknownFeed(_))), "{again:?}");
}
