//! The state of every capability and the one place where their commands are carried out.

use std::sync::Arc;

use jiff::Timestamp;
use mainstay_alert::{AlertCommand, Alerts};
use mainstay_catalog::{Catalog, Diagnostics};
use mainstay_change::{Change, ChangeCommand, ChangeSpec};
use mainstay_delivery::{Attempted, Delivery, DeliverySpec};
use mainstay_incident::{IncidentCommand, IncidentSpec, Incidents};
use mainstay_journal::{
    Commit, Context, DomainEvent, Epoch, Journal, JournalError, Machine, Record, Recorded, Runner, Seq,
    Settle,
};
use mainstay_kernel::effect::Channel;
use mainstay_kernel::{Actor, Entropy, EventId};
use mainstay_oncall::{Oncall, OncallCommand, OncallSpec};
use mainstay_runbook::{RunbookCommand, Runbooks};
use mainstay_slo::adjust::ledger::{Ledger, LedgerCommand};
use mainstay_slo::gate::{Gate, GateCommand, Policies};
use mainstay_slo::report::machine::{ReportCommand, Reports};

use crate::error::PlaneError;

const PAGE: usize = 2_000;

/// A command to one of the capabilities.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    missing_docs,
    reason = "each variant is a command of the capability it is named after"
)]
pub enum Command {
    Alert(AlertCommand),
    Change(ChangeCommand),
    Gate(GateCommand),
    Incident(IncidentCommand),
    Ledger(LedgerCommand),
    Oncall(OncallCommand),
    Report(ReportCommand),
    Runbook(RunbookCommand),
    Delivery(Attempted),
}

/// One event that a command led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The event.
    pub id: EventId,
    /// What happened.
    pub kind: &'static str,
    /// The consistency unit it happened in, such as `incident/2025-01-15-001`.
    pub stream: String,
}

/// Who asks, why and when.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) actor: Actor,
    pub(crate) cause: Option<EventId>,
    pub(crate) now: Timestamp,
}

/// What the capabilities need of the catalog.
pub(crate) struct Specs {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) gate: Policies,
    pub(crate) change: ChangeSpec,
    pub(crate) incident: IncidentSpec,
    pub(crate) oncall: OncallSpec,
    pub(crate) delivery: DeliverySpec,
}

impl Specs {
    pub(crate) fn new(catalog: Arc<Catalog>) -> Self {
        let oncall = OncallSpec::from_catalog(&catalog.platform, &catalog.response);
        let in_order = |person| {
            let reach = oncall.reach.get(person);
            // People have telephones whether or not there is a provider.
            let phone = catalog.response.channels.telephone.as_ref();
            let phone = phone.into_iter().flat_map(|_| [Channel::Sms, Channel::Voice]);
            let order = [Channel::Email, Channel::Chat].into_iter().chain(phone);
            order
                .filter(|channel| reach.is_some_and(|reach| reach.contains(channel)))
                .collect()
        };
        let channels = oncall
            .reach
            .keys()
            .map(|person| (person.clone(), in_order(person)))
            .collect();
        // What is wrong with the documents was said when the catalog was checked.
        let said = &mut Diagnostics::default();
        let slos = mainstay_slo::spec::load(&catalog.documents, &catalog.platform, said);
        Self {
            gate: mainstay_slo::gate::load(&catalog, &slos, Timestamp::MIN, said),
            change: ChangeSpec {
                told: catalog
                    .response
                    .channels
                    .pagerduty_that(|service| service.changes),
            },
            incident: IncidentSpec::from_catalog(&catalog.platform, &catalog.response),
            catalog,
            delivery: DeliverySpec { channels },
            oncall,
        }
    }
}

/// The state of every capability.
pub(crate) struct Core {
    pub(crate) epoch: Epoch,
    pub(crate) specs: Specs,
    pub(crate) alerts: Runner<Alerts>,
    pub(crate) changes: Runner<Change>,
    pub(crate) gate: Runner<Gate>,
    pub(crate) incidents: Runner<Incidents>,
    pub(crate) ledger: Runner<Ledger>,
    pub(crate) oncall: Runner<Oncall>,
    pub(crate) reports: Runner<Reports>,
    pub(crate) runbooks: Runner<Runbooks>,
    pub(crate) delivery: Runner<Delivery>,
    /// Where the subscriptions stand, in the order of [`crate::facts::SUBSCRIPTIONS`].
    pub(crate) cursors: Vec<Seq>,
}

impl Core {
    /// Takes the lead's term and folds the journal: snapshots, then what came after. Gives how many events that were, too.
    /// Cost: the events since the oldest snapshot.
    pub(crate) async fn load(
        journal: &impl Journal,
        epoch: Epoch,
        catalog: Arc<Catalog>,
    ) -> Result<(Self, u64), JournalError> {
        let mut core = Self {
            epoch,
            specs: Specs::new(catalog),
            alerts: Runner::load(journal).await?,
            changes: Runner::load(journal).await?,
            gate: Runner::load(journal).await?,
            incidents: Runner::load(journal).await?,
            ledger: Runner::load(journal).await?,
            oncall: Runner::load(journal).await?,
            reports: Runner::load(journal).await?,
            runbooks: Runner::load(journal).await?,
            delivery: Runner::load(journal).await?,
            cursors: Vec::new(),
        };
        for name in crate::facts::SUBSCRIPTIONS {
            core.cursors.push(journal.cursor(name).await?);
        }
        let mut after = core.oldest_seen();
        let mut folded = 0;
        loop {
            let page = journal.read(after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok((core, folded));
            };
            folded += page.len() as u64;
            after = last.envelope.seq;
            page.iter().try_for_each(|record| core.take_in(record))?;
        }
    }

    fn oldest_seen(&self) -> Seq {
        let seen = [
            self.alerts.seen(),
            self.changes.seen(),
            self.gate.seen(),
            self.incidents.seen(),
            self.ledger.seen(),
            self.oncall.seen(),
            self.reports.seen(),
            self.runbooks.seen(),
            self.delivery.seen(),
        ];
        seen.into_iter().min().unwrap_or_default()
    }

    fn take_in(&mut self, record: &Record) -> Result<(), JournalError> {
        self.alerts.take_in(record)?;
        self.changes.take_in(record)?;
        self.gate.take_in(record)?;
        self.incidents.take_in(record)?;
        self.ledger.take_in(record)?;
        self.oncall.take_in(record)?;
        self.reports.take_in(record)?;
        self.runbooks.take_in(record)?;
        self.delivery.take_in(record)
    }

    /// Keeps every state, so that the next start reads only what came after. Cost: the size of the states at hand.
    pub(crate) async fn save(&mut self, journal: &impl Journal) -> Result<(), JournalError> {
        let head = journal.head().await?;
        save(journal, self.epoch, &mut self.alerts, head).await?;
        save(journal, self.epoch, &mut self.changes, head).await?;
        save(journal, self.epoch, &mut self.gate, head).await?;
        save(journal, self.epoch, &mut self.incidents, head).await?;
        save(journal, self.epoch, &mut self.ledger, head).await?;
        save(journal, self.epoch, &mut self.oncall, head).await?;
        save(journal, self.epoch, &mut self.reports, head).await?;
        save(journal, self.epoch, &mut self.runbooks, head).await?;
        save(journal, self.epoch, &mut self.delivery, head).await
    }

    /// Carries a command out.
    pub(crate) async fn execute(
        &mut self,
        journal: &impl Journal,
        entropy: &dyn Entropy,
        asked: Asked,
        command: Command,
        settle: Settle,
    ) -> Result<Vec<Done>, PlaneError> {
        let Asked { actor, cause, now } = asked;
        let context = Context {
            epoch: self.epoch,
            catalog: self.specs.catalog.digest,
            now,
            actor,
            cause,
            entropy,
        };
        let specs = &self.specs;
        Ok(match command {
            Command::Alert(command) => {
                let routing = &specs.catalog.response.routing;
                done(
                    self.alerts
                        .execute(journal, routing, &context, command, settle)
                        .await?,
                )
            }
            Command::Change(command) => done(
                self.changes
                    .execute(journal, &specs.change, &context, command, settle)
                    .await?,
            ),
            Command::Gate(command) => {
                let behind = || self.gate.state().cause(&specs.gate, &command, now);
                let context = Context {
                    cause: context.cause.or_else(behind),
                    ..context
                };
                done(
                    self.gate
                        .execute(journal, &specs.gate, &context, command, settle)
                        .await?,
                )
            }
            Command::Incident(command) => done(
                self.incidents
                    .execute(journal, &specs.incident, &context, command, settle)
                    .await?,
            ),
            Command::Ledger(command) => done(
                self.ledger
                    .execute(journal, &(), &context, command, settle)
                    .await?,
            ),
            Command::Report(command) => done(
                self.reports
                    .execute(journal, &(), &context, command, settle)
                    .await?,
            ),
            Command::Oncall(command) => done(
                self.oncall
                    .execute(journal, &specs.oncall, &context, command, settle)
                    .await?,
            ),
            Command::Runbook(command) => done(
                self.runbooks
                    .execute(journal, &specs.catalog.runbooks, &context, command, settle)
                    .await?,
            ),
            Command::Delivery(command) => done(
                self.delivery
                    .execute(journal, &specs.delivery, &context, command, settle)
                    .await?,
            ),
        })
    }

    /// Commits only what a command would have settled: it was refused, or there is nothing to do.
    pub(crate) async fn settle(&self, journal: &impl Journal, settle: Settle) -> Result<(), JournalError> {
        let mut commit = Commit {
            epoch: self.epoch,
            ..Commit::default()
        };
        commit.cursors.extend(settle.cursor);
        commit.cancel.extend(settle.timer);
        commit.finished.extend(settle.finished);
        journal.commit(commit).await.map(|_| ())
    }

    /// The command that a due timer stands for.
    pub(crate) fn timer_command(machine: &str, key: &str, payload: &str) -> Option<Command> {
        match machine {
            Alerts::NAME => Alerts::on_timer(key, payload).map(Command::Alert),
            Oncall::NAME => Oncall::on_timer(key, payload).map(Command::Oncall),
            _ => None,
        }
    }
}

async fn save<M: Machine>(
    journal: &impl Journal,
    epoch: Epoch,
    runner: &mut Runner<M>,
    head: Seq,
) -> Result<(), JournalError>
where
    M::State: Clone,
{
    runner.pass_over(head);
    let kept = journal.put_snapshot(epoch, M::NAME, runner.snapshot()?).await;
    unless_too_large(M::NAME, kept)
}

/// A state that is too large to be kept ends nothing: the one that was kept last, and all events since, are there.
fn unless_too_large(machine: &'static str, kept: Result<(), JournalError>) -> Result<(), JournalError> {
    match kept {
        Err(error @ JournalError::Limit { .. }) => {
            tracing::error!(%error, machine, "a state is too large to be kept: the next start takes longer");
            Ok(())
        }
        kept => kept,
    }
}

fn done<E: DomainEvent>(recorded: Vec<Recorded<E>>) -> Vec<Done> {
    let summary = |recorded: Recorded<E>| Done {
        id: recorded.meta.id,
        kind: recorded.event.kind(),
        stream: recorded.event.stream().0,
    };
    recorded.into_iter().map(summary).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_is_too_large_ends_nothing_and_a_journal_that_fails_does() {
        let too_large = JournalError::Limit {
            what: "a snapshot in bytes",
            actual: 300 << 20,
            limit: 256 << 20,
        };
        assert!(unless_too_large("alert", Err(too_large)).is_ok());
        assert!(unless_too_large("alert", Ok(())).is_ok());
        let failed = unless_too_large("alert", Err(JournalError::Storage("the disk is full".to_owned())));
        assert!(matches!(failed, Err(JournalError::Storage(_))), "{failed:?}");
    }
}
