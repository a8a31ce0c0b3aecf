//! What people say from where they are: the link in a mail, the button in Slack, the answer to a text message. Each is
//! signed; whoever it proves to be acts with the rights of a responder, as with a key in a call.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mainstay_delivery::ack_link::AckLinks;
use mainstay_delivery::channel::Channels;
use mainstay_delivery::slack::{ACKNOWLEDGE, RESOLVE};
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::effect::{Channel, Recipient};
use mainstay_kernel::principal::Tenants;
use mainstay_kernel::{Actor, IncidentId, PageId, PersonId, Principal, Role};
use mainstay_plane::States;
use mainstay_plane::signing::SigningKey;
use mainstay_web::view::{AckLink, AckTarget, Done, LinkedPage, SlackAnswer, SlackRequest};
use mainstay_web::{ACK_PATH, Answer, Denied, Desk, Failure};
use serde_json::Value;

use super::{PlaneConsole, not_found};

/// What the secret of links is made from, with the signing key: nothing else is ever signed that begins so.
const LINKS_CONTEXT: &[u8] = b"mainstay links that acknowledge, 1";
/// How long an answer to Slack may take.
const SLACK_TIMEOUT: Duration = Duration::from_secs(5);
/// How far the provider of telephony may be behind our clock. Of pages that were sent after a text message was written it
/// says nothing, so that one that is told again after a restart acknowledges none of them.
const BEHIND_MAX: SignedDuration = SignedDuration::from_secs(30);
/// How much of a title is written back, in characters.
const TITLE_MAX: usize = 100;

/// The doors through which acknowledgements come without an account.
pub(crate) struct Doors {
    links: AckLinks,
    refused: Refused,
}

/// How often each reason was given.
#[derive(Default)]
pub(super) struct Refused([[AtomicU64; REASONS.len()]; DOORS.len()]);

const DOORS: [&str; 3] = ["mail", "slack", "telephone"];
const REASONS: [&str; 5] = ["malformed", "stale", "expired", "wrong", "repeated"];

impl Refused {
    fn count(&self, door: &str, reason: &str) {
        let door = DOORS.iter().position(|one| *one == door);
        let reason = REASONS.iter().position(|one| *one == reason);
        let counters = door.and_then(|door| self.0.get(door));
        if let Some(counter) = counters.zip(reason).and_then(|(all, reason)| all.get(reason)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Each door and reason with its count.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let doors = DOORS.iter().zip(&self.0);
        doors.flat_map(|(door, counters)| {
            let reasons = REASONS.iter().zip(counters);
            reasons.map(|(reason, count)| (*door, *reason, count.load(Ordering::Relaxed)))
        })
    }
}

impl Doors {
    pub(crate) fn new(key: &SigningKey) -> Self {
        Self {
            links: links(key),
            refused: Refused::default(),
        }
    }

    pub(super) fn refused(&self) -> &Refused {
        &self.refused
    }
}

/// The links of a server: its signature over a fixed text is a secret that only it can make.
pub(crate) fn links(key: &SigningKey) -> AckLinks {
    AckLinks::new(key.sign(LINKS_CONTEXT).as_bytes(), ACK_PATH)
}

/// A person of the catalog at work.
pub(crate) fn responder(person: &str) -> Principal {
    Principal {
        actor: Actor::person(person),
        role: Role::Responder,
        tenants: Tenants::All,
    }
}

/// The newest page of an incident that was sent to one of these people as a text message by then: to whom, which, and what
/// it is about.
fn newest_text(
    states: &States<'_>,
    people: &[PersonId],
    by: Timestamp,
) -> Option<(PersonId, PageId, String)> {
    let incidents = states.incidents.all();
    let pages = incidents.flat_map(|incident| states.oncall.pages_of(&incident.id));
    let texts = pages.flat_map(|page| {
        let prefix = format!("page/{}/", page.request.page);
        let receipts = states.delivery.receipts_under(&prefix);
        let texted: Vec<&PersonId> = receipts
            .filter(|(_, receipt)| receipt.channel == Channel::Sms)
            .filter_map(|(_, receipt)| match &receipt.to {
                Recipient::Person(person) => Some(person),
                _ => None,
            })
            .collect();
        let told = page.told.iter();
        let told = told.filter(move |(at, _, person, _)| {
            *at <= by && people.contains(person) && texted.contains(&person)
        });
        told.map(|(at, _, person, _)| (*at, person, &page.request))
    });
    let (_, person, page) = texts.max_by_key(|(at, _, page)| (*at, &page.page))?;
    Some((person.clone(), page.page.clone(), page.title.clone()))
}

/// What was pressed.
enum Pressed {
    Acknowledge(PageId),
    Resolve(IncidentId),
}

impl Pressed {
    fn of(payload: &Value) -> Option<Self> {
        let action = &payload["actions"][0];
        let value = action["value"].as_str()?;
        match action["action_id"].as_str()? {
            ACKNOWLEDGE => Some(Self::Acknowledge(PageId::new(value).ok()?)),
            RESOLVE => Some(Self::Resolve(IncidentId::new(value).ok()?)),
            _ => None,
        }
    }
}

fn said(to_all: bool, text: String) -> SlackAnswer {
    SlackAnswer {
        response_type: if to_all { "in_channel" } else { "ephemeral" }.to_owned(),
        replace_original: false,
        text,
    }
}

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    fn verify_link(&self, link: &AckLink) -> Result<(PageId, PersonId), Denied> {
        let AckLink {
            page,
            person,
            until,
            signature,
        } = link;
        let doors = &self.program.doors;
        let verified = doors.links.verify(page, person, until, signature, self.now());
        verified.map_err(|error| {
            doors.refused.count("mail", error.word());
            tracing::warn!(%error, "a link that acknowledges was refused");
            Denied::Signature(error.to_string())
        })
    }

    async fn page_of_link(&self, link: &AckLink) -> Result<LinkedPage, Denied> {
        let (id, person) = self.verify_link(link)?;
        let known = |states: &States<'_>| {
            let page = states.oncall.page(&id)?;
            Some(LinkedPage {
                page: id.clone(),
                incident: page.request.incident.clone(),
                severity: page.request.severity,
                title: page.request.title.clone(),
                person: person.to_string(),
                name: states.catalog.platform.name_of(&person).to_owned(),
                acknowledged: page
                    .acknowledged
                    .as_ref()
                    .map(|(at, by)| (*at, by.subject.clone())),
                over: page.closed_at.is_some(),
            })
        };
        let found = self.plane.look(known).await;
        Ok(found.ok_or_else(|| not_found(format!("page {id}")))?)
    }

    async fn pressed(&self, request: &SlackRequest) -> Result<SlackAnswer, Denied> {
        let directory = self.plane.directory();
        let SlackRequest {
            timestamp,
            signature,
            body,
        } = request;
        let verified = directory.verify_slack(timestamp, body, signature, self.now());
        verified.map_err(|error| {
            self.program.doors.refused.count("slack", error.word());
            tracing::warn!(%error, "a request in Slack's name was refused");
            Denied::Signature(error.to_string())
        })?;
        let mut fields = form_urlencoded::parse(body);
        let payload = fields.find_map(|(name, value)| (name == "payload").then_some(value));
        let payload: Value = payload
            .and_then(|payload| serde_json::from_str(&payload).ok())
            .unwrap_or_default();
        let text = |name: &str| payload["user"][name].as_str().unwrap_or_default();
        let names = ["id", "username", "name"].map(text);
        let answer = match (Pressed::of(&payload), directory.by_chat(&names)) {
            (None, _) => said(false, "Mainstay does not know this button.".to_owned()),
            (_, None) => said(
                false,
                format!(
                    "Nobody of the catalog is {} in the chat: nothing was done.",
                    names[0]
                ),
            ),
            (Some(pressed), Some(person)) => self.press(pressed, person).await,
        };
        if let Some(url) = payload["response_url"]
            .as_str()
            .filter(|url| directory.is_slacks(url))
        {
            let post = self.client.post(url).timeout(SLACK_TIMEOUT).json(&answer);
            // What was done is done: Slack waits three seconds for us, so nobody waits for Slack here.
            tokio::spawn(async move {
                if let Err(error) = post.send().await {
                    tracing::warn!(error = %error.without_url(), "an answer did not reach Slack");
                }
            });
        }
        Ok(answer)
    }

    async fn press(&self, pressed: Pressed, person: &str) -> SlackAnswer {
        let who = responder(person);
        let done = match &pressed {
            Pressed::Acknowledge(page) => self.take_on(&who, &AckTarget::Page(page.clone())).await,
            Pressed::Resolve(incident) => self.end(&who, incident, None).await,
        };
        match done {
            Ok(done) => said(!done.events.is_empty(), done.message),
            Err(Failure::Refused { message, help }) => said(false, format!("{message}. {help}")),
            Err(failure) => said(false, failure.to_string()),
        }
    }

    async fn take_newest_on(&self, number: &str, written_at: Timestamp) -> Result<Done, Failure> {
        let directory = self.plane.directory();
        let people: Vec<PersonId> = directory
            .by_phone(number)
            .filter_map(|person| PersonId::new(person).ok())
            .collect();
        let by = written_at.saturating_add(BEHIND_MAX).unwrap_or(Timestamp::MAX);
        let newest = self.plane.look(|states| newest_text(states, &people, by)).await;
        let (person, page, title) = newest.ok_or_else(|| not_found("a page that was sent to this number"))?;
        let done = self
            .take_on(&responder(person.as_str()), &AckTarget::Page(page.clone()))
            .await?;
        // Who wrote may have had another page in mind.
        let title: String = title.chars().take(TITLE_MAX).collect();
        let message = format!("{} Page {page}: {title}", done.message);
        Ok(Done { message, ..done })
    }
}

impl<J: Journal, C: Channels + 'static, H: Hands> Desk for PlaneConsole<J, C, H> {
    fn linked_page<'a>(&'a self, link: &'a AckLink) -> Answer<'a, LinkedPage, Denied> {
        Box::pin(self.page_of_link(link))
    }

    fn acknowledge_by_link<'a>(&'a self, link: &'a AckLink) -> Answer<'a, Done, Denied> {
        Box::pin(async move {
            let (page, person) = self.verify_link(link)?;
            let who = responder(person.as_str());
            Ok(self.take_on(&who, &AckTarget::Page(page)).await?)
        })
    }

    fn slack_action<'a>(&'a self, request: &'a SlackRequest) -> Answer<'a, SlackAnswer, Denied> {
        Box::pin(self.pressed(request))
    }

    fn acknowledge_newest<'a>(&'a self, number: &'a str, written_at: Timestamp) -> Answer<'a, Done> {
        Box::pin(self.take_newest_on(number, written_at))
    }

    fn note_refused_call(&self, reason: &'static str) {
        self.program.doors.refused.count("telephone", reason);
    }
}
