//! What the gate would say now, without being asked: for pages and banners.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::{CellId, SloId};
use mainstay_slo::gate::{Answer, Request};
use mainstay_ui::time;
use mainstay_web::view::{Banner, GatePlace, GateVerdict, SloGate, Status};

use super::PlaneConsole;
use super::gate::{in_words, reason, verdict};

/// The most places of one answer.
const PLACES_MAX: usize = 2_000;
/// The most places beside one objective.
const PLACES_OF_ONE: usize = 100;
/// The most banners about deploys that are refused.
const BANNERS_MAX: usize = 2;

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    /// Every judged service in every cell, strictest first.
    pub(super) async fn places_now(&self) -> Vec<GatePlace> {
        let mut requests = self.plane.judged_places().await;
        requests.truncate(PLACES_MAX);
        self.answered(requests).await
    }

    async fn answered(&self, requests: Vec<Request>) -> Vec<GatePlace> {
        let answers = self.plane.would_answer(requests).await;
        let place = |(answer, since): (Answer, _)| GatePlace {
            verdict: verdict(answer.verdict),
            answer: answer.answer,
            reasons: answer.reasons.iter().map(reason).collect(),
            service: answer.request.service,
            cell: answer.request.cell,
            since,
        };
        let mut places: Vec<GatePlace> = answers.into_iter().map(place).collect();
        places.sort_by_key(|place| Reverse(strictness(place.verdict)));
        places
    }

    /// Where deploys are refused now: a sentence for each cell and budget.
    pub(super) async fn freezes(&self) -> Vec<Banner> {
        let held_up = self.plane.held_up_places().await;
        let places = self.answered(held_up).await;
        let mut frozen: BTreeMap<(&CellId, Option<&SloId>), Vec<&GatePlace>> = BTreeMap::new();
        for place in places.iter().filter(|place| place.verdict == GateVerdict::Refuse) {
            let slo = place.reasons.first().and_then(|reason| reason.slo.as_ref());
            frozen.entry((&place.cell, slo)).or_default().push(place);
        }
        let now = self.now();
        let further = frozen.len().saturating_sub(BANNERS_MAX);
        let frozen = frozen.into_iter().take(BANNERS_MAX);
        let mut banners: Vec<Banner> = frozen
            .map(|((cell, slo), places)| freeze(cell, slo, &places, now))
            .collect();
        if further > 0 {
            banners.push(Banner {
                status: Status::Breached,
                text: format!(
                    "Deploys are refused for {} more; the page Gate has them all.",
                    crate::check::counted(further, "reason")
                ),
                event: None,
            });
        }
        banners
    }

    /// What hangs on the budget of an objective; `None` where no policy covers it.
    pub(super) async fn gate_of(&self, slo: &SloId) -> Option<SloGate> {
        let now = self.now();
        let (policy, judges) = self
            .plane
            .look(|states| {
                let (_, policy) = states.policies.of(slo)?;
                let services = states.catalog.platform.services.keys();
                let judged = |service: &&_| {
                    let mut judging = states.policies.judging(service);
                    judging.any(|(covered, _)| covered.slo == *slo)
                };
                let judges: Vec<_> = services.filter(judged).cloned().collect();
                Some((in_words(policy, now), judges))
            })
            .await?;
        let mut requests = self.plane.judged_places().await;
        requests.retain(|request| judges.contains(&request.service));
        requests.truncate(PLACES_MAX);
        let mut places = self.answered(requests).await;
        places.truncate(PLACES_OF_ONE);
        Some(SloGate {
            policy: policy.name,
            title: policy.title,
            states: policy.states,
            places,
        })
    }
}

/// `Deploys of api-gateway and 7 other services in cell-5 are refused since 10:34:25 UTC, by api-availability.`
fn freeze(cell: &CellId, slo: Option<&SloId>, places: &[&GatePlace], now: Timestamp) -> Banner {
    // Of whose budget it is, if that is among them, names the trouble best.
    let whose = slo.map(SloId::as_str).unwrap_or_default();
    let names = || places.iter().map(|place| place.service.as_str());
    let first = names()
        .find(|name| whose.starts_with(name))
        .or_else(|| names().next());
    let others = match places.len().saturating_sub(1) {
        0 => String::new(),
        1 => " and another service".to_owned(),
        others => format!(" and {others} other services"),
    };
    let since = places.iter().filter_map(|place| place.since).min();
    let since = since.map_or_else(String::new, |since| format!(" since {}", time::utc(since, now)));
    let by = slo.map_or_else(String::new, |slo| format!(", by {slo}"));
    let decisive = places.first().and_then(|place| place.reasons.first());
    Banner {
        status: Status::Breached,
        text: format!(
            "Deploys of {}{others} in {cell} are refused{since}{by}.",
            first.unwrap_or_default()
        ),
        event: decisive.and_then(|reason| reason.event),
    }
}

fn strictness(verdict: GateVerdict) -> u8 {
    match verdict {
        GateVerdict::Allow => 0,
        GateVerdict::NeedsApproval => 1,
        GateVerdict::Refuse => 2,
    }
}
