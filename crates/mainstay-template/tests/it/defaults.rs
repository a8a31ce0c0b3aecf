//! What Alertmanager defines before any file does.

use std::path::Path;

use mainstay_template::{Limits, Templates, Version};
use serde_json::{Value, json};

use super::support::{Amtool, data, data_of, now, written};

/// Where a package of Alertmanager puts its own definitions.
const PACKAGED: &str = "/usr/share/prometheus/alertmanager";

const NAMES: [&str; 34] = [
    "__alertmanager",
    "__alertmanagerURL",
    "__description",
    "__subject",
    "discord.default.message",
    "discord.default.title",
    "email.default.subject",
    "opsgenie.default.description",
    "opsgenie.default.message",
    "opsgenie.default.source",
    "pagerduty.default.client",
    "pagerduty.default.clientURL",
    "pagerduty.default.description",
    "pushover.default.message",
    "pushover.default.title",
    "pushover.default.url",
    "slack.default.callbackid",
    "slack.default.fallback",
    "slack.default.footer",
    "slack.default.iconemoji",
    "slack.default.pretext",
    "slack.default.text",
    "slack.default.title",
    "slack.default.titlelink",
    "slack.default.username",
    "sns.default.message",
    "sns.default.subject",
    "telegram.default.message",
    "victorops.default.entity_display_name",
    "victorops.default.monitoring_tool",
    "victorops.default.state_message",
    "webex.default.message",
    "wechat.default.message",
    "wechat.default.to_user",
];

/// Notifications of every shape that the definitions tell apart.
fn notifications() -> Vec<Value> {
    let plain = written();
    let mut annotated = plain.clone();
    annotated["commonAnnotations"] = json!({"summary": "one", "x": "two"});
    let mut over = plain.clone();
    over["alerts"] = json!([plain["alerts"][1]]);
    over["status"] = json!("resolved");
    over["groupLabels"] = json!({});
    over["commonLabels"] = json!({});
    let mut single = plain.clone();
    single["alerts"] = json!([plain["alerts"][0]]);
    single["commonLabels"] = plain["groupLabels"].clone();
    single["receiver"] = json!("a b/c&d");
    vec![plain, annotated, over, single]
}

#[test]
fn they_render_as_those_of_the_package() {
    let Some(amtool) = Amtool::find() else { return };
    if !Path::new(PACKAGED).is_dir() {
        eprintln!("skipped: no packaged definitions in {PACKAGED}");
        return;
    }
    let templates = Templates::with_defaults(Limits::default(), amtool.version);
    let files = Path::new(PACKAGED).join("*.tmpl");
    let path = amtool.directory().join("notification.json");
    for notification in notifications() {
        std::fs::write(&path, notification.to_string()).expect("written");
        let calls = NAMES.map(|name| format!("{{{{ template {name:?} . }}}}"));
        let lists = r#"{{ template "pagerduty.default.instances" .Alerts.Resolved }}{{ template "__text_alert_list" .Alerts.Firing }}"#;
        let text = format!("{}|{lists}|", calls.join("|"));
        let theirs = Amtool::render_with(&files, &path, false, &text);
        let ours = templates.text(&text, &data_of(&notification), &now());
        assert_eq!(ours.map_err(|error| error.to_string()), theirs, "{notification}");
    }
}

#[test]
fn a_mail_names_every_alert_and_escapes_what_alerts_bring() {
    let templates = Templates::with_defaults(Limits::default(), Version::V0_26);
    let html = templates
        .html("{{ template \"email.default.html\" . }}", &data(), &now())
        .expect("rendered");
    for part in [
        "AuthorisationLatency",
        "QueueDepth",
        "&lt;fast&gt;",
        "[2] Firing",
        "[1] Resolved",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(
        !html.contains("<script>") && !html.contains("\"javascript:"),
        "{html}"
    );
}

#[test]
fn a_file_defines_them_anew() {
    let mut templates = Templates::with_defaults(Limits::default(), Version::V0_26);
    let subject = "{{ define \"__subject\" }}mine{{ end }}";
    templates.add("own.tmpl", subject).expect("a template");
    assert_eq!(
        templates.text("{{ template \"slack.default.title\" . }}", &data(), &now()),
        Ok("mine".to_owned())
    );
}
