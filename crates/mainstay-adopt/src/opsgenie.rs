//! Opsgenie's REST API, version 2: `/v2/users`, `/v2/schedules?expand=rotation`, `/v2/escalations`,
//! `/v2/schedules/{id}/timeline` and `/v2/schedules/{id}/overrides`, each as `{"data": ..}`.

use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::platform::TimeZoneName;
use mainstay_catalog::response::{DstConvention, Restriction};
use mainstay_kernel::PersonId;

use crate::build::{Builder, LayerDraft};
use crate::node::Node;
use crate::window::{between, seconds_until, turn_of, weekday_named, windows};
use crate::{Step, Target};

pub(crate) const EXPECTED: &str =
    "`data` with users, schedules with rotations, escalations, a timeline or overrides";

pub(crate) fn read(builder: &mut Builder<'_>, roots: &[Node<'_>]) -> Vec<bool> {
    let mut items: Vec<(usize, Node<'_>)> = Vec::new();
    for (index, root) in roots.iter().enumerate() {
        let Some(data) = root.get("data") else { continue };
        let of = match data.value.is_array() {
            true => data.items(),
            false => vec![data],
        };
        items.extend(of.into_iter().map(|node| (index, node)));
    }
    let mut read = vec![false; roots.len()];
    // An empty list is one, too.
    for (index, root) in roots.iter().enumerate() {
        let data = root.value.get("data").and_then(serde_json::Value::as_array);
        read[index] = data.is_some_and(Vec::is_empty);
    }
    type Reader = fn(&mut Builder<'_>, &Node<'_>);
    let kinds: [(&str, Reader); 5] = [
        ("username", user),
        ("timezone", schedule),
        ("rules", policy),
        ("finalTimeline", timeline),
        ("alias", stand_in),
    ];
    for (key, reader) in kinds {
        for (index, node) in items.iter().filter(|(_, node)| node.get(key).is_some()) {
            read[*index] = true;
            reader(builder, node);
        }
    }
    for (index, node) in &items {
        if read[*index] && !kinds.iter().any(|(key, _)| node.get(key).is_some()) {
            builder.lose(
                node,
                "not carried over: neither user, schedule, escalation, timeline nor override",
            );
        }
    }
    read
}

fn user(builder: &mut Builder<'_>, node: &Node<'_>) {
    let username = node.text("username").unwrap_or_default();
    let keys: Vec<&str> = node.text("id").into_iter().chain([username]).collect();
    let name = node.text("fullName").unwrap_or(username);
    let zone = node.text("timeZone").and_then(|zone| zone.parse().ok());
    let person = builder.person(node, &keys, name, Some(username));
    person.time_zone = zone;
    for contact in node.list("userContacts") {
        let to = contact
            .text("to")
            .or(contact.text("contactMethodValue"))
            .unwrap_or_default();
        match contact
            .text("contactMethod")
            .or(contact.text("method"))
            .unwrap_or_default()
        {
            "sms" | "voice" => {
                let number = to.replace('-', "");
                let number = if number.starts_with('+') {
                    number
                } else {
                    format!("+{number}")
                };
                builder.phone(&contact, username, &number);
            }
            "email" if to == username => {}
            "email" => builder.lose(&contact, "a second mail address: a person has one"),
            other => builder.lose(&contact, format!("no channel here is like {other:?}")),
        }
    }
    let read = [
        "id",
        "username",
        "fullName",
        "timeZone",
        "userContacts",
        "role",
        "locale",
        "createdAt",
        "verified",
        "userAddress",
    ];
    node.rest(&read, builder.losses());
}

fn schedule(builder: &mut Builder<'_>, node: &Node<'_>) {
    let title = node.text("name").unwrap_or("schedule");
    let id = node.text("id").unwrap_or(title);
    if node.value.get("enabled").and_then(serde_json::Value::as_bool) == Some(false) {
        return builder.lose(node, "a schedule that is switched off: it is not written");
    }
    if node.get("rotations").is_none() {
        return builder.lose(
            node,
            "a schedule without its rotations: ask with `?expand=rotation`",
        );
    }
    let zone = builder.zone(node, "timezone");
    let mut layers = Vec::new();
    for rotation in node.list("rotations") {
        layers.extend(layer(builder, &rotation, &zone));
    }
    builder.union(node, (id, title), &zone, layers);
    let read = [
        "id",
        "name",
        "timezone",
        "enabled",
        "rotations",
        "description",
        "ownerTeam",
    ];
    node.rest(&read, builder.losses());
}

fn layer(builder: &mut Builder<'_>, node: &Node<'_>, zone: &TimeZoneName) -> Option<LayerDraft> {
    let instant = |key: &str| node.text(key)?.parse::<Timestamp>().ok();
    if let Some(end) = instant("endDate") {
        if end <= builder.now {
            return None;
        }
        builder.lose(node, format!("the rotation ends at {end}: here it goes on"));
    }
    let word = node.text("type").unwrap_or_default();
    let turn = turn_of(word, node.number("length").unwrap_or(1));
    let (Some(start), Some(turn)) = (instant("startDate"), turn) else {
        builder.lose(
            node,
            "a rotation without `startDate`, or of an unknown `type`: it is not written",
        );
        return None;
    };
    let mut people: Vec<PersonId> = Vec::new();
    for participant in node.list("participants") {
        match participant.text("type").unwrap_or_default() {
            "user" => {
                let name = participant
                    .text("username")
                    .or(participant.text("id"))
                    .unwrap_or_default();
                let known = participant.text("id").and_then(|id| builder.find(id));
                people.push(known.unwrap_or_else(|| builder.referred(&participant, name, name)));
            }
            "none" => builder.lose(
                &participant,
                "a turn that is nobody's: it is left out, so the turns behind it move",
            ),
            other => builder.lose(
                &participant,
                format!("a {other} takes no turns here: it is left out, so the turns behind it move"),
            ),
        }
    }
    if people.is_empty() {
        builder.lose(node, "a rotation without users: it is not written");
        return None;
    }
    let mut only = Vec::new();
    if let Some(restriction) = node.get("timeRestriction") {
        for part in restriction
            .get("restriction")
            .into_iter()
            .chain(restriction.list("restrictions"))
        {
            match self::only(&part, zone) {
                Some(found) => only.extend(found),
                None => builder.lose(&part, "a restriction that is not understood"),
            }
        }
    }
    let read = [
        "id",
        "name",
        "startDate",
        "endDate",
        "type",
        "length",
        "participants",
        "timeRestriction",
    ];
    node.rest(&read, builder.losses());
    Some(LayerDraft {
        name: node.text("name").unwrap_or("rotation").to_owned(),
        dst: DstConvention::FirstInstant,
        start: zone.zone().to_datetime(start),
        zone: zone.clone(),
        turn,
        people,
        only,
    })
}

fn only(node: &Node<'_>, zone: &TimeZoneName) -> Option<Vec<Restriction>> {
    let time = |hour: &str, minute: &str| {
        let part = |key: &str| i8::try_from(node.number(key).unwrap_or(0)).ok();
        jiff::civil::Time::new(part(hour)? % 24, part(minute)?, 0, 0).ok()
    };
    let from = time("startHour", "startMin")?;
    let until = time("endHour", "endMin")?;
    match (node.text("startDay"), node.text("endDay")) {
        (Some(begin), Some(end)) => {
            let (begin, end) = (weekday_named(begin)?, weekday_named(end)?);
            Some(between((begin, from), (end, until), zone))
        }
        _ => Some(windows(&(0..7).collect(), from, seconds_until(from, until), zone)),
    }
}

fn minutes(node: &Node<'_>) -> u64 {
    let amount = node.number("timeAmount").unwrap_or(0);
    match node.text("timeUnit").unwrap_or("minutes") {
        "hours" => amount * 60,
        "days" => amount * 1_440,
        _ => amount,
    }
}

fn policy(builder: &mut Builder<'_>, node: &Node<'_>) {
    let title = node.text("name").unwrap_or("escalation");
    let mut steps: Vec<Step> = Vec::new();
    for rule in node.list("rules") {
        let after = rule.get("delay").map_or(0, |delay| minutes(&delay));
        if rule.text("condition") == Some("if-not-closed") {
            builder.lose(
                &rule,
                "`if-not-closed`: here a level is not told once somebody acknowledged",
            );
        }
        let notify = rule.text("notifyType").unwrap_or("default");
        if !matches!(notify, "default" | "users") {
            builder.lose(
                &rule,
                format!("`notifyType: {notify}`: here whoever is on call is told"),
            );
        }
        let Some(recipient) = rule.get("recipient") else {
            builder.lose(&rule, "a rule without `recipient`");
            continue;
        };
        let name = recipient
            .text("username")
            .or(recipient.text("name"))
            .or(recipient.text("id"));
        let name = name.unwrap_or_default();
        let id = recipient.text("id").unwrap_or(name);
        let targets = match recipient.text("type").unwrap_or_default() {
            "user" => {
                let known = builder.find(id);
                vec![Target::Person(
                    known.unwrap_or_else(|| builder.referred(&recipient, name, name)),
                )]
            }
            "schedule" => builder.targets(&recipient, id, name),
            other => {
                builder.lose(&recipient, format!("no level pages a {other:?}"));
                Vec::new()
            }
        };
        match steps.last_mut().filter(|step| step.after == after) {
            Some(step) => step.targets.extend(targets),
            None => steps.push(Step { after, targets }),
        }
        rule.rest(
            &["condition", "notifyType", "delay", "recipient"],
            builder.losses(),
        );
    }
    steps.sort_by_key(|step| step.after);
    let repeat = node.get("repeat").and_then(|repeat| {
        repeat.rest(&["count", "waitInterval"], builder.losses());
        let times = u32::try_from(repeat.number("count")?)
            .ok()
            .filter(|times| *times > 0)?;
        let last = steps.last().map_or(0, |step| step.after);
        Some((times, last + repeat.number("waitInterval").unwrap_or(1)))
    });
    builder.policy(node, title, steps, repeat);
    node.rest(
        &["id", "name", "description", "ownerTeam", "rules", "repeat"],
        builder.losses(),
    );
}

fn parent<'a>(node: &Node<'a>) -> Option<&'a str> {
    let parent = node.get("_parent")?;
    parent.text("id")
}

fn timeline(builder: &mut Builder<'_>, node: &Node<'_>) {
    let Some(id) = parent(node).or(node.text("id")) else {
        return builder.lose(node, "a timeline that does not say of which schedule (`_parent`)");
    };
    let rotations = node
        .get("finalTimeline")
        .map(|part| part.list("rotations"))
        .unwrap_or_default();
    for period in rotations.iter().flat_map(|rotation| rotation.list("periods")) {
        let instant = |key: &str| period.text(key)?.parse::<Timestamp>().ok();
        let (Some(from), Some(until)) = (instant("startDate"), instant("endDate")) else {
            builder.lose(&period, "a period without `startDate` or `endDate`");
            continue;
        };
        let Some(recipient) = period
            .get("recipient")
            .filter(|one| one.text("type") != Some("none"))
        else {
            continue;
        };
        let name = recipient
            .text("name")
            .or(recipient.text("username"))
            .unwrap_or_default();
        let key = recipient.text("id").unwrap_or(name);
        let person = builder.find(key).or_else(|| builder.find(name));
        builder.rendered(
            id,
            person.map_or_else(|| name.to_owned(), |id| id.to_string()),
            from,
            until,
        );
    }
}

fn stand_in(builder: &mut Builder<'_>, node: &Node<'_>) {
    let instant = |key: &str| node.text(key)?.parse::<Timestamp>().ok();
    let (Some(from), Some(until), Some(user)) = (instant("startDate"), instant("endDate"), node.get("user"))
    else {
        return builder.lose(node, "an override without `startDate`, `endDate` or `user`");
    };
    let Some(id) = parent(node) else {
        return builder.lose(
            node,
            "an override that does not say of which schedule (`_parent`)",
        );
    };
    let name = user.text("username").or(user.text("id")).unwrap_or_default();
    let known = user.text("id").and_then(|id| builder.find(id));
    let person = known.unwrap_or_else(|| builder.referred(&user, name, name));
    if until.duration_since(from) > SignedDuration::ZERO {
        builder.stand_in(node, id, person, (from, until));
    }
}
