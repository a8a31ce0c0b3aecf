//! What the supervisor does with pods, revisions and change records.

use crate::{
    http::{Sink, get},
    platform::{Client, Platform, eventually, payment},
};
use serde_json::{Value, json};

fn alive(pid: &Value) -> bool {
    // A process that has ended but was not waited for has no command line any more.
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

#[test]
fn rolls_out_undoes_restarts_and_tells_the_control_plane_once() {
    let sink = Sink::refusing_first(2);
    let mut platform = Platform::start_with("cell-5", &["--events", &sink.url]);
    let load = platform.load("cell-5", 30, 5);

    let deployed = platform.change_and_wait(
        "cell-5",
        "payment-service",
        "image",
        json!({ "version": "v1.7.0", "summary": "faster" }),
    );
    assert_eq!(
        (&deployed["version"], &deployed["revision"]),
        (&json!("v1.7.0"), &json!(2))
    );
    for pod in platform.pods("payment-service") {
        assert_eq!(pod["version"], "v1.7.0", "{pod}");
    }
    let same = platform.change_and_wait(
        "cell-5",
        "payment-service",
        "image",
        json!({ "version": "v1.7.0" }),
    );
    assert_eq!(
        (&same["revision"], &same["event_id"]),
        (&json!(2), &Value::Null),
        "nothing to change"
    );
    let undone = platform.change_and_wait("cell-5", "payment-service", "undo", Value::Null);
    assert_eq!(
        (&undone["version"], &undone["revision"]),
        (&json!("v1.5.0"), &json!(3))
    );
    platform.change_and_wait("cell-5", "validation-service", "restart", Value::Null);
    // Rolls on while requests come in: twice more, then some requests over the last of them.
    for _ in 0..2 {
        let so_far = load.so_far().total;
        platform.change_and_wait("cell-5", "payment-service", "restart", Value::Null);
        load.until_total(so_far + 20);
    }
    let seen = load.stop();
    assert_eq!(seen.bad, 0, "rollouts cost no request: {seen:?}");

    let events = eventually("the change records", || {
        Some(sink.accepted()).filter(|events| events.len() >= 5)
    });
    let told: Vec<_> = events
        .iter()
        .map(|e| (&e["type"], &e["data"]["from_version"], &e["data"]["to_version"]))
        .collect();
    let [deploy, rollback, configuration] =
        ["deploy", "rollback", "configuration"].map(|kind| json!(format!("com.mainstay.change.{kind}")));
    let [old, new, validation] = ["v1.5.0", "v1.7.0", "v1.4.0"].map(|version| json!(version));
    let restart = (&configuration, &old, &old);
    assert_eq!(
        told,
        [
            (&deploy, &old, &new),
            (&rollback, &new, &old),
            (&configuration, &validation, &validation),
            restart,
            restart
        ]
    );
    assert_eq!(events[0]["source"], "/supervisor/cell-5");
    assert_eq!(
        (&events[0]["subject"], &events[0]["data"]["summary"]),
        (&json!("payment-service"), &json!("faster"))
    );
    assert_eq!(events[0]["id"], deployed["event_id"]);

    // A killed pod comes back under its name and address.
    let victim = platform.pods("payment-service").remove(0);
    assert_eq!(platform.signal(&victim, "KILL").status, 200);
    let back = eventually("the pod to be back", || {
        let pods = platform.pods("payment-service");
        pods.into_iter()
            .find(|p| p["pod"] == victim["pod"] && p["ready"] == true && p["pid"] != victim["pid"])
    });
    assert_eq!(
        (&back["restarts"], &back["address"]),
        (&json!(1), &victim["address"])
    );

    let Value::Array(targets) = get(&format!("{}/v1/targets", platform.control)).json() else {
        panic!("a list")
    };
    let jobs = targets
        .iter()
        .filter(|t| t["labels"]["job"] == "payment-service")
        .count();
    assert_eq!((jobs, targets.len()), (2, platform.pods("").len()));

    // However the supervisor ends, nothing is left behind.
    let pids: Vec<Value> = platform
        .pods("")
        .into_iter()
        .map(|pod| pod["pid"].clone())
        .collect();
    assert!(pids.iter().all(alive));
    platform.supervisor.kill().expect("killed");
    platform.supervisor.wait().expect("waited for");
    eventually("every pod to end", || {
        pids.iter().all(|pid| !alive(pid)).then_some(())
    });
}

#[test]
fn a_killed_platform_goes_on_where_it_was() {
    let platform = Platform::start("cell-5");
    let client = |platform: &Platform| Client {
        gateway: platform.gateway("cell-5"),
        tenant: "STD-001",
        epoch: "1",
    };
    platform.change_and_wait(
        "cell-5",
        "payment-service",
        "image",
        json!({ "version": "v1.7.0" }),
    );
    platform.change_and_wait("cell-5", "validation-service", "scale", json!({ "replicas": 1 }));
    let accepted = client(&platform).pay("before", &payment("STD-001"));
    let data = platform.kill();

    // Nobody took the change records; they are still there for who asks now.
    let sink = Sink::refusing_first(0);
    let platform = Platform::start_in(data, "cell-5", &["--events", &sink.url]);
    assert_eq!(
        client(&platform).ended(&accepted)["status"],
        "completed",
        "an orchestrator took it over"
    );
    let versions: Vec<_> = platform
        .pods("payment-service")
        .iter()
        .map(|pod| pod["version"].clone())
        .collect();
    assert_eq!(versions, ["v1.7.0", "v1.7.0"]);
    assert_eq!(platform.pods("validation-service").len(), 1);
    let summaries = eventually("the change records", || {
        let summaries: Vec<_> = sink
            .accepted()
            .iter()
            .map(|e| e["data"]["summary"].clone())
            .collect();
        (summaries.len() >= 2).then_some(summaries)
    });
    let deployed = "deploy payment-service v1.7.0 (was v1.5.0) to cell-5";
    assert_eq!(
        summaries,
        [
            deployed,
            "scale validation-service in cell-5 from 2 to 1 replicas"
        ]
    );
    assert_eq!(platform.audited("cell-5").faults, Vec::<String>::new());
}
