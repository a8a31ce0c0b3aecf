//! Alertmanager's own configuration file in the hands of a user.

use super::{run, told};

const FILE: &str = r##"
global:
  slack_api_url: https://hooks.slack.com/services/T0/B0/hush
route:
  receiver: chat
  routes:
    - matchers: ['severity="critical"']
      receiver: pager
receivers:
  - name: chat
    slack_configs: [{channel: '#ops', title: '{{ .Status }}'}]
  - name: pager
    pagerduty_configs: [{routing_key: hush}]
    opsgenie_configs: [{api_key: hush}]
templates: ['*.tmpl']
"##;

#[test]
fn it_is_checked_explained_and_imported() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("alertmanager.yml");
    std::fs::write(&path, FILE).expect("written");
    let path = path.to_str().expect("text").to_owned();

    let checked = told(&run(&["check", &path]));
    assert!(checked.starts_with("exit code: 0"), "{checked}");
    assert!(checked.contains("no channel to opsgenie"), "{checked}");
    assert!(!checked.contains("hush"), "{checked}");

    let explained = told(&run(&["route", "explain", "--file", &path, "severity=critical"]));
    assert!(explained.contains("\npager "), "{explained}");

    let made = directory.path().join("made");
    let made_text = made.to_str().expect("text").to_owned();
    let imported = told(&run(&["import", "alertmanager", &path, "-o", &made_text]));
    assert!(imported.starts_with("exit code: 0"), "{imported}");
    for part in ["`title` of chat/slack[0]", "SLACK_URL", "PAGER_PAGERDUTY_0__KEY"] {
        assert!(imported.contains(part), "{part}: {imported}");
    }
    let routing = std::fs::read_to_string(made.join("routing.yaml")).expect("written");
    let channels = std::fs::read_to_string(made.join("channels.yaml")).expect("written");
    assert!(!format!("{imported}{routing}{channels}").contains("hush"));
    let again = told(&run(&[
        "check",
        made.join("routing.yaml").to_str().expect("text"),
    ]));
    assert!(again.starts_with("exit code: 0"), "{again}\n{routing}");
    let again = told(&run(&[
        "check",
        made.join("channels.yaml").to_str().expect("text"),
    ]));
    assert!(again.starts_with("exit code: 0"), "{again}\n{channels}");

    std::fs::write(
        directory.path().join("bad.tmpl"),
        "{{ define \"x\" }}\n{{ nope }}{{ end }}",
    )
    .expect("written");
    let broken = told(&run(&["check", &path]));
    assert!(broken.contains("bad.tmpl:2:"), "{broken}");
    assert!(broken.starts_with("exit code: 3"), "{broken}");
}
