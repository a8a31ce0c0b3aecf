//! Carrying effects out: claimed from the outbox, done, and their results written down.

use jiff::SignedDuration;
use mainstay_delivery::Attempted;
use mainstay_delivery::channel::{Address, Channels, Outgoing, Sent};
use mainstay_delivery::machine::settle;
use mainstay_hands::Hands;
use mainstay_journal::{Claimed, Finished, Journal, Room, Settle};
use mainstay_kernel::Actor;
use mainstay_kernel::effect::{Act, Channel, Deliver, EffectBody, Outcome};
use mainstay_runbook::RunbookCommand;

use crate::core::{Command, Core};
use crate::error::PlaneError;
use crate::judge::Judge;
use crate::plane::Plane;
use crate::watchdog;

/// How long an attempt may take before somebody else may try.
const LEASE: SignedDuration = SignedDuration::from_secs(90);
/// How long a message waits that has to let another of its group arrive first.
const TURN_WAIT: SignedDuration = SignedDuration::from_millis(500);
/// After this many attempts an act counts as failed, and the human is told.
const ACT_ATTEMPTS_MAX: u32 = 5;

impl<J: Journal, C: Channels + 'static, H: Hands, G: Judge> Plane<J, C, H, G> {
    /// Takes up to `limit` due effects. The caller carries each out by [`Plane::perform`].
    ///
    /// # Errors
    /// If the journal fails.
    pub async fn claim(&self, limit: usize) -> Result<Vec<Claimed>, PlaneError> {
        let epoch = self.core.lock().await.epoch;
        Ok(self
            .parts
            .journal
            .claim(epoch, self.parts.clock.now(), LEASE, limit)
            .await?)
    }

    /// Takes the due effects that there is room for. The caller carries each out by [`Plane::perform`].
    ///
    /// # Errors
    /// If the journal fails.
    pub async fn claim_within(&self, rooms: &[Room]) -> Result<Vec<Claimed>, PlaneError> {
        let epoch = self.core.lock().await.epoch;
        Ok(self
            .parts
            .journal
            .claim_within(epoch, self.parts.clock.now(), LEASE, rooms)
            .await?)
    }

    /// Carries a claimed effect out and writes its result down. Other commands go on meanwhile.
    ///
    /// # Errors
    /// If the journal fails; the effect will be claimed again then, as a possible duplicate.
    pub async fn perform(&self, claimed: Claimed) -> Result<(), PlaneError> {
        match &claimed.effect.body {
            EffectBody::Deliver(deliver) => self.deliver(&claimed, deliver).await,
            EffectBody::Act(act) => self.act(&claimed, act).await,
        }
    }

    async fn deliver(&self, claimed: &Claimed, deliver: &Deliver) -> Result<(), PlaneError> {
        let key = &claimed.effect.key;
        let Some(_turn) = self.turns.take(deliver) else {
            // Not one of the few places from which messages leave is taken by one that waits.
            let due = self.parts.clock.now() + TURN_WAIT;
            return self
                .postpone(Finished::Again {
                    key: key.clone(),
                    due,
                })
                .await;
        };
        let directory = self.directory();
        let address = directory.address(deliver);
        let unwanted = match claimed.attempt {
            // What is told for the first time is told: it may be why somebody stops looking for others.
            0 | 1 => None,
            _ => self.unwanted(deliver, claimed.possible_duplicate).await,
        };
        let sent = match (&address, unwanted) {
            _ if self.is_shadow(deliver).await => Sent {
                outcome: Outcome::Withheld,
                arrival_unknown: false,
            },
            (_, Some(reason)) => Sent {
                outcome: Outcome::Withdrawn { reason },
                arrival_unknown: false,
            },
            (Ok(address), None) => {
                let outgoing = Outgoing {
                    key,
                    attempt: claimed.attempt,
                    possible_duplicate: claimed.possible_duplicate,
                    at: self.parts.clock.now(),
                    address,
                    deliver,
                    base_url: &self.parts.base_url,
                    bridge: directory.bridge_for(deliver, address),
                };
                self.parts.channels.send(outgoing).await
            }
            (Err(reason), None) => Sent::failed(reason.clone()),
        };
        let now = self.parts.clock.now();
        let sent = watchdog::settled(sent, deliver, now);
        let finished = settle(key, claimed.attempt, &sent.outcome, sent.arrival_unknown, now);
        let attempted = Attempted {
            key: key.clone(),
            deliver: deliver.clone(),
            attempt: claimed.attempt,
            caused_at: claimed.cause.at(),
            possible_duplicate: claimed.possible_duplicate,
            address: address.ok().map(shown),
            outcome: sent.outcome,
        };
        self.record(claimed, Command::Delivery(attempted), finished, "delivery")
            .await
    }

    /// Whether a message is only recorded: its route is in shadow, or all that began its incident.
    async fn is_shadow(&self, deliver: &Deliver) -> bool {
        let message = &deliver.message;
        if let Some(notification) = &message.notification {
            return notification.shadow;
        }
        let Some(incident) = &message.incident else {
            return false;
        };
        let core = self.core.lock().await;
        let incident = core.incidents.state().get(incident);
        incident.is_some_and(|incident| incident.shadow)
    }

    /// Whether an act is of an incident all whose alerts are in shadow: another system has people at work on it.
    async fn is_act_in_shadow(&self, key: &str) -> bool {
        let core = self.core.lock().await;
        let run = core.runbooks.state().run(key);
        let incident = run.and_then(|run| core.incidents.state().get(&run.incident));
        incident.is_some_and(|incident| incident.shadow)
    }

    /// Why a message need not be tried again: somebody has taken the page on, or it is over. Nobody is called again after
    /// that.
    async fn unwanted(&self, deliver: &Deliver, may_have_arrived: bool) -> Option<String> {
        let core = self.core.lock().await;
        if ends_first(&core, deliver) {
            return Some("it is over, and that is told".to_owned());
        }
        // What may have arrived is asked for, or told again, until there is a receipt; of a call nothing can be asked.
        if may_have_arrived && deliver.channel != Channel::Voice {
            return None;
        }
        let page = core.oncall.state().page(deliver.message.page.as_ref()?)?;
        match (&page.acknowledged, page.closed_at) {
            (Some((_, by)), _) => Some(format!("acknowledged by {}", by.subject)),
            (None, Some(_)) => Some("it is over".to_owned()),
            (None, None) => None,
        }
    }

    async fn act(&self, claimed: &Claimed, act: &Act) -> Result<(), PlaneError> {
        let key = &claimed.effect.key;
        let outcome = match self.is_act_in_shadow(key).await {
            true => Outcome::Withheld,
            false => self.parts.hands.act(key, act).await,
        };
        let (ok, text) = match outcome {
            Outcome::Done { receipt } => (true, receipt),
            Outcome::Retry { after_ms, reason } if claimed.attempt < ACT_ATTEMPTS_MAX => {
                let outcome = Outcome::Retry { after_ms, reason };
                let finished = settle(key, claimed.attempt, &outcome, false, self.parts.clock.now());
                return self.postpone(finished).await;
            }
            Outcome::Retry { reason, .. } | Outcome::Failed { reason } | Outcome::Withdrawn { reason } => {
                (false, reason)
            }
            Outcome::Withheld => {
                let text =
                    "nothing was done: the incident is in shadow; by hand, or after its route is cut over";
                (false, text.to_owned())
            }
        };
        let finished = Finished::Over { key: key.clone() };
        let command = RunbookCommand::Finished {
            key: key.clone(),
            ok,
            text,
        };
        self.record(claimed, Command::Runbook(command), finished, "hands")
            .await
    }

    /// An effect is left for later, and nothing happened that anybody would want to read of.
    async fn postpone(&self, finished: Finished) -> Result<(), PlaneError> {
        let settle = Settle {
            finished: Some(finished),
            ..Settle::default()
        };
        let core = self.core.lock().await;
        Ok(core.settle(&*self.parts.journal, settle).await?)
    }

    /// Writes a result down; where the capability has no use for it, at least that the effect is over.
    async fn record(
        &self,
        claimed: &Claimed,
        command: Command,
        finished: Finished,
        part: &str,
    ) -> Result<(), PlaneError> {
        let settle = Settle {
            finished: Some(finished),
            ..Settle::default()
        };
        let actor = Actor::machine(part);
        self.execute(actor, Some(claimed.cause), command, settle)
            .await
            .map(|_| ())
    }
}

/// Whether a message says that a group of alerts fires which does not any more, to somebody who is told of its end. Told after
/// that end, it would stay open there for good.
fn ends_first(core: &Core, deliver: &Deliver) -> bool {
    let notification = deliver.message.notification.as_ref();
    let Some(told) = notification.filter(|told| told.is_firing()) else {
        return false;
    };
    let routing = &core.specs.catalog.response.routing;
    let Some(receiver) = routing.receivers.get(&told.receiver) else {
        return false;
    };
    // Most of the time one of the same alerts fires, which is looked up; groups are looked through.
    let alerts = core.alerts.state();
    let mut firing = told.alerts.iter().filter(|alert| alert.ended_at.is_none());
    if firing.any(|alert| alerts.alert(&alert.labels.fingerprint()).is_some()) {
        return false;
    }
    let to = (deliver.channel, deliver.to.clone());
    let mut by_end = receiver.by_end().into_iter();
    let hears_of_ends = by_end.any(|part| part.send_resolved && part.recipients().contains(&to));
    let fires = alerts.groups().any(|(name, group)| {
        let placement = &group.placement;
        let is_it = placement.key.text == told.group.text || name == told.group.text;
        is_it && placement.receiver == told.receiver && !group.firing.is_empty()
    });
    hears_of_ends && !fires
}

/// The address as a receipt keeps it: never a secret URL.
fn shown(address: Address) -> String {
    match address {
        Address::Email(mails) => mails.join(", "),
        Address::ChatWebhook { channel, .. } => channel.unwrap_or_else(|| "chat".to_owned()),
        Address::Slack { channel, .. } => channel,
        Address::Phone(number) => number,
        other => other.kind().to_owned(),
    }
}
