use std::fs;

use mainstay_segment::{
    Sealed, SealedWriter, SegmentError, backup_by_link, remove_temporaries, write_atomic,
};

const MAGIC: [u8; 8] = *b"TESTFILE";

fn sample(path: &std::path::Path) {
    let mut writer = SealedWriter::create(path, MAGIC, 1).expect("begun");
    assert_eq!(writer.push(b"hello ").expect("written"), 0);
    assert_eq!(writer.push(b"world").expect("written"), 6);
    assert_eq!(
        writer.finish(b"index").expect("finished"),
        fs::metadata(path).expect("there").len()
    );
}

#[test]
fn reads_back_what_was_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a");
    sample(&path);
    let file = Sealed::open(&path, MAGIC, 1, 100).expect("opens");
    assert_eq!(
        (file.version(), file.index(), file.data_len()),
        (1, &b"index"[..], 11)
    );
    assert_eq!(file.read_data(6, 5).expect("in range"), b"world");
    let outside = file.read_data(6, 6).expect_err("beyond the data");
    assert!(
        matches!(outside, SegmentError::Corrupt { offset: 6, .. }),
        "{outside}"
    );
}

#[test]
fn every_flipped_bit_of_index_and_footer_and_every_cut_is_noticed() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a");
    sample(&path);
    let good = fs::read(&path).expect("readable");
    for bit in 11 * 8..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, bad).expect("writable");
        Sealed::open(&path, MAGIC, 1, 100).expect_err("damage is noticed");
    }
    for len in 0..good.len() {
        fs::write(&path, &good[..len]).expect("writable");
        Sealed::open(&path, MAGIC, 1, 100).expect_err("a cut is noticed");
    }
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a");
    let writer = SealedWriter::create(&path, MAGIC, 2).expect("begun");
    assert!(!path.exists(), "nothing is there before it is whole");
    writer.finish(b"").expect("written");
    let refused = Sealed::open(&path, MAGIC, 1, 100).expect_err("too new");
    assert!(
        matches!(
            refused,
            SegmentError::UnsupportedVersion {
                found: 2,
                supported: 1,
                ..
            }
        ),
        "{refused}"
    );
}

#[test]
fn replaced_atomically_and_leftovers_swept() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a");
    write_atomic(&path, b"one").expect("written");
    write_atomic(&path, b"two").expect("replaced");
    fs::write(dir.path().join("b.tmp"), b"half").expect("writable");
    assert_eq!(remove_temporaries(dir.path()).expect("swept"), 1);
    assert_eq!(fs::read(&path).expect("readable"), b"two");
    assert_eq!(fs::read_dir(dir.path()).expect("listable").count(), 1);
}

#[test]
fn a_directory_that_is_gone_is_an_error_and_nothing_is_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let failed = write_atomic(&dir.path().join("no/such"), b"x").expect_err("no such directory");
    assert!(matches!(failed, SegmentError::Io { .. }), "{failed}");
}

#[test]
fn a_backup_by_link_outlives_the_original_and_takes_only_what_is_immutable() {
    let dir = tempfile::tempdir().expect("a directory");
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    fs::create_dir(&from).expect("made");
    write_atomic(&from.join("1.block"), b"block").expect("written");
    write_atomic(&from.join("LOCK"), b"").expect("written");
    let made = backup_by_link(&from, &to, |path| path.extension().is_some()).expect("linked");
    assert_eq!(made, [to.join("1.block")]);
    fs::remove_file(from.join("1.block")).expect("removed");
    assert_eq!(fs::read(to.join("1.block")).expect("readable"), b"block");
}

#[test]
fn errors_are_told_apart_by_what_the_caller_can_do() {
    use std::io::{Error, ErrorKind};
    let of = |kind| SegmentError::from_io(std::path::Path::new("x"), Error::from(kind));
    assert!(matches!(
        of(ErrorKind::StorageFull),
        SegmentError::DiskFull { .. }
    ));
    assert!(of(ErrorKind::QuotaExceeded).is_full());
    assert!(matches!(
        of(ErrorKind::ReadOnlyFilesystem),
        SegmentError::ReadOnly { .. }
    ));
    assert!(matches!(of(ErrorKind::NotFound), SegmentError::Io { .. }));
}
