//! What a request says it is, and what is answered.

use super::RemoteWriteError;

/// The header in which senders name the version that they speak (`0.1.0` for 1.0, `2.0.0`). It decides nothing: the
/// schema is that of the content type, as the specification demands, and Prometheus does not look at it either.
pub const VERSION_HEADER: &str = "X-Prometheus-Remote-Write-Version";

/// Which remote write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 1.0: `prometheus.WriteRequest`. Prometheus leaves out series whose labels are wrong, says so in its log only,
    /// and takes nothing of a request with a sample that the store refuses.
    V1,
    /// 2.0: `io.prometheus.write.v2.Request`. What is good is taken, and the answer says how much.
    V2,
}

/// The version that a request is in, from its `Content-Type` and `Content-Encoding`. As in Prometheus no content type
/// is 1.0 and no encoding is snappy, because the first senders sent none.
///
/// # Errors
/// If it is neither, or not packed with snappy.
pub fn negotiate(
    content_type: Option<&str>,
    content_encoding: Option<&str>,
) -> Result<Version, RemoteWriteError> {
    let version = match content_type.map(str::trim).filter(|text| !text.is_empty()) {
        None => Version::V1,
        Some(text) => version_of(text).ok_or_else(|| RemoteWriteError::ContentType(shortened(text)))?,
    };
    match content_encoding.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) if !text.eq_ignore_ascii_case("snappy") => {
            Err(RemoteWriteError::ContentEncoding(shortened(text)))
        }
        _ => Ok(version),
    }
}

fn version_of(content_type: &str) -> Option<Version> {
    let mut parts = content_type.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case("application/x-protobuf") {
        return None;
    }
    let mut version = Version::V1;
    for parameter in parts.filter(|part| !part.is_empty()) {
        let (name, value) = parameter.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("proto") {
            version = match value.trim().trim_matches('"') {
                "prometheus.WriteRequest" => Version::V1,
                "io.prometheus.write.v2.Request" => Version::V2,
                _ => return None,
            };
        }
    }
    Some(version)
}

/// Enough of a header to know it again.
fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

/// What became of a request: the answer, but for the sending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Float samples that are stored durably.
    pub samples: u64,
    /// Native histograms that are stored durably.
    pub histograms: u64,
    /// Exemplars that are stored.
    pub exemplars: u64,
    /// What was refused, or why the whole request was; the first of them with the number of all. `None` if nothing was.
    pub refused: Option<Refused>,
    /// When what was refused may be tried again, in seconds, if that is known.
    pub retry_after_s: Option<u64>,
}

/// What of a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// How many series, samples, histograms and exemplars.
    pub count: u64,
    /// Why the first one was.
    pub reason: String,
    /// The HTTP status: 4xx for what is wrong for ever, 5xx (or 429) for what the sender is to try again.
    pub status: u16,
}

impl Receipt {
    /// Of a request of which nothing is taken.
    #[must_use]
    pub fn refusal(error: &RemoteWriteError) -> Self {
        let mut receipt = Self::default();
        receipt.refuse(error.status(), error);
        receipt
    }

    /// Notes that something was refused. The first reason is kept; of the statuses the one that asks for another try,
    /// if there is one, for then nothing may have been taken.
    pub fn refuse(&mut self, status: u16, reason: &impl ToString) {
        match &mut self.refused {
            Some(refused) => {
                refused.count += 1;
                let retried = |status: u16| status >= 500 || status == 429;
                if retried(status) && !retried(refused.status) {
                    refused.status = status;
                    refused.reason = reason.to_string();
                }
            }
            None => {
                self.refused = Some(Refused {
                    count: 1,
                    reason: reason.to_string(),
                    status,
                });
            }
        }
    }

    /// The HTTP status: 204 if everything was taken.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.refused.as_ref().map_or(204, |refused| refused.status)
    }

    /// The headers that 2.0 demands of every answer, good or bad. 1.0 knows none; they do it no harm.
    #[must_use]
    pub fn headers(&self) -> [(&'static str, u64); 3] {
        [
            ("X-Prometheus-Remote-Write-Samples-Written", self.samples),
            ("X-Prometheus-Remote-Write-Histograms-Written", self.histograms),
            ("X-Prometheus-Remote-Write-Exemplars-Written", self.exemplars),
        ]
    }

    /// The body: nothing if everything was taken, else one line.
    #[must_use]
    pub fn body(&self) -> String {
        match &self.refused {
            None => String::new(),
            Some(Refused { count: 1, reason, .. }) => format!("{reason}\n"),
            Some(Refused { count, reason, .. }) => {
                format!("{count} refused, the first because {reason}\n")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_name_the_version() {
        let version = |content_type, encoding| negotiate(content_type, encoding).ok();
        let snappy = Some("snappy");
        for (content_type, expected) in [
            (None, Some(Version::V1)),
            (Some("application/x-protobuf"), Some(Version::V1)),
            (
                Some("application/x-protobuf;proto=prometheus.WriteRequest"),
                Some(Version::V1),
            ),
            (
                Some("application/x-protobuf;proto=io.prometheus.write.v2.Request"),
                Some(Version::V2),
            ),
            (
                Some("application/x-protobuf; charset=x; proto=io.prometheus.write.v2.Request"),
                Some(Version::V2),
            ),
            (
                Some("application/x-protobuf;proto=io.prometheus.write.v3.Request"),
                None,
            ),
            (Some("application/x-protobuf;proto"), None),
            (Some("application/json"), None),
        ] {
            assert_eq!(version(content_type, snappy), expected, "{content_type:?}");
        }
        assert_eq!(version(None, None), Some(Version::V1));
        assert_eq!(version(None, Some("Snappy")), Some(Version::V1));
        for (content_type, encoding) in [(Some("text/plain"), snappy), (None, Some("zstd"))] {
            let error = negotiate(content_type, encoding).expect_err("unsupported");
            assert_eq!(error.status(), 415);
        }
    }

    #[test]
    fn receipts_count_and_ask_for_another_try_only_when_told() {
        let mut receipt = Receipt {
            samples: 3,
            ..Receipt::default()
        };
        assert_eq!((receipt.status(), receipt.body()), (204, String::new()));
        receipt.refuse(400, &"it is too old");
        assert_eq!(
            (receipt.status(), receipt.body().as_str()),
            (400, "it is too old\n")
        );
        receipt.refuse(400, &"another");
        assert_eq!(receipt.body(), "2 refused, the first because it is too old\n");
        assert_eq!(
            receipt.headers()[0],
            ("X-Prometheus-Remote-Write-Samples-Written", 3)
        );
        receipt.refuse(503, &"the disk is full");
        receipt.refuse(400, &"another");
        assert_eq!(receipt.status(), 503);
        assert_eq!(Receipt::refusal(&RemoteWriteError::Symbols).status(), 400);
    }
}
