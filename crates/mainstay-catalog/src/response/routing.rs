//! Routing: the receivers and the tree of routes, in Alertmanager's own words.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use mainstay_kernel::effect::{Channel, Recipient};
use mainstay_kernel::{ChannelName, Labels, Matcher};
use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};

use super::time_interval::{NamedIntervals, TimeInterval};
use crate::duration;
use crate::spanned::Spanned;

/// Alertmanager's `group_wait` where nothing is said.
const GROUP_WAIT: SignedDuration = SignedDuration::from_secs(30);
/// Alertmanager's `group_interval` where nothing is said.
const GROUP_INTERVAL: SignedDuration = SignedDuration::from_mins(5);
/// Alertmanager's `repeat_interval` where nothing is said.
const REPEAT_INTERVAL: SignedDuration = SignedDuration::from_hours(4);

/// The document of kind `Routing`, with inheritance applied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Routing {
    /// Receivers by name.
    pub receivers: BTreeMap<String, Receiver>,
    /// The root of the tree; it matches everything.
    pub route: Route,
    /// Which alerts keep others from being told.
    pub inhibit_rules: Vec<InhibitRule>,
    /// What routes name when they are muted or active.
    pub time_intervals: BTreeMap<String, Vec<TimeInterval>>,
}

impl Routing {
    /// Whether an instant is in an interval of this name; in one that is not known nothing is.
    #[must_use]
    pub fn is_in(&self, name: &str, at: Timestamp) -> bool {
        let intervals = self.time_intervals.get(name).into_iter().flatten();
        intervals.into_iter().any(|interval| interval.contains(at))
    }

    /// The next instant after `at` at which anything of this name may begin or end.
    #[must_use]
    pub fn next_change(&self, name: &str, at: Timestamp) -> Option<Timestamp> {
        let intervals = self.time_intervals.get(name).into_iter().flatten();
        intervals.filter_map(|interval| interval.next_change(at)).min()
    }
}

/// While an alert that matches `source` fires, alerts that match `target` and have the same values of the labels `equal`
/// are not told. An alert that matches both is not kept back by another that does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InhibitRule {
    /// What a source matches.
    pub source: Vec<Matcher>,
    /// What is kept back.
    pub target: Vec<Matcher>,
    /// Labels with the same value in both; a label that is absent is empty.
    pub equal: BTreeSet<String>,
}

impl InhibitRule {
    /// Whether an alert with these labels could keep others from being told.
    #[must_use]
    pub fn has_source(&self, labels: &Labels) -> bool {
        self.source.iter().all(|matcher| matcher.matches(labels))
    }

    /// Whether it could keep an alert with these labels from being told.
    #[must_use]
    pub fn has_target(&self, labels: &Labels) -> bool {
        self.target.iter().all(|matcher| matcher.matches(labels))
    }

    /// The values that must be the same in both.
    #[must_use]
    pub fn key(&self, labels: &Labels) -> Vec<String> {
        let value = |name: &String| labels.get(name).unwrap_or_default().to_owned();
        self.equal.iter().map(value).collect()
    }
}

impl Serialize for InhibitRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = |matchers: &[Matcher]| matchers.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut fields = serializer.serialize_struct("InhibitRule", 3)?;
        fields.serialize_field("source_matchers", &text(&self.source))?;
        fields.serialize_field("target_matchers", &text(&self.target))?;
        fields.serialize_field("equal", &self.equal)?;
        fields.end()
    }
}

/// Whom a route tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    /// Its name.
    pub name: Spanned<String>,
    /// The escalation policy to page by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<Spanned<String>>,
    /// Chat channels to post in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chat: Vec<Spanned<ChannelName>>,
    /// Webhooks of the document of kind `Channels`, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<Spanned<String>>,
    /// Mail addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub email: Vec<String>,
    /// Whether its channels are told what is over. Whoever is paged is told in any case.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub send_resolved: bool,
    /// What an Alertmanager's configuration has it told by.
    #[serde(skip_deserializing, skip_serializing_if = "Vec::is_empty")]
    pub integrations: Vec<Integration>,
}

/// One entry of an Alertmanager's receiver that Mainstay has a channel for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Integration {
    /// Its name among all that the configuration has: `team-X/slack[0]`.
    pub name: String,
    /// By which kind of channel it is told.
    pub channel: Channel,
    /// Whether it hears of the end of what it was told.
    pub send_resolved: bool,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_yes(value: &bool) -> bool {
    *value
}

impl Receiver {
    /// Everybody that a message to it goes to, but for those that its policy pages.
    #[must_use]
    pub fn recipients(&self) -> Vec<(Channel, Recipient)> {
        let chat = self
            .chat
            .iter()
            .map(|channel| (Channel::Chat, Recipient::ChatChannel(channel.value.clone())));
        let webhooks = self
            .webhooks
            .iter()
            .map(|name| (Channel::Webhook, Recipient::Receiver(name.value.clone())));
        let mail =
            (!self.email.is_empty()).then(|| (Channel::Email, Recipient::Receiver(self.name.value.clone())));
        let integrations = self.integrations.iter().map(Integration::recipient);
        chat.chain(webhooks).chain(mail).chain(integrations).collect()
    }

    /// The receiver as several, each of whose channels all hear of the end of what they were told, or none does.
    #[must_use]
    pub fn by_end(&self) -> Vec<Self> {
        let with = |send_resolved: bool| {
            let integrations = self.integrations.iter();
            let integrations = integrations.filter(|integration| integration.send_resolved == send_resolved);
            Self {
                name: self.name.clone(),
                page: None,
                chat: Vec::new(),
                webhooks: Vec::new(),
                email: Vec::new(),
                send_resolved,
                integrations: integrations.cloned().collect(),
            }
        };
        let own = Self {
            integrations: Vec::new(),
            ..self.clone()
        };
        match self.integrations.is_empty() {
            true => vec![own],
            false => vec![own, with(true), with(false)],
        }
    }
}

impl Integration {
    fn recipient(&self) -> (Channel, Recipient) {
        (self.channel, Recipient::Receiver(self.name.clone()))
    }
}

/// By which labels alerts are grouped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupBy {
    /// By all labels: `['...']`.
    All,
    /// By these; by none puts everything into one group.
    Labels(BTreeSet<String>),
}

impl GroupBy {
    /// The labels by which an alert is grouped.
    #[must_use]
    pub fn of(&self, labels: &Labels) -> Labels {
        match self {
            Self::All => labels.clone(),
            Self::Labels(names) => labels.filtered(|name| names.contains(name)),
        }
    }
}

/// An alert that begins more often than `starts` times `within` is flapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flapping {
    /// So often may it begin; at most 100. 0: nothing flaps.
    pub starts: u32,
    /// In so long; a day at most.
    #[serde(with = "duration::text")]
    pub within: SignedDuration,
}

/// One route, complete: what the document left out is inherited from the route above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The receiver's name.
    pub receiver: String,
    /// All must match; the root has none.
    pub matchers: Vec<Matcher>,
    /// By what to group.
    pub group_by: GroupBy,
    /// How long a new group waits for more.
    pub group_wait: SignedDuration,
    /// How long after a notification news of the group waits.
    pub group_interval: SignedDuration,
    /// After how long an unchanged group is told again.
    pub repeat_interval: SignedDuration,
    /// How often an alert may begin before it is flapping. Not Alertmanager's; left out, nothing flaps.
    pub flapping: Option<Flapping>,
    /// Whether all that it leads to is recorded and nothing leaves, beside a system that still pages. Not Alertmanager's.
    pub shadow: bool,
    /// Whether later siblings are tried too.
    pub continues: bool,
    /// In these time intervals it tells nobody. Not inherited.
    pub mute_time_intervals: Vec<String>,
    /// Outside these, if there are any, it tells nobody. Not inherited.
    pub active_time_intervals: Vec<String>,
    /// Tried in order; the first that matches takes the alert, unless it continues.
    pub routes: Vec<Route>,
}

impl Default for Route {
    fn default() -> Self {
        Self {
            receiver: String::new(),
            matchers: Vec::new(),
            group_by: GroupBy::Labels(BTreeSet::new()),
            group_wait: GROUP_WAIT,
            group_interval: GROUP_INTERVAL,
            repeat_interval: REPEAT_INTERVAL,
            flapping: None,
            shadow: false,
            continues: false,
            mute_time_intervals: Vec::new(),
            active_time_intervals: Vec::new(),
            routes: Vec::new(),
        }
    }
}

impl Route {
    /// The routes that take an alert with these labels, each as its path from the root: positions among siblings. Never
    /// empty, for the root matches everything.
    #[must_use]
    pub fn matching<'a>(&'a self, labels: &Labels) -> Vec<(Vec<usize>, &'a Self)> {
        let mut found = Vec::new();
        self.collect(labels, &mut Vec::new(), &mut found);
        found
    }

    fn collect<'a>(
        &'a self,
        labels: &Labels,
        path: &mut Vec<usize>,
        found: &mut Vec<(Vec<usize>, &'a Self)>,
    ) {
        let before = found.len();
        for (index, route) in self.routes.iter().enumerate() {
            if route.matchers.iter().all(|matcher| matcher.matches(labels)) {
                path.push(index);
                route.collect(labels, path, found);
                path.pop();
                if !route.continues {
                    break;
                }
            }
        }
        if found.len() == before {
            found.push((path.clone(), self));
        }
    }
}

impl Serialize for Route {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let matchers: Vec<String> = self.matchers.iter().map(ToString::to_string).collect();
        let length = 10 + usize::from(self.flapping.is_some()) + usize::from(self.shadow);
        let mut fields = serializer.serialize_struct("Route", length)?;
        fields.serialize_field("receiver", &self.receiver)?;
        fields.serialize_field("matchers", &matchers)?;
        fields.serialize_field("group_by", &self.group_by)?;
        fields.serialize_field("group_wait", &duration::format(self.group_wait))?;
        fields.serialize_field("group_interval", &duration::format(self.group_interval))?;
        fields.serialize_field("repeat_interval", &duration::format(self.repeat_interval))?;
        if let Some(flapping) = &self.flapping {
            fields.serialize_field("flapping", flapping)?;
        }
        if self.shadow {
            fields.serialize_field("shadow", &self.shadow)?;
        }
        fields.serialize_field("continue", &self.continues)?;
        fields.serialize_field("mute_time_intervals", &self.mute_time_intervals)?;
        fields.serialize_field("active_time_intervals", &self.active_time_intervals)?;
        fields.serialize_field("routes", &self.routes)?;
        fields.end()
    }
}

/// The `spec` as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoutingSpec {
    pub(crate) receivers: Vec<Receiver>,
    pub(crate) route: Spanned<RouteSpec>,
    #[serde(default)]
    pub(crate) inhibit_rules: Vec<InhibitSpec>,
    #[serde(default)]
    pub(crate) time_intervals: Vec<NamedIntervals>,
}

/// A rule of inhibition as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InhibitSpec {
    #[serde(default)]
    pub(crate) source_matchers: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) target_matchers: Vec<Spanned<String>>,
    /// Alertmanager's `source_match` and `source_match_re`.
    #[serde(skip)]
    pub(crate) older_source: Vec<Matcher>,
    /// Alertmanager's `target_match` and `target_match_re`.
    #[serde(skip)]
    pub(crate) older_target: Vec<Matcher>,
    #[serde(default)]
    pub(crate) equal: BTreeSet<String>,
}

/// A route as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteSpec {
    pub(crate) receiver: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) matchers: Vec<Spanned<String>>,
    /// Matchers that are not written as such: Alertmanager's `match` and `match_re`.
    #[serde(skip)]
    pub(crate) older_matchers: Vec<Matcher>,
    pub(crate) group_by: Option<Vec<Spanned<String>>>,
    #[serde(default, with = "duration::optional_text")]
    pub(crate) group_wait: Option<SignedDuration>,
    #[serde(default, with = "duration::optional_text")]
    pub(crate) group_interval: Option<SignedDuration>,
    #[serde(default, with = "duration::optional_text")]
    pub(crate) repeat_interval: Option<SignedDuration>,
    pub(crate) flapping: Option<Spanned<Flapping>>,
    pub(crate) shadow: Option<bool>,
    #[serde(default, rename = "continue")]
    pub(crate) continues: bool,
    #[serde(default)]
    pub(crate) mute_time_intervals: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) active_time_intervals: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) routes: Vec<RouteSpec>,
}
