//! Why somebody was told, or was not: from the journal alone.

use futures::executor::block_on;
use jiff::SignedDuration;
use mainstay_alert::{AlertCommand, SilenceDraft, SilenceId};
use mainstay_kernel::{Clock as _, IncidentId, Labels, PageId, parse_matcher};
use mainstay_oncall::OncallCommand;
use mainstay_plane::{Command, Decision, Step, Subject, newest_start, why};

use crate::bench::Bench;

const P1: &str = "cell=cell-5 priority=P1 job=payment-service";

fn told(bench: &Bench, subject: &Subject) -> Vec<Decision> {
    block_on(why(&*bench.journal, subject)).expect("the journal works")
}

fn alert(name: &str, labels: &str) -> Subject {
    let pairs = labels.split(' ').filter_map(|pair| pair.split_once('='));
    let labels = Labels::from_iter(pairs).with("alertname", name);
    Subject::Alert(labels.fingerprint().to_string())
}

fn steps(decisions: &[Decision]) -> Vec<Step> {
    let mut steps: Vec<Step> = decisions.iter().map(|decision| decision.step).collect();
    steps.dedup();
    steps
}

fn says(decisions: &[Decision], step: Step, words: &str) {
    let mut found = decisions.iter().filter(|decision| decision.step == step);
    assert!(
        found.any(|decision| decision.text.contains(words)),
        "{words}: {decisions:#?}"
    );
}

#[test]
fn a_page_is_explained_from_the_rule_to_the_acknowledgement() {
    let bench = Bench::new();
    bench.observe("HighErrorRate", P1, false);
    bench.work();
    bench.pass(3);
    bench.submit(Command::Oncall(OncallCommand::AcknowledgeIncident {
        incident: IncidentId::new("2026-03-02-001").expect("an id"),
        by: None,
    }));
    let of_alert = told(&bench, &alert("HighErrorRate", P1));
    let order = [Step::Rule, Step::Route, Step::Grouping];
    assert_eq!(steps(&of_alert)[..3], order, "{of_alert:#?}");
    let page = Subject::Page(PageId::new("2026-03-02-001-p1").expect("an id"));
    for decisions in [of_alert, told(&bench, &page)] {
        says(&decisions, Step::Rule, "HighErrorRate");
        says(&decisions, Step::Route, "receiver on-call in group");
        says(
            &decisions,
            Step::Grouping,
            "Told to receiver on-call, alone, as a P1",
        );
        says(
            &decisions,
            Step::Correlation,
            "A P1 wakes people: page 2026-03-02-001-p1",
        );
        says(&decisions, Step::OnCall, "climbs by escalation policy payments");
        says(&decisions, Step::OnCall, "Level 1 of round 1 pages thandi");
        says(
            &decisions,
            Step::OnCall,
            "thandi has not acknowledged: told by voice too",
        );
        says(&decisions, Step::Receipt, "sms to thandi: delivered at attempt 1");
        says(
            &decisions,
            Step::Acknowledgement,
            "token:test acknowledged page 2026-03-02-001-p1",
        );
        assert!(decisions.is_sorted_by_key(|decision| decision.at));
    }
    let incident = IncidentId::new("2026-03-02-001").expect("an id");
    let of_incident = told(&bench, &Subject::Incident(incident));
    says(&of_incident, Step::Rule, "HighErrorRate");
    says(
        &of_incident,
        Step::Correlation,
        "incident 2026-03-02-001 declared",
    );
    says(&of_incident, Step::Receipt, "email to thandi: delivered");
}

#[test]
fn what_kept_an_alert_back_is_said_with_who_did_it() {
    let bench = Bench::new();
    let now = bench.clock.now();
    let silence = SilenceDraft {
        changes: None,
        matchers: vec![parse_matcher("cell=cell-5").expect("a matcher")],
        starts_at: now,
        ends_at: now + SignedDuration::from_hours(1),
        created_by: "lerato".to_owned(),
        comment: "the pool is being replaced".to_owned(),
    };
    bench.submit(Command::Alert(AlertCommand::Silence(
        SilenceId::new("s-1"),
        silence,
    )));
    bench.observe("HighErrorRate", P1, false);
    bench.pass(2);
    let held = told(&bench, &alert("HighErrorRate", P1));
    says(&held, Step::Silence, "Held back by silence s-1");
    says(&held, Step::Silence, "of lerato");
    says(&held, Step::Silence, "the pool is being replaced");
    assert!(!steps(&held).contains(&Step::Grouping), "{held:#?}");
    bench.submit(Command::Alert(AlertCommand::EndSilence(SilenceId::new("s-1"))));
    bench.pass(3);
    let told = told(&bench, &alert("HighErrorRate", P1));
    says(&told, Step::Silence, "Nothing holds it back any more");
    says(&told, Step::Receipt, "delivered");
}

#[test]
fn the_same_is_said_by_a_new_process_and_nothing_of_what_is_not_there() {
    let mut bench = Bench::new();
    bench.observe("HighErrorRate", P1, false);
    bench.work();
    let subject = alert("HighErrorRate", P1);
    let before = told(&bench, &subject);
    bench.reopen();
    assert_eq!(told(&bench, &subject), before);
    assert_eq!(told(&bench, &Subject::Alert("0".repeat(64))), []);
    assert_eq!(
        told(&bench, &Subject::Page(PageId::new("p9").expect("an id"))),
        []
    );
}

#[test]
fn an_alert_that_is_over_is_found_by_what_it_was_called() {
    let bench = Bench::new();
    bench.observe("HighErrorRate", P1, false);
    bench.observe("HighErrorRate", "cell=cell-6 priority=P2", false);
    bench.observe("HighErrorRate", "cell=cell-6 priority=P2", true);
    bench.work();
    let newest = |name: &str| {
        let search = newest_start(&*bench.journal, |alert| alert.name() == name);
        block_on(search).expect("the journal works")
    };
    let found = newest("HighErrorRate").expect("it is there");
    assert_eq!(found.labels.get("cell"), Some("cell-6"), "the last that began");
    assert_eq!(newest("Unknown"), None);
}
