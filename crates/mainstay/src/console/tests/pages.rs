//! What the pages of objectives, gate and reports rest on.

use mainstay_kernel::fact::BudgetState;
use mainstay_web::view::{
    Chart, GateKind, GatePlace, GateRequest, GateVerdict, SloDetail, Wanted, WhatIfAsked, WhatIfTarget,
};

use super::reports::after_the_month;
use super::*;

const AVAILABILITY: &str = "api-availability";

fn in_place(cell: Option<&str>, tenant: Option<&str>) -> Look {
    let mut look = everywhere();
    look.scope.cell = cell.map(|cell| cell.parse().expect("a name"));
    look.scope.tenant = tenant.map(|tenant| tenant.parse().expect("a name"));
    look
}

async fn detail(world: &World, who: &Principal, id: &str, look: &Look) -> Result<SloDetail, Failure> {
    world.console.slo(who, &id.parse().expect("a name"), look).await
}

#[tokio::test]
async fn what_the_page_says_of_the_gate_is_what_the_gate_says() {
    let (world, _) = World::outage().await;
    let who = reader(&[]);
    let places = world.console.gate_places(&who).await.expect("places");
    assert!(
        places.is_sorted_by_key(|place| std::cmp::Reverse(match place.verdict {
            GateVerdict::Refuse => 2,
            GateVerdict::NeedsApproval => 1,
            GateVerdict::Allow => 0,
        }))
    );
    let asked_before = world.console.gate_answers(&who).await.expect("answers").len();
    assert_eq!(asked_before, 0, "a page asks for nothing that is written down");
    let of_payments = |place: &&GatePlace| place.service.as_str() == "payment-service";
    assert!(places.iter().filter(of_payments).count() > 1);
    for place in places.iter().filter(of_payments) {
        let request = GateRequest {
            service: place.service.clone(),
            cell: place.cell.clone(),
            version: None,
            kind: GateKind::Deploy,
            tenant: None,
        };
        let answer = world
            .console
            .ask_gate(&who, request)
            .await
            .expect("an answer")
            .answer;
        assert_eq!((answer.verdict, &answer.answer), (place.verdict, &place.answer));
        assert_eq!(answer.reasons, place.reasons);
    }
    let refused = places.first().expect("there are places");
    assert_eq!(
        (refused.verdict, refused.cell.as_str()),
        (GateVerdict::Refuse, "cell-5")
    );
    assert!(refused.since.is_some() && refused.reasons[0].event.is_some());
    assert!(
        places.iter().any(GatePlace::is_blind),
        "nothing runs in most cells here"
    );

    let overview = world
        .console
        .overview(&who, &everywhere())
        .await
        .expect("an overview");
    let frozen =
        |text: &str| text.starts_with("Deploys of ") && text.contains(" in cell-5 are refused since 10:0");
    let banner = overview.banners.iter().find(|banner| frozen(&banner.text));
    let banner = banner.unwrap_or_else(|| panic!("{:?}", overview.banners));
    assert_eq!((banner.status, banner.event.is_some()), (Status::Breached, true));
    let bank = world
        .console
        .overview(&reader(&["STD-001"]), &everywhere())
        .await
        .expect("an overview");
    assert!(!bank.banners.iter().any(|banner| banner.text.contains("refused")));
}

#[tokio::test]
async fn what_spent_a_budget_adds_up_and_names_incident_and_release() {
    let (world, id) = World::outage().await;
    let who = reader(&[]);
    let found = detail(&world, &who, AVAILABILITY, &everywhere())
        .await
        .expect("an objective");
    let parts = found.parts.expect("events divide");
    let in_incidents: i64 = parts.incidents.iter().map(|part| part.bad).sum();
    assert_eq!(parts.excluded + in_incidents + parts.background, parts.bad);
    assert_eq!(
        u64::try_from(parts.bad).expect("positive"),
        found.slo.bad,
        "the raw count, whole"
    );
    let part = parts.incidents.first().expect("the incident has a part");
    assert_eq!(part.incident, id);
    assert!(part.bad > 0 && part.title.is_some());
    assert!(part.suspects[0].contains("v1.6.0"), "{:?}", part.suspects);

    // The bank reads its own part and no name of what is about others too.
    let bank = reader(&["STD-001"]);
    let own = detail(&world, &bank, AVAILABILITY, &in_place(None, Some("STD-001")))
        .await
        .expect("its own");
    let own_parts = own.parts.expect("events divide");
    assert_eq!(u64::try_from(own_parts.bad).expect("positive"), own.slo.bad);
    assert!(own_parts.bad < parts.bad);
    assert!(
        own_parts
            .incidents
            .iter()
            .all(|part| part.title.is_none() && part.suspects.is_empty())
    );
    assert!(own.gate.is_none() && own.bad_query.is_none());
    for foreign in [in_place(None, None), in_place(None, Some("SOU-001"))] {
        let refused = detail(&world, &bank, AVAILABILITY, &foreign).await;
        assert!(matches!(refused, Err(Failure::NotFound { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn an_objective_stands_beside_its_contract_its_gate_and_its_course() {
    let (world, _) = World::outage().await;
    let who = reader(&[]);
    let found = detail(&world, &who, AVAILABILITY, &in_place(Some("cell-5"), None))
        .await
        .expect("an objective");
    let agreement = found.agreement.expect("there is a contract");
    assert_eq!(agreement.id.as_str(), "api-availability-sla");
    assert_eq!(agreement.status, Status::Breached);
    let gate = found.gate.expect("a policy covers it");
    assert_eq!(gate.places[0].verdict, GateVerdict::Refuse);
    assert!(gate.states.contains_key("exhausted"), "{:?}", gate.states);
    let chart: &Chart = &found.charts[0];
    let last = chart.series[0]
        .points
        .last()
        .and_then(|(_, left)| *left)
        .expect("something is known");
    assert!(last < 0.0, "an overspent budget is drawn below nothing: {last}");
    assert!(
        chart
            .limits
            .iter()
            .any(|limit| limit.name == "SLA broken" && limit.value <= 0.0)
    );
    assert!(
        chart.marks.iter().any(|mark| mark.text.contains("v1.6.0")),
        "{:?}",
        chart.marks
    );
    assert_eq!(
        chart.end_ms,
        world.clock.now().as_millisecond(),
        "of a spent budget nothing lies ahead"
    );
}

#[tokio::test]
async fn what_if_says_what_the_policy_calls_for() {
    let (world, _) = World::outage().await;
    let asked = |targets: &[&str]| WhatIfAsked {
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        from: "2026-11-24T00:00:00Z".parse().expect("an instant"),
        to: None,
    };
    let id: SloId = AVAILABILITY.parse().expect("a name");
    let (who, look) = (reader(&[]), in_place(Some("cell-5"), None));
    let ask = async |targets: &[&str]| world.console.what_if(&who, &id, &look, &asked(targets)).await;
    let found = ask(&["10%", "99.95%"]).await.expect("an answer");
    let budgets: Vec<BudgetState> = found.targets.iter().map(|target| target.budget).collect();
    assert_eq!(budgets, [BudgetState::Healthy, BudgetState::Exhausted]);
    let calls_for = |target: &WhatIfTarget| target.calls_for.clone().unwrap_or_default();
    assert!(!calls_for(&found.targets[0]).contains("frozen"));
    assert!(calls_for(&found.targets[1]).contains("changes are frozen"));
    let too_many = ask(&["99%"; 11]).await;
    assert!(matches!(too_many, Err(Failure::Invalid { .. })), "{too_many:?}");
}

#[tokio::test]
async fn the_index_of_reports_has_their_editions_and_each_reader_those_of_its_own() {
    let world = after_the_month().await;
    let who = reader(&[]);
    let month = super::reports::ask(
        Some("STD-001"),
        Wanted::Draft,
        mainstay_web::view::ReportForm::Json,
    );
    let issued = world
        .console
        .issue_report(&who, &month)
        .await
        .expect("an edition");
    let index = world
        .console
        .reports(&who, Some(&month.month))
        .await
        .expect("an index");
    assert!(!index.is_running && index.months.contains(&month.month));
    assert!(index.reports[0].tenant.is_none(), "the platform is first");
    let of_bank = index
        .reports
        .iter()
        .find(|entry| entry.tenant == month.tenant)
        .expect("the bank has one");
    assert_eq!(of_bank.editions.len(), 1);
    assert_eq!(of_bank.editions[0].digest, issued.digest);
    let bank = world
        .console
        .reports(&reader(&["STD-001"]), Some(&month.month))
        .await
        .expect("an index");
    assert_eq!(
        bank.reports,
        std::slice::from_ref(of_bank),
        "its own and no other"
    );
    let now = world.console.reports(&who, None).await.expect("an index");
    assert!(now.is_running && now.month > month.month);
    let wrong = world.console.reports(&who, Some("October")).await;
    assert!(matches!(wrong, Err(Failure::Invalid { .. })), "{wrong:?}");
}
