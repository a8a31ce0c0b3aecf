//! Functions that change labels.

use std::sync::Arc;

use mainstay_kernel::Labels;
use mainstay_kernel::labels::METRIC_NAME;
use regex::Regex;

use crate::error::QueryError;
use crate::format::quoted;

use super::{SAME_LABELS, Sample};

/// Sets the label `destination` from a regular expression over the label `source`.
pub(super) fn replace(samples: Vec<Sample>, texts: [&[u8]; 4]) -> Result<Vec<Sample>, QueryError> {
    let [destination, replacement, source, pattern] = texts;
    let failed = |what: String| QueryError::Execution(format!("{what} in label_replace()"));
    let destination = label_name(destination, "destination ").map_err(&failed)?;
    let text =
        |bytes| std::str::from_utf8(bytes).map_err(|_| failed(format!("invalid text {}", quoted(bytes))));
    let (replacement, source, pattern) = (text(replacement)?, text(source)?, text(pattern)?);
    let regex = Regex::new(&format!("^(?s:{pattern})$"))
        .map_err(|_| failed(format!("invalid regular expression {pattern:?}")))?;
    let replaced = samples.into_iter().map(|sample| {
        let Some(captures) = regex.captures(sample.labels.get(source).unwrap_or_default()) else {
            return sample;
        };
        let mut value = String::new();
        captures.expand(replacement, &mut value);
        with_label(sample, destination, value)
    });
    unique(replaced.collect())
}

/// Sets the label `destination` to the values of other labels with `separator` between them.
pub(super) fn join(samples: Vec<Sample>, texts: &[&[u8]]) -> Result<Vec<Sample>, QueryError> {
    let failed = |what: String| QueryError::Execution(format!("{what} in label_join()"));
    let [destination, separator, sources @ ..] = texts else {
        return Err(failed("missing labels".to_owned()));
    };
    let destination = label_name(destination, "destination ").map_err(failed)?;
    let separator = String::from_utf8_lossy(separator);
    let sources = sources
        .iter()
        .map(|source| label_name(source, "source ").map_err(failed));
    let sources = sources.collect::<Result<Vec<_>, _>>()?;
    let joined = samples.into_iter().map(|sample| {
        let values: Vec<&str> = sources
            .iter()
            .map(|name| sample.labels.get(name).unwrap_or_default())
            .collect();
        let value = values.join(&separator);
        with_label(sample, destination, value)
    });
    unique(joined.collect())
}

/// A label name is any UTF-8 text that is not empty.
pub(super) fn label_name<'t>(bytes: &'t [u8], role: &str) -> Result<&'t str, String> {
    match std::str::from_utf8(bytes) {
        Ok(name) if !name.is_empty() => Ok(name),
        _ => Err(format!("invalid {role}label name {}", quoted(bytes))),
    }
}

fn with_label(sample: Sample, name: &str, value: String) -> Sample {
    let mut labels = Labels::clone(&sample.labels);
    labels.set(name, value);
    let drop_name = sample.drop_name && name != METRIC_NAME;
    Sample {
        labels: Arc::new(labels),
        drop_name,
        value: sample.value,
    }
}

fn unique(samples: Vec<Sample>) -> Result<Vec<Sample>, QueryError> {
    let mut all: Vec<(&Labels, bool)> = samples.iter().map(|s| (&*s.labels, s.drop_name)).collect();
    all.sort_unstable();
    if all.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(QueryError::Execution(SAME_LABELS.to_owned()));
    }
    Ok(samples)
}
