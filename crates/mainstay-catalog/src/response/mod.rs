//! Who is told, how and when: routing, rotas, escalation policies, channels.

mod alertmanager;
mod build;
mod channels;
mod check_policy;
mod check_rota;
mod complete;
mod escalation;
mod rota;
mod routing;
mod time_interval;

use std::collections::BTreeMap;

use serde::Serialize;

pub use channels::{Channels, Chat, Ntfy, PagerDuty, Setting, SettingError, SlackBot, Smtp, Telephone};
pub use escalation::{Delay, EscalationLevel, EscalationPolicy, Repeat, Target};
pub use rota::{
    BASE_LAYER, DstConvention, Handoff, Layer, Restriction, Rota, TurnLength, TurnLengthError, TurnUnit,
};
pub use routing::{Flapping, GroupBy, InhibitRule, Receiver, Route, Routing};
pub use time_interval::TimeInterval;

/// The response documents of a catalog, with every reference resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Response {
    /// Receivers and the tree of routes.
    pub routing: Routing,
    /// Rotas by name.
    pub rotas: BTreeMap<String, Rota>,
    /// Escalation policies by name.
    pub policies: BTreeMap<String, EscalationPolicy>,
    /// How channels are reached.
    pub channels: Channels,
}
