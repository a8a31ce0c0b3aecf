//! What there is to say where samples are not kept any more, or by records only.

use crate::ast::{Expr, Span};
use crate::source::Resolution;

use super::Evaluator;
use super::summarised::Edges;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

impl Evaluator<'_> {
    /// Says of windows that summaries told of where they are not exact: an edge that cuts a record.
    pub(super) fn note_windows(
        &mut self,
        resolution: &Resolution,
        windows: impl Iterator<Item = Edges>,
        arg: &Expr,
    ) {
        let span = arg.unwrapped().span;
        let width_at = |t_ms: i64| {
            let tier = resolution.records.iter().find(|(until_ms, _)| t_ms < *until_ms);
            tier.map(|(_, width_ms)| *width_ms)
        };
        let cut = |t_ms: i64| width_at(t_ms).filter(|width_ms| t_ms.rem_euclid(*width_ms) != 0);
        let widest_ms = windows
            .flat_map(|window| [cut(window.start_ms), cut(window.end_ms)])
            .flatten()
            .max();
        if let Some(width_ms) = widest_ms {
            let width = shown(width_ms);
            self.notes(span).info(format!(
                "the edges of the window are known to {width} only, samples there being kept as records of {width}: a \
                 record counts where its last sample lies"
            ));
        }
        self.note_beginning(resolution, span);
    }

    /// Says of samples that were selected where they stand for records.
    pub(super) fn note_samples(&mut self, resolution: &Resolution, span: Span) {
        if let Some((_, width_ms)) = resolution.records.first() {
            let width = shown(*width_ms);
            self.notes(span).info(format!(
                "older samples are kept as records of up to {width}: the last sample of each stands for all of it"
            ));
        }
        self.note_beginning(resolution, span);
    }

    fn note_beginning(&mut self, resolution: &Resolution, span: Span) {
        if let Some(kept_ms) = resolution.kept_ms {
            self.notes(span).warn(format!(
                "the range begins before what is kept, which is {}: the result is of a part of it",
                shown(kept_ms)
            ));
        }
    }
}

/// A span of time in the largest unit that it is whole in.
fn shown(ms: i64) -> String {
    for (unit_ms, unit) in [(DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "m"), (1_000, "s")] {
        if ms % unit_ms == 0 {
            return format!("{}{unit}", ms / unit_ms);
        }
    }
    format!("{ms}ms")
}
