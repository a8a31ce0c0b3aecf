//! Taking in what sources of alerts say, in commits of bounded size.

use mainstay_alert::{AlertCommand, Observation};
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::{Journal, Settle};
use mainstay_kernel::{Actor, Digest, Severity};

use crate::core::{Command, Done};
use crate::error::PlaneError;
use crate::judge::Judge;
use crate::plane::{Plane, States};

/// How many observations one commit takes: what is urgent waits for one of them at most.
pub const OBSERVED_AT_ONCE: usize = 200;

impl<J: Journal, C: Channels + 'static, H: Hands, G: Judge> Plane<J, C, H, G> {
    /// Tells what fires and what ended, in commits of bounded size, what is urgent first: its pages are on their way before
    /// the rest is looked at. Gives the events, and how many alerts were not taken because more fire than are kept: tell
    /// them again later.
    ///
    /// # Errors
    /// As [`Plane::submit`]; a part that is refused keeps no other from being taken.
    pub async fn observe(
        &self,
        actor: &Actor,
        observations: Vec<Observation>,
    ) -> Result<(Vec<Done>, usize), PlaneError> {
        self.observe_noting(actor, observations, |_| {}).await
    }

    /// The same; `note` is given each part under the lock under which it is decided, so that what it keeps of alerts and what
    /// they are cannot differ.
    ///
    /// # Errors
    /// As [`Plane::observe`].
    pub async fn observe_noting(
        &self,
        actor: &Actor,
        observations: Vec<Observation>,
        mut note: impl FnMut(&[Observation]) + Send,
    ) -> Result<(Vec<Done>, usize), PlaneError> {
        let firing = observations.iter().filter(|one| one.ended_at.is_none());
        let firing: Vec<Digest> = firing.map(|one| one.labels.fingerprint()).collect();
        // What one alert did stays in order: its severity is among the labels that make it the alert that it is.
        let (urgent, rest): (Vec<_>, Vec<_>) = observations
            .into_iter()
            .partition(|one| Severity::from_labels(&one.labels).is_some_and(Severity::pages));
        let mut parts = [urgent, rest];
        let next = || {
            let part = parts.iter_mut().find(|part| !part.is_empty());
            let told = part.map_or_else(Vec::new, |part| {
                let later = part.split_off(part.len().min(OBSERVED_AT_ONCE));
                std::mem::replace(part, later)
            });
            note(&told);
            told
        };
        let done = self.observe_each(actor, next).await?;
        let unknown = |states: &States<'_>| {
            firing
                .iter()
                .filter(|id| states.alerts.alert(id).is_none())
                .count()
        };
        let shed = self.look(unknown).await;
        if shed > 0 {
            tracing::error!(shed, %actor, "alerts were not taken: more fire than are kept");
        }
        Ok((done, shed))
    }

    /// Takes in what `next` gives, commit by commit, until it gives nothing. It is asked under the lock under which that is
    /// decided, for no more than [`OBSERVED_AT_ONCE`].
    ///
    /// # Errors
    /// As [`Plane::submit`]: the first refusal, when all the rest was taken.
    pub async fn observe_each(
        &self,
        actor: &Actor,
        mut next: impl FnMut() -> Vec<Observation> + Send,
    ) -> Result<Vec<Done>, PlaneError> {
        let (mut done, mut first_refusal) = (Vec::new(), None);
        loop {
            let mut core = self.core.lock().await;
            let told = next();
            if told.is_empty() {
                return first_refusal.map_or(Ok(done), |refused| Err(PlaneError::Refused(refused)));
            }
            let command = Command::Alert(AlertCommand::Observe(told));
            let taken = self.execute_under(&mut core, actor.clone(), None, command, Settle::default());
            match taken.await {
                Ok(events) => done.extend(events),
                Err(PlaneError::Refused(refused)) => first_refusal = first_refusal.or(Some(refused)),
                Err(fatal) => return Err(fatal),
            }
        }
    }
}
