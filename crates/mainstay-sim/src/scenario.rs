//! Scenarios as text: one command a line, and what the world made of it. A scenario and its output are a test that a
//! user can read and write.
//!
//! ```text
//! start 2026-03-02T08:00:00Z          # the first line
//! deploy payment-service cell-5 v1.5.0 v1.6.0
//! wait 15m
//! fire SloBurnRate cell=cell-5 tenant=STD-021 priority=P0 | summary=Payments fail
//! wait 2m
//! ack thandi                          # all waiting pages of the newest incident
//! step high-error-rate rollback
//! clear SloBurnRate cell=cell-5 tenant=STD-021 priority=P0
//! note the pool was exhausted
//! resolve
//! kill                                # kill -9 and start again
//! mail down | up                      # mail servers refuse, or work again
//! ```

use std::fmt::Write as _;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mainstay_alert::{AlertCommand, Observation};
use mainstay_catalog::Catalog;
use mainstay_change::ChangeCommand;
use mainstay_incident::IncidentCommand;
use mainstay_kernel::effect::Recipient;
use mainstay_kernel::fact::{ChangeKind, ChangeRecorded};
use mainstay_kernel::labels::ALERT_NAME;
use mainstay_kernel::{Actor, CellId, IncidentId, Labels, PersonId, RunbookId, Scope, ServiceId};
use mainstay_oncall::OncallCommand;
use mainstay_plane::{Command, PlaneError};
use mainstay_runbook::{Answer, RunbookCommand};

use crate::outside::Mishap;
use crate::world::{World, WorldError};

/// Why a scenario cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// A line is not understood.
    #[error("line {line}: {reason}")]
    Line {
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The world failed.
    #[error("line {line}: {error}")]
    World {
        /// Which line, from 1.
        line: usize,
        /// How.
        error: WorldError,
    },
}

/// Runs a scenario and gives its account: every command, the events and messages that it led to, and at the end the
/// timelines of all incidents. The account holds no ids, so that only what matters changes it.
///
/// # Errors
/// If a line is not understood or the world fails.
pub fn run(text: &str, seed: u64, catalog: Arc<Catalog>) -> Result<(String, World), ScenarioError> {
    let mut lines = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.split(" #").next().unwrap_or("").trim()));
    let mut lines = lines
        .by_ref()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let (line, first) = lines.next().unwrap_or((1, ""));
    let start = first.strip_prefix("start ").and_then(|at| at.trim().parse().ok());
    let start: Timestamp = start.ok_or_else(|| bad(line, "the first line is `start` and an instant"))?;
    let world = World::new(seed, start, catalog).map_err(|error| ScenarioError::World { line, error })?;
    let mut player = Player {
        world,
        account: String::new(),
        events: 0,
        messages: 0,
    };
    for (line, command) in lines {
        let _ = writeln!(player.account, "> {command}");
        player.play(line, command)?;
        player.report(line)?;
    }
    player.timelines();
    Ok((player.account, player.world))
}

fn bad(line: usize, reason: &str) -> ScenarioError {
    ScenarioError::Line {
        line,
        reason: reason.to_owned(),
    }
}

struct Player {
    world: World,
    account: String,
    events: usize,
    messages: usize,
}

impl Player {
    fn play(&mut self, line: usize, text: &str) -> Result<(), ScenarioError> {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        let person = |name: &str| Actor::person(if name.is_empty() { "thandi" } else { name });
        match verb {
            "wait" => {
                let span: SignedDuration = rest
                    .parse()
                    .map_err(|_| bad(line, "wait needs a duration such as 90s"))?;
                self.world
                    .run_for(span)
                    .map_err(|error| ScenarioError::World { line, error })
            }
            "kill" => self
                .world
                .restart()
                .map_err(|error| ScenarioError::World { line, error }),
            "mail" => {
                self.world.set_mishap(Mishap {
                    mail_refuses: if rest == "down" { 100 } else { 0 },
                    ..Mishap::default()
                });
                Ok(())
            }
            "fire" | "clear" => {
                let observation = self.observation(line, verb == "clear", rest)?;
                self.submit(
                    line,
                    &Actor::token("prometheus"),
                    Command::Alert(AlertCommand::Observe(vec![observation])),
                )
            }
            "deploy" | "rollback" => {
                let change = self.change(line, verb, rest)?;
                self.submit(
                    line,
                    &Actor::token("supervisor"),
                    Command::Change(ChangeCommand::Record(change)),
                )
            }
            "ack" => {
                let incident = self.newest(line)?;
                let by = PersonId::new(rest).ok();
                self.submit(
                    line,
                    &person(rest),
                    Command::Oncall(OncallCommand::AcknowledgeIncident { incident, by }),
                )
            }
            "note" => {
                let incident = self.newest(line)?;
                self.submit(
                    line,
                    &person(""),
                    Command::Incident(IncidentCommand::Note {
                        incident,
                        text: rest.to_owned(),
                    }),
                )
            }
            "resolve" => {
                let incident = self.newest(line)?;
                let force = (!rest.is_empty()).then(|| rest.to_owned());
                self.submit(
                    line,
                    &person(""),
                    Command::Incident(IncidentCommand::Resolve { incident, force }),
                )
            }
            "step" => {
                let incident = self.newest(line)?;
                let (runbook, step) = rest
                    .split_once(' ')
                    .ok_or_else(|| bad(line, "step needs a runbook and a step"))?;
                let runbook = RunbookId::new(runbook).map_err(|error| bad(line, &error.to_string()))?;
                let cell = self.world.look(|states| {
                    states
                        .incidents
                        .get(&incident)
                        .and_then(|open| open.scope.cell.clone())
                });
                let answer = Some(Answer::Seen("as expected".to_owned()));
                let command = RunbookCommand::Run {
                    incident,
                    runbook,
                    step: step.trim().to_owned(),
                    cell,
                    answer,
                };
                self.submit(line, &person(""), Command::Runbook(command))
            }
            _ => Err(bad(line, &format!("unknown command {verb:?}"))),
        }
    }

    fn submit(&mut self, line: usize, actor: &Actor, command: Command) -> Result<(), ScenarioError> {
        match self.world.submit(actor, &command) {
            Ok(_) => Ok(()),
            Err(WorldError::Plane(PlaneError::Refused(refused))) => {
                let _ = writeln!(self.account, "  refused: {refused}");
                Ok(())
            }
            Err(error) => Err(ScenarioError::World { line, error }),
        }
    }

    fn newest(&self, line: usize) -> Result<IncidentId, ScenarioError> {
        let newest = self.world.look(|states| {
            states
                .incidents
                .all()
                .next_back()
                .map(|incident| incident.id.clone())
        });
        newest.ok_or_else(|| bad(line, "there is no incident"))
    }

    fn observation(&self, line: usize, over: bool, rest: &str) -> Result<Observation, ScenarioError> {
        let (labels, annotations) = rest.split_once('|').unwrap_or((rest, ""));
        let mut words = labels.split_whitespace();
        let name = words.next().ok_or_else(|| bad(line, "an alert needs a name"))?;
        let mut set = Labels::new().with(ALERT_NAME, name);
        for word in words {
            let (name, value) = word
                .split_once('=')
                .ok_or_else(|| bad(line, "labels are name=value"))?;
            set.set(name, value);
        }
        let mut notes = Labels::new();
        for note in annotations.split(';').filter(|note| !note.trim().is_empty()) {
            let (name, value) = note
                .split_once('=')
                .ok_or_else(|| bad(line, "annotations are name=text; name=text"))?;
            notes.set(name.trim(), value.trim());
        }
        let now = self.world.now();
        Ok(Observation {
            labels: set,
            annotations: notes,
            starts_at: now,
            ended_at: over.then_some(now),
            believed_for_ms: None,
        })
    }

    fn change(&self, line: usize, verb: &str, rest: &str) -> Result<ChangeRecorded, ScenarioError> {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let [service, cell, from, to] = words[..] else {
            return Err(bad(
                line,
                "a change needs a service, a cell, the version before and the version after",
            ));
        };
        let at = self.world.now();
        Ok(ChangeRecorded {
            id: format!("{at}"),
            source: "/supervisor".to_owned(),
            kind: if verb == "deploy" {
                ChangeKind::Deploy
            } else {
                ChangeKind::Rollback
            },
            scope: Scope {
                service: ServiceId::new(service).ok(),
                cell: CellId::new(cell).ok(),
                ..Scope::default()
            },
            from_version: Some(from.to_owned()),
            to_version: Some(to.to_owned()),
            summary: format!("{service} {from} to {to} in {cell}"),
            at,
            cause: None,
        })
    }

    /// What is new in the journal and at the receivers.
    fn report(&mut self, line: usize) -> Result<(), ScenarioError> {
        let events = self
            .world
            .events()
            .map_err(|error| ScenarioError::World { line, error })?;
        for record in &events[self.events..] {
            let envelope = &record.envelope;
            let _ = writeln!(
                self.account,
                "  {} {} ({})",
                envelope.at.strftime("%H:%M:%S"),
                envelope.kind,
                envelope.actor
            );
        }
        self.events = events.len();
        let messages = self.world.received();
        for message in &messages[self.messages..] {
            let to = match &message.to {
                Recipient::Person(person) => person.to_string(),
                Recipient::ChatChannel(channel) => channel.to_string(),
                Recipient::Receiver(name) => name.clone(),
            };
            let label = if message.labelled_duplicate {
                " (possible duplicate)"
            } else {
                ""
            };
            let clock = message.at.strftime("%H:%M:%S");
            let _ = writeln!(
                self.account,
                "  {clock} -> {} {to}: {}{label}",
                message.channel.name(),
                message.subject
            );
        }
        self.messages = messages.len();
        Ok(())
    }

    fn timelines(&mut self) {
        for incident in self.world.incidents() {
            let _ = writeln!(
                self.account,
                "\n{} {} {}: {}",
                incident.id, incident.severity, incident.phase, incident.title
            );
            for entry in incident.timeline_by_time() {
                let _ = writeln!(
                    self.account,
                    "  {} {} ({})",
                    entry.at.strftime("%H:%M:%S"),
                    entry.text,
                    entry.actor
                );
            }
        }
    }
}
