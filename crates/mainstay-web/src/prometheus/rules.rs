//! Rules and their alerts.

use axum::extract::State;
use mainstay_kernel::{Digest, Matcher, Reach};
use serde_json::{Value, json};

use super::answer::{Answered, Good};
use super::given::{Given, wrong};
use super::json;
use super::tenant::Within;
use crate::app::App;
use crate::view::{Alerting, Evaluated, QueryError, Rule, RuleAlert, RuleGroup};

/// Which kind of rule is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Alerting,
    Recording,
}

/// A page of groups.
struct Page<'a> {
    /// How many groups it has at most.
    limit: usize,
    /// What names its first group.
    token: Option<&'a str>,
}

pub(super) async fn rules(State(app): State<App>, given: Given) -> Answered {
    let selectors = given.selectors()?;
    let kind = match given.get("type").map(str::to_lowercase).as_deref() {
        None => None,
        Some("alert") => Some(Kind::Alerting),
        Some("record") => Some(Kind::Recording),
        Some(other) => return Err(wrong("type", &format!("not supported value {other:?}"))),
    };
    let alerts = match given.get("exclude_alerts").map(str::to_lowercase).as_deref() {
        None | Some("0" | "f" | "false") => true,
        Some("1" | "t" | "true") => false,
        Some(other) => {
            let problem = format!("error converting exclude_alerts: {other:?} is neither true nor false");
            return Err(wrong("exclude_alerts", &problem));
        }
    };
    let page = page(&given)?;
    let named = |parameter, name: &str| {
        let mut wanted = given.all(parameter).peekable();
        wanted.peek().is_none() || wanted.any(|wanted| wanted == name)
    };
    let is_wanted = |rule: &Rule| {
        let is_kind = |kind| (kind == Kind::Alerting) == rule.alerting.is_some();
        let is_selected =
            |matchers: &Vec<Matcher>| matchers.iter().all(|matcher| matcher.matches(&rule.labels));
        kind.is_none_or(is_kind)
            && named("rule_name[]", &rule.name)
            && (selectors.is_empty() || selectors.iter().any(is_selected))
    };

    let mut groups = rule_groups(&app, &given.reach).await?;
    if let Some(token) = page.as_ref().and_then(|page| page.token) {
        let Some(first) = groups.iter().position(|group| token_of(group) == token) else {
            let problem = format!("invalid group_next_token '{token}'. were rule groups changed?");
            return Err(wrong("group_next_token", &problem));
        };
        groups.drain(..first);
    }
    groups.retain(|group| named("rule_group[]", &group.name) && named("file[]", &group.file));
    for group in &mut groups {
        group.rules.retain(is_wanted);
    }
    groups.retain(|group| !group.rules.is_empty());
    let next = page.and_then(|page| groups.get(page.limit).map(|next| (page.limit, token_of(next))));
    if let Some((limit, _)) = &next {
        groups.truncate(*limit);
    }
    let groups: Vec<Value> = groups.iter().map(|group| group_json(group, alerts)).collect();
    let mut data = json!({ "groups": groups });
    if let Some((_, token)) = next {
        data["groupNextToken"] = token.into();
    }
    Ok(Good::data(data))
}

/// The groups of rules, with the alerts that are within reach: rules are the platform's, alerts bear labels of series.
async fn rule_groups(app: &App, reach: &Reach) -> Result<Vec<RuleGroup>, QueryError> {
    let mut groups = app.console.rule_groups().await?;
    let rules = groups.iter_mut().flat_map(|group| &mut group.rules);
    for alerting in rules.filter_map(|rule| rule.alerting.as_mut()) {
        alerting.alerts.retain(|alert| reach.includes(&alert.labels));
    }
    Ok(groups)
}

fn page(given: &Given) -> Result<Option<Page<'_>>, QueryError> {
    let token = given.get("group_next_token");
    match given.get("group_limit") {
        None if token.is_some() => Err(wrong(
            "group_next_token",
            "group_limit needs to be present in order to paginate over the groups",
        )),
        None => Ok(None),
        Some(text) => {
            let number: i32 = text
                .parse()
                .map_err(|_| wrong("group_limit", "group_limit needs to be a valid number"))?;
            match usize::try_from(number) {
                Ok(limit) if limit > 0 => Ok(Some(Page { limit, token })),
                _ => Err(wrong("group_limit", "group_limit needs to be greater than 0")),
            }
        }
    }
}

/// What names a group from page to page.
fn token_of(group: &RuleGroup) -> String {
    Digest::of(format!("{};{}", group.file, group.name).as_bytes()).to_string()
}

fn group_json(group: &RuleGroup, alerts: bool) -> Value {
    let mut value = json!({
        "name": group.name,
        "file": group.file,
        "rules": group.rules.iter().map(|rule| rule_json(rule, alerts)).collect::<Vec<_>>(),
        "interval": span_s(group.interval_ms),
        "limit": group.limit,
    });
    put_evaluated(&mut value, group.evaluated);
    value
}

fn rule_json(rule: &Rule, alerts: bool) -> Value {
    let health = match (&rule.last_error, rule.evaluated) {
        (Some(_), _) => "err",
        (None, Some(_)) => "ok",
        (None, None) => "unknown",
    };
    let mut value = json!({
        "name": rule.name,
        "query": rule.query,
        "labels": rule.labels,
        "health": health,
        "type": "recording",
    });
    if let Some(error) = &rule.last_error {
        value["lastError"] = error.as_str().into();
    }
    put_evaluated(&mut value, rule.evaluated);
    if let Some(alerting) = &rule.alerting {
        value["type"] = "alerting".into();
        value["state"] = state(rule, alerting).into();
        value["duration"] = span_s(alerting.for_ms);
        value["keepFiringFor"] = span_s(alerting.keep_firing_for_ms);
        value["annotations"] = json!(alerting.annotations);
        value["alerts"] = if alerts {
            alerting.alerts.iter().map(alert_json).collect()
        } else {
            Value::Null
        };
    }
    value
}

fn state(rule: &Rule, alerting: &Alerting) -> &'static str {
    match alerting.alerts.iter().map(|alert| alert.firing).max() {
        Some(true) => "firing",
        Some(false) => "pending",
        None if rule.evaluated.is_none() => "unknown",
        None => "inactive",
    }
}

fn put_evaluated(value: &mut Value, evaluated: Option<Evaluated>) {
    /// How Go writes an instant that is none.
    const NEVER: &str = "0001-01-01T00:00:00Z";
    value["evaluationTime"] = evaluated.map_or(0.0, |evaluated| evaluated.took_s).into();
    value["lastEvaluation"] = evaluated
        .map_or_else(|| NEVER.to_owned(), |evaluated| evaluated.at.to_string())
        .into();
}

pub(super) async fn alerts(State(app): State<App>, Within(reach): Within) -> Answered {
    let groups = rule_groups(&app, &reach).await?;
    let rules = groups.iter().flat_map(|group| &group.rules);
    let alerts = rules
        .filter_map(|rule| rule.alerting.as_ref())
        .flat_map(|alerting| &alerting.alerts);
    let alerts: Vec<Value> = alerts.map(alert_json).collect();
    Ok(Good::data(json!({ "alerts": alerts })))
}

fn alert_json(alert: &RuleAlert) -> Value {
    let mut number = String::new();
    if alert.value.is_finite() {
        json::exponential(&mut number, alert.value);
    } else {
        json::float(&mut number, alert.value);
    }
    let mut value = json!({
        "labels": alert.labels,
        "annotations": alert.annotations,
        "state": if alert.firing { "firing" } else { "pending" },
        "activeAt": alert.active_at,
        "value": number,
    });
    if let Some(since) = alert.keep_firing_since {
        value["keepFiringSince"] = json!(since);
    }
    value
}

/// Mainstay tells its own alerts itself: there is no Alertmanager that it sends them to.
pub(super) async fn alertmanagers() -> Answered {
    Ok(Good::data(json!({
        "activeAlertmanagers": [],
        "droppedAlertmanagers": [],
    })))
}

/// Milliseconds as seconds; a whole number where they are.
fn span_s(ms: i64) -> Value {
    if ms % 1_000 == 0 {
        return (ms / 1_000).into();
    }
    #[expect(clippy::cast_precision_loss, reason = "2^53 milliseconds are 285,000 years")]
    let seconds = ms as f64 / 1_000.0;
    seconds.into()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use mainstay_kernel::Labels;

    use super::*;

    fn rule(firing: &[bool]) -> Rule {
        let alert = |firing: &bool| RuleAlert {
            labels: Labels::from_iter([("alertname", "Down")]),
            annotations: Labels::new(),
            firing: *firing,
            active_at: Timestamp::UNIX_EPOCH,
            keep_firing_since: None,
            value: 0.25,
        };
        Rule {
            name: "Down".to_owned(),
            query: "up == 0".to_owned(),
            labels: Labels::new(),
            evaluated: Some(Evaluated {
                at: Timestamp::UNIX_EPOCH,
                took_s: 0.5,
            }),
            last_error: None,
            alerting: Some(Alerting {
                for_ms: 90_000,
                keep_firing_for_ms: 0,
                annotations: Labels::new(),
                alerts: firing.iter().map(alert).collect(),
            }),
        }
    }

    #[test]
    fn a_rule_is_as_bad_as_its_worst_alert() {
        for (firing, expected) in [
            (&[][..], "inactive"),
            (&[false], "pending"),
            (&[false, true], "firing"),
        ] {
            assert_eq!(rule_json(&rule(firing), true)["state"], expected);
        }
    }

    #[test]
    fn an_alert_as_prometheus_writes_it() {
        let value = rule_json(&rule(&[true]), true);
        assert_eq!(
            value["alerts"][0],
            json!({
                "labels": {"alertname": "Down"},
                "annotations": {},
                "state": "firing",
                "activeAt": "1970-01-01T00:00:00Z",
                "value": "2.5e-01",
            })
        );
        assert_eq!((&value["duration"], &value["health"]), (&json!(90), &json!("ok")));
        assert_eq!(rule_json(&rule(&[true]), false)["alerts"], Value::Null);
    }
}
