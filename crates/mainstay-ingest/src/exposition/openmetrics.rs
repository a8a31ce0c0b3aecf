//! OpenMetrics 1.0.

use super::families::{Checked, Families};
use super::line::{Line, Spacing, as_ms, unescape};
use super::{Exemplar, Item, Label, MetricKind, ParseError, Sample};

/// The most characters that the names and values of an exemplar's labels may have together.
const EXEMPLAR_CHARS: usize = 128;

pub(super) fn parse<'a>(text: &'a str, mut on_item: impl FnMut(Item<'_>)) -> Result<(), ParseError> {
    let mut families = Families::default();
    let mut labels: Vec<Label<'a>> = Vec::new();
    let mut rest = text;
    for number in 1.. {
        let (line, after) = match rest.split_once('\n') {
            Some((line, after)) => (line, Some(after)),
            None => (rest, None),
        };
        let mut line = Line::new(line, number, Spacing::Strict);
        if line.text == "# EOF" {
            families.finish(&line)?;
            return match after {
                None | Some("") => Ok(()),
                Some(_) => {
                    Err(Line::new("", number + 1, Spacing::Strict).error("expected nothing after # EOF"))
                }
            };
        }
        if line.text.is_empty() {
            let reason = if after.is_some() {
                "an empty line is not allowed"
            } else {
                "expected # EOF at the end"
            };
            return Err(line.error(reason));
        }
        if line.take("#") {
            metadata(&mut line, &mut families, &mut on_item)?;
        } else {
            sample(&mut line, &mut families, &mut labels, &mut on_item)?;
        }
        match after {
            Some(after) => rest = after,
            None => return Err(line.error("expected # EOF at the end")),
        }
    }
    Ok(())
}

fn metadata<'a>(
    line: &mut Line<'a>,
    families: &mut Families,
    on_item: &mut impl FnMut(Item<'_>),
) -> Result<(), ParseError> {
    line.separator("TYPE, HELP, UNIT or EOF")?;
    let at = line.at();
    let keyword = line.word();
    if !matches!(keyword, "TYPE" | "HELP" | "UNIT") {
        return Err(line.error_at(at, "expected TYPE, HELP, UNIT or EOF: there are no comments"));
    }
    line.separator("the name of a metric family")?;
    let family = line.metric_name()?;
    line.separator("the rest")?;
    match keyword {
        "HELP" => {
            families.help(line, family)?;
            let help = unescape(line.rest());
            on_item(Item::Help { family, help });
        }
        "UNIT" => {
            let unit = line.rest();
            families.unit(line, family, unit)?;
            on_item(Item::Unit { family, unit });
        }
        _ => {
            let kind = match line.rest() {
                "unknown" => MetricKind::Unknown,
                "counter" => MetricKind::Counter,
                "gauge" => MetricKind::Gauge,
                "histogram" => MetricKind::Histogram,
                "gaugehistogram" => MetricKind::GaugeHistogram,
                "summary" => MetricKind::Summary,
                "info" => MetricKind::Info,
                "stateset" => MetricKind::StateSet,
                other => {
                    return Err(line.error(format!(
                        "expected counter, gauge, histogram, gaugehistogram, summary, info, stateset or unknown, not {other:?}"
                    )));
                }
            };
            families.kind(line, family, kind)?;
            on_item(Item::Type { family, kind });
        }
    }
    Ok(())
}

fn sample<'a>(
    line: &mut Line<'a>,
    families: &mut Families,
    labels: &mut Vec<Label<'a>>,
    on_item: &mut impl FnMut(Item<'_>),
) -> Result<(), ParseError> {
    let SampleLine {
        metric,
        series_text,
        value,
        timestamp,
        timestamp_ms,
        exemplar,
    } = SampleLine::read(line, labels)?;
    let Checked {
        family,
        kind,
        created,
    } = families.sample(line, metric, labels, value, timestamp, exemplar.is_some())?;
    if created {
        let created_ms =
            as_ms(value).ok_or_else(|| line.error("a created time is a finite number of seconds"))?;
        on_item(Item::Created {
            family,
            labels,
            created_ms,
        });
    } else {
        on_item(Item::Sample(Sample {
            metric,
            labels,
            series_text,
            value: value.into(),
            timestamp_ms,
            exemplars: exemplar.into_iter().collect(),
            kind,
            family,
        }));
    }
    Ok(())
}

/// A line with a sample, by itself: not yet held against what stands before it.
pub(crate) struct SampleLine<'a> {
    pub(crate) metric: &'a str,
    /// From the metric's name to the closing brace.
    pub(crate) series_text: &'a [u8],
    pub(crate) value: f64,
    /// In seconds, as it stands: order is judged on it.
    timestamp: Option<f64>,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) exemplar: Option<Exemplar<'a>>,
}

impl<'a> SampleLine<'a> {
    /// Reads a whole line; its labels go into `labels`, which is emptied first.
    pub(crate) fn read(line: &mut Line<'a>, labels: &mut Vec<Label<'a>>) -> Result<Self, ParseError> {
        let metric = line.metric_name()?;
        labels.clear();
        if line.take("{") {
            line.labels(labels)?;
        }
        let mut sample = Self {
            metric,
            series_text: &line.text.as_bytes()[..line.at()],
            value: 0.0,
            timestamp: None,
            timestamp_ms: None,
            exemplar: None,
        };
        line.separator("the value")?;
        sample.value = line.number("the value")?;
        if line.at_end() {
            return Ok(sample);
        }
        line.separator("a timestamp or an exemplar")?;
        if !line.rest().starts_with('#') {
            let at = line.at();
            let seconds = line.number("the timestamp")?;
            sample.timestamp = Some(seconds);
            sample.timestamp_ms = as_ms(seconds);
            if sample.timestamp_ms.is_none() {
                return Err(line.error_at(at, "expected a timestamp, a finite number of seconds"));
            }
            if line.at_end() {
                return Ok(sample);
            }
            line.separator("an exemplar")?;
        }
        sample.exemplar = Some(read_exemplar(line)?);
        Ok(sample)
    }
}

/// `# {labels} value [timestamp]` to the end of the line.
fn read_exemplar<'a>(line: &mut Line<'a>) -> Result<Exemplar<'a>, ParseError> {
    if !line.take("# {") {
        return Err(line.error("expected an exemplar: # {labels} value [timestamp]"));
    }
    let start = line.at();
    let mut labels = Vec::new();
    line.labels(&mut labels)?;
    let chars: usize = labels
        .iter()
        .map(|(name, value)| name.chars().count() + value.chars().count())
        .sum();
    if chars > EXEMPLAR_CHARS {
        return Err(line.error_at(
            start,
            format!("the exemplar's labels have {chars} characters, allowed are {EXEMPLAR_CHARS}"),
        ));
    }
    line.separator("the exemplar's value")?;
    let value = line.number("the exemplar's value")?;
    let mut timestamp_ms = None;
    if !line.at_end() {
        line.separator("the exemplar's timestamp")?;
        timestamp_ms = Some(line.seconds_as_ms("the exemplar's timestamp")?);
        if !line.at_end() {
            return Err(line.error("expected the end of the line after the exemplar"));
        }
    }
    Ok(Exemplar {
        labels,
        value,
        timestamp_ms,
    })
}
