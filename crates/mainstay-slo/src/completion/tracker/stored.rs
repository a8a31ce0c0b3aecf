//! The tracker as it is written down.

use std::collections::BTreeSet;

use super::{End, Key, Payment, Sender, Standing, Told, Tracker};
use crate::codec::{Reader, Writer};
use crate::completion::event::{decode_labels, encode_labels};
use crate::error::SloError;

impl Tracker {
    pub(crate) fn encode(&self, out: &mut Writer) {
        let told = self.told;
        for count in [
            told.begun,
            told.duplicate,
            told.unknown,
            told.too_late,
            told.over_limit,
        ] {
            out.u64(count);
        }
        out.len(self.reasons.len());
        self.reasons.iter().for_each(|reason| out.text(reason));
        out.len(self.groups.len());
        self.groups.iter().for_each(|group| encode_labels(out, group));
        // In the order of their numbers, which payments name.
        let mut names: Vec<(&u32, &String)> =
            self.by_sender.iter().map(|(name, index)| (index, name)).collect();
        names.sort_unstable();
        out.len(names.len());
        for (index, name) in names {
            let sender = &self.senders[*index as usize];
            out.text(name);
            out.option(sender.told_ms);
            out.option(sender.forgotten_ms);
            out.option(sender.heard_ms);
            encode_labels(out, &sender.covers);
        }
        out.len(self.payments.len());
        for (key, payment) in &self.payments {
            key.chunks(8)
                .for_each(|half| out.u64(half.iter().fold(0, |all, byte| all << 8 | u64::from(*byte))));
            out.u64(payment.sender.into());
            out.i64(payment.deadline_ms);
            out.option(payment.begun.map(|(at_ms, _)| at_ms));
            out.u64(payment.begun.map_or(0, |(_, group)| group.into()));
            out.option(payment.end.map(|(at_ms, _)| at_ms));
            out.u64(match payment.end.map(|(_, end)| end) {
                None | Some(End::Good) => 0,
                Some(End::Bad) => 1,
                Some(End::Rejected(reason)) => 2 + u64::from(reason),
            });
        }
    }

    pub(crate) fn decode(input: &mut Reader<'_>) -> Result<Self, SloError> {
        let broken = |what: &str| SloError::Snapshot(what.to_owned());
        let mut tracker = Self {
            told: Told {
                begun: input.u64()?,
                duplicate: input.u64()?,
                unknown: input.u64()?,
                too_late: input.u64()?,
                over_limit: input.u64()?,
            },
            ..Self::default()
        };
        for _ in 0..input.len()? {
            tracker.reasons.push(input.text()?.to_owned());
        }
        for index in 0..u32::try_from(input.len()?).unwrap_or(u32::MAX) {
            let group = decode_labels(input)?;
            tracker.by_group.insert(group.clone(), index);
            tracker.groups.push(group);
        }
        for _ in 0..input.len()? {
            let index = tracker
                .sender(input.text()?)
                .ok_or_else(|| broken("there are too many senders"))?;
            let told_ms = input.option()?;
            let forgotten_ms = input.option()?;
            let heard_ms = input.option()?;
            tracker.senders[index as usize] = Sender {
                told_ms,
                forgotten_ms,
                heard_ms,
                covers: decode_labels(input)?,
                known: BTreeSet::new(),
            };
        }
        for _ in 0..input.len()? {
            let mut key = Key::default();
            for half in key.chunks_mut(8) {
                half.copy_from_slice(&input.u64()?.to_be_bytes());
            }
            let sender = input.u32()?;
            let deadline_ms = input.i64()?;
            let begun = input.option()?;
            let group = input.u32()?;
            let end = input.option()?;
            let how = match input.u64()? {
                0 => End::Good,
                1 => End::Bad,
                code => u8::try_from(code - 2)
                    .ok()
                    .filter(|reason| usize::from(*reason) < tracker.reasons.len())
                    .map(End::Rejected)
                    .ok_or_else(|| broken("a payment has no known end"))?,
            };
            let mut payment = Payment {
                sender,
                deadline_ms,
                begun: begun.map(|at_ms| (at_ms, group)),
                end: end.map(|at_ms| (at_ms, how)),
                standing: Standing::Pending,
            };
            let owner = tracker.senders.get_mut(sender as usize);
            let owner = owner.ok_or_else(|| broken("a payment is of no known sender"))?;
            owner.known.insert((deadline_ms, key));
            if begun.is_some() {
                // What it stands for follows from what is known of it: it was counted so.
                payment.standing = payment.stands(owner.told_ms.unwrap_or(i64::MIN));
                if group as usize >= tracker.groups.len() {
                    return Err(broken("a payment is of no known group"));
                }
            }
            tracker.payments.insert(key, payment);
        }
        Ok(tracker)
    }
}
