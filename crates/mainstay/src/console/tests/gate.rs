//! The gate over a plane: who is told, once.

use mainstay_web::view::{GateKind, GateRequest, GateVerdict};

use super::*;

fn deploy(cell: &str) -> GateRequest {
    GateRequest {
        service: "payment-service".parse().expect("a name"),
        cell: cell.parse().expect("a name"),
        version: None,
        kind: GateKind::Deploy,
        tenant: None,
    }
}

#[tokio::test]
async fn an_exhausted_budget_is_told_once_and_stands_behind_the_refusal() {
    let (mut world, _) = World::outage().await;
    let told = async |world: &World| {
        let receipts = world.plane.look(|states| {
            let receipts = states.delivery.receipts_under("gate/");
            receipts
                .filter(|(_, receipt)| receipt.delivered_at.is_some())
                .count()
        });
        receipts.await
    };
    assert_eq!(told(&world).await, 1, "one cell, one channel");
    world.run(6, 6).await;
    assert_eq!(told(&world).await, 1);
    let who = reader(&[]);
    let refused = world
        .console
        .ask_gate(&who, deploy("cell-5"))
        .await
        .expect("an answer");
    assert_eq!(
        refused.answer.verdict,
        GateVerdict::Refuse,
        "{}",
        refused.answer.answer
    );
    let why = world
        .console
        .why(&who, refused.answer.event)
        .await
        .expect("a chain");
    let kinds: Vec<&str> = why.chain.iter().map(|step| step.kind.as_str()).collect();
    assert_eq!(kinds, ["gate.answered", "gate.budget_changed"]);
    let elsewhere = world
        .console
        .ask_gate(&who, deploy("cell-1"))
        .await
        .expect("an answer");
    assert_eq!(
        elsewhere.answer.verdict,
        GateVerdict::Allow,
        "{}",
        elsewhere.answer.answer
    );
    assert!(world.console.verify_journal(&who).await.expect("a report").whole);
}
