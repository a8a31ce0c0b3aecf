//! A payment's way, and back.

use crate::{
    http::{get, request},
    platform::{Client, Platform, count, eventually, payment},
};
use serde_json::json;

fn client(platform: &Platform) -> Client {
    Client {
        gateway: platform.gateway("cell-5"),
        tenant: "STD-001",
        epoch: "1",
    }
}

#[test]
fn a_key_is_one_payment_and_routes_are_fenced() {
    let platform = Platform::start("cell-5");
    // One pod: only the pod that has a request in flight can know that it has.
    platform.change_and_wait("cell-5", "payment-service", "scale", json!({ "replicas": 1 }));
    let client = client(&platform);
    let paid = payment("STD-001");
    let before = client.available_minor("STD-001-0001");

    let answers: Vec<_> = std::thread::scope(|scope| {
        let sent: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| client.pay("key-1", &paid)))
            .collect();
        sent.into_iter()
            .map(|one| one.join().expect("a thread"))
            .collect()
    });
    let mut statuses: Vec<u16> = answers.iter().map(|a| a.status).collect();
    statuses.sort_unstable();
    assert_eq!(
        statuses,
        [202, 409],
        "one is taken, the other is told that it is in flight"
    );
    let accepted = answers
        .into_iter()
        .find(|a| a.status == 202)
        .expect("the accepted one");

    let again = client.pay("key-1", &paid);
    assert_eq!(
        (again.status, &again.text),
        (202, &accepted.text),
        "a repeated request has the stored answer"
    );
    let mut other = paid.clone();
    other["amount_minor"] = json!(9);
    assert_eq!(
        client.pay("key-1", &other).status,
        422,
        "another request under the same key"
    );
    assert_eq!(client.pay("", &paid).status, 400, "no key");
    other["colour"] = json!("red");
    assert_eq!(client.pay("key-2", &other).status, 400, "unknown field");

    assert_eq!(client.ended(&accepted)["status"], "completed");
    assert_eq!(client.available_minor("STD-001-0001"), before - 1234, "paid once");

    // A closed account at the creditor's bank: rejected, and the reservation is given back.
    let mut closed = paid.clone();
    closed["creditor"]["account"] = json!("0000000199");
    let rejected = client.ended(&client.pay("key-3", &closed));
    assert_eq!(rejected["status"], "rejected");
    assert!(
        rejected["reason"].as_str().expect("a reason").starts_with("AC04"),
        "{rejected}"
    );
    let mut too_much = paid.clone();
    too_much["debtor"]["account"] = json!("STD-001-9999");
    assert_eq!(
        client.ended(&client.pay("key-4", &too_much))["reason"],
        "AC01 no such account in this currency"
    );
    assert_eq!(client.available_minor("STD-001-0001"), before - 1234);
    let mut unreachable = paid.clone();
    unreachable["creditor"]["agent"] = json!("NOBKXXAA");
    assert_eq!(client.pay("key-5", &unreachable).status, 422);

    // Routes: another cell's tenant, nobody's tenant, and a tenant that has moved.
    let elsewhere = Client {
        gateway: client.gateway.clone(),
        tenant: "HIG-001",
        epoch: "1",
    };
    assert_eq!(elsewhere.pay("key-6", &paid).status, 421);
    let nobody = Client {
        gateway: client.gateway.clone(),
        tenant: "NOB-001",
        epoch: "1",
    };
    assert_eq!(nobody.get("/v1/payments/1").status, 400);
    let moved = request(
        "PUT",
        &format!("{}/v1/routes/STD-001", platform.control),
        &[],
        r#"{"cell":"cell-5"}"#,
    );
    assert_eq!(moved.expect("an answer").json()["epoch"], 2);
    eventually("the gateway to learn the new epoch", || {
        (client.pay("key-7", &paid).status == 409).then_some(())
    });
    let current = Client {
        gateway: client.gateway.clone(),
        tenant: "STD-001",
        epoch: "2",
    };
    assert_eq!(current.ended(&current.pay("key-7", &paid))["status"], "completed");

    let audit = platform.audited("cell-5");
    assert_eq!(audit.faults, Vec::<String>::new());
    assert_eq!(
        (audit.completed, audit.undone),
        (2 + audit.payments - 4, 2),
        "{audit:?}"
    );
    let metrics = get(&format!("{}/metrics", client.gateway)).text;
    assert!(
        metrics.contains(r#"tenant="SOU-001",method="POST",route="/v1/payments",status="504"} 0"#),
        "{metrics}"
    );
}

#[test]
fn a_payment_goes_on_without_fraud_check_and_is_undone_without_bank() {
    let platform = Platform::start("cell-5");
    let client = client(&platform);
    let before = client.available_minor("STD-001-0001");

    platform.change_and_wait("cell-5", "fraud-service", "scale", json!({ "replicas": 0 }));
    let degraded = client.ended(&client.pay("no-fraud", &payment("STD-001")));
    assert_eq!(
        (&degraded["status"], &degraded["degraded"]),
        (&json!("completed"), &json!(true))
    );
    platform.change_and_wait("cell-5", "fraud-service", "scale", json!({ "replicas": 1 }));

    // The bank goes away while the payment waits for a frozen orchestrator.
    for pod in platform.pods("saga-orchestrator") {
        assert_eq!(platform.signal(&pod, "STOP").status, 200);
    }
    let accepted = client.pay("no-bank", &payment("STD-001"));
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    platform.change("cell-5", "clearing-adapter", "scale", json!({ "replicas": 0 }));
    eventually("clearing to be gone", || {
        platform.pods("clearing-adapter").is_empty().then_some(())
    });
    for pod in platform.pods("saga-orchestrator") {
        platform.signal(&pod, "CONT");
    }
    // Reserved, but nobody may undo before the bank has been asked.
    eventually("the reservation", || {
        (client.available_minor("STD-001-0001") == before - 2 * 1234).then_some(())
    });
    // It tries for 1.4 s, then cancels, which it must insist on until clearing is there to be told.
    eventually("the orchestrator to insist on cancelling", || {
        let logs = std::fs::read_dir(platform.data().join("logs")).expect("logs");
        let of_saga = logs
            .flatten()
            .filter(|f| f.file_name().to_string_lossy().starts_with("saga"));
        of_saga
            .flat_map(|f| std::fs::read_to_string(f.path()))
            .any(|t| t.contains("no pod of clearing-adapter"))
            .then_some(())
    });
    platform.change_and_wait("cell-5", "clearing-adapter", "scale", json!({ "replicas": 1 }));
    let undone = client.ended(&accepted);
    assert_eq!(undone["status"], "failed", "{undone}");
    assert_eq!(
        client.available_minor("STD-001-0001"),
        before - 1234,
        "the reservation was given back"
    );
    let audit = platform.audited("cell-5");
    assert_eq!((audit.faults.len(), audit.manual_reviews), (0, 1), "{audit:?}");
}

#[test]
fn nothing_is_undone_behind_a_bank_that_may_have_taken_it() {
    let platform = Platform::start("cell-5");
    let client = client(&platform);
    let signal_all = |service: &str, signal: &str| {
        for pod in platform.pods(service) {
            assert_eq!(platform.signal(&pod, signal).status, 200);
        }
    };
    let before = client.available_minor("STD-001-0001");
    // The instruction is sent to an adapter that freezes with it: nobody can know whether the bank has it.
    signal_all("saga-orchestrator", "STOP");
    let accepted = client.pay("unknown", &payment("STD-001"));
    signal_all("clearing-adapter", "STOP");
    signal_all("saga-orchestrator", "CONT");
    let db = platform.db("cell-5");
    eventually("the step to be unknown", || {
        let query = "SELECT count(*) FROM sagas WHERE json_extract(state, '$.steps.clear') = 'unknown'";
        (count(&db, query) == 1).then_some(())
    });
    assert_eq!(
        client.available_minor("STD-001-0001"),
        before - 1234,
        "the reservation holds"
    );
    signal_all("clearing-adapter", "CONT");
    let left = match client.ended(&accepted)["status"].as_str() {
        Some("completed") => before - 1234,
        Some("failed") => before,
        other => panic!("{other:?}"),
    };
    assert_eq!(client.available_minor("STD-001-0001"), left);
    assert_eq!(
        platform.audited("cell-5").faults,
        Vec::<String>::new(),
        "the bank's books and ours agree"
    );
}
