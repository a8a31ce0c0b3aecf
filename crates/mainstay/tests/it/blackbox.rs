//! Beside a real Alertmanager: the same routes, the same alerts at the same times, and two receivers that write down what
//! they are told. What differs on purpose has a name, a line in the guide, and stands with the scenario that shows it.

mod prometheus;
mod record;
mod scenarios;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::beside::Peer;
use crate::harness::{PATIENCE, Reply, Server, http, quiet_catalog};
use record::{Recorder, Told};
use scenarios::{Difference, SCENARIOS, Scenario, Step, Why};

/// By how much the two may differ in time without a name for it.
const BOUND_S: f64 = 0.9;
/// Between the start of both and the first alert.
const SETTLE: Duration = Duration::from_millis(300);

/// A request with a JSON body.
pub(crate) fn request(server: &str, method: &str, path: &str, headers: &str, body: &str) -> Reply {
    let authority = server.strip_prefix("http://").expect("an address");
    let mut stream = TcpStream::connect(authority).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {authority}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
    .expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Reply {
        status: status.expect("a status"),
        body: body.to_owned(),
    }
}

/// What a scenario says in its own words: `$team` is a receiver of its own.
fn own(scenario: &Scenario, text: &str) -> String {
    text.replace('$', &format!("{}-", scenario.name))
}

/// The part of the configuration that both read.
fn common_config() -> String {
    let mut routes = String::new();
    let (mut rules, mut intervals) = (String::new(), String::new());
    for scenario in SCENARIOS {
        writeln!(
            routes,
            "      - {{matchers: ['scenario=\"{}\"'], {}}}",
            scenario.name,
            own(scenario, scenario.route)
        )
        .expect("a String takes everything");
        for rule in scenario.inhibit_rules {
            writeln!(rules, "    - {rule}").expect("a String takes everything");
        }
        for interval in scenario.time_intervals {
            writeln!(intervals, "    - {interval}").expect("a String takes everything");
        }
    }
    format!(
        "  route:\n    receiver: nobody\n    routes:\n{routes}  inhibit_rules:\n{rules}  time_intervals:\n{intervals}"
    )
}

/// Every receiver, and whether it wants to hear what is over.
fn receivers() -> Vec<(String, bool)> {
    let of = |scenario: &'static Scenario| {
        let names = scenario.receivers.iter();
        names.map(|name| (own(scenario, name), *name != "$quiet"))
    };
    SCENARIOS.iter().flat_map(of).collect()
}

fn ours(recorder: &Recorder) -> (Server, tempfile::TempDir) {
    let catalog = quiet_catalog();
    let mut hooks = String::new();
    let mut listed = "    - {name: nobody}\n    - {name: on-call, page: payments}\n".to_owned();
    for (name, send_resolved) in receivers() {
        writeln!(hooks, "    {name}: {}/{name}", recorder.address).expect("a String takes everything");
        writeln!(
            listed,
            "    - {{name: {name}, webhooks: [{name}], send_resolved: {send_resolved}}}"
        )
        .expect("a String takes everything");
    }
    // Somebody must be paged for what is bad; no alert of the scenarios is without a name.
    let pages = "    routes:\n      - {receiver: on-call, matchers: ['alertname=\"\"']}\n";
    let common = common_config().replacen("    routes:\n", pages, 1);
    // The catalog's channels stay; only where alerts go is another matter.
    let file = catalog.path().join("routing.yaml");
    let channels = std::fs::read_to_string(&file).expect("it was there");
    let (channels, _) = channels.split_once("\n---").expect("two documents");
    let text = format!(
        "{channels}\n  alertmanager_webhooks:\n{hooks}---\n\
         apiVersion: mainstay/v1\nkind: Routing\nmetadata: {{name: routing}}\nspec:\n  receivers:\n{listed}{common}"
    );
    std::fs::write(file, text).expect("written");
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(data, catalog.path().to_str().expect("text"));
    (server, catalog)
}

fn theirs(recorder: &Recorder) -> Option<Peer> {
    let mut text = "global: {resolve_timeout: 4s}\nreceivers:\n- {name: nobody}\n".to_owned();
    for (name, send_resolved) in receivers() {
        writeln!(
            text,
            "- {{name: {name}, webhook_configs: [{{url: '{}/{name}', send_resolved: {send_resolved}}}]}}",
            recorder.address
        )
        .expect("a String takes everything");
    }
    let common: Vec<String> = common_config()
        .lines()
        .map(|line| line.strip_prefix("  ").unwrap_or(line).to_owned())
        .collect();
    text.push_str(&common.join("\n"));
    text.push('\n');
    Peer::alertmanager(tempfile::tempdir().expect("a directory"), &text)
}

/// Alerts as they are posted: `A cell=c1, B cell=c2`; a word with a colon is an annotation: `A summary:one`.
fn alerts(
    scenario: &Scenario,
    text: &str,
    starts_at: Option<Timestamp>,
    ends_at: Option<Timestamp>,
) -> Value {
    let one = |text: &str| {
        let mut words = text.trim().split(' ');
        let mut labels = BTreeMap::from([("scenario", scenario.name)]);
        labels.insert("alertname", words.next().unwrap_or_default());
        let mut annotations = BTreeMap::new();
        for word in words {
            if let Some((name, value)) = word.split_once('=') {
                labels.insert(name, value);
            } else if let Some((name, value)) = word.split_once(':') {
                annotations.insert(name, value);
            }
        }
        let mut alert = json!({
            "labels": labels,
            "annotations": annotations,
            "generatorURL": format!("http://prometheus.example/{}", scenario.name),
        });
        let times = [("startsAt", starts_at), ("endsAt", ends_at)];
        for (name, time) in times.into_iter().filter_map(|(name, time)| Some((name, time?))) {
            alert[name] = json!(time.round(jiff::Unit::Millisecond).expect("in range").to_string());
        }
        alert
    };
    text.split(',').map(one).collect()
}

/// Both servers, and the names that each gave to silences.
struct Pair<'a> {
    servers: [&'a str; 2],
    recorders: [&'a Recorder; 2],
}

impl Pair<'_> {
    fn post(&self, path: &str, body: &Value) -> [Reply; 2] {
        let body = body.to_string();
        self.servers.map(|server| {
            let reply = request(server, "POST", path, "", &body);
            assert_eq!(reply.status, 200, "{server}{path}: {}", reply.body);
            reply
        })
    }

    /// Runs a scenario that begins at this instant.
    fn run(&self, scenario: &Scenario, began: Instant) {
        let mut silences: BTreeMap<&str, [String; 2]> = BTreeMap::new();
        for (at_s, step) in scenario.steps {
            let due = began + Duration::from_secs_f64(*at_s);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let now = Timestamp::now();
            let in_s = |seconds: f64| now + SignedDuration::from_secs_f64(seconds);
            let post = |alerts: Value| {
                self.post("/api/v2/alerts", &alerts);
            };
            match step {
                // As a Prometheus does, which says with each repetition how long it is to be believed.
                Step::Fire(text) => post(alerts(scenario, text, Some(now), Some(in_s(240.0)))),
                Step::FireForEver(text) => post(alerts(scenario, text, Some(now), None)),
                Step::FireFor(text, seconds) => {
                    post(alerts(scenario, text, Some(now), Some(in_s(*seconds))));
                }
                Step::FireSince(text, seconds) => {
                    post(alerts(scenario, text, Some(in_s(-*seconds)), Some(in_s(240.0))));
                }
                // Surely in the past of both.
                Step::End(text) => post(alerts(scenario, text, None, Some(in_s(-0.01)))),
                Step::Silence(name, label, seconds) => {
                    let (label, value) = label.split_once('=').expect("a label");
                    let matcher = |name: &str, value: &str| json!({"name": name, "value": value, "isRegex": false, "isEqual": true});
                    let silence = json!({
                        "matchers": [matcher("scenario", scenario.name), matcher(label, value)],
                        "startsAt": now.to_string(),
                        "endsAt": in_s(*seconds).to_string(),
                        "createdBy": "thandi",
                        "comment": "planned",
                    });
                    let made = self.post("/api/v2/silences", &silence);
                    let id = |reply: &Reply| reply.json()["silenceID"].as_str().expect("a name").to_owned();
                    silences.insert(name, [id(&made[0]), id(&made[1])]);
                }
                Step::EndSilence(name) => {
                    for (server, id) in self.servers.iter().zip(&silences[name]) {
                        let path = format!("/api/v2/silence/{id}");
                        assert_eq!(request(server, "DELETE", &path, "", "").status, 200);
                    }
                }
                Step::Refuse(receiver) => {
                    let receiver = own(scenario, receiver);
                    self.recorders
                        .iter()
                        .for_each(|recorder| recorder.refuse_next(&receiver));
                }
            }
        }
    }
}

/// `4.2: A/c1 -B/c1` of a receiver, as scenarios write what one of the two says.
fn written(text: &str) -> (f64, &str) {
    let (at, alerts) = text.split_once(": ").expect("a time and alerts");
    (at.parse().expect("seconds"), alerts)
}

/// What ours is to be: what theirs is, but for what differs.
fn expected(scenario: &Scenario, theirs: &[Told]) -> Result<Vec<Told>, String> {
    let mut expected = theirs.to_vec();
    for Difference {
        why,
        receiver,
        theirs,
        ours,
    } in scenario.differences
    {
        let receiver = own(scenario, receiver);
        let mut payload = None;
        if let Some((at_s, alerts)) = theirs.map(written) {
            let is_it = |told: &Told| told.is(&receiver, alerts, at_s, BOUND_S);
            let Some(at) = expected.iter().position(is_it) else {
                return Err(format!(
                    "{why:?}: Alertmanager does not say {receiver} {at_s}: {alerts}"
                ));
            };
            let gone = expected.swap_remove(at);
            payload = ours
                .filter(|ours| written(ours).1 == alerts && *why != Why::FirstAnnotations)
                .and(gone.payload);
        }
        if let Some((at_s, alerts)) = ours.map(written) {
            expected.push(Told {
                at_s,
                receiver,
                alerts: alerts.to_owned(),
                payload,
            });
        }
    }
    Ok(expected)
}

/// Every difference between what is expected and what was said.
fn compare(scenario: &Scenario, theirs: &[Told], ours: &[Told]) -> Vec<String> {
    let expected = match expected(scenario, theirs) {
        Ok(expected) => expected,
        Err(why) => return vec![why],
    };
    let mut wrong = Vec::new();
    let mut left: Vec<&Told> = ours.iter().collect();
    for wanted in &expected {
        let is_it = |told: &&Told| told.is(&wanted.receiver, &wanted.alerts, wanted.at_s, BOUND_S);
        let same = |told: &&Told| is_it(told) && told.payload == wanted.payload;
        match left.iter().position(same).or_else(|| left.iter().position(is_it)) {
            None => wrong.push(format!("missing: {wanted}")),
            Some(at) => {
                let told = left.remove(at);
                if wanted.payload.is_some() && wanted.payload != told.payload {
                    wrong.push(format!(
                        "{told}: theirs {} ours {}",
                        wanted.payload.clone().unwrap_or_default(),
                        told.payload.clone().unwrap_or_default()
                    ));
                }
            }
        }
    }
    wrong.extend(left.iter().map(|told| format!("unexpected: {told}")));
    wrong
}

/// What fires at the end, as clients see it: by fingerprint, without times.
fn firing(server: &str) -> BTreeMap<String, Value> {
    let alerts = http(server, "/api/v2/alerts", None, "").json();
    let alerts = alerts.as_array().expect("a list").iter();
    // That a time interval mutes an alert, Alertmanager says since 0.28.
    let alerts = alerts.filter(|alert| alert["labels"]["scenario"] != "mute");
    // Annotations may have changed since, and what nobody says the end of fires here alone.
    let alerts = alerts.filter(|alert| {
        let scenario = alert["labels"]["scenario"].as_str().unwrap_or_default();
        let timed_out = scenario == "timeouts" && alert["labels"]["alertname"] == "C";
        scenario != "annotations" && scenario != "for-ever" && !timed_out
    });
    alerts
        .map(|alert| {
            let silences = alert["status"]["silencedBy"].as_array().map(Vec::len);
            let fingerprint = alert["fingerprint"].as_str().expect("text").to_owned();
            let shown = json!({
                "labels": alert["labels"],
                "annotations": alert["annotations"],
                "generatorURL": alert["generatorURL"],
                "receivers": alert["receivers"],
                "state": alert["status"]["state"],
                "inhibitedBy": alert["status"]["inhibitedBy"],
                "silences": silences,
            });
            (fingerprint, shown)
        })
        .collect()
}

#[test]
fn receivers_are_told_as_by_an_alertmanager() {
    let recorders = [Recorder::start(), Recorder::start()];
    let Some(theirs) = theirs(&recorders[0]) else {
        return;
    };
    let (ours, _catalog) = ours(&recorders[1]);
    let pair = Pair {
        servers: [&theirs.address, &ours.address],
        recorders: [&recorders[0], &recorders[1]],
    };
    let began = Instant::now() + SETTLE;
    recorders.iter().for_each(|recorder| recorder.begin(began));
    std::thread::scope(|scope| {
        for scenario in SCENARIOS {
            scope.spawn(|| pair.run(scenario, began));
        }
    });
    let ends = SCENARIOS.iter().map(|scenario| scenario.until_s);
    let lasts_s = ends.filter(|end| end.is_finite()).fold(0.0, f64::max);
    let end = began + Duration::from_secs_f64(lasts_s + BOUND_S);
    std::thread::sleep(end.saturating_duration_since(Instant::now()));
    let mut wrong = Vec::new();
    let [left, right] = pair.servers.map(firing);
    for fingerprint in left
        .keys()
        .chain(right.keys())
        .filter(|id| left.get(*id) != right.get(*id))
    {
        wrong.push(format!(
            "theirs {:?}\nours {:?}",
            left.get(fingerprint),
            right.get(fingerprint)
        ));
    }
    for scenario in SCENARIOS {
        let told = recorders.each_ref().map(|recorder| recorder.told(scenario));
        let found = compare(scenario, &told[0], &told[1]);
        if !found.is_empty() {
            let list = |told: &[Told]| {
                told.iter()
                    .map(|told| format!("\n      {told}"))
                    .collect::<String>()
            };
            wrong.push(format!(
                "{}:\n    {}\n    theirs:{}\n    ours:{}",
                scenario.name,
                found.join("\n    "),
                list(&told[0]),
                list(&told[1])
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} scenarios differ\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// What differs on purpose is told to whoever reads the guide, under the same name.
#[test]
fn every_difference_is_in_the_guide() {
    let guide = std::fs::read_to_string(crate::root().join("docs/guide/alerts.md")).expect("the guide");
    let used: Vec<Why> = SCENARIOS
        .iter()
        .flat_map(|scenario| scenario.differences.iter().map(|difference| difference.why))
        .collect();
    for why in Why::ALL {
        assert!(
            guide.contains(&format!("| {} |", why.name())),
            "{why:?} is not in the guide"
        );
        assert!(used.contains(&why), "{why:?} is shown by no scenario");
    }
}
