//! Whether `mainstay check` finds every hole and no other. Of a catalog in which nobody is missing, each part is taken
//! away in turn; the oracle asks `on_call_at` every half an hour, and the list of addresses that is left.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::response::Target;
use mainstay_catalog::{Catalog, Diagnostics, Documents, lint};
use mainstay_kernel::Severity;
use mainstay_oncall::reach::{HORIZON, check};
use mainstay_oncall::rota::on_call_at;

const NOW: &str = "2026-03-02T00:00:00Z";

/// Who has which addresses.
const PEOPLE: [(&str, &[&str]); 9] = [
    ("ann", &["email", "chat"]),
    ("ben", &["email", "chat"]),
    ("cat", &["email", "chat"]),
    ("dan", &["email", "chat"]),
    ("tom", &["email"]),
    ("bea", &["email", "chat"]),
    ("yan", &["chat"]),
    ("sol", &["email", "chat"]),
    ("max", &["chat"]),
];
/// Layers: rota, name, zone, whole `only`, participants.
const LAYERS: [(&str, &str, &str, &str, &[&str]); 7] = [
    ("primary", "all", "Europe/Berlin", "", &["ann", "ben"]),
    (
        "secondary",
        "days",
        "Europe/Berlin",
        "{days: [monday, tuesday, wednesday, thursday, friday], from: \"08:00\", until: \"20:00\"}",
        &["cat"],
    ),
    (
        "secondary",
        "nights",
        "Europe/Berlin",
        "{from: \"20:00\", until: \"08:00\"}",
        &["dan", "cat"],
    ),
    (
        "sun",
        "tokyo",
        "Asia/Tokyo",
        "{from: \"08:00\", until: \"18:00\"}",
        &["tom", "bea"],
    ),
    (
        "sun",
        "berlin",
        "Europe/Berlin",
        "{from: \"08:00\", until: \"18:00\"}",
        &["bea"],
    ),
    (
        "sun",
        "york",
        "America/New_York",
        "{from: \"09:00\", until: \"20:30\"}",
        &["yan", "sol"],
    ),
    ("spare", "weekend", "UTC", "{days: [saturday, sunday]}", &["max"]),
];

/// One part that is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Without {
    Nothing,
    Contact(usize, usize),
    Layer(usize),
    Participants(usize),
    Participant(usize, usize),
}

fn catalog(without: Without) -> Catalog {
    let mut text = String::from(
        "apiVersion: mainstay/v1\nkind: Teams\nitems:\n  - {id: all, title: All, lead: ann}\n---\n\
         apiVersion: mainstay/v1\nkind: People\nitems:\n",
    );
    for (index, (person, contacts)) in PEOPLE.iter().enumerate() {
        let kept = contacts.iter().enumerate();
        let kept = kept.filter(|(place, _)| without != Without::Contact(index, *place));
        let kept: Vec<String> = kept
            .map(|(_, channel)| match *channel {
                "email" => format!("email: {person}@example.test"),
                _ => format!("chat: \"@{person}\""),
            })
            .collect();
        text += &format!(
            "  - {{id: {person}, name: {person}, role: Engineer, team: all, contacts: {{{}}}}}\n",
            kept.join(", ")
        );
    }
    for rota in ["primary", "secondary", "sun", "spare"] {
        text += &format!(
            "---\napiVersion: mainstay/v1\nkind: Rota\nmetadata: {{name: {rota}}}\nspec:\n  title: {rota}\n  \
             time_zone: UTC\n"
        );
        let mut layers = String::new();
        for (index, (of, name, zone, only, people)) in LAYERS.iter().enumerate() {
            if *of != rota || without == Without::Layer(index) {
                continue;
            }
            let people: Vec<&str> = people
                .iter()
                .enumerate()
                .filter(|(place, _)| without != Without::Participant(index, *place))
                .filter(|_| without != Without::Participants(index))
                .map(|(_, person)| *person)
                .collect();
            layers += &format!(
                "    - {{name: {name}, time_zone: {zone}, handoff: {{time: \"08:00\"}}, start: 2026-01-05, turn: weekly, \
                 participants: [{}], only: [{only}]}}\n",
                people.join(", ")
            );
        }
        text += &if layers.is_empty() {
            "  layers: []\n".to_owned()
        } else {
            format!("  layers:\n{layers}")
        };
    }
    text += "---\napiVersion: mainstay/v1\nkind: EscalationPolicy\nmetadata: {name: main}\nspec:\n  title: Main\n  \
             channels: {P0: [email, chat], P1: [chat]}\n  levels:\n    - {after: 0s, targets: [{rota: primary}]}\n    \
             - {after: 5m, targets: [{rota: secondary}]}\n    - {after: 1h, targets: [{person: max}], inform: true}\n\
             ---\napiVersion: mainstay/v1\nkind: EscalationPolicy\nmetadata: {name: sun}\nspec:\n  title: Sun\n  \
             channels: {P0: [email, chat], P1: [email, chat]}\n  levels:\n    - {after: 0s, targets: [{rota: sun}]}\n    \
             - {after: 5m, targets: [{rota: spare}]}\n\
             ---\napiVersion: mainstay/v1\nkind: EscalationPolicy\nmetadata: {name: unused}\nspec:\n  title: Unused\n  \
             channels: {P0: [email], P1: [email]}\n  levels:\n    - {after: 0s, targets: [{rota: spare}]}\n\
             ---\napiVersion: mainstay/v1\nkind: Channels\nmetadata: {name: channels}\nspec:\n  \
             smtp: {host: \"${HOST}\", port: \"${PORT}\", from: m@example.test}\n  chat: {url: \"${CHAT}\"}\n\
             ---\napiVersion: mainstay/v1\nkind: Routing\nmetadata: {name: routing}\nspec:\n  receivers:\n    \
             - {name: main, page: main}\n    - {name: sun, page: sun}\n    - {name: chat, chat: [\"#a\"]}\n  \
             route:\n    receiver: chat\n    routes:\n      \
             - {receiver: main, matchers: ['priority=~\"P[01]\"'], continue: true}\n      \
             - {receiver: sun, matchers: ['priority=~\"P[01]\"', 'team=\"sun\"']}\n";
    let (documents, mut diagnostics) = Documents::from_texts([("oncall.yaml", text)]);
    Catalog::build(documents, &mut diagnostics)
}

/// Policies that reach nobody at some instant, with the first one.
fn oracle(catalog: &Catalog, without: Without, now: Timestamp) -> Vec<(&'static str, Timestamp)> {
    let has = |person: &str, wanted: &[&str]| {
        let index = PEOPLE
            .iter()
            .position(|(name, _)| *name == person)
            .expect("one of them");
        let contacts = PEOPLE[index].1.iter().enumerate();
        contacts
            .filter(|(place, _)| without != Without::Contact(index, *place))
            .any(|(_, channel)| wanted.contains(channel))
    };
    let channels = |policy: &str, severity| match (policy, severity) {
        ("main", Severity::P1) => &["chat"][..],
        _ => &["email", "chat"][..],
    };
    let mut holes = Vec::new();
    for (policy, rotas) in [("main", ["primary", "secondary"]), ("sun", ["sun", "spare"])] {
        let mut open = vec![Severity::P0, Severity::P1];
        let mut at = now;
        while at < now + HORIZON && !open.is_empty() {
            let owners = rotas.map(|rota| on_call_at(rota, &catalog.response.rotas[rota], &[], at));
            open.retain(|severity| {
                let mut owners = owners.iter().flatten();
                let reached = owners.any(|owner| has(owner.as_ref(), channels(policy, *severity)));
                if !reached {
                    holes.push((policy, at));
                }
                reached
            });
            at += SignedDuration::from_mins(30);
        }
    }
    holes.sort();
    holes.dedup();
    holes
}

fn found(catalog: &Catalog, now: Timestamp) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    check(catalog, now, &mut diagnostics);
    assert!(
        diagnostics
            .iter()
            .all(|finding| finding.lint == lint::NOBODY_REACHED)
    );
    diagnostics
}

#[test]
fn every_removal_that_opens_a_hole_is_found_and_no_other() {
    let now: Timestamp = NOW.parse().expect("an instant");
    let mut removals = vec![Without::Nothing];
    for (index, (_, contacts)) in PEOPLE.iter().enumerate() {
        removals.extend((0..contacts.len()).map(|contact| Without::Contact(index, contact)));
    }
    for (index, (.., people)) in LAYERS.iter().enumerate() {
        removals.extend([Without::Layer(index), Without::Participants(index)]);
        removals.extend((0..people.len()).map(|person| Without::Participant(index, person)));
    }
    let (mut holes, mut harmless) = (0, 0);
    for without in &removals {
        let catalog = catalog(*without);
        assert_eq!(catalog.response.rotas.len(), 4, "{without:?}");
        let expected = oracle(&catalog, *without, now);
        let diagnostics = found(&catalog, now);
        let said: BTreeSet<(&str, String)> = diagnostics
            .iter()
            .map(|finding| {
                assert!(finding.at.line > 0 && finding.at.column > 0 && !finding.help.is_empty());
                let policy = if finding.message.contains("policy main") {
                    "main"
                } else {
                    "sun"
                };
                let (_, from) = finding
                    .message
                    .split_once("nobody from ")
                    .expect("when it begins");
                (policy, from[..16].to_owned())
            })
            .collect();
        let expected: BTreeSet<(&str, String)> = expected
            .into_iter()
            .map(|(policy, at)| (policy, at.strftime("%Y-%m-%d %H:%M").to_string()))
            .collect();
        assert_eq!(said, expected, "{without:?}: {}", diagnostics.render(None, false));
        if expected.is_empty() {
            harmless += 1
        } else {
            holes += 1
        }
    }
    println!(
        "{} removals: {holes} open a hole, {harmless} do not",
        removals.len()
    );
    assert!(holes >= 10 && harmless >= 10);
    assert!(found(&catalog(Without::Nothing), now).is_empty());
}

#[test]
fn a_finding_says_when_why_and_how_to_mend_it() {
    let now: Timestamp = NOW.parse().expect("an instant");
    let text = found(&catalog(Without::Layer(0)), now).render_short();
    assert_eq!(
        text,
        "oncall.yaml:64:36: error[nobody-reached]: a P0 or P1 page by policy main would reach nobody from 2026-03-07 07:00 UTC \
         until 2026-03-07 19:00 UTC: nobody is on call in rota primary; nobody is on call in rota secondary\n"
    );
    let text = found(&catalog(Without::Contact(0, 1)), now).render_short();
    assert!(
        text.contains("a P1 page by policy main")
            && text.contains("ann has no address for chat of rota primary"),
        "{text}"
    );
}

#[test]
fn a_policy_without_channels_is_to_blame_itself() {
    let now: Timestamp = NOW.parse().expect("an instant");
    let mut catalog = catalog(Without::Nothing);
    let main = catalog.response.policies.get_mut("main").expect("a policy");
    main.channels.remove(&Severity::P1);
    let text = found(&catalog, now).render_short();
    assert!(
        text.contains("the policy names no channel for P1 by which to tell ben of rota primary"),
        "{text}"
    );
}

/// The catalogs that are shipped have no hole on any day of two years.
#[test]
fn the_payments_catalog_has_no_hole() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalogs/payments");
    let (catalog, _) = Catalog::load(&path).expect("it is in order");
    let begin: Timestamp = "2026-01-05T07:00:00Z".parse().expect("an instant");
    for weeks in (0..104).step_by(12) {
        let now = begin + SignedDuration::from_hours(weeks * 168);
        assert!(
            found(&catalog, now).is_empty(),
            "{}",
            found(&catalog, now).render(None, false)
        );
    }
    let rotas = |target: &Target| matches!(target, Target::Rota(_));
    let policy = &catalog.response.policies["payments"];
    assert!(policy.levels.iter().flat_map(|level| &level.targets).any(rotas));
    let early = found(&catalog, begin - SignedDuration::from_secs(1));
    assert_eq!(
        early.len(),
        0,
        "before the first handoff the manager is there, who is no rota's"
    );
}
