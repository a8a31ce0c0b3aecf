//! The ledger, maintenance windows and credit tables: what is taken, what is refused, and where.

use jiff::Timestamp;
use mainstay_catalog::{Diagnostics, Documents, Platform};
use mainstay_journal::Machine;
use mainstay_journal::machine::Meta;
use mainstay_kernel::testing::SeededEntropy;
use mainstay_kernel::{Actor, EventId, Scope, SloId, TenantId};
use mainstay_slo::adjust::ledger::{Adjustment, Ledger, LedgerCommand, LedgerRefusal, LedgerState};
use mainstay_slo::adjust::{Of, maintenance};
use mainstay_slo::{Counts, SloCatalog, credits, spec};

const NOW: &str = "2026-10-05T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn adjustment(from: &str, to: &str) -> Adjustment {
    Adjustment {
        of: Of::Objective(SloId::new("api-contract").expect("a name")),
        scope: Scope::platform(),
        from: at(from),
        to: at(to),
        reason: "the bank's own network".to_owned(),
        ticket: Some("CHG-7".to_owned()),
    }
}

fn told(state: &mut LedgerState, command: LedgerCommand) -> Result<(), LedgerRefusal> {
    let now = at(NOW);
    for event in Ledger::decide(state, &(), command, now)? {
        let meta = Meta {
            id: EventId::generate(now, &SeededEntropy::new(3)),
            at: now,
            actor: Actor::person("ada"),
            cause: None,
        };
        Ledger::apply(state, &event, &meta);
    }
    Ok(())
}

#[test]
fn an_entry_is_withdrawn_by_another_and_both_stay() {
    let mut state = LedgerState::default();
    let first = adjustment("2026-10-04T02:00:00Z", "2026-10-04T03:15:00Z");
    told(&mut state, LedgerCommand::Exclude(Box::new(first.clone()))).expect("it is taken");
    told(&mut state, LedgerCommand::Exclude(Box::new(first))).expect("the same again is another entry");
    assert_eq!(state.exclusions().count(), 2);
    let withdraw = |number| LedgerCommand::Withdraw {
        number,
        reason: "a mistake".to_owned(),
    };
    told(&mut state, withdraw(1)).expect("it is withdrawn");
    assert_eq!((state.entries().len(), state.exclusions().count()), (2, 1));
    let entry = state.entries().next().expect("the first");
    let withdrawn = entry.withdrawn.as_ref().expect("it was");
    assert_eq!(
        (withdrawn.written.by.to_string(), withdrawn.reason.as_str()),
        ("person:ada".to_owned(), "a mistake")
    );
    let again = told(&mut state, withdraw(1)).expect_err("once is enough");
    assert!(matches!(again, LedgerRefusal::AlreadyWithdrawn { number: 1, .. }));
    assert_eq!(told(&mut state, withdraw(9)), Err(LedgerRefusal::Unknown(9)));
    assert_eq!(state.revision(), 3);
}

#[test]
fn what_no_count_can_be_read_by_is_refused_with_what_can() {
    let mut state = LedgerState::default();
    for (from, to, word) in [
        (
            "2026-10-04T02:07:00Z",
            "2026-10-04T03:00:00Z",
            "write 2026-10-04T02:00:00Z or 2026-10-04T02:15:00Z",
        ),
        ("2026-10-04T02:00:00Z", "2026-10-04T02:00:00.001Z", "quarter hour"),
        ("2026-10-04T03:00:00Z", "2026-10-04T03:00:00Z", "before it begins"),
        ("2026-09-01T00:00:00Z", "2026-10-03T00:00:00Z", "31 days"),
        ("2025-08-01T00:00:00Z", "2025-08-02T00:00:00Z", "400 days"),
        ("2027-12-01T00:00:00Z", "2027-12-02T00:00:00Z", "a year from now"),
    ] {
        let refused =
            told(&mut state, LedgerCommand::Exclude(Box::new(adjustment(from, to)))).expect_err(from);
        assert!(refused.to_string().contains(word), "{refused}");
    }
    let silent = Adjustment {
        reason: " ".to_owned(),
        ..adjustment("2026-10-04T02:00:00Z", "2026-10-04T03:00:00Z")
    };
    assert!(told(&mut state, LedgerCommand::Exclude(Box::new(silent))).is_err());
    assert_eq!(state.entries().len(), 0);
}

const SLO: &str = r#"apiVersion: openslo/v1
kind: SLI
metadata: {name: api}
spec:
  ratioMetric:
    counter: true
    bad: {metricSource: {type: prometheus, spec: {query: 'requests_total{code="500"}'}}}
    total: {metricSource: {type: prometheus, spec: {query: requests_total}}}
---
apiVersion: openslo/v1
kind: SLO
metadata:
  name: api-contract
  annotations: {mainstay/promise: agreement, mainstay/group-by: tenant}
spec:
  service: gateway
  indicatorRef: api
  budgetingMethod: Occurrences
  timeWindow: [{duration: 30d, isRolling: true}]
  objectives: [{target: 0.999}]
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: api-ours}
spec:
  service: gateway
  indicatorRef: api
  budgetingMethod: Occurrences
  timeWindow: [{duration: 30d, isRolling: true}]
  objectives: [{target: 0.9995}]
"#;

fn read(document: &str) -> (Documents, SloCatalog, Diagnostics) {
    let (documents, mut diagnostics) = Documents::from_texts([("slo.yaml", SLO), ("own.yaml", document)]);
    let slos = spec::load(&documents, &Platform::default(), &mut diagnostics);
    assert!(!diagnostics.has_errors(), "{}", diagnostics.render_short());
    (documents, slos, diagnostics)
}

fn window(spec: &str) -> String {
    format!("apiVersion: mainstay/v1\nkind: MaintenanceWindow\nmetadata:\n  name: db\nspec:\n{spec}")
}

const GOOD: &str = r#"  title: Database maintenance
  objectives: [api-contract]
  start: "2026-01-04T02:00"
  zone: Europe/Berlin
  duration: 2h
  recurrence: FREQ=WEEKLY;BYDAY=SU
"#;

#[test]
fn a_maintenance_window_follows_the_clocks_of_its_zone() {
    let (documents, slos, mut diagnostics) = read(&window(GOOD));
    let windows = maintenance::load(&documents, &Platform::default(), &slos, &mut diagnostics);
    assert!(!diagnostics.has_errors(), "{}", diagnostics.render_short());
    let ms = |text| at(text).as_millisecond();
    let starts = |from, to| {
        let stretches = windows[0].stretches(ms(from), ms(to));
        let shown = stretches.iter().map(|one| {
            assert_eq!(one.length_ms(), 2 * 3_600_000);
            Timestamp::from_millisecond(one.start_ms)
                .expect("in range")
                .to_string()
        });
        shown.collect::<Vec<_>>()
    };
    // Clocks go forward on 29 March 2026: 2:00 becomes 3:00, 1:00 UTC.
    assert_eq!(
        starts("2026-03-21T00:00:00Z", "2026-04-06T00:00:00Z"),
        [
            "2026-03-22T01:00:00Z",
            "2026-03-29T01:00:00Z",
            "2026-04-05T00:00:00Z"
        ]
    );
    // What reaches into the time is part of it.
    assert_eq!(
        starts("2026-03-22T02:59:59Z", "2026-03-22T04:00:00Z"),
        ["2026-03-22T01:00:00Z"]
    );
    assert!(starts("2026-03-22T03:00:00Z", "2026-03-22T04:00:00Z").is_empty());
    assert_eq!(
        windows[0]
            .exclusions(ms("2026-03-21T00:00:00Z"), ms("2026-03-23T00:00:00Z"))
            .count(),
        1
    );
}

#[test]
fn what_is_wrong_with_a_maintenance_window_is_said_where_it_stands() {
    for (from, to, line, word) in [
        (
            "FREQ=WEEKLY;BYDAY=SU",
            "FREQ=WEEKLY;BYDAY=SUN",
            11,
            "character 19",
        ),
        ("Europe/Berlin", "Europe/Atlantis", 9, "time zone"),
        ("2026-01-04T02:00", "2026-01-04T02:10", 8, "start"),
        ("duration: 2h", "duration: 100m", 10, "no length"),
        ("[api-contract]", "[api-contrct]", 7, "no objective"),
        ("  objectives: [api-contract]\n", "", 4, "of nothing"),
        ("  title:", "  titel:", 6, "titel"),
    ] {
        let text = window(&GOOD.replace(from, to));
        let (documents, slos, mut diagnostics) = read(&text);
        let windows = maintenance::load(&documents, &Platform::default(), &slos, &mut diagnostics);
        let short = diagnostics.render_short();
        assert!(windows.is_empty(), "{to}");
        assert!(
            short.contains(&format!("own.yaml:{line}:")) && short.contains(word),
            "{to}: {short}"
        );
    }
}

fn table(name: &str, tail: &str) -> String {
    format!(
        "apiVersion: mainstay/v1\nkind: ServiceCredits\nmetadata: {{name: {name}}}\nspec:\n  objective: api-contract\n{tail}"
    )
}

const TIERS: &str = "  tiers:\n    - {below: 99.9%, credit: 10%}\n    - {below: 99%, credit: 25%}\n    - {below: 95%, credit: 100%}\n";

#[test]
fn the_tier_is_found_by_exact_shares() {
    let own = table(
        "own",
        &format!(
            "  tenants: [STD-001]\n{}",
            "  tiers: [{below: 99.5%, credit: 7.5%}]\n"
        ),
    );
    let (documents, slos, mut diagnostics) = read(&format!("{}---\n{own}", table("all", TIERS)));
    let book = credits::load(&documents, &Platform::default(), &slos, &mut diagnostics);
    assert!(!diagnostics.has_errors(), "{}", diagnostics.render_short());
    let slo = SloId::new("api-contract").expect("a name");
    let credit = |tenant: &str, bad, total| {
        let tenant = TenantId::new(tenant).expect("a name");
        let table = book.of(&slo, &tenant, None).expect("a table");
        table
            .tier(Counts { bad, total })
            .map(|tier| tier.credit.to_string())
    };
    assert_eq!(
        credit("STD-002", 1, 1_000),
        None,
        "exactly 99.9 % is not below it"
    );
    assert_eq!(credit("STD-002", 1_001, 1_000_000), Some("0.1".to_owned()));
    assert_eq!(
        credit("STD-002", 10, 1_000),
        Some("0.1".to_owned()),
        "exactly 99 %"
    );
    assert_eq!(credit("STD-002", 11, 1_000), Some("0.25".to_owned()));
    assert_eq!(credit("STD-002", 1_000, 1_000), Some("1".to_owned()));
    assert_eq!(
        credit("STD-002", 0, 0),
        None,
        "nothing was counted: nothing is given back"
    );
    assert_eq!(credit("STD-001", 5, 1_000), None, "its own table goes before");
    assert_eq!(credit("STD-001", 6, 1_000), Some("0.075".to_owned()));
}

#[test]
fn tables_that_give_what_nobody_means_are_refused() {
    for (text, line, word) in [
        (
            table("t", "  tiers: [{below: 99.95%, credit: 10%}]\n"),
            6,
            "although the agreement is kept",
        ),
        (
            table(
                "t",
                "  tiers:\n    - {below: 99%, credit: 10%}\n    - {below: 99.5%, credit: 25%}\n",
            ),
            8,
            "tiers fall",
        ),
        (
            table(
                "t",
                "  tiers:\n    - {below: 99%, credit: 10%}\n    - {below: 98%, credit: 10%}\n",
            ),
            8,
            "the higher the credit",
        ),
        (
            table("t", "  tiers: [{below: 99%, credit: 101%}]\n"),
            6,
            "is none",
        ),
        (table("t", "  tiers: []\n"), 3, "1 to 20"),
        (
            table("t", TIERS).replace("api-contract", "api-ours"),
            5,
            "promise to ourselves",
        ),
        (
            format!("{}---\n{}", table("t", TIERS), table("u", TIERS)),
            15,
            "same tenants",
        ),
    ] {
        let (documents, slos, mut diagnostics) = read(&text);
        let _ = credits::load(&documents, &Platform::default(), &slos, &mut diagnostics);
        let short = diagnostics.render_short();
        assert!(
            short.contains(&format!("own.yaml:{line}:")) && short.contains(word),
            "{text}\n{short}"
        );
    }
}
