//! The gate, which lets everything pass.

use mainstay_web::view::{GateAnswer, GateRequest, GateStatement, GateVerdict};

use super::NOW;
use super::data::{at, event};

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
