//! Gathers the facts of a post-mortem from every capability.

use jiff::SignedDuration;
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_incident::{Impact, Incident};
use mainstay_journal::Journal;
use mainstay_kernel::{IncidentId, Scope};
use mainstay_review::Facts;
use mainstay_review::facts::{AlertLine, BudgetCost, TimelineLine};

use crate::judge::Judge;
use crate::plane::Plane;

impl<J: Journal, C: Channels + 'static, H: Hands, G: Judge> Plane<J, C, H, G> {
    /// What is known about an incident; `None` if it is not at hand.
    pub async fn postmortem_facts(&self, id: &IncidentId) -> Option<Facts> {
        let incident = self.look(|states| states.incidents.get(id).cloned()).await?;
        let now = self.parts.clock.now();
        let until = incident.resolved_at.unwrap_or(now);
        let counted = self
            .parts
            .judge
            .verdict(&incident.scope, Some(incident.began_at), until);
        let impact = counted.map_or_else(|| incident.impact.clone(), |verdict| verdict.impact);
        let budgets = self
            .parts
            .judge
            .budget_costs(&incident.scope, incident.began_at, until);
        Some(facts(&incident, impact, budgets))
    }
}

pub(crate) fn facts(incident: &Incident, impact: Impact, budgets: Vec<BudgetCost>) -> Facts {
    let alerts = incident.alerts.values().map(|attached| AlertLine {
        name: attached.alert.name().to_owned(),
        summary: attached
            .alert
            .annotations
            .get("summary")
            .unwrap_or_default()
            .to_owned(),
        scope: Scope::from_labels(&attached.alert.labels),
        starts_at: attached.alert.starts_at,
        ended_at: attached.ended_at,
    });
    let timeline = incident.timeline_by_time().into_iter().map(|entry| TimelineLine {
        at: entry.at,
        text: entry.text.clone(),
        actor: entry.actor.to_string(),
    });
    Facts {
        incident: incident.id.clone(),
        title: incident.title.clone(),
        severity: incident.severity,
        scope: incident.scope.clone(),
        began_at: incident.began_at,
        began_within: if impact.first_bad_at.is_some() {
            crate::telemetry::RESOLUTION
        } else {
            SignedDuration::ZERO
        },
        detected_at: incident.declared_at,
        page_delivered_at: incident.page_delivered_at,
        acknowledged: incident
            .acknowledged
            .as_ref()
            .map(|(at, actor)| (*at, actor.to_string())),
        mitigated_at: incident.mitigated_at,
        resolved_at: incident.resolved_at,
        tenants: impact.tenants.iter().map(ToString::to_string).collect(),
        bad: impact.bad,
        total: impact.total,
        budgets,
        alerts: alerts.collect(),
        changes: incident
            .changes
            .iter()
            .map(|linked| linked.change.clone())
            .collect(),
        timeline: timeline.collect(),
    }
}
