//! The catalog of these tests, and what is said of policies that are wrong.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_catalog::{Catalog, Diagnostics, Documents};
use mainstay_slo::gate::{Policies, load};

use super::T0;
use crate::fixture::at;

/// A catalog of one gateway, one service behind it, and the policies that are given.
pub(super) fn catalog(policies: &str) -> (Catalog, Diagnostics) {
    const PLATFORM: &str = "
apiVersion: mainstay/v1
kind: Platform
metadata: {name: p}
spec: {title: P, time_zone: UTC, availability_tiers: [{id: t, title: T, availability: 99.9%}]}
";
    const ROUTING: &str = "
apiVersion: mainstay/v1
kind: Routing
metadata: {name: routing}
spec:
  receivers: [{name: ops, chat: ['#ops']}]
  route: {receiver: ops}
";
    const SERVICES: &str = "
apiVersion: mainstay/v1
kind: Services
items:
  - {id: gateway, title: G, team: sre, tier: t}
  - {id: payments, title: P, team: sre, tier: t}
---
apiVersion: mainstay/v1
kind: Teams
items: [{id: sre, title: S, lead: ada}]
---
apiVersion: mainstay/v1
kind: People
items: [{id: ada, name: Ada, role: Engineer, team: sre}]
";
    const SLO: &str = "
apiVersion: openslo/v1
kind: Service
metadata: {name: gateway}
spec: {}
---
apiVersion: openslo/v1
kind: SLO
metadata:
  name: availability
  annotations: {mainstay/group-by: 'tenant,cell'}
spec:
  service: gateway
  budgetingMethod: Occurrences
  indicator:
    metadata: {name: api}
    spec:
      ratioMetric:
        counter: true
        bad: {metricSource: {type: prometheus, spec: {query: 'requests_total{code=~\"5..\"}'}}}
        total: {metricSource: {type: prometheus, spec: {query: requests_total}}}
  timeWindow: [{duration: 1M, isRolling: false, calendar: {startTime: '2025-01-01 00:00:00', timeZone: Europe/Berlin}}]
  objectives: [{displayName: SLO, target: 0.999}]
";
    let texts = [
        ("platform.yaml", PLATFORM),
        ("routing.yaml", ROUTING),
        ("services.yaml", SERVICES),
        ("slo.yaml", SLO),
        ("policy.yaml", policies),
    ];
    let (documents, mut diagnostics) = Documents::from_texts(texts);
    let catalog = Catalog::build(documents, &mut diagnostics);
    (catalog, diagnostics)
}

pub(super) fn read(policies: &str, now: Timestamp) -> (Policies, Diagnostics) {
    let (catalog, _) = catalog(policies);
    let mut said = Diagnostics::default();
    let slos = mainstay_slo::spec::load(&catalog.documents, &catalog.platform, &mut said);
    assert_eq!(slos.objectives().len(), 1, "{}", said.render_short());
    let policies = load(&catalog, &slos, now, &mut said);
    said.settle();
    (policies, said)
}

/// Freezes when exhausted, asks for approval when critical; the spec goes on with `more`.
pub(super) fn policies(more: &str) -> Policies {
    let (policies, said) = read(&policy(more), at(T0));
    assert!(!said.has_errors(), "{}", said.render_short());
    policies
}

pub(super) fn policy(more: &str) -> String {
    format!(
        "apiVersion: mainstay/v1
kind: ErrorBudgetPolicy
metadata: {{name: main}}
spec:
  objectives: [availability]
  appliesTo: [payments]
  states:
    warning: {{notify: [ops]}}
    critical: {{requireApproval: responder}}
    exhausted: {{freeze: true, notify: [ops]}}
{more}"
    )
}

#[test]
fn what_a_policy_gets_wrong_is_said_with_its_place() {
    let findings: BTreeMap<&str, &str> = BTreeMap::from([
        ("  failmode: allow\n", "policy.yaml:11:3: error[unknown-key]"),
        (
            "    unknown: {freeze: true}\n",
            "policy.yaml:11:15: error[unknown-key]",
        ),
        ("  failMode: maybe\n", "policy.yaml:11:13: error[bad-value]"),
        ("  lastAnswerValid: 25h\n", "policy.yaml:11:20: error[bad-value]"),
        (
            "    healthy: {notify: [opps]}\n",
            "policy.yaml:11:24: error[unknown-reference]",
        ),
        (
            "    healthy: {requireApproval: viewer}\n",
            "policy.yaml:11:32: error[bad-value]",
        ),
        (
            "  services: [gatewy]\n",
            "policy.yaml:11:14: error[unknown-reference]",
        ),
        (
            "  exceptions: [{reason: r, owner: sre, service: payments, cell: '*'}]\n",
            "error[missing-key]",
        ),
        (
            "  exceptions: [{reason: r, owner: bob, expires: 2099-01-01T00:00:00Z, service: payments, cell: '*'}]\n",
            "policy.yaml:11:35: error[unknown-reference]",
        ),
    ]);
    for (more, due) in findings {
        let (_, said) = read(&policy(more), at(T0));
        let said = said.render_short();
        assert!(said.contains(due), "{more}: {said}");
    }
    let twice = format!(
        "{}---\n{}",
        policy(""),
        policy("").replace("name: main", "name: other")
    );
    let (_, said) = read(&twice, at(T0));
    assert!(
        said.render_short()
            .contains("the objective availability is covered twice"),
        "{}",
        said.render_short()
    );
}

#[test]
fn an_objective_falls_under_the_nearest_policy() {
    let document = |name: &str, covers: &str| {
        format!(
            "apiVersion: mainstay/v1\nkind: ErrorBudgetPolicy\nmetadata: {{name: {name}}}\nspec:\n  {covers}\n  states: {{}}\n"
        )
    };
    let named = document("a-named", "objectives: [availability]");
    let service = document("b-service", "services: [gateway]");
    let default = document("c-default", "default: true");
    let under = |documents: &[&str]| {
        let (policies, said) = read(&documents.join("---\n"), at(T0));
        assert!(said.is_empty(), "{}", said.render_short());
        policies.of(&super::slo()).map(|(_, policy)| policy.name.clone())
    };
    assert_eq!(under(&[&named, &service, &default]).as_deref(), Some("a-named"));
    assert_eq!(under(&[&service, &default]).as_deref(), Some("b-service"));
    assert_eq!(under(&[&default]).as_deref(), Some("c-default"));
    assert_eq!(under(&[&document("other", "services: [payments]")]), None);
    let (_, said) = read(
        &format!("{default}---\n{}", document("d", "default: true")),
        at(T0),
    );
    assert!(
        said.render_short().contains("a second policy is the default"),
        "{}",
        said.render_short()
    );
    let (_, said) = read(&document("e", "objectives: []"), at(T0));
    assert!(
        said.render_short().contains("the policy covers nothing"),
        "{}",
        said.render_short()
    );
}
