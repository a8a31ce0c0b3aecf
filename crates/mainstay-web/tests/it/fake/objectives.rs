//! Three objectives and their budgets.

use mainstay_kernel::SloId;
use mainstay_kernel::fact::BudgetState;
use mainstay_ui::number::{count, signed};
use mainstay_web::view::*;

use super::Mood;
use super::data::{at, share};

fn slo(id: &str, title: &str, objective: &str, bad: u64, total: u64, mood: Mood) -> Slo {
    let objective = share(objective);
    let known = mood != Mood::Unknown;
    let (bad, total) = if known { (bad, total) } else { (0, 0) };
    let value = Share::good(bad, total);
    let allowed = objective.0.complement().expect("at most 1").floor_of(total);
    let left = i64::try_from(allowed).expect("small") - i64::try_from(bad).expect("small");
    let kept = value.is_some_and(|value| value >= objective);
    Slo {
        id: SloId::new(id).expect("a name"),
        title: title.to_owned(),
        group: None,
        labels: std::collections::BTreeMap::new(),
        service: Some("payment-service".parse().expect("a name")),
        objective,
        sla: Some(share("99.9%")),
        value,
        unit: "events".to_owned(),
        bad,
        total,
        adjusted_bad: bad,
        adjusted_total: total,
        excluded: None,
        budget_allowed: allowed,
        budget_left: left,
        amounts: Amounts {
            bad: count(bad),
            total: count(total),
            adjusted_bad: count(bad),
            adjusted_total: count(total),
            left: signed(left),
            allowed: count(allowed),
            noun: "events".to_owned(),
        },
        burn_1h: known.then_some(if kept { 0.42 } else { 1_044.0 }),
        burn_6h: known.then_some(if kept { 0.31 } else { 181.3 }),
        exhaustion: (known && kept).then(|| Exhaustion {
            earliest: at("2025-01-27T04:00:00Z"),
            likely: Some(at("2025-01-29T04:00:00Z")),
            latest: None,
        }),
        budget: match (known, kept) {
            (false, _) => BudgetState::Unknown,
            (true, true) => BudgetState::Healthy,
            (true, false) => BudgetState::Exhausted,
        },
        window: "January 2025, UTC".to_owned(),
        status: match (known, kept) {
            (false, _) => Status::Unknown,
            (true, true) => Status::Ok,
            (true, false) => Status::Breached,
        },
        doubt: None,
        apart: None,
        unknown_reason: (!known).then(|| "no sample has arrived".to_owned()),
        query: Some(format!("slo:sli:ratio{{slo=\"{id}\"}}")),
    }
}

pub(super) fn slos(mood: Mood) -> Vec<Slo> {
    let bad = if mood == Mood::Breached { 20_341 } else { 612 };
    vec![
        slo(
            "payments-availability",
            "API availability",
            "99.95%",
            bad,
            24_310_882,
            mood,
        ),
        slo(
            "payments-latency-p95",
            "API latency < 200 ms",
            "95%",
            210_500,
            24_310_882,
            mood,
        ),
        slo(
            "payment-success",
            "Payment success rate",
            "99.5%",
            3_011,
            1_906_344,
            mood,
        ),
    ]
}

/// The contract beside an objective.
pub(super) fn agreement(slo: &Slo) -> SloAgreement {
    SloAgreement {
        id: SloId::new("payments-sla").expect("a name"),
        title: "API availability SLA".to_owned(),
        group: None,
        target: share("99.9%"),
        window: slo.window.clone(),
        status: slo.status,
        bad: slo.amounts.bad.clone(),
        total: slo.amounts.total.clone(),
        allowed: "24,310".to_owned(),
        left: "3,969".to_owned(),
        buffer: "12,155".to_owned(),
        noun: "events".to_owned(),
    }
}

/// Where the bad events of the outage belong.
pub(super) fn parts() -> SloParts {
    SloParts {
        bad: 20_341,
        excluded: 100,
        incidents: vec![SloPart {
            incident: super::INCIDENT.parse().expect("a name"),
            title: Some("Payments failing in cell-5".to_owned()),
            severity: mainstay_kernel::Severity::P0,
            from: at("2025-01-15T10:15:00Z"),
            to: at(super::NOW),
            bad: 19_142,
            suspects: vec!["v1.6.0 of payment-service".to_owned()],
        }],
        background: 1_099,
    }
}
