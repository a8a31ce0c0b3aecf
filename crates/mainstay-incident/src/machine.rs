//! The machine.

use jiff::Timestamp;
use mainstay_journal::machine::Meta;
use mainstay_journal::{Machine, Reaction};
use mainstay_kernel::effect::{Channel, Deliver, Effect, EffectBody, EffectClass, Message, Recipient};
use mainstay_kernel::notification::{GroupKey, Notification};
use mainstay_kernel::{Digest, PageId};

use crate::command::{IncidentCommand, IncidentRefusal};
use crate::event::IncidentEvent;
use crate::model::{Incident, IncidentState, ToldElsewhere};
use crate::place::IncidentSpec;
use crate::{decide, fold};

/// The incident capability.
pub struct Incidents;

impl Machine for Incidents {
    const NAME: &'static str = "incident";
    type Spec = IncidentSpec;
    type State = IncidentState;
    type Command = IncidentCommand;
    type Event = IncidentEvent;
    type Refusal = IncidentRefusal;

    fn decide(
        state: &IncidentState,
        spec: &IncidentSpec,
        command: IncidentCommand,
        now: Timestamp,
    ) -> Result<Vec<IncidentEvent>, IncidentRefusal> {
        decide::decide(state, spec, command, now)
    }

    fn apply(state: &mut IncidentState, event: &IncidentEvent, meta: &Meta) {
        fold::apply(state, event, meta);
    }

    fn react(state: &IncidentState, _spec: &IncidentSpec, event: &IncidentEvent, _meta: &Meta) -> Reaction {
        let IncidentEvent::AcknowledgementPassedOn {
            incident,
            page,
            by,
            to,
        } = event
        else {
            return Reaction::default();
        };
        let Some(incident) = state.get(incident) else {
            return Reaction::default();
        };
        let tell = |told: &ToldElsewhere| passed_on(incident, page, by, told);
        Reaction {
            effects: to.iter().map(tell).collect(),
            ..Reaction::default()
        }
    }
}

/// That somebody took it on, to those who wait for that under the name of the group.
fn passed_on(incident: &Incident, page: &PageId, by: &str, told: &ToldElsewhere) -> Effect {
    let group = GroupKey {
        text: told.group.clone(),
        ..GroupKey::default()
    };
    let acknowledged = Notification::acknowledged(&told.receiver, group, by.to_owned());
    Effect {
        key: format!(
            "acknowledged/{page}/{}/{}",
            Digest::of(told.group.as_bytes()).short(),
            told.receiver
        ),
        class: EffectClass::Once,
        body: EffectBody::Deliver(Deliver {
            channel: Channel::Webhook,
            to: Recipient::Receiver(told.receiver.clone()),
            message: Message {
                subject: format!("acknowledged by {by}: {}", incident.title),
                body: String::new(),
                severity: incident.severity,
                resolved: false,
                incident: Some(incident.id.clone()),
                page: None,
                path: format!("/incidents/{}", incident.id),
                notification: Some(Box::new(acknowledged)),
                change: None,
            },
        }),
    }
}
