//! What if an objective had other targets, by the counts that are kept.

use jiff::{SignedDuration, Timestamp};
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::fact::BudgetState;
use mainstay_kernel::{Principal, Ratio, SloId};
use mainstay_slo::SloError;
use mainstay_slo::burn::window_text;
use mainstay_web::Failure;
use mainstay_web::view::{Look, Share, Status, WhatIf, WhatIfAsked, WhatIfPage, WhatIfTarget};

use super::gate::action_words;
use super::{PlaneConsole, not_found, sight};

/// The most targets of one question.
const TARGETS_MAX: usize = 10;
/// The longest stretch: what counts are kept for, in days.
const DAYS_MAX: i64 = 400;

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    pub(super) async fn other_targets(
        &self,
        who: &Principal,
        id: &SloId,
        look: &Look,
        asked: &WhatIfAsked,
    ) -> Result<WhatIf, Failure> {
        let targets = targets(&asked.targets)?;
        let to = asked.to.unwrap_or_else(|| self.now());
        let length = to.duration_since(asked.from);
        if length <= SignedDuration::ZERO || length > SignedDuration::from_hours(24 * DAYS_MAX) {
            return Err(invalid(
                "the stretch of time is empty or too long",
                "give from before to, at most 400 days",
            ));
        }
        let missing = || not_found(format!("objective {id}"));
        let actions = self
            .plane
            .look(|states| states.policies.of(id).map(|(_, policy)| policy.actions.clone()))
            .await;
        let slos = self.telemetry.slos();
        let objective = slos.objectives().find(|objective| objective.id == *id);
        let objective = objective.ok_or_else(missing)?;
        let (group, states) = (objective.group_of(&look.scope), objective.budget);
        if !sight::sees_group(who, &group) {
            return Err(missing());
        }
        let (from_ms, to_ms) = (asked.from.as_millisecond(), to.as_millisecond());
        let found = slos.what_if(id, &group, &targets, from_ms, to_ms);
        drop(slos);
        let found = found.map_err(|error: SloError| invalid(error.to_string(), "a target is below 100%"))?;
        let found = found.ok_or_else(missing)?;
        let at = |ms: i64| Timestamp::from_millisecond(ms).unwrap_or(to);
        let page = |page: &mainstay_slo::engine::WhatIfPage| WhatIfPage {
            alert: format!(
                "{} {} over {} and {}",
                page.pair.severity,
                page.pair.factor,
                window_text(page.pair.long_ms),
                window_text(page.pair.short_ms)
            ),
            from: at(page.from_ms),
            to: page.to_ms.map(at),
            within_ms: page.within_ms.unsigned_abs(),
        };
        let target = |one: &mainstay_slo::engine::TargetWhatIf| {
            let budget = &one.budget;
            let state = match budget.counts.total {
                0 => BudgetState::Unknown,
                _ => budget.plain_state(states),
            };
            let action = actions.as_ref().and_then(|actions| actions.of(state));
            let left = budget.remaining().clamp(i64::MIN.into(), i64::MAX.into());
            WhatIfTarget {
                objective: Share(budget.target),
                bad: budget.counts.bad,
                total: budget.counts.total,
                budget_allowed: budget.allowed(),
                budget_left: i64::try_from(left).unwrap_or_default(),
                status: match (budget.counts.total, budget.is_kept()) {
                    (0, _) => Status::Unknown,
                    (_, true) => Status::Ok,
                    (_, false) => Status::Breached,
                },
                budget: state,
                calls_for: action.map(action_words).filter(|words| !words.is_empty()),
                pages: one.pages.iter().map(page).collect(),
                pages_left_out: one.left_out as u64,
            }
        };
        Ok(WhatIf {
            from: at(found.counted.start_ms),
            to: at(found.counted.end_ms.min(to_ms)),
            pages_from: at(found.pages_from_ms),
            targets: found.targets.iter().map(target).collect(),
        })
    }
}

fn invalid(message: impl Into<String>, help: &str) -> Failure {
    Failure::Invalid {
        message: message.into(),
        help: help.to_owned(),
    }
}

fn targets(texts: &[String]) -> Result<Vec<Ratio>, Failure> {
    if texts.is_empty() || texts.len() > TARGETS_MAX {
        return Err(invalid(
            format!("{} targets are asked about", texts.len()),
            "give one to ten",
        ));
    }
    let target = |text: &String| {
        text.parse::<Ratio>().map_err(|error| {
            invalid(
                format!("{text:?} is no target: {error}"),
                "write 99.95% or 0.9995",
            )
        })
    };
    texts.iter().map(target).collect()
}
