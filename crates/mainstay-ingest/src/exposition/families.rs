//! What OpenMetrics demands across lines: which sample belongs to which family, names that clash, groups that stand
//! together, values that a kind allows, histograms that add up.

use std::collections::BTreeSet;

use super::line::{Line, number};
use super::{Label, MetricKind, ParseError};

/// What a sample turned out to be.
pub(super) struct Checked<'a> {
    /// The family, without `_total`.
    pub(super) family: &'a str,
    pub(super) kind: MetricKind,
    /// Whether the sample is the created time of its group.
    pub(super) created: bool,
}

#[derive(Default)]
pub(super) struct Families {
    current: Option<Family>,
    /// Names of families, and of the samples they may have, that have been used.
    claimed: BTreeSet<String>,
}

#[derive(Default)]
struct Family {
    name: String,
    kind: Option<MetricKind>,
    unit: Option<String>,
    has_help: bool,
    has_samples: bool,
    groups: BTreeSet<String>,
    group: Option<Group>,
}

/// The samples of one label set, `le` and `quantile` apart.
struct Group {
    key: String,
    timestamp: Option<f64>,
    histogram: Histogram,
}

#[derive(Default)]
struct Histogram {
    bucket: Option<(f64, String)>,
    value: f64,
    count: Option<f64>,
    has_sum: bool,
    has_gauge_sum: bool,
    negative_buckets: bool,
    negative_gauge_sum: bool,
}

/// The suffixes that samples of a kind bear; "" is the family's own name.
fn suffixes(kind: MetricKind) -> &'static [&'static str] {
    match kind {
        MetricKind::Unknown | MetricKind::Gauge | MetricKind::StateSet => &[""],
        MetricKind::Counter => &["_total", "_created"],
        MetricKind::Histogram => &["_bucket", "_count", "_sum", "_created"],
        MetricKind::GaugeHistogram => &["_bucket", "_gcount", "_gsum"],
        MetricKind::Summary => &["", "_count", "_sum", "_created"],
        MetricKind::Info => &["_info"],
    }
}

impl Families {
    pub(super) fn help(&mut self, line: &Line<'_>, name: &str) -> Result<(), ParseError> {
        let family = self.described(line, name)?;
        if std::mem::replace(&mut family.has_help, true) {
            return Err(line.error(format!("a second HELP of {name}")));
        }
        Ok(())
    }

    pub(super) fn unit(&mut self, line: &Line<'_>, name: &str, unit: &str) -> Result<(), ParseError> {
        let family = self.described(line, name)?;
        if family.unit.replace(unit.to_owned()).is_some() {
            return Err(line.error(format!("a second UNIT of {name}")));
        }
        let has_suffix = name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'));
        if !unit.is_empty() && !has_suffix {
            return Err(line.error(format!("the unit {unit:?} must be the end of the name {name}")));
        }
        family.check_unit(line)
    }

    pub(super) fn kind(&mut self, line: &Line<'_>, name: &str, kind: MetricKind) -> Result<(), ParseError> {
        let family = self.described(line, name)?;
        if family.kind.replace(kind).is_some() {
            return Err(line.error(format!("a second TYPE of {name}")));
        }
        family.check_unit(line)
    }

    /// The family that a metadata line speaks of: the current one, or a new one.
    fn described(&mut self, line: &Line<'_>, name: &str) -> Result<&mut Family, ParseError> {
        let is_current = self.current.as_ref().is_some_and(|family| family.name == name);
        if is_current && self.current.as_ref().is_some_and(|family| family.has_samples) {
            return Err(line.error(format!("metadata of {name} must stand before its samples")));
        }
        if !is_current {
            self.finish(line)?;
        }
        Ok(self.current.get_or_insert_with(|| Family::named(name)))
    }

    /// Ends the current family.
    pub(super) fn finish(&mut self, line: &Line<'_>) -> Result<(), ParseError> {
        let Some(family) = self.current.take() else {
            return Ok(());
        };
        if let Some(group) = &family.group {
            family.check_group(line, group)?;
        }
        let own = suffixes(family.kind.unwrap_or(MetricKind::Unknown));
        let names: BTreeSet<String> = own
            .iter()
            .chain(&[""])
            .map(|suffix| format!("{}{suffix}", family.name))
            .collect();
        for name in names {
            if self.claimed.contains(&name) {
                return Err(line.error(format!(
                    "the family {} that ends here uses the name {name}, which an earlier family has",
                    family.name
                )));
            }
            self.claimed.insert(name);
        }
        Ok(())
    }

    pub(super) fn sample<'a>(
        &mut self,
        line: &Line<'_>,
        metric: &'a str,
        labels: &[Label<'_>],
        value: f64,
        timestamp: Option<f64>,
        has_exemplar: bool,
    ) -> Result<Checked<'a>, ParseError> {
        let belongs = self
            .current
            .as_ref()
            .is_some_and(|family| family.suffix_of(metric).is_some());
        if !belongs {
            self.finish(line)?;
        }
        let family = self.current.get_or_insert_with(|| Family::named(metric));
        family.has_samples = true;
        let kind = family.kind.unwrap_or(MetricKind::Unknown);
        let suffix = family.suffix_of(metric).unwrap_or_default();
        let threshold = family.check_sample(line, kind, suffix, labels, value)?;
        let may_have_exemplar = match kind {
            MetricKind::Histogram | MetricKind::GaugeHistogram => suffix == "_bucket",
            MetricKind::Counter => suffix == "_total",
            _ => false,
        };
        if has_exemplar && !may_have_exemplar {
            return Err(line.error("only buckets and counters have exemplars"));
        }
        family.enter_group(line, kind, labels, timestamp)?;
        if matches!(kind, MetricKind::Histogram | MetricKind::GaugeHistogram)
            && let Some(group) = &mut family.group
        {
            group.histogram.add(line, suffix, threshold, value)?;
        }
        Ok(Checked {
            family: &metric[..metric.len() - suffix.len()],
            kind,
            created: suffix == "_created",
        })
    }
}

impl Family {
    fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    fn suffix_of<'m>(&self, metric: &'m str) -> Option<&'m str> {
        let suffix = metric.strip_prefix(self.name.as_str())?;
        let kind = self.kind.unwrap_or(MetricKind::Unknown);
        suffixes(kind).contains(&suffix).then_some(suffix)
    }

    fn check_unit(&self, line: &Line<'_>) -> Result<(), ParseError> {
        let unitless = matches!(self.kind, Some(MetricKind::Info | MetricKind::StateSet));
        if unitless && self.unit.as_ref().is_some_and(|unit| !unit.is_empty()) {
            return Err(line.error("info and stateset families have no unit"));
        }
        Ok(())
    }

    /// Checks a sample by itself; of a bucket gives the upper bound with its text.
    fn check_sample(
        &self,
        line: &Line<'_>,
        kind: MetricKind,
        suffix: &str,
        labels: &[Label<'_>],
        value: f64,
    ) -> Result<Option<(f64, String)>, ParseError> {
        let label = |name: &str| {
            labels
                .iter()
                .find(|(held, _)| *held == name)
                .map(|(_, value)| value.as_ref())
        };
        let mut threshold = None;
        match (kind, suffix) {
            (MetricKind::Histogram | MetricKind::GaugeHistogram, "_bucket") => {
                let text = label("le").ok_or_else(|| line.error("a bucket needs the label le"))?;
                let bound = number(text)
                    .filter(|bound| !bound.is_nan() && (bound.is_finite() || matches!(text, "+Inf" | "-Inf")))
                    .ok_or_else(|| line.error("le must be a number or +Inf"))?;
                threshold = Some((bound, text.to_owned()));
            }
            (MetricKind::Summary, "") => {
                let quantile = label("quantile").and_then(number);
                if !quantile.is_some_and(|quantile| (0.0..=1.0).contains(&quantile)) {
                    return Err(
                        line.error("a summary's sample needs the label quantile, a number from 0 to 1")
                    );
                }
                if value < 0.0 {
                    return Err(line.error("a quantile's value cannot be negative"));
                }
            }
            (MetricKind::StateSet, _) => {
                if label(&self.name).is_none() {
                    return Err(line.error(format!("a state needs the label {}", self.name)));
                }
                if value != 0.0 && value != 1.0 {
                    return Err(line.error("a state's value is 0 or 1"));
                }
            }
            (MetricKind::Info, _) if value != 1.0 => return Err(line.error("an info's value is 1")),
            _ => {}
        }
        let counts = matches!(suffix, "_total" | "_sum" | "_count" | "_bucket" | "_gcount");
        if (counts || suffix == "_gsum") && value.is_nan() {
            return Err(line.error("what is counted cannot be NaN"));
        }
        if counts && value < 0.0 {
            return Err(line.error("what is counted cannot be negative"));
        }
        Ok(threshold)
    }

    fn enter_group(
        &mut self,
        line: &Line<'_>,
        kind: MetricKind,
        labels: &[Label<'_>],
        timestamp: Option<f64>,
    ) -> Result<(), ParseError> {
        let key = self.group_key(kind, labels);
        if let Some(group) = &mut self.group
            && group.key == key
        {
            let before = std::mem::replace(&mut group.timestamp, timestamp);
            return match (before, timestamp) {
                (None, None) => Ok(()),
                (Some(before), Some(now)) if before > now && kind != MetricKind::Info => {
                    Err(line.error("timestamps of one label set must not go back"))
                }
                (Some(before), Some(now)) => {
                    if before < now {
                        self.check_last_group(line)?;
                        self.start_group(key, timestamp);
                    }
                    Ok(())
                }
                _ => Err(line.error("the samples of one label set have timestamps all or none")),
            };
        }
        self.check_last_group(line)?;
        if !self.groups.insert(key.clone()) {
            return Err(line.error("the samples of one label set must stand together"));
        }
        self.start_group(key, timestamp);
        Ok(())
    }

    fn start_group(&mut self, key: String, timestamp: Option<f64>) {
        self.group = Some(Group {
            key,
            timestamp,
            histogram: Histogram::default(),
        });
    }

    fn check_last_group(&self, line: &Line<'_>) -> Result<(), ParseError> {
        match &self.group {
            Some(group) => self.check_group(line, group),
            None => Ok(()),
        }
    }

    fn check_group(&self, line: &Line<'_>, group: &Group) -> Result<(), ParseError> {
        match self.kind {
            Some(MetricKind::Histogram | MetricKind::GaugeHistogram) => {
                group.histogram.check(line, &self.name)
            }
            _ => Ok(()),
        }
    }

    /// The labels that name a group, as text. All samples of an info family are one group.
    fn group_key(&self, kind: MetricKind, labels: &[Label<'_>]) -> String {
        let apart = match kind {
            MetricKind::Info => return String::new(),
            MetricKind::Histogram | MetricKind::GaugeHistogram => "le",
            MetricKind::Summary => "quantile",
            MetricKind::StateSet => self.name.as_str(),
            MetricKind::Unknown | MetricKind::Counter | MetricKind::Gauge => "",
        };
        let mut pairs: Vec<&Label<'_>> = labels.iter().filter(|(name, _)| *name != apart).collect();
        pairs.sort();
        pairs
            .iter()
            .map(|(name, value)| format!("{name}={value:?},"))
            .collect()
    }
}

impl Histogram {
    fn add(
        &mut self,
        line: &Line<'_>,
        suffix: &str,
        bucket: Option<(f64, String)>,
        value: f64,
    ) -> Result<(), ParseError> {
        if let Some((bound, text)) = bucket {
            if let Some((before, before_text)) = &self.bucket {
                if *before_text == text {
                    return Ok(()); // The same bucket again: times cut to one instant.
                }
                if bound <= *before {
                    return Err(line.error("buckets must stand in rising order of le"));
                }
                if value < self.value {
                    return Err(
                        line.error("buckets are cumulative: this one counts less than the one before")
                    );
                }
            }
            self.negative_buckets |= bound < 0.0;
            self.bucket = Some((bound, text));
            self.value = value;
            return Ok(());
        }
        match suffix {
            "_count" | "_gcount" => self.count = Some(value),
            "_sum" => self.has_sum = true,
            "_gsum" => {
                self.has_gauge_sum = true;
                self.negative_gauge_sum |= value < 0.0;
            }
            _ => {}
        }
        Ok(())
    }

    #[expect(
        clippy::float_cmp,
        reason = "counts are whole numbers, and the two must be the very same"
    )]
    fn check(&self, line: &Line<'_>, name: &str) -> Result<(), ParseError> {
        let has_any_sum = self.has_sum || self.has_gauge_sum;
        let infinite = self
            .bucket
            .as_ref()
            .is_some_and(|(bound, _)| *bound == f64::INFINITY);
        let reason = if !infinite {
            r#"has no bucket le="+Inf" as its last"#
        } else if self.count.is_some_and(|count| count != self.value) {
            r#"has a count other than its bucket le="+Inf""#
        } else if has_any_sum && self.count.is_none() {
            "has a sum and no count"
        } else if self.count.is_some() && !has_any_sum {
            "has a count and no sum"
        } else if self.negative_buckets && self.has_sum {
            "has a sum, which with negative buckets is not a counter"
        } else if self.negative_gauge_sum && !self.negative_buckets {
            "has a negative sum without negative buckets"
        } else {
            return Ok(());
        };
        Err(line.error(format!("the histogram {name} that ends here {reason}")))
    }
}
