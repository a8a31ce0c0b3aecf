//! What keeps alerts from being told now, for those who ask.

use jiff::Timestamp;
use mainstay_catalog::response::Routing;
use mainstay_kernel::Digest;

use crate::draft::{Draft, HeldBy};
use crate::fold::{ActiveAlert, AlertState};
use crate::silence::SilenceId;

/// All that keeps an alert from being told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suppression {
    /// The silences that match it.
    pub silenced_by: Vec<SilenceId>,
    /// The alerts that inhibit it.
    pub inhibited_by: Vec<Digest>,
    /// The time intervals that mute every route of it; `outside its active time` where it has none.
    pub muted_by: Vec<String>,
    /// That it begins too often, and its end is therefore told late.
    pub flapping: Option<String>,
}

/// Asked of many alerts at one instant.
pub struct Suppressions<'a>(Draft<'a>);

impl<'a> Suppressions<'a> {
    /// At an instant.
    #[must_use]
    pub fn at(state: &'a AlertState, routing: &'a Routing, now: Timestamp) -> Self {
        Self(Draft::new(state, routing, now))
    }

    /// Of an alert that fires. Cost: the silences and the rules of inhibition; once, all alerts.
    #[must_use]
    pub fn of(&self, active: &ActiveAlert) -> Suppression {
        let draft = &self.0;
        let labels = &active.alert.labels;
        let flapping = active.groups.iter().find_map(|group| {
            let flap = draft.state.flapping(group, &active.alert.fingerprint)?;
            let within_s = flap.limit().within_ms / 1_000;
            Some(format!("flapping: began {} times in {within_s} s", flap.starts()))
        });
        let muted: Option<Vec<String>> = active
            .groups
            .iter()
            .filter_map(|group| draft.placement(group))
            .map(|placement| match draft.muted_by(placement)? {
                HeldBy::Muted { interval } => Some(interval),
                _ => Some("outside its active time".to_owned()),
            })
            .collect();
        let mut inhibited_by: Vec<Digest> = draft.inhibited_by(labels).collect();
        inhibited_by.sort_unstable();
        inhibited_by.dedup();
        Suppression {
            silenced_by: draft.silenced_by(labels).map(|one| one.id.clone()).collect(),
            inhibited_by,
            muted_by: muted.unwrap_or_default(),
            flapping,
        }
    }
}

impl Suppression {
    /// Whether nothing does.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.silenced_by.is_empty() && self.inhibited_by.is_empty() && self.muted_by.is_empty()
    }
}
