use mainstay_catalog::{Catalog, Format};
use mainstay_kernel::{CellId, Labels, Severity};

use crate::here;

fn payments() -> Catalog {
    match Catalog::load(&here("../../catalogs/payments")) {
        Ok((catalog, diagnostics)) => {
            assert_eq!(diagnostics.render(None, false), "");
            catalog
        }
        Err(mainstay_catalog::CatalogError::Invalid(diagnostics)) => {
            panic!("{}", diagnostics.render(None, false))
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn it_names_as_many_parts_as_the_specification() {
    let catalog = payments();
    let platform = &catalog.platform;
    assert_eq!(
        (
            platform.services.len(),
            platform.databases.len(),
            platform.brokers.len(),
            platform.cells.len(),
            platform.tenants.len()
        ),
        (17, 14, 3, 10, 50)
    );
    let tenants = |cell: &str| {
        let cell = CellId::new(cell).expect("a name");
        platform
            .tenants_of(&cell)
            .map(|tenant| tenant.name.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(tenants("cell-3"), ["Equity Bank", "KCB Bank"]);
    assert_eq!(tenants("cell-5").len(), 2);
    for tenant in platform.tenants.values() {
        assert!(
            platform.calendar_of(&tenant.country).is_some(),
            "{} has no calendar",
            tenant.country
        );
    }
    for calendar in platform.calendars.values() {
        assert!(calendar.holidays.is_sorted_by_key(|holiday| holiday.date));
    }
}

#[test]
fn every_priority_goes_where_the_specification_sends_it() {
    let catalog = payments();
    let routing = &catalog.response.routing;
    for (severity, receiver) in [
        (Severity::P0, "on-call"),
        (Severity::P1, "on-call"),
        (Severity::P2, "alerts"),
        (Severity::P3, "monitoring"),
    ] {
        let labels: Labels = [("priority", severity.to_string())].into_iter().collect();
        let taken: Vec<&str> = routing
            .route
            .matching(&labels)
            .iter()
            .map(|(_, route)| route.receiver.as_str())
            .collect();
        assert_eq!(taken, [receiver], "{severity}");
    }
    let on_call = &routing.receivers["on-call"];
    assert_eq!(
        on_call.page.as_ref().map(|policy| policy.as_str()),
        Some("payments")
    );
    assert_eq!(on_call.chat[0].as_str(), "#alerts");
}

/// A rule of somebody else's pages by its word, however that is written.
#[test]
fn every_word_that_pages_does_so_in_any_case() {
    let catalog = payments();
    let routing = &catalog.response.routing;
    for (word, severity) in Severity::WORDS {
        for word in [word.to_owned(), word.to_uppercase()] {
            let labels = Labels::from_iter([("severity", word.as_str())]);
            let taken = routing.route.matching(&labels);
            let pages = taken.iter().any(|(_, route)| route.receiver == "on-call");
            assert_eq!(pages, severity.pages(), "{word}");
        }
    }
}

#[test]
fn the_chain_is_the_one_of_the_specification() {
    let catalog = payments();
    let policy = &catalog.response.policies["payments"];
    let chain = |severity| {
        let levels = policy.levels_for(severity);
        levels
            .map(|(_, level)| (level.delay().as_mins(), level.inform))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        chain(Severity::P0),
        [
            (0, false),
            (0, true),
            (5, false),
            (15, false),
            (30, false),
            (60, false)
        ]
    );
    assert_eq!(
        chain(Severity::P1),
        [(0, false), (5, false), (15, false), (120, true)]
    );
    assert!(chain(Severity::P2).is_empty());
}

#[test]
fn every_rule_that_a_ruling_corrects_names_it() {
    let catalog = payments();
    let rules: Vec<_> = catalog.documents.of_format(Format::PrometheusRules).collect();
    assert_eq!(rules.len(), 1);
    let value: serde_json::Value = rules[0].decode().expect("it decodes");
    let alerts = value["groups"][0]["rules"].as_array().expect("rules");
    assert_eq!(alerts.len(), 12);
    // As the specification has them, and one about a service that it has no rule for.
    let without = ["HighMemoryUsage", "CircuitBreakerOpen", "ClearingBankErrors"];
    for alert in alerts {
        assert_eq!(
            alert["annotations"]["ruling"].is_string(),
            !without.contains(&alert["alert"].as_str().unwrap_or_default()),
            "{}",
            alert["alert"]
        );
    }
}
