//! What is said around the beginnings of shifts: reminders, and hand-overs with what is open.

use jiff::Timestamp;
use mainstay_catalog::response::is_beat;
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::Actor;
use mainstay_oncall::OncallCommand;
use mainstay_oncall::handover::{self, Incoming};

use crate::core::Command;
use crate::error::PlaneError;
use crate::judge::Judge;
use crate::plane::{Plane, States};

/// The most alerts that a hand-over names.
const ALERTS_MAX: usize = 30;

/// What whoever takes a shift over should know, a line each: open incidents, alerts that fire, silences that end before
/// the shift does.
#[must_use]
pub fn open_matters(states: &States<'_>, now: Timestamp, until: Timestamp) -> Vec<String> {
    let incidents = states.incidents.open().map(|incident| {
        let taken = incident.acknowledged.as_ref();
        let taken = taken.map_or("nobody has it".to_owned(), |(_, by)| {
            format!("{} has it", by.subject)
        });
        format!(
            "incident {} ({}), {taken}: {}",
            incident.id, incident.severity, incident.title
        )
    });
    let mut firing: Vec<_> = states
        .alerts
        .firing()
        .filter(|active| !is_beat(&active.alert.labels))
        .collect();
    firing.sort_by_key(|active| (active.severity, active.alert.starts_at));
    let more = firing.len().saturating_sub(ALERTS_MAX);
    let alerts = firing.into_iter().take(ALERTS_MAX).map(|active| {
        let alert = &active.alert;
        let summary = alert.annotations.get("summary").unwrap_or_default();
        format!(
            "{} fires since {} ({}): {summary}",
            alert.name(),
            alert.starts_at,
            active.severity
        )
    });
    let more = (more > 0).then(|| format!("{more} more alerts fire"));
    let ending = states
        .alerts
        .silences()
        .filter(|silence| silence.starts_at < until && now < silence.ends_at && silence.ends_at <= until);
    let silences = ending.map(|silence| {
        format!(
            "the silence of {} ends at {}: {}",
            silence.created_by, silence.ends_at, silence.comment
        )
    });
    incidents.chain(alerts).chain(more).chain(silences).collect()
}

impl<J: Journal, C: Channels + 'static, H: Hands, G: Judge> Plane<J, C, H, G> {
    /// Reminds those whose shifts begin soon, and hands over those that have begun. Asked often, it says everything once.
    ///
    /// # Errors
    /// If the journal fails.
    pub async fn mind_shifts(&self) -> Result<(), PlaneError> {
        let now = self.clock().now();
        let (remind, incoming) = {
            let core = self.core.lock().await;
            let (state, spec) = (core.oncall.state(), &core.specs.oncall);
            (
                handover::is_to_remind(state, spec, now),
                handover::incoming(state, spec, now),
            )
        };
        let mut commands = Vec::new();
        if remind {
            commands.push(OncallCommand::Remind);
        }
        for shift in incoming {
            let Incoming { until, .. } = shift;
            let open = self.look(|states| open_matters(states, now, until)).await;
            commands.push(OncallCommand::HandOver { shift, open });
        }
        for command in commands {
            match self
                .submit(Actor::machine("oncall"), Command::Oncall(command))
                .await
            {
                Ok(_) | Err(PlaneError::Refused(_)) => {}
                Err(fatal) => return Err(fatal),
            }
        }
        Ok(())
    }
}
