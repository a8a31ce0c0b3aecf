//! What the web asks of on-call, and who answers.

use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::{Digest, Principal};
use mainstay_web::view::{
    Done, DutyAsked, DutyFeed, DutyOverride, DutySwap, Handover, HandoverAsked, LoadAsked, NewFeed,
    NewHandover, NewOverride, NewSwap, OncallLoad, OncallTurns, RotaDuty, RotaSchedule, ShiftsAsked,
    SwapAnswer, TurnsAsked,
};
use mainstay_web::{Answer, Oncall};

use super::PlaneConsole;

impl<J: Journal, C: Channels + 'static, H: Hands> Oncall for PlaneConsole<J, C, H> {
    fn duty<'a>(&'a self, _who: &'a Principal, asked: DutyAsked) -> Answer<'a, Vec<RotaDuty>> {
        Box::pin(self.duty_at(asked))
    }

    fn turns<'a>(&'a self, _who: &'a Principal, asked: TurnsAsked) -> Answer<'a, Vec<OncallTurns>> {
        Box::pin(async move { Ok(self.turns_at(asked).await) })
    }

    fn shifts<'a>(&'a self, _who: &'a Principal, asked: ShiftsAsked) -> Answer<'a, Vec<RotaSchedule>> {
        Box::pin(self.shifts_within(asked))
    }

    fn override_duty<'a>(&'a self, who: &'a Principal, entry: NewOverride) -> Answer<'a, Done> {
        Box::pin(self.give_duty(who, entry))
    }

    fn overrides<'a>(&'a self, _who: &'a Principal) -> Answer<'a, Vec<DutyOverride>> {
        Box::pin(async move { Ok(self.overrides_in_force().await) })
    }

    fn withdraw_override<'a>(&'a self, who: &'a Principal, id: String) -> Answer<'a, Done> {
        Box::pin(self.take_duty_back(who, id))
    }

    fn swaps<'a>(&'a self, _who: &'a Principal) -> Answer<'a, Vec<DutySwap>> {
        Box::pin(async move { Ok(self.swaps_open().await) })
    }

    fn ask_swap<'a>(&'a self, who: &'a Principal, swap: NewSwap) -> Answer<'a, Done> {
        Box::pin(self.question_of_swap(who, swap))
    }

    fn answer_swap<'a>(&'a self, who: &'a Principal, id: String, answer: SwapAnswer) -> Answer<'a, Done> {
        Box::pin(self.end_of_swap(who, id, answer))
    }

    fn feeds<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<DutyFeed>> {
        Box::pin(async move { Ok(self.feeds_in_force(who).await) })
    }

    fn open_feed<'a>(&'a self, who: &'a Principal, wanted: NewFeed, digest: Digest) -> Answer<'a, String> {
        Box::pin(self.make_feed(who, wanted, digest))
    }

    fn revoke_feed<'a>(&'a self, who: &'a Principal, id: String) -> Answer<'a, Done> {
        Box::pin(self.close_feed(who, id))
    }

    fn feed<'a>(&'a self, digest: Digest) -> Answer<'a, String> {
        Box::pin(self.calendar_behind(digest))
    }

    fn handovers<'a>(&'a self, _who: &'a Principal, asked: HandoverAsked) -> Answer<'a, Vec<Handover>> {
        Box::pin(async move { self.handovers_now(asked.rota.as_deref()).await })
    }

    fn note_handover<'a>(&'a self, who: &'a Principal, note: NewHandover) -> Answer<'a, Done> {
        Box::pin(self.write_handover(who, note))
    }

    fn oncall_load<'a>(&'a self, who: &'a Principal, asked: LoadAsked) -> Answer<'a, OncallLoad> {
        Box::pin(self.load_within(who, asked))
    }
}
