//! The end of a month, by the counts of the engine.

use jiff::Timestamp;
use mainstay_catalog::Diagnostics;
use mainstay_kernel::Labels;
use mainstay_kernel::fact::BudgetState;
use mainstay_slo::gate::{ChangeKind, GateCommand, GateEvent, GateState, Rule, Verdict, decide, load};
use mainstay_slo::{RawSample, Settings, SloEngine};

use super::{DAY_MS, Running, catalog, cell_5, policy, request, slo};
use crate::fixture::at;

/// Berlin's October of 2025 has an hour more and ends at 23:00 UTC. Its budget is spent by one bad day, the 20th; November
/// begins with a budget of its own, and changes need approval until the 20th is out of the last 30 days.
#[test]
fn the_counts_remember_an_exhausted_month_over_its_end() {
    const HOUR_MS: i64 = 3_600_000;
    let instant = |text: &str| text.parse::<Timestamp>().expect("an instant").as_millisecond();
    let (catalog, _) = catalog(&policy(""));
    let mut said = Diagnostics::default();
    let slos = mainstay_slo::spec::load(&catalog.documents, &catalog.platform, &mut said);
    let policies = load(&catalog, &slos, at(0), &mut said);
    assert!(!said.has_errors(), "{}", said.render_short());
    let settings = Settings {
        scrape_interval_ms: HOUR_MS,
        ..Settings::default()
    };
    let mut t_ms = instant("2025-09-30T22:00:00Z");
    let mut engine = SloEngine::new(slos, settings, at(t_ms));
    let series = |code: &str| {
        let labels = [
            ("__name__", "requests_total"),
            ("tenant", "std-001"),
            ("cell", "cell-5"),
            ("code", code),
        ];
        labels.into_iter().collect::<Labels>()
    };
    let (good, bad) = (series("200"), series("500"));
    let (mut goods, mut bads, mut position) = (0_u32, 0_u32, 0);
    let bad_day = instant("2025-10-20T00:00:00Z")..instant("2025-10-21T00:00:00Z");
    let mut gate = Running::default();
    let mut feed_until = |engine: &mut SloEngine, gate: &mut Running, end_ms: i64| {
        while t_ms < end_ms {
            t_ms += HOUR_MS;
            goods += 10_000;
            bads += if bad_day.contains(&t_ms) { 1_000 } else { 0 };
            position += 1;
            let samples = [(&good, goods), (&bad, bads)].map(|(labels, value)| RawSample {
                labels,
                t_ms,
                value: f64::from(value),
                created_ms: Some(0),
            });
            engine.on_samples(position, samples);
            let sight = engine.sight(&slo(), &cell_5(), at(t_ms)).expect("an objective");
            let standing = engine
                .standing(&slo(), &cell_5(), sight, 0, at(t_ms))
                .expect("an objective");
            gate.command(&policies, GateCommand::Judge(vec![standing]), t_ms)
                .expect("no refusal");
        }
    };
    let answer = |engine: &SloEngine, gate: &Running, t_ms: i64| {
        let (_, policy) = policies.of(&slo()).expect("covered");
        let sight = engine.sight(&slo(), &cell_5(), at(t_ms)).expect("an objective");
        let standing = engine.standing(&slo(), &cell_5(), sight, policy.recovery.window_ms(), at(t_ms));
        let standings = [standing.expect("an objective")];
        decide(
            &gate.state,
            &policies,
            &request(ChangeKind::Deploy),
            &standings,
            at(t_ms),
        )
    };
    // 23,000 bad of 7.4 million events, of which 7,400 may be: until the month ends, to the minute, everything is frozen.
    let end_ms = instant("2025-10-31T23:00:00Z");
    feed_until(&mut engine, &mut gate, end_ms);
    let last = answer(&engine, &gate, end_ms);
    assert_eq!(
        (last.verdict, last.reasons[0].rule),
        (Verdict::Refuse, Rule::Frozen)
    );
    assert_eq!(last.budgets[0].to_ms, end_ms);
    assert_eq!(
        last.budgets[0].to_ms - last.budgets[0].from_ms,
        31 * DAY_MS + HOUR_MS
    );
    feed_until(&mut engine, &mut gate, end_ms + HOUR_MS);
    let first = answer(&engine, &gate, end_ms + HOUR_MS);
    assert_eq!(first.budgets[0].state, BudgetState::Healthy, "{}", first.answer);
    assert_eq!(
        (first.verdict, first.reasons[0].rule),
        (Verdict::NeedsApproval, Rule::Recovering)
    );
    let period = first.budgets[0].exhausted_period.as_ref().expect("October");
    assert_eq!(
        (period.to_ms, period.bad, period.rolling_bad),
        (end_ms, last.budgets[0].bad, 24_000)
    );
    let exhausted = gate.events.iter().find(
        |(_, event)| matches!(event, GateEvent::BudgetChanged(change) if change.to == BudgetState::Exhausted),
    );
    assert_eq!(
        first.cause(),
        exhausted.map(|(id, _)| *id),
        "October's exhaustion stands behind it"
    );
    // A rolling window of 30 days holds 7.2 million events; 20 % are left at 5,760 bad ones: 5 of the 24 bad hours.
    let held = instant("2025-11-19T17:00:00Z");
    feed_until(&mut engine, &mut gate, held);
    assert_eq!(answer(&engine, &gate, held).verdict, Verdict::NeedsApproval);
    let free = instant("2025-11-19T18:00:00Z");
    feed_until(&mut engine, &mut gate, free);
    let answer = answer(&engine, &gate, free);
    assert_eq!(answer.verdict, Verdict::Allow, "{}", answer.answer);
}

/// A cell goes dark on the second of October, its budget spent. Whatever month it is, that is what is known of it: by the counts
/// alone, after a restart, and by the journal alone.
#[test]
fn a_cell_that_went_dark_stays_as_it_was_last_seen_over_the_months_end() {
    const HOUR_MS: i64 = 3_600_000;
    let instant = |text: &str| text.parse::<Timestamp>().expect("an instant").as_millisecond();
    let (catalog, _) = catalog(&policy(""));
    let mut said = Diagnostics::default();
    let slos = mainstay_slo::spec::load(&catalog.documents, &catalog.platform, &mut said);
    let policies = load(&catalog, &slos, at(0), &mut said);
    let settings = Settings {
        scrape_interval_ms: HOUR_MS,
        ..Settings::default()
    };
    let began = instant("2025-10-01T00:00:00Z");
    let mut engine = SloEngine::new(slos.clone(), settings, at(began));
    for hour in 1..=24_i32 {
        let samples = [("200", 10_000.0), ("500", 1_000.0)].map(|(code, each)| {
            let labels = [
                ("__name__", "requests_total"),
                ("tenant", "a"),
                ("cell", "cell-5"),
                ("code", code),
            ];
            (labels.into_iter().collect::<Labels>(), each * f64::from(hour))
        });
        let samples = samples.iter().map(|(labels, value)| RawSample {
            labels,
            t_ms: began + i64::from(hour) * HOUR_MS,
            value: *value,
            created_ms: Some(0),
        });
        engine.on_samples(u64::from(hour.unsigned_abs()), samples);
    }
    let standing = |engine: &SloEngine, now_ms: i64| {
        let sight = engine.sight(&slo(), &cell_5(), at(now_ms)).expect("an objective");
        let standing = engine.standing(&slo(), &cell_5(), sight, 30 * DAY_MS, at(now_ms));
        standing.expect("an objective")
    };
    let mut gate = Running::default();
    let seen = began + 24 * HOUR_MS;
    let command = GateCommand::Judge(vec![standing(&engine, seen)]);
    assert_eq!(gate.command(&policies, command, seen), Ok(1));
    let november = instant("2025-11-05T00:00:00Z");
    let command = GateCommand::Judge(vec![standing(&engine, november)]);
    assert_eq!(
        gate.command(&policies, command, november),
        Ok(0),
        "blindness is no news"
    );

    let again =
        SloEngine::from_bytes(&engine.to_bytes(), slos.clone(), settings, at(november)).expect("the state");
    let nothing = SloEngine::new(slos, settings, at(november));
    let deploy = request(ChangeKind::Deploy);
    for (what, memory, engine) in [
        ("counts", &GateState::default(), &engine),
        ("counts read back", &GateState::default(), &again),
        ("both", &gate.state, &engine),
        ("the journal", &gate.state, &nothing),
    ] {
        let standings = [standing(engine, november)];
        let answer = decide(memory, &policies, &deploy, &standings, at(november));
        assert_eq!(
            (answer.verdict, answer.reasons[0].rule),
            (Verdict::Refuse, Rule::Frozen),
            "{what}"
        );
        assert_eq!(answer.budgets[0].state, BudgetState::Exhausted, "{what}");
    }
    let answer = decide(
        &gate.state,
        &policies,
        &deploy,
        &[standing(&engine, november)],
        at(november),
    );
    assert_eq!(answer.budgets[0].blind_since_ms, Some(seen));
    assert!(
        answer
            .answer
            .contains("nothing is seen of it since 2025-10-02T00:00:00Z"),
        "{}",
        answer.answer
    );
}
