//! Whether a rota makes sense by itself, and beside the one that it backs up.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_kernel::PersonId;

use super::rota::{Layer, Rota, RotaSpec};
use crate::diagnostic::Diagnostics;
use crate::document::Document;
use crate::envelope::Sourced;
use crate::lint;
use crate::platform::Platform;

/// The rota with all that it leaves out.
pub(super) fn complete_rota<'a>(
    rota: Sourced<'a, RotaSpec>,
    diagnostics: &mut Diagnostics,
) -> Sourced<'a, Rota> {
    let Sourced { document, value } = rota;
    if let (Some(turn), Some(_)) = (&value.turn, &value.turn_days) {
        let message = "the length of a turn is given twice, as `turn` and as `turn_days`";
        diagnostics.push(
            document
                .diagnostic(lint::BAD_VALUE, turn.at, message)
                .help("keep `turn`"),
        );
    }
    let (value, missing) = value.complete();
    for key in missing {
        diagnostics.push_unread(
            document
                .diagnostic(lint::MISSING_KEY, document.at, format!("missing key `{key}`"))
                .help("a rota has `handoff`, `start` and `participants`, or `layers` that each have them"),
        );
    }
    Sourced { document, value }
}

/// What it says of business hours, pay and reminders.
fn check_pay(document: &Document, rota: &Rota, platform: &Platform, diagnostics: &mut Diagnostics) {
    let mut bad = |message: String, help: &str| {
        let found = document.diagnostic(lint::BAD_VALUE, document.at, message);
        diagnostics.push(found.help(help));
    };
    if rota
        .business_hours
        .as_ref()
        .is_some_and(|hours| hours.until <= hours.from)
    {
        bad(
            "business hours end before they begin".to_owned(),
            "give an `until` that is later than `from`, on the same day",
        );
    }
    if let Some(pay) = &rota.pay {
        if pay.currency.len() != 3 || !pay.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            bad(
                format!("{:?} is not a currency", pay.currency),
                "write its three letters, as in ZAR",
            );
        }
        for person in pay
            .people
            .keys()
            .filter(|person| !platform.people.contains_key(person))
        {
            bad(
                format!("there is no person {person}"),
                "name people by their handles",
            );
        }
    }
    let reminds = rota.remind.as_ref().map(|remind| remind.value.0);
    let sensible = jiff::SignedDuration::from_mins(1)..=jiff::SignedDuration::from_hours(30 * 24);
    if reminds.is_some_and(|before| !sensible.contains(&before)) {
        bad(
            "a reminder comes at least a minute and at most 30 days before the shift".to_owned(),
            "write `remind: 24h`",
        );
    }
}

pub(super) fn check_rota(
    rota: &Sourced<'_, Rota>,
    rotas: &BTreeMap<String, Sourced<'_, Rota>>,
    platform: &Platform,
    diagnostics: &mut Diagnostics,
) {
    let document = rota.document;
    check_pay(document, &rota.value, platform, diagnostics);
    let mut names = BTreeSet::new();
    for layer in &rota.value.layers {
        if !names.insert(layer.name.as_str()) {
            let message = format!("a second layer called {}", layer.name);
            diagnostics.push(
                document
                    .diagnostic(lint::DUPLICATE_NAME, layer.name.at, message)
                    .help("give each layer a name of its own; the rota's own keys are the layer `base`"),
            );
        }
        check_layer(document, layer, platform, diagnostics);
    }
    if let Some(name) = &rota.value.backs_up {
        match rotas.get(&name.value) {
            Some(primary) => check_backup(rota, &primary.value, platform, diagnostics),
            None => {
                diagnostics.push(document.unknown_reference("rota", name, rotas.keys().map(String::as_str)))
            }
        }
    }
}

fn check_layer(document: &Document, layer: &Layer, platform: &Platform, diagnostics: &mut Diagnostics) {
    let Layer {
        name,
        handoff,
        start,
        turn,
        participants,
        ..
    } = layer;
    for person in participants
        .iter()
        .filter(|person| !platform.people.contains_key(&person.value))
    {
        let known = platform.people.keys().map(AsRef::as_ref);
        diagnostics.push(document.unknown_reference("person", person, known));
    }
    if participants.is_empty() {
        let (at, message) = if name.at.line == 0 {
            (
                document.at,
                "a rota without participants: nobody would be on call",
            )
        } else {
            (
                name.at,
                "a layer without participants: it would never be in force",
            )
        };
        diagnostics.push(
            document
                .diagnostic(lint::BAD_VALUE, at, message)
                .help("name at least one person"),
        );
    }
    if turn.value.count == 0 {
        let message = "a turn lasts at least one day";
        diagnostics.push(
            document
                .diagnostic(lint::BAD_VALUE, turn.at, message)
                .help("leave it out for turns of a week"),
        );
    }
    let Some(weekday) = handoff.weekday else { return };
    if start.value.weekday() != weekday.into() {
        let message = format!(
            "{start} is a {:?}, the handoff is on {weekday:?}",
            start.value.weekday()
        );
        let nearest = start.value.nth_weekday(1, weekday.into());
        let help = nearest.map_or_else(
            |_| String::new(),
            |date| format!("the next {weekday:?} is {date}"),
        );
        diagnostics.push(
            document
                .diagnostic(lint::HANDOFF_WEEKDAY, start.at, message)
                .help(help),
        );
    }
    if !turn.value.is_whole_weeks() {
        let message = format!("turns of {turn} do not change on the same day of the week");
        let help = "use whole weeks, or leave the handoff's weekday out";
        diagnostics.push(
            document
                .diagnostic(lint::HANDOFF_WEEKDAY, turn.at, message)
                .help(help),
        );
    }
}

/// In each turn, the backup and the one they back up must be of different teams.
fn check_backup(
    rota: &Sourced<'_, Rota>,
    primary: &Rota,
    platform: &Platform,
    diagnostics: &mut Diagnostics,
) {
    // Of rotas with several layers, or whose turns do not change together, nothing is said here.
    let ([backup], [primary]) = (rota.value.layers.as_slice(), primary.layers.as_slice()) else {
        return;
    };
    let beat = |layer: &Layer| {
        (
            layer.start.value,
            layer.turn.value,
            layer.handoff.clone(),
            layer.time_zone.clone(),
            layer.only.clone(),
        )
    };
    if beat(backup) != beat(primary) {
        return;
    }
    let team = |person: &PersonId| platform.people.get(person).map(|person| &person.team.value);
    let (own, other) = (backup.participants.len(), primary.participants.len());
    let mut reported = BTreeSet::new();
    for turn in 0..own * other {
        let (Some(second), Some(first)) = (
            backup.participants.get(turn % own),
            primary.participants.get(turn % other),
        ) else {
            return;
        };
        let shared = team(&second.value).filter(|own| Some(*own) == team(&first.value));
        if let Some(shared) = shared.filter(|_| reported.insert(second.at)) {
            let message = format!("{second} backs up {first}, and both are of {shared}");
            diagnostics.push(
                rota.document
                    .diagnostic(lint::SAME_TEAM_BACKUP, second.at, message)
                    .help("choose somebody of another team for this turn, or reorder the participants"),
            );
        }
    }
}
