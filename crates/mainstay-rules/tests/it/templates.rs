//! Templates, as Prometheus expands them.

use mainstay_kernel::Labels;
use mainstay_promql::{Limits, MemorySamples};
use mainstay_rules::template::{Data, Template};

fn expand(text: &str, value: f64) -> Result<String, String> {
    let labels: Labels = [("instance", "pay-1:8080"), ("job", "payment-service")]
        .into_iter()
        .collect();
    let external: Labels = [("region", "af-east")].into_iter().collect();
    let mut store = MemorySamples::new();
    for (name, id, value) in [("m", "b", 2.0), ("m", "a", 1.5)] {
        let labels: Labels = [("__name__", name), ("id", id)].into_iter().collect();
        store.append(&std::sync::Arc::new(labels), 60_000, value);
    }
    let data = Data {
        labels: &labels,
        value,
        external_labels: &external,
        external_url: "https://mainstay.example/base",
        at_ms: 60_000,
        store: &store,
        limits: &Limits::default(),
    };
    Template::parse(text)
        .map_err(|error| error.to_string())?
        .expand(&data)
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(expand(text, 0.0512).as_deref(), Ok(expected), "{text}");
}

#[test]
fn labels_and_values() {
    check(
        "{{ $labels.instance }} {{.Labels.job}} {{$labels.none}}|",
        "pay-1:8080 payment-service |",
    );
    check(
        "{{ $value }} {{.Value}} {{ $value | humanizePercentage }}",
        "0.0512 0.0512 5.12%",
    );
    check("{{ $labels }}", "map[instance:pay-1:8080 job:payment-service]");
    check(
        "{{ $externalLabels.region }} {{ $externalURL }} {{ pathPrefix }}",
        "af-east https://mainstay.example/base /base",
    );
    check("plain {{/* a comment */}}text", "plain text");
    assert_eq!(expand("{{ $value }}", 1e6).as_deref(), Ok("1e+06"));
    assert_eq!(
        expand("{{ $value }}", 1_234_567.5).as_deref(),
        Ok("1.2345675e+06")
    );
    assert_eq!(expand("{{ $value }}", f64::INFINITY).as_deref(), Ok("+Inf"));
}

#[test]
fn control() {
    check(
        "{{ if gt $value 0.05 }}high{{ else if gt $value 0.01 }}mid{{ else }}low{{ end }}",
        "high",
    );
    check("{{ with $labels.none }}x{{ else }}none{{ end }}", "none");
    check(
        "{{ with $labels.job -}}  cluster {{ . }}{{- end }}.",
        "cluster payment-service.",
    );
    check(
        "{{ range $i, $m := query \"m\" | sortByLabel \"id\" }}{{ $i }}:{{ $m.Labels.id }}={{ .Value }} {{ end }}",
        "0:a=1.5 1:b=2 ",
    );
    check("{{ range query \"nothing\" }}x{{ else }}empty{{ end }}", "empty");
    check("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2");
    check(
        "{{ query \"m\" | sortByLabel \"id\" | first | label \"id\" }} {{ query \"m{id='b'}\" | first | value }}",
        "a 2",
    );
    check(
        "{{ define \"t\" }}{{ .arg0 }}-{{ .arg1 }}{{ end }}{{ template \"t\" (args \"x\" 99) }}",
        "x-99",
    );
    check(
        "{{ and true (not false) }} {{ or \"\" \"b\" }} {{ eq \"a\" \"b\" \"a\" }} {{ len \"abc\" }}",
        "true b true 3",
    );
}

#[test]
fn functions_of_the_compliance_rules() {
    check(
        "{{humanize 1048576}} {{humanize1024 1048576}} {{humanizeDuration 135.3563}} {{humanizePercentage 0.959}} {{humanizeTimestamp 1643114203}}",
        "1.049M 1Mi 2m 15s 95.9% 2022-01-25 12:36:43 +0000 UTC",
    );
    check(
        r#"{{title "this part"}} {{toUpper "is testing"}} {{toLower "THE STRINGS"}}. {{ stripPort "[::1]:6006"}} {{ stripPort "127.0.0.1:4004"}}. {{parseDuration "2h10m15s"}}. {{if match "[0-9]+" "1234"}}{{reReplaceAll "r.*d" "replaced" "rpld text"}}{{end}}. {{if match "[0-9]+$" "1234a"}}WRONG{{end}}."#,
        "This Part IS TESTING the strings. ::1 127.0.0.1. 7815. replaced text. .",
    );
    check(
        "{{ stripDomain \"a.b.c:80\" }} {{ stripDomain \"10.0.0.1:80\" }}",
        "a:80 10.0.0.1:80",
    );
    check(
        "{{ humanizeDuration 0.0899 }} {{ humanizeDuration 90061 }} {{ humanizeDuration \"59.5\" }}",
        "89.9ms 1d 1h 1m 1s 59.5s",
    );
    check(
        "{{ humanize 0.0000128 }} {{ humanize -1234 }} {{ humanize1024 0.5 }}",
        "12.8u -1.234k 0.5",
    );
}

#[test]
fn printf_as_go_does_it() {
    check(
        "{{ printf \"%.2f|%5.1f|%-6s|%06.2f|%d|%v|%q|%t\" 3.14159 2.5 \"ab\" 1.5 42 $value \"x\" true }}",
        "3.14|  2.5|ab    |001.50|42|0.0512|\"x\"|true",
    );
    check(
        "{{ printf \"%s\" $value }} {{ printf \"%d\" }} {{ printf \"%%\" }}",
        "%!s(float64=0.0512) %!d(MISSING) %",
    );
    check(
        "{{ printf \"%e %g %.3g\" 1234567.0 0.00001 1234567.0 }}",
        "1.234567e+06 1e-05 1.23e+06",
    );
    check("{{ $value | printf \"%.1f%s\" 2.0 }}", "2.0%!s(float64=0.0512)");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, expected) in [
        ("a\n  {{ $label.foo }}", "2:6: undefined variable \"$label\""),
        ("{{ nope }}", "1:4: function \"nope\" not defined"),
        (
            "{{ if true }}x",
            "1:1: unexpected end of template: {{end}} is missing",
        ),
        ("x{{ end }}", "1:2: unexpected {{end}}"),
        ("{{ $value ", "1:1: unclosed action"),
        ("{{ \"a }}", "1:4: unterminated quoted string"),
        ("{{ }}", "1:1: missing value for command"),
    ] {
        assert_eq!(expand(text, 1.0), Err(expected.to_owned()), "{text}");
    }
    assert!(expand("{{ query \"up ==\" }}", 1.0).is_err_and(|error| error.contains("parse error")));
    assert!(expand("{{ first (query \"nothing\") }}", 1.0).is_err_and(|error| error.contains("no elements")));
    assert!(
        expand(
            "{{ define \"t\" }}{{ template \"t\" . }}{{ end }}{{ template \"t\" . }}",
            1.0
        )
        .is_err()
    );
}
