//! What people do: take on, write down, end.

use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_incident::{Incident, IncidentCommand, IncidentRefusal};
use mainstay_journal::Journal;
use mainstay_kernel::principal::ActorKind;
use mainstay_kernel::{IncidentId, PersonId, Principal};
use mainstay_oncall::{OncallCommand, OncallRefusal};
use mainstay_plane::{Command, PlaneError, Refused};
use mainstay_web::Failure;
use mainstay_web::view::{AckTarget, Done};

use super::{PlaneConsole, failure, no_incident, not_found, sight};

/// The incident, if the reader may act on it: they see everything it concerns.
pub(super) fn may_act(
    who: &Principal,
    id: &IncidentId,
    incident: Option<Incident>,
) -> Result<Incident, Failure> {
    let incident = incident
        .filter(|incident| sight::knows_of(who, incident))
        .ok_or_else(|| no_incident(id))?;
    if sight::sees(who, &incident.scope) {
        Ok(incident)
    } else {
        Err(Failure::Refused {
            message: format!("incident {id} concerns more than your tenants"),
            help: "Ask the payments platform's on-call engineer; this account may only read it.".to_owned(),
        })
    }
}

impl<J: Journal, C: Channels + 'static, H: Hands> PlaneConsole<J, C, H> {
    async fn incident_to_act_on(&self, who: &Principal, id: &IncidentId) -> Result<Incident, Failure> {
        let incident = self.plane.look(|states| states.incidents.get(id).cloned()).await;
        may_act(who, id, incident)
    }

    pub(super) async fn take_on(&self, who: &Principal, target: &AckTarget) -> Result<Done, Failure> {
        let by = self.person(who).await;
        let (incident, command) = match target {
            AckTarget::Page(page) => {
                let incident = self
                    .plane
                    .look(|states| states.oncall.page(page).map(|page| page.request.incident.clone()))
                    .await
                    .ok_or_else(|| not_found(format!("page {page}")))?;
                (
                    incident,
                    OncallCommand::AcknowledgePage {
                        page: page.clone(),
                        by,
                    },
                )
            }
            AckTarget::Incident(incident) => (
                incident.clone(),
                OncallCommand::AcknowledgeIncident {
                    incident: incident.clone(),
                    by,
                },
            ),
        };
        let known = self.incident_to_act_on(who, &incident).await?;
        match self.submit(&who.actor, Command::Oncall(command)).await {
            Ok(events) => Ok(Done {
                message: format!("Acknowledged by {}.", who.actor.subject),
                events,
            }),
            Err(PlaneError::Refused(Refused::Oncall(OncallRefusal::AlreadyAcknowledged { by, .. }))) => {
                self.counts.repeated_acks.add(1);
                Ok(Done {
                    message: format!("It was acknowledged by {by} before."),
                    events: Vec::new(),
                })
            }
            Err(PlaneError::Refused(Refused::Oncall(OncallRefusal::NothingToAcknowledge(_))))
                if known.acknowledged.is_some() =>
            {
                self.counts.repeated_acks.add(1);
                let by = known
                    .acknowledged
                    .map(|(_, actor)| actor.subject)
                    .unwrap_or_default();
                Ok(Done {
                    message: format!("It was acknowledged by {by} before."),
                    events: Vec::new(),
                })
            }
            Err(error) => Err(failure(error, "Nobody was paged for it, or its pages are over.")),
        }
    }

    /// The person of the catalog that an account stands for.
    async fn person(&self, who: &Principal) -> Option<PersonId> {
        let id = PersonId::new(&*who.actor.subject)
            .ok()
            .filter(|_| who.actor.kind == ActorKind::Person)?;
        self.plane
            .look(|states| {
                states
                    .catalog
                    .platform
                    .people
                    .contains_key(&id)
                    .then(|| id.clone())
            })
            .await
    }

    /// Ends an incident. A note is its last line and, while alerts still fire, the reason to end it all the same.
    pub(super) async fn end(
        &self,
        who: &Principal,
        id: &IncidentId,
        note: Option<&str>,
    ) -> Result<Done, Failure> {
        let incident = self.incident_to_act_on(who, id).await?;
        let mut events = Vec::new();
        let firing = incident.firing().count() > 0;
        if let Some(text) = note.filter(|_| !firing && incident.is_open()) {
            events.extend(self.write_down(who, id, text).await?.events);
        }
        let command = IncidentCommand::Resolve {
            incident: id.clone(),
            force: note.filter(|_| firing).map(str::to_owned),
        };
        match self.submit(&who.actor, Command::Incident(command)).await {
            Ok(done) => {
                events.extend(done);
                Ok(Done {
                    message: format!("Incident {id} is resolved."),
                    events,
                })
            }
            Err(PlaneError::Refused(Refused::Incident(IncidentRefusal::AlreadyResolved(_)))) => Ok(Done {
                message: format!("Incident {id} was resolved before."),
                events: Vec::new(),
            }),
            Err(error) => Err(failure(
                error,
                "Wait for the alerts to clear, or say in a note why it is over although they fire.",
            )),
        }
    }

    pub(super) async fn write_down(
        &self,
        who: &Principal,
        id: &IncidentId,
        text: &str,
    ) -> Result<Done, Failure> {
        self.incident_to_act_on(who, id).await?;
        let command = IncidentCommand::Note {
            incident: id.clone(),
            text: text.to_owned(),
        };
        let help = "Notes go into open incidents, up to 2,000 bytes each.";
        let events = self
            .submit(&who.actor, Command::Incident(command))
            .await
            .map_err(|error| failure(error, help))?;
        Ok(Done {
            message: "Written into the timeline.".to_owned(),
            events,
        })
    }
}
