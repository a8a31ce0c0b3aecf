//! Which groups an alert is in.

use mainstay_catalog::response::{Route, Routing};
use mainstay_kernel::fact::AlertFact;
use mainstay_kernel::notification::GroupKey;
use mainstay_kernel::{Labels, Matcher};

use crate::event::Placement;
use crate::flap::FlapLimit;

/// What a group is called: its receiver, the path of its route, and the labels by which it is grouped.
pub(crate) fn group_name(path: &[usize], route: &Route, labels: &Labels) -> String {
    let path: Vec<String> = path.iter().map(ToString::to_string).collect();
    format!(
        "{}@{}{}",
        route.receiver,
        path.join("."),
        route.group_by.of(labels)
    )
}

/// As Alertmanager names a group: the matchers of the routes that lead to it, and the labels by which it is grouped.
fn group_key(routing: &Routing, path: &[usize], labels: Labels) -> GroupKey {
    let mut text = "{}".to_owned();
    let mut route = &routing.route;
    for index in path {
        let Some(below) = route.routes.get(*index) else {
            break;
        };
        route = below;
        let mut matchers: Vec<&Matcher> = route.matchers.iter().collect();
        matchers.sort_by_key(|matcher| (matcher.name(), matcher.value(), matcher.op()));
        let matchers: Vec<String> = matchers.iter().map(ToString::to_string).collect();
        text.push_str(&format!("/{{{}}}", matchers.join(",")));
    }
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    text.push_str(&format!(":{{{}}}", pairs.join(", ")));
    GroupKey { text, labels }
}

/// Where the routes put an alert.
pub(crate) fn place(routing: &Routing, alert: &AlertFact) -> Vec<Placement> {
    let ms = |duration: jiff::SignedDuration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let routes = routing.route.matching(&alert.labels).into_iter();
    routes
        .map(|(path, route)| Placement {
            group: group_name(&path, route, &alert.labels),
            key: group_key(routing, &path, route.group_by.of(&alert.labels)),
            receiver: route.receiver.clone(),
            group_wait_ms: ms(route.group_wait),
            group_interval_ms: ms(route.group_interval),
            repeat_interval_ms: ms(route.repeat_interval),
            mute_time_intervals: route.mute_time_intervals.clone(),
            active_time_intervals: route.active_time_intervals.clone(),
            flap_limit: route.flapping.map(|flapping| FlapLimit {
                starts: flapping.starts,
                within_ms: ms(flapping.within),
            }),
        })
        .collect()
}
