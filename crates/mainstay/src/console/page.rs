//! Pages: whom they went to, what came back, when the next one is told.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_catalog::Catalog;
use mainstay_catalog::response::EscalationPolicy;
use mainstay_delivery::DeliveryEvent;
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::runner::decode;
use mainstay_journal::{DomainEvent, Journal, Record};
use mainstay_kernel::PageId;
use mainstay_kernel::effect::{Channel, Recipient};
use mainstay_oncall::Page as Climbing;
use mainstay_plane::States;
use mainstay_web::view::{Page, Receipt, Status};

use super::PlaneConsole;

/// How many attempts of one message are shown.
const ATTEMPTS_MAX: usize = 20;

/// What states know of a page.
pub(super) struct Known {
    page: Climbing,
    escalates_at: Option<Timestamp>,
    /// The messages sent for it: effect key, by which channel, to whom, when it arrived, whether it never will.
    messages: Vec<(String, Channel, Recipient, Option<Timestamp>, bool)>,
}

/// The pages of an incident, newest first.
pub(super) fn known(
    states: &States<'_>,
    incident: &mainstay_kernel::IncidentId,
    now: Timestamp,
) -> Vec<Known> {
    let mut pages: Vec<Known> = states
        .oncall
        .pages_of(incident)
        .map(|page| {
            let prefix = format!("page/{}/", page.request.page);
            let receipts = states.delivery.receipts_under(&prefix);
            Known {
                page: page.clone(),
                escalates_at: escalates_at(states.catalog, page, now),
                messages: receipts
                    .map(|(key, receipt)| {
                        (
                            key.to_owned(),
                            receipt.channel,
                            receipt.to.clone(),
                            receipt.delivered_at,
                            receipt.refused,
                        )
                    })
                    .collect(),
            }
        })
        .collect();
    pages.sort_by_key(|known| std::cmp::Reverse(began(&known.page)));
    pages
}

fn began(page: &Climbing) -> Timestamp {
    page.told
        .first()
        .map_or(page.round_began_at, |told| told.0.min(page.round_began_at))
}

/// When the next level, or the next round, is told of a page that nobody took on.
fn escalates_at(catalog: &Catalog, page: &Climbing, now: Timestamp) -> Option<Timestamp> {
    if !page.is_climbing() {
        return None;
    }
    let policy: &EscalationPolicy = catalog.response.policies.get(&page.policy)?;
    let after = |delay| page.round_began_at.saturating_add(delay).ok();
    let levels = policy
        .levels_for(page.request.severity)
        .filter(|(_, level)| !level.inform);
    let levels = levels.filter_map(|(_, level)| after(level.delay()));
    let repeat = policy.repeat.as_ref().filter(|repeat| page.round < repeat.times);
    let repeat = repeat.and_then(|repeat| after(repeat.every.value.0));
    levels.chain(repeat).filter(|at| *at > now).min()
}

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    /// The pages with what every receiver answered, attempt by attempt, from the journal.
    pub(super) async fn pages(&self, known: Vec<Known>) -> Vec<Page> {
        let mut pages = Vec::new();
        for one in known {
            let mut receipts = Vec::new();
            for (key, channel, to, ..) in &one.messages {
                receipts.extend(self.attempts(key, *channel, to).await);
            }
            receipts.sort_by_key(|receipt| receipt.at);
            pages.push(view(one, receipts));
        }
        pages
    }

    /// Every attempt to deliver one message.
    async fn attempts(&self, key: &str, channel: Channel, to: &Recipient) -> Vec<Receipt> {
        let stream = DeliveryEvent::Delayed {
            key: key.to_owned(),
            channel,
            to: to.clone(),
            attempt: 0,
            reason: String::new(),
        }
        .stream();
        let records = match self.plane.journal().read_stream(&stream, 0, ATTEMPTS_MAX).await {
            Ok(records) => records,
            Err(error) => {
                tracing::error!(%error, key, "the receipts of a page cannot be read");
                return Vec::new();
            }
        };
        records.iter().filter_map(receipt).collect()
    }
}

/// What a receiver answered to an attempt; nothing of what is no attempt.
fn receipt(record: &Record) -> Option<Receipt> {
    use DeliveryEvent::{Delayed, Delivered, FellOver, Refused, Undeliverable, Withdrawn, Withheld};
    let mut possible_duplicate = false;
    let (channel, to, attempt, answer) = match decode(record).ok()?? {
        Delivered { fact, .. } => {
            possible_duplicate = fact.possible_duplicate;
            (fact.channel, fact.to, fact.attempt, fact.receipt)
        }
        Delayed {
            channel,
            to,
            attempt,
            reason,
            ..
        } => (channel, to, attempt, format!("not yet: {reason}")),
        Refused {
            channel,
            to,
            attempt,
            reason,
            ..
        } => (channel, to, attempt, format!("refused: {reason}")),
        Withdrawn {
            channel,
            to,
            attempt,
            reason,
            ..
        } => (channel, to, attempt, format!("not tried again: {reason}")),
        Withheld { channel, to, .. } => (channel, to, 0, "in shadow: it would have been sent".to_owned()),
        FellOver { .. } | Undeliverable { .. } => return None,
    };
    Some(Receipt {
        channel: channel.name().to_owned(),
        to: to.name().to_owned(),
        at: record.envelope.at,
        answer,
        attempt,
        possible_duplicate,
    })
}

fn view(known: Known, receipts: Vec<Receipt>) -> Page {
    let Known {
        page,
        escalates_at,
        messages,
    } = known;
    let asked: Vec<_> = page.told.iter().filter(|(.., inform)| !inform).collect();
    let level = asked.iter().map(|(_, level, ..)| *level).max();
    let mut last: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (_, level, person, _) in &asked {
        let names = last.entry(*level).or_default();
        let name = person.to_string();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let to = level
        .and_then(|level| last.remove(&level))
        .map_or_else(|| "nobody".to_owned(), |names| names.join(", "));
    let delivered = messages
        .iter()
        .any(|(_, _, _, delivered_at, _)| delivered_at.is_some());
    let hopeless = !messages.is_empty() && messages.iter().all(|(.., refused)| *refused);
    let (state, status) = match &page.acknowledged {
        Some(_) => ("acknowledged", Status::Ok),
        None if page.closed_at.is_some() => ("closed", Status::Neutral),
        None if delivered => ("delivered", Status::Warning),
        None if hopeless || asked.is_empty() => ("failed", Status::Breached),
        None => ("sent", Status::Warning),
    };
    Page {
        id: PageId::clone(&page.request.page),
        at: began(&page),
        to,
        level: u32::try_from(level.unwrap_or(0))
            .unwrap_or(u32::MAX)
            .saturating_add(1),
        state: state.to_owned(),
        status,
        receipts,
        acknowledged_by: page.acknowledged.as_ref().map(|(_, actor)| actor.subject.clone()),
        acknowledged_at: page.acknowledged.as_ref().map(|(at, _)| *at),
        escalates_at,
    }
}
