//! The published comparison of budgets beside a real Prometheus that was given the same samples: `increase` agrees to the
//! integer where it is exact, and what it and averages of averages get wrong is shown.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_kernel::Labels;
use mainstay_series::{Options, Row, Store};
use mainstay_slo::burn::BurnPolicy;
use mainstay_slo::selector::parse_event_count;
use mainstay_slo::window::{Duration, Window};
use mainstay_slo::{
    BudgetPolicy, Counters, Events, Marked, Objective, Promise, RawSample, Settings, SliDefinition,
    SloCatalog, SloEngine,
};

use super::peer::{Kind, Peer};
use cases::{BEGIN_MS, Case, END_MS};

#[path = "../../../../mainstay-slo/tests/it/table/cases.rs"]
mod cases;

/// One sample a minute: what is exact is so at any interval.
const STEP_MS: i64 = 60_000;

fn catalog() -> SloCatalog {
    let selectors = |query: &str| parse_event_count(query).expect("an event count").selectors;
    let indicator = SliDefinition {
        name: "requests".to_owned(),
        events: Events::Counters(Counters {
            marked: Marked::Bad,
            marked_by: selectors(r#"requests_total{code=~"5.."}"#),
            total: selectors("requests_total"),
        }),
        group_by: vec!["case".to_owned()],
        source: "pod".to_owned(),
        witness: None,
    };
    let objective = Objective {
        id: "requests".parse().expect("a name"),
        display_name: "Requests".to_owned(),
        description: String::new(),
        service: None,
        sli: "requests".to_owned(),
        target: "99.95%".parse().expect("a target"),
        window: Window::Rolling(Duration::parse("30d").expect("a duration")),
        group_by: vec!["case".to_owned()],
        promise: Promise::Objective,
        budget: BudgetPolicy::default(),
        burn: BurnPolicy::off(),
        labels: Labels::new(),
        runbook: None,
    };
    SloCatalog::new(vec![indicator], vec![objective]).expect("sound")
}

/// Bad and all events of every case, as the engine counts them.
fn counted(cases: &[Case]) -> BTreeMap<String, (u64, u64)> {
    let at = |t_ms| Timestamp::from_millisecond(t_ms).expect("in range");
    let settings = Settings {
        scrape_interval_ms: STEP_MS,
        ..Settings::default()
    };
    let mut engine = SloEngine::new(catalog(), settings, at(BEGIN_MS));
    for (t_ms, course, value) in cases::in_order(cases) {
        engine.count(&RawSample {
            labels: &course.labels,
            t_ms,
            value: value as f64,
            created_ms: Some(course.created_ms),
        });
    }
    let statuses = engine.statuses(&"requests".parse().expect("a name"), at(END_MS));
    let counts = statuses.into_iter().filter_map(|status| {
        let counts = status.budget.counts;
        Some((status.group.get("case")?.to_owned(), (counts.bad, counts.total)))
    });
    counts.collect()
}

/// What Prometheus says at the end of the window; NaN where it says nothing.
async fn asked(peer: &Peer, query: &str) -> f64 {
    let at = (END_MS / 1_000).to_string();
    let mut url = reqwest::Url::parse(&peer.url("/api/v1/query")).expect("an address");
    url.query_pairs_mut()
        .append_pair("query", query)
        .append_pair("time", &at);
    let answer = reqwest::get(url).await.expect("an answer");
    let text = answer.text().await.expect("a body");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let value = json["data"]["result"][0]["value"][1].as_str();
    value.map_or(f64::NAN, |value| value.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn increase_agrees_where_it_is_exact_and_counts_are_right_where_it_is_not() {
    let Some(peer) = Peer::start(Kind::Prometheus).await else {
        return;
    };
    let cases = [
        cases::outage("peak", STEP_MS, 15),
        cases::outage("trough", STEP_MS, 3),
        cases::first_errors(STEP_MS),
        cases::no_traffic(STEP_MS),
        cases::deploys(STEP_MS),
    ];
    let place = tempfile::tempdir().expect("a directory");
    let (store, _) = Store::open(&place.path().join("series"), Options::default()).expect("a store");
    let store = std::sync::Arc::new(store);
    let samples = cases::in_order(&cases);
    for batch in samples.chunks(10_000) {
        let rows: Vec<Row<'_>> = batch
            .iter()
            .map(|(t_ms, course, value)| Row {
                labels: &course.labels,
                created_ms: None,
                t_ms: *t_ms,
                value: *value as f64,
            })
            .collect();
        // The store takes what is not past its retention: its time goes with the samples.
        let now_ms = batch.last().map_or(END_MS, |(t_ms, ..)| *t_ms);
        let appended = store.append_rows(&rows, now_ms).expect("appended");
        assert_eq!(appended.stored, rows.len());
    }
    peer.take_all_of(&store, place.path(), samples.len() as u64).await;
    let ours = counted(&cases);
    let mut found = BTreeMap::new();
    println!("case          truth: bad of all           Mainstay   increase[30d]   averages of 5 min");
    for case in &cases {
        let (bad, total) = (case.truth.0 as f64, case.truth.1 as f64);
        let name = case.name;
        let of = |code: &str| format!(r#"requests_total{{case="{name}",code=~"{code}"}}"#);
        let increase = asked(&peer, &format!("sum(increase({}[30d]))", of("5.."))).await;
        let all = asked(&peer, &format!("sum(increase({}[30d]))", of(".*"))).await;
        // What generated rules do by default: the average of the ratios of five minutes.
        let ratio = format!("sum(rate({}[5m])) / sum(rate({}[5m]))", of("5.."), of(".*"));
        let average = asked(&peer, &format!("avg_over_time(({ratio})[30d:5m])")).await;
        println!(
            "{name:<12} {bad:>9} of {total:>13} {:>14} {increase:>15.1} {:>14.1}% of the budget (truth {:.1}%)",
            ours[name].0,
            average / 0.0005 * 100.0,
            bad / total / 0.0005 * 100.0
        );
        assert_eq!(ours[name], case.truth, "{name}: every event, exactly");
        found.insert(name, (increase, all, average));
    }
    let truth = |name: &str| {
        let case = cases.iter().find(|case| case.name == name).expect("a case");
        (case.truth.0 as f64, case.truth.1 as f64)
    };
    // Counters that are there from the first instant of the window to the last.
    for name in ["peak", "trough", "no traffic"] {
        let (bad, all, _) = found[name];
        assert_eq!(
            (bad, all),
            truth(name),
            "{name}: increase is exact here and agrees"
        );
    }
    // A counter that is born with its first errors, and many that are: increase loses the first of each.
    assert!(found["first errors"].0 < truth("first errors").0);
    assert!(found["deploys"].0 < truth("deploys").0 * 0.9);
    // The hour of the day is lost in an average of ratios.
    let (peak, trough) = (found["peak"].2, found["trough"].2);
    assert!((peak / trough - 1.0).abs() < 0.01, "{peak} and {trough}");
    assert!(found["no traffic"].2.is_nan(), "one hole makes 30 days unknown");
}
