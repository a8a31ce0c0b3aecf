//! What the web asks of on-call.

use mainstay_kernel::{Digest, Principal};

use super::Answer;
use crate::view::{
    Done, DutyAsked, DutyFeed, DutyOverride, DutySwap, Handover, HandoverAsked, LoadAsked, NewFeed,
    NewHandover, NewOverride, NewSwap, OncallLoad, OncallTurns, RotaDuty, RotaSchedule, ShiftsAsked,
    SwapAnswer, TurnsAsked,
};

/// Who is on call and why, what that asks of people, and what they arrange among themselves. As
/// [`Console`](super::Console) says: only what who asks may see.
pub trait Oncall: Send + Sync + 'static {
    /// Who is on call at an instant, one entry per rota.
    fn duty<'a>(&'a self, who: &'a Principal, asked: DutyAsked) -> Answer<'a, Vec<RotaDuty>>;

    /// Whose turn it is at each level of a policy that pages one at a time.
    fn turns<'a>(&'a self, who: &'a Principal, asked: TurnsAsked) -> Answer<'a, Vec<OncallTurns>>;

    /// Shifts and gaps, one entry per rota; at most 100,000 shifts.
    fn shifts<'a>(&'a self, who: &'a Principal, asked: ShiftsAsked) -> Answer<'a, Vec<RotaSchedule>>;

    /// Gives somebody a duty for a while; what was decided for that time before is overruled.
    fn override_duty<'a>(&'a self, who: &'a Principal, entry: NewOverride) -> Answer<'a, Done>;

    /// The overrides that are not over, in the order in which they were made.
    fn overrides<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<DutyOverride>>;

    /// Takes an override back, or both of a swap; what of it is over stays.
    fn withdraw_override<'a>(&'a self, who: &'a Principal, id: String) -> Answer<'a, Done>;

    /// The swaps that wait for an answer.
    fn swaps<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<DutySwap>>;

    /// Asks somebody to take a stretch.
    fn ask_swap<'a>(&'a self, who: &'a Principal, swap: NewSwap) -> Answer<'a, Done>;

    /// Answers a swap.
    fn answer_swap<'a>(&'a self, who: &'a Principal, id: String, answer: SwapAnswer) -> Answer<'a, Done>;

    /// The calendars that others fetch.
    fn feeds<'a>(&'a self, who: &'a Principal) -> Answer<'a, Vec<DutyFeed>>;

    /// Makes one, whose secret has this digest; gives its id.
    fn open_feed<'a>(&'a self, who: &'a Principal, wanted: NewFeed, digest: Digest) -> Answer<'a, String>;

    /// Has its link show nothing any more.
    fn revoke_feed<'a>(&'a self, who: &'a Principal, id: String) -> Answer<'a, Done>;

    /// The calendar behind a secret with this digest: iCalendar. Whoever has the secret may ask.
    fn feed<'a>(&'a self, digest: Digest) -> Answer<'a, String>;

    /// What is handed over in rotas.
    fn handovers<'a>(&'a self, who: &'a Principal, asked: HandoverAsked) -> Answer<'a, Vec<Handover>>;

    /// Writes something down for whoever comes next.
    fn note_handover<'a>(&'a self, who: &'a Principal, note: NewHandover) -> Answer<'a, Done>;

    /// What being on call asked of people.
    fn oncall_load<'a>(&'a self, who: &'a Principal, asked: LoadAsked) -> Answer<'a, OncallLoad>;
}
