//! The gate, wired to the counts: who asks it, and what makes budgets change their state.

use jiff::Timestamp;
use mainstay_delivery::channel::Channels;
use mainstay_hands::Hands;
use mainstay_journal::Journal;
use mainstay_kernel::fact::BudgetStateChanged;
use mainstay_kernel::{Actor, CellId, Scope, ServiceId};
use mainstay_slo::gate::policy::Action;
use mainstay_slo::gate::{Answer, ChangeKind, Covered, GateCommand, Policy, RecordedAnswer, Request, decide};

use crate::core::Command;
use crate::error::PlaneError;
use crate::judge::Judge;
use crate::plane::{Plane, States};

/// How many budgets one commit takes: an outage changes those of every tenant at once.
const CHANGED_AT_ONCE: usize = 500;

/// Where a change is, with the region of its cell.
fn scope_of(states: &States<'_>, request: &Request) -> Scope {
    let cell = states.catalog.platform.cells.get(&request.cell);
    Scope {
        region: cell.map(|cell| cell.region.value.clone()),
        ..request.scope()
    }
}

/// Every service in every cell.
fn places<'a>(states: &States<'a>) -> impl Iterator<Item = (&'a ServiceId, &'a CellId)> {
    let platform = &states.catalog.platform;
    let cells = move |service| platform.cells.keys().map(move |cell| (service, cell));
    platform.services.keys().flat_map(cells)
}

fn deploy((service, cell): (&ServiceId, &CellId)) -> Request {
    Request {
        service: service.clone(),
        cell: cell.clone(),
        version: None,
        kind: ChangeKind::Deploy,
        tenant: None,
    }
}

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
        let (scope, judging): (Scope, Vec<(Covered, Policy)>) = self
            .look(|states| {
                let judging = states.policies.judging(&request.service);
                let judging = judging.map(|(covered, policy)| (covered.clone(), policy.clone()));
                (scope_of(states, &request), judging.collect())
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

    /// A deploy for all tenants, of each service that is judged by something, in each cell.
    pub async fn judged_places(&self) -> Vec<Request> {
        self.look(|states| {
            let judged = |service: &&ServiceId| states.policies.judging(service).next().is_some();
            places(states)
                .filter(|(service, _)| judged(service))
                .map(deploy)
                .collect()
        })
        .await
    }

    /// Those of them that the last known state of a budget freezes or lets out by approval only. Cost: for each place the
    /// objectives that judge its service, each a look-up.
    pub async fn held_up_places(&self) -> Vec<Request> {
        self.look(|states| {
            let is_held_up = |request: &Request| {
                let scope = scope_of(states, request);
                let mut judging = states.policies.judging(&request.service);
                judging.any(|(covered, policy)| {
                    let last = states.gate.last(&covered.slo, &covered.group_of(&scope));
                    last.and_then(|last| policy.actions.of(last.state))
                        .is_some_and(Action::restricts)
                })
            };
            places(states).map(deploy).filter(is_held_up).collect()
        })
        .await
    }

    /// What the gate would say now to each of `requests`, and since when the budget that decides is in its state, without
    /// being asked: nothing is written, and nobody may go by it. Cost: for each request the objectives that judge its service.
    pub async fn would_answer(&self, requests: Vec<Request>) -> Vec<(Answer, Option<Timestamp>)> {
        let now = self.clock().now();
        let judge = &self.parts.judge;
        self.look(|states| {
            let answer = |request: &Request| {
                let judging: Vec<(Covered, Policy)> = states
                    .policies
                    .judging(&request.service)
                    .map(|(covered, policy)| (covered.clone(), policy.clone()))
                    .collect();
                let standings = judge.standings(&judging, &scope_of(states, request), now);
                let answer = decide(states.gate, states.policies, request, &standings, now);
                let decisive = answer.reasons.first().and_then(|reason| reason.slo.as_ref());
                let since = answer
                    .budgets
                    .iter()
                    .find(|budget| Some(&budget.slo) == decisive)
                    .and_then(|budget| {
                        let last = states.gate.last(&budget.slo, &budget.group)?;
                        (last.state == budget.state).then_some(last.at)
                    });
                (answer, since)
            };
            requests.iter().map(answer).collect()
        })
        .await
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
