//! Levels that page one at a time, over a journal and its restarts.

use std::sync::Arc;

use futures::executor::block_on;
use mainstay_catalog::Catalog;
use mainstay_kernel::PageId;
use mainstay_oncall::OncallSpec;
use mainstay_oncall::ring::rings;
use mainstay_plane::{Step, Subject, why};

use crate::bench::{Bench, changed};

/// The first level of the payments policy takes turns.
fn catalog() -> Arc<Catalog> {
    changed("oncall.yaml", |text| {
        text.replace(
            "{after: 0s, targets: [{rota: primary}]}",
            "{after: 0s, round_robin: {every: 2m}, targets: [{rota: primary}, {person: sipho}, {person: pieter}]}",
        )
    })
}

/// What was decided about who is on call for a page.
fn decided(bench: &Bench, page: &str) -> Vec<String> {
    let subject = Subject::Page(PageId::new(page).expect("an id"));
    let decisions = block_on(why(&*bench.journal, &subject)).expect("the journal works");
    let oncall = decisions.into_iter().filter(|one| one.step == Step::OnCall);
    oncall.map(|one| one.text).collect()
}

fn next(bench: &Bench, catalog: &Catalog) -> String {
    let spec = OncallSpec::from_catalog(&catalog.platform, &catalog.response);
    let now = mainstay_kernel::Clock::now(&*bench.clock);
    let rings = block_on(bench.plane.look(|states| rings(states.oncall, &spec, now)));
    assert_eq!(rings.len(), 1);
    rings[0].next.as_ref().expect("somebody").to_string()
}

#[test]
fn a_new_process_goes_on_with_the_turns_and_why_says_whose_each_was() {
    let catalog = catalog();
    let mut bench = Bench::over(catalog.clone());
    assert_eq!(
        next(&bench, &catalog),
        "it is the turn of rota primary (thandi): no turn was taken before"
    );
    // Other alerts in other cells, and time between: each is an incident of its own.
    let alerts = [("cell-1", "Slow"), ("cell-5", "Down"), ("cell-3", "Full")];
    for (number, (cell, name)) in alerts.into_iter().enumerate() {
        bench.observe(name, &format!("cell={cell} priority=P1"), false);
        bench.work();
        bench.pass(3);
        if number % 2 == 0 {
            block_on(bench.plane.save()).expect("the journal works");
        }
        bench.reopen();
        bench.work();
        bench.pass(7);
    }
    let firsts: Vec<String> = (1..=3)
        .map(|number| decided(&bench, &format!("2026-03-02-00{number}-p1"))[1].clone())
        .collect();
    assert_eq!(
        firsts,
        [
            "Level 1 pages one at a time: it is the turn of rota primary (thandi): no turn was taken before.",
            "Level 1 pages one at a time: it is the turn of person sipho: the incident before began with rota primary.",
            "Level 1 pages one at a time: it is the turn of person pieter: the incident before began with person sipho.",
        ]
    );
    // The clock of the turn is not forgotten either.
    let of_first = decided(&bench, "2026-03-02-001-p1");
    assert_eq!(
        of_first[2..6],
        [
            "Level 1 of round 1 pages thandi.",
            "Level 1 pages one at a time: it is the turn of person sipho: thandi did not answer.",
            "Level 1 of round 1 pages sipho.",
            "Level 1 pages one at a time: it is the turn of person pieter: sipho did not answer.",
        ]
    );
    assert_eq!(
        next(&bench, &catalog),
        "it is the turn of rota primary (thandi): the incident before began with person pieter"
    );
    let sent = bench.sent();
    bench.reopen();
    bench.work();
    assert_eq!(bench.sent(), sent, "nobody is told again");
}
