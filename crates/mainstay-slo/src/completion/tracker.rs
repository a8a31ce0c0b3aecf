//! Which payments are open, what became of those that are not, and what each event changes.
//!
//! The order of arrival changes nothing: an event that comes late, twice, or before the one that it belongs to leads to the
//! same counts, as long as its payment is remembered, which is until [`Limits::remember_ms`] after its deadline by its
//! sender's time. Whatever comes later than that is told apart and counted as doubt. Cost of an event: O(log payments).

mod stored;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use mainstay_kernel::{Digest, Labels};

use super::definition::Completion;
use super::event::{CompletionBatch, CompletionEvent};

/// The most memory that payments of one indicator may take, in bytes.
const PAYMENTS_MAX_BYTES: usize = 64 << 20;
/// What one payment takes at most: two entries of trees that are half full.
const PAYMENT_BYTES: usize = 2 * (std::mem::size_of::<(Key, Payment)>() + std::mem::size_of::<(i64, Key)>());
/// The most senders of one stream.
const SENDERS_MAX: usize = 4_096;

/// The most reasons of rejections that are told apart, and the word for all beyond.
const REASONS_MAX: usize = 64;
const OTHER_REASONS: &str = "others";

/// A payment's name: the first half of its id's SHA-256, so that memory does not depend on how long ids are.
type Key = [u8; 16];

fn key_of(payment: &str) -> Key {
    let mut key = Key::default();
    key.copy_from_slice(&Digest::of(payment.as_bytes()).0[..16]);
    key
}

/// What the tracker is limited by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How long a payment is remembered after its deadline, in milliseconds.
    pub(crate) remember_ms: i64,
    /// How often it is said that a sender was heard of, in milliseconds.
    pub(crate) heard_every_ms: i64,
    /// The most payments.
    pub(crate) payments_max: usize,
    /// The most groups.
    pub(crate) groups_max: usize,
}

impl Limits {
    pub(crate) fn new(remember_ms: i64, heard_every_ms: i64, groups_max: usize) -> Self {
        Self {
            remember_ms,
            heard_every_ms,
            payments_max: PAYMENTS_MAX_BYTES / PAYMENT_BYTES,
            groups_max,
        }
    }
}

/// How a payment ended, by the words of its indicator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Good,
    Bad,
    /// For the reason of this number.
    Rejected(u8),
}

/// What is counted of a payment now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Pending,
    Ended(End),
    /// Nothing, or too late an end: bad.
    Late,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Payment {
    sender: u32,
    deadline_ms: i64,
    /// When it began and its group; `None`: only its end was told yet.
    begun: Option<(i64, u32)>,
    /// When and how it ended.
    end: Option<(i64, End)>,
    standing: Standing,
}

impl Payment {
    /// What it is when its sender has told everything up to `told_ms`.
    fn stands(&self, told_ms: i64) -> Standing {
        match self.end {
            Some((at_ms, end)) if at_ms <= self.deadline_ms => Standing::Ended(end),
            Some(_) => Standing::Late,
            None if self.deadline_ms <= told_ms => Standing::Late,
            None => Standing::Pending,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Sender {
    /// Up to when it has told everything.
    told_ms: Option<i64>,
    /// For which groups it answers.
    covers: Labels,
    /// Its payments by deadline, those without a beginning by their end.
    known: BTreeSet<(i64, Key)>,
    /// Payments of deadlines up to here are forgotten.
    forgotten_ms: Option<i64>,
    /// When it was last said that it was heard of.
    heard_ms: Option<i64>,
}

/// What an event changes: a number of payments that began at `at_ms` in a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    /// `None`: one of too many.
    pub(crate) group: Option<u32>,
    pub(crate) at_ms: i64,
    pub(crate) bad: i64,
    pub(crate) total: i64,
    /// How many were rejected, and the number of the reason.
    pub(crate) rejected: i64,
    pub(crate) reason: u8,
    /// Of the bad ones, those that were late.
    pub(crate) late: i64,
    /// Payments of which nobody can say how they end.
    pub(crate) untold: i64,
    /// The payment was told of for the first time.
    pub(crate) begins: bool,
}

/// What became of events besides counts, since the state was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Told {
    /// Payments that began.
    pub begun: u64,
    /// Events that were told before.
    pub duplicate: u64,
    /// Ends of payments of which no beginning was ever told.
    pub unknown: u64,
    /// Events that came when their payment was forgotten.
    pub too_late: u64,
    /// Payments that did not fit.
    pub over_limit: u64,
}

/// The payments of one indicator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tracker {
    payments: BTreeMap<Key, Payment>,
    senders: Vec<Sender>,
    by_sender: BTreeMap<String, u32>,
    groups: Vec<Labels>,
    by_group: BTreeMap<Labels, u32>,
    /// The reasons of rejections that were met, by their numbers; the last one of all stands for all others.
    reasons: Vec<String>,
    pub(crate) told: Told,
}

impl Tracker {
    /// Takes a batch in and says what it changes. Gives up to when its sender has told everything, and for which groups it
    /// answers, once in [`Limits::heard_every_ms`].
    pub(crate) fn on_batch(
        &mut self,
        batch: &CompletionBatch,
        definition: &Completion,
        limits: Limits,
        effect: &mut impl FnMut(Effect),
    ) -> Option<(i64, Labels)> {
        let told_ms = batch.events.iter().map(CompletionEvent::at_ms).max()?;
        let Some(sender) = self.sender(&batch.sender) else {
            self.told.over_limit += batch.events.len() as u64;
            return None;
        };
        for event in &batch.events {
            match event {
                CompletionEvent::Initiated {
                    payment,
                    at_ms,
                    deadline_ms,
                    kind,
                    labels,
                } => {
                    let deadline_ms = definition.deadline_of(*at_ms, *deadline_ms, kind.as_deref());
                    self.on_initiated(
                        sender,
                        key_of(payment),
                        *at_ms,
                        deadline_ms,
                        labels,
                        limits,
                        effect,
                    );
                }
                CompletionEvent::Finished {
                    payment,
                    at_ms,
                    state,
                    reason,
                } => {
                    let rejection = reason
                        .as_ref()
                        .filter(|reason| definition.rejected.contains(*reason));
                    let end = match rejection {
                        _ if definition.good.contains(state) => End::Good,
                        Some(reason) => End::Rejected(self.reason(reason)),
                        None => End::Bad,
                    };
                    self.on_finished(sender, key_of(payment), *at_ms, end, limits, effect);
                }
                CompletionEvent::Heartbeat { labels, .. } => {
                    self.senders[sender as usize].covers.clone_from(labels);
                }
            }
        }
        self.advance(sender, told_ms, limits, effect);
        let sender = &mut self.senders[sender as usize];
        let told_ms = sender.told_ms.unwrap_or(told_ms);
        let is_due = sender
            .heard_ms
            .is_none_or(|heard_ms| told_ms.saturating_sub(heard_ms) >= limits.heard_every_ms);
        is_due.then(|| {
            sender.heard_ms = Some(told_ms);
            (told_ms, sender.covers.clone())
        })
    }

    /// The labels of a group by its number.
    pub(crate) fn group_labels(&self, group: u32) -> Option<&Labels> {
        self.groups.get(group as usize)
    }

    /// The reasons of rejections, by their numbers.
    pub(crate) fn reasons(&self) -> &[String] {
        &self.reasons
    }

    fn reason(&mut self, reason: &str) -> u8 {
        let known = self.reasons.iter().position(|known| known == reason);
        let index = known.unwrap_or_else(|| {
            if self.reasons.len() < REASONS_MAX {
                let is_last = self.reasons.len() + 1 == REASONS_MAX;
                self.reasons
                    .push(if is_last { OTHER_REASONS } else { reason }.to_owned());
            }
            self.reasons.len() - 1
        });
        u8::try_from(index).unwrap_or(u8::MAX)
    }

    fn sender(&mut self, name: &str) -> Option<u32> {
        if let Some(sender) = self.by_sender.get(name) {
            return Some(*sender);
        }
        let index = u32::try_from(self.senders.len()).ok()?;
        if self.senders.len() >= SENDERS_MAX {
            return None;
        }
        self.senders.push(Sender::default());
        self.by_sender.insert(name.to_owned(), index);
        Some(index)
    }

    fn group(&mut self, labels: &Labels, limits: Limits) -> Option<u32> {
        if let Some(group) = self.by_group.get(labels) {
            return Some(*group);
        }
        if self.groups.len() >= limits.groups_max {
            return None;
        }
        let index = u32::try_from(self.groups.len()).ok()?;
        self.groups.push(labels.clone());
        self.by_group.insert(labels.clone(), index);
        Some(index)
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one event")]
    fn on_initiated(
        &mut self,
        sender: u32,
        key: Key,
        at_ms: i64,
        deadline_ms: i64,
        labels: &Labels,
        limits: Limits,
        effect: &mut impl FnMut(Effect),
    ) {
        let known = self.payments.get(&key).copied();
        if known.is_some_and(|payment| payment.begun.is_some()) {
            self.told.duplicate += 1;
            return;
        }
        let forgotten_ms = self.senders[sender as usize].forgotten_ms;
        if known.is_none() && forgotten_ms.is_some_and(|forgotten_ms| deadline_ms <= forgotten_ms) {
            self.told.too_late += 1;
            return;
        }
        let found = self.group(labels, limits);
        let Some(group) = found.filter(|_| known.is_some() || self.make_room(sender, limits)) else {
            self.told.over_limit += 1;
            effect(Effect {
                group: found,
                at_ms,
                untold: 1,
                ..Effect::default()
            });
            return;
        };
        if let Some(early) = known {
            self.senders[early.sender as usize]
                .known
                .remove(&(early.deadline_ms, key));
        }
        self.told.begun += 1;
        let mut payment = Payment {
            sender,
            deadline_ms,
            begun: Some((at_ms, group)),
            end: known.and_then(|early| early.end),
            standing: Standing::Pending,
        };
        effect(Effect {
            group: Some(group),
            at_ms,
            begins: true,
            ..Effect::default()
        });
        self.senders[sender as usize].known.insert((deadline_ms, key));
        self.stand(&mut payment, effect);
        self.payments.insert(key, payment);
    }

    fn on_finished(
        &mut self,
        sender: u32,
        key: Key,
        at_ms: i64,
        end: End,
        limits: Limits,
        effect: &mut impl FnMut(Effect),
    ) {
        if let Some(mut payment) = self.payments.get(&key).copied() {
            if payment.end.is_some() {
                self.told.duplicate += 1;
                return;
            }
            payment.end = Some((at_ms, end));
            self.stand(&mut payment, effect);
            self.payments.insert(key, payment);
            return;
        }
        let forgotten_ms = self.senders[sender as usize].forgotten_ms;
        if forgotten_ms.is_some_and(|forgotten_ms| at_ms <= forgotten_ms) {
            self.told.too_late += 1;
        } else if !self.make_room(sender, limits) {
            self.told.over_limit += 1;
        } else {
            let early = Payment {
                sender,
                deadline_ms: at_ms,
                begun: None,
                end: Some((at_ms, end)),
                standing: Standing::Pending,
            };
            self.senders[sender as usize].known.insert((at_ms, key));
            self.payments.insert(key, early);
        }
    }

    /// Counts what a payment is now instead of what it was.
    fn stand(&mut self, payment: &mut Payment, effect: &mut impl FnMut(Effect)) {
        let Some((at_ms, group)) = payment.begun else {
            return;
        };
        let told_ms = self.senders[payment.sender as usize].told_ms.unwrap_or(i64::MIN);
        let (was, is) = (payment.standing, payment.stands(told_ms));
        if was == is {
            return;
        }
        payment.standing = is;
        let share = |standing| {
            let is = |so: bool| i64::from(so);
            let rejected = matches!(standing, Standing::Ended(End::Rejected(_)));
            let late = standing == Standing::Late;
            [
                is(late || standing == Standing::Ended(End::Bad)),
                is(standing != Standing::Pending && !rejected),
                is(rejected),
                is(late),
            ]
        };
        let (before, now) = (share(was), share(is));
        let [bad, total, rejected, late] = std::array::from_fn(|index| now[index] - before[index]);
        let reason = [was, is].into_iter().find_map(|standing| match standing {
            Standing::Ended(End::Rejected(reason)) => Some(reason),
            _ => None,
        });
        effect(Effect {
            group: Some(group),
            at_ms,
            bad,
            total,
            rejected,
            late,
            reason: reason.unwrap_or(0),
            ..Effect::default()
        });
    }

    /// A sender has told everything up to `told_ms`: deadlines until then have passed, and what is long past is forgotten.
    fn advance(&mut self, sender: u32, told_ms: i64, limits: Limits, effect: &mut impl FnMut(Effect)) {
        let state = &mut self.senders[sender as usize];
        let before_ms = state.told_ms.unwrap_or(i64::MIN);
        if told_ms <= before_ms {
            return;
        }
        state.told_ms = Some(told_ms);
        let passed = (before_ms, Key::default())..=(told_ms, [u8::MAX; 16]);
        let passed: Vec<Key> = state.known.range(passed).map(|(_, key)| *key).collect();
        for key in passed {
            if let Some(mut payment) = self.payments.get(&key).copied() {
                self.stand(&mut payment, effect);
                self.payments.insert(key, payment);
            }
        }
        let edge_ms = told_ms.saturating_sub(limits.remember_ms);
        while self.senders[sender as usize]
            .known
            .first()
            .is_some_and(|(deadline_ms, _)| *deadline_ms <= edge_ms)
        {
            self.forget_oldest(sender);
        }
        let forgotten_ms = &mut self.senders[sender as usize].forgotten_ms;
        *forgotten_ms = Some(forgotten_ms.map_or(edge_ms, |known_ms| known_ms.max(edge_ms)));
    }

    /// Forgets the oldest payment of a sender, which is decided.
    fn forget_oldest(&mut self, sender: u32) {
        let state = &mut self.senders[sender as usize];
        if let Some((deadline_ms, key)) = state.known.pop_first() {
            state.forgotten_ms = Some(
                state
                    .forgotten_ms
                    .map_or(deadline_ms, |known| known.max(deadline_ms)),
            );
            if let Some(payment) = self.payments.remove(&key) {
                self.told.unknown += u64::from(payment.begun.is_none());
            }
        }
    }

    /// Makes room for one more payment of a sender, by forgetting its oldest one where that is decided. `false`: there is
    /// none.
    fn make_room(&mut self, sender: u32, limits: Limits) -> bool {
        if self.payments.len() < limits.payments_max {
            return true;
        }
        let oldest = self.senders[sender as usize].known.first();
        let is_decided = oldest.is_some_and(|(_, key)| {
            let payment = self.payments.get(key);
            payment.is_some_and(|payment| payment.standing != Standing::Pending || payment.begun.is_none())
        });
        if is_decided {
            self.forget_oldest(sender);
        }
        is_decided
    }
}
