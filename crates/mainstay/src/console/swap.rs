//! Duties that change hands: overrides that are taken back, and shifts that people swap.

use jiff::Timestamp;
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::{PersonId, Principal, Role};
use mainstay_oncall::{OncallCommand, Stretch, Swap, SwapEnd};
use mainstay_plane::Command;
use mainstay_web::Failure;
use mainstay_web::view::{Done, DutyOverride, DutyStretch, DutySwap, NewSwap, SwapAnswer};

use super::PlaneConsole;

const SHOWS: &str =
    "`mainstay oncall overrides` shows overrides, `mainstay oncall swap list` what waits for an answer.";

fn shown(stretch: &Stretch) -> DutyStretch {
    DutyStretch {
        rota: stretch.rota.clone(),
        from: stretch.from,
        until: stretch.until,
    }
}

fn taken(stretch: DutyStretch) -> Stretch {
    Stretch {
        rota: stretch.rota,
        from: stretch.from,
        until: stretch.until,
    }
}

/// When a question lapses if nothing is said: when the first stretch begins, or ends if one runs already.
fn usual_end(give: &DutyStretch, take: Option<&DutyStretch>, now: Timestamp) -> Timestamp {
    let both = || [Some(give), take].into_iter().flatten();
    let begins = both().map(|stretch| stretch.from).min();
    let ends = both().map(|stretch| stretch.until).min();
    begins.filter(|begins| *begins > now).or(ends).unwrap_or(now)
}

fn refused(message: String, help: &str) -> Failure {
    Failure::Refused {
        message,
        help: help.to_owned(),
    }
}

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    pub(super) async fn overrides_in_force(&self) -> Vec<DutyOverride> {
        let now = self.now();
        self.plane
            .look(|states| {
                let entries = states.oncall.overrides().iter();
                let shown = entries
                    .filter(|entry| now < entry.until)
                    .map(|entry| DutyOverride {
                        id: entry.handle(),
                        rota: entry.rota.clone(),
                        person: entry.person.to_string(),
                        from: entry.from,
                        until: entry.until,
                        swap: entry.swap.clone(),
                    });
                shown.collect()
            })
            .await
    }

    pub(super) async fn swaps_open(&self) -> Vec<DutySwap> {
        self.plane
            .look(|states| {
                let swaps = states.oncall.swaps().map(|swap| DutySwap {
                    id: swap.id.clone(),
                    by: swap.by.to_string(),
                    to: swap.to.to_string(),
                    give: shown(&swap.give),
                    take: swap.take.as_ref().map(shown),
                    lapses_at: swap.lapses_at,
                });
                swaps.collect()
            })
            .await
    }

    /// For whom an account decides: nobody in particular if it may for all.
    pub(super) async fn decides_for(&self, who: &Principal) -> Result<Option<PersonId>, Failure> {
        if who.has(Role::Admin) {
            return Ok(None);
        }
        let person = self.person(who).await;
        person.map(Some).ok_or_else(|| {
            let help = "Ask with the token of the person whose it is, or as an administrator.";
            refused(
                "this account stands for no person of the catalog".to_owned(),
                help,
            )
        })
    }

    pub(super) async fn take_duty_back(&self, who: &Principal, id: String) -> Result<Done, Failure> {
        let by = self.decides_for(who).await?;
        let message = format!("{id} is withdrawn: what of it was to come is the rota's again.");
        let command = Command::Oncall(OncallCommand::Withdraw { id, by });
        let events = self.order(who, command, SHOWS).await?;
        Ok(Done { message, events })
    }

    /// Whose shift it is: that of who asks, or of who is named by somebody who may do so.
    async fn giver(&self, who: &Principal, named: Option<PersonId>) -> Result<PersonId, Failure> {
        let own = self.person(who).await;
        match (named, own) {
            (Some(named), _) if who.has(Role::Admin) => Ok(named),
            (Some(named), Some(own)) if named != own => Err(refused(
                format!("the shift is {named}'s, not {own}'s"),
                "Only administrators ask for others.",
            )),
            (_, Some(own)) => Ok(own),
            (_, None) => Err(refused(
                "whose shift it is is not known: this account stands for no person of the catalog".to_owned(),
                "Ask with a person's token or, as an administrator, name the person.",
            )),
        }
    }

    pub(super) async fn question_of_swap(&self, who: &Principal, asked: NewSwap) -> Result<Done, Failure> {
        let by = self.giver(who, asked.by).await?;
        let usual = usual_end(&asked.give, asked.take.as_ref(), self.now());
        let swap = Swap {
            id: String::new(),
            by,
            to: asked.to,
            give: taken(asked.give),
            take: asked.take.map(taken),
            lapses_at: asked.lapses_at.unwrap_or(usual),
        };
        let command = Command::Oncall(OncallCommand::AskSwap(swap.clone()));
        let help = "See `mainstay oncall schedule` for who is on call when.";
        let events = self.order(who, command, help).await?;
        let Swap { by, to, give, .. } = &swap;
        let same = |other: &&Swap| (&other.by, &other.to, &other.give) == (by, to, give);
        let id = self
            .plane
            .look(|states| {
                let ids = states.oncall.swaps().filter(same).map(|swap| swap.id.clone());
                ids.max_by_key(|id| (id.len(), id.clone()))
            })
            .await
            .unwrap_or_default();
        Ok(Done {
            message: format!("{by} asks {to}: swap {id}. Nothing changes before {to} accepts."),
            events,
        })
    }

    pub(super) async fn end_of_swap(
        &self,
        who: &Principal,
        id: String,
        answer: SwapAnswer,
    ) -> Result<Done, Failure> {
        let by = self.decides_for(who).await?;
        let end = match answer {
            SwapAnswer::Accept => SwapEnd::Accepted,
            SwapAnswer::Decline => SwapEnd::Declined,
            SwapAnswer::Cancel => SwapEnd::Cancelled,
        };
        let message = format!("Swap {id} is {}.", end.name());
        let command = Command::Oncall(OncallCommand::AnswerSwap { swap: id, by, end });
        let events = self.order(who, command, SHOWS).await?;
        Ok(Done { message, events })
    }
}
