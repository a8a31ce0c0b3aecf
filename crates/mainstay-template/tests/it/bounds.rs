//! No template takes more than it may, and none brings the process down.

use mainstay_template::{Error, Limits, Templates, Version};
use proptest::prelude::*;

use super::support::{Dice, data, now};

/// Runs on a stack as small as a worker thread's, so that recursion would show.
fn outcome(text: String) -> Result<String, Error> {
    let run = move || {
        let mut templates = Templates::new(Limits::default(), Version::V0_26);
        let _ = templates.add("same.tmpl", &text);
        let _ = templates.html(&text, &data(), &now());
        templates.text(&text, &data(), &now())
    };
    let thread = std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(run)
        .expect("a thread");
    thread.join().expect("no panic")
}

fn limit(text: &str) -> &'static str {
    match outcome(text.to_owned()) {
        Err(Error::Limit { what, .. }) => what,
        other => panic!("{text:.80}: {other:?}"),
    }
}

#[test]
fn what_never_ends_is_ended() {
    let nested = "templates and blocks inside of one another";
    assert_eq!(
        limit("{{ define \"x\" }}{{ template \"x\" . }}{{ end }}{{ template \"x\" . }}"),
        nested
    );
    assert_eq!(
        limit(
            "{{ define \"x\" }}{{ if true }}{{ with . }}{{ template \"x\" ((.)) }}{{ end }}{{ end }}{{ end }}{{ template \"x\" . }}"
        ),
        nested
    );
    let again = "{{ range $.Alerts }}".repeat(20) + &"{{ end }}".repeat(20);
    assert_eq!(limit(&again), "steps");
    let doubled = "{{ $x := \"0123456789\" }}".to_owned() + &"{{ $x = print $x $x }}".repeat(40);
    assert_eq!(limit(&doubled), "bytes");
    assert_eq!(limit("{{ printf \"%999999d%999999d%999999d\" 1 1 1 }}"), "bytes");
    assert_eq!(
        limit("{{ range .Alerts }}{{ printf \"%999999d\" 1 }}{{ end }}"),
        "bytes"
    );
    let deep = "{{ $x := list }}".to_owned() + &"{{ $x = list $x }}".repeat(40);
    assert_eq!(limit(&deep), "values inside of one another");
    let wide =
        "{{ $x := list 1 }}".to_owned() + &"{{ $x = list $x $x $x $x $x $x $x $x }}".repeat(25) + "{{ $x }}";
    assert_eq!(limit(&wide), "bytes");
    assert_eq!(
        limit(&("{{ ".to_owned() + &"(".repeat(200) + "1" + &")".repeat(200) + " }}")),
        "levels of nesting"
    );
    assert_eq!(
        limit(&("{{ if 1 }}".repeat(200) + &"{{ end }}".repeat(200))),
        "levels of nesting"
    );
    assert_eq!(limit(&"x".repeat(300 << 10)), "bytes of template");
    let grown = "{{ $x := `0123456789` }}".to_owned()
        + &"{{ $x = print $x $x }}".repeat(12)
        + "{{ $x = reReplaceAll `` $x $x }}";
    assert_eq!(limit(&grown), "bytes");
    assert!(outcome("{{ match `(a{1000}){1000}` `a` }}".to_owned()).is_err());
}

const PIECES: [&str; 60] = [
    "{{",
    "}}",
    "{{-",
    "-}}",
    " ",
    "(",
    ")",
    "|",
    ".",
    ".Alerts",
    ".Labels",
    "$",
    "$x",
    ":=",
    "=",
    ",",
    "if",
    "else",
    "end",
    "range",
    "with",
    "define",
    "template",
    "block",
    "break",
    "continue",
    "nil",
    "true",
    "\"a\"",
    "`b`",
    "'c'",
    "1",
    "-2",
    "0x1f",
    "1e400",
    "99999999999999999999",
    "1.5",
    "/*",
    "*/",
    "index",
    "slice",
    "printf",
    "\"%[3]*.[2]*[1]f\"",
    "\"%#+v\"",
    "%",
    "eq",
    "and",
    "<",
    "<a href=",
    "\"",
    "'",
    ">",
    "<!--",
    "-->",
    "<style>",
    "toJson",
    "reReplaceAll",
    "\u{20ac}",
    "\n",
    "humanizeDuration",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_rendered_or_refused(text in ".{0,80}") {
        let _ = outcome(text);
    }

    #[test]
    fn any_action_is_rendered_or_refused(inner in "[ -~]{0,40}") {
        let _ = outcome(format!("{{{{ {inner} }}}}"));
    }

    #[test]
    fn any_pieces_are_rendered_or_refused(seed: u64) {
        let mut dice = Dice::new(seed);
        let length = dice.roll(40);
        let text: String = (0..length).map(|_| dice.pick(&PIECES)).collect::<Vec<_>>().join(dice.pick(&["", " "]));
        let _ = outcome(text);
    }

    #[test]
    fn printf_takes_any_format(format in "(%[-+# 0]{0,2}[0-9]{0,2}(\\.[0-9]?)?(\\[[0-9]\\])?[a-zA-Z%*]?|.){0,6}") {
        let quoted = format.replace('`', "");
        let _ = outcome(format!("{{{{ printf `{quoted}` 1 `a` 2.5 true nil .Alerts (index .Alerts 0).StartsAt }}}}"));
    }
}
