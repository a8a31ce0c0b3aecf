//! What comes back from a timer.

use mainstay_journal::Machine;
use mainstay_kernel::PageId;
use mainstay_oncall::{Oncall, OncallCommand};
use proptest::prelude::*;

#[test]
fn payloads_are_read_back() {
    let page = PageId::new("2026-03-02-001-p1").expect("a name");
    let climb = OncallCommand::Climb {
        page: page.clone(),
        round: 2,
        level: 4,
    };
    assert_eq!(Oncall::on_timer("k", "2026-03-02-001-p1 2 4"), Some(climb));
    let repeat = OncallCommand::Repeat { page, round: 3 };
    assert_eq!(Oncall::on_timer("k", "2026-03-02-001-p1 3 repeat"), Some(repeat));
    for bad in [
        "",
        "p1",
        "p1 2",
        "p1 x 4",
        "p1 -1 4",
        "p1 2 -4",
        "p1 2 x",
        " 2 4",
        "p1 4294967296 1",
    ] {
        assert_eq!(Oncall::on_timer("k", bad), None, "{bad:?}");
    }
}

proptest! {
    #[test]
    fn no_payload_does_harm(key in "\\PC*", payload in "\\PC{0,40}", words in "[a-z0-9 -]{0,30}") {
        let _ = Oncall::on_timer(&key, &payload);
        let _ = Oncall::on_timer(&key, &words);
    }
}
