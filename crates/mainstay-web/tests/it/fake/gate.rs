//! The gate, which lets everything pass.

use mainstay_web::view::{
    GateAnswer, GateApproved, GateException, GateJudge, GatePlace, GatePolicies, GatePolicy, GateReason,
    GateRequest, GateService, GateStatement, GateVerdict, SloGate,
};

use super::data::{at, event};
use super::{Mood, NOW};

/// Two services in two cells; in the outage one is refused.
pub(super) fn places(mood: Mood) -> Vec<GatePlace> {
    let place = |cell: &str, verdict: GateVerdict, rule: &str, text: &str| GatePlace {
        service: "payment-service".parse().expect("a name"),
        cell: cell.parse().expect("a name"),
        verdict,
        answer: text.to_owned(),
        reasons: vec![GateReason {
            rule: rule.to_owned(),
            verdict,
            policy: Some("production".to_owned()),
            slo: Some("payments-availability".parse().expect("a name")),
            event: (verdict == GateVerdict::Refuse).then(|| event("2025-01-15T10:17:00Z", 9)),
            text: text.to_owned(),
        }],
        since: (verdict == GateVerdict::Refuse).then(|| at("2025-01-15T10:17:00Z")),
    };
    let healthy = "payments-availability (cell-6) is healthy: 94.9 % left";
    let first = match mood {
        Mood::Breached => place(
            "cell-5",
            GateVerdict::Refuse,
            "frozen",
            "payments-availability (cell-5) is exhausted: changes are frozen",
        ),
        Mood::Unknown => place(
            "cell-5",
            GateVerdict::Allow,
            "never-seen",
            "nothing was ever seen of it",
        ),
        Mood::Ok => place("cell-5", GateVerdict::Allow, "within-budget", healthy),
    };
    let second = if mood == Mood::Unknown {
        place(
            "cell-6",
            GateVerdict::Allow,
            "blind",
            "nothing is seen of it since 10:00",
        )
    } else {
        place("cell-6", GateVerdict::Allow, "within-budget", healthy)
    };
    vec![first, second]
}

pub(super) fn slo_gate(mood: Mood) -> SloGate {
    let policy = policies().policies.remove(0);
    SloGate {
        policy: policy.name,
        title: policy.title,
        states: policy.states,
        places: places(mood),
    }
}

/// One policy, with an exception and an approval.
pub(super) fn policies() -> GatePolicies {
    let service = || "payment-service".parse().expect("a name");
    GatePolicies {
        services: vec![GateService {
            service: service(),
            judged_by: vec![GateJudge {
                slo: "payments-availability".parse().expect("a name"),
                policy: "production".to_owned(),
            }],
        }],
        policies: vec![GatePolicy {
            name: "production".to_owned(),
            title: "Production".to_owned(),
            states: [("exhausted".to_owned(), "changes are frozen".to_owned())].into(),
            recovery: "after an exhausted period, changes need the approval of: an admin".to_owned(),
            exceptions: vec![GateException {
                reason: "certificates end".to_owned(),
                owner: "ada".to_owned(),
                expires: at("2025-01-16T12:00:00Z"),
                service: Some(service()),
                cell: None,
            }],
            fail_mode: GateVerdict::NeedsApproval,
            last_answer_valid: "15m".to_owned(),
        }],
        approvals: vec![GateApproved {
            service: service(),
            cell: "cell-6".parse().expect("a name"),
            version: Some("v1.6.1".to_owned()),
            reason: "it mends the pool".to_owned(),
            by: "person:ada".to_owned(),
            role: mainstay_kernel::Role::Admin,
            until: at("2025-01-15T12:00:00Z"),
            event: event(NOW, 6),
        }],
    }
}

pub(super) fn gate_answer(request: GateRequest) -> GateAnswer {
    let answer = GateStatement {
        verdict: GateVerdict::Allow,
        answer: "allowed: no error budget policy judges changes of payment-service".to_owned(),
        request,
        reasons: Vec::new(),
        budgets: Vec::new(),
        at: at(NOW),
        by: "token:ci".to_owned(),
        event: event(NOW, 8),
        valid_until: at(NOW),
        fail_mode: GateVerdict::NeedsApproval,
        for_version_only: false,
    };
    GateAnswer {
        answer,
        statement: "{}".to_owned(),
        signature: String::new(),
        public_key: String::new(),
    }
}
