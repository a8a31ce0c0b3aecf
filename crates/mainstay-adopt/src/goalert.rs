//! GoAlert's GraphQL API: the answer to a query for users, schedules with targets and shifts, rotations, escalation
//! policies with steps, and user overrides. Lists stand under `nodes`, or by themselves.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use mainstay_catalog::platform::TimeZoneName;
use mainstay_catalog::response::{DstConvention, Restriction, Rota};
use mainstay_kernel::PersonId;
use mainstay_kernel::effect::Channel;
use mainstay_oncall::rota;

use crate::build::{Builder, LayerDraft, rota_of};
use crate::node::Node;
use crate::window::{seconds_until, time, turn_of, windows};
use crate::{Step, Target};

pub(crate) const EXPECTED: &str =
    "`users`, `schedules`, `rotations` or `escalationPolicies`, below `data` or not";

fn nodes<'a>(roots: &[Node<'a>], key: &str) -> Vec<Node<'a>> {
    let data = roots
        .iter()
        .map(|root| root.get("data").unwrap_or_else(|| root.clone()));
    let of = data.flat_map(|data| match data.get(key) {
        Some(list) if list.value.is_array() => list.items(),
        Some(connection) => connection.list("nodes"),
        None => Vec::new(),
    });
    of.collect()
}

pub(crate) fn read(builder: &mut Builder<'_>, roots: &[Node<'_>]) -> Vec<bool> {
    for node in nodes(roots, "users") {
        user(builder, &node);
    }
    let rotations: BTreeMap<&str, Node<'_>> = nodes(roots, "rotations")
        .into_iter()
        .filter_map(|node| Some((node.text("id")?, node)))
        .collect();
    for node in nodes(roots, "schedules") {
        schedule(builder, &node, &rotations);
    }
    for node in nodes(roots, "userOverrides") {
        stand_in(builder, &node);
    }
    for node in nodes(roots, "escalationPolicies") {
        policy(builder, &node, &rotations);
    }
    let keys = [
        "users",
        "rotations",
        "schedules",
        "userOverrides",
        "escalationPolicies",
    ];
    let read = roots.iter().map(|root| {
        let data = root.get("data").unwrap_or_else(|| root.clone());
        data.rest(&keys, builder.losses());
        keys.iter().any(|key| data.get(key).is_some())
    });
    read.collect()
}

fn user(builder: &mut Builder<'_>, node: &Node<'_>) {
    let Some(id) = node.text("id") else {
        return builder.lose(node, "a user without `id`");
    };
    let methods = node.list("contactMethods");
    let mails = methods
        .iter()
        .filter(|method| method.text("type") == Some("EMAIL"));
    let mail = node
        .text("email")
        .or_else(|| mails.filter_map(|method| method.text("value")).next());
    builder.person(node, &[id], node.text("name").unwrap_or(id), mail);
    let mut channels: BTreeMap<&str, Channel> = BTreeMap::new();
    for method in &methods {
        let value = method.text("value").unwrap_or_default();
        let disabled = method.value.get("disabled").and_then(serde_json::Value::as_bool) == Some(true);
        let channel = match method.text("type").unwrap_or_default() {
            _ if disabled => {
                builder.lose(method, "a contact method that is switched off");
                None
            }
            "SMS" => builder.phone(method, id, value).then_some(Channel::Sms),
            "VOICE" => builder.phone(method, id, value).then_some(Channel::Voice),
            "EMAIL" if Some(value) == mail => Some(Channel::Email),
            "EMAIL" => {
                builder.lose(method, "a second mail address: a person has one");
                None
            }
            other => {
                builder.lose(method, format!("no channel here is like {other:?}"));
                None
            }
        };
        channels.extend(method.text("id").zip(channel));
    }
    let mut notify: BTreeMap<u64, Vec<Channel>> = BTreeMap::new();
    for rule in node.list("notificationRules") {
        let method = rule
            .text("contactMethodID")
            .or_else(|| rule.get("contactMethod")?.text("id"));
        match method.and_then(|id| channels.get(id)) {
            Some(channel) => notify
                .entry(rule.number("delayMinutes").unwrap_or(0))
                .or_default()
                .push(*channel),
            None => builder.lose(&rule, "by a contact method that was not carried over"),
        }
    }
    if let Some(person) = builder.person_mut(id) {
        person.notify = notify;
    }
    let read = [
        "id",
        "name",
        "email",
        "role",
        "contactMethods",
        "notificationRules",
        "statusUpdateContactMethodID",
    ];
    node.rest(&read, builder.losses());
}

/// A rotation as a layer. Whose turn it is now is a state in GoAlert, not a rule: the order is turned until it fits.
fn rotation(
    builder: &mut Builder<'_>,
    node: &Node<'_>,
    name: &str,
    only: Vec<Restriction>,
) -> Option<LayerDraft> {
    let zone = builder.zone(node, "timeZone");
    let start = node.text("start").and_then(|text| text.parse::<Timestamp>().ok());
    let turn = turn_of(
        node.text("type").unwrap_or_default(),
        node.number("shiftLength").unwrap_or(1),
    );
    let (Some(start), Some(turn)) = (start, turn) else {
        builder.lose(
            node,
            "a rotation without `start`, or of an unknown `type`: it is not written",
        );
        return None;
    };
    let ids = node.list("userIDs");
    let mut people: Vec<PersonId> = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        let id = id.value.as_str().unwrap_or_default();
        people.push(builder.referred(&ids[index], id, id));
    }
    for user in node.list("users") {
        if ids.is_empty() {
            let id = user.text("id").unwrap_or_default();
            people.push(builder.referred(&user, id, user.text("name").unwrap_or(id)));
        }
    }
    if people.is_empty() {
        builder.lose(node, "a rotation without users: it is not written");
        return None;
    }
    let read = [
        "id",
        "name",
        "description",
        "timeZone",
        "start",
        "type",
        "shiftLength",
        "userIDs",
        "users",
        "activeUserIndex",
        "nextHandoffTimes",
        "isFavorite",
    ];
    node.rest(&read, builder.losses());
    let mut draft = LayerDraft {
        name: name.to_owned(),
        dst: DstConvention::Goalert,
        start: zone.zone().to_datetime(start),
        zone,
        turn,
        people,
        only: Vec::new(),
    };
    align(builder, node, &mut draft);
    draft.only = only;
    Some(draft)
}

fn align(builder: &mut Builder<'_>, node: &Node<'_>, draft: &mut LayerDraft) {
    let active = node
        .number("activeUserIndex")
        .and_then(|index| usize::try_from(index).ok());
    let Some(wanted) = active.filter(|index| *index < draft.people.len()) else {
        return builder.lose(
            node,
            "whose turn it is (`activeUserIndex`) is not in the export: turns are counted from the start",
        );
    };
    // Places instead of people: somebody may take more than one turn.
    let places = (0..draft.people.len())
        .filter_map(|index| PersonId::new(format!("{index}")).ok())
        .collect();
    let probe = LayerDraft {
        name: draft.name.clone(),
        zone: draft.zone.clone(),
        people: places,
        only: Vec::new(),
        ..*draft
    };
    let probe: Rota = rota_of(probe);
    let now =
        rota::on_call_at("", &probe, &[], builder.now).and_then(|place| place.as_str().parse::<usize>().ok());
    if let Some(place) = now {
        let count = draft.people.len();
        draft.people.rotate_left((wanted + count - place) % count);
    }
}

fn schedule(builder: &mut Builder<'_>, node: &Node<'_>, rotations: &BTreeMap<&str, Node<'_>>) {
    let Some(id) = node.text("id") else {
        return builder.lose(node, "a schedule without `id`");
    };
    let title = node.text("name").unwrap_or(id);
    let zone = builder.zone(node, "timeZone");
    let mut layers = Vec::new();
    for entry in node.list("targets") {
        let Some(target) = entry.get("target") else {
            builder.lose(&entry, "a target without `target`");
            continue;
        };
        let (key, name) = (target.text("id").unwrap_or_default(), target.text("name"));
        let rules = entry.list("rules");
        let only = only(builder, &rules, &zone);
        if rules.is_empty() {
            builder.lose(
                &entry,
                "a target without rules is never on call: it is not written",
            );
            continue;
        }
        match target.text("type").unwrap_or_default() {
            "rotation" => match rotations.get(key) {
                Some(found) => {
                    let name = name.or(found.text("name")).unwrap_or(key);
                    layers.extend(rotation(builder, found, name, only));
                }
                None => builder.lose(&target, "the rotation is not in the export: it is not written"),
            },
            "user" => {
                let person = builder.referred(&target, key, name.unwrap_or(key));
                let start = zone.zone().to_datetime(builder.now).date().at(0, 0, 0, 0);
                layers.extend(turn_of("daily", 1).map(|turn| LayerDraft {
                    name: name.unwrap_or(key).to_owned(),
                    zone: zone.clone(),
                    dst: DstConvention::Goalert,
                    start,
                    turn,
                    people: vec![person],
                    only,
                }));
            }
            other => builder.lose(&target, format!("a {other:?} takes no turns here")),
        }
        entry.rest(&["target", "rules", "scheduleID"], builder.losses());
    }
    builder.union(node, (id, title), &zone, layers);
    for shift in node.list("shifts") {
        let instant = |key: &str| shift.text(key)?.parse::<Timestamp>().ok();
        let user = shift
            .text("userID")
            .or_else(|| shift.value.get("user")?.get("id")?.as_str());
        let (Some(from), Some(until), Some(user)) = (instant("start"), instant("end"), user) else {
            builder.lose(&shift, "a shift without `start`, `end` or user");
            continue;
        };
        let person = builder.referred(&shift, user, user).to_string();
        builder.rendered(id, person, from, until);
    }
    for part in node.list("temporarySchedules") {
        builder.lose(
            &part,
            "a temporary schedule: make its shifts by `mainstay oncall override`",
        );
    }
    let read = [
        "id",
        "name",
        "description",
        "timeZone",
        "targets",
        "shifts",
        "temporarySchedules",
        "isFavorite",
    ];
    node.rest(&read, builder.losses());
}

fn only(builder: &mut Builder<'_>, rules: &[Node<'_>], zone: &TimeZoneName) -> Vec<Restriction> {
    let mut found = Vec::new();
    for rule in rules {
        let (Some(from), Some(until)) = (rule.text("start").and_then(time), rule.text("end").and_then(time))
        else {
            builder.lose(rule, "a rule without `start` or `end`");
            continue;
        };
        // Sunday comes first there.
        let filter = rule.list("weekdayFilter");
        let on = |index: usize| {
            filter
                .get(index)
                .is_none_or(|day| day.value.as_bool() != Some(false))
        };
        let days: BTreeSet<u64> = (0..7_u64)
            .filter(|day| on(usize::try_from((day + 1) % 7).unwrap_or(0)))
            .collect();
        let windows = windows(&days, from, seconds_until(from, until), zone);
        if windows.is_empty() && days.len() == 7 {
            return Vec::new();
        }
        found.extend(windows);
    }
    found
}

fn stand_in(builder: &mut Builder<'_>, node: &Node<'_>) {
    let instant = |key: &str| node.text(key)?.parse::<Timestamp>().ok();
    let user = |key: &str| {
        let id = node.text(&format!("{key}ID"));
        id.or_else(|| node.value.get(key)?.get("id")?.as_str())
    };
    let target = node.get("target").and_then(|target| target.text("id"));
    let (Some(from), Some(until), Some(target)) = (instant("start"), instant("end"), target) else {
        return builder.lose(node, "an override without `start`, `end` or `target`");
    };
    match (user("addUser"), user("removeUser")) {
        (Some(add), Some(_)) => {
            let person = builder.referred(node, add, add);
            let when = (from, until);
            builder.lose(
                node,
                "an override is in force for all of its time, not only while the one it replaces is on call",
            );
            builder.stand_in(node, target, person, when);
        }
        (Some(_), None) => builder.lose(node, "somebody on call beside the others: a rota has one"),
        _ => builder.lose(node, "somebody taken out: an override here says who is on call"),
    }
}

fn policy(builder: &mut Builder<'_>, node: &Node<'_>, rotations: &BTreeMap<&str, Node<'_>>) {
    let title = node.text("name").or(node.text("id")).unwrap_or("policy");
    let mut after = 0;
    let mut steps = Vec::new();
    for step in node.list("steps") {
        let mut targets = Vec::new();
        for target in step.list("targets") {
            let id = target.text("id").unwrap_or_default();
            let name = target.text("name").unwrap_or(id);
            match target.text("type").unwrap_or_default() {
                "user" => targets.push(Target::Person(builder.referred(&target, id, name))),
                "schedule" => targets.extend(builder.targets(&target, id, name)),
                "rotation" => {
                    let key = format!("rotation/{id}");
                    if let (None, Some(found)) = (builder.scheduled(&key), rotations.get(id)) {
                        let layer = rotation(builder, found, name, Vec::new());
                        let zone = builder.zone(found, "timeZone");
                        builder.schedule(found, (&key, name), &zone, layer.into_iter().collect());
                    }
                    targets.extend(builder.targets(&target, &key, name));
                }
                other => builder.lose(
                    &target,
                    format!("no level pages a {other:?}: a receiver's `chat` or `webhooks` is told"),
                ),
            }
        }
        steps.push(Step { after, targets });
        after += step.number("delayMinutes").unwrap_or(0);
        step.rest(
            &["id", "stepNumber", "delayMinutes", "targets", "escalationPolicy"],
            builder.losses(),
        );
    }
    let times = node
        .number("repeat")
        .and_then(|times| u32::try_from(times).ok())
        .unwrap_or(0);
    builder.policy(node, title, steps, (times > 0).then_some((times, after)));
    node.rest(
        &["id", "name", "description", "repeat", "steps", "isFavorite"],
        builder.losses(),
    );
}
