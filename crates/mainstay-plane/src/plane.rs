//! The plane itself: what the binary and the simulator hold.

use std::sync::{Arc, PoisonError, RwLock};

use jiff::{SignedDuration, Timestamp};
use mainstay_alert::{AlertCommand, AlertState};
use mainstay_catalog::Catalog;
use mainstay_change::ChangeState;
use mainstay_delivery::DeliveryState;
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_incident::{IncidentCommand, IncidentState};
use mainstay_journal::{Epoch, Journal, JournalError, Seq, Settle};
use mainstay_kernel::{Actor, Clock, Entropy, EventId};
use mainstay_oncall::OncallState;
use mainstay_runbook::RunbookState;
use mainstay_slo::adjust::ledger::LedgerState;
use mainstay_slo::gate::{GateState, Policies};
use mainstay_slo::report::machine::ReportState;
use tokio::sync::{Mutex, watch};

use crate::core::{Asked, Command, Core, Done, Specs};
use crate::directory::Directory;
use crate::error::{ApplyError, PlaneError};
use crate::facts::{SUBSCRIPTIONS, command_for};
use crate::judge::Judge;
use crate::turns::Turns;

/// How long a lead lasts without being renewed, where the journal is shared.
pub const LEAD_TTL: SignedDuration = SignedDuration::from_secs(6);
/// A start that folds more events than this keeps the states, so that a process that dies again and again does not take
/// longer each time.
const SAVE_AFTER: u64 = 2_000;
/// A cursor that has passed over this many events without a commit is written down by itself.
const CURSOR_LAG_MAX: u64 = 500;
const PAGE: usize = 200;

/// What a plane is made of.
pub struct Parts<J, C, H, G> {
    /// Where everything is written.
    pub journal: Arc<J>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// For ids.
    pub entropy: Arc<dyn Entropy>,
    /// By which messages leave.
    pub channels: Arc<C>,
    /// By which the platform is changed.
    pub hands: Arc<H>,
    /// What the counts say.
    pub judge: Arc<G>,
    /// Where the console is, for links in messages; without a slash at the end.
    pub base_url: String,
}

/// All capabilities at work.
pub struct Plane<J, C, H, G> {
    pub(crate) parts: Parts<J, C, H, G>,
    pub(crate) core: Mutex<Core>,
    directory: RwLock<Arc<Directory>>,
    changed: watch::Sender<Seq>,
    pub(crate) turns: Turns,
}

/// What the capabilities remember, looked at in one instant.
pub struct States<'a> {
    /// The catalog in force.
    pub catalog: &'a Arc<Catalog>,
    /// Alerts and groups.
    pub alerts: &'a AlertState,
    /// Changes.
    pub changes: &'a ChangeState,
    /// Answers of the gate, approvals, the states of budgets.
    pub gate: &'a GateState,
    /// Error budget policies.
    pub policies: &'a Policies,
    /// Incidents.
    pub incidents: &'a IncidentState,
    /// Adjustments.
    pub ledger: &'a LedgerState,
    /// Pages.
    pub oncall: &'a OncallState,
    /// Editions of reports.
    pub reports: &'a ReportState,
    /// Step runs.
    pub runbooks: &'a RunbookState,
    /// Deliveries.
    pub delivery: &'a DeliveryState,
}

impl<J: Journal, C: Channels + 'static, H: Hands, G: Judge> Plane<J, C, H, G> {
    /// Takes the lead and folds the journal. Everything that was under way goes on: due timers and unfinished effects
    /// are found by [`Plane::tick`] and [`Plane::claim`].
    ///
    /// # Errors
    /// If the journal cannot be read, or somebody else leads.
    pub async fn open(
        parts: Parts<J, C, H, G>,
        holder: &str,
        catalog: Arc<Catalog>,
        directory: Directory,
    ) -> Result<Self, JournalError> {
        let now = parts.clock.now();
        let epoch = parts.journal.lead(holder, now, LEAD_TTL).await?;
        Self::open_in_term(parts, epoch, catalog, directory).await
    }

    /// The same in a term that the caller has taken and renews.
    ///
    /// # Errors
    /// If the journal cannot be read, or the term is over.
    pub async fn open_in_term(
        parts: Parts<J, C, H, G>,
        epoch: Epoch,
        catalog: Arc<Catalog>,
        directory: Directory,
    ) -> Result<Self, JournalError> {
        let journal = &*parts.journal;
        journal
            .put_catalog(catalog.digest, &catalog.documents.to_bytes())
            .await?;
        let (mut core, folded) = Core::load(journal, epoch, catalog).await?;
        if folded > SAVE_AFTER {
            core.save(journal).await?;
        }
        let (changed, _) = watch::channel(journal.head().await?);
        let plane = Self {
            parts,
            core: Mutex::new(core),
            directory: RwLock::new(Arc::new(directory)),
            changed,
            turns: Turns::default(),
        };
        plane.review_alerts().await?;
        Ok(plane)
    }

    /// What was held back under another catalog may be told under this one.
    async fn review_alerts(&self) -> Result<(), JournalError> {
        let holding = |states: &States<'_>| {
            let groups = states.alerts.groups();
            groups.filter(|(_, group)| !group.held.is_empty()).count()
        };
        // Each time some are told or noted, and those have nothing to say the next time.
        for _ in 0..self.look(holding).await {
            let review = Command::Alert(AlertCommand::Review(None));
            match self.submit(Actor::machine("alert"), review).await {
                Err(PlaneError::Journal(error)) => return Err(error),
                Ok(told) if !told.is_empty() => {}
                // It refuses nothing.
                Ok(_) | Err(PlaneError::Refused(_)) => break,
            }
        }
        Ok(())
    }

    /// The journal.
    pub fn journal(&self) -> &Arc<J> {
        &self.parts.journal
    }

    /// The term in which this plane leads.
    pub async fn epoch(&self) -> Epoch {
        self.core.lock().await.epoch
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.parts.clock
    }

    /// Tells of the journal's head whenever it moves.
    pub fn changed(&self) -> watch::Receiver<Seq> {
        self.changed.subscribe()
    }

    /// Where people and receivers are reached under the catalog in force.
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another catalog in force. What was decided under the old one stays as it is.
    ///
    /// # Errors
    /// If the journal fails, a variable of the catalog's channels is not set, or a page climbs by a policy that it does
    /// away with.
    pub async fn apply_catalog(
        &self,
        catalog: Arc<Catalog>,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<(), ApplyError> {
        let directory = Directory::new(&catalog, lookup)?;
        let mut core = self.core.lock().await;
        let is_gone = |policy: &&String| {
            core.specs.oncall.policies.contains_key(*policy)
                && !catalog.response.policies.contains_key(*policy)
        };
        let climbing = core.oncall.state().climbing();
        let in_use = climbing.map(|page| &page.policy).find(is_gone).cloned();
        if let Some(policy) = in_use {
            return Err(ApplyError::PolicyInUse(policy));
        }
        self.parts
            .journal
            .put_catalog(catalog.digest, &catalog.documents.to_bytes())
            .await?;
        core.specs = Specs::new(catalog);
        *self.directory.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(directory);
        drop(core);
        self.review_alerts().await?;
        Ok(())
    }

    /// Carries out what somebody asks for, and everything that follows from it in other capabilities. When this returns,
    /// it is durable.
    ///
    /// # Errors
    /// The capability's refusal, or the journal's failure.
    pub async fn submit(&self, actor: Actor, command: Command) -> Result<Vec<Done>, PlaneError> {
        self.execute(actor, None, command, Settle::default()).await
    }

    pub(crate) async fn execute(
        &self,
        actor: Actor,
        cause: Option<EventId>,
        command: Command,
        settle: Settle,
    ) -> Result<Vec<Done>, PlaneError> {
        let mut core = self.core.lock().await;
        self.execute_under(&mut core, actor, cause, command, settle).await
    }

    pub(crate) async fn execute_under(
        &self,
        core: &mut Core,
        actor: Actor,
        cause: Option<EventId>,
        command: Command,
        settle: Settle,
    ) -> Result<Vec<Done>, PlaneError> {
        let asked = Asked {
            actor,
            cause,
            now: self.parts.clock.now(),
        };
        let journal = &*self.parts.journal;
        match core
            .execute(journal, &*self.parts.entropy, asked, command, settle.clone())
            .await
        {
            Ok(done) => {
                self.pump(core).await?;
                Ok(done)
            }
            Err(PlaneError::Refused(refused)) => {
                if settle != Settle::default() {
                    core.settle(journal, settle).await?;
                }
                Err(refused.into())
            }
            Err(fatal) => Err(fatal),
        }
    }

    /// Lets facts travel until nobody has news: each subscriber answers each event once, in the transaction that moves
    /// its cursor past it.
    async fn pump(&self, core: &mut Core) -> Result<(), PlaneError> {
        let journal = &*self.parts.journal;
        loop {
            let mut news = false;
            for (index, name) in SUBSCRIPTIONS.iter().enumerate() {
                let page = journal.read(core.cursors[index], PAGE).await?;
                for record in page {
                    news = true;
                    let seq = record.envelope.seq;
                    if let Some(command) = command_for(name, core, &*self.parts.judge, &record)? {
                        self.answer(core, name, &record.envelope, command).await?;
                    } else if seq.0 % CURSOR_LAG_MAX == 0 {
                        let settle = Settle {
                            cursor: Some(((*name).to_owned(), seq)),
                            ..Settle::default()
                        };
                        core.settle(journal, settle).await?;
                    }
                    core.cursors[index] = seq;
                }
            }
            if !news {
                let head = journal.head().await?;
                self.changed
                    .send_if_modified(|seen| std::mem::replace(seen, head) != head);
                return Ok(());
            }
        }
    }

    async fn answer(
        &self,
        core: &mut Core,
        subscription: &str,
        fact: &mainstay_journal::Envelope,
        command: Command,
    ) -> Result<(), PlaneError> {
        let journal = &*self.parts.journal;
        let asked = Asked {
            actor: fact.actor.clone(),
            cause: Some(fact.id),
            now: self.parts.clock.now(),
        };
        let settle = Settle {
            cursor: Some((subscription.to_owned(), fact.seq)),
            ..Settle::default()
        };
        match core
            .execute(journal, &*self.parts.entropy, asked, command, settle.clone())
            .await
        {
            Ok(_) => Ok(()),
            Err(PlaneError::Refused(refused)) => {
                tracing::warn!(subscription, fact = %fact.kind, %refused, "what follows from an event was refused");
                Ok(core.settle(journal, settle).await?)
            }
            Err(fatal) => Err(fatal),
        }
    }

    /// Fires every due timer and catches up with facts. Gives the instant of the next timer or effect.
    ///
    /// # Errors
    /// If the journal fails.
    pub async fn tick(&self) -> Result<Option<Timestamp>, PlaneError> {
        let journal = &*self.parts.journal;
        loop {
            // Between two rounds others have their turn: what a silence held back may take many.
            let mut core = self.core.lock().await;
            self.pump(&mut core).await?;
            let due = journal.due_timers(self.parts.clock.now(), PAGE).await?;
            if due.is_empty() {
                return Ok(journal.next_due().await?);
            }
            for timer in due {
                let settle = Settle {
                    timer: Some(timer.key.clone()),
                    ..Settle::default()
                };
                let command = Core::timer_command(&timer.machine, &timer.key, &timer.payload);
                let Some(command) = command else {
                    core.settle(journal, settle).await?;
                    continue;
                };
                let asked = Asked {
                    actor: Actor::machine(&timer.machine),
                    cause: Some(timer.cause),
                    now: self.parts.clock.now(),
                };
                // It tells no more than one commit takes: its timer stays due until nothing is left.
                let in_portions = command == Command::Alert(AlertCommand::Review(None));
                let with_it = if in_portions {
                    Settle::default()
                } else {
                    settle.clone()
                };
                match core
                    .execute(journal, &*self.parts.entropy, asked, command, with_it)
                    .await
                {
                    Ok(told) if in_portions && told.is_empty() => core.settle(journal, settle).await?,
                    Ok(_) => {}
                    Err(PlaneError::Refused(_)) => core.settle(journal, settle).await?,
                    Err(fatal) => return Err(fatal),
                }
            }
        }
    }

    /// Asks the counts about every open incident.
    ///
    /// # Errors
    /// If the journal fails.
    pub async fn measure(&self) -> Result<(), PlaneError> {
        let now = self.parts.clock.now();
        let questions: Vec<_> = self
            .look(|states| {
                let open = states.incidents.open();
                open.map(|incident| (incident.id.clone(), incident.scope.clone(), incident.began_at))
                    .collect()
            })
            .await;
        // Without the lock: pages and acknowledgements do not wait for the counts.
        let answers: Vec<_> = questions
            .into_iter()
            .filter_map(|(incident, scope, began_at)| {
                Some((incident, self.parts.judge.verdict(&scope, Some(began_at), now)?))
            })
            .collect();
        let mut core = self.core.lock().await;
        for (incident, verdict) in answers {
            let command = IncidentCommand::Measure {
                incident,
                impact: verdict.impact,
                recovered_at: verdict.recovered_at,
            };
            let asked = Asked {
                actor: Actor::machine("slo"),
                cause: None,
                now,
            };
            let journal = &*self.parts.journal;
            let result = core
                .execute(
                    journal,
                    &*self.parts.entropy,
                    asked,
                    Command::Incident(command),
                    Settle::default(),
                )
                .await;
            match result {
                Ok(_) | Err(PlaneError::Refused(_)) => {}
                Err(fatal) => return Err(fatal),
            }
        }
        self.pump(&mut core).await
    }

    /// Looks at every state in one instant.
    pub async fn look<T>(&self, look: impl FnOnce(&States<'_>) -> T) -> T {
        let core = self.core.lock().await;
        look(&States {
            catalog: &core.specs.catalog,
            alerts: core.alerts.state(),
            changes: core.changes.state(),
            gate: core.gate.state(),
            policies: &core.specs.gate,
            incidents: core.incidents.state(),
            ledger: core.ledger.state(),
            oncall: core.oncall.state(),
            reports: core.reports.state(),
            runbooks: core.runbooks.state(),
            delivery: core.delivery.state(),
        })
    }

    /// Extends the lead.
    ///
    /// # Errors
    /// If somebody else leads by now: this process must stop.
    pub async fn renew(&self) -> Result<(), JournalError> {
        let epoch = self.core.lock().await.epoch;
        self.parts
            .journal
            .renew(epoch, self.parts.clock.now(), LEAD_TTL)
            .await
    }

    /// Keeps the states, so that the next start is quick. Not needed for safety.
    ///
    /// # Errors
    /// If the journal fails.
    pub async fn save(&self) -> Result<(), JournalError> {
        self.core.lock().await.save(&*self.parts.journal).await
    }
}
