//! Who is on call, and what is true right now.

use jiff::Timestamp;
use mainstay_catalog::Catalog;
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::{Labels, Matcher, PersonId, Principal};
use mainstay_oncall::Override;
use mainstay_oncall::rota::{on_call_at, shift_at};
use mainstay_web::view::{Duty, Places, Situation};

use super::alert::held_by;
use super::{PlaneConsole, sight};

/// How far back the newest sample is looked for among targets; older ones are known from the counts.
const NEWEST_WITHIN_MS: i64 = 300_000;
/// The most samples that are read to find it.
const NEWEST_SAMPLES_MAX: usize = 1_000_000;

/// Who is on call now and next, one entry per rota.
pub(super) fn duties(catalog: &Catalog, overrides: &[Override], now: Timestamp) -> Vec<Duty> {
    let name = |person: PersonId| catalog.platform.name_of(&person).to_owned();
    let rotas = catalog.response.rotas.iter();
    rotas
        .map(|(id, rota)| {
            let shift = shift_at(id, rota, overrides, now);
            let until = shift.as_ref().map(|shift| shift.until);
            let next = |until| on_call_at(id, rota, overrides, until);
            Duty {
                rota: rota.title.clone(),
                now: shift.map(|shift| name(shift.person)),
                until,
                next: until.and_then(next).map(name),
            }
        })
        .collect()
}

/// The parts of the platform that the reader may see.
fn places(who: &Principal, catalog: &Catalog) -> Places {
    let platform = &catalog.platform;
    let tenants = platform.tenants.iter().filter(|(id, _)| who.sees(Some(id)));
    let all = sight::sees_platform(who);
    let hosts_one = |cell: &mainstay_kernel::CellId| {
        platform
            .tenants_of(cell)
            .any(|tenant| who.sees(Some(&tenant.id.value)))
    };
    let cells = platform.cells.keys().filter(|cell| all || hosts_one(cell));
    let services = platform.services.keys().filter(|_| all);
    Places {
        tenants: tenants.map(|(id, _)| id.to_string()).collect(),
        cells: cells.map(ToString::to_string).collect(),
        services: services.map(ToString::to_string).collect(),
    }
}

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    pub(super) async fn situation_now(&self, who: &Principal) -> Situation {
        let now = self.now();
        let data_at = self.newest_sample(now);
        self.plane
            .look(|states| {
                let firing = states
                    .alerts
                    .firing()
                    .filter(|active| sight::sees_alert(who, &active.alert.labels))
                    .filter(|active| held_by(states, &active.alert).is_none());
                Situation {
                    data_at,
                    has_inbox: self.inbox.is_some() && sight::sees_platform(who),
                    firing: firing.count() as u64,
                    on_call: if sight::sees_platform(who) {
                        duties(states.catalog, states.oncall.overrides(), now)
                    } else {
                        Vec::new()
                    },
                    places: places(who, states.catalog),
                }
            })
            .await
    }

    /// The instant of the newest sample of a target's state, or of one that counts towards an objective.
    pub(super) fn newest_sample(&self, now: Timestamp) -> Option<Timestamp> {
        let now_ms = now.as_millisecond();
        let up = [Matcher::equal("__name__", "up")];
        let targets =
            self.telemetry
                .store()
                .select(&up, now_ms - NEWEST_WITHIN_MS, now_ms, NEWEST_SAMPLES_MAX);
        let of_targets = targets
            .unwrap_or_default()
            .iter()
            .filter_map(|series| series.samples.last().map(|(at_ms, _)| *at_ms))
            .max();
        let slos = self.telemetry.slos();
        let whole = |objective: &mainstay_slo::Objective| {
            slos.status(&objective.id, &Labels::new(), now)?.last_sample_ms
        };
        let counted = slos.objectives().filter_map(whole).max();
        of_targets
            .max(counted)
            .and_then(|at_ms| Timestamp::from_millisecond(at_ms).ok())
    }
}
