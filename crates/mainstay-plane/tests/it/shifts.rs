//! Hand-overs in the whole plane: what is open is told at the hand-off, once, over restarts.

use futures::executor::block_on;
use mainstay_oncall::OncallCommand;
use mainstay_plane::Command;

use crate::bench::{Bench, changed};

const P1: &str = "cell=cell-5 priority=P1 job=payment-service";

/// Hands off every hour: those of the primary get what is open within a minute or two of the hour.
#[test]
fn whoever_comes_gets_what_is_open_and_is_reminded_before() {
    let catalog = changed("oncall.yaml", |text| {
        text.replacen("  turn_days: 7\n", "  turn: hourly\n  remind: 10m\n", 1)
            .replacen("weekday: monday, ", "", 1)
    });
    assert!(
        catalog.response.rotas["primary"].remind.is_some(),
        "the catalog is as meant"
    );
    let mut bench = Bench::over(catalog);
    bench.observe("HighErrorRate", P1, false);
    bench.pass(1);
    bench.submit(Command::Oncall(OncallCommand::NoteHandover {
        rota: "primary".to_owned(),
        text: "the bank changes its certificate".to_owned(),
    }));
    for minute in 0..130 {
        bench.pass(1);
        block_on(bench.plane.mind_shifts()).expect("the journal works");
        bench.work();
        if minute % 30 == 0 {
            bench.reopen();
        }
    }
    let sent = bench.sent();
    let of = |kind: &str| {
        let keys = sent
            .iter()
            .filter(|(key, _)| key.starts_with(kind) && key.ends_with("/email"));
        keys.map(|(key, _)| key.clone()).collect::<Vec<_>>()
    };
    let reminded = of("remind/primary/");
    assert_eq!(reminded.len(), 2, "{reminded:?}");
    // From 10:00 on: the shift of 10:00 that had just begun, 11:00 and 12:00.
    let handed = of("handover/primary/");
    assert_eq!(handed.len(), 3, "{handed:?}");
    let told: Vec<_> = bench
        .records()
        .into_iter()
        .filter(|record| record.envelope.kind == "oncall.handed_over")
        .filter_map(|record| Some(String::from_utf8_lossy(&record.payload?).into_owned()))
        .collect();
    assert!(
        told[1].contains("certificate") && told[1].contains("HighErrorRate"),
        "{told:?}"
    );
    assert!(!told[2].contains("certificate"), "{told:?}");
}
