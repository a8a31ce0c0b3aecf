//! The whole of a composite SLO.

use mainstay_catalog::Diagnostics;

use super::objective::Builder;
use super::{bad, measure, warning};
use crate::objective::Objective;
use crate::sli::{Events, Member, SOURCE_LABEL, SliDefinition};

impl Builder<'_> {
    /// The indicator and the objective of the whole, of what its objectives became; `None` where it cannot be judged,
    /// which has been said.
    pub(super) fn whole(
        &self,
        objectives: &[Objective],
        common: Objective,
        diagnostics: &mut Diagnostics,
    ) -> Option<(SliDefinition, Objective)> {
        let targets = &self.slo.spec.objectives;
        let name = &self.slo.metadata.name;
        if objectives.len() != targets.len() {
            let message = format!(
                "the composite {:?} is not judged: only {} of its {} objectives are",
                name.value,
                objectives.len(),
                targets.len()
            );
            let help = "mend what is said of the others";
            diagnostics.push(warning(self.document, name.at, message).help(help));
            return None;
        }
        let written: Vec<_> = targets
            .iter()
            .map(|target| target.composite_weight.as_ref())
            .collect();
        let weights = measure::weights(self.document, &written, diagnostics)?;
        let weighted = objectives.iter().zip(&weights);
        let members = weighted.clone().map(|(objective, weight)| Member {
            sli: objective.sli.clone(),
            budgeting: objective.budgeting,
            weight: *weight,
        });
        let targets: Vec<_> = weighted
            .clone()
            .map(|(objective, weight)| (objective.target, *weight))
            .collect();
        let Some(target) = measure::mean(&targets) else {
            let message = "the mean of the targets has too many digits";
            diagnostics.push(bad(
                self.document,
                name,
                message,
                "round the weights or the targets",
            ));
            return None;
        };
        let definition = SliDefinition {
            // No document's name has a space in it.
            name: format!("{} as a whole", name.value),
            events: Events::Composite(members.collect()),
            group_by: Vec::new(),
            source: SOURCE_LABEL.to_owned(),
            witness: None,
        };
        let whole = Objective {
            sli: definition.name.clone(),
            target,
            ..common
        };
        let checked = objectives
            .iter()
            .try_for_each(|member| whole.check_windows(member.budgeting))
            .and_then(|()| whole.check());
        match checked {
            Ok(()) => Some((definition, whole)),
            Err(error) => {
                let help = "change the alert policy, the weights or the targets";
                diagnostics.push(bad(self.document, name, error.to_string(), help));
                None
            }
        }
    }
}
