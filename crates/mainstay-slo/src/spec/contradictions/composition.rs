//! Ruling R17: availability along the hard dependencies.
//!
//! A service answers only while everything that it cannot do without does. So even if each of them keeps the best that
//! it promises, and the service itself never fails, it cannot promise more than their product. What a part promises is
//! the availability of a database or of something that others run, the tier of a service, or its own SLO where that is
//! stricter. What promises nothing (a cluster of brokers) costs nothing here.

use std::collections::BTreeMap;

use mainstay_catalog::document::Document;
use mainstay_catalog::platform::{Component, Service, Strength};
use mainstay_catalog::{At, Diagnostics, Documents, Platform, Spanned, lint};
use mainstay_kernel::{Ratio, ServiceId};

use super::answers::Answers;
use super::model::{Model, Objective};

pub(super) fn check(
    model: &Model<'_>,
    platform: &Platform,
    documents: &Documents,
    diagnostics: &mut Diagnostics,
) {
    let objectives = availability_objectives(model);
    for (id, service) in &platform.services {
        let parts = hard_parts(id, platform, &objectives);
        if parts.is_empty() {
            continue;
        }
        let most: f64 = parts.iter().map(|(_, promise)| promise.to_f64()).product();
        let together: Vec<String> = parts
            .iter()
            .map(|(name, promise)| format!("{name} {}", promise.percent(3)))
            .collect();
        let of_parts = format!(
            "the parts that it cannot do without keep {:.3}% together: {}",
            most * 100.0,
            together.join(", ")
        );
        let help = "promise less, ask more of the parts, or do without one of them for a while (a queue, a copy, a second source) and make it a soft dependency";
        let broken = |promise: Ratio| promise.to_f64() > most + 1e-12;
        if let Some(tier) = platform
            .tiers
            .get(&service.tier.value)
            .filter(|tier| broken(tier.target))
        {
            let message = format!(
                "{id} is of {}, which promises {}, and {of_parts}",
                service.tier.value,
                tier.target.percent(3)
            );
            let at = documents
                .of_kind("Services")
                .find_map(|document| Some((document, place(document, service)?)));
            if let Some((document, at)) = at {
                diagnostics.push(
                    document
                        .diagnostic(lint::AVAILABILITY_COMPOSITION, at, message)
                        .help(help),
                );
            }
        }
        for (objective, target) in objectives.get(id).into_iter().flatten() {
            if broken(target.value) {
                let message = format!(
                    "{} promises {}, and {of_parts}",
                    objective.name().value,
                    target.value.percent(3)
                );
                let found = objective
                    .document
                    .diagnostic(lint::AVAILABILITY_COMPOSITION, target.at, message);
                diagnostics.push(found.help(help));
            }
        }
    }
}

/// Where a service's tier stands, if this document's file has its id at `id`.
fn place(document: &Document, service: &Service) -> Option<At> {
    let id = service.id.at;
    let start = id.offset_bytes as usize;
    let written = document.source().get(start..start + id.len_bytes as usize)?;
    let here = document.at.offset_bytes <= id.offset_bytes && written.contains(service.id.value.as_str());
    here.then(|| id.of_part(document.source(), &service.tier.value))
}

type Targets<'m, 'a> = BTreeMap<ServiceId, Vec<(&'m Objective<'a>, &'m Spanned<Ratio>)>>;

/// The objectives about the share of a service's requests that it answers.
fn availability_objectives<'m, 'a>(model: &'m Model<'a>) -> Targets<'m, 'a> {
    let mut targets: Targets<'m, 'a> = BTreeMap::new();
    for objective in &model.objectives {
        let judged = model.indicator_of(objective).and_then(Answers::of_indicator);
        let whole_class = judged.is_some_and(|answers| (500..=599).all(|code| answers.bad.contains(&code)));
        let service = ServiceId::new(objective.slo.spec.service.value.as_str());
        if let (Ok(service), Some(target), true) = (service, objective.target(), whole_class) {
            targets.entry(service).or_default().push((objective, target));
        }
    }
    targets
}

/// What a service cannot do without, and the best that each of these promises.
fn hard_parts(
    service: &ServiceId,
    platform: &Platform,
    objectives: &Targets<'_, '_>,
) -> Vec<(String, Ratio)> {
    let hard = platform
        .dependencies(service)
        .filter(|(_, strength)| *strength == Strength::Hard);
    hard.filter_map(|(component, _)| {
        let promise = match &component {
            Component::Service(id) => {
                let tier = platform.services.get(id).and_then(|one| {
                    let tier = platform.tiers.get(&one.tier.value)?;
                    Some(tier.target)
                });
                let own = objectives.get(id).into_iter().flatten();
                own.map(|(_, target)| target.value).chain(tier).max()?
            }
            Component::Database(id) => platform.databases.get(id)?.availability,
            Component::External(id) => platform.externals.get(id)?.availability,
            Component::Brokers(_) => return None,
        };
        let name = match component {
            Component::Service(id) => id.to_string(),
            Component::Database(id) | Component::External(id) | Component::Brokers(id) => id,
        };
        Some((name, promise))
    })
    .collect()
}
