//! Who is told, how and when: routing, rotas, escalation policies, channels.

mod adopted;
mod alertmanager;
mod build;
mod channels;
mod check_policy;
mod check_rota;
mod complete;
mod escalation;
mod heartbeat;
mod pay;
mod rota;
mod route_name;
mod routing;
pub(crate) mod time_interval;
mod watchdog;

use std::collections::BTreeMap;

use serde::Serialize;

pub use adopted::Adopted;
pub use channels::{
    Bridge, Channels, Chat, Limit, Ntfy, PagerDuty, Setting, SettingError, SlackBot, Smtp, Telephone,
};
pub use escalation::{Delay, EscalationLevel, EscalationPolicy, NotifyStep, Repeat, RoundRobin, Target};
pub use heartbeat::{HEARTBEAT_ALERT, HEARTBEAT_LABEL, HEARTBEATS_MAX, Heartbeat};
pub use pay::{BusinessHours, Decimal, DecimalError, Pay};
pub use rota::{
    BASE_LAYER, DstConvention, Handoff, Layer, Restriction, Rota, TurnLength, TurnLengthError, TurnUnit,
};
pub use route_name::{NamedRoute, ROOT, RouteNameError, is_within};
pub use routing::{Flapping, GroupBy, InhibitRule, Integration, Receiver, Route, Routing};
pub(crate) use routing::{InhibitSpec, RouteSpec, RoutingSpec};
pub use time_interval::TimeInterval;
pub use watchdog::{
    BEAT_ALERT, BEAT_SEQUENCE, Beat, Watchdog, WatchdogHost, WatchdogPage, beat_labels, is_beat,
};

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
    /// What others must tell, by name.
    pub heartbeats: BTreeMap<String, Heartbeat>,
    /// Who is told that Mainstay is well.
    pub watchdog: Option<Watchdog>,
    /// How a watchdog pages: in a file of its own, for another process.
    pub watchdog_host: Option<WatchdogHost>,
    /// What is in force of an Alertmanager's configuration beside its routes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<Adopted>,
}

impl Response {
    /// The value of a setting's variable that is kept in memory and not in the environment.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&str> {
        self.alertmanager.as_ref()?.secrets.get(name)
    }
}
