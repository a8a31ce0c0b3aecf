//! What if the target were another: the same counts judged by several targets in one pass.

use mainstay_kernel::{Ratio, SloId};
use serde::Serialize;

use crate::burn::BurnPair;
use crate::engine::SloCatalog;
use crate::error::SloError;
use crate::objective::Objective;

/// An objective as it is judged in a replay.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Variant {
    /// The name that it is judged by: the objective's, or that and the target, `api-availability#99.99`.
    pub id: SloId,
    /// The objective.
    pub slo: SloId,
    /// The target it is judged by.
    pub target: Ratio,
    /// Whether that is the catalog's own target.
    pub is_own: bool,
    /// Burn-rate pairs that are left out, because at this target even a total outage burns less than they mind.
    pub unreachable: Vec<BurnPair>,
}

/// The catalog with every objective (or only the one named) judged by its own target and by each of `targets`. The
/// indicators stay what they are, so another target costs judging and no counting.
///
/// # Errors
/// If there is no such objective, or a target is no target.
pub fn with_targets(
    catalog: &SloCatalog,
    only: Option<&SloId>,
    targets: &[Ratio],
) -> Result<(SloCatalog, Vec<Variant>), SloError> {
    let chosen: Vec<&Objective> = catalog
        .objectives()
        .iter()
        .filter(|objective| only.is_none_or(|only| objective.id == *only))
        .collect();
    if let Some(only) = only.filter(|_| chosen.is_empty()) {
        return Err(SloError::UnknownSlo(only.to_string()));
    }
    let mut objectives = Vec::new();
    let mut variants = Vec::new();
    for objective in &chosen {
        let mut others: Vec<Ratio> = targets.to_vec();
        others.retain(|target| *target != objective.target);
        others.sort();
        others.dedup();
        for target in [objective.target].into_iter().chain(others) {
            let (judged, variant) = variant(objective, target)?;
            objectives.push(judged);
            variants.push(variant);
        }
    }
    let mut indicators = catalog.indicators().to_vec();
    let is_used = |name: &str| {
        let by = |objective: &&Objective| objective.sli == name || objective.probes.as_deref() == Some(name);
        chosen.iter().any(by)
    };
    // What a composite is made of goes with it.
    let members = catalog
        .indicators()
        .iter()
        .filter(|indicator| is_used(&indicator.name));
    let members: Vec<&str> = members
        .flat_map(|indicator| indicator.events.members())
        .map(|member| member.sli.as_str())
        .collect();
    indicators.retain(|indicator| is_used(&indicator.name) || members.contains(&indicator.name.as_str()));
    Ok((SloCatalog::new(indicators, objectives)?, variants))
}

fn variant(objective: &Objective, target: Ratio) -> Result<(Objective, Variant), SloError> {
    let is_own = target == objective.target;
    let bad_target = || SloError::BadTarget {
        slo: objective.id.to_string(),
        target: target.to_string(),
    };
    let id = if is_own {
        objective.id.clone()
    } else {
        SloId::new(format!("{}#{}", objective.id, percent(target))).map_err(|_| bad_target())?
    };
    let mut judged = Objective {
        id: id.clone(),
        target,
        ..objective.clone()
    };
    let mut unreachable = Vec::new();
    // Pair by pair, by the objective's own check.
    judged.burn.pairs.retain(|pair| {
        let mut alone = objective.clone();
        (alone.target, alone.burn.pairs) = (target, vec![*pair]);
        let is_reachable = !matches!(alone.check(), Err(SloError::UnreachableBurn { .. }));
        if !is_reachable {
            unreachable.push(*pair);
        }
        is_reachable
    });
    let slo = objective.id.clone();
    let variant = Variant {
        id,
        slo,
        target,
        is_own,
        unreachable,
    };
    Ok((judged, variant))
}

/// `99.95`: the digits that are needed, up to ten.
fn percent(target: Ratio) -> String {
    let text = target.percent(10);
    let digits = text.trim_end_matches('%').trim_end_matches('0');
    digits.trim_end_matches('.').to_owned()
}
