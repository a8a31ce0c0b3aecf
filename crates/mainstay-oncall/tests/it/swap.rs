//! Shifts that change hands by agreement, and overrides that are taken back.

use jiff::{SignedDuration, Timestamp};
use mainstay_oncall::rota::{explain, on_call_at};
use mainstay_oncall::{OncallCommand, OncallRefusal, OncallState, Override, Stretch, Swap, SwapEnd};

use crate::escalation::{Bench, START};
use crate::rota::person;

const HOUR: i64 = 60;
const WEEK: i64 = 7 * 24 * HOUR;

fn at(minutes: i64) -> Timestamp {
    let start: Timestamp = START.parse().expect("a timestamp");
    start + SignedDuration::from_mins(minutes)
}

fn stretch(from: i64, until: i64) -> Stretch {
    Stretch {
        rota: "primary".to_owned(),
        from: at(from),
        until: at(until),
    }
}

/// Ana has this week, ben the next: she asks him.
fn asked(give: Stretch, take: Option<Stretch>) -> OncallCommand {
    OncallCommand::AskSwap(Swap {
        id: String::new(),
        by: person("ana"),
        to: person("ben"),
        lapses_at: give.from.max(at(HOUR)),
        give,
        take,
    })
}

fn answered(by: &str, end: SwapEnd) -> OncallCommand {
    OncallCommand::AnswerSwap {
        swap: "s1".to_owned(),
        by: Some(person(by)),
        end,
    }
}

fn duty(bench: &Bench, minute: i64) -> Option<String> {
    let rota = &bench.spec.rotas["primary"];
    on_call_at("primary", rota, bench.state.overrides(), at(minute)).map(|person| person.to_string())
}

fn is_there(bench: &Bench) -> bool {
    bench.state.swaps().next().is_some()
}

#[test]
fn only_what_was_accepted_changes_who_is_on_call_and_both_ways_at_once() {
    let mut bench = Bench::new();
    let (give, take) = (stretch(HOUR, 3 * HOUR), stretch(WEEK + HOUR, WEEK + 2 * HOUR));
    bench.ask(asked(give, Some(take))).expect("a good one");
    let told: Vec<String> = bench.effects.iter().map(|effect| effect.key.clone()).collect();
    assert_eq!(told, ["swap/s1/asked/chat", "swap/s1/asked/email"]);
    assert_eq!(duty(&bench, 2 * HOUR).as_deref(), Some("ana"));

    let refused = bench.ask(answered("ana", SwapEnd::Accepted));
    assert!(matches!(refused, Err(OncallRefusal::NotTheirs(_))), "{refused:?}");
    bench.ask(answered("ben", SwapEnd::Accepted)).expect("it is his");
    let whole = [
        0,
        HOUR,
        3 * HOUR - 1,
        3 * HOUR,
        WEEK,
        WEEK + HOUR,
        WEEK + 2 * HOUR,
    ];
    let duties: Vec<_> = whole
        .into_iter()
        .filter_map(|minute| duty(&bench, minute))
        .collect();
    assert_eq!(duties, ["ana", "ben", "ben", "ana", "ben", "ana", "ben"]);
    let steps = explain(
        "primary",
        &bench.spec.rotas["primary"],
        bench.state.overrides(),
        at(HOUR),
    );
    assert!(steps[0].why.contains("swap s1 with ana"), "{steps:?}");

    // One half alone is not undone; the swap is, and only by the two.
    let withdraw = |id: &str, by: &str| OncallCommand::Withdraw {
        id: id.to_owned(),
        by: Some(person(by)),
    };
    let half = bench.ask(withdraw("o2", "ana"));
    assert!(matches!(half, Err(OncallRefusal::BadOverride(_))), "{half:?}");
    let stranger = bench.ask(withdraw("s1", "chi"));
    assert!(
        matches!(stranger, Err(OncallRefusal::NotTheirs(_))),
        "{stranger:?}"
    );
    bench.pass(2 * HOUR);
    assert_eq!(bench.ask(withdraw("s1", "ana")), Ok(2));
    let duties: Vec<_> = [HOUR, 2 * HOUR, WEEK + HOUR]
        .into_iter()
        .filter_map(|minute| duty(&bench, minute))
        .collect();
    assert_eq!(duties, ["ben", "ana", "ben"], "what was is not changed");
}

#[test]
fn what_nobody_answers_lapses_and_what_is_declined_is_over() {
    for end in [SwapEnd::Lapsed, SwapEnd::Declined, SwapEnd::Cancelled] {
        let mut bench = Bench::new();
        bench
            .ask(asked(stretch(HOUR, 2 * HOUR), None))
            .expect("a good one");
        match end {
            SwapEnd::Lapsed => bench.pass(HOUR),
            SwapEnd::Declined => drop(bench.ask(answered("ben", end)).expect("his")),
            _ => drop(bench.ask(answered("ana", end)).expect("hers")),
        }
        assert!(!is_there(&bench), "{end:?}");
        let late = bench.ask(answered("ben", SwapEnd::Accepted));
        assert_eq!(late, Err(OncallRefusal::UnknownSwap("s1".to_owned())), "{end:?}");
        assert_eq!(duty(&bench, 90).as_deref(), Some("ana"), "{end:?}");
        let last = bench.effects.last().map(|effect| effect.key.clone());
        assert_eq!(last.as_deref(), Some("swap/s1/ended/email"));
        bench.pass(WEEK);
    }
}

#[test]
fn nobody_gives_what_is_not_theirs_when_they_ask_or_when_it_is_accepted() {
    let mut bench = Bench::new();
    let refused = |bench: &mut Bench, command: OncallCommand| {
        let answer = bench.ask(command);
        assert!(matches!(answer, Err(OncallRefusal::BadSwap(_))), "{answer:?}");
    };
    refused(&mut bench, asked(stretch(WEEK, WEEK + HOUR), None));
    refused(&mut bench, asked(stretch(0, WEEK + HOUR), None));
    refused(&mut bench, asked(stretch(HOUR, HOUR), None));
    refused(
        &mut bench,
        asked(stretch(HOUR, 2 * HOUR), Some(stretch(3 * HOUR, 4 * HOUR))),
    );
    bench
        .ask(asked(stretch(HOUR, 4 * HOUR), None))
        .expect("a good one");
    let taken = Override::new("primary".to_owned(), person("chi"), at(2 * HOUR), at(3 * HOUR));
    bench.ask(OncallCommand::Override(taken)).expect("a good one");
    refused(&mut bench, answered("ben", SwapEnd::Accepted));
    let withdrawn = OncallCommand::Withdraw {
        id: "o2".to_owned(),
        by: None,
    };
    bench.ask(withdrawn.clone()).expect("it is in force");
    assert!(bench.state.overrides().is_empty(), "it never was in force");
    assert_eq!(
        bench.ask(withdrawn),
        Err(OncallRefusal::UnknownOverride("o2".to_owned()))
    );
    bench.ask(answered("ben", SwapEnd::Accepted)).expect("hers again");
    assert_eq!(duty(&bench, 150).as_deref(), Some("ben"));
}

/// What an earlier release wrote has no ids; it can be withdrawn all the same.
#[test]
fn overrides_of_earlier_releases_are_read_and_withdrawn() {
    let mut bench = Bench::new();
    let (from, until) = (at(HOUR), at(2 * HOUR));
    let written = format!(
        r#"{{"pages":{{}},"overrides":[{{"rota":"primary","person":"chi","from":"{from}","until":"{until}"}}]}}"#
    );
    bench.state = serde_json::from_str::<OncallState>(&written).expect("it is read");
    assert_eq!(duty(&bench, 90).as_deref(), Some("chi"));
    let id = bench.state.overrides()[0].handle();
    assert_eq!(bench.ask(OncallCommand::Withdraw { id, by: None }), Ok(1));
    assert_eq!(duty(&bench, 90).as_deref(), Some("ana"));
}
