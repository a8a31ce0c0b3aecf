//! The routes of an Alertmanager as routes of ours, as far as they can be said here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use mainstay_catalog::written::scalar;
use mainstay_catalog::{Documents, duration};
use mainstay_kernel::ChannelName;
use mainstay_kernel::parse_matcher;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The name of the receiver that pages, and of the escalation policy it pages by.
pub(super) const PAGES: &str = "mainstay-on-call";
/// How deep routes are nested at most.
const DEPTH_MAX: usize = 16;

/// What was made of a configuration.
#[derive(Debug, Default)]
pub(super) struct Drafted {
    /// The receivers, lines of YAML without indent.
    pub(super) receivers: Vec<String>,
    /// The root route's own settings, and the routes below it: lines of YAML.
    pub(super) root: Vec<String>,
    /// Routes below the root.
    pub(super) routes: Vec<String>,
    /// Webhooks that must be told where to send: name of the webhook.
    pub(super) webhooks: BTreeSet<String>,
    /// The teams that matchers name.
    pub(super) teams: BTreeSet<String>,
    /// The addresses that are written to.
    pub(super) addresses: Vec<String>,
    /// What cannot be carried over.
    pub(super) warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Config {
    route: Route,
    receivers: Vec<Receiver>,
    #[serde(default)]
    inhibit_rules: Vec<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Route {
    receiver: Option<String>,
    matchers: Vec<String>,
    #[serde(rename = "match")]
    equal: BTreeMap<String, String>,
    match_re: BTreeMap<String, String>,
    group_by: Option<Vec<String>>,
    group_wait: Option<String>,
    group_interval: Option<String>,
    repeat_interval: Option<String>,
    #[serde(rename = "continue")]
    continues: bool,
    mute_time_intervals: Vec<IgnoredAny>,
    active_time_intervals: Vec<IgnoredAny>,
    routes: Vec<Route>,
}

#[derive(Deserialize)]
struct Receiver {
    name: String,
    #[serde(default)]
    email_configs: Vec<Email>,
    #[serde(default)]
    slack_configs: Vec<Slack>,
    #[serde(default)]
    webhook_configs: Vec<IgnoredAny>,
    #[serde(flatten)]
    others: BTreeMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
struct Email {
    to: String,
}

#[derive(Deserialize)]
struct Slack {
    #[serde(default)]
    channel: String,
}

/// Ways to reach people by a service that pages: ours do that.
const PAGERS: [&str; 4] = [
    "pagerduty_configs",
    "opsgenie_configs",
    "victorops_configs",
    "pushover_configs",
];

/// Reads the text of a configuration, secrets left out as the Alertmanager shows it.
///
/// # Errors
/// If it is none, with the reason.
pub(super) fn drafted(text: &str) -> Result<Drafted, String> {
    let (documents, found) = Documents::from_texts([("alertmanager.yml", text)]);
    let document = documents.iter().next().ok_or_else(|| found.render_short())?;
    let config: Config = document
        .decode()
        .map_err(|error| format!("{}: {}", error.place(), error.message))?;
    let mut drafted = Drafted::default();
    for receiver in &config.receivers {
        drafted.receiver(receiver);
    }
    if !config.inhibit_rules.is_empty() {
        drafted.warn(format!(
            "{} inhibit_rules are left out: an incident takes in what happens inside its place",
            config.inhibit_rules.len()
        ));
    }
    let names: BTreeSet<&str> = config
        .receivers
        .iter()
        .map(|receiver| receiver.name.as_str())
        .collect();
    let root = &config.route;
    let receiver = root.receiver.as_deref().filter(|name| names.contains(name));
    let receiver = receiver.ok_or("its root route has no receiver")?;
    drafted.root.push(format!("receiver: {}", scalar(receiver)));
    drafted.root.extend(settings(root));
    let mut lines = Vec::new();
    for route in &root.routes {
        lines.extend(drafted.route(route, 0));
    }
    drafted.routes = lines;
    Ok(drafted)
}

impl Drafted {
    fn warn(&mut self, words: String) {
        self.warnings.push(words);
    }

    fn receiver(&mut self, receiver: &Receiver) {
        let mut line = format!("- {{name: {}", scalar(&receiver.name));
        let emails: Vec<&str> = receiver
            .email_configs
            .iter()
            .map(|email| email.to.as_str())
            .collect();
        let (templates, emails): (Vec<&str>, Vec<&str>) = emails
            .into_iter()
            .partition(|to| to.contains("{{") || !to.contains('@'));
        if !templates.is_empty() {
            self.warn(format!(
                "receiver {:?}: an address that is a template is left out",
                receiver.name
            ));
        }
        let emails: Vec<&str> = emails
            .iter()
            .flat_map(|to| to.split(','))
            .map(str::trim)
            .collect();
        self.addresses.extend(emails.iter().map(|to| (*to).to_owned()));
        let mut add = |key: &str, values: Vec<String>| {
            if !values.is_empty() {
                // Writing to a String cannot fail.
                let _ = write!(line, ", {key}: [{}]", values.join(", "));
            }
        };
        add("email", emails.iter().map(|to| scalar(to)).collect());
        let mut odd = false;
        let channels = receiver.slack_configs.iter().filter_map(|slack| {
            let channel = ChannelName::new(slack.channel.as_str());
            odd |= channel.is_err();
            Some(scalar(channel.ok()?.as_str()))
        });
        let channels: Vec<String> = channels.collect();
        add("chat", channels);
        if !receiver.webhook_configs.is_empty() {
            self.webhooks.insert(receiver.name.clone());
            add("webhooks", vec![scalar(&receiver.name)]);
        }
        let pagers: Vec<&String> = receiver
            .others
            .keys()
            .filter(|key| PAGERS.contains(&key.as_str()))
            .collect();
        if !pagers.is_empty() {
            let _ = write!(line, ", page: {PAGES}");
        }
        line.push('}');
        self.receivers.push(line);
        if odd {
            self.warn(format!(
                "receiver {:?}: a chat channel without a plain name is left out",
                receiver.name
            ));
        }
        if !pagers.is_empty() {
            self.warn(format!(
                "receiver {:?}: pages by {PAGES} now, not by another service",
                receiver.name
            ));
        }
        for key in receiver
            .others
            .keys()
            .filter(|key| key.ends_with("_configs") && !PAGERS.contains(&key.as_str()))
        {
            self.warn(format!("receiver {:?}: {key} are left out", receiver.name));
        }
    }

    /// A route and those below it. One whose conditions cannot be said is left out whole: with fewer it would take more.
    fn route(&mut self, route: &Route, depth: usize) -> Vec<String> {
        let mut matchers = Vec::new();
        let plain = route
            .equal
            .iter()
            .map(|(name, value)| format!("{name}={}", quoted(value)));
        let patterns = route
            .match_re
            .iter()
            .map(|(name, value)| format!("{name}=~{}", quoted(value)));
        for text in plain.chain(patterns).chain(route.matchers.iter().cloned()) {
            match parse_matcher(&text) {
                Ok(matcher) => {
                    if ["team", "owner"].contains(&matcher.name()) {
                        let names = matcher.value().split('|').filter(|name| is_name(name));
                        self.teams.extend(names.map(str::to_owned));
                    }
                    matchers.push(scalar(&matcher.to_string()));
                }
                Err(error) => {
                    self.warn(format!(
                        "the route with the matcher {text:?} is left out, and those below it: {error}"
                    ));
                    return Vec::new();
                }
            }
        }
        if depth >= DEPTH_MAX {
            self.warn(format!("routes below the {DEPTH_MAX}th level are left out"));
            return Vec::new();
        }
        if !route.mute_time_intervals.is_empty() || !route.active_time_intervals.is_empty() {
            self.warn(format!(
                "time intervals of the route with {} are left out: it holds at all times",
                matchers.join(", ")
            ));
        }
        let mut lines = Vec::new();
        if let Some(receiver) = &route.receiver {
            lines.push(format!("receiver: {}", scalar(receiver)));
        }
        lines.push(format!("matchers: [{}]", matchers.join(", ")));
        lines.extend(settings(route));
        if route.continues {
            lines.push("continue: true".to_owned());
        }
        let below: Vec<String> = route
            .routes
            .iter()
            .flat_map(|below| self.route(below, depth + 1))
            .collect();
        if !below.is_empty() {
            lines.push("routes:".to_owned());
            lines.extend(below.iter().map(|line| format!("  {line}")));
        }
        let item =
            |(index, line): (usize, &String)| format!("{}{line}", if index == 0 { "- " } else { "  " });
        lines.iter().enumerate().map(item).collect()
    }
}

fn settings(route: &Route) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(labels) = &route.group_by {
        let labels: Vec<String> = labels.iter().map(|label| scalar(label)).collect();
        lines.push(format!("group_by: [{}]", labels.join(", ")));
    }
    let times = [
        ("group_wait", &route.group_wait),
        ("group_interval", &route.group_interval),
        ("repeat_interval", &route.repeat_interval),
    ];
    for (key, time) in times {
        if let Some(time) = time.as_deref().and_then(|time| duration::parse(time).ok()) {
            lines.push(format!("{key}: {}", duration::format(time)));
        }
    }
    lines
}

fn quoted(value: &str) -> String {
    format!(
        "\"{}\"",
        value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
    )
}

/// Whether it is the name of a team, and no pattern.
pub(super) fn is_name(name: &str) -> bool {
    mainstay_kernel::TeamId::new(name).is_ok() && !name.contains(['.', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_carried_over_and_the_rest_is_said() {
        let text = r#"
route:
  receiver: mail
  group_by: [alertname]
  group_wait: 30s
  routes:
    - matchers: [team=~"shop|search", severity="critical"]
      receiver: pager
      continue: true
    - match: {team: pay}
      mute_time_intervals: [nights]
      routes: [{match_re: {severity: "warn.*"}, receiver: chat}]
    - matchers: ['{a="b",c="d"}']
receivers:
  - {name: mail, email_configs: [{to: ops@example.com}]}
  - {name: pager, pagerduty_configs: [{service_key: <secret>}]}
  - {name: chat, slack_configs: [{channel: '#ops'}], sns_configs: [{}]}
  - {name: hook, webhook_configs: [{url: <secret>}]}
inhibit_rules: [{source_matchers: [a="b"]}]
"#;
        let drafted = drafted(text).expect("a configuration");
        assert_eq!(
            drafted.receivers,
            [
                "- {name: mail, email: [\"ops@example.com\"]}",
                "- {name: pager, page: mainstay-on-call}",
                "- {name: chat, chat: [\"#ops\"]}",
                "- {name: hook, webhooks: [hook]}",
            ]
        );
        assert_eq!(
            drafted.root,
            ["receiver: mail", "group_by: [alertname]", "group_wait: 30s"]
        );
        assert_eq!(
            drafted.routes,
            [
                "- receiver: pager",
                r#"  matchers: ["team=~\"shop|search\"", "severity=\"critical\""]"#,
                "  continue: true",
                r#"- matchers: ["team=\"pay\""]"#,
                "  routes:",
                "    - receiver: chat",
                r#"      matchers: ["severity=~\"warn.*\""]"#,
            ]
        );
        let teams: Vec<&str> = drafted.teams.iter().map(String::as_str).collect();
        assert_eq!(teams, ["pay", "search", "shop"]);
        let said = drafted.warnings.join("\n");
        for part in [
            "inhibit_rules",
            "sns_configs",
            "another service",
            "time intervals",
            "{a=\\\"b\\\"",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}
