//! What amtool 0.25 cannot say: functions that came later, places of errors, several files.

use mainstay_template::{Error, Limits, Templates, Version};

use super::support::{data, now, ours};

fn rendered(text: &str) -> String {
    ours(false, text, Version::V0_26).unwrap_or_else(|error| format!("error: {error}"))
}

#[test]
fn functions_after_0_25_do_what_their_documentation_says() {
    let cases = [
        ("{{ trimSpace ` \t a b \n` }}", "a b"),
        (
            r#"{{ (index .Alerts 0).StartsAt | date "2006-01-02 15:04" }}"#,
            "2026-03-01 04:05",
        ),
        (
            r#"{{ (index .Alerts 0).StartsAt | tz "Europe/Berlin" | date "15:04 MST -07:00" }}"#,
            "05:05 CET +01:00",
        ),
        (r#"{{ since (index .Alerts 0).StartsAt }}"#, "54m53.876543211s"),
        (
            r#"{{ since (index .Alerts 0).StartsAt | humanizeDuration }}"#,
            "54m 53s",
        ),
        (
            r#"{{ humanizeDuration 90061 }} {{ humanizeDuration 0.0123 }} {{ humanizeDuration "-3.14159" }}"#,
            "1d 1h 1m 1s 12.3ms -3.142s",
        ),
        (
            r#"{{ toJson .GroupLabels }}"#,
            r#"{"alertname":"AuthorisationLatency","cell":"eu-1"}"#,
        ),
        (r#"{{ toJson "<a&b>" }}"#, r#""\u003ca\u0026b\u003e""#),
        (
            r#"{{ toJson (index .Alerts 2) }}"#,
            r#"{"status":"firing","labels":{"Names":"a label called as a method","alertname":"Aß","n":"42","zz":"+1=2 `tick`"},"annotations":{},"startsAt":"2024-02-29T12:00:00.000001Z","endsAt":"2024-02-29T12:00:01Z","generatorURL":"ftp://files.example/x?y=z","fingerprint":"ffffffffffffffff"}"#,
        ),
        (r#"{{ urlUnescape "a%20b+c" }}"#, "a b c"),
        (
            r#"{{ $d := dict "a" 1 "b" (list 1 "x") }}{{ $d.a }}{{ index $d.b 1 }}{{ len (append $d.b 2 3) }}{{ $d.c }}"#,
            "1x4<no value>",
        ),
        (
            r#"{{ base64encode "a?>~" }} {{ base64decode "YT8-fg==" }}"#,
            "YT8-fg== a?>~",
        ),
        (
            r#"{{ .GroupLabels }} {{ .GroupLabels.SortedPairs }}"#,
            "alertname=AuthorisationLatency, cell=eu-1 alertname=AuthorisationLatency, cell=eu-1",
        ),
        (
            r#"{{ .GroupLabels.Values.Join "/" }}"#,
            "AuthorisationLatency/eu-1",
        ),
        (
            r#"{{ range $i, $x = .GroupLabels.Values }}{{ end }}"#,
            "error: 1:10: undefined variable: $i",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(rendered(text), expected, "{text}");
    }
}

#[test]
fn a_url_that_is_said_to_be_safe_is_kept() {
    let html = |text| ours(true, text, Version::V0_26);
    assert_eq!(
        html(r#"<a href="{{ safeUrl "slack://x" }}">"#),
        Ok(r#"<a href="slack://x">"#.to_owned())
    );
    assert_eq!(
        html(r#"<a href="{{ "slack://x" }}">"#),
        Ok(r##"<a href="#ZgotmplZ">"##.to_owned())
    );
}

#[test]
fn an_error_says_where_it_is() {
    let cases = [
        (
            "a\nb {{ .Foo }}",
            "2:6: can't evaluate field Foo in type template.Data",
        ),
        ("ü{{ nope }}", "1:5: function \"nope\" not defined"),
        (
            "{{ if true }}\n\n",
            "3:1: unexpected end of the template, expected {{end}}",
        ),
        (
            "{{ .Status | toUpper 1 }}",
            "1:14: wrong number of args for toUpper: want 1 got 2",
        ),
        ("{{ template \"x\" }}", "1:4: template \"x\" not defined"),
        ("{{ 1i }}", "1:4: a complex number is not supported"),
        ("{{ \"x }}", "1:4: unterminated quoted string"),
    ];
    for (text, expected) in cases {
        assert_eq!(rendered(text), format!("error: {expected}"), "{text}");
    }
}

#[test]
fn definitions_of_several_files_come_together() {
    let mut templates = Templates::new(Limits::default(), Version::V0_26);
    templates
        .add("dir/a.tmpl", "outside{{ define \"x\" }}1{{ end }}")
        .expect("read");
    templates
        .add(
            "b.tmpl",
            "{{ define \"x\" }}2{{ end }}{{ define \"bad\" }}\n{{ .Nope }}{{ end }}",
        )
        .expect("read");
    templates
        .add("c.tmpl", "{{ define \"x\" }} {{ end }}")
        .expect("read");
    let render = |text| templates.text(text, &data(), &now());
    assert_eq!(
        render("{{ template \"x\" }}{{ template \"a.tmpl\" }}"),
        Ok("2outside".to_owned())
    );
    let error = render("{{ template \"bad\" . }}").expect_err("no such field");
    assert!(matches!(error, Error::Execution { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "b.tmpl:2:4: can't evaluate field Nope in type template.Data"
    );
    assert!(templates.add("d.tmpl", "{{ end }}").is_err());
    assert!(templates.check("{{ .Anything }}").is_ok() && templates.check("{{ }}").is_err());
}

#[test]
fn actions_that_could_not_be_made_safe_are_refused() {
    for text in [
        "<a {{ .Status }}=1>",
        "<a style=\"color: {{ .Status }}\">",
        "<a onclick=\"{{ .Status }}\">",
        "<img srcset=\"{{ .Status }}\">",
        "<style>{{ .Status }}</style>",
        "<script>1</script>",
    ] {
        let error = ours(true, text, Version::V0_26).expect_err(text);
        assert!(
            error.ends_with("is not supported") || error.contains("tag"),
            "{text}: {error}"
        );
    }
}
