//! What the rules remember over a restart, in a file beside the samples: every pending, firing and lately resolved alert,
//! and the series that rules wrote last.
//!
//! It is written before anybody is told what an evaluation changed, and only if it changed something: what the journal
//! knows of an alert is then never newer than this file, unless the file was lost. The format is a sealed file whose
//! index is JSON; see `docs/decisions/0011-alert-state.md`.

use std::path::Path;

use mainstay_kernel::Labels;
use mainstay_rules::{AlertState, GroupMemory};
use serde::{Deserialize, Serialize};

use super::TelemetryError;
use super::state_file::Format;

/// How large the file may be: about 100,000 alerts.
const STATE_MAX_BYTES: usize = 64 << 20;
const FORMAT: Format = Format {
    magic: *b"MALERTS\n",
    version: 1,
    max_bytes: STATE_MAX_BYTES,
    damaged: "the state of the alerts is damaged and was put aside: what fires is taken from the journal, what was pending begins anew",
};

/// The state of all rules.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct RuleMemories {
    pub(super) groups: Vec<GroupMemory>,
    pub(super) departed: Vec<Departed>,
}

/// Series of a group that is no more, to be ended when nothing has taken them over by then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Departed {
    /// The series.
    pub(super) series: Vec<Labels>,
    /// The time at which they end, milliseconds since 1970.
    pub(super) at_ms: i64,
    /// When that is written, milliseconds since 1970.
    pub(super) due_ms: i64,
}

/// What can be left out, and how.
type Dispensable = (&'static str, fn(&mut RuleMemories));

/// What is left out of the file, in this order, if there is too much.
const DISPENSABLE: [Dispensable; 3] = [
    ("the series of recording rules", forget_series),
    ("alerts that are over", forget_resolved),
    ("annotations", forget_annotations),
];

fn forget_series(memories: &mut RuleMemories) {
    memories.departed.clear();
    for group in &mut memories.groups {
        group.orphaned.clear();
        group.rules.iter_mut().for_each(|rule| rule.series.clear());
    }
}

fn forget_resolved(memories: &mut RuleMemories) {
    let rules = memories.groups.iter_mut().flat_map(|group| &mut group.rules);
    rules.for_each(|rule| rule.alerts.retain(|alert| alert.state != AlertState::Resolved));
}

/// They are expanded anew by the next evaluation.
fn forget_annotations(memories: &mut RuleMemories) {
    let rules = memories.groups.iter_mut().flat_map(|group| &mut group.rules);
    let alerts = rules.flat_map(|rule| &mut rule.alerts);
    alerts.for_each(|alert| alert.annotations.clear());
}

/// Puts the state at `path`, durable and whole or not at all. Gives what had to be left out. Cost: the size of the state.
///
/// # Errors
/// If it cannot be written, or is too large even with the dispensable parts left out.
pub(super) fn write(path: &Path, memories: RuleMemories) -> Result<Option<String>, TelemetryError> {
    write_within(path, memories, STATE_MAX_BYTES)
}

fn write_within(
    path: &Path,
    mut memories: RuleMemories,
    max_bytes: usize,
) -> Result<Option<String>, TelemetryError> {
    let failed = |reason: String| TelemetryError::File {
        file: path.to_owned(),
        reason,
    };
    let encoded =
        |memories: &RuleMemories| serde_json::to_vec(memories).map_err(|error| failed(error.to_string()));
    let mut bytes = encoded(&memories)?;
    let mut left_out = Vec::new();
    for (what, forget) in DISPENSABLE {
        if bytes.len() <= max_bytes {
            break;
        }
        forget(&mut memories);
        left_out.push(what);
        bytes = encoded(&memories)?;
    }
    if bytes.len() > max_bytes {
        return Err(failed(format!(
            "the state of the alerts takes {} bytes, at most {max_bytes} are kept: a restart would lose what began since",
            bytes.len()
        )));
    }
    FORMAT.write(path, &bytes)?;
    Ok((!left_out.is_empty()).then(|| {
        format!(
            "the state of the alerts takes more than {max_bytes} bytes: a restart would lose {}",
            left_out.join(", ")
        )
    }))
}

/// Reads the state at `path`. A file that is damaged is put aside, so that what fires is told all the same: the journal
/// knows it, and only what was pending begins anew.
///
/// # Errors
/// If there is a file that cannot be read, or that a later version wrote: it would be lost.
pub(super) fn read(path: &Path) -> Result<RuleMemories, TelemetryError> {
    FORMAT.read(path)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use mainstay_segment::SealedWriter;

    use super::*;

    fn golden() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden/alerts-v1.state")
    }

    /// A file of version 1, made by hand from the description of the format. It must be read for ever; and as long as
    /// files are of version 1, they are written so.
    #[test]
    fn a_file_of_version_1() {
        let memories = read(&golden()).expect("readable");
        let group = &memories.groups[0];
        let shown = |ms: Option<i64>| ms.map_or("-".to_owned(), |ms| ms.to_string());
        let alerts = group.rules[0].alerts.iter().map(|alert| {
            format!(
                "{} {} {} {} {} {} {}",
                alert.labels.get("cell").unwrap_or_default(),
                alert.state,
                alert.active_at_ms,
                shown(alert.fired_at_ms),
                shown(alert.keep_firing_since_ms),
                shown(alert.resolved_at_ms),
                alert.value
            )
        });
        let wanted = [
            "cell-5 firing 1772445600000 1772445900000 1772445915000 - 50",
            "cell-6 pending 1772445885000 - - - inf",
            "cell-7 resolved 1772445000000 1772445300000 - 1772445900000 11.5",
        ];
        assert_eq!(alerts.collect::<Vec<_>>(), wanted);
        assert_eq!(
            (group.missed, group.rules[0].series.len(), memories.departed.len()),
            (2, 2, 1)
        );
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("alerts.state");
        assert_eq!(write(&path, memories).expect("written"), None);
        let bytes = |path: &Path| std::fs::read(path).expect("readable");
        assert_eq!(bytes(&path), bytes(&golden()));
    }

    #[test]
    fn a_damaged_file_is_put_aside_and_one_of_the_future_is_refused() {
        let bytes = std::fs::read(golden()).expect("readable");
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("alerts.state");
        assert_eq!(read(&path).expect("no file is no state"), RuleMemories::default());
        for at in [0, bytes.len() / 2, bytes.len() - 5] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            std::fs::write(&path, &damaged).expect("written");
            assert_eq!(read(&path).expect("put aside"), RuleMemories::default());
            assert_eq!(
                std::fs::read(path.with_extension("damaged")).expect("kept"),
                damaged
            );
        }
        std::fs::write(&path, &bytes[..bytes.len() - 1]).expect("written");
        assert_eq!(read(&path).expect("put aside"), RuleMemories::default());
        let later = SealedWriter::create(&path, FORMAT.magic, FORMAT.version + 1).expect("created");
        later.finish(b"{}").expect("written");
        let refused = read(&path).expect_err("it would be lost").to_string();
        assert!(refused.contains("format version 2"), "{refused}");
        assert!(path.exists());
    }

    /// What is dispensable is left out first and said so; what fires or waits is never left out in silence.
    #[test]
    fn a_state_that_is_too_large() {
        let memories = read(&golden()).expect("readable");
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("alerts.state");
        let size = serde_json::to_vec(&memories).expect("encoded").len();
        let left_out = write_within(&path, memories.clone(), size - 1).expect("written");
        assert!(left_out.is_some_and(|told| told.ends_with("lose the series of recording rules")));
        let kept = read(&path).expect("readable");
        assert_eq!(kept.groups[0].rules[0].alerts, memories.groups[0].rules[0].alerts);
        let before = std::fs::read(&path).expect("readable");
        let refused = write_within(&path, memories, 100)
            .expect_err("too large")
            .to_string();
        assert!(refused.contains("at most 100 are kept"), "{refused}");
        assert_eq!(
            std::fs::read(&path).expect("readable"),
            before,
            "the one before stays"
        );
    }
}
