//! What the engine counts and judges, checked as a whole.

use std::collections::BTreeSet;

use crate::error::SloError;
use crate::objective::Objective;
use crate::sli::SliDefinition;

/// Indicators and the objectives about them; every reference is known to resolve.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SloCatalog {
    indicators: Vec<SliDefinition>,
    objectives: Vec<Objective>,
}

impl SloCatalog {
    /// Checks names, references and arithmetic.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn new(indicators: Vec<SliDefinition>, objectives: Vec<Objective>) -> Result<Self, SloError> {
        let mut names = BTreeSet::new();
        for indicator in &indicators {
            indicator.check()?;
            if !names.insert(indicator.name.as_str()) {
                return Err(SloError::Duplicate(indicator.name.clone()));
            }
        }
        for indicator in &indicators {
            check_members(indicator, &indicators)?;
        }
        let mut ids = BTreeSet::new();
        for objective in &objectives {
            objective.check()?;
            if !ids.insert(objective.id.as_str()) {
                return Err(SloError::Duplicate(objective.id.to_string()));
            }
            let Some(indicator) = indicators.iter().find(|sli| sli.name == objective.sli) else {
                return Err(SloError::UnknownSli {
                    slo: objective.id.to_string(),
                    sli: objective.sli.clone(),
                });
            };
            if let Some(probes) = &objective.probes
                && !names.contains(probes.as_str())
            {
                return Err(SloError::UnknownProbes {
                    slo: objective.id.to_string(),
                    sli: probes.clone(),
                });
            }
            for member in indicator.events.members() {
                objective.check_windows(member.budgeting)?;
            }
            if let Some(label) = objective
                .group_by
                .iter()
                .find(|label| !indicator.group_by.contains(label))
            {
                return Err(SloError::UnknownGroupLabel {
                    slo: objective.id.to_string(),
                    label: label.clone(),
                });
            }
        }
        Ok(Self {
            indicators,
            objectives,
        })
    }

    /// The objectives.
    #[must_use]
    pub fn objectives(&self) -> &[Objective] {
        &self.objectives
    }

    /// The indicators.
    #[must_use]
    pub fn indicators(&self) -> &[SliDefinition] {
        &self.indicators
    }

    /// Objectives whose time slices are narrower than the time between two samples, with the width of these slices, both in
    /// milliseconds: what happened is counted in the slice of the sample that tells of it, and those between look idle.
    pub fn narrower_than(&self, scrape_interval_ms: i64) -> impl Iterator<Item = (&Objective, i64)> {
        let width = |objective: &Objective| objective.budgeting.width_ms();
        self.objectives
            .iter()
            .filter_map(move |objective| Some((objective, width(objective)?)))
            .filter(move |(_, width_ms)| *width_ms < scrape_interval_ms)
    }

    /// The expressions that indicators are sampled by, each with the metric that it is to be recorded as.
    pub fn recordings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.indicators.iter().filter_map(|sli| sli.events.recording())
    }

    pub(crate) fn into_parts(self) -> (Vec<SliDefinition>, Vec<Objective>) {
        (self.indicators, self.objectives)
    }
}

/// Checks that the members of a composite are there, are grouped by what it is grouped by, and are no composites.
fn check_members(composite: &SliDefinition, indicators: &[SliDefinition]) -> Result<(), SloError> {
    for member in composite.events.members() {
        let Some(known) = indicators.iter().find(|known| known.name == member.sli) else {
            return Err(SloError::UnknownSli {
                slo: composite.name.clone(),
                sli: member.sli.clone(),
            });
        };
        if !known.events.members().is_empty() {
            return Err(SloError::NestedComposite(composite.name.clone()));
        }
        let lacking = composite
            .group_by
            .iter()
            .find(|label| !known.group_by.contains(label));
        if let Some(label) = lacking {
            return Err(SloError::UnknownGroupLabel {
                slo: composite.name.clone(),
                label: label.clone(),
            });
        }
    }
    Ok(())
}
