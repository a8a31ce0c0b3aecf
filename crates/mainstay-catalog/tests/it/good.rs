use mainstay_catalog::platform::{Component, Strength};
use mainstay_catalog::{Catalog, duration};
use mainstay_kernel::{Labels, ServiceId};

use crate::here;

#[test]
fn a_small_catalog_loads_without_a_finding_and_resolves() {
    let (catalog, diagnostics) = match Catalog::load(&here("tests/good")) {
        Ok(loaded) => loaded,
        Err(error) => panic!("{error:?}"),
    };
    assert_eq!(diagnostics.render(None, false), "");
    let payment = ServiceId::new("payment-service").expect("a name");
    let edges: Vec<_> = catalog.platform.dependencies(&payment).collect();
    assert_eq!(
        edges,
        [
            (Component::Database("payment-db".to_owned()), Strength::Hard),
            (Component::Brokers("events".to_owned()), Strength::Hard),
            (
                Component::Service(ServiceId::new("fraud-service").expect("a name")),
                Strength::Soft
            ),
        ]
    );
    let labels: Labels = [("priority", "P0"), ("alertname", "X")].into_iter().collect();
    let taken = catalog.response.routing.route.matching(&labels);
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].0, [0]);
    assert_eq!(taken[0].1.receiver, "pages");
    assert_eq!(duration::format(taken[0].1.group_wait), "10s");
    // Inherited from the root, and from Alertmanager's defaults.
    assert_eq!(taken[0].1.group_by.of(&labels).to_string(), r#"{alertname="X"}"#);
    assert_eq!(duration::format(taken[0].1.repeat_interval), "4h");
    assert_eq!(catalog.runbooks[0].steps.len(), 2);
    assert_eq!(catalog.runbooks[0].steps[1].title, "Mitigate");
}

#[test]
fn one_file_is_checked_alone_without_asking_for_the_others() {
    let (_, diagnostics) = Catalog::check(&here("tests/good/services.yaml"));
    assert_eq!(diagnostics.render(None, false), "");
    let (_, diagnostics) = Catalog::check(&here("tests/broken/04-unknown-key/services.yaml"));
    assert_eq!(
        diagnostics.render_short(),
        "services.yaml:10:7: error[unknown-key]: unknown key \"sotf\"\n"
    );
    let json = serde_json::to_value(&diagnostics).expect("it serializes");
    assert_eq!(json[0]["line"], 10);
    assert_eq!(json[0]["lint"], "unknown-key");
    assert_eq!(json[0]["level"], "error");
}
