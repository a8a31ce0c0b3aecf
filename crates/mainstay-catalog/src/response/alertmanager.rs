//! The routing as a configuration that Alertmanager reads: for amtool and whoever else asks an Alertmanager what it does.
//! Receivers have no addresses there: those are Mainstay's own.

use mainstay_kernel::Matcher;
use serde_json::{Map, Value, json};

use super::{GroupBy, Route, Routing};
use crate::duration;

fn matchers(matchers: &[Matcher]) -> Vec<String> {
    matchers.iter().map(ToString::to_string).collect()
}

impl Routing {
    /// The configuration, as JSON, which is YAML.
    #[must_use]
    pub fn to_alertmanager(&self) -> Value {
        let receivers: Vec<Value> = self.receivers.keys().map(|name| json!({"name": name})).collect();
        let rules: Vec<Value> = self
            .inhibit_rules
            .iter()
            .map(|rule| {
                json!({
                    "source_matchers": matchers(&rule.source),
                    "target_matchers": matchers(&rule.target),
                    "equal": rule.equal,
                })
            })
            .collect();
        let intervals: Vec<Value> = self
            .time_intervals
            .iter()
            .map(|(name, intervals)| {
                let written: Vec<Value> = intervals
                    .iter()
                    .map(super::TimeInterval::to_alertmanager)
                    .collect();
                json!({"name": name, "time_intervals": written})
            })
            .collect();
        json!({
            "route": self.route.to_alertmanager(),
            "receivers": receivers,
            "inhibit_rules": rules,
            "time_intervals": intervals,
        })
    }
}

impl Route {
    fn to_alertmanager(&self) -> Value {
        let group_by: Vec<&str> = match &self.group_by {
            GroupBy::All => vec!["..."],
            GroupBy::Labels(names) => names.iter().map(String::as_str).collect(),
        };
        let mut route = Map::new();
        let mut put = |name: &str, value: Value| route.insert(name.to_owned(), value);
        put("receiver", json!(self.receiver));
        put("group_by", json!(group_by));
        put("group_wait", json!(duration::format(self.group_wait)));
        put("group_interval", json!(duration::format(self.group_interval)));
        put("repeat_interval", json!(duration::format(self.repeat_interval)));
        for (name, list) in [
            ("matchers", matchers(&self.matchers)),
            ("mute_time_intervals", self.mute_time_intervals.clone()),
            ("active_time_intervals", self.active_time_intervals.clone()),
        ] {
            if !list.is_empty() {
                put(name, json!(list));
            }
        }
        if self.continues {
            put("continue", json!(true));
        }
        if !self.routes.is_empty() {
            let below: Vec<Value> = self.routes.iter().map(Self::to_alertmanager).collect();
            put("routes", json!(below));
        }
        Value::Object(route)
    }
}
