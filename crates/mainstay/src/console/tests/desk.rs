//! Acknowledgements of people who are not signed in: each door believes its own signature, does things once, and says who
//! was first.

use mainstay_kernel::{Clock as _, PageId};
use mainstay_plane::States;
use mainstay_web::view::{AckLink, SlackAnswer, SlackRequest};
use mainstay_web::{Denied, Desk as _};
use ring::hmac;

use super::super::*;
use super::world::*;

/// The outage, its page, and who was paged first.
async fn paged() -> (World, IncidentId, PageId, String) {
    let (world, incident) = World::outage().await;
    world.work().await;
    let found = world
        .plane
        .look(|states| {
            let page = states.oncall.pages_of(&incident).next()?;
            let (_, _, person, _) = page.told.iter().find(|(.., informed)| !informed)?;
            Some((page.request.page.clone(), person.to_string()))
        })
        .await;
    let (page, person) = found.expect("somebody was paged");
    (world, incident, page, person)
}

fn denied<T: std::fmt::Debug>(answer: Result<T, Denied>) -> String {
    match answer {
        Err(Denied::Signature(why)) => why,
        other => panic!("it was believed: {other:?}"),
    }
}

#[tokio::test]
async fn the_link_of_a_mail_acknowledges_once_in_the_name_of_whom_it_was_sent_to() {
    let (world, _, page, person) = paged().await;
    let links = desk::links(&world.console.program.key);
    let to = person.parse().expect("a handle");
    let url = links.url("https://mainstay.example", &page, &to, world.clock.now());
    let fields: BTreeMap<_, _> = form_urlencoded::parse(url.split_once('?').expect("a query").1.as_bytes())
        .into_owned()
        .collect();
    let link = AckLink {
        page: fields["page"].clone(),
        person: fields["person"].clone(),
        until: fields["until"].clone(),
        signature: fields["signature"].clone(),
    };
    let asked = world.console.linked_page(&link).await.expect("it is ours");
    assert_eq!(
        (&asked.page, &asked.acknowledged),
        (&page, &None),
        "asking does nothing"
    );

    let other = AckLink {
        person: "sre-director".to_owned(),
        ..link.clone()
    };
    denied(world.console.acknowledge_by_link(&other).await);
    denied(world.console.linked_page(&other).await);
    let first = world
        .console
        .acknowledge_by_link(&link)
        .await
        .expect("it is ours");
    assert_eq!(first.message, format!("Acknowledged by {person}."));
    let second = world
        .console
        .acknowledge_by_link(&link)
        .await
        .expect("it is ours");
    assert!(
        second.events.is_empty() && second.message.contains("before"),
        "{second:?}"
    );
    let asked = world.console.linked_page(&link).await.expect("it is ours");
    assert_eq!(asked.acknowledged.map(|(_, by)| by), Some(person));

    world.clock.advance(jiff::SignedDuration::from_hours(24));
    assert_eq!(
        denied(world.console.acknowledge_by_link(&link).await),
        "its time is over"
    );
    let refused = world.console.program.doors.refused();
    let counted: Vec<_> = refused.all().filter(|(.., count)| *count > 0).collect();
    assert_eq!(counted, [("mail", "expired", 1), ("mail", "wrong", 2)]);
}

/// What Slack sends when `user` presses a button, signed at an instant.
fn press(user: &str, action: &str, value: &str, at: Timestamp, secret: &str) -> SlackRequest {
    let payload = serde_json::json!({
        "type": "block_actions",
        "user": { "id": "U024BE7LH", "username": user },
        "actions": [{ "action_id": action, "value": value }],
        // Nothing is posted to whoever is not Slack.
        "response_url": "http://169.254.169.254/latest",
    });
    let body: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", &payload.to_string())
        .finish();
    let timestamp = at.as_second().to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = hmac::sign(&key, format!("v0:{timestamp}:{body}").as_bytes());
    let hex: String = signature
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    SlackRequest {
        timestamp,
        signature: format!("v0={hex}"),
        body: body.into_bytes(),
    }
}

/// What the directory of the test has for the variable.
const SECRET: &str = "http://127.0.0.1/SLACK_SIGNING_SECRET";

#[tokio::test]
async fn a_button_of_slack_acknowledges_for_who_pressed_it_and_a_double_click_changes_nothing() {
    let (world, incident, page, person) = paged().await;
    let now = world.clock.now();
    let acknowledge = |user: &str, at, secret| press(user, "mainstay_acknowledge", page.as_str(), at, secret);
    let ago = |s| now - jiff::SignedDuration::from_secs(s);
    let send = async |request: SlackRequest| world.console.slack_action(&request).await;
    denied(send(acknowledge(&person, now, "another")).await);
    denied(send(acknowledge(&person, ago(301), SECRET)).await);
    let mut changed = acknowledge(&person, now, SECRET);
    changed.body.push(b'&');
    denied(send(changed).await);
    let words = |answer: Result<SlackAnswer, Denied>| {
        let answer = answer.expect("it is signed");
        (answer.response_type, answer.text)
    };
    let (to, stranger) = words(send(acknowledge("nobody", now, SECRET)).await);
    assert!(to == "ephemeral" && stranger.contains("U024BE7LH"), "{stranger}");
    let unanswered = async || {
        let look = |states: &States<'_>| {
            states
                .oncall
                .page(&page)
                .is_some_and(|page| page.acknowledged.is_none())
        };
        world.plane.look(look).await
    };
    assert!(unanswered().await, "nothing was done so far");

    let pressed = acknowledge(&person, ago(299), SECRET);
    let (to, first) = words(send(pressed.clone()).await);
    assert_eq!(
        (to.as_str(), first),
        ("in_channel", format!("Acknowledged by {person}."))
    );
    for again in [pressed, acknowledge("thandi", now, SECRET)] {
        let (to, second) = words(send(again).await);
        assert!(
            to == "ephemeral" && second.contains(&format!("acknowledged by {person} before")),
            "{second}"
        );
    }

    let resolve = || press(&person, "mainstay_resolve", incident.as_str(), now, SECRET);
    let (_, early) = words(send(resolve()).await);
    let open = async || {
        let look = |states: &States<'_>| {
            states
                .incidents
                .get(&incident)
                .is_some_and(|incident| incident.is_open())
        };
        world.plane.look(look).await
    };
    assert!(open().await, "its alerts fire: {early}");
    let (_, other) = words(send(press(&person, "other", "x", now, SECRET)).await);
    assert!(other.contains("does not know"), "{other}");
    let counted: Vec<_> = world
        .console
        .program
        .doors
        .refused()
        .all()
        .filter(|(.., count)| *count > 0)
        .collect();
    assert_eq!(counted, [("slack", "stale", 1), ("slack", "wrong", 2)]);
}

#[tokio::test]
async fn a_text_message_acknowledges_the_newest_page_that_was_sent_to_that_number() {
    let (world, _, page, person) = paged().await;
    let number = world
        .plane
        .look(|states| {
            let mut people = states.catalog.platform.people.iter();
            let known = people.find(|(id, _)| id.as_str() == person);
            known.and_then(|(_, known)| known.contacts.phone.clone())
        })
        .await
        .expect("who is on call has a telephone");
    let now = world.clock.now();
    let title = world
        .plane
        .look(|states| states.oncall.page(&page).map(|page| page.request.title.clone()))
        .await
        .expect("the page");
    let stranger = world.console.acknowledge_newest("+27115550999", now).await;
    assert!(matches!(stranger, Err(Failure::NotFound { .. })), "{stranger:?}");
    // What was written before the page was sent is about no such page.
    let before = now - jiff::SignedDuration::from_mins(5);
    let earlier = world.console.acknowledge_newest(&number, before).await;
    assert!(matches!(earlier, Err(Failure::NotFound { .. })), "{earlier:?}");
    let first = world
        .console
        .acknowledge_newest(&number, now)
        .await
        .expect("it was sent there");
    assert_eq!(
        first.message,
        format!("Acknowledged by {person}. Page {page}: {title}")
    );
    let second = world
        .console
        .acknowledge_newest(&number, now)
        .await
        .expect("it was sent there");
    assert!(
        second.message.contains("before") && second.events.is_empty(),
        "{second:?}"
    );
    let by = world
        .plane
        .look(|states| {
            states
                .oncall
                .page(&page)
                .and_then(|page| page.acknowledged.clone())
        })
        .await;
    assert_eq!(by.map(|(_, by)| by.subject), Some(person));
}
