//! What holds an alert back, by whom, and where its routes lead, in words.

use mainstay_alert::Suppressions;
use mainstay_catalog::response::{Receiver, Routing};
use mainstay_kernel::fact::AlertFact;
use mainstay_kernel::{Labels, Principal};
use mainstay_plane::States;
use mainstay_web::view::{AlertRoute, HeldBack, HeldKind};

use super::sight;

/// Everything that holds an alert back now. Who is limited to some tenants learns that something does, not who wanted it.
pub(super) fn back(
    states: &States<'_>,
    suppressions: &Suppressions<'_>,
    who: &Principal,
    alert: &AlertFact,
) -> Vec<HeldBack> {
    let Some(active) = states.alerts.alert(&alert.fingerprint) else {
        return Vec::new();
    };
    let all = sight::sees_platform(who);
    let held = suppressions.of(active);
    let of = |kind, by: String| HeldBack {
        kind,
        by,
        silence: None,
        alert: None,
    };
    let silences = states.alerts.silences();
    let silences = silences.filter(|silence| held.silenced_by.contains(&silence.id));
    let silenced = silences.map(|silence| match all {
        true => HeldBack {
            silence: Some(silence.id.to_string()),
            ..of(
                HeldKind::Silenced,
                format!(
                    "{} until {}: {}",
                    silence.created_by, silence.ends_at, silence.comment
                ),
            )
        },
        false => of(HeldKind::Silenced, "the platform's operators".to_owned()),
    });
    let inhibiting = held
        .inhibited_by
        .iter()
        .filter_map(|fingerprint| states.alerts.alert(fingerprint));
    let inhibited = inhibiting.map(|source| {
        let source = &source.alert;
        match sight::sees_alert(who, &source.labels) {
            true => HeldBack {
                alert: Some(source.fingerprint.to_string()),
                ..of(HeldKind::Inhibited, source.name().to_owned())
            },
            false => of(
                HeldKind::Inhibited,
                "an alert that says the same and more".to_owned(),
            ),
        }
    });
    let muted = held.muted_by.iter().map(|by| of(HeldKind::Muted, by.clone()));
    let flapping = held.flapping.iter().map(|text| {
        let words = text.strip_prefix("flapping: ").unwrap_or(text);
        of(HeldKind::Flapping, format!("itself: it {words}"))
    });
    silenced.chain(inhibited).chain(muted).chain(flapping).collect()
}

/// The routes that take an alert with these labels, and whom each tells.
pub(super) fn routes(routing: &Routing, labels: &Labels) -> Vec<AlertRoute> {
    let taken = routing.route.matching(labels).into_iter();
    let shown = taken.map(|(path, route)| AlertRoute {
        path: in_words(routing, &path),
        receiver: route.receiver.clone(),
        tells: routing
            .receivers
            .get(&route.receiver)
            .map(tells)
            .unwrap_or_default(),
    });
    shown.collect()
}

/// A route's place in the tree, by its matchers and those above it.
fn in_words(routing: &Routing, path: &[usize]) -> String {
    let mut words = vec!["root".to_owned()];
    let mut route = &routing.route;
    for index in path {
        let Some(below) = route.routes.get(*index) else {
            break;
        };
        route = below;
        let matchers: Vec<String> = route.matchers.iter().map(ToString::to_string).collect();
        words.push(format!("{{{}}}", matchers.join(", ")));
    }
    words.join(" > ")
}

fn tells(receiver: &Receiver) -> Vec<String> {
    let page = receiver
        .page
        .iter()
        .map(|policy| format!("pages by {}", policy.value));
    let chat = receiver
        .chat
        .iter()
        .map(|channel| format!("chat {}", channel.value));
    let webhooks = receiver
        .webhooks
        .iter()
        .map(|name| format!("webhook {}", name.value));
    let email = receiver.email.iter().map(|address| format!("email {address}"));
    let others = receiver.integrations.iter().map(|one| one.name.clone());
    page.chain(chat)
        .chain(webhooks)
        .chain(email)
        .chain(others)
        .collect()
}
