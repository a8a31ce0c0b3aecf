//! One outage, one page: what is correlated, and what is not.

use mainstay_incident::IncidentEvent;
use mainstay_kernel::Severity;

use crate::bench::{Bench, cell};

const DECLARED: [&str; 3] = ["declared", "alerts_attached", "page_requested"];
const WIDENED: [&str; 2] = ["alerts_attached", "widened"];
const JOINED: [&str; 1] = ["alerts_attached"];

fn pages(bench: &Bench) -> usize {
    let pages = |(event, _): &&(IncidentEvent, _)| matches!(event, IncidentEvent::PageRequested(_));
    bench.events.iter().filter(pages).count()
}

#[test]
fn cells_of_a_region_that_fail_together_are_the_region() {
    let mut bench = Bench::of_payments();
    let down = |cell| [("alertname", "PaymentServiceDown"), ("cell", cell)];
    assert_eq!(bench.fire_labelled(Severity::P0, &down("cell-1")), DECLARED);
    assert_eq!(bench.last().scope.to_string(), "in cell-1");
    bench.pass(1);
    assert_eq!(bench.fire_labelled(Severity::P0, &down("cell-2")), WIDENED);
    assert_eq!(bench.last().scope.to_string(), "in south-africa-north");
    assert_eq!(
        bench.last().title,
        "PaymentServiceDown in south-africa-north: cell-1, cell-2"
    );
    // What follows inside the region is no news of the place.
    for cell in ["cell-4", "cell-5", "cell-6"] {
        assert_eq!(bench.fire_labelled(Severity::P0, &down(cell)), JOINED);
    }
    // The cell of Kenya is in another region: the platform.
    assert_eq!(bench.fire_labelled(Severity::P0, &down("cell-3")), WIDENED);
    assert_eq!(bench.last().scope.to_string(), "the platform");
    assert_eq!((bench.state.open().count(), pages(&bench)), (1, 1));
    assert_eq!(bench.replayed(), bench.state);
}

#[test]
fn services_and_tenants_of_a_cell_are_the_cell() {
    let mut bench = Bench::of_payments();
    let slow = [
        ("alertname", "Slow"),
        ("cell", "cell-3"),
        ("service", "payment-service"),
        ("tenant", "EQB-001"),
    ];
    assert_eq!(bench.fire_labelled(Severity::P1, &slow), DECLARED);
    assert_eq!(
        bench.last().scope.to_string(),
        "payment-service in cell-3 for EQB-001"
    );
    // Another tenant of the cell, named without it: hours later, for it is the same place.
    bench.pass(180);
    let other = [
        ("alertname", "Refused"),
        ("service", "payment-service"),
        ("tenant", "KCB-001"),
    ];
    assert_eq!(bench.fire_labelled(Severity::P1, &other), WIDENED);
    assert_eq!(bench.last().scope.to_string(), "payment-service in cell-3");
    let ledger = [
        ("alertname", "Unbalanced"),
        ("cell", "cell-3"),
        ("service", "ledger-service"),
    ];
    assert_eq!(bench.fire_labelled(Severity::P1, &ledger), WIDENED);
    assert_eq!(bench.last().scope.to_string(), "in cell-3");
    assert_eq!(pages(&bench), 1);
}

#[test]
fn the_same_alert_later_is_the_same_outage_and_another_is_not() {
    let mut bench = Bench::of_payments();
    let errors = |cell| [("alertname", "HighErrorRate"), ("cell", cell)];
    bench.fire_labelled(Severity::P1, &errors("cell-1"));
    // A bad version that is rolled out cell by cell.
    for (cell, kinds) in [("cell-2", &WIDENED[..]), ("cell-4", &JOINED[..])] {
        bench.pass(40);
        assert_eq!(bench.fire_labelled(Severity::P1, &errors(cell)), kinds);
    }
    bench.pass(40);
    // Something else, in the other region, has nothing to do with it.
    let disk = [("alertname", "DiskFull"), ("cell", "cell-3")];
    assert_eq!(bench.fire_labelled(Severity::P1, &disk), DECLARED);
    assert_eq!((bench.state.open().count(), pages(&bench)), (2, 2));
}

/// An incident whose alerts are all over is no reason not to page for another place.
#[test]
fn what_is_over_draws_nothing_in() {
    let mut bench = Bench::of_payments();
    bench.fire_labelled(Severity::P1, &[("alertname", "A"), ("cell", "cell-1")]);
    let incident = bench.last().clone();
    let over = mainstay_kernel::fact::AlertResolved {
        group: "g".to_owned(),
        receiver: "team".to_owned(),
        scope: incident.scope.clone(),
        resolved: incident.firing().cloned().collect(),
        key: mainstay_kernel::notification::GroupKey::default(),
        shadow: false,
    };
    let over = mainstay_incident::IncidentCommand::AlertsResolved { fact: over };
    assert_eq!(bench.does(over), ["alerts_cleared", "all_clear"]);
    bench.pass(1);
    let elsewhere = [("alertname", "A"), ("cell", "cell-2")];
    assert_eq!(bench.fire_labelled(Severity::P1, &elsewhere), DECLARED);
}

/// Other people are to be paged: they would never hear of theirs.
#[test]
fn what_pages_others_elsewhere_is_an_incident_of_its_own() {
    let mut bench = Bench::of_payments();
    bench.fire_labelled(Severity::P1, &[("alertname", "A"), ("cell", "cell-1")]);
    let elsewhere = [("alertname", "A"), ("cell", "cell-2")];
    assert_eq!(bench.fire_to("clearing", Severity::P1, &elsewhere), DECLARED);
    assert_eq!((bench.state.open().count(), pages(&bench)), (2, 2));
}

/// In the same place they work on it together, each team paged once.
#[test]
fn what_pages_others_in_the_same_place_is_the_same_incident_and_their_page() {
    let mut bench = Bench::of_payments();
    let in_cell = |name: &'static str| [("alertname", name), ("cell", "cell-1")];
    bench.fire_labelled(Severity::P1, &in_cell("A"));
    bench.pass(60);
    let kinds = bench.fire_to("clearing", Severity::P1, &in_cell("B"));
    assert_eq!(kinds, ["alerts_attached", "page_requested"]);
    let asked = bench.events.iter().rev().find_map(|(event, _)| match event {
        IncidentEvent::PageRequested(request) => Some(request.clone()),
        _ => None,
    });
    let asked = asked.expect("a page");
    assert_eq!(
        (asked.policy.as_deref(), asked.page.as_str()),
        (Some("clearing"), "2026-03-02-001-p2")
    );
    assert_eq!(bench.fire_to("clearing", Severity::P1, &in_cell("C")), JOINED);
    // Worse by the others: both are told.
    let kinds = bench.fire_to("ledger", Severity::P0, &in_cell("D"));
    assert_eq!(
        kinds,
        [
            "alerts_attached",
            "severity_changed",
            "page_requested",
            "page_requested"
        ]
    );
    assert_eq!(bench.last().pages.len(), 4);
    assert_eq!(bench.state.open().count(), 1);
}

#[test]
fn what_pages_nobody_makes_nothing_wider() {
    let mut bench = Bench::of_payments();
    bench.fire_labelled(Severity::P1, &[("alertname", "A"), ("cell", "cell-1")]);
    let elsewhere = [("alertname", "B"), ("cell", "cell-2")];
    assert_eq!(bench.fire_labelled(Severity::P2, &elsewhere), [""; 0]);
    let service = [
        ("alertname", "B"),
        ("cell", "cell-1"),
        ("service", "ledger-service"),
    ];
    assert_eq!(bench.fire_labelled(Severity::P2, &service), JOINED);
    assert_eq!(bench.last().scope.to_string(), "in cell-1");
}

/// Worse and wider at once: the page that says so says where it is now.
#[test]
fn the_page_of_a_wider_and_worse_incident_names_the_wider_place() {
    let mut bench = Bench::of_payments();
    bench.fire_labelled(Severity::P1, &[("alertname", "Errors"), ("cell", "cell-1")]);
    let kinds = bench.fire_labelled(Severity::P0, &[("alertname", "Down"), ("cell", "cell-2")]);
    assert_eq!(
        kinds,
        ["alerts_attached", "widened", "severity_changed", "page_requested"]
    );
    let request = bench.events.iter().rev().find_map(|(event, _)| match event {
        IncidentEvent::PageRequested(request) => Some(request.clone()),
        _ => None,
    });
    let request = request.expect("a page");
    assert_eq!(
        request.title,
        "Down, Errors in south-africa-north: cell-1, cell-2"
    );
    assert_eq!(request.scope.to_string(), "in south-africa-north");
}

/// Ten thousand burning groups, of every cell, service and bank, in the order in which rules see them: one incident, one
/// page, named after the narrowest place that holds them.
#[test]
fn ten_thousand_groups_are_one_incident_and_one_page() {
    let mut bench = Bench::of_payments();
    let cells = [
        "cell-1", "cell-2", "cell-4", "cell-5", "cell-6", "cell-7", "cell-8", "cell-9", "cell-10",
    ];
    for number in 0..10_000 {
        if number % 500 == 0 {
            bench.now += jiff::SignedDuration::from_secs(15);
        }
        let endpoint = format!("/v1/{number}");
        let labels = [
            ("alertname", "BudgetBurns"),
            ("cell", cells[number % cells.len()]),
            ("endpoint", &endpoint),
            ("service", ["payment-service", "ledger-service"][number % 2]),
        ];
        bench.fire_labelled(Severity::P1, &labels);
    }
    assert_eq!((bench.state.open().count(), pages(&bench)), (1, 1));
    let incident = bench.last();
    assert_eq!(incident.scope.to_string(), "in south-africa-north");
    assert_eq!(incident.firing().count(), 10_000, "the rest is linked");
}

/// Whoever acknowledged knows what fired by then. What else begins may be another trouble, and nobody else hears of it.
#[test]
fn what_is_new_by_name_and_by_place_pages_whoever_has_the_incident() {
    let mut bench = Bench::of_payments();
    let fire = |bench: &mut Bench, name, cell| {
        bench.fire_labelled(Severity::P0, &[("alertname", name), ("cell", cell)])
    };
    fire(&mut bench, "PaymentServiceDown", "cell-1");
    bench.pass(1);
    fire(&mut bench, "PaymentServiceDown", "cell-4");
    // Until somebody takes it on, the page that climbs is that of the whole region.
    assert_eq!(fire(&mut bench, "DnsBad", "cell-2"), JOINED);
    let id = bench.last().id.clone();
    bench.acknowledge(&id);
    bench.pass(30);
    assert_eq!(
        fire(&mut bench, "PaymentServiceDown", "cell-5"),
        JOINED,
        "more of it"
    );
    assert_eq!(
        fire(&mut bench, "QueueFull", "cell-1"),
        JOINED,
        "in a cell that is known"
    );
    assert_eq!(
        fire(&mut bench, "LedgerCorrupt", "cell-6"),
        ["alerts_attached", "page_requested"]
    );
    let IncidentEvent::PageRequested(page) = &bench.events.last().expect("an event").0 else {
        panic!("a page is asked for");
    };
    assert_eq!(page.title, "also: LedgerCorrupt in cell-6");
    // That page climbs: what comes meanwhile is told with it.
    assert_eq!(fire(&mut bench, "DiskFull", "cell-7"), JOINED);
    bench.acknowledge(&id);
    bench.pass(1);
    assert_eq!(fire(&mut bench, "DiskFull", "cell-8"), JOINED);
    assert_eq!(pages(&bench), 2);
    assert_eq!(
        fire(&mut bench, "KeysExpired", "cell-8"),
        ["alerts_attached", "page_requested"]
    );
    assert_eq!(bench.replayed(), bench.state);
}

/// The alerts of all objectives have one name.
#[test]
fn another_objective_is_another_alert() {
    let mut bench = Bench::of_payments();
    let burns = |slo, cell| [("alertname", "ErrorBudgetBurn"), ("slo", slo), ("cell", cell)];
    bench.fire_labelled(Severity::P0, &burns("api-availability", "cell-1"));
    bench.fire_labelled(Severity::P0, &burns("api-availability", "cell-4"));
    let id = bench.last().id.clone();
    bench.acknowledge(&id);
    bench.pass(30);
    let more = burns("api-availability", "cell-5");
    assert_eq!(bench.fire_labelled(Severity::P0, &more), JOINED);
    // Of all cells: it burns because of these.
    let of_all = [("alertname", "ErrorBudgetBurn"), ("slo", "settlement")];
    assert_eq!(bench.fire_labelled(Severity::P0, &of_all), WIDENED);
    let other = burns("settlement", "cell-6");
    assert_eq!(
        bench.fire_labelled(Severity::P0, &other),
        ["alerts_attached", "page_requested"]
    );
}

/// A group that is told again tells of all its alerts: what was known of them stays known.
#[test]
fn what_is_told_again_is_known_since_it_was_told_first() {
    let mut bench = Bench::of_payments();
    let group = "on-call@g";
    bench.fire(group, &cell("cell-1"), Severity::P0, &["A"]);
    let id = bench.last().id.clone();
    bench.acknowledge(&id);
    bench.pass(1);
    assert_eq!(
        bench.fire(group, &cell("cell-1"), Severity::P2, &["A", "B"]),
        JOINED
    );
    bench.pass(1);
    let other = [("alertname", "LedgerCorrupt"), ("cell", "cell-6")];
    assert_eq!(
        bench.fire_labelled(Severity::P0, &other),
        ["alerts_attached", "widened", "page_requested"]
    );
}
