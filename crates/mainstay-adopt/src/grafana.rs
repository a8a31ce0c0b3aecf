//! Grafana OnCall's public HTTP API: `/api/v1/users`, `schedules`, `on_call_shifts`, `escalation_chains`,
//! `escalation_policies`, `schedules/{id}/final_shifts`, each as `{"results": [..]}`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::DateTime;
use jiff::{Timestamp, ToSpan as _};
use mainstay_catalog::platform::TimeZoneName;
use mainstay_catalog::response::DstConvention;
use mainstay_kernel::PersonId;
use mainstay_oncall::rota::first_instant;

use crate::build::{Builder, LayerDraft};
use crate::node::Node;
use crate::window::{DAY_SECONDS, WEEK_SECONDS, turn_of, weekday_named, windows};
use crate::{Step, Target};

pub(crate) const EXPECTED: &str =
    "`results` with users, schedules, on-call shifts, escalation chains, escalation policies or final shifts";

pub(crate) fn read(builder: &mut Builder<'_>, roots: &[Node<'_>]) -> Vec<bool> {
    let mut read = Vec::new();
    let mut items: Vec<Node<'_>> = Vec::new();
    for root in roots {
        let of = root.list("results");
        let empty = root
            .value
            .get("results")
            .and_then(serde_json::Value::as_array)
            .is_some_and(Vec::is_empty);
        read.push(empty || of.iter().any(|node| kind(node).is_some()));
        if root.text("next").is_some() {
            builder.lose(
                root,
                "there are more pages (`next`): fetch them and name those files too",
            );
        }
        items.extend(of);
    }
    let of = |wanted: Kind| items.iter().filter(move |node| kind(node) == Some(wanted));
    of(Kind::User).for_each(|node| user(builder, node));
    let shifts: BTreeMap<&str, &Node<'_>> = of(Kind::Shift)
        .filter_map(|node| Some((node.text("id")?, node)))
        .collect();
    of(Kind::Schedule).for_each(|node| schedule(builder, node, &shifts));
    of(Kind::Final).for_each(|node| rendered(builder, node));
    let policies: Vec<&Node<'_>> = of(Kind::Policy).collect();
    of(Kind::Chain).for_each(|node| chain(builder, node, &policies));
    for node in items.iter().filter(|node| kind(node).is_none()) {
        builder.lose(node, "not carried over: none of what is read here");
    }
    read
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    User,
    Schedule,
    Shift,
    Final,
    Policy,
    Chain,
}

fn kind(node: &Node<'_>) -> Option<Kind> {
    let has = |key: &str| node.value.get(key).is_some();
    if has("shift_start") {
        Some(Kind::Final)
    } else if has("escalation_chain_id") && has("position") {
        Some(Kind::Policy)
    } else if has("username") {
        Some(Kind::User)
    } else if has("duration") && has("start") {
        Some(Kind::Shift)
    } else if has("on_call_now") || has("shifts") || has("ical_url_primary") {
        Some(Kind::Schedule)
    } else if has("name") && has("id") {
        Some(Kind::Chain)
    } else {
        None
    }
}

fn user(builder: &mut Builder<'_>, node: &Node<'_>) {
    let username = node.text("username").unwrap_or_default();
    let keys: Vec<&str> = [node.text("id"), Some(username), node.text("email")]
        .into_iter()
        .flatten()
        .collect();
    let zone = node.text("timezone").and_then(|zone| zone.parse().ok());
    let person = builder.person(
        node,
        &keys,
        node.text("name").unwrap_or(username),
        node.text("email"),
    );
    person.time_zone = zone;
    if node
        .value
        .get("is_phone_number_verified")
        .and_then(serde_json::Value::as_bool)
        == Some(true)
    {
        builder.lose(
            node,
            "the API does not give the telephone number: write it into `contacts`",
        );
    }
    let read = [
        "id",
        "username",
        "email",
        "name",
        "timezone",
        "role",
        "grafana_id",
        "teams",
        "is_phone_number_verified",
    ];
    node.rest(&read, builder.losses());
}

fn schedule(builder: &mut Builder<'_>, node: &Node<'_>, shifts: &BTreeMap<&str, &Node<'_>>) {
    let Some(id) = node.text("id") else {
        return builder.lose(node, "a schedule without `id`");
    };
    let title = node.text("name").unwrap_or(id);
    if node.text("ical_url_primary").is_some() {
        return builder.lose(node, "a schedule of an iCalendar feed: it is not written");
    }
    if node.text("ical_url_overrides").is_some() {
        builder.lose(node, "overrides of an iCalendar feed");
    }
    let zone = builder.zone(node, "time_zone");
    let mut layers: Vec<(u64, LayerDraft)> = Vec::new();
    let mut stand_ins = Vec::new();
    for entry in node.list("shifts") {
        let Some(shift) = entry.value.as_str().and_then(|id| shifts.get(id)) else {
            builder.lose(&entry, "the shift is not in the export: it is not written");
            continue;
        };
        match shift.text("type").unwrap_or_default() {
            "override" | "single_event" => stand_ins.extend(single(builder, shift, &zone)),
            _ => layers.extend(layer(builder, shift, &zone)),
        }
    }
    layers.sort_by_key(|(level, _)| *level);
    let levels: BTreeSet<u64> = layers.iter().map(|(level, _)| *level).collect();
    let stacked = levels.len() == layers.len();
    let layers = layers.into_iter().map(|(_, layer)| layer).collect();
    // Of one level all are on call; of several the highest.
    match stacked {
        true => builder.schedule(node, (id, title), &zone, layers),
        false => {
            if levels.len() > 1 {
                builder.lose(
                    node,
                    "rotations of one level beside others of another: levels are not carried over",
                );
            }
            builder.union(node, (id, title), &zone, layers);
        }
    }
    for (shift, person, when) in stand_ins {
        builder.stand_in(&shift, id, person, when);
    }
    let read = [
        "id",
        "name",
        "type",
        "time_zone",
        "shifts",
        "on_call_now",
        "team_id",
        "slack",
        "ical_url_overrides",
    ];
    node.rest(&read, builder.losses());
}

/// The zone of a shift, and its first beginning by that zone's clock.
fn begins(
    builder: &mut Builder<'_>,
    node: &Node<'_>,
    zone: &TimeZoneName,
) -> Option<(TimeZoneName, DateTime)> {
    let own = match node.text("time_zone") {
        Some(_) => builder.zone(node, "time_zone"),
        None => zone.clone(),
    };
    let text = node.text("rotation_start").or(node.text("start"))?;
    let text = text.trim_end_matches('Z');
    let start: DateTime = text.parse().ok()?;
    let of_day: DateTime = node.text("start")?.trim_end_matches('Z').parse().ok()?;
    Some((own, start.date().to_datetime(of_day.time())))
}

fn single<'a>(
    builder: &mut Builder<'_>,
    node: &Node<'a>,
    zone: &TimeZoneName,
) -> Vec<(Node<'a>, PersonId, (Timestamp, Timestamp))> {
    let Some((zone, start)) = begins(builder, node, zone) else {
        builder.lose(node, "an event without `start`");
        return Vec::new();
    };
    let seconds = i64::try_from(node.number("duration").unwrap_or(0)).unwrap_or(0);
    let Some(from) = first_instant(&zone.zone(), start) else {
        builder.lose(node, "an event at a time that does not exist");
        return Vec::new();
    };
    let until = from
        .saturating_add(jiff::SignedDuration::from_secs(seconds))
        .unwrap_or(from);
    let mut users = people(builder, &node.list("users"));
    users.extend(groups(builder, node));
    if users.len() > 1 {
        builder.lose(node, "more than one stands in: only the first is written");
    }
    users
        .into_iter()
        .take(1)
        .map(|person| (node.clone(), person, (from, until)))
        .collect()
}

fn people(builder: &mut Builder<'_>, nodes: &[Node<'_>]) -> Vec<PersonId> {
    let ids = nodes.iter().filter_map(|node| Some((node, node.value.as_str()?)));
    ids.map(|(node, id)| builder.referred(node, id, id)).collect()
}

/// Those who take turns, the first of each group.
fn groups(builder: &mut Builder<'_>, node: &Node<'_>) -> Vec<PersonId> {
    let mut found = Vec::new();
    for group in node.list("rolling_users") {
        let users = people(builder, &group.items());
        if users.len() > 1 {
            builder.lose(
                &group,
                "a turn of several people: a rota has one, the first is written",
            );
        }
        found.extend(users.into_iter().next());
    }
    found
}

fn layer(builder: &mut Builder<'_>, node: &Node<'_>, zone: &TimeZoneName) -> Option<(u64, LayerDraft)> {
    let name = node.text("name").unwrap_or("rotation").to_owned();
    let end = node.text("until").and_then(|text| text.parse::<Timestamp>().ok());
    if let Some(end) = end {
        if end <= builder.now {
            return None;
        }
        builder.lose(node, format!("the rotation ends at {end}: here it goes on"));
    }
    let frequency = node.text("frequency").unwrap_or_default();
    let interval = node.number("interval").unwrap_or(1).max(1);
    let (begins, turn) = (begins(builder, node, zone), turn_of(frequency, interval));
    let (Some((zone, mut start)), Some(turn)) = (begins, turn) else {
        builder.lose(
            node,
            "a rotation without `start`, or of an unknown `frequency`: it is not written",
        );
        return None;
    };
    let mut people = groups(builder, node);
    if people.is_empty() {
        people = self::people(builder, &node.list("users"));
        if people.len() > 1 {
            builder.lose(
                node,
                "all of `users` are on call at once: a rota has one, the first is written",
            );
            people.truncate(1);
        }
    }
    if people.is_empty() {
        builder.lose(node, "a rotation without users: it is not written");
        return None;
    }
    let first = node
        .number("start_rotation_from_user_index")
        .and_then(|index| usize::try_from(index).ok());
    let count = people.len();
    people.rotate_left(first.unwrap_or(0) % count);
    let by_day: BTreeSet<u64> = node
        .list("by_day")
        .iter()
        .filter_map(|day| weekday_named(day.value.as_str()?))
        .collect();
    let seconds = node.number("duration").unwrap_or(0);
    let from = start.time();
    let only = match (frequency, by_day.is_empty()) {
        ("weekly", false) => {
            // Turns change with the week, whichever day of it is the first that is covered.
            let week = node.text("week_start").and_then(weekday_named).unwrap_or(0);
            let day = u64::try_from(start.date().weekday().to_monday_zero_offset()).unwrap_or(0);
            let back = i64::try_from((day + 7 - week) % 7).unwrap_or(0);
            let date = start.date().checked_sub(back.days()).unwrap_or(start.date());
            start = date.at(0, 0, 0, 0);
            windows(&by_day, from, seconds, &zone)
        }
        ("weekly", true) if seconds < WEEK_SECONDS * interval => {
            if interval > 1 {
                builder.lose(node, "a turn that covers only a part of several weeks: here it covers that part of each of them");
            }
            let day = u64::try_from(start.date().weekday().to_monday_zero_offset()).unwrap_or(0);
            windows(&[day].into(), from, seconds, &zone)
        }
        ("daily", _) => {
            let days = if by_day.is_empty() {
                (0..7).collect()
            } else {
                by_day
            };
            if days.len() < 7 && count > 1 {
                builder.lose(
                    node,
                    "turns of the days in `by_day`: here the days between them count as turns too",
                );
            }
            windows(&days, from, seconds.min(DAY_SECONDS), &zone)
        }
        ("hourly" | "monthly", _) if seconds > 0 => {
            builder.lose(
                node,
                "how much of its turn it covers (`duration`, `by_day`): here it covers all",
            );
            Vec::new()
        }
        _ => Vec::new(),
    };
    let read = [
        "id",
        "name",
        "type",
        "team_id",
        "schedule",
        "time_zone",
        "level",
        "start",
        "rotation_start",
        "until",
        "duration",
        "frequency",
        "interval",
        "week_start",
        "by_day",
        "users",
        "rolling_users",
        "start_rotation_from_user_index",
        "source",
    ];
    node.rest(&read, builder.losses());
    let draft = LayerDraft {
        name,
        dst: DstConvention::FirstInstant,
        start,
        zone,
        turn,
        people,
        only,
    };
    Some((node.number("level").unwrap_or(0), draft))
}

/// A shift of `final_shifts`; the answer does not name its schedule: the file may (`schedule_id`), else there is one.
fn rendered(builder: &mut Builder<'_>, node: &Node<'_>) {
    let instant = |key: &str| node.text(key)?.parse::<Timestamp>().ok();
    let (Some(from), Some(until)) = (instant("shift_start"), instant("shift_end")) else {
        return builder.lose(node, "a shift without `shift_start` or `shift_end`");
    };
    let names = ["user_pk", "user_email", "user_username"].map(|key| node.text(key));
    let known = names.iter().flatten().find_map(|name| builder.find(name));
    let name = names.iter().flatten().last().copied().unwrap_or_default();
    let person = known.map_or_else(|| name.to_owned(), |id| id.to_string());
    let own = node.text("schedule_id").map(str::to_owned);
    match own.or_else(|| builder.only_schedule()) {
        Some(schedule) => builder.rendered(&schedule, person, from, until),
        None => builder.lose(
            node,
            "of which schedule is not said: add `schedule_id`, or import one schedule at a time",
        ),
    }
}

fn chain(builder: &mut Builder<'_>, node: &Node<'_>, policies: &[&Node<'_>]) {
    let id = node.text("id").unwrap_or_default();
    let mut own: Vec<&&Node<'_>> = policies
        .iter()
        .filter(|step| step.text("escalation_chain_id") == Some(id))
        .collect();
    own.sort_by_key(|step| step.number("position"));
    let (mut after, mut repeat) = (0, None);
    let mut steps: Vec<Step> = Vec::new();
    for step in own {
        let mut targets = Vec::new();
        match step.text("type").unwrap_or_default() {
            "wait" => after += step.number("duration").unwrap_or(300).div_ceil(60),
            "notify_persons" => {
                let people = people(builder, &step.list("persons_to_notify"));
                targets.extend(people.into_iter().map(Target::Person));
            }
            "notify_on_call_from_schedule" => {
                let schedule = step.text("notify_on_call_from_schedule").unwrap_or_default();
                targets = builder.targets(step, schedule, schedule);
            }
            "repeat_escalation" => repeat = Some(5),
            other => builder.lose(step, format!("no level does what {other:?} does")),
        }
        if targets.is_empty() {
            continue;
        }
        match steps.last_mut().filter(|last| last.after == after) {
            Some(last) => last.targets.extend(targets),
            None => steps.push(Step { after, targets }),
        }
        let read = [
            "id",
            "escalation_chain_id",
            "position",
            "type",
            "duration",
            "important",
            "persons_to_notify",
            "notify_on_call_from_schedule",
        ];
        step.rest(&read, builder.losses());
    }
    builder.policy(
        node,
        node.text("name").unwrap_or(id),
        steps,
        repeat.map(|times| (times, after.max(1))),
    );
}
