//! The templates of one receiver, over one message.

use std::fmt;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use mainstay_catalog::alertmanager::Wording;
use mainstay_kernel::Labels;
use mainstay_kernel::notification::{Notification, NotifiedAlert};
use mainstay_template::{Alert, Data, Error, Pairs, Templates};

use crate::alertmanager::told;
use crate::channel::Outgoing;
use crate::wording;

/// What a receiver says.
#[derive(Debug)]
pub struct Texts {
    /// The definitions in reach.
    pub templates: Arc<Templates>,
    /// The templates as they are written.
    pub wording: Wording,
}

/// A template that failed.
#[derive(Debug)]
pub(super) struct Unworded {
    receiver: String,
    key: String,
    error: Error,
}

impl fmt::Display for Unworded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the template `{}` of the receiver {:?} failed at {}",
            self.key, self.receiver, self.error
        )
    }
}

/// The templates and what they are about.
pub(super) struct Words<'a> {
    pub(super) outgoing: &'a Outgoing<'a>,
    pub(super) texts: &'a Texts,
    pub(super) told: Box<Notification>,
    data: Arc<Data>,
    now: ZonedDateTime,
}

impl<'a> Words<'a> {
    pub(super) fn of(outgoing: &'a Outgoing<'a>, texts: &'a Texts) -> Self {
        let told = told(outgoing);
        let data = Arc::new(Data {
            receiver: texts.wording.receiver.clone(),
            status: if told.is_firing() { "firing" } else { "resolved" }.to_owned(),
            alerts: told.alerts.iter().map(alert).collect(),
            group_labels: pairs(&told.group.labels),
            common_labels: pairs(&told.common_labels()),
            common_annotations: pairs(&told.common_annotations()),
            external_url: outgoing.base_url.trim_end_matches('/').to_owned(),
        });
        Self {
            outgoing,
            texts,
            told,
            data,
            now: outgoing.at.to_zoned_datetime(TimeZone::UTC),
        }
    }

    /// The template as it is written; `None` if there is none.
    pub(super) fn written(&self, key: &str) -> Option<&str> {
        self.texts.wording.texts.get(key).map(String::as_str)
    }

    /// The keys below one, in order, each once: `fields/0`, `fields/1`.
    pub(super) fn below(&self, key: &str) -> Vec<String> {
        let prefix = format!("{key}/");
        let mut found: Vec<String> = Vec::new();
        for path in self.texts.wording.texts.keys() {
            let Some(rest) = path.strip_prefix(&prefix) else {
                continue;
            };
            let own = rest.split('/').next().unwrap_or_default();
            if found.last().is_none_or(|last| *last != own) {
                found.push(own.to_owned());
            }
        }
        // Numbers are in order of number, not of text.
        found.sort_by_key(|own| own.parse::<usize>().unwrap_or(usize::MAX));
        found
    }

    /// What a key says, or what Alertmanager takes in its place.
    pub(super) fn text(&self, key: &str, default: &str) -> Result<String, Unworded> {
        self.render(key, self.written(key).unwrap_or(default))
    }

    pub(super) fn render(&self, key: &str, template: &str) -> Result<String, Unworded> {
        let rendered = self.texts.templates.text(template, &self.data, &self.now);
        rendered.map_err(|error| self.unworded(key, error))
    }

    pub(super) fn html(&self, key: &str, template: &str) -> Result<String, Unworded> {
        let rendered = self.texts.templates.html(template, &self.data, &self.now);
        rendered.map_err(|error| self.unworded(key, error))
    }

    fn unworded(&self, key: &str, error: Error) -> Unworded {
        Unworded {
            receiver: self.texts.wording.receiver.clone(),
            key: key.to_owned(),
            error,
        }
    }

    /// A truth value of the configuration.
    pub(super) fn is(&self, key: &str) -> bool {
        let text = self.written(key).unwrap_or_default().to_ascii_lowercase();
        ["true", "yes", "y", "on"].contains(&text.as_str())
    }

    /// A channel whose name may be a template; one that cannot be rendered is left to the receiver.
    pub(super) fn channel(&self, template: Option<&str>) -> Option<String> {
        let template = template?;
        match self.render("channel", template) {
            Ok(channel) => Some(channel).filter(|channel| !channel.is_empty()),
            Err(unworded) => {
                tracing::warn!(%unworded, "the channel is left to the receiver");
                None
            }
        }
    }

    /// A line, marked if it may be a repetition.
    pub(super) fn marked(&self, line: &str) -> String {
        self.marked_within(line, usize::MAX)
    }

    /// The same within a limit.
    pub(super) fn marked_within(&self, line: &str, max_bytes: usize) -> String {
        wording::marked_within(self.outgoing, line, max_bytes)
    }
}

fn pairs(labels: &Labels) -> Arc<Pairs> {
    let pairs = labels
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Arc::new(pairs.collect())
}

fn alert(alert: &NotifiedAlert) -> Arc<Alert> {
    Arc::new(Alert {
        status: alert.status().to_owned(),
        labels: pairs(&alert.labels),
        annotations: pairs(&alert.annotations),
        starts_at: utc(alert.starts_at),
        ends_at: alert.ended_at.map_or_else(no_time, utc),
        generator_url: alert.generator_url.clone(),
        fingerprint: format!("{:016x}", alert.labels.fnv_fingerprint()),
    })
}

fn utc(at: Timestamp) -> ZonedDateTime {
    at.to_zoned_datetime(TimeZone::UTC)
}

/// What Go has for a time that there is not: the beginning of the year 1.
fn no_time() -> ZonedDateTime {
    utc(Timestamp::from_second(-62_135_596_800).unwrap_or(Timestamp::UNIX_EPOCH))
}
