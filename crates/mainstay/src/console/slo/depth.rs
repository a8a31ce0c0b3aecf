//! One objective in depth.

use mainstay_catalog::Format;
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::{Principal, Ratio, SloId};
use mainstay_slo::burn::{BurnReading, HeldBack, burn_rate, window_text};
use mainstay_slo::report::{Episode, divided};
use mainstay_slo::{Budget, Counts, Objective, Promise, SloEngine};
use mainstay_web::Failure;
use mainstay_web::view::{Burn, Look, Share, SloAgreement, SloDetail, SloPart, SloParts, Status};

use super::super::expression::{Filter, Reading};
use super::super::{PlaneConsole, not_found, overview, sight};
use super::chart::Course;
use super::words::{definition, number};
use super::{Reader, Standing, group_text, promise_status, window_words};

/// How many changes are marked in the course of a budget, the newest.
const MARKS_MAX: usize = 12;

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    pub(in crate::console) async fn slo_in_depth(
        &self,
        who: &Principal,
        id: &SloId,
        look: &Look,
    ) -> Result<SloDetail, Failure> {
        let missing = || not_found(format!("objective {id}"));
        let now = self.now();
        let reach = {
            let slos = self.telemetry.slos();
            let objective = slos.objectives().find(|objective| objective.id == *id);
            let objective = objective.ok_or_else(missing)?;
            if !sight::sees_group(who, &objective.group_of(&look.scope)) {
                return Err(missing());
            }
            let began_ms = objective.window.bounds(now).start_ms;
            // A release of any service can spend the budget of what is in front of it.
            Look {
                scope: look.scope.clone(),
                range_ms: now.as_millisecond().abs_diff(began_ms),
            }
        };
        let source = self.plane.look(|states| source(states.catalog, id)).await;
        let episodes = self.plane.episodes().await;
        let linked = sight::sees_platform(who);
        let gate = if linked { self.gate_of(id).await } else { None };
        let changes = self.change_list(who, &reach).await;
        let marks = changes.iter().take(MARKS_MAX).map(overview::mark).collect();
        let slos = self.telemetry.slos();
        let objective = slos
            .objectives()
            .find(|objective| objective.id == *id)
            .ok_or_else(missing)?;
        let sli = slos
            .indicators()
            .find(|sli| sli.name == objective.sli)
            .ok_or_else(missing)?;
        let group = objective.group_of(&look.scope);
        let standing = slos.status(id, &group, now).ok_or_else(missing)?;
        let contract = slos
            .objectives()
            .filter(|_| objective.promise == Promise::Objective)
            .find(|other| other.promise == Promise::Agreement && other.sli == objective.sli);
        let reader = Reader {
            slos: &slos,
            objective,
            sli,
            sla: contract.map(|contract| contract.target),
            now,
            linked,
        };
        let filter = Filter::of_group(&group).seen_by(who);
        let reading = Reading {
            function: "increase",
            window: "1h",
            by: "",
            every_job: false,
        };
        let view = reader.view(&standing);
        let course = Course {
            slos: &slos,
            objective,
            standing: &standing,
            exhaustion: view.exhaustion.as_ref(),
            agreement: contract.map(|contract| contract.target),
            marks,
            now,
        };
        Ok(SloDetail {
            definition: definition(objective, sli),
            bad_query: reading.bad(sli, &filter).filter(|_| linked),
            total_query: reading.total(sli, &filter).filter(|_| linked),
            burns: standing
                .burn
                .iter()
                .map(|reading| burn(reading, objective.target))
                .collect(),
            charts: vec![course.chart()],
            source,
            agreement: contract.and_then(|contract| {
                let group = contract.group_of(&look.scope);
                let standing = slos.status(&contract.id, &group, now)?;
                sight::sees_group(who, &group).then(|| agreement(contract, &standing, objective.target))
            }),
            parts: parts(&slos, &standing, &episodes, who),
            gate,
            slo: view,
        })
    }
}

/// How far a contract is from being broken; `target` is what we promise ourselves of the same events.
fn agreement(contract: &Objective, standing: &Standing, target: Ratio) -> SloAgreement {
    let budget = &standing.budget;
    let amount = |count: u64| {
        budget
            .unit
            .amount(count)
            .map_or_else(|| "unknown".to_owned(), number)
    };
    let signed_amount = |count: i128| {
        let sign = if count < 0 { "-" } else { "" };
        let size = u64::try_from(count.unsigned_abs()).unwrap_or(u64::MAX);
        format!("{sign}{}", amount(size))
    };
    let ours = Budget { target, ..*budget };
    SloAgreement {
        id: contract.id.clone(),
        title: contract.display_name.clone(),
        group: group_text(&standing.group),
        target: Share(contract.target),
        window: window_words(contract, standing),
        status: promise_status(standing),
        bad: amount(budget.counts.bad),
        total: amount(budget.counts.total),
        allowed: amount(budget.allowed()),
        left: signed_amount(budget.remaining()),
        buffer: signed_amount(i128::from(budget.allowed()) - i128::from(ours.allowed())),
        noun: budget.unit.noun().to_owned(),
    }
}

/// Where the bad events of the window belong, as reports have it.
fn parts(slos: &SloEngine, standing: &Standing, episodes: &[Episode], who: &Principal) -> Option<SloParts> {
    let sees_all = sight::sees_platform(who);
    // What is about everybody is about each; what is about another tenant is nobody else's.
    let concerns = |one: &&Episode| one.scope.tenant.is_none() || sight::sees(who, &one.scope);
    let concerned = episodes.iter().filter(concerns);
    let divided = divided(slos, &standing.slo, &standing.group, standing.counted, concerned)?;
    let part = |(one, bad): &(&Episode, i64)| {
        let is_own = sees_all || one.scope.tenant.is_some();
        SloPart {
            incident: one.incident.clone(),
            title: is_own.then(|| one.title.clone()),
            severity: one.severity,
            from: one.from,
            to: one.to,
            bad: *bad,
            suspects: if sees_all {
                one.suspects.clone()
            } else {
                Vec::new()
            },
        }
    };
    let incidents: Vec<SloPart> = divided.parts.iter().map(part).collect();
    let in_incidents: i64 = incidents.iter().map(|part| part.bad).sum();
    Some(SloParts {
        bad: divided.excluded + in_incidents + divided.background,
        excluded: divided.excluded,
        incidents,
        background: divided.background,
    })
}

fn burn(reading: &BurnReading, target: Ratio) -> Burn {
    let rate = |counts: Counts| burn_rate(counts, target).map(Ratio::to_f64);
    let pair = reading.pair;
    Burn {
        alert: format!(
            "{} {} over {} and {}",
            pair.severity,
            pair.factor,
            window_text(pair.long_ms),
            window_text(pair.short_ms)
        ),
        long_ms: pair.long_ms.unsigned_abs(),
        short_ms: pair.short_ms.unsigned_abs(),
        threshold: pair.factor.to_f64(),
        long: rate(reading.long),
        short: rate(reading.short),
        held_back: reading
            .held_back(target)
            .filter(|_| reading.firing_since_ms.is_none())
            .map(|why| match why {
                HeldBack::TooFew => format!(
                    "{} bad in {}, it takes {}",
                    reading.bad_events.unwrap_or_default(),
                    window_text(pair.long_ms),
                    pair.min_bad
                ),
                HeldBack::Chance => "as many are bad now and then by chance".to_owned(),
            }),
        status: match (reading.firing_since_ms, reading.long.total) {
            (Some(_), _) => Status::Breached,
            (None, 0) => Status::Unknown,
            (None, _) => Status::Ok,
        },
    }
}

/// Where the catalog defines it: `slo/api-availability.yaml:22`.
fn source(catalog: &mainstay_catalog::Catalog, id: &SloId) -> Option<String> {
    let mut documents = catalog.documents.of_format(Format::OpenSlo);
    let document = documents.find(|document| document.kind == "SLO" && document.name == id.as_str())?;
    Some(format!("{}:{}", document.file, document.at.line))
}
