//! On-call that answers the same always.

use mainstay_kernel::{Digest, Principal};
use mainstay_web::view::*;
use mainstay_web::{Answer, Oncall};

use super::Fake;
use super::data::{at, done};

impl Oncall for Fake {
    fn duty<'a>(&'a self, who: &'a Principal, _: DutyAsked) -> Answer<'a, Vec<RotaDuty>> {
        self.heard("duty", who);
        Box::pin(async { Ok(super::rota::duties()) })
    }

    fn turns<'a>(&'a self, who: &'a Principal, _: TurnsAsked) -> Answer<'a, Vec<OncallTurns>> {
        self.heard("turns", who);
        Box::pin(async { Ok(super::rota::turns()) })
    }

    fn shifts<'a>(&'a self, who: &'a Principal, _: ShiftsAsked) -> Answer<'a, Vec<RotaSchedule>> {
        self.heard("shifts", who);
        Box::pin(async { Ok(vec![super::rota::schedule()]) })
    }

    fn override_duty<'a>(&'a self, who: &'a Principal, _: NewOverride) -> Answer<'a, Done> {
        self.heard("override_duty", who);
        Box::pin(async { Ok(done()) })
    }

    fn overrides<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<DutyOverride>> {
        self.heard("overrides", who);
        Box::pin(async { Ok(Vec::new()) })
    }

    fn withdraw_override<'a>(&'a self, who: &'a Principal, _: String) -> Answer<'a, Done> {
        self.heard("withdraw_override", who);
        Box::pin(async { Ok(done()) })
    }

    fn swaps<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<DutySwap>> {
        self.heard("swaps", who);
        Box::pin(async { Ok(Vec::new()) })
    }

    fn ask_swap<'a>(&'a self, who: &'a Principal, _: NewSwap) -> Answer<'a, Done> {
        self.heard("ask_swap", who);
        Box::pin(async { Ok(done()) })
    }

    fn answer_swap<'a>(&'a self, who: &'a Principal, _: String, _: SwapAnswer) -> Answer<'a, Done> {
        self.heard("answer_swap", who);
        Box::pin(async { Ok(done()) })
    }

    fn feeds<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<DutyFeed>> {
        self.heard("feeds", who);
        Box::pin(async { Ok(Vec::new()) })
    }

    fn open_feed<'a>(&'a self, who: &'a Principal, _: NewFeed, _: Digest) -> Answer<'a, String> {
        self.heard("open_feed", who);
        Box::pin(async { Ok("f1".to_owned()) })
    }

    fn revoke_feed<'a>(&'a self, who: &'a Principal, _: String) -> Answer<'a, Done> {
        self.heard("revoke_feed", who);
        Box::pin(async { Ok(done()) })
    }

    fn feed<'a>(&'a self, _: Digest) -> Answer<'a, String> {
        Box::pin(async { Ok("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n".to_owned()) })
    }

    fn handovers<'a>(&'a self, who: &'a Principal, _: HandoverAsked) -> Answer<'a, Vec<Handover>> {
        self.heard("handovers", who);
        Box::pin(async { Ok(Vec::new()) })
    }

    fn note_handover<'a>(&'a self, who: &'a Principal, _: NewHandover) -> Answer<'a, Done> {
        self.heard("note_handover", who);
        Box::pin(async { Ok(done()) })
    }

    fn oncall_load<'a>(&'a self, who: &'a Principal, _: LoadAsked) -> Answer<'a, OncallLoad> {
        self.heard("oncall_load", who);
        let load = OncallLoad {
            from: at("2025-01-15T10:00:00Z"),
            until: at("2025-01-15T11:00:00Z"),
            equal_share: 0,
            people: Vec::new(),
        };
        Box::pin(async { Ok(load) })
    }
}
