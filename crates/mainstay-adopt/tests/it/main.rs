//! Exports of the four systems, each with the schedule that it renders itself over a change of clocks. The rendered shifts
//! were made by another program, minute by minute, from the rules as those systems document them.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use mainstay_adopt::compare::{Compared, Difference, compare};
use mainstay_adopt::{ExportError, Moved, System, Written, read, written};
use mainstay_catalog::{Catalog, Diagnostics, Documents};
use mainstay_kernel::PersonId;

fn now() -> Timestamp {
    "2026-03-01T00:00:00Z".parse().expect("an instant")
}

fn files(names: &[&str]) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect(name);
    names
        .iter()
        .map(|name| ((*name).to_owned(), read(name)))
        .collect()
}

const PAGERDUTY: [&str; 3] = [
    "pagerduty-users.json",
    "pagerduty-schedule.json",
    "pagerduty-policies.json",
];
const OPSGENIE: [&str; 5] = [
    "opsgenie-escalations.json",
    "opsgenie-overrides.json",
    "opsgenie-schedules.json",
    "opsgenie-timeline.json",
    "opsgenie-users.json",
];
const GRAFANA: [&str; 6] = [
    "grafana-chains.json",
    "grafana-final.json",
    "grafana-policies.json",
    "grafana-schedules.json",
    "grafana-shifts.json",
    "grafana-users.json",
];

fn moved(system: System, names: &[&str]) -> Moved {
    read(system, &files(names), &BTreeMap::new(), now()).expect("an export")
}

/// The catalog that is written, read back; it has no error.
fn catalog(moved: &Moved, system: System) -> Catalog {
    let texts = written(moved, system, Written::default());
    let (documents, mut findings): (Documents, Diagnostics) = Documents::from_texts(texts.clone());
    let catalog = Catalog::build(documents, &mut findings);
    let lines: Vec<String> = findings.iter().map(|finding| format!("{finding:?}")).collect();
    assert!(!findings.has_errors(), "{}\n{texts:#?}", lines.join("\n"));
    catalog
}

fn differences(moved: &Moved, catalog: &Catalog) -> Vec<Difference> {
    let mut all = Vec::new();
    for schedule in &moved.schedules {
        match compare(moved, schedule, &catalog.response.rotas, now()) {
            Compared::Over {
                from,
                until,
                differences,
            } => {
                assert_eq!((from, until.duration_since(from).as_hours()), (now(), 90 * 24));
                all.extend(differences);
            }
            other => panic!("{}: {other:?}", schedule.title),
        }
    }
    all
}

fn losses(moved: &Moved) -> String {
    moved.losses.iter().map(|loss| format!("{loss}\n")).collect()
}

#[test]
fn pagerduty_is_on_call_as_it_was() {
    let moved = moved(System::PagerDuty, &PAGERDUTY);
    let catalog = catalog(&moved, System::PagerDuty);
    assert_eq!(differences(&moved, &catalog), []);
    assert_eq!(moved.overrides.len(), 1);
    let rota = &catalog.response.rotas["shop-primary"];
    let names: Vec<&str> = rota.layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(
        names,
        ["Base", "Nights"],
        "the lowest first, and none that is over"
    );
    let losses = losses(&moved);
    for said in [
        "pagerduty-users.json: $.users[0].contact_methods[3]: no channel here is like \"push_notification_contact_method\"",
        "pagerduty-users.json: $.users[0].notification_rules[2]: how they are told of what is not urgent",
    ] {
        assert!(losses.contains(said), "{said}\n{losses}");
    }
    let policy = &catalog.response.policies["shop"];
    assert_eq!(policy.levels.len(), 2);
    assert_eq!(policy.repeat.as_ref().map(|repeat| repeat.times), Some(2));
    let ann = &catalog.platform.people[&PersonId::new("ann").expect("a name")];
    assert_eq!(ann.contacts.phone.as_deref(), Some("+491701000001"));
    assert_eq!(ann.notify.len(), 2);
}

/// The comparison sees what is moved: another override, and an order of layers that is the wrong way round.
#[test]
fn what_differs_is_found() {
    let mut moved = moved(System::PagerDuty, &PAGERDUTY);
    let catalog = catalog(&moved, System::PagerDuty);
    moved.overrides.clear();
    let found = differences(&moved, &catalog);
    let shown: Vec<String> = found
        .iter()
        .map(|one| format!("{}..{} {:?} {:?}", one.from, one.until, one.theirs, one.ours))
        .collect();
    assert_eq!(
        shown,
        ["2026-03-10T09:00:00Z..2026-03-10T15:00:00Z {\"cyn\"} {\"ben\"}"]
    );
    let mut catalog = catalog;
    catalog
        .response
        .rotas
        .get_mut("shop-primary")
        .expect("it is there")
        .layers
        .reverse();
    assert!(
        differences(&moved, &catalog).len() > 50,
        "without the nights on top"
    );
}

#[test]
fn opsgenie_is_on_call_as_it_was() {
    let moved = moved(System::Opsgenie, &OPSGENIE);
    let catalog = catalog(&moved, System::Opsgenie);
    assert_eq!(differences(&moved, &catalog), []);
    assert_eq!(catalog.response.rotas.len(), 1, "its rotations never overlap");
    let losses = losses(&moved);
    for said in [
        "opsgenie-escalations.json: $.data[0].rules[2].recipient: no level pages a \"team\"",
        "opsgenie-escalations.json: $.data[0].rules[2]: `notifyType: all`",
        "opsgenie-users.json: $.data[0].userContacts[1]: no channel here is like \"mobile\"",
    ] {
        assert!(losses.contains(said), "{said}\n{losses}");
    }
}

#[test]
fn goalert_is_on_call_as_it_was() {
    let moved = moved(System::GoAlert, &["goalert.json"]);
    let catalog = catalog(&moved, System::GoAlert);
    assert_eq!(differences(&moved, &catalog), []);
    assert_eq!(
        catalog.response.rotas.len(),
        2,
        "two are on call at once on weekday mornings"
    );
    assert_eq!(
        catalog.response.policies["store"].levels[0].targets.len(),
        2,
        "and both are paged"
    );
    let losses = losses(&moved);
    assert!(losses.contains("goalert.json: $.data.escalationPolicies.nodes[0].steps[1].targets[1]: no level pages a \"slackChannel\""), "{losses}");
}

#[test]
fn grafana_oncall_is_on_call_as_it_was() {
    let moved = moved(System::GrafanaOncall, &GRAFANA);
    let catalog = catalog(&moved, System::GrafanaOncall);
    assert_eq!(differences(&moved, &catalog), []);
    let losses = losses(&moved);
    assert!(
        losses.contains("grafana-policies.json: $.results[3]: no level does what \"trigger_webhook\" does"),
        "{losses}"
    );
}

#[test]
fn a_key_that_nobody_reads_is_named() {
    let mut files = files(&PAGERDUTY);
    files[2].1 = files[2]
        .1
        .replacen("\"num_loops\"", "\"new_thing\": 7, \"num_loops\"", 1);
    let moved = read(System::PagerDuty, &files, &BTreeMap::new(), now()).expect("an export");
    let losses = losses(&moved);
    assert!(
        losses.contains("$.escalation_policies[0].new_thing: not carried over"),
        "{losses}"
    );
}

#[test]
fn whom_the_catalog_has_is_not_written_again() {
    let ann = PersonId::new("thandi").expect("a name");
    let known = BTreeMap::from([("ann@shop.example".to_owned(), ann)]);
    let moved = read(System::PagerDuty, &files(&PAGERDUTY), &known, now()).expect("an export");
    let texts = written(&moved, System::PagerDuty, Written::default());
    let all: String = texts.into_iter().map(|(_, text)| text).collect();
    assert!(all.contains("participants: [thandi, ben]"), "{all}");
    assert!(!all.contains("ann@shop.example"), "{all}");
}

#[test]
fn a_file_of_another_system_is_refused() {
    for (system, name) in [
        (System::PagerDuty, "grafana-users.json"),
        (System::Opsgenie, "pagerduty-users.json"),
        (System::GoAlert, "opsgenie-users.json"),
        (System::GrafanaOncall, "goalert.json"),
    ] {
        let refused = read(system, &files(&[name]), &BTreeMap::new(), now());
        assert!(
            matches!(refused, Err(ExportError::Unknown { .. })),
            "{name}: {refused:?}"
        );
    }
    let broken = [("x.json".to_owned(), "{".to_owned())];
    assert!(matches!(
        read(System::PagerDuty, &broken, &BTreeMap::new(), now()),
        Err(ExportError::NoJson { .. })
    ));
}

#[test]
fn a_policy_fits_what_the_catalog_asks() {
    let mut files = files(&PAGERDUTY);
    files[2].1 = files[2].1.replacen(
        "\"escalation_delay_in_minutes\": 5",
        "\"escalation_delay_in_minutes\": 30",
        1,
    );
    let moved = read(System::PagerDuty, &files, &BTreeMap::new(), now()).expect("an export");
    catalog(&moved, System::PagerDuty);
    assert!(
        losses(&moved).contains("$.escalation_policies[0]: the second step waits 30 min"),
        "{}",
        losses(&moved)
    );
}
