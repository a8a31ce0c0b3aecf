//! One line of OpenMetrics text at a time.

use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_kernel::labels::METRIC_NAME;

use crate::exposition::ParseError;
use crate::exposition::line::{Line, Spacing};
use crate::exposition::openmetrics::SampleLine;
use crate::sample::{Exemplar, SeriesSample};

/// What a line is.
pub(super) enum Record {
    Sample(SeriesSample),
    /// Metadata.
    Nothing,
    /// `# EOF`
    End,
}

/// Reads a line. `last` and `labels` are those of the sample before: samples of one series mostly stand together.
pub(super) fn read(
    text: &str,
    number: usize,
    last: &mut Vec<u8>,
    labels: &mut Arc<Labels>,
) -> Result<Record, ParseError> {
    let mut line = Line::new(text, number, Spacing::Strict);
    if text == "# EOF" {
        return Ok(Record::End);
    }
    if line.take("#") {
        return Ok(Record::Nothing);
    }
    let mut pairs = Vec::new();
    let sample = SampleLine::read(&mut line, &mut pairs)?;
    let Some(t_ms) = sample.timestamp_ms else {
        return Err(line.error("expected a timestamp: without one a sample cannot be imported"));
    };
    if last.as_slice() != sample.series_text {
        let own: Labels = pairs
            .iter()
            .map(|(name, value)| (*name, value.as_ref()))
            .collect();
        *labels = Arc::new(own.with(METRIC_NAME, sample.metric));
        last.clear();
        last.extend_from_slice(sample.series_text);
    }
    let exemplars = sample.exemplar.iter().map(|exemplar| Exemplar {
        labels: exemplar
            .labels
            .iter()
            .map(|(name, value)| (*name, value.as_ref()))
            .collect(),
        value: exemplar.value,
        t_ms: exemplar.timestamp_ms,
    });
    Ok(Record::Sample(SeriesSample {
        labels: Arc::clone(labels),
        created_ms: None,
        t_ms,
        value: sample.value.into(),
        exemplars: exemplars.collect(),
    }))
}
