//! Places that contradict each other: the specification as it was written, what a correction says, and other mistakes of
//! the same kind with other names, numbers and files, so that nothing can be matched as text.

mod cases;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mainstay_catalog::{Diagnostics, Documents, LintId, Platform, lint};
use mainstay_slo::spec::contradictions;

use cases::{ROLLING, cases, shop, slo};

fn catalogs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalogs")
}

fn check(documents: &Documents) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    let platform = Platform::build(documents, &mut Diagnostics::new());
    contradictions::check(documents, &platform, &mut diagnostics);
    diagnostics
}

/// Where the `nth` (from 0) occurrence of `needle` stands in `text`: `file:line:column`.
fn place(file: &str, text: &str, needle: &str, nth: usize) -> String {
    let (at, _) = text
        .match_indices(needle)
        .nth(nth)
        .unwrap_or_else(|| panic!("{needle:?} in {file}"));
    let line = text[..at].matches('\n').count() + 1;
    let column = text[..at].chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("{file}:{line}:{column}")
}

#[test]
fn the_specification_as_it_was_written() {
    let folder = catalogs().join("as-written");
    let (documents, _) = Documents::load(&folder);
    let found = check(&documents);
    let told = found.render_short();
    let read = |file: &str| fs::read_to_string(folder.join(file)).expect(file);
    let availability = "slo/api-availability.yaml";
    let cases: [(LintId, &str, &str, usize); 22] = [
        (
            lint::AVAILABILITY_COMPOSITION,
            "platform.yaml",
            "tier-2, depends_on: {hard: [val",
            0,
        ),
        (lint::INTERVAL_FINER_THAN_DATA, "rules.yml", "30s", 0),
        (lint::SINGLE_POD_PAGE, "rules.yml", "up{job", 0),
        (
            lint::CLIENT_ERRORS,
            "rules.yml",
            "http_requests_total{job=\"payment-service\",status=~\"5..\"",
            0,
        ),
        (
            lint::GOOD_CONTRADICTS,
            "rules.yml",
            "http_requests_total{job=\"payment-service\",status=~\"2..\"",
            0,
        ),
        (
            lint::WINDOW_KINDS,
            "rules.yml",
            "http_requests_total{job=\"payment-service\",status=~\"2..\"",
            0,
        ),
        (
            lint::LOOKBACK_BEYOND_RETENTION,
            "rules.yml",
            "http_requests_total{job=\"payment-service\"}[30d]",
            0,
        ),
        (lint::PRIORITY_CONTRADICTS, "rules.yml", "P0\n", 1),
        (lint::PRIORITY_CONTRADICTS, "rules.yml", "P0\n", 2),
        (lint::PRIORITY_CONTRADICTS, "rules.yml", "P1\n", 0),
        (lint::PRIORITY_CONTRADICTS, "rules.yml", "P1\n", 1),
        (
            lint::BUDGET_RESET,
            availability,
            "api-availability\n  displayName: API Availability\n  annotations",
            0,
        ),
        (lint::BUDGET_MINUTES, availability, "\"21.9\"", 0),
        (lint::BUDGET_MINUTES, availability, "21.9 minutes downtime", 0),
        (lint::BUDGET_DISAGREES, availability, "30% ✅\n", 0),
        (lint::THROUGHPUT_OBJECTIVE, availability, "50000", 0),
        (
            lint::CLIENT_ERRORS,
            "slo/services.yaml",
            "http_requests_total{job=\"account-adapter\",status=~\"5..\"",
            0,
        ),
        (
            lint::GOOD_CONTRADICTS,
            "slo/services.yaml",
            "http_requests_total{job=\"account-adapter\",status=~\"5..\"",
            0,
        ),
        (lint::SHOWN_GREEN, "slo/services.yaml", "0.08% ✅\n", 0),
        (
            lint::PAYMENT_COHORT,
            "slo/system.yaml",
            "payments_total{status=\"COMPLETED\"}",
            0,
        ),
        (
            lint::ACKNOWLEDGED_LOSS,
            "slo/system.yaml",
            "database_writes_confirmed_total",
            0,
        ),
        (
            lint::ACKNOWLEDGED_LOSS,
            "slo/system.yaml",
            "kafka_producer_acknowledged_total",
            0,
        ),
    ];
    for (lint, file, needle, nth) in cases {
        let place = place(file, &read(file), needle, nth);
        assert!(
            found.iter().any(|one| one.lint == lint && one.place() == place),
            "{lint} at {place}:\n{told}"
        );
    }
    // Every kind that the specification's own words break, and no other: its budget states (77, 63, 27 and 18%) are the
    // ones that ruling R7 takes over.
    let kinds: BTreeSet<LintId> = found.iter().map(|one| one.lint).collect();
    let expected: BTreeSet<LintId> = cases.iter().map(|(lint, ..)| *lint).collect();
    assert_eq!(kinds, expected, "{told}");
    assert!(
        found.iter().all(|one| !one.help.is_empty()),
        "each says how to mend it"
    );
}

#[test]
fn the_corrected_catalog_is_clean() {
    let (documents, _) = Documents::load(&catalogs().join("payments"));
    let found = check(&documents);
    assert!(found.is_empty(), "{}", found.render_short());
}

#[test]
fn other_mistakes_are_found_and_their_correction_is_silent() {
    let mut failures = String::new();
    for case in cases() {
        let (documents, unread) = Documents::from_texts(case.files.clone());
        assert!(unread.is_empty(), "{}", unread.render_short());
        let found = check(&documents);
        let (file, needle) = case.at;
        let text = &case
            .files
            .iter()
            .find(|(name, _)| *name == file)
            .expect("the file")
            .1;
        let place = place(file, text, needle, 0);
        if !found
            .iter()
            .any(|one| one.lint == case.lint && one.place() == place)
        {
            failures += &format!("{} at {place}, found:\n{}\n", case.lint, found.render_short());
        }
        let (from, to) = case.mend;
        let mended: Vec<(&str, String)> = case
            .files
            .iter()
            .map(|(name, text)| (*name, text.replace(from, to)))
            .collect();
        assert_ne!(mended, case.files, "{from:?} is there");
        let (documents, _) = Documents::from_texts(mended);
        let found = check(&documents);
        if !found.is_empty() {
            failures += &format!("{}, corrected to {to:?}:\n{}\n", case.lint, found.render_short());
        }
    }
    assert!(failures.is_empty(), "{failures}");
    let tried: BTreeSet<LintId> = cases().iter().map(|case| case.lint).collect();
    assert_eq!(tried.len(), 21, "{tried:?}");
}

const PLATFORM: &str = "apiVersion: mainstay/v1\nkind: Platform\nmetadata: {name: p}\nspec:\n  title: P\n  time_zone: UTC\n  \
    availability_tiers: [{id: gold, title: Gold, target: 99.9%}, {id: tin, title: Tin, target: 98%}]\n---\n\
    apiVersion: mainstay/v1\nkind: Databases\nitems: [{id: db, team: t, availability: 99.95%}]\n---\n\
    apiVersion: mainstay/v1\nkind: Externals\nitems: [{id: bank, title: Bank, availability: 99.4%}]\n---\n\
    apiVersion: mainstay/v1\nkind: Services\nitems:\n  - {id: shop, title: Shop, team: t, tier: tin, depends_on: {hard: [db, bank]}}\n  \
    - {id: cart, title: Cart, team: t, tier: gold, depends_on: {soft: [bank]}}\n";

/// Ruling R17: a promise above what the hard dependencies keep together, as a tier and as an objective.
#[test]
fn no_promise_is_above_what_its_parts_keep() {
    let find = |platform: &str, target: &str| {
        let objectives = shop(&[slo("answers", "answers", ROLLING, target, "", "")]);
        let (documents, _) = Documents::from_texts([("p.yaml", platform.to_owned()), ("a.yaml", objectives)]);
        check(&documents).render_short()
    };
    assert_eq!(find(PLATFORM, "0.993"), "");
    let told = find(PLATFORM, "0.994");
    assert!(
        told.contains("availability-composition") && told.contains("99.350% together"),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "{told}");
    let hard = PLATFORM.replace("{soft: [bank]}", "{hard: [bank]}");
    let told = find(&hard, "0.993");
    let line = place("p.yaml", &hard, "gold, depends_on", 0);
    assert!(
        told.starts_with(&line) && told.contains("cart is of gold"),
        "{told}"
    );
    let soft = PLATFORM.replace("hard: [db, bank]", "hard: [db], soft: [bank]");
    assert_eq!(
        find(&soft, "0.9995"),
        "",
        "exactly what the database keeps can be promised"
    );
}

/// Nothing is said where nothing can be shown.
#[test]
fn what_may_be_meant_is_not_reported() {
    let rules = "groups:\n- name: g\n  rules:\n  \
        - {alert: OneCode, expr: 'sum(rate(hits{code=\"503\"}[5m])) / sum(rate(hits[5m])) > 0.2', labels: {priority: P1}}\n  \
        - {alert: Clients, expr: 'sum(rate(hits{code=~\"4..\",code!~\"408|429|499\"}[5m])) / sum(rate(hits[5m])) > 0.5', labels: {priority: P2}}\n  \
        - {alert: Elsewhere, expr: 'sum(rate(other{code=~\"2..\"}[5m])) / sum(rate(other[5m])) < 0.9', labels: {priority: P2}}\n  \
        - {alert: Tenants, expr: 'count(sum by (tenant) (rate(hits{code=~\"5..|408|429|499\"}[5m])) / sum by (tenant) (rate(hits[5m])) > 0.1) > 2', labels: {priority: P0}}\n  \
        - {alert: Gone, expr: 'sum(up{job=\"x\"}) == 0 or absent(up{job=\"x\"})', labels: {priority: P0}}\n  \
        - {alert: Ratio, expr: 'queue_length / workers > 3', labels: {priority: P1}}\n";
    let objectives = shop(&[slo(
        "answers",
        "answers",
        ROLLING,
        "0.99",
        "99% of the answers within 30 days, such as v1.6.0 gave in 2025-01-15",
        "",
    )]);
    let (documents, _) = Documents::from_texts([("a.yaml", objectives), ("b.yml", rules.to_owned())]);
    let found = check(&documents);
    assert!(found.is_empty(), "{}", found.render_short());
}
