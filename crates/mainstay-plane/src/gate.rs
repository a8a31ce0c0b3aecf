//! The gate, wired to the counts: who asks it, and what makes budgets change their state.

use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::Actor;
use mainstay_kernel::fact::BudgetStateChanged;
use mainstay_slo::gate::{Covered, GateCommand, Policy, RecordedAnswer, Request};

use crate::core::Command;
use crate::error::PlaneError;
use crate::judge::Judge;
use crate::plane::Plane;

/// How many budgets one commit takes: an outage changes those of every tenant at once.
const CHANGED_AT_ONCE: usize = 500;

impl<J: Journal, C: Channels + 'static, H: Hands, G: Judge> Plane<J, C, H, G> {
    /// Asks whether a change may go out. When this returns, the answer is durable. `None` if it is not at hand any more,
    /// after hundreds of others in the same moment.
    ///
    /// # Errors
    /// The gate's refusal of the request, or the journal's failure.
    pub async fn ask_gate(
        &self,
        actor: Actor,
        request: Request,
    ) -> Result<Option<RecordedAnswer>, PlaneError> {
        let mut scope = request.scope();
        let judging: Vec<(Covered, Policy)> = self
            .look(|states| {
                let cell = states.catalog.platform.cells.get(&request.cell);
                scope.region = cell.map(|cell| cell.region.value.clone());
                let judging = states.policies.judging(&request.service);
                judging
                    .map(|(covered, policy)| (covered.clone(), policy.clone()))
                    .collect()
            })
            .await;
        let now = self.clock().now();
        let standings = self.parts.judge.standings(&judging, &scope, now);
        let command = Command::Gate(GateCommand::Ask(request, standings));
        let done = self.submit(actor, command).await?;
        let answered = |recorded: &&RecordedAnswer| done.iter().any(|done| done.id == recorded.event);
        Ok(self
            .look(|states| states.gate.answers().rev().find(answered).cloned())
            .await)
    }

    /// Writes down which budgets are in another state: those of the places that changes are judged by, which are asked for
    /// here, and `others`, which an evaluation found. Told again what is known, it writes nothing.
    ///
    /// # Errors
    /// If the journal fails.
    pub async fn note_budgets(&self, mut others: Vec<BudgetStateChanged>) -> Result<(), PlaneError> {
        let actor = Actor::machine("slo");
        let covered: Vec<Covered> = self
            .look(|states| {
                states
                    .policies
                    .covered()
                    .map(|(covered, _)| covered.clone())
                    .collect()
            })
            .await;
        let standings = self.parts.judge.standings_in_places(&covered, self.clock().now());
        for part in standings.chunks(CHANGED_AT_ONCE) {
            let command = GateCommand::Judge(part.to_vec());
            self.submit(actor.clone(), Command::Gate(command)).await?;
        }
        while !others.is_empty() {
            let later = others.split_off(others.len().min(CHANGED_AT_ONCE));
            let command = GateCommand::Changed(others);
            self.submit(actor.clone(), Command::Gate(command)).await?;
            others = later;
        }
        Ok(())
    }
}
