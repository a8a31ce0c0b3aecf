//! The world itself.

use std::sync::Arc;

use futures::executor::block_on;
use jiff::{SignedDuration, Timestamp};
use mainstay_catalog::Catalog;
use mainstay_incident::Incident;
use mainstay_journal::verify::verify;
use mainstay_journal::{Journal as _, JournalError, Record, Seq};
use mainstay_kernel::effect::Act;
use mainstay_kernel::testing::{ManualClock, SeededEntropy};
use mainstay_kernel::{Actor, Clock, Entropy};
use mainstay_plane::{Blind, Command, Directory, Done, Parts, Plane, PlaneError, States};

use crate::kill::{KillSwitch, MortalJournal};
use crate::outside::{Mishap, Outside, Received};
use crate::storage::{Memory, Storage};

type SimPlane<S> = Plane<MortalJournal<S>, Outside, Outside, Blind>;

/// How often an idle process looks around.
const IDLE: SignedDuration = SignedDuration::from_secs(5);
/// How long a dead process takes to be started again.
const RESTART: SignedDuration = SignedDuration::from_secs(2);

/// What can go wrong in a world.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The plane refused, or its journal failed for another reason than a kill.
    #[error(transparent)]
    Plane(#[from] PlaneError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The catalog's channels.
    #[error(transparent)]
    Setting(#[from] mainstay_catalog::response::SettingError),
}

/// One simulated run, whose journal is kept in `S`.
pub struct World<S: Storage = Memory> {
    outer: Outer<S>,
    plane: SimPlane<S>,
    restarts: u32,
    replica: Option<S::Image>,
}

/// What outlives every process.
struct Outer<S> {
    clock: Arc<ManualClock>,
    entropy: Arc<SeededEntropy>,
    switch: Arc<KillSwitch>,
    storage: Arc<S>,
    outside: Outside,
    catalog: Arc<Catalog>,
}

impl World {
    /// A world that begins at `start` under `catalog`. The seed decides on ids and on mishaps.
    ///
    /// # Errors
    /// If the plane does not open.
    pub fn new(seed: u64, start: Timestamp, catalog: Arc<Catalog>) -> Result<Self, WorldError> {
        Self::kept_in(seed, start, catalog, |clock, entropy| {
            Memory::new(clock, entropy, seed)
        })
    }
}

impl<S: Storage> World<S> {
    /// As [`World::new`], with a journal that is kept in what `storage` makes for the world's clock and entropy.
    ///
    /// # Errors
    /// If the plane does not open.
    pub fn kept_in(
        seed: u64,
        start: Timestamp,
        catalog: Arc<Catalog>,
        storage: impl FnOnce(Arc<dyn Clock>, Arc<dyn Entropy>) -> S,
    ) -> Result<Self, WorldError> {
        let clock = Arc::new(ManualClock::at(start));
        let entropy = Arc::new(SeededEntropy::new(seed));
        let storage = storage(clock.clone(), entropy.clone());
        let switch = Arc::new(KillSwitch::default());
        let outside = Outside::new(clock.clone(), seed, switch.clone());
        let outer = Outer {
            clock,
            entropy,
            switch,
            storage: Arc::new(storage),
            outside,
            catalog,
        };
        Ok(Self {
            plane: outer.open()?,
            outer,
            restarts: 0,
            replica: None,
        })
    }

    /// What time it is in the world.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.outer.clock.now()
    }

    /// The switch that kills the process.
    #[must_use]
    pub fn switch(&self) -> &KillSwitch {
        &self.outer.switch
    }

    /// How often the process was started again.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// From now on receivers misbehave like this.
    pub fn set_mishap(&self, mishap: Mishap) {
        self.outer.outside.set_mishap(mishap);
    }

    /// Everything that reached a receiver, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.outer.outside.messages()
    }

    /// Everything that was done to the platform, in order: when, under which key, what.
    #[must_use]
    pub fn acts(&self) -> Vec<(Timestamp, String, Act)> {
        self.outer.outside.acts()
    }

    /// Sends a command as a client would: if the process dies before it answers, the client asks again until it gets an
    /// answer.
    ///
    /// # Errors
    /// If the plane refuses.
    pub fn submit(&mut self, actor: &Actor, command: &Command) -> Result<Vec<Done>, WorldError> {
        loop {
            match block_on(self.plane.submit(actor.clone(), command.clone())) {
                Err(PlaneError::Journal(error)) if self.has_ended(&error) => self.restart()?,
                result => return Ok(result?),
            }
        }
    }

    /// Lets `span` pass: timers ring, effects are carried out, dead processes are started again.
    ///
    /// # Errors
    /// If the journal fails for another reason than a kill.
    pub fn run_for(&mut self, span: SignedDuration) -> Result<(), WorldError> {
        let end = self.now().saturating_add(span).unwrap_or(Timestamp::MAX);
        loop {
            let next = match self.work() {
                Ok(next) => next,
                Err(WorldError::Plane(PlaneError::Journal(error))) if self.has_ended(&error) => {
                    self.restart()?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let now = self.now();
            if now >= end {
                return Ok(());
            }
            let idle = now.saturating_add(IDLE).unwrap_or(Timestamp::MAX);
            let wake = next.map_or(idle, |due| due.min(idle)).clamp(
                now.saturating_add(SignedDuration::from_millis(1)).unwrap_or(end),
                end,
            );
            self.outer.clock.set(wake);
        }
    }

    /// A process whose journal takes nothing any more ends, as one that is killed.
    fn has_ended(&self, error: &JournalError) -> bool {
        self.outer.switch.is_dead()
            || matches!(error, JournalError::Storage(_) | JournalError::StaleEpoch { .. })
    }

    /// The wall clock is set, forward or back.
    pub fn step_clock(&self, by: SignedDuration) {
        self.outer.clock.advance(by);
    }

    /// The database's replica, which is copied to asynchronously, gets everything up to now.
    pub fn replicate(&mut self) {
        self.replica = Some(self.outer.storage.image());
    }

    /// The database is lost and its replica takes over: what was committed since [`World::replicate`] is gone, though it
    /// was acknowledged. Gives whether there was a replica.
    ///
    /// # Errors
    /// If the journal cannot be opened again.
    pub fn fail_over(&mut self) -> Result<bool, WorldError> {
        let Some(image) = self.replica.take() else {
            return Ok(false);
        };
        self.outer.storage.fall_back(image);
        self.restart()?;
        Ok(true)
    }

    /// Everything that is due now.
    fn work(&self) -> Result<Option<Timestamp>, WorldError> {
        loop {
            let next = block_on(self.plane.tick())?;
            let claimed = block_on(self.plane.claim(16))?;
            if claimed.is_empty() {
                return Ok(next);
            }
            for effect in claimed {
                match block_on(self.plane.perform(effect)) {
                    Ok(()) | Err(PlaneError::Refused(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }

    /// Kills the process now and starts a new one.
    ///
    /// # Errors
    /// If the journal cannot be opened again.
    pub fn restart(&mut self) -> Result<(), WorldError> {
        // Whoever supervises it starts it as often as it takes, and waits longer each time.
        let mut wait = RESTART;
        loop {
            self.restarts += 1;
            self.outer.switch.revive();
            self.outer.clock.advance(wait);
            wait = (wait * 2).min(IDLE * 6);
            block_on(self.outer.storage.reopen())?;
            match self.outer.open() {
                Ok(plane) => {
                    self.plane = plane;
                    return Ok(());
                }
                Err(WorldError::Plane(PlaneError::Journal(error)) | WorldError::Journal(error))
                    if self.has_ended(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Keeps the states, so that the next process folds only what comes after.
    ///
    /// # Errors
    /// If the journal fails.
    pub fn save(&self) -> Result<(), WorldError> {
        Ok(block_on(self.plane.save())?)
    }

    /// Looks at the states.
    pub fn look<T>(&self, look: impl FnOnce(&States<'_>) -> T) -> T {
        block_on(self.plane.look(look))
    }

    /// The incidents at hand, oldest first.
    #[must_use]
    pub fn incidents(&self) -> Vec<Incident> {
        self.look(|states| states.incidents.all().cloned().collect())
    }

    /// Every event in commit order.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn events(&self) -> Result<Vec<Record>, WorldError> {
        Ok(block_on(self.outer.storage.journal().read(Seq(0), usize::MAX))?)
    }

    /// Recomputes every hash.
    ///
    /// # Errors
    /// Naming the first event that does not fit.
    pub fn verify(&self) -> Result<(), WorldError> {
        block_on(verify(&*self.outer.storage.journal()))
            .map(|_| ())
            .map_err(WorldError::from)
    }

    /// One line per event and per message: the log that a seed must give twice.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn log(&self) -> Result<String, WorldError> {
        let mut log = String::new();
        for record in self.events()? {
            let envelope = record.envelope;
            log.push_str(&format!(
                "{} {} {} {} {}\n",
                envelope.seq.0, envelope.at, envelope.kind, envelope.stream, envelope.hash
            ));
        }
        for message in self.received() {
            log.push_str(&format!(
                "{} {} {:?} {}\n",
                message.at,
                message.channel.name(),
                message.to,
                message.subject
            ));
        }
        Ok(log)
    }
}

impl<S: Storage> Outer<S> {
    /// A new process.
    fn open(&self) -> Result<SimPlane<S>, WorldError> {
        let journal = MortalJournal {
            clock: self.clock.clone(),
            journal: self.storage.journal(),
            storage: self.storage.clone(),
            switch: self.switch.clone(),
        };
        let parts = Parts {
            journal: Arc::new(journal),
            clock: self.clock.clone() as Arc<dyn Clock>,
            entropy: self.entropy.clone(),
            channels: Arc::new(self.outside.clone()),
            hands: Arc::new(self.outside.clone()),
            judge: Arc::new(Blind),
            base_url: "http://mainstay.example".to_owned(),
        };
        let directory = Directory::new(&self.catalog, |name| Some(format!("simulated-{name}")))?;
        Ok(block_on(Plane::open(
            parts,
            "world",
            self.catalog.clone(),
            directory,
        ))?)
    }
}
