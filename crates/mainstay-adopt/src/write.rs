//! What was understood as documents.

use std::fmt::Write as _;

use mainstay_catalog::response::{DstConvention, Layer, Restriction, Rota};
use mainstay_catalog::written::scalar;
use mainstay_kernel::effect::Channel;

use crate::{Moved, Person, Policy, System, Target};

/// What the catalog has already and need not be written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Written {
    /// A document of kind `Platform`.
    pub platform: bool,
    /// A document of kind `Channels`.
    pub channels: bool,
    /// A document of kind `Routing`, or an Alertmanager's configuration.
    pub routing: bool,
}

const TEAM: &str = "on-call";

/// The files, by name. `there` says what the catalog has.
#[must_use]
pub fn written(moved: &Moved, system: System, there: Written) -> Vec<(String, String)> {
    let slug = system.slug();
    let mut files = Vec::new();
    if !there.platform {
        files.push((
            "platform.yaml".to_owned(),
            format!(
                "# {} knows no platform: what stands here is made up.\n\
                 apiVersion: mainstay/v1\nkind: Platform\nmetadata: {{name: moved}}\nspec:\n  title: Platform # made up\n  \
                 time_zone: UTC # made up\n  availability_tiers:\n    - {{id: standard, title: Standard, target: 99%}} # made up\n",
                system.name()
            ),
        ));
    }
    let phones = moved.people.iter().any(|person| person.phone.is_some());
    if !there.channels {
        files.push((format!("{slug}-channels.yaml"), channels(phones)));
    }
    if let Some(text) = people(moved, system) {
        files.push((format!("{slug}-people.yaml"), text));
    }
    let rotas = moved.schedules.iter().flat_map(|schedule| &schedule.rotas);
    let rotas = rotas.map(|(name, one)| rota(name, one));
    let policies = moved.policies.iter().map(|one| policy(one, phones));
    let documents: Vec<String> = rotas.chain(policies).collect();
    if !documents.is_empty() {
        files.push((format!("{slug}-oncall.yaml"), documents.join("---\n")));
    }
    if !there.routing {
        files.push(("routing.yaml".to_owned(), routing(moved)));
    }
    files
}

/// Receivers for the policies; which alerts are whose is not in the export.
fn routing(moved: &Moved) -> String {
    let mut text = String::from(
        "# Which alerts page by which policy is not in an export: write the routes, or import them from the Alertmanager.\n\
         apiVersion: mainstay/v1\nkind: Routing\nmetadata: {name: routing}\nspec:\n  receivers:\n    \
         - {name: nobody} # alerts are kept and told nobody\n",
    );
    for policy in &moved.policies {
        let id = scalar(&policy.id);
        let _ = writeln!(text, "    - {{name: page-{}, page: {id}}}", policy.id);
    }
    text.push_str("  route:\n    receiver: nobody\n    group_by: [alertname]\n");
    if let Some(first) = moved.policies.first() {
        let _ = write!(
            text,
            "    routes:\n      # In shadow: decided and recorded, and nobody is told before `mainstay route cut-over --receiver page-{0}`.\n      \
             - {{receiver: page-{0}, matchers: ['priority=~\"P[01]\"'], shadow: true}}\n",
            first.id
        );
    }
    text
}

fn channels(phones: bool) -> String {
    let mut text = String::from(
        "# Where messages leave. ${NAME} is taken from the environment of `mainstay serve`.\n\
         apiVersion: mainstay/v1\nkind: Channels\nmetadata: {name: channels}\nspec:\n  \
         smtp: {host: \"${MAINSTAY_SMTP_HOST}\", port: \"${MAINSTAY_SMTP_PORT}\", from: mainstay@on-call.invalid} # write a sender\n",
    );
    if phones {
        text.push_str(
            "  telephone: {account_sid: \"${TWILIO_SID}\", auth_token: \"${TWILIO_TOKEN}\", from: \"${TWILIO_FROM}\"}\n",
        );
    }
    text
}

fn people(moved: &Moved, system: System) -> Option<String> {
    let new: Vec<&Person> = moved.people.iter().filter(|person| !person.known).collect();
    let lead = &new.first()?.id;
    let mut text = format!(
        "# People of {}. The team and its lead are made up.\napiVersion: mainstay/v1\nkind: Teams\nitems:\n  \
         - {{id: {TEAM}, title: On call, lead: {}}}\n---\napiVersion: mainstay/v1\nkind: People\nitems:\n",
        system.name(),
        scalar(lead.as_str())
    );
    for person in new {
        let _ = write!(
            text,
            "  - id: {}\n    name: {}\n    role: {}\n    team: {TEAM}\n",
            scalar(person.id.as_str()),
            scalar(&person.name),
            scalar(&person.role)
        );
        if let Some(zone) = &person.time_zone {
            let _ = writeln!(text, "    time_zone: {}", scalar(zone.as_str()));
        }
        let _ = write!(text, "    contacts: {{email: {}", scalar(&person.email));
        if let Some(phone) = &person.phone {
            let _ = write!(text, ", phone: {}", scalar(phone));
        }
        text.push_str("}\n");
        let steps: Vec<String> = person
            .notify
            .iter()
            .map(|(after, channels)| step(*after, channels))
            .collect();
        // The catalog wants the first word at once.
        if person.notify.contains_key(&0) {
            let steps = steps.join(", ");
            let _ = write!(text, "    notify:\n      P0: [{steps}]\n      P1: [{steps}]\n");
        }
    }
    Some(text)
}

fn step(after: u64, channels: &[Channel]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for channel in channels {
        if !names.contains(&channel.name()) {
            names.push(channel.name());
        }
    }
    format!("{{after: {}, channels: [{}]}}", minutes(after), names.join(", "))
}

fn minutes(count: u64) -> String {
    match count {
        0 => "0s".to_owned(),
        count => format!("{count}m"),
    }
}

fn head(kind: &str, name: &str, title: &str) -> String {
    format!(
        "apiVersion: mainstay/v1\nkind: {kind}\nmetadata: {{name: {}}}\nspec:\n  title: {}\n",
        scalar(name),
        scalar(title)
    )
}

fn rota(name: &str, rota: &Rota) -> String {
    let mut text = head("Rota", name, &rota.title);
    let _ = writeln!(text, "  time_zone: {}", scalar(rota.time_zone.as_str()));
    if rota
        .layers
        .iter()
        .any(|layer| layer.dst == DstConvention::Goalert)
    {
        text.push_str("  dst: goalert\n");
    }
    text.push_str("  layers:\n");
    for layer in &rota.layers {
        text.push_str(&self::layer(layer, rota));
    }
    text
}

fn layer(layer: &Layer, rota: &Rota) -> String {
    let mut text = format!("    - name: {}\n", scalar(&layer.name.value));
    if layer.time_zone != rota.time_zone {
        let _ = writeln!(text, "      time_zone: {}", scalar(layer.time_zone.as_str()));
    }
    let weekday = layer
        .handoff
        .weekday
        .map(|day| format!("weekday: {}, ", format!("{day:?}").to_lowercase()));
    let people: Vec<String> = layer
        .participants
        .iter()
        .map(|person| scalar(person.value.as_str()))
        .collect();
    let _ = write!(
        text,
        "      handoff: {{{}time: \"{}\"}}\n      start: {}\n      turn: {}\n      participants: [{}]\n",
        weekday.unwrap_or_default(),
        layer.handoff.time,
        layer.start.value,
        layer.turn.value,
        people.join(", ")
    );
    if !layer.only.is_empty() {
        text.push_str("      only:\n");
    }
    for only in &layer.only {
        let _ = writeln!(text, "        - {}", window(only, layer));
    }
    text
}

fn window(only: &Restriction, layer: &Layer) -> String {
    let days: Vec<String> = only
        .days
        .iter()
        .map(|day| format!("{day:?}").to_lowercase())
        .collect();
    let zone = (only.time_zone != layer.time_zone)
        .then(|| format!(", time_zone: {}", scalar(only.time_zone.as_str())));
    format!(
        "{{days: [{}], from: \"{}\", until: \"{}\"{}}}",
        days.join(", "),
        only.from,
        only.until,
        zone.unwrap_or_default()
    )
}

fn policy(policy: &Policy, phones: bool) -> String {
    let mut text = head("EscalationPolicy", &policy.id, &policy.title);
    let channels = if phones { "voice, sms, email" } else { "email" };
    let _ = write!(
        text,
        "  channels: {{P0: [{channels}], P1: [{channels}]}}\n  levels:\n"
    );
    for step in &policy.steps {
        let targets: Vec<String> = step
            .targets
            .iter()
            .map(|target| match target {
                Target::Rota(name) => format!("{{rota: {}}}", scalar(name)),
                Target::Person(person) => format!("{{person: {}}}", scalar(person.as_str())),
            })
            .collect();
        let _ = writeln!(
            text,
            "    - {{after: {}, targets: [{}]}}",
            minutes(step.after),
            targets.join(", ")
        );
    }
    if let Some((times, every)) = policy.repeat {
        let _ = writeln!(text, "  repeat: {{times: {times}, every: {}}}", minutes(every));
    }
    text
}
