//! How one person is told of a page: the steps, and the clocks by which they are insisted on.

use jiff::SignedDuration;
use mainstay_catalog::response::{EscalationLevel, EscalationPolicy, NotifyStep};
use mainstay_kernel::effect::Channel;
use mainstay_kernel::{PageId, PersonId, Severity};

use crate::decide::OncallCommand;
use crate::event::OncallEvent;
use crate::fold::OncallState;
use crate::spec::OncallSpec;

/// By which channels a person is told, and how long after they were first told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// How long after.
    pub after: SignedDuration,
    /// The channels, each of which the person has an address for.
    pub channels: Vec<Channel>,
}

/// The steps of telling a person: their own for this severity or else the policy's, less what they have no address for.
/// What is left begins at once: a page does not wait for a channel that is not there. Where none of their own reaches
/// them, the policy's hold. Empty if nothing does.
#[must_use]
pub fn steps(
    spec: &OncallSpec,
    policy: &EscalationPolicy,
    severity: Severity,
    person: &PersonId,
) -> Vec<Step> {
    let reach = spec.reach.get(person);
    let has = |channel: &Channel| reach.is_some_and(|reach| reach.contains(channel));
    let reaching = |all: Vec<Step>| {
        let mut left: Vec<Step> = all
            .into_iter()
            .map(|mut step| {
                step.channels.retain(has);
                step
            })
            .filter(|step| !step.channels.is_empty())
            .collect();
        if let Some(first) = left.first_mut() {
            first.after = SignedDuration::ZERO;
        }
        left
    };
    let written = |steps: Option<&Vec<NotifyStep>>| {
        let steps = steps.into_iter().flatten();
        steps
            .map(|step| Step {
                after: step.after.value.0,
                channels: step.channels.iter().map(|channel| channel.value).collect(),
            })
            .collect::<Vec<Step>>()
    };
    let own = spec.notify.get(person).and_then(|own| own.get(&severity));
    let own = reaching(written(own));
    if !own.is_empty() {
        return own;
    }
    let mut all = vec![Step {
        after: SignedDuration::ZERO,
        channels: policy.channels_for(severity).collect(),
    }];
    all.extend(written(policy.unacknowledged.get(&severity)));
    reaching(all)
}

/// Stands in a timer where a person would: no handle has this character.
pub(crate) const NEXT_TURN: &str = "+";

/// A later step of telling somebody, whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insist {
    /// The page.
    pub page: PageId,
    /// The round in which they were told.
    pub round: u32,
    /// The level at which.
    pub level: usize,
    /// Who.
    pub person: PersonId,
    /// Which of their steps; 0 is the first.
    pub step: usize,
}

impl Insist {
    pub(crate) fn timer_key(&self) -> String {
        let Self {
            page,
            round,
            level,
            person,
            step,
        } = self;
        format!("page/{page}/{round}/{level}/{person}/{step}")
    }

    pub(crate) fn timer_payload(&self) -> String {
        let Self {
            page,
            round,
            level,
            person,
            step,
        } = self;
        format!("{page} {round} {level} {person} {step}")
    }
}

/// The later steps of everybody who was told at a level.
pub(crate) fn later_steps<'a>(
    spec: &'a OncallSpec,
    policy: &'a EscalationPolicy,
    severity: Severity,
    told: &'a Insist,
) -> impl Iterator<Item = (SignedDuration, Insist)> + 'a {
    let steps = steps(spec, policy, severity, &told.person);
    steps.into_iter().enumerate().skip(1).map(|(step, found)| {
        let insist = Insist { step, ..told.clone() };
        (found.after, insist)
    })
}

/// Whoever was told and has not answered hears of it by other channels too, while the page climbs.
pub(crate) fn insist(state: &OncallState, spec: &OncallSpec, asked: Insist) -> Vec<OncallEvent> {
    let waiting = state
        .page(&asked.page)
        .filter(|page| page.is_climbing() && page.round == asked.round);
    let found = waiting.and_then(|page| {
        let (_, policy) = spec.policy(&page.policy)?;
        // Whose turn is over is left in peace.
        let takes_turns = policy
            .levels
            .get(asked.level)
            .is_some_and(EscalationLevel::takes_turns);
        let mut present = page.asked_in_round(asked.level);
        if takes_turns && present.next_back() != Some(&asked.person) {
            return None;
        }
        let steps = steps(spec, policy, page.request.severity, &asked.person);
        steps.into_iter().nth(asked.step)
    });
    let insisted = found.map(|step| OncallEvent::Insisted {
        page: asked.page,
        round: asked.round,
        level: asked.level,
        person: asked.person,
        channels: step.channels,
    });
    insisted.into_iter().collect()
}

/// The words of a timer's payload after page, round and level.
pub(crate) fn parse_insist<'a>(
    page: PageId,
    round: u32,
    level: usize,
    mut words: impl Iterator<Item = &'a str>,
) -> Option<OncallCommand> {
    let person = match words.next() {
        None => return Some(OncallCommand::Climb { page, round, level }),
        Some(NEXT_TURN) => return Some(OncallCommand::PassTurn { page, round, level }),
        Some(person) => person,
    };
    Some(OncallCommand::Insist(Insist {
        page,
        round,
        level,
        person: person.parse().ok()?,
        step: words.next()?.parse().ok()?,
    }))
}
