//! Text scenarios and their accounts.

use mainstay_sim::scenario::run;

fn play(name: &str) -> String {
    let text =
        std::fs::read_to_string(crate::root().join("scenarios").join(name)).expect("the scenario is there");
    let (account, world) = run(&text, 1, crate::catalog()).expect("it runs");
    world.verify().expect("the chain is whole");
    account
}

#[test]
fn the_outage_ends_in_a_resolved_incident() {
    insta::assert_snapshot!(play("outage.scenario"));
}

#[test]
fn a_page_that_nobody_answers_climbs() {
    insta::assert_snapshot!(play("nobody-answers.scenario"));
}

#[test]
fn what_is_not_urgent_wakes_nobody() {
    insta::assert_snapshot!(play("quiet.scenario"));
}

#[test]
fn a_seed_gives_the_same_log_twice() {
    let text = std::fs::read_to_string(crate::root().join("scenarios/nobody-answers.scenario"))
        .expect("the scenario is there");
    let log = |seed| {
        run(&text, seed, crate::catalog())
            .expect("it runs")
            .1
            .log()
            .expect("it can be read")
    };
    assert_eq!(log(7), log(7));
    assert_ne!(log(7), log(8), "another seed gives other ids");
}
