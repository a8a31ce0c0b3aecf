//! The document of kind `Channels`, as the guide shows it, and with one defect each.

use std::collections::BTreeMap;

use mainstay_catalog::{Catalog, Documents};

use crate::here;

/// The document of the guide.
fn shown() -> String {
    let guide = std::fs::read_to_string(here("../../docs/guide/channels.md")).expect("the guide is there");
    let (_, rest) = guide.split_once("```yaml\n").expect("a document");
    rest.split_once("```").expect("its end").0.to_owned()
}

/// What is found in the small catalog with this document, with `sms` and `voice` in its policy and these contacts of all.
fn found(channels: &str, contacts: &str) -> (Catalog, Vec<(String, String)>) {
    let (good, _) = Documents::load(&here("tests/good"));
    let mut files: BTreeMap<String, String> = good
        .files()
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .collect();
    let routing = files.get_mut("routing.yaml").expect("routing");
    let (_, rest) = routing.split_once("---\n").expect("two documents");
    *routing = format!(
        "{channels}---\n{}",
        rest.replace("[audit]", "[bank, payments, operations, night]")
    );
    let oncall = files.get_mut("oncall.yaml").expect("on-call");
    *oncall = oncall
        .replace("P0: [email, chat]", "P0: [voice, sms]")
        .replace("P1: [email]", "P1: [sms]");
    for text in files.values_mut() {
        *text = text
            .lines()
            .map(|line| match line.find("contacts: {") {
                Some(at) if line.contains("role:") => format!("{}contacts: {{{contacts}}}}}\n", &line[..at]),
                _ => format!("{line}\n"),
            })
            .collect();
    }
    let (documents, mut diagnostics) = Documents::from_texts(files);
    let catalog = Catalog::build(documents, &mut diagnostics);
    let found = diagnostics
        .iter()
        .map(|one| (one.lint.to_string(), one.message.clone()));
    (catalog, found.collect())
}

const PHONE: &str = r#"phone: "+27115550100""#;

#[test]
fn the_guides_document_is_in_order_and_serves_a_policy_that_calls() {
    let (catalog, found) = found(&shown(), PHONE);
    assert_eq!(found, []);
    let mut names: Vec<_> = catalog.response.channels.receivers().collect();
    names.sort_unstable();
    assert_eq!(names, ["bank", "night", "operations", "payments", "tickets"]);
}

#[test]
fn no_secret_of_any_channel_may_be_written_out() {
    let secrets = [
        "SLACK_TOKEN",
        "TWILIO_TOKEN",
        "BANK_HOOK_SECRET",
        "PAGERDUTY_KEY",
        "TEAMS_URL",
        "NTFY_TOKEN",
    ];
    for secret in secrets {
        let written = shown().replace(&format!("${{{secret}}}"), "https://written.example/out");
        assert_ne!(written, shown(), "{secret}");
        let (_, found) = found(&written, PHONE);
        let lints: Vec<_> = found.iter().map(|(lint, _)| lint.as_str()).collect();
        assert_eq!(lints, ["secret-in-catalog"], "{secret}: {found:?}");
    }
}

#[test]
fn who_has_no_telephone_cannot_be_called_and_nobody_can_without_a_provider() {
    for contacts in ["email: a@b.example", r#"phone: "0115550100""#] {
        let (_, unreachable) = found(&shown(), contacts);
        assert!(
            !unreachable.is_empty() && unreachable.iter().all(|(lint, _)| lint == "unreachable-person"),
            "{unreachable:?}"
        );
    }
    let without: String = shown()
        .lines()
        .filter(|line| !line.starts_with("    ") && !line.contains("telephone"))
        .map(|line| format!("{line}\n"))
        .collect();
    let (_, unknown) = found(&without, PHONE);
    assert!(
        !unknown.is_empty()
            && unknown
                .iter()
                .all(|(lint, message)| lint == "unknown-reference" && message.contains("by ")),
        "{unknown:?}"
    );
}

#[test]
fn a_name_means_one_receiver_and_a_secret_has_its_webhook() {
    let (_, twice) = found(&shown().replace("ntfy: {night:", "ntfy: {bank:"), PHONE);
    assert!(
        twice
            .iter()
            .any(|(lint, message)| lint == "duplicate-name" && message.ends_with("bank")),
        "{twice:?}"
    );
    let (_, none) = found(
        &shown().replace("webhook_secrets: {bank:", "webhook_secrets: {bonk:"),
        PHONE,
    );
    assert!(
        matches!(&none[..], [(lint, message)] if lint == "unknown-reference" && message.contains("bonk")),
        "{none:?}"
    );
}

#[test]
fn a_bridge_that_nobody_could_join_is_found_at_its_place() {
    let written = |from: &str, to: &str| {
        let text = shown().replace(from, to);
        assert_ne!(text, shown(), "{from}");
        found(&text, PHONE).1
    };
    let (url, phone) = ("https://meet.shop.example/p0", "+27115550100,,1234#");
    for (from, to) in [
        (url, "http://meet.shop.example/p0"),
        (url, "https:///p0"),
        (url, "meet.shop.example/p0"),
        (url, "https://meet.shop.example/p 0"),
        (url, "https://meet.shop.example/<p0>"),
        (url, &format!("https://meet.shop.example/{}", "x".repeat(300))),
        (phone, "0115550100"),
        (phone, "+27115550100 1234"),
        (phone, &format!("+27115550100{}", ",".repeat(60))),
    ] {
        let found = written(from, to);
        assert_eq!(found.len(), 1, "{to}: {found:?}");
        assert!(
            found[0].0 == "bad-value" && found[0].1.contains("bridge"),
            "{to}: {found:?}"
        );
    }
    for (from, to) in [
        (url, "${BRIDGE_URL}"),
        (url, "https://meet.shop.example"),
        (phone, "+27115550100"),
        (phone, "${BRIDGE_PHONE}"),
    ] {
        assert_eq!(written(from, to), [], "{to}");
    }
    let (documents, mut diagnostics) =
        Documents::from_texts([("channels.yaml", shown().replace(url, "http://m"))]);
    let _catalog = Catalog::build(documents, &mut diagnostics);
    let said = diagnostics.render_short();
    assert!(
        said.contains(
            "channels.yaml:19:17: error[bad-value]: the link to the bridge does not begin with https://"
        ),
        "{said}"
    );
}
