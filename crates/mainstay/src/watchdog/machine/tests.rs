//! Deaths, delays, lost beats and clocks that are set back.

use super::*;

const PATIENCE: Patience = Patience {
    page_after: SignedDuration::from_secs(150),
    repeat_every: SignedDuration::from_secs(900),
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("an instant")
}

fn beat(seconds: i64) -> Beat {
    let ms = at(seconds).as_millisecond();
    Beat {
        sequence: ms / 60_000 * 60_000,
        every_ms: 60_000,
        at: at(seconds),
    }
}

fn ways() -> Vec<String> {
    vec!["email".to_owned(), "sms/+27115550100".to_owned()]
}

fn subjects(notices: &[Notice]) -> Vec<&str> {
    notices.iter().map(|notice| notice.subject.as_str()).collect()
}

#[test]
fn whenever_it_dies_a_human_is_paged_within_three_minutes_and_hears_of_its_return() {
    // The instant of death moves through the minute; detection is the page's due instant.
    for death in 0..60 {
        let mut state = State::default();
        for minute in 0..10 {
            let now = minute * 60;
            assert!(!state.look(at(now), at(0), PATIENCE, &ways()));
            assert_eq!(state.hear(beat(now), at(now), PATIENCE, &ways()), Verdict::Heard);
        }
        let died = 9 * 60 + death;
        let paged = (died..).find(|now| state.look(at(*now), at(0), PATIENCE, &ways()));
        let paged = paged.expect("it is paged");
        assert!(paged - died <= 150, "{} s", paged - died);
        let sent = state.take_due(at(paged));
        assert_eq!(
            subjects(&sent),
            ["Mainstay is silent: nothing heard for 2 min 30 s"; 2]
        );
        state.settle(&sent[0].key, &Sent::done("250"), at(paged));
        state.settle(&sent[1].key, &Sent::retry("busy", 0), at(paged));
        assert_eq!(state.take_due(at(paged)), []);
        let again = state.take_due(at(paged + 1));
        assert_eq!(
            (again.len(), again[0].attempts, &again[0].way),
            (1, 2, &ways()[1])
        );
        state.settle(&again[0].key, &Sent::done("queued"), at(paged + 1));
        assert!(!state.look(at(paged + 899), at(0), PATIENCE, &ways()));
        assert!(
            state.look(at(paged + 900), at(0), PATIENCE, &ways()),
            "it is repeated"
        );
        assert_eq!(state.take_due(at(paged + 900)).len(), 2);
        let back = paged + 1000;
        assert_eq!(
            state.hear(beat(back), at(back), PATIENCE, &ways()),
            Verdict::Heard
        );
        let well = state.take_due(at(back));
        assert_eq!(well.len(), 2);
        assert!(well[0].subject.starts_with("Mainstay is heard again"), "{well:?}");
        assert!(state.lost > 0);
        assert!(!state.look(at(back + 1), at(0), PATIENCE, &ways()));
    }
}

#[test]
fn one_lost_beat_is_no_alarm_and_replays_and_late_ones_keep_nobody_alive() {
    let mut state = State::default();
    assert_eq!(state.hear(beat(0), at(0), PATIENCE, &ways()), Verdict::Heard);
    assert_eq!(state.hear(beat(0), at(1), PATIENCE, &ways()), Verdict::Before);
    assert!(!state.look(at(125), at(0), PATIENCE, &ways()));
    assert_eq!(state.hear(beat(121), at(126), PATIENCE, &ways()), Verdict::Heard);
    assert_eq!((state.heard, state.lost), (2, 1));
    // What was stuck in a queue for long says nothing of now.
    assert_eq!(state.hear(beat(181), at(340), PATIENCE, &ways()), Verdict::Late);
    assert_eq!(state.hear(beat(800), at(340), PATIENCE, &ways()), Verdict::Ahead);
    assert!(state.look(at(340), at(0), PATIENCE, &ways()));
    let body = &state.take_due(at(340))[0].body;
    assert!(
        body.contains("2 messages came since that prove nothing"),
        "{body}"
    );
}

/// Its own restart neither loses an alarm nor invents one.
#[test]
fn its_own_absence_is_not_held_against_anybody() {
    let mut state = State::default();
    state.hear(beat(0), at(0), PATIENCE, &ways());
    let restarted = |state: &State| {
        let text = serde_json::to_string(state).expect("written");
        let mut state: State = serde_json::from_str(&text).expect("read");
        state.reopened();
        state
    };
    // It was away from 30 to 1000.
    let mut state = restarted(&state);
    assert!(!state.look(at(1000), at(1000), PATIENCE, &ways()));
    assert!(!state.look(at(1149), at(1000), PATIENCE, &ways()));
    assert!(state.look(at(1150), at(1000), PATIENCE, &ways()));
    // It ends while the page is on its way.
    assert_eq!(state.take_due(at(1150)).len(), 2);
    let mut state = restarted(&state);
    assert!(
        !state.look(at(1200), at(1200), PATIENCE, &ways()),
        "the alarm is known"
    );
    let sent = state.take_due(at(1200));
    assert_eq!(sent.len(), 2);
    assert!(
        sent.iter()
            .all(|notice| notice.possible_duplicate && notice.attempts == 2)
    );
    sent.iter()
        .for_each(|notice| state.settle(&notice.key, &Sent::done("250"), at(1200)));
    let mut state = restarted(&state);
    assert_eq!(state.take_due(at(1300)), []);
    assert_eq!(
        state.hear(beat(1300), at(1300), PATIENCE, &ways()),
        Verdict::Heard
    );
    assert_eq!(state.take_due(at(1300)).len(), 2, "and so is whom it told");
}

#[test]
fn a_clock_that_is_set_back_makes_it_wait_anew_and_not_until_the_clock_is_there_again() {
    // An hour ahead, and then right.
    let ahead = 3_600;
    let mut state = State::default();
    assert_eq!(
        state.hear(beat(ahead), at(ahead), PATIENCE, &ways()),
        Verdict::Heard
    );
    let mut silent = state.clone();
    assert!(!silent.look(at(0), at(0), PATIENCE, &ways()));
    assert!(!silent.look(at(149), at(0), PATIENCE, &ways()));
    assert!(silent.look(at(150), at(0), PATIENCE, &ways()));
    let sent = silent.take_due(at(150));
    assert_eq!(sent.len(), 2);
    // One way took it, the other asks for patience; the clock is set back once more.
    silent.settle(&sent[0].key, &Sent::done("250"), at(150));
    silent.settle(&sent[1].key, &Sent::retry("busy", 20_000), at(150));
    assert!(!silent.look(at(-ahead), at(-ahead), PATIENCE, &ways()));
    assert_eq!(silent.take_due(at(-ahead + 30)).len(), 1);
    assert!(silent.look(at(-ahead + 900), at(-ahead), PATIENCE, &ways()));

    // Mainstay's clock was ahead too: its beats are smaller numbers now, and count.
    assert_eq!(state.hear(beat(60), at(60), PATIENCE, &ways()), Verdict::Heard);
    assert_eq!(state.hear(beat(60), at(61), PATIENCE, &ways()), Verdict::Before);
    assert_eq!(state.hear(beat(120), at(120), PATIENCE, &ways()), Verdict::Heard);
    assert_eq!((state.heard, state.lost), (3, 0));
}

#[test]
fn a_watchdog_that_never_heard_anything_pages() {
    let mut state = State::default();
    assert!(!state.look(at(149), at(0), PATIENCE, &ways()));
    assert!(state.look(at(150), at(0), PATIENCE, &ways()));
    assert!(state.take_due(at(150))[0].body.contains("No beat ever came"));
}
