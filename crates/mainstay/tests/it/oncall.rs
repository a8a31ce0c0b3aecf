//! Rotas from the command line: who, when, why, as a calendar; and a hole that `check` finds before it comes.

use std::fs;

use serde_json::json;

use crate::catalogs::{copy_of_catalog, edit};
use crate::harness::{Server, http, until};
use crate::{run, told};

#[test]
fn a_rota_says_who_when_and_why() {
    let server = Server::start();
    let monday = "2026-03-02T07:00:00Z"; // 09:00 in Johannesburg, the ninth handoff: thandi's turn again.
    let who = server.json(&["oncall", "who", "--at", monday, "--rota", "primary"]);
    assert_eq!(who[0]["shift"]["person"], "thandi");
    assert_eq!(who[0]["shift"]["from"], monday);
    assert_eq!(who[0]["shift"]["until"], "2026-03-09T07:00:00Z");
    assert_eq!(who[0]["next"]["person"], "sipho");
    let text = server.told(&["oncall", "explain", "--at", monday, "--rota", "primary"]);
    assert!(
        text.contains("layer base") && text.contains("decides") && text.contains("thandi"),
        "{text}"
    );

    let span = [
        "--from",
        "2026-03-04T00:00:00Z",
        "--until",
        "2026-04-01T00:00:00Z",
    ];
    let ask = |command: &str, more: &[&str]| {
        let words: Vec<&str> = ["oncall", command]
            .into_iter()
            .chain(span)
            .chain(more.iter().copied())
            .collect();
        server.told(&words)
    };
    let text = ask("schedule", &["--rota", "primary"]);
    assert_eq!(text.lines().count(), 1 + 5, "{text}");
    assert!(
        text.contains("Sipho Dlamini") && text.contains("layer base"),
        "{text}"
    );
    assert_eq!(ask("gaps", &[]), "", "somebody is always there");

    // The calendar of a rota and of a person: every line as RFC 5545 has it, the same shift the same entry.
    let calendar = ask("schedule", &["--rota", "primary", "-o", "ical"]);
    assert!(calendar.starts_with("BEGIN:VCALENDAR\r\n") && calendar.ends_with("END:VCALENDAR\r\n"));
    assert!(
        calendar
            .split_inclusive('\n')
            .all(|line| line.ends_with("\r\n") && line.len() <= 77)
    );
    assert_eq!(calendar.matches("BEGIN:VEVENT").count(), 5);
    let entry = "UID:primary-20260302T070000Z@mainstay\r\nDTSTAMP:20260302T070000Z\r\nDTSTART:20260302T070000Z\r\n\
                 DTEND:20260309T070000Z\r\nSUMMARY:Primary on-call: Thandi Mokoena\r\n";
    assert!(
        calendar.contains(entry),
        "the shift that runs is there from its beginning: {calendar}"
    );
    let own = ask("schedule", &["--person", "thandi", "-o", "ical"]);
    assert!(
        own.contains(entry) && own.matches("BEGIN:VEVENT").count() == 2,
        "{own}"
    );

    let stranger = server.ask(&["oncall", "schedule", "--person", "zed"]);
    assert_eq!(stranger.status.code(), Some(1), "{}", told(&stranger));
    assert!(
        told(&stranger).contains("person zed is not known"),
        "{}",
        told(&stranger)
    );

    // Somebody takes a day of it: the shift is cut in two, and the reason is said.
    let (from, until) = ("2027-03-03T06:00:00Z", "2027-03-04T06:00:00Z");
    let swap = |person: &str, until: &str| {
        let words = [
            "oncall", "override", "--rota", "primary", "--person", person, "--from", from, "--until", until,
        ];
        server.ask(&words)
    };
    assert_eq!(swap("lerato", until).status.code(), Some(0));
    assert_eq!(
        swap("nobody", until).status.code(),
        Some(1),
        "a person of the catalog"
    );
    assert_eq!(
        swap("lerato", from).status.code(),
        Some(1),
        "it ends after it begins"
    );
    let who = server.json(&["oncall", "who", "--at", from, "--rota", "primary"]);
    assert_eq!(
        (&who[0]["shift"]["person"], &who[0]["shift"]["until"]),
        (&json!("lerato"), &json!(until))
    );
    assert_eq!(who[0]["shift"]["by"], "override");
    assert_eq!(who[0]["why"][1]["verdict"], "overruled");

    // It is taken back: the rota decides again.
    let overrides = server.json(&["oncall", "overrides"]);
    let id = overrides[0]["id"].as_str().expect("an id").to_owned();
    server.told(&["oncall", "override", "--withdraw", &id]);
    let again = server.ask(&["oncall", "override", "--withdraw", &id]);
    assert_eq!(again.status.code(), Some(1), "{}", told(&again));
    let who = server.json(&["oncall", "who", "--at", from, "--rota", "primary"]);
    let (own, layer) = (who[0]["shift"]["person"].clone(), &who[0]["shift"]["by"]);
    assert_eq!(layer, "layer base");
    let own = own.as_str().expect("a person");

    // Whoever has that day by the rota gives it to somebody else, who agrees.
    let asked = [
        "oncall", "swap", "ask", "--person", own, "--to", "lerato", "--rota", "primary", "--from", from,
        "--until", until,
    ];
    server.told(&asked);
    let swaps = server.json(&["oncall", "swap", "list"]);
    assert_eq!(
        (&swaps[0]["by"], &swaps[0]["lapses_at"]),
        (&json!(own), &json!(from))
    );
    let who = server.json(&["oncall", "who", "--at", from, "--rota", "primary"]);
    assert_eq!(who[0]["shift"]["person"], own, "nobody has agreed yet");
    let id = swaps[0]["id"].as_str().expect("an id").to_owned();
    server.told(&["oncall", "swap", "accept", &id]);
    let text = server.told(&["oncall", "explain", "--at", from, "--rota", "primary"]);
    assert!(text.contains(&format!("swap {id} with {own}")), "{text}");
    assert_eq!(server.json(&["oncall", "swap", "list"]), json!([]));

    // Who has a week has all of it; a payroll reads it.
    let load = ask("load", &["--rota", "primary", "-o", "json"]);
    let load: serde_json::Value = serde_json::from_str(&load).expect("JSON");
    let hours = |index: usize| load["people"][index]["on_call_ms"].as_u64().expect("hours") / 3_600_000;
    assert_eq!((0..4).map(hours).sum::<u64>(), 28 * 24, "{load}");
    assert_eq!(load["equal_share"], 2_500);
    let csv = ask("load", &["--rota", "primary", "-o", "csv"]);
    assert!(
        csv.lines().count() == 5 && csv.contains("thandi,Thandi Mokoena,primary,"),
        "{csv}"
    );

    let review = server.json(&["alert", "review", "--days", "7"]);
    let silent = |key: &str| review[key].as_array().map_or(0, Vec::len);
    assert!(
        silent("rules_never_fired") > 0 && silent("objectives_never_fired") > 0,
        "{review}"
    );
    assert_eq!(review["paged"], 0, "{review}");

    // A calendar program fetches by a secret link, until it is revoked.
    let made = server.json(&["oncall", "feed", "make", "--person", "thandi"]);
    let (id, path) = (
        made["id"].as_str().expect("an id"),
        made["path"].as_str().expect("a path"),
    );
    let get = |path: &str| http(&server.address, path, None, "");
    let calendar = get(path).body;
    assert!(
        calendar.starts_with("BEGIN:VCALENDAR\r\n") && calendar.contains("SUMMARY:Primary on-call\r\n"),
        "{calendar}"
    );
    assert!(
        !calendar.contains("paymentsengine.example") && !calendar.contains("+27"),
        "{calendar}"
    );
    assert_eq!(get(&path.replace(".ics", "0.ics")).status, 404);
    server.told(&["oncall", "feed", "revoke", id]);
    assert_eq!(get(path).status, 404);

    let note = "the bank changes its certificate on Tuesday";
    server.told(&["oncall", "handover", "--rota", "primary", note]);
    let handed = server.json(&["oncall", "handover", "--rota", "primary"]);
    assert_eq!(
        (
            &handed[0]["notes"][0]["text"],
            &handed[0]["notes"][0]["handed_over"]
        ),
        (&json!(note), &json!(false))
    );

    let before = [
        "oncall",
        "gaps",
        "--from",
        "2026-01-01T00:00:00Z",
        "--until",
        "2026-02-01T00:00:00Z",
    ];
    let gaps = server.ask(&before);
    assert_eq!(
        gaps.status.code(),
        Some(3),
        "before the first handoff: {}",
        told(&gaps)
    );
    let backwards = server.ask(&["oncall", "schedule", "--from", span[3], "--until", span[1]]);
    assert_eq!(backwards.status.code(), Some(1), "{}", told(&backwards));
    let unknown = server.ask(&["oncall", "who", "--rota", "tertiary"]);
    assert_eq!(unknown.status.code(), Some(1), "{}", told(&unknown));
}

/// Somebody ends the coverage of nights: the page that would reach nobody is an error, at its place.
#[test]
fn check_finds_the_night_in_which_a_page_would_reach_nobody() {
    let catalog = copy_of_catalog();
    let path = catalog.path().join("oncall.yaml");
    let text = fs::read_to_string(&path).expect("the rotas");
    let (rotas, policy) = text.split_once("kind: EscalationPolicy").expect("the policy");
    let by_day = |participants: &str| {
        format!(
            "  layers:\n    - {{name: days, handoff: {{weekday: monday, time: \"09:00\"}}, start: 2026-01-05, \
             participants: [{participants}], only: [{{from: \"08:00\", until: \"20:00\"}}]}}\n"
        )
    };
    let mut lines = String::new();
    for line in rotas.lines() {
        match line.trim_start().split_once(": [") {
            Some(("participants", people)) => lines += &by_day(people.trim_end_matches(']')),
            _ if ["  handoff:", "  start:", "  turn_days:"]
                .iter()
                .any(|key| line.starts_with(key)) => {}
            _ => lines += &format!("{line}\n"),
        }
    }
    // Above the rotas there is nobody who is always there.
    let policy: String = policy
        .lines()
        .filter(|line| {
            !line.contains("person: naledi") && !line.contains("person: james") && !line.contains("amina")
        })
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(
        &path,
        format!(
            "{}kind: EscalationPolicy{policy}",
            lines.trim_end_matches('\n').to_owned() + "\n"
        ),
    )
    .expect("it is written");
    let directory = catalog.path().to_str().expect("a path in UTF-8");
    let output = run(&["check", "-o", "short", directory]);
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
    let text = String::from_utf8(output.stdout).expect("text");
    let finding = text
        .lines()
        .find(|line| line.contains("error[nobody-reached]"))
        .unwrap_or_else(|| panic!("it is found: {text}"));
    assert!(
        finding.contains("oncall.yaml:") && finding.contains("nobody is on call in rota primary"),
        "{finding}"
    );
    let (_, from) = finding.split_once("nobody from ").expect("when");
    let hour: u8 = from[11..13].parse().expect("an hour");
    let night = !(6..18).contains(&hour);
    assert!(night, "a night of Johannesburg: {finding}");
}

/// A level that pages one at a time: whose turn it is, before and after an incident; and where those who work on it meet.
#[test]
fn a_policy_that_takes_turns_says_whose_it_is_and_a_p0_has_a_place_to_meet() {
    let catalog = copy_of_catalog();
    let turns = "{after: 0s, round_robin: {every: 2m}, targets: [{rota: primary}, {rota: secondary}]}";
    let first = "{after: 0s, targets: [{rota: primary}]}";
    edit(catalog.path(), "oncall.yaml", first, turns);
    let path = catalog.path().to_str().expect("a path");
    let server = Server::start_with(tempfile::tempdir().expect("a directory"), path);
    let text = server.told(&["oncall", "explain"]);
    assert!(
        text.contains("it is the turn of rota primary") && text.contains("no turn was taken before"),
        "{text}"
    );
    let text = server.told(&["oncall", "explain", "--rota", "secondary"]);
    assert!(text.contains("it is the turn of rota primary"), "{text}");
    let before = server.json(&["oncall", "turns"]);
    assert_eq!(
        (&before[0]["policy"], &before[0]["level"]),
        (&json!("payments"), &json!(1))
    );
    assert_eq!(before[0]["last_page"], json!(null));

    let fire = |cell: &str, priority: &str| {
        let labels = json!({"alertname": "HighErrorRate", "cell": cell, "priority": priority});
        server.post("/api/v2/alerts", &json!([{"labels": labels}]));
    };
    fire("cell-5", "P0");
    until("its page takes the first turn", || {
        server.json(&["oncall", "turns"])[0]["last_page"] != json!(null)
    });
    let after = server.json(&["oncall", "turns"]);
    assert_eq!(after[0]["next"], after[0]["targets"][1]["person"], "{after}");
    let why = after[0]["why"].as_str().expect("a reason");
    assert!(
        why.ends_with("the incident before began with rota primary"),
        "{why}"
    );
    let page = after[0]["last_page"].as_str().expect("a page");
    let text = server.told(&["why", page]);
    assert!(
        text.contains("Level 1 pages one at a time: it is the turn of rota primary"),
        "{text}"
    );

    let incident = server.json(&["incident", "list"])[0]["id"].clone();
    let show = |id: &serde_json::Value| server.json(&["incident", "show", id.as_str().expect("an id")]);
    let bridge = json!({"url": "https://meet.paymentsengine.example/p0", "phone": "+27210000001,,4711#"});
    assert_eq!(show(&incident)["bridge"], bridge);
    let text = server.told(&["incident", "show", incident.as_str().expect("an id")]);
    assert!(
        text.contains("bridge: https://meet.paymentsengine.example/p0 or +27210000001,,4711#"),
        "{text}"
    );
    let id = incident.as_str().expect("an id");
    let html = http(&server.address, &format!("/incidents/{id}"), None, "").body;
    assert!(
        html.contains("href=\"https://meet.paymentsengine.example/p0\"") && html.contains("Join the bridge"),
        "{html}"
    );
    server.told(&["incident", "resolve", id, "--note", "a false alarm"]);
    assert_eq!(show(&incident)["bridge"], json!(null), "it is over");
    fire("cell-1", "P1");
    until("the other is an incident of its own", || {
        server.json(&["incident", "list", "--open"])[0]["severity"] == "P1"
    });
    let mild = server.json(&["incident", "list", "--open"])[0]["id"].clone();
    assert_eq!(show(&mild)["bridge"], json!(null), "a P1 has none");
}
