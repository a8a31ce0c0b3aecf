//! In shadow, then one route at a time.

use serde_json::Value;

use super::desk::Desk;
use super::{alertmanager, catalog, file, serve, tell};
use crate::blackbox::request;
use crate::catalogs::copy_of_catalog;
use crate::harness::{SERVE, Server, until};
use crate::{mainstay, told};

const SHOP: &str = r#"root > {team="shop"}"#;

/// What `shadow report` says: its exit code and its document.
fn report(server: &Server) -> (Option<i32>, Value) {
    let output = server.ask(&["shadow", "report", "-o", "json"]);
    let said = serde_json::from_slice(&output.stdout);
    let said = said.unwrap_or_else(|error| panic!("{error}: {}", told(&output)));
    (output.status.code(), said)
}

fn count(report: &Value, side: &str) -> usize {
    report[side].as_array().map_or(0, Vec::len)
}

/// Waits until the report has so many of both, of ours only and of theirs only.
fn compared(server: &Server, counts: [usize; 3]) -> Value {
    let counted = |report: &Value| ["both", "only_ours", "only_theirs"].map(|side| count(report, side));
    let mut last = (None, Value::Null);
    until(&format!("the report has {counts:?}"), || {
        last = report(server);
        println!("report: {:?}", counted(&last.1));
        counted(&last.1) == counts
    });
    let differs = counts[1] + counts[2] > 0;
    assert_eq!(last.0, Some(if differs { 3 } else { 0 }), "{}", last.1);
    last.1
}

/// Each route with whether it is in shadow.
fn routes(server: &Server) -> Vec<(String, bool)> {
    let routes = server.json(&["route", "list"]);
    let route = |one: &Value| {
        (
            one["route"].as_str().expect("a name").to_owned(),
            one["shadow"] == true,
        )
    };
    routes.as_array().expect("a list").iter().map(route).collect()
}

#[test]
fn beside_an_alertmanager_nothing_leaves_until_a_route_is_cut_over_and_what_differs_is_found() {
    let desk = Desk::start();
    let catalog = catalog(&desk, true);
    let server = serve(tempfile::tempdir().expect("a directory"), catalog.path());
    // Both read the same file, in which the other sends copies.
    let Some(theirs) = alertmanager(&desk, Some(&server.address)) else {
        return;
    };
    let with_copies = file(&desk, Some(&server.address));
    std::fs::write(catalog.path().join("alertmanager.yml"), with_copies).expect("written");
    let applied = server.ask(&["apply"]);
    assert_eq!(applied.status.code(), Some(0), "{}", told(&applied));
    let both = [server.address.as_str(), theirs.address.as_str()];

    // The same alerts to both: no difference, and nothing of ours leaves.
    let alerts = [
        "Down cell=c1 team=shop severity=critical",
        "Slow cell=c1 team=shop severity=low",
        "Down cell=c2 team=bank severity=critical",
        "Odd cell=c3",
    ];
    tell(&both, &alerts, false);
    compared(&server, [3, 0, 0]);
    tell(&both, &alerts, true);
    compared(&server, [6, 0, 0]);
    let mut said = desk.told(true);
    said.sort();
    let expected = [
        "bank firing Down/c2",
        "bank resolved Down/c2",
        "rest firing Odd/c3",
        "rest resolved Odd/c3",
        "shop firing Down/c1",
        "shop resolved Down/c1",
    ];
    assert_eq!(said, expected);
    assert_eq!(desk.told(false), [] as [&str; 0]);

    // A silence that only one of the two has is a difference, and `why` says whose.
    let silence = [
        "silence",
        "add",
        "team=bank",
        "--comment=planned",
        "--author=thandi",
    ];
    let url = format!("--alertmanager.url={}", theirs.address);
    let silenced = std::process::Command::new("amtool")
        .args(silence)
        .arg(&url)
        .output();
    assert!(silenced.expect("amtool is installed").status.success());
    server.told(&[
        "silence",
        "add",
        "alertname=Odd",
        "--for",
        "1h",
        "--comment",
        "known",
    ]);
    tell(&both, &["Down cell=c4 team=bank", "Odd cell=c5"], false);
    let found = compared(&server, [6, 1, 1]);
    let ours = &found["only_ours"][0];
    assert_eq!(
        (&ours["receiver"], &ours["resolved"]),
        (&"bank".into(), &false.into())
    );
    let event = ours["event"].as_str().expect("an event");
    let why = server.told(&["why", event]);
    assert!(why.contains("bank") && why.contains("Down"), "{why}");
    assert_eq!(found["only_theirs"][0]["receiver"], "alertmanager/rest");
    let event = found["only_theirs"][0]["event"].as_str().expect("an event");
    let why = server.told(&["why", event]);
    assert!(why.contains("alertmanager") && why.contains("Odd"), "{why}");
    let why = server.told(&["why", "Odd"]);
    assert!(
        why.contains("Held back by silence") && why.contains("known"),
        "{why}"
    );
    let why = server.told(&["why", "Down"]);
    assert!(why.contains("In shadow") && why.contains("nothing left"), "{why}");

    // One route is cut over: what fires there is told at once, and nothing of the others is.
    tell(&both, &["Full cell=c6 team=shop"], false);
    compared(&server, [7, 1, 1]);
    let unknown = server.ask(&["route", "cut-over", r#"{team="chop"}"#]);
    assert_eq!(unknown.status.code(), Some(1), "{}", told(&unknown));
    assert!(told(&unknown).contains("route list"), "{}", told(&unknown));
    let cut = server.told(&["route", "cut-over", SHOP]);
    assert!(cut.contains("1 group that fired in shadow is told now"), "{cut}");
    until("what fires is told", || {
        desk.told(false) == ["shop firing Full/c6"]
    });
    let list = server.told(&["route", "list"]);
    println!("{list}");
    let state = [("root", true), (SHOP, false), (r#"root > {team="bank"}"#, true)];
    let state = state.map(|(name, shadow)| (name.to_owned(), shadow));
    assert_eq!(routes(&server), state);
    drop(theirs);

    // It stays so over a restart without farewell.
    let server = serve(server.kill(), catalog.path());
    assert_eq!(routes(&server), state);
    let place = [server.address.as_str()];
    tell(
        &place,
        &["Full cell=c7 team=shop", "Down cell=c7 team=bank"],
        false,
    );
    until("the route that was cut over tells", || {
        desk.told(false).len() == 2
    });
    assert_eq!(desk.told(false)[1], "shop firing Full/c7");

    // Back by one command: what begins now is recorded, and whoever heard of a beginning hears of its end.
    let back = server.told(&["route", "cut-back", r#"{team="shop"}"#]);
    assert!(back.contains("is only recorded"), "{back}");
    tell(&place, &["Full cell=c8 team=shop"], false);
    until("it is decided", || {
        let why = server.ask(&["why", "Full"]);
        let (_, found) = report(&server);
        let mine = found["only_ours"].as_array().expect("a list");
        why.status.success()
            && mine
                .iter()
                .any(|one| one["title"].as_str().is_some_and(|title| title.contains("c8")))
    });
    tell(
        &place,
        &["Full cell=c6 team=shop", "Full cell=c8 team=shop"],
        true,
    );
    until("the end is told to whoever heard", || desk.told(false).len() == 3);
    assert_eq!(desk.told(false)[2], "shop resolved Full/c6");
    server.told(&["route", "cut-back", "--as-written", "root"]);
    assert!(routes(&server).iter().all(|(_, shadow)| *shadow));
    let verified = server.told(&["journal", "verify"]);
    assert!(!verified.is_empty());
}

/// The payments platform in shadow, whose chat is the desk.
fn payments(desk: &Desk) -> (Server, tempfile::TempDir) {
    let catalog = copy_of_catalog();
    rewrite(
        catalog.path(),
        "    receiver: monitoring\n    group_by",
        "    receiver: monitoring\n    shadow: true\n    group_by",
    );
    let data = tempfile::tempdir().expect("a directory");
    let mut command = mainstay(&SERVE);
    command
        .arg("--catalog")
        .arg(catalog.path())
        .arg("--data")
        .arg(data.path());
    command.env("MAINSTAY_CHAT_URL", format!("{}/chat", desk.address));
    (Server::running(command, data), catalog)
}

/// Changes the routing of a catalog.
fn rewrite(catalog: &std::path::Path, from: &str, to: &str) {
    let file = catalog.join("routing.yaml");
    let text = std::fs::read_to_string(&file).expect("readable");
    assert!(text.contains(from), "{from}: {text}");
    std::fs::write(file, text.replacen(from, to, 1)).expect("written");
}

#[test]
fn pages_and_acts_of_a_server_in_shadow_are_held_back_until_a_receiver_is_cut_over() {
    let desk = Desk::start();
    let (server, catalog) = payments(&desk);
    tell(
        &[&server.address],
        &["HighErrorRate cell=cell-5 priority=P1 service=payment-service"],
        false,
    );
    let mut incidents = Value::Null;
    until("an incident is declared", || {
        incidents = server.json(&["incident", "list"]);
        incidents.as_array().is_some_and(|all| !all.is_empty())
    });
    assert_eq!(incidents[0]["shadow"], true, "{incidents}");
    let incident = incidents[0]["id"].as_str().expect("an id").to_owned();
    until("its pages are held back", || {
        let why = told(&server.ask(&["why", "HighErrorRate"]));
        why.matches("; nothing left").count() > 1 && why.contains("#alerts by chat; nothing left")
    });
    let step = server.ask(&["runbook", "run", &incident, "high-error-rate", "rollback"]);
    assert_eq!(step.status.code(), Some(1), "{}", told(&step));
    assert!(
        told(&step).contains("nothing was done: the incident is in shadow"),
        "{}",
        told(&step)
    );
    assert_eq!(desk.all(false).len(), 0);

    // Neither both nor none of the two ways to name routes, and no name of nobody.
    let cut = |body: &str| request(&server.address, "POST", "/api/v1/shadow/cut", "", body);
    for wrong in [
        r#"{"live":true}"#,
        r#"{"live":true,"route":"root","receiver":"on-call"}"#,
    ] {
        let refused = cut(wrong);
        assert!(
            refused.status == 400 || refused.status == 422,
            "{} {}",
            refused.status,
            refused.body
        );
    }
    assert_ne!(cut(r#"{"live":true,"receiver":"nobody"}"#).status, 200);
    let unknown = server.ask(&["route", "cut-over", "--receiver", "payments"]);
    assert!(
        told(&unknown).contains("Receivers are alerts, monitoring, on-call."),
        "{}",
        told(&unknown)
    );
    let done = server.told(&["route", "cut-over", "--receiver", "on-call"]);
    assert!(
        done.contains("1 group that fired in shadow is told now"),
        "{done}"
    );
    until("the chat is told", || {
        desk.all(false).iter().any(|told| told.path == "/chat")
    });
    let live: Vec<(String, bool)> = routes(&server)
        .into_iter()
        .filter(|(_, shadow)| !shadow)
        .collect();
    assert_eq!(live.len(), 2, "both routes that page: {live:?}");

    // A route that a new catalog calls otherwise is said when that is put in force.
    server.told(&["route", "cut-over", r#"{priority="P2"}"#]);
    rewrite(
        catalog.path(),
        r#"matchers: ['priority="P2"']"#,
        r#"matchers: ['priority=~"P2|P3"']"#,
    );
    let applied = server.told(&["apply"]);
    assert!(
        applied.contains(r#"no route is called root > {priority="P2"} now"#),
        "{applied}"
    );
    let there = routes(&server);
    assert!(
        there.contains(&(r#"root > {priority=~"P2|P3"}"#.to_owned(), true)),
        "{there:?}"
    );
}
