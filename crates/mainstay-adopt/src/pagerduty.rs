//! PagerDuty's REST API, version 2: `GET /users`, `/schedules/{id}?since=..&until=..`, `/escalation_policies`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use mainstay_catalog::platform::TimeZoneName;
use mainstay_catalog::response::{DstConvention, Restriction};
use mainstay_kernel::effect::Channel;

use crate::build::{Builder, LayerDraft};
use crate::node::Node;
use crate::window::{time, turn, windows};
use crate::{Step, Target};

pub(crate) const EXPECTED: &str =
    "`users`, `schedule`, `schedules` or `escalation_policies`, as its REST API gives them";

/// Keys of every object that say nothing about who is on call.
const COMMON: [&str; 9] = [
    "id",
    "type",
    "summary",
    "self",
    "html_url",
    "name",
    "description",
    "teams",
    "http_cal_url",
];

fn known(keys: &[&'static str]) -> Vec<&'static str> {
    COMMON.iter().chain(keys).copied().collect()
}

pub(crate) fn read(builder: &mut Builder<'_>, roots: &[Node<'_>]) -> Vec<bool> {
    let of = |one: &str, many: &str| {
        let nodes = roots.iter().flat_map(|root| {
            let single = root.get(one).into_iter();
            single.chain(root.list(many)).collect::<Vec<_>>()
        });
        nodes.collect::<Vec<_>>()
    };
    for node in of("user", "users") {
        user(builder, &node);
    }
    for node in of("schedule", "schedules") {
        schedule(builder, &node);
    }
    for node in of("escalation_policy", "escalation_policies") {
        policy(builder, &node);
    }
    for node in of("maintenance_window", "maintenance_windows") {
        let what = "a maintenance window is of services: silence the alerts of what they watch by `mainstay silence add`";
        builder.lose(&node, what);
    }
    for node in of("service", "services") {
        builder.lose(&node, "a service: which alerts it is for is said by a route here");
    }
    let keys = [
        "user",
        "users",
        "schedule",
        "schedules",
        "escalation_policy",
        "escalation_policies",
        "maintenance_window",
        "maintenance_windows",
        "service",
        "services",
    ];
    let read = roots.iter().map(|root| {
        let paging = ["limit", "offset", "more", "total"];
        let of: Vec<&str> = keys.iter().chain(&paging).copied().collect();
        root.rest(&of, builder.losses());
        if root.value.get("more").and_then(serde_json::Value::as_bool) == Some(true) {
            builder.lose(
                root,
                "there are more pages (`more` is true): fetch them with `offset` and name those files too",
            );
        }
        keys.iter().any(|key| root.get(key).is_some())
    });
    read.collect()
}

fn user(builder: &mut Builder<'_>, node: &Node<'_>) {
    let Some(id) = node.text("id") else {
        return builder.lose(node, "a user without `id`");
    };
    let name = node.text("name").or(node.text("summary")).unwrap_or(id);
    let zone: Option<TimeZoneName> = node.text("time_zone").and_then(|zone| zone.parse().ok());
    let role = node.text("job_title").map(str::to_owned);
    let person = builder.person(node, &[id], name, node.text("email"));
    person.time_zone = zone;
    if let Some(role) = role {
        person.role = role;
    }
    let mut methods: BTreeMap<&str, Vec<Channel>> = BTreeMap::new();
    for method in node.list("contact_methods") {
        let address = method.text("address").unwrap_or_default();
        let code = method.number("country_code").unwrap_or(1);
        let dialled = || match address.starts_with('+') {
            true => address.to_owned(),
            false => format!("+{code}{}", address.trim_start_matches('0')),
        };
        let kind = method.text("type").unwrap_or_default();
        let channel = match kind.trim_end_matches("_reference") {
            "email_contact_method" => {
                if node.text("email") != Some(address) && !address.is_empty() {
                    builder.lose(&method, "a second mail address: a person has one");
                }
                Some(Channel::Email)
            }
            "phone_contact_method" => builder.phone(&method, id, &dialled()).then_some(Channel::Voice),
            "sms_contact_method" => builder.phone(&method, id, &dialled()).then_some(Channel::Sms),
            _ => {
                builder.lose(&method, format!("no channel here is like {kind:?}"));
                None
            }
        };
        if let (Some(id), Some(channel)) = (method.text("id"), channel) {
            methods.entry(id).or_default().push(channel);
        }
    }
    let mut notify: BTreeMap<u64, Vec<Channel>> = BTreeMap::new();
    for rule in node.list("notification_rules") {
        if rule.text("urgency") == Some("low") {
            builder.lose(
                &rule,
                "how they are told of what is not urgent: here that pages nobody",
            );
            continue;
        }
        let method = rule.at(&["contact_method"]);
        let of = method.as_ref().and_then(|method| methods.get(method.text("id")?));
        match of {
            Some(channels) => {
                let delay = rule.number("start_delay_in_minutes").unwrap_or(0);
                notify.entry(delay).or_default().extend(channels);
            }
            None => builder.lose(&rule, "by a contact method that was not carried over"),
        }
    }
    if let Some(person) = builder.person_mut(id) {
        person.notify = notify;
    }
    let read = [
        "email",
        "time_zone",
        "job_title",
        "contact_methods",
        "notification_rules",
    ];
    let plain = [
        "avatar_url",
        "color",
        "billed",
        "role",
        "invitation_sent",
        "coordinated_incidents",
        "locale",
    ];
    let read: Vec<&str> = read.iter().chain(&plain).copied().collect();
    node.rest(&[COMMON.as_slice(), &read].concat(), builder.losses());
}

fn schedule(builder: &mut Builder<'_>, node: &Node<'_>) {
    let Some(id) = node.text("id") else {
        return builder.lose(node, "a schedule without `id`");
    };
    let title = node.text("name").or(node.text("summary")).unwrap_or(id);
    if node.get("schedule_layers").is_none() {
        return builder.lose(
            node,
            "a schedule of the list only: fetch it with `GET /schedules/{id}`",
        );
    }
    let zone = builder.zone(node, "time_zone");
    let mut layers: Vec<LayerDraft> = Vec::new();
    // The API lists the highest layer first.
    for layer in node.list("schedule_layers").iter().rev() {
        layers.extend(self::layer(builder, layer, &zone));
    }
    builder.schedule(node, (id, title), &zone, layers);
    let entries = node
        .at(&["overrides_subschedule"])
        .map(|part| part.list("rendered_schedule_entries"));
    for entry in entries.unwrap_or_default() {
        if let Some((person, from, until)) = entry_of(builder, &entry) {
            builder.stand_in(&entry, id, person, (from, until));
        }
    }
    let entries = node
        .at(&["final_schedule"])
        .map(|part| part.list("rendered_schedule_entries"));
    for entry in entries.unwrap_or_default() {
        if let Some((person, from, until)) = entry_of(builder, &entry) {
            builder.rendered(id, person.to_string(), from, until);
        }
    }
    let read = known(&[
        "time_zone",
        "schedule_layers",
        "overrides_subschedule",
        "final_schedule",
        "escalation_policies",
        "users",
        "web_cal_url",
        "personal_http_cal_url",
        "next_oncall_for_user",
    ]);
    node.rest(&read, builder.losses());
}

fn entry_of(
    builder: &mut Builder<'_>,
    entry: &Node<'_>,
) -> Option<(mainstay_kernel::PersonId, Timestamp, Timestamp)> {
    let instant = |key: &str| entry.text(key)?.parse::<Timestamp>().ok();
    let user = entry.get("user");
    let (Some(from), Some(until), Some(user)) = (instant("start"), instant("end"), user) else {
        builder.lose(entry, "an entry without `start`, `end` or `user`");
        return None;
    };
    let id = user.text("id")?;
    Some((
        builder.referred(&user, id, user.text("summary").unwrap_or(id)),
        from,
        until,
    ))
}

fn layer(builder: &mut Builder<'_>, node: &Node<'_>, zone: &TimeZoneName) -> Option<LayerDraft> {
    let name = node
        .text("name")
        .or(node.text("id"))
        .unwrap_or("layer")
        .to_owned();
    let instant = |key: &str| node.text(key)?.parse::<Timestamp>().ok();
    if let Some(end) = instant("end") {
        if end <= builder.now {
            return None;
        }
        builder.lose(node, format!("the layer ends at {end}: here it goes on"));
    }
    let Some(begins) = instant("rotation_virtual_start").or(instant("start")) else {
        builder.lose(
            node,
            "a layer without `rotation_virtual_start`: it is not written",
        );
        return None;
    };
    if let Some(start) = instant("start").filter(|start| *start > builder.now && *start > begins) {
        builder.lose(
            node,
            format!("the layer is in force from {start}: here it is at once"),
        );
    }
    let seconds = node.number("rotation_turn_length_seconds").unwrap_or(0);
    let Some(turn) = turn(seconds) else {
        builder.lose(
            node,
            format!("turns of {seconds} s are not of whole hours: the layer is not written"),
        );
        return None;
    };
    let people: Vec<_> = node
        .list("users")
        .iter()
        .filter_map(|entry| {
            let user = entry.get("user").unwrap_or_else(|| entry.clone());
            let id = user.text("id")?;
            Some(builder.referred(&user, id, user.text("summary").unwrap_or(id)))
        })
        .collect();
    if people.is_empty() {
        builder.lose(node, "a layer without users: it is not written");
        return None;
    }
    let mut only: Vec<Restriction> = Vec::new();
    for restriction in node.list("restrictions") {
        let seconds = restriction.number("duration_seconds").unwrap_or(0);
        let Some(from) = restriction.text("start_time_of_day").and_then(time) else {
            builder.lose(&restriction, "a restriction without a time");
            continue;
        };
        let days: BTreeSet<u64> = match restriction.number("start_day_of_week") {
            Some(day) => [(day + 6) % 7].into(),
            None => (0..7).collect(),
        };
        let windows = windows(&days, from, seconds, zone);
        if windows.is_empty() {
            only.clear();
            break;
        }
        only.extend(windows);
    }
    let keys = [
        "start",
        "end",
        "rotation_virtual_start",
        "rotation_turn_length_seconds",
        "users",
        "restrictions",
    ];
    let rendered = ["rendered_schedule_entries", "rendered_coverage_percentage"];
    let read: Vec<&str> = COMMON.iter().chain(&keys).chain(&rendered).copied().collect();
    node.rest(&read, builder.losses());
    Some(LayerDraft {
        name,
        dst: DstConvention::FirstInstant,
        start: zone.zone().to_datetime(begins),
        zone: zone.clone(),
        turn,
        people,
        only,
    })
}

fn policy(builder: &mut Builder<'_>, node: &Node<'_>) {
    let title = node
        .text("name")
        .or(node.text("summary"))
        .or(node.text("id"))
        .unwrap_or("policy");
    let mut after = 0;
    let mut steps = Vec::new();
    for rule in node.list("escalation_rules") {
        let mut targets: Vec<Target> = Vec::new();
        for target in rule.list("targets") {
            let id = target.text("id").unwrap_or_default();
            let name = target.text("summary").unwrap_or(id);
            match target
                .text("type")
                .unwrap_or_default()
                .trim_end_matches("_reference")
            {
                "user" => targets.push(Target::Person(builder.referred(&target, id, name))),
                "schedule" => targets.extend(builder.targets(&target, id, name)),
                other => builder.lose(&target, format!("no level pages a {other:?}")),
            }
        }
        if rule
            .at(&["escalation_rule_assignment_strategy"])
            .and_then(|node| node.text("type"))
            == Some("round_robin")
        {
            let mend = "add `round_robin: {every: 5m}` to the level to page in turn";
            builder.lose(
                &rule,
                format!("round robin: all of the level are paged at once; {mend}"),
            );
        }
        steps.push(Step { after, targets });
        after += rule.number("escalation_delay_in_minutes").unwrap_or(30);
        let read = known(&[
            "targets",
            "escalation_delay_in_minutes",
            "escalation_rule_assignment_strategy",
        ]);
        rule.rest(&read, builder.losses());
    }
    let loops = node
        .number("num_loops")
        .and_then(|loops| u32::try_from(loops).ok())
        .unwrap_or(0);
    let repeat = (loops > 0).then_some((loops, after));
    builder.policy(node, title, steps, repeat);
    let read = known(&[
        "escalation_rules",
        "num_loops",
        "services",
        "on_call_handoff_notifications",
        "privilege",
    ]);
    node.rest(&read, builder.losses());
}
