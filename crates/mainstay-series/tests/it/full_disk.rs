//! A disk without room, and one that cannot be written: real ones. The test runs itself again on a small file system.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use mainstay_segment::SegmentError;
use mainstay_series::{Maintained, Options, Sample, SeriesError, SeriesRef, Store};

use crate::{HOUR_MS, MINUTE_MS, environment, held, open, series};

const DIRECTORY: &str = "MAINSTAY_TEST_FULL_DISK_DIR";
const NAME: &str = "full_disk::nothing_acknowledged_is_lost_on_a_full_disk_and_no_half_file_is_left";

#[test]
fn nothing_acknowledged_is_lost_on_a_full_disk_and_no_half_file_is_left() {
    if let Some(dir) = environment(DIRECTORY) {
        return on_a_small_disk(Path::new(&dir));
    }
    let dir = tempfile::tempdir().expect("a directory");
    let output = Command::new("unshare")
        .args(["-Urm", "sh", "-c"])
        .arg("mount -t tmpfs -o size=4m tmpfs \"$0\" || exit 77; exec \"$@\"")
        .arg(dir.path())
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", NAME, "--nocapture"])
        .env(DIRECTORY, dir.path())
        .output();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output {
        Ok(output) if output.status.success() => {
            let told = said(&output.stdout);
            assert!(told.contains("all of it was gone through"), "{told}");
        }
        Ok(output) if output.status.code() == Some(101) => {
            panic!("{}{}", said(&output.stdout), said(&output.stderr));
        }
        other => println!("not run: a file system may not be mounted here: {other:?}"),
    }
}

/// One series, a sample a minute.
struct Writer {
    store: Store,
    series: SeriesRef,
    /// Minutes that were acknowledged.
    acknowledged: i64,
}

impl Writer {
    fn append(&mut self) -> Result<(), SeriesError> {
        let t_ms = self.acknowledged * MINUTE_MS;
        let sample = Sample {
            series: self.series,
            t_ms,
            value: (self.acknowledged as f64).sqrt(),
        };
        self.store.append(&[sample], t_ms)?;
        self.acknowledged += 1;
        Ok(())
    }

    fn append_until(&mut self, hours: i64) {
        while self.acknowledged < hours * 60 {
            self.append().expect("there is room");
        }
    }

    fn check(&self) {
        let found = held(&self.store, "a");
        let expected =
            (0..self.acknowledged).map(|minute| (minute * MINUTE_MS, (minute as f64).sqrt().to_bits()));
        assert!(
            found.into_iter().eq(expected),
            "all that was acknowledged, and nothing else"
        );
    }
}

/// Fills the disk to its last byte.
fn fill(dir: &Path) -> PathBuf {
    let path = dir.join("ballast");
    let mut ballast = fs::File::create(&path).expect("there is room for a name");
    let mut piece = vec![0; 64 << 10];
    while !piece.is_empty() {
        if let Err(error) = ballast.write_all(&piece) {
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
            piece.truncate(piece.len() / 2);
        }
    }
    path
}

fn is_full(error: &SeriesError) -> bool {
    matches!(error, SeriesError::Segment(error) if error.is_full())
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("listable");
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = entries.map(|entry| name(entry.expect("an entry"))).collect();
    names.sort();
    names
}

/// On a full disk the pass fails for lack of room and leaves the files of the store as they were; with room it succeeds.
fn fails_on_a_full_disk(
    writer: &mut Writer,
    dir: &Path,
    pass: impl Fn(&Store) -> Result<Maintained, SeriesError>,
) -> Maintained {
    let ballast = fill(dir);
    let blocks = dir.join("store/blocks");
    let before = names(&blocks);
    let refused = pass(&writer.store).expect_err("no room for a file");
    assert!(is_full(&refused), "{refused}");
    assert_eq!(names(&blocks), before, "no half file is left");
    assert!(
        !names(&dir.join("store"))
            .iter()
            .any(|name| name.ends_with(".tmp"))
    );
    writer.check();
    // The last page of the log may take some more.
    let refused = loop {
        if let Err(refused) = writer.append() {
            break refused;
        }
    };
    assert!(is_full(&refused), "{refused}");
    writer.check();
    fs::remove_file(ballast).expect("removed");
    writer.append().expect("there is room again");
    let done = pass(&writer.store).expect("there is room again");
    writer.check();
    done
}

fn on_a_small_disk(dir: &Path) {
    let path = dir.join("store");
    let store = open(&path);
    let mut writer = Writer {
        series: series(&store, "a"),
        store,
        acknowledged: 0,
    };
    writer.append_until(30);
    let done = fails_on_a_full_disk(&mut writer, dir, |store| store.flush(24 * HOUR_MS));
    assert_eq!(done.blocks_written, 12);
    let done = fails_on_a_full_disk(&mut writer, dir, |store| store.maintain(26 * HOUR_MS));
    assert_eq!(done.blocks_merged, 1);
    let acknowledged = writer.acknowledged;
    drop(writer);
    let store = open(&path);
    let writer = Writer {
        series: series(&store, "a"),
        store,
        acknowledged,
    };
    writer.check();
    drop(writer);

    // And when it cannot be written any more: said, with the name of the file.
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(dir).status();
    assert!(remounted.expect("runs").success());
    let refused = Store::open(&path, Options::default()).expect_err("it cannot be written");
    assert!(
        matches!(&refused, SeriesError::Segment(SegmentError::ReadOnly { path: named, .. }) if named.starts_with(&path)),
        "{refused}"
    );
    println!("all of it was gone through");
}
