//! Which alerts were worth it, from a journal in which it is known.

use futures::executor::block_on;
use jiff::{SignedDuration, Timestamp};
use mainstay_incident::IncidentCommand;
use mainstay_kernel::{IncidentId, Scope, Severity};
use mainstay_oncall::OncallCommand;
use mainstay_plane::{AlertReview, Command, NameReview, alert_review};

use crate::bench::Bench;

fn reviewed(bench: &Bench, from: Timestamp) -> AlertReview {
    let until = from
        .saturating_add(SignedDuration::from_hours(24 * 30))
        .expect("an instant");
    block_on(alert_review(&*bench.journal, from, until)).expect("the journal works")
}

fn incident(number: u32) -> IncidentId {
    IncidentId::new(format!("2026-03-02-{number:03}")).expect("an id")
}

fn counted(review: &AlertReview, name: &str) -> [u64; 4] {
    let NameReview {
        fired,
        in_incident,
        paged,
        actionable,
    } = review.names[name];
    [fired, in_incident, paged, actionable]
}

#[test]
fn an_alert_is_actionable_when_somebody_took_it_on_and_did_something() {
    let bench = Bench::new();
    let start: Timestamp = "2026-03-02T10:00:00Z".parse().expect("an instant");
    // One that is worked on, one that is only acknowledged, one that pages nobody, each elsewhere.
    bench.observe("Worked", "cell=cell-1 priority=P1 job=payment-service", false);
    bench.pass(10);
    bench.submit(Command::Oncall(OncallCommand::AcknowledgeIncident {
        incident: incident(1),
        by: None,
    }));
    bench.submit(Command::Incident(IncidentCommand::Note {
        incident: incident(1),
        text: "the connection pool was too small".to_owned(),
    }));
    bench.observe("Shrugged", "cell=cell-6 priority=P1 job=payment-service", false);
    bench.work();
    bench.submit(Command::Oncall(OncallCommand::AcknowledgeIncident {
        incident: incident(2),
        by: None,
    }));
    for _ in 0..3 {
        bench.observe("Noise", "cell=cell-2 priority=P3", false);
        bench.pass(1);
        bench.observe("Noise", "cell=cell-2 priority=P3", true);
        bench.pass(1);
    }
    bench.submit(Command::Incident(IncidentCommand::Declare {
        severity: Severity::P2,
        title: "A bank calls".to_owned(),
        scope: Scope::platform(),
    }));
    let review = reviewed(&bench, start);
    assert_eq!(counted(&review, "Worked"), [1, 1, 1, 1]);
    assert_eq!(counted(&review, "Shrugged"), [1, 1, 1, 0], "nobody did anything");
    assert_eq!(counted(&review, "Noise")[0], 3);
    assert_eq!(counted(&review, "Noise")[2..], [0, 0]);
    let silent: Vec<&str> = review.unannounced.iter().map(|one| one.title.as_str()).collect();
    assert_eq!(silent, ["A bank calls"]);
    assert_eq!(review.unannounced[0].by.subject, "test");

    // What fired before the time is not counted; what was declared before it is not listed.
    let later = start
        .saturating_add(SignedDuration::from_mins(5))
        .expect("an instant");
    assert!(!reviewed(&bench, later).names.contains_key("Worked"));
    let after = start
        .saturating_add(SignedDuration::from_hours(1))
        .expect("an instant");
    assert_eq!(reviewed(&bench, after), AlertReview::default());
}
