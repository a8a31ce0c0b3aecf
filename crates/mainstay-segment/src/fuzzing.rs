//! The private decoders, for the fuzzer alone: whatever the bytes, they give frames or a reason.

use std::path::Path;

use crate::frame::{End, FRAME_OVERHEAD, Frame, Frames, HEADER_BYTES, read_header};

/// A segment of the log: its header, and its frames behind that, which never overlap and account for every byte.
pub fn segment(bytes: &[u8]) {
    drop(read_header(Path::new("fuzzed.wal"), bytes));
    let mut frames = Frames::new(bytes);
    let mut seen = HEADER_BYTES.min(bytes.len());
    for frame in frames.by_ref() {
        seen += match frame {
            Frame::Sound(payload) => FRAME_OVERHEAD + payload.len(),
            Frame::Damaged { offset, bytes } => {
                assert_eq!(offset, seen);
                bytes
            }
        };
    }
    assert_eq!(frames.offset(), seen);
    assert_eq!(frames.end() == End::Clean, seen == bytes.len());
}
