//! How much is taken and told at once, and that nothing is lost by that.

use mainstay_alert::{AlertEvent, AlertState, Alerts, FIRING_MAX_BYTES};
use mainstay_journal::Machine;
use mainstay_kernel::Digest;
use mainstay_kernel::fact::AlertFact;

use crate::bench::{Bench, labels, routing};

#[test]
fn no_more_is_taken_than_a_snapshot_has_room_for_and_its_weight_is_known_of_any_snapshot() {
    let mut bench = Bench::new(routing(&["team"], "{receiver: team, group_by: ['...']}"));
    bench.fire("A n=0");
    let (first, meta) = bench.events[0].clone();
    let AlertEvent::Started {
        alert,
        severity,
        placements,
        believed_for_ms,
    } = first
    else {
        panic!("an alert starts first");
    };
    // Most of it is put in place directly, for the sake of time.
    let mut count = 0_u32;
    while bench.state.firing_bytes() <= FIRING_MAX_BYTES - (1 << 20) {
        count += 1;
        let mut alert = AlertFact {
            fingerprint: Digest::of(&count.to_be_bytes()),
            ..alert.clone()
        };
        alert.annotations.set("description", "x".repeat(1 << 18));
        let event = AlertEvent::Started {
            alert,
            severity,
            placements: placements.clone(),
            believed_for_ms,
        };
        Alerts::apply(&mut bench.state, &event, &meta);
    }
    // It is kept twice: itself, and what its group told. There is room for one and not for two.
    let room = FIRING_MAX_BYTES - bench.state.firing_bytes();
    let mut large = bench.fires("Large");
    large.annotations.set("description", "x".repeat(room * 3 / 10));
    let mut after = vec![large.clone(), large];
    after[1].labels = labels("Large n=1");
    bench.observe(after.clone());
    assert!(bench.state.alert(&after[0].labels.fingerprint()).is_some());
    assert!(
        bench.state.alert(&after[1].labels.fingerprint()).is_none(),
        "full"
    );
    assert!(bench.state.firing_bytes() <= FIRING_MAX_BYTES);
    bench.fire("Small");
    assert!(bench.state.alert(&labels("Small").fingerprint()).is_some());
    // One leaves and one comes: that fits.
    let over = bench.over("Large");
    bench.observe(vec![over, after[1].clone()]);
    assert!(bench.state.alert(&after[1].labels.fingerprint()).is_some());

    let text = serde_json::to_string(&bench.state).expect("a state is JSON");
    assert!(!text.contains("weight"), "it follows from the alerts");
    assert!(text.len() < FIRING_MAX_BYTES, "{}", text.len());
    let read: AlertState = serde_json::from_str(&text).expect("it can be read");
    assert_eq!(read.firing_bytes(), bench.state.firing_bytes());
    assert_eq!(read, bench.state);
}
