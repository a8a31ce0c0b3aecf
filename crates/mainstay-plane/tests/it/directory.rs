//! Where messages go, from the document that the guide shows.

use std::collections::BTreeMap;
use std::path::Path;

use mainstay_catalog::{Catalog, Diagnostics, Documents};
use mainstay_delivery::channel::Address;
use mainstay_kernel::effect::{Channel, Deliver, Message, Recipient};
use mainstay_kernel::{IncidentId, PersonId, Severity};
use mainstay_plane::Directory;

const PEOPLE: &str = r#"
apiVersion: mainstay/v1
kind: People
items:
  - {id: ann, name: Ann, role: Engineer, team: shop, contacts: {phone: "+27115550100", chat: "@ann"}}
"#;

fn catalog() -> Catalog {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/channels.md");
    let guide = std::fs::read_to_string(guide).expect("the guide is there");
    let (_, rest) = guide.split_once("```yaml\n").expect("a document");
    let (document, _) = rest.split_once("```").expect("its end");
    let files = BTreeMap::from([
        ("channels.yaml".to_owned(), document.to_owned()),
        ("people.yaml".to_owned(), PEOPLE.to_owned()),
    ]);
    let (documents, _) = Documents::from_texts(files);
    Catalog::build(documents, &mut Diagnostics::default())
}

fn lookup(name: &str) -> Option<String> {
    Some(match name {
        "TEAMS_URL" => "https://teams.example/hook".to_owned(),
        other => format!("the {other}"),
    })
}

fn address(directory: &Directory, channel: Channel, to: Recipient) -> Result<Address, String> {
    directory.address(&Deliver {
        channel,
        to,
        message: Message {
            subject: String::new(),
            body: String::new(),
            severity: Severity::P0,
            resolved: false,
            incident: None,
            page: None,
            path: "/".to_owned(),
            notification: None,
            change: None,
        },
    })
}

#[test]
fn every_channel_of_the_guide_has_its_address() {
    let directory = Directory::new(&catalog(), lookup).expect("every variable is set");
    let receiver = |name: &str| address(&directory, Channel::Webhook, Recipient::Receiver(name.to_owned()));
    let expected = [
        (
            "bank",
            Address::SignedWebhook {
                url: "https://ops.bank.example/hook".to_owned(),
                secret: "the BANK_HOOK_SECRET".to_owned().into(),
            },
        ),
        (
            "payments",
            Address::PagerDuty {
                url: "https://events.pagerduty.com".to_owned(),
                routing_key: "the PAGERDUTY_KEY".to_owned().into(),
            },
        ),
        (
            "operations",
            Address::Teams {
                url: "https://teams.example/hook".to_owned(),
            },
        ),
        (
            "night",
            Address::Ntfy {
                url: "https://ntfy.shop.example".to_owned(),
                topic: "the NTFY_TOPIC".to_owned(),
                token: Some("the NTFY_TOKEN".to_owned().into()),
            },
        ),
    ];
    for (name, expected) in expected {
        assert!(receiver(name) == Ok(expected), "{name}");
    }
    assert!(receiver("nobody").is_err());

    let ann = || Recipient::Person(PersonId::new("ann").expect("an id"));
    for channel in [Channel::Sms, Channel::Voice] {
        let phone = address(&directory, channel, ann());
        assert!(
            phone == Ok(Address::Phone("+27115550100".to_owned())),
            "{channel:?}"
        );
    }
    // The bot is preferred where there is one.
    let chat = address(&directory, Channel::Chat, ann()).expect("an address");
    let expected = Address::Slack {
        url: "https://slack.com/api".to_owned(),
        token: "the SLACK_TOKEN".to_owned().into(),
        channel: "@ann".to_owned(),
        buttons: false,
    };
    assert!(chat == expected, "{chat:?}");
    assert!(address(&directory, Channel::Email, ann()).is_err());
}

fn message(severity: Severity, resolved: bool, incident: bool) -> Message {
    Message {
        subject: String::new(),
        body: String::new(),
        severity,
        resolved,
        incident: incident.then(|| IncidentId::new("2025-01-15-001").expect("an id")),
        page: None,
        path: "/".to_owned(),
        notification: None,
        change: None,
    }
}

#[test]
fn those_who_work_on_a_p0_meet_and_no_others() {
    let directory = Directory::new(&catalog(), lookup).expect("every variable is set");
    let ann = || Recipient::Person(PersonId::new("ann").expect("an id"));
    let invited = |channel, to, message| {
        let deliver = Deliver { channel, to, message };
        let address = directory.address(&deliver).expect("an address");
        directory.bridge_for(&deliver, &address)
    };
    let p0 = || message(Severity::P0, false, true);
    let bridge = invited(Channel::Sms, ann(), p0()).expect("a bridge");
    assert_eq!(
        (bridge.url.as_str(), bridge.phone.as_deref()),
        ("https://meet.shop.example/p0", Some("+27115550100,,1234#"))
    );
    for (severity, resolved, incident) in [
        (Severity::P1, false, true),
        (Severity::P2, false, true),
        (Severity::P3, false, true),
        // Over, or no trouble.
        (Severity::P0, true, true),
        (Severity::P0, false, false),
    ] {
        let message = message(severity, resolved, incident);
        assert!(
            invited(Channel::Chat, ann(), message.clone()).is_none(),
            "{message:?}"
        );
    }
    // A bank that is told is not invited.
    for (name, expected) in [
        ("bank", false),
        ("tickets", false),
        ("payments", true),
        ("operations", true),
        ("night", true),
    ] {
        let receiver = Recipient::Receiver(name.to_owned());
        assert_eq!(
            invited(Channel::Webhook, receiver, p0()).is_some(),
            expected,
            "{name}"
        );
    }
}

#[test]
fn a_bridge_from_the_environment_is_read_before_it_is_needed() {
    let text = "apiVersion: mainstay/v1\nkind: Channels\nmetadata: {name: c}\nspec:\n  \
                bridge: {url: \"${BRIDGE}\", phone: \"${DIAL}\"}\n";
    let (documents, _) = Documents::from_texts([("channels.yaml", text)]);
    let catalog = Catalog::build(documents, &mut Diagnostics::default());
    let with = |url: &str, phone: &str| {
        let (url, phone) = (url.to_owned(), phone.to_owned());
        Directory::new(&catalog, move |name| {
            Some(if name == "BRIDGE" {
                url.clone()
            } else {
                phone.clone()
            })
        })
        .map(|directory| directory.bridge(Severity::P0).cloned())
        .map_err(|error| error.to_string())
    };
    assert!(
        with("https://meet.example/1", "+27115550100")
            .expect("fine")
            .is_some()
    );
    for (url, phone) in [
        ("http://meet.example/hush", "+27115550100"),
        ("https://meet.example/1", "hush"),
    ] {
        let error = with(url, phone).expect_err("refused");
        assert!(error.contains("bridge") && !error.contains("hush"), "{error}");
    }
}

#[test]
fn answers_are_posted_to_slack_alone() {
    let directory = Directory::new(&catalog(), |name| Some(format!("the {name}"))).expect("addresses");
    assert!(directory.is_slacks("https://hooks.slack.com/actions/T0/1/x"));
    for other in [
        "http://hooks.slack.com/actions",
        "https://hooks.slack.com.evil.example/",
        "https://hooks.slack.com@evil.example/",
        "https://evil.example/hooks.slack.com",
        "http://169.254.169.254/",
        "hooks.slack.com",
        "",
    ] {
        assert!(!directory.is_slacks(other), "{other}");
    }
    assert_eq!(directory.by_chat(&["", "U1", "Ann"]), Some("ann"));
    assert_eq!(directory.by_chat(&["bob", ""]), None);
    assert_eq!(directory.by_phone("+27115550100").collect::<Vec<_>>(), ["ann"]);
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    for name in [
        "SLACK_TOKEN",
        "BANK_HOOK_SECRET",
        "PAGERDUTY_KEY",
        "TEAMS_URL",
        "NTFY_TOKEN",
    ] {
        let unset = Directory::new(&catalog(), |asked| {
            (asked != name).then(|| "https://set.example".to_owned())
        });
        let error = unset.err().map(|error| error.to_string());
        assert_eq!(error, Some(format!("the variable {name} is not set")));
    }
}
