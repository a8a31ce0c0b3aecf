//! A real refusal of the system: the test runs itself again under a file-size limit.

use std::path::PathBuf;
use std::process::Command;

use mainstay_segment::{SegmentError, Wal, WalOptions};

const DIRECTORY: &str = "MAINSTAY_TEST_WAL_FULL_DIR";

#[test]
fn no_room_is_a_typed_error_and_loses_nothing_acknowledged() {
    if let Some(dir) = directory() {
        fill(&PathBuf::from(dir));
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let program = std::env::current_exe().expect("this program");
    // The shell ignores SIGXFSZ, and so does what it starts: write() then fails with EFBIG.
    let output = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; ulimit -f 16; exec "$0" "$@""#])
        .arg(program)
        .args([
            "--exact",
            "wal_full::no_room_is_a_typed_error_and_loses_nothing_acknowledged",
            "--nocapture",
        ])
        .env(DIRECTORY, dir.path())
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let acknowledged: u64 = said
        .lines()
        .find_map(|line| line.split("acknowledged=").nth(1))
        .expect("the child says how many")
        .trim()
        .parse()
        .expect("a number");
    let mut frames = 0;
    let (_, recovery) = Wal::open(dir.path(), WalOptions::default(), |_, bytes| {
        assert_eq!(bytes, [7; 100]);
        frames += 1;
    })
    .expect("opens");
    assert_eq!((frames, recovery.truncated_bytes), (acknowledged, 0));
    assert!(acknowledged > 10, "{acknowledged}");
}

fn fill(dir: &std::path::Path) {
    let (wal, _) = Wal::open(dir, WalOptions::default(), |_, _| {}).expect("opens");
    let mut acknowledged = 0;
    let refused = loop {
        match wal.append_durable(&[7; 100]) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, SegmentError::DiskFull { .. }), "{refused}");
    let again = wal.append_durable(&[7; 100]).expect_err("still no room");
    assert!(again.is_full(), "{again}");
    println!("acknowledged={acknowledged}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "so the test tells its child where to write"
)]
fn directory() -> Option<std::ffi::OsString> {
    std::env::var_os(DIRECTORY)
}
