use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_kernel::testing::SeededEntropy;
use mainstay_segment::{Lsn, Recovery, SegmentError, Wal, WalOptions};
use proptest::prelude::*;

type Frames = Vec<(u64, Vec<u8>)>;

fn open(dir: &Path, options: &WalOptions) -> (Wal, Recovery, Frames) {
    let mut frames = Vec::new();
    let (wal, recovery) = Wal::open(dir, options.clone(), |lsn, bytes| {
        frames.push((lsn.get(), bytes.to_vec()));
    })
    .expect("the log opens");
    (wal, recovery, frames)
}

fn small_segments() -> WalOptions {
    WalOptions {
        segment_bytes: 128,
        ..WalOptions::default()
    }
}

fn payload(number: u64) -> Vec<u8> {
    let len = usize::try_from(number % 37).expect("small") + 1;
    vec![number.to_le_bytes()[0]; len]
}

fn segments(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .expect("listable")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).expect("it is there").len()
}

#[test]
fn reopening_gives_every_frame_in_order_over_many_segments() {
    let dir = tempfile::tempdir().expect("a directory");
    let (wal, ..) = open(dir.path(), &small_segments());
    for number in 1..=100 {
        assert_eq!(wal.append(&payload(number)).expect("appended").get(), number);
    }
    wal.sync().expect("synced");
    drop(wal);
    assert!(segments(dir.path()).len() > 10);
    let (wal, recovery, frames) = open(dir.path(), &small_segments());
    let read_bytes = segments(dir.path()).iter().map(|path| size(path)).sum();
    assert_eq!(
        recovery,
        Recovery {
            frames: 100,
            read_bytes,
            ..Recovery::default()
        }
    );
    assert_eq!(frames, (1..=100).map(|n| (n, payload(n))).collect::<Frames>());
    assert_eq!(wal.append(b"next").expect("appended").get(), 101);
}

proptest! {
    /// A last segment cut anywhere loses its frames from there on, no other, and takes new ones.
    #[test]
    fn a_torn_tail_is_cut_and_reported(cut in 1usize..120, more in 1u64..5) {
        let dir = tempfile::tempdir().expect("a directory");
        let (wal, ..) = open(dir.path(), &small_segments());
        for number in 1..=30 {
            wal.append(&payload(number)).expect("appended");
        }
        drop(wal);
        let last = segments(dir.path()).pop().expect("a segment");
        let bytes = fs::read(&last).expect("readable");
        let kept = bytes.len().saturating_sub(cut);
        fs::write(&last, &bytes[..kept]).expect("writable");
        let (wal, recovery, frames) = open(dir.path(), &small_segments());
        let count = frames.len() as u64;
        prop_assert!(recovery.corrupt_segments.is_empty());
        prop_assert!(recovery.truncated_bytes < bytes.len() as u64);
        prop_assert_eq!(&frames, &(1..=count).map(|n| (n, payload(n))).collect::<Frames>());
        for number in 0..more {
            prop_assert_eq!(wal.append(b"new").expect("appended").get(), count + 1 + number);
        }
        drop(wal);
        let (_, recovery, again) = open(dir.path(), &small_segments());
        prop_assert_eq!((recovery.frames, recovery.truncated_bytes), (count + more, 0));
        prop_assert!(recovery.corrupt_segments.is_empty());
        prop_assert_eq!(&again[..frames.len()], &frames[..]);
    }

    /// One flipped bit anywhere: what is read is a subset of what was written under the right numbers, the loss is
    /// reported, segments other than the damaged one are whole, and no number is used twice.
    #[test]
    fn a_flipped_bit_is_named_and_contained(victim in 0usize..8, position in 0usize..10_000, bit in 0u8..8) {
        let dir = tempfile::tempdir().expect("a directory");
        let (wal, ..) = open(dir.path(), &small_segments());
        for number in 1..=40 {
            wal.append(&payload(number)).expect("appended");
        }
        drop(wal);
        let files = segments(dir.path());
        let path = &files[victim % files.len()];
        let mut bytes = fs::read(path).expect("readable");
        let at = position % bytes.len();
        bytes[at] ^= 1 << bit;
        fs::write(path, &bytes).expect("writable");
        let outcome = Wal::open(dir.path(), small_segments(), |lsn, read| {
            assert_eq!(read, payload(lsn.get()));
        });
        // The version is part of the checked header, so even damage there is damage, not "a newer version".
        let (wal, recovery) = outcome.expect("opens in spite of damage");
        prop_assert!(recovery.frames < 40);
        prop_assert!(recovery.truncated_bytes > 0 || recovery.corrupt_segments[0].path == *path);
        prop_assert!(recovery.frames >= 40 - 13);
        if recovery.corrupt_segments.is_empty() {
            prop_assert_eq!(path, &files[files.len() - 1]);
        } else {
            prop_assert!(wal.append(b"new").expect("appended").get() > 40);
        }
    }
}

/// Ten frames in one segment, of which one byte is another; gives the file and its content.
fn damaged_at(dir: &Path, at: usize) -> (std::path::PathBuf, Vec<u8>) {
    let (wal, ..) = open(dir, &WalOptions::default());
    for number in 1..=10 {
        wal.append(&payload(number)).expect("appended");
    }
    drop(wal);
    let path = segments(dir).pop().expect("a segment");
    let mut bytes = fs::read(&path).expect("readable");
    bytes[at] ^= 0x10;
    fs::write(&path, &bytes).expect("writable");
    (path, bytes)
}

#[test]
fn a_damaged_frame_is_lost_alone_and_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, bytes) = damaged_at(dir.path(), 24 + 8);
    let (wal, recovery, frames) = open(dir.path(), &WalOptions::default());
    let others: Frames = (2..=10).map(|number| (number, payload(number))).collect();
    assert_eq!(frames, others);
    let [damage] = &recovery.corrupt_segments[..] else {
        panic!("{recovery:?}");
    };
    assert_eq!(
        (&damage.path, damage.offset, damage.skipped_bytes),
        (&path, 24, 8 + 2)
    );
    assert_eq!(wal.append_durable(b"after").expect("appended").get(), 11);
    let mut seen = Vec::new();
    wal.replay_since(Lsn::ZERO, |lsn, _| seen.push(lsn.get()))
        .expect("replayed");
    assert_eq!(seen, (2..=11).collect::<Vec<_>>(), "a reader sees the same");
    assert!(
        fs::read(&path).expect("readable").starts_with(&bytes),
        "evidence is kept"
    );
}

/// The length says that the frame reaches beyond the file, as that of a torn frame does: what follows must not be cut.
#[test]
fn a_damaged_length_is_no_torn_tail() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, bytes) = damaged_at(dir.path(), 24 + 2);
    let (wal, recovery, frames) = open(dir.path(), &WalOptions::default());
    assert_eq!(frames, []);
    assert_eq!(recovery.truncated_bytes, 0);
    assert_eq!(recovery.corrupt_segments[0].offset, 24);
    let lsn = wal.append_durable(b"after").expect("appended");
    assert!(lsn.get() > 10, "numbers of lost frames are not used again: {lsn}");
    assert_eq!(fs::read(&path).expect("readable"), bytes, "evidence is kept");
    drop(wal);
    let (_, _, frames) = open(dir.path(), &WalOptions::default());
    assert_eq!(frames, [(lsn.get(), b"after".to_vec())]);
}

/// At every byte of the last frames, one after another: what was whole before the cut is there, nothing else is.
#[test]
fn a_tail_torn_at_every_byte_loses_only_what_is_cut() {
    let dir = tempfile::tempdir().expect("a directory");
    let (wal, ..) = open(dir.path(), &WalOptions::default());
    let mut ends = vec![size(&segments(dir.path())[0])];
    for number in 1..=6 {
        wal.append(&payload(number)).expect("appended");
        ends.push(size(&segments(dir.path())[0]));
    }
    drop(wal);
    let path = segments(dir.path()).pop().expect("a segment");
    let whole = fs::read(&path).expect("readable");
    for kept in ends[0]..=ends[6] {
        fs::write(&path, &whole[..usize::try_from(kept).expect("small")]).expect("writable");
        let (_, recovery, frames) = open(dir.path(), &WalOptions::default());
        let sound = ends.iter().filter(|end| **end <= kept).count() - 1;
        let expected: Frames = (1..=sound as u64)
            .map(|number| (number, payload(number)))
            .collect();
        assert_eq!(frames, expected, "cut at {kept}");
        assert_eq!(recovery.truncated_bytes, kept - ends[sound], "cut at {kept}");
        assert_eq!(recovery.corrupt_segments, [], "cut at {kept}");
    }
}

#[test]
fn a_segment_that_ends_too_early_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let (wal, ..) = open(dir.path(), &small_segments());
    for number in 1..=30 {
        wal.append(&payload(number)).expect("appended");
    }
    drop(wal);
    let files = segments(dir.path());
    let first = fs::read(&files[0]).expect("readable");
    // Its first frame alone, and nothing at all of the fourth.
    fs::write(&files[0], &first[..24 + 8 + 2]).expect("writable");
    fs::remove_file(&files[3]).expect("removed");
    let (_, recovery, frames) = open(dir.path(), &small_segments());
    let named: Vec<_> = recovery
        .corrupt_segments
        .iter()
        .map(|damage| (damage.path.clone(), damage.offset, damage.skipped_bytes))
        .collect();
    let third = (files[2].clone(), size(&files[2]), 0);
    assert_eq!(named, [(files[0].clone(), 24 + 8 + 2, 0), third]);
    assert!(frames.iter().all(|(number, bytes)| *bytes == payload(*number)));
}

#[test]
fn zeros_left_by_a_power_cut_are_a_torn_tail() {
    let dir = tempfile::tempdir().expect("a directory");
    let (wal, ..) = open(dir.path(), &WalOptions::default());
    wal.append_durable(b"kept").expect("appended");
    drop(wal);
    let path = segments(dir.path()).pop().expect("a segment");
    let mut bytes = fs::read(&path).expect("readable");
    bytes.extend([0; 4096]);
    fs::write(&path, bytes).expect("writable");
    let (_, recovery, frames) = open(dir.path(), &WalOptions::default());
    assert_eq!(frames, [(1, b"kept".to_vec())]);
    assert_eq!(recovery.truncated_bytes, 4096);
}

#[test]
fn truncation_drops_only_segments_wholly_before() {
    let dir = tempfile::tempdir().expect("a directory");
    let (wal, ..) = open(dir.path(), &small_segments());
    for number in 1..=60 {
        wal.append(&payload(number)).expect("appended");
    }
    let before = wal.bytes();
    let freed = wal.truncate_before(Lsn::new(31)).expect("truncated");
    assert!(freed > 0 && wal.bytes() == before - freed);
    let oldest = wal.oldest_lsn().get();
    assert!((2..=31).contains(&oldest), "{oldest}");
    let mut seen = Vec::new();
    let last = wal
        .replay_since(Lsn::new(40), |lsn, _| seen.push(lsn.get()))
        .expect("replayed");
    assert_eq!((last.get(), seen), (60, (41..=60).collect()));
    let gap = wal
        .replay_since(Lsn::ZERO, |_, _| {})
        .expect_err("those frames are gone");
    assert!(matches!(gap, SegmentError::Gap { after: 0, .. }), "{gap}");
    wal.truncate_before(Lsn::new(61)).expect("truncated");
    assert_eq!(wal.oldest_lsn().get(), 61);
    drop(wal);
    let (wal, _, frames) = open(dir.path(), &small_segments());
    assert_eq!((frames.len(), wal.append(b"x").expect("appended").get()), (0, 61));
}

#[test]
fn numbers_can_be_skipped_for_a_reader_that_is_ahead() {
    let dir = tempfile::tempdir().expect("a directory");
    let (wal, ..) = open(dir.path(), &small_segments());
    wal.append(b"one").expect("appended");
    wal.skip_to(Lsn::new(10)).expect("skipped");
    wal.skip_to(Lsn::new(20)).expect("skipped");
    wal.skip_to(Lsn::new(5)).expect("nothing to do");
    assert_eq!(wal.append_durable(b"two").expect("appended").get(), 21);
    let mut seen = Vec::new();
    wal.replay_since(Lsn::new(15), |lsn, _| seen.push(lsn.get()))
        .expect("replayed");
    assert_eq!(seen, [21]);
    drop(wal);
    let (_, recovery, frames) = open(dir.path(), &small_segments());
    assert_eq!(frames, [(1, b"one".to_vec()), (21, b"two".to_vec())]);
    let [gap] = &recovery.corrupt_segments[..] else {
        panic!("who was ahead had seen frames that are missing: {recovery:?}");
    };
    assert_eq!((gap.offset, gap.skipped_bytes), (24 + 8 + 3, 0));
}

#[test]
fn many_threads_share_fsyncs_and_every_acknowledged_frame_is_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = WalOptions {
        segment_bytes: 4096,
        ..WalOptions::default()
    };
    let (wal, ..) = open(dir.path(), &options);
    let highest = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            let (wal, highest) = (&wal, &highest);
            scope.spawn(move || {
                for number in 0..50u8 {
                    let lsn = wal.append_durable(&[thread, number]).expect("durable");
                    highest.fetch_max(lsn.get(), Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(highest.load(Ordering::SeqCst), 400);
    drop(wal);
    let (_, _, frames) = open(dir.path(), &options);
    for thread in 0..8 {
        let own: Vec<u8> = frames
            .iter()
            .filter(|(_, f)| f[0] == thread)
            .map(|(_, f)| f[1])
            .collect();
        assert_eq!(own, (0..50).collect::<Vec<u8>>(), "in the order of its thread");
    }
}

#[test]
fn limits_are_typed_errors_and_leave_the_log_usable() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = WalOptions {
        segment_bytes: 64,
        max_frame_bytes: 10,
        max_total_bytes: 200,
        ..WalOptions::default()
    };
    let (wal, ..) = open(dir.path(), &options);
    for bytes in [0, 11] {
        let refused = wal.append(&vec![1; bytes]).expect_err("not a size for a frame");
        assert!(matches!(refused, SegmentError::FrameSize { .. }), "{refused}");
    }
    let full = loop {
        if let Err(error) = wal.append(&[7; 10]) {
            break error;
        }
    };
    assert!(full.is_full(), "{full}");
    let last = wal.last_lsn();
    wal.truncate_before(last).expect("truncated");
    assert_eq!(
        wal.append_durable(&[8; 10]).expect("room again").get(),
        last.get() + 1
    );
}

#[test]
fn a_backup_holds_everything_up_to_the_call() {
    let dir = tempfile::tempdir().expect("a directory");
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let (wal, ..) = open(&live, &small_segments());
    let entropy = SeededEntropy::new(7);
    for _ in 0..50 {
        wal.append(&payload(entropy.below(100))).expect("appended");
    }
    wal.backup(&copy).expect("backed up");
    wal.append(b"later").expect("appended");
    let (_, recovery, frames) = open(&copy, &small_segments());
    assert_eq!(
        (recovery.frames, recovery.truncated_bytes, frames.len()),
        (50, 0, 50)
    );
}

#[test]
fn a_segment_of_a_newer_format_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let (wal, ..) = open(dir.path(), &WalOptions::default());
    wal.append(b"x").expect("appended");
    drop(wal);
    let path = segments(dir.path()).pop().expect("a segment");
    let mut bytes = fs::read(&path).expect("readable");
    bytes[8] = 2;
    // crc32 of the header, so that it is a sound header of version 2
    let crc = crc32(&bytes[..20]);
    bytes[20..24].copy_from_slice(&crc.to_le_bytes());
    fs::write(&path, bytes).expect("writable");
    let refused = Wal::open(dir.path(), WalOptions::default(), |_, _| {}).expect_err("too new");
    assert!(
        matches!(refused, SegmentError::UnsupportedVersion { found: 2, .. }),
        "{refused}"
    );
}

/// CRC-32 as in IEEE 802.3, written out so that the test does not rest on the code under test.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
        crc
    })
}

/// A reader that polls sees each frame once, over rotation, truncation and numbers that were skipped.
#[test]
fn a_reader_follows_the_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let (wal, ..) = open(dir.path(), &small_segments());
    let entropy = SeededEntropy::new(3);
    let (mut position, mut written, mut seen) = (Lsn::ZERO, Vec::new(), Vec::new());
    for round in 0..190u64 {
        for _ in 0..entropy.below(6) {
            let number = entropy.below(1000);
            written.push((wal.append(&payload(number)).expect("appended"), payload(number)));
        }
        if round % 50 == 49 {
            wal.truncate_before(position).expect("truncated");
            wal.skip_to(Lsn::new(wal.last_lsn().get() + 5)).expect("skipped");
        }
        position = wal
            .replay_since(position, |lsn, bytes| seen.push((lsn, bytes.to_vec())))
            .expect("replayed");
        assert_eq!(seen, written, "round {round}");
    }
    // In pieces, as a reader does that takes only so much at once; none of it is lost between them.
    let (mut piece_end, mut in_pieces) = (Lsn::new(written[0].0.get() - 1).max(wal.oldest_lsn()), Vec::new());
    let beyond = written
        .iter()
        .filter(|(lsn, _)| *lsn > piece_end)
        .cloned()
        .collect::<Vec<_>>();
    while piece_end < wal.last_lsn() {
        let wanted = 1 + entropy.below(7);
        let mut taken = 0;
        piece_end = wal
            .replay_while(piece_end, |lsn, bytes| {
                in_pieces.push((lsn, bytes.to_vec()));
                taken += 1;
                if taken < wanted {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })
            .expect("replayed");
        assert!(taken <= wanted);
    }
    assert_eq!(in_pieces, beyond);
    let mut from_middle = Vec::new();
    let middle = written[written.len() - 10].0;
    wal.replay_since(middle, |lsn, bytes| from_middle.push((lsn, bytes.to_vec())))
        .expect("replayed");
    assert_eq!(from_middle, written[written.len() - 9..]);
}
