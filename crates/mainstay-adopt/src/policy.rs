//! Policies as the catalog takes them: somebody else is paged within five minutes, and nobody by name twice.

use std::collections::BTreeSet;

use mainstay_kernel::PersonId;

use crate::node::Node;
use crate::{Loss, Policy, Step, Target};

/// The longest that a page may wait before the next step.
const WAIT_MAX_MINUTES: u64 = 5;

/// The policy with what the catalog asks of it; none if it pages nobody.
pub(crate) fn fitted(
    mut policy: Policy,
    node: &Node<'_>,
    people: &[PersonId],
    losses: &mut Vec<Loss>,
) -> Option<Policy> {
    let mut named: BTreeSet<PersonId> = BTreeSet::new();
    for step in &mut policy.steps {
        step.targets.retain(|target| match target {
            Target::Person(person) if !named.insert(person.clone()) => {
                losses.push(node.loss(format!(
                    "{person} is paged once by name, not again after {} min",
                    step.after
                )));
                false
            }
            _ => true,
        });
    }
    policy.steps.retain(|step| !step.targets.is_empty());
    let Some(first) = policy.steps.first().map(|step| step.after) else {
        losses.push(node.loss(format!(
            "the policy {} pages nobody: it is not written",
            policy.title
        )));
        return None;
    };
    if first > 0 {
        losses.push(node.loss(format!("the first step waits {first} min: here it is at once")));
        for step in &mut policy.steps {
            step.after -= first;
        }
    }
    match policy.steps.get(1).map(|step| step.after) {
        Some(second) if second > WAIT_MAX_MINUTES => {
            losses.push(node.loss(format!(
                "the second step waits {second} min: here it is after {WAIT_MAX_MINUTES} min, and those behind it as much earlier"
            )));
            for step in policy.steps.iter_mut().skip(1) {
                step.after -= second - WAIT_MAX_MINUTES;
            }
        }
        Some(_) => {}
        None => second(&mut policy, node, people, losses),
    }
    let last = policy.steps.last().map_or(0, |step| step.after);
    if let Some((_, every)) = &mut policy.repeat {
        *every = (*every).max(last + 1);
    }
    Some(policy)
}

/// A policy of one step gets a second: the same rota again, or somebody else.
fn second(policy: &mut Policy, node: &Node<'_>, people: &[PersonId], losses: &mut Vec<Loss>) {
    let targets = policy
        .steps
        .first()
        .map(|step| step.targets.clone())
        .unwrap_or_default();
    let rotas: Vec<Target> = targets
        .iter()
        .filter(|target| matches!(target, Target::Rota(_)))
        .cloned()
        .collect();
    let other = || {
        let others = people.iter().map(|person| Target::Person(person.clone()));
        others.into_iter().find(|other| !targets.contains(other))
    };
    let next = match rotas.is_empty() {
        false => rotas,
        true => other().into_iter().collect(),
    };
    let who = match next.first() {
        Some(Target::Rota(_)) => "the same rota".to_owned(),
        Some(Target::Person(person)) => person.to_string(),
        None => {
            losses.push(
                node.loss("nobody is paged if the first does not acknowledge, and there is nobody else"),
            );
            return;
        }
    };
    losses.push(node.loss(format!(
        "it has one step: {who} is paged after {WAIT_MAX_MINUTES} min if nobody acknowledges, which is made up"
    )));
    policy.steps.push(Step {
        after: WAIT_MAX_MINUTES,
        targets: next,
    });
}
