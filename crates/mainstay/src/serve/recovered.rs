//! What the log says about the store of samples at a start.

use std::time::Duration;

use mainstay_series::Recovery;

/// What was found on disk, how long that took, and everything that is damaged there.
pub(super) fn tell(recovery: &Recovery, took: Duration) {
    tracing::info!(
        frames = recovery.wal.frames,
        bytes = recovery.wal.read_bytes,
        samples = recovery.replayed_samples,
        torn_bytes = recovery.wal.truncated_bytes,
        empty_segments = recovery.wal.removed_segments,
        seconds = took.as_secs_f64(),
        "samples recovered from the log"
    );
    for damage in &recovery.damage {
        tracing::error!(damage, "samples are damaged");
    }
    if recovery.index_rebuilt {
        tracing::warn!("the series index was rebuilt from block files and log");
    }
    if recovery.orphan_records > 0 {
        tracing::error!(
            records = recovery.orphan_records,
            "records of the log belong to no series: lost"
        );
    }
}
