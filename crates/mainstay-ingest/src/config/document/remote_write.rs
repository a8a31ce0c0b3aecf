//! Elements of `remote_write`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::de::MapAccess;
use serde_saphyr::{Location, Spanned};

use super::http::{HTTP_KEYS, Http};
use super::relabel::Rules;
use super::{Check, Fields, Keyed, next};
use crate::config::ConfigError;
use crate::config::http::{Secret, Source};
use crate::config::remote_write::{MetadataPace, QueueOptions, RemoteWrite};

/// Known keys that change nothing here.
const KEYS: &[&str] = &["round_robin_dns"];
const QUEUE_KEYS: &[&str] = &[
    "capacity",
    "max_shards",
    "min_shards",
    "retry_on_http_429",
    "sample_age_limit",
];
/// Ways of saying who we are that are not there.
const FOREIGN: &[&str] = &["sigv4", "azuread", "google_iam"];
/// Headers that are not the configuration's to set, as in Prometheus.
const RESERVED: &[&str] = &[
    "authorization",
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
];
/// The most samples or families that one request may bear.
const PER_SEND_MAX: usize = 50_000;

#[derive(Default)]
pub(super) struct Receiver {
    url: Option<Spanned<String>>,
    name: Option<Spanned<String>>,
    timeout: Option<Spanned<String>>,
    headers: BTreeMap<String, Spanned<String>>,
    relabel: Rules,
    message: Option<Spanned<String>>,
    exemplars: Option<Spanned<bool>>,
    native_histograms: bool,
    queue: Option<Keyed<Queue>>,
    metadata: Option<Keyed<Metadata>>,
    foreign: Option<(&'static str, Location)>,
    http: Http,
}

impl Fields for Receiver {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "url" => self.url = map.next_value()?,
            "name" => self.name = map.next_value()?,
            "remote_timeout" => self.timeout = map.next_value()?,
            "headers" => self.headers = next(map)?,
            "write_relabel_configs" => self.relabel = next(map)?,
            "protobuf_message" => self.message = map.next_value()?,
            "send_exemplars" => self.exemplars = map.next_value()?,
            "send_native_histograms" => self.native_histograms = next(map)?,
            "queue_config" => self.queue = map.next_value()?,
            "metadata_config" => self.metadata = map.next_value()?,
            _ => match FOREIGN.iter().find(|foreign| **foreign == key) {
                Some(foreign) => {
                    let given: Spanned<serde::de::IgnoredAny> = map.next_value()?;
                    self.foreign = Some((foreign, given.referenced));
                }
                None => return self.http.field(key, map),
            },
        }
        Ok(true)
    }
}

#[derive(Default)]
struct Queue {
    samples_per_send: Option<Spanned<usize>>,
    deadline: Option<Spanned<String>>,
    back_off_min: Option<Spanned<String>>,
    back_off_max: Option<Spanned<String>>,
}

impl Fields for Queue {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "max_samples_per_send" => self.samples_per_send = map.next_value()?,
            "batch_send_deadline" => self.deadline = map.next_value()?,
            "min_backoff" => self.back_off_min = map.next_value()?,
            "max_backoff" => self.back_off_max = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[derive(Default)]
struct Metadata {
    send: Option<bool>,
    interval: Option<Spanned<String>>,
    families_per_send: Option<Spanned<usize>>,
}

impl Fields for Metadata {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "send" => self.send = map.next_value()?,
            "send_interval" => self.interval = map.next_value()?,
            "max_samples_per_send" => self.families_per_send = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Check<'_> {
    pub(super) fn receivers(
        &mut self,
        all: Vec<Spanned<Keyed<Receiver>>>,
    ) -> Result<Vec<RemoteWrite>, ConfigError> {
        let mut names = BTreeSet::new();
        let mut receivers = Vec::new();
        for keyed in all {
            let at = keyed.referenced;
            let receiver = self.receiver(keyed)?;
            if !names.insert(receiver.name.clone()) {
                let reason = format!("a second receiver {}: give each a name", receiver.name);
                return Err(self.error(at, reason));
            }
            receivers.push(receiver);
        }
        Ok(receivers)
    }

    fn receiver(&mut self, keyed: Spanned<Keyed<Receiver>>) -> Result<RemoteWrite, ConfigError> {
        let at = keyed.referenced;
        let known = [KEYS, HTTP_KEYS].concat();
        let receiver = self.keys(keyed.value, &known, "remote_write")?;
        if let Some((what, at)) = receiver.foreign {
            return Err(self.error(at, format!("{what} is not supported here")));
        }
        let url = receiver
            .url
            .ok_or_else(|| self.error(at, "remote_write needs a url"))?;
        let mut parsed = reqwest::Url::parse(&url.value)
            .ok()
            .filter(|parsed| matches!(parsed.scheme(), "http" | "https"))
            .ok_or_else(|| self.error(url.referenced, format!("{:?} is no http or https URL", url.value)))?;
        let name = receiver.name.filter(|name| !name.value.is_empty());
        let name = name.map_or_else(
            || {
                // What is spoken to by http always has a place for them.
                let _nothing_to_hide = parsed.set_password(None).and(parsed.set_username(""));
                parsed.to_string()
            },
            |name| name.value,
        );
        if let Some(exemplars) = receiver.exemplars.filter(|exemplars| exemplars.value) {
            let warning = self.error(exemplars.referenced, "send_exemplars has no effect here");
            self.warnings.push(warning);
        }
        let version_2 = match receiver.message.as_ref().map(|message| message.value.as_str()) {
            None | Some("prometheus.WriteRequest") => false,
            Some("io.prometheus.write.v2.Request") => true,
            Some(other) => {
                let reason = format!(
                    "{other:?} is no message of remote write: expected prometheus.WriteRequest or io.prometheus.write.v2.Request"
                );
                return Err(self.error(receiver.message.map_or(at, |message| message.referenced), reason));
            }
        };
        let mut http = self.http(receiver.http)?;
        for (name, value) in receiver.headers {
            if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
                let reason = format!("{name} is not a header to set here");
                return Err(self.error(value.referenced, reason));
            }
            http.headers.push((name, Source::Text(Secret(value.value))));
        }
        Ok(RemoteWrite {
            name,
            url: url.value,
            timeout: self
                .duration(receiver.timeout.as_ref())?
                .unwrap_or(Duration::from_secs(30)),
            http,
            relabel: self.relabel(receiver.relabel)?.into(),
            version_2,
            native_histograms: receiver.native_histograms,
            metadata: self.metadata(receiver.metadata)?,
            queue: self.queue(receiver.queue)?,
        })
    }

    fn queue(&mut self, keyed: Option<Keyed<Queue>>) -> Result<QueueOptions, ConfigError> {
        let defaults = QueueOptions::default();
        let Some(keyed) = keyed else { return Ok(defaults) };
        let queue = self.keys(keyed, QUEUE_KEYS, "queue_config")?;
        let or = |given: &Option<Spanned<String>>, default| {
            Ok::<_, ConfigError>(self.duration(given.as_ref())?.unwrap_or(default))
        };
        let options = QueueOptions {
            samples_per_send: self.per_send(queue.samples_per_send, defaults.samples_per_send)?,
            deadline: or(&queue.deadline, defaults.deadline)?,
            back_off_min: or(&queue.back_off_min, defaults.back_off_min)?,
            back_off_max: or(&queue.back_off_max, defaults.back_off_max)?,
        };
        Ok(options)
    }

    fn metadata(&mut self, keyed: Option<Keyed<Metadata>>) -> Result<Option<MetadataPace>, ConfigError> {
        let defaults = MetadataPace::default();
        let Some(keyed) = keyed else {
            return Ok(Some(defaults));
        };
        let metadata = self.keys(keyed, &["max_retries"], "metadata_config")?;
        let interval = self.duration(metadata.interval.as_ref())?;
        let pace = MetadataPace {
            interval: interval.unwrap_or(defaults.interval),
            families_per_send: self.per_send(metadata.families_per_send, defaults.families_per_send)?,
        };
        Ok(metadata.send.unwrap_or(true).then_some(pace))
    }

    fn per_send(&self, given: Option<Spanned<usize>>, default: usize) -> Result<usize, ConfigError> {
        match given {
            None => Ok(default),
            Some(given) if (1..=PER_SEND_MAX).contains(&given.value) => Ok(given.value),
            Some(given) => {
                let reason = format!("max_samples_per_send is from 1 to {PER_SEND_MAX} here");
                Err(self.error(given.referenced, reason))
            }
        }
    }
}
