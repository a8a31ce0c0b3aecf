//! The configuration's YAML, key by key, so that every key has a position.

mod discovery;
mod http;
mod job;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod relabel;
mod remote_write;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use self::job::{Global, Job};
use self::remote_write::Receiver;
use super::{ConfigError, ScrapeConfig, TargetGroup, duration};
use mainstay_kernel::labels::is_label_name;

/// What Prometheus knows at the top of its file, beside what is read here.
const TOP_KEYS: &[&str] = &[
    "rule_files",
    "scrape_config_files",
    "alerting",
    "remote_read",
    "storage",
    "tracing",
    "otlp",
    "runtime",
];
/// A mapping whose keys keep their positions: known ones go into `T`, the others are kept by name.
struct Keyed<T> {
    value: T,
    others: Vec<(String, Location)>,
}

/// A mapping that is read key by key.
trait Fields: Default {
    /// Reads the value of `key` from `map`, or says that the key is not one of these.
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error>;
}

impl<'de, T: Fields> Deserialize<'de> for Keyed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys<T>(PhantomData<T>);
        impl<'de, T: Fields> Visitor<'de> for Keys<T> {
            type Value = Keyed<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keyed<T>, A::Error> {
                let mut value = T::default();
                let mut others = Vec::new();
                while let Some(key) = map.next_key::<Spanned<String>>()? {
                    if !value.field(&key.value, &mut map)? {
                        map.next_value::<IgnoredAny>()?;
                        others.push((key.value, key.referenced));
                    }
                }
                Ok(Keyed { value, others })
            }
        }
        deserializer.deserialize_map(Keys(PhantomData))
    }
}

#[derive(Default)]
struct Top {
    global: Option<Keyed<Global>>,
    jobs: Vec<Spanned<Keyed<Job>>>,
    receivers: Vec<Spanned<Keyed<Receiver>>>,
}

impl Fields for Top {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "global" => self.global = map.next_value()?,
            "scrape_configs" => self.jobs = next(map)?,
            "remote_write" => self.receivers = next(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[derive(Default)]
struct Group {
    targets: Vec<Spanned<String>>,
    labels: BTreeMap<String, String>,
}

impl Fields for Group {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "targets" => self.targets = next(map)?,
            "labels" => {
                let labels: BTreeMap<String, String> = next(map)?;
                if let Some(bad) = labels.keys().find(|name| !is_label_name(name)) {
                    return Err(A::Error::custom(format!(
                        "{bad:?} is no label name ([a-zA-Z_][a-zA-Z0-9_]*)"
                    )));
                }
                self.labels = labels;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Names the file in messages and gathers warnings.
struct Check<'a> {
    file: &'a str,
    warnings: Vec<ConfigError>,
}

impl Check<'_> {
    fn error(&self, at: Location, reason: impl Into<String>) -> ConfigError {
        ConfigError {
            file: self.file.to_owned(),
            line: at.line(),
            column: at.column(),
            reason: reason.into(),
        }
    }

    fn read<'de, T: Deserialize<'de>>(&self, text: &'de str) -> Result<T, ConfigError> {
        serde_saphyr::from_str(text).map_err(|error| {
            let at = error.location().unwrap_or(Location::UNKNOWN);
            let options = serde_saphyr::render_options! { snippets: serde_saphyr::SnippetMode::Off };
            self.error(at, error.render_with_options(options))
        })
    }

    /// Takes the value of a mapping, and judges its other keys.
    fn keys<T>(&mut self, keyed: Keyed<T>, known: &[&str], what: &str) -> Result<T, ConfigError> {
        for (key, at) in keyed.others {
            if !known.contains(&key.as_str()) {
                return Err(self.error(at, format!("{key} is no key of {what}")));
            }
            let warning = self.error(at, format!("{key} has no effect here"));
            self.warnings.push(warning);
        }
        Ok(keyed.value)
    }

    fn duration(&self, text: Option<&Spanned<String>>) -> Result<Option<Duration>, ConfigError> {
        let Some(text) = text else { return Ok(None) };
        match duration(&text.value).filter(|duration| !duration.is_zero()) {
            Some(duration) => Ok(Some(duration)),
            None => Err(self.error(
                text.referenced,
                format!("{:?} is no duration above zero, such as 15s or 1m30s", text.value),
            )),
        }
    }

    fn group(&mut self, keyed: Keyed<Group>) -> Result<TargetGroup, ConfigError> {
        let group = self.keys(keyed, &[], "a target group")?;
        for target in &group.targets {
            let address = &target.value;
            if address.is_empty() || address.contains(['/', ' ', '?', '#', '@']) {
                return Err(self.error(target.referenced, format!("{address:?} is no host:port")));
            }
        }
        Ok(TargetGroup {
            targets: group.targets.into_iter().map(|target| target.value).collect(),
            labels: group.labels.into(),
        })
    }
}

pub(super) fn target_groups(file: &str, text: &str) -> Result<Vec<TargetGroup>, ConfigError> {
    let mut check = Check {
        file,
        warnings: Vec::new(),
    };
    let groups: Vec<Keyed<Group>> = check.read(text)?;
    groups.into_iter().map(|group| check.group(group)).collect()
}

pub(super) fn config(file: &str, text: &str) -> Result<ScrapeConfig, ConfigError> {
    let mut check = Check {
        file,
        warnings: Vec::new(),
    };
    let top: Option<Keyed<Top>> = check.read(text)?;
    let Some(top) = top else {
        return Ok(ScrapeConfig::default());
    };
    let top = check.keys(top, TOP_KEYS, "the configuration")?;
    let global = match top.global {
        Some(global) => check.global(global)?,
        None => Global::default(),
    };
    let defaults = check.defaults(&global)?;
    let mut jobs = Vec::new();
    let mut names = BTreeSet::new();
    for keyed in top.jobs {
        let (job, at) = check.job(keyed, &defaults)?;
        if !names.insert(job.name.clone()) {
            return Err(check.error(at, format!("a second job {}", job.name)));
        }
        jobs.push(job);
    }
    let remote_write = check.receivers(top.receivers)?;
    check
        .warnings
        .sort_by_key(|warning| (warning.line, warning.column));
    Ok(ScrapeConfig {
        jobs,
        remote_write,
        external_labels: global.external_labels.into(),
        warnings: check.warnings,
    })
}

/// The value of a key; nothing is the value that Prometheus has for it.
fn next<'de, T: Deserialize<'de> + Default, A: MapAccess<'de>>(map: &mut A) -> Result<T, A::Error> {
    Ok(map.next_value::<Option<T>>()?.unwrap_or_default())
}
