//! What being on call asked of people, from the rotas and the journal.

use jiff::{SignedDuration, Timestamp};
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_journal::runner::decode;
use mainstay_kernel::{Principal, Role};
use mainstay_oncall::load::{self, Load, Pages, Turns};
use mainstay_oncall::rota::schedule;
use mainstay_oncall::{OncallEvent, Override};
use mainstay_plane::events_within;
use mainstay_web::Failure;
use mainstay_web::view::{LoadAsked, OncallLoad, PersonLoad, RotaLoad};

use super::rota::{bounded, chosen};
use super::{PlaneConsole, unavailable};

/// How long a time is if nothing is said.
const USUAL: SignedDuration = SignedDuration::from_hours(30 * 24);

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    /// Who was paged in a time, and who answered.
    pub(super) async fn pages_within(&self, from: Timestamp, until: Timestamp) -> Result<Pages, Failure> {
        let mut pages = Pages::default();
        let read = events_within(&**self.plane.journal(), from, until, |record| {
            let envelope = &record.envelope;
            if matches!(envelope.kind.as_str(), "oncall.notified" | "oncall.acknowledged")
                && let Some(event) = decode::<OncallEvent>(record)?
            {
                pages.take(event, envelope.at, &envelope.actor);
            }
            Ok(())
        });
        read.await.map_err(|error| unavailable(&error))?;
        Ok(pages)
    }

    /// The load of the rotas that are asked for.
    pub(super) async fn load_of(
        &self,
        rota: Option<&str>,
        pages: &Pages,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Load, Failure> {
        self.plane
            .look(|states| {
                let overrides: &[Override] = states.oncall.overrides();
                let turns = chosen(states.catalog, rota)?
                    .into_iter()
                    .map(|(name, rota)| Turns {
                        name,
                        rota,
                        shifts: schedule(name, rota, overrides, from, until),
                    });
                let turns: Vec<Turns<'_>> = turns.collect();
                Ok(load::load(&states.catalog.platform, &turns, pages, from, until))
            })
            .await
    }

    pub(super) async fn load_within(&self, who: &Principal, asked: LoadAsked) -> Result<OncallLoad, Failure> {
        let now = self.now();
        let until = asked.until.unwrap_or(now);
        let usual = || until.saturating_sub(USUAL).unwrap_or(Timestamp::MIN);
        let from = asked.from.unwrap_or_else(usual);
        bounded(from, until)?;
        let pages = self.pages_within(from, until).await?;
        let load = self.load_of(asked.rota.as_deref(), &pages, from, until).await?;
        let own = self.person(who).await;
        let names: Vec<String> = self
            .plane
            .look(|states| {
                let name = |one: &load::PersonLoad| states.catalog.platform.name_of(&one.person).to_owned();
                load.people.iter().map(name).collect()
            })
            .await;
        let people = load.people.into_iter().zip(names).map(|(one, name)| {
            // What somebody is paid is theirs to know, and an administrator's.
            let tells = who.has(Role::Admin) || own.as_ref() == Some(&one.person);
            let rotas = one.rotas.into_iter().map(|rota| RotaLoad {
                rota: rota.rota,
                shifts: rota.shifts as u64,
                on_call_ms: rota.on_call_ms,
                off_hours_ms: rota.off_hours_ms,
                amount: rota.amount.filter(|_| tells),
                currency: rota.currency.filter(|_| tells),
            });
            PersonLoad {
                name,
                person: one.person.to_string(),
                on_call_ms: one.on_call_ms,
                off_hours_ms: one.off_hours_ms,
                share: one.share,
                off_hours_share: one.off_hours_share,
                pages: one.pages as u64,
                pages_off_hours: one.pages_off_hours as u64,
                pages_at_night: one.pages_at_night as u64,
                interrupted_nights: one.interrupted_nights as u64,
                acknowledged: one.acknowledged as u64,
                acknowledged_median_ms: one.acknowledged_median_ms,
                acknowledged_worst_ms: one.acknowledged_worst_ms,
                rotas: rotas.collect(),
            }
        });
        Ok(OncallLoad {
            from,
            until,
            equal_share: load.equal_share,
            people: people.collect(),
        })
    }
}
