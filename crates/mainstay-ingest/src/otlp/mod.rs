//! OTLP metrics as a receiver reads them: `ExportMetricsServiceRequest`, in protobuf or JSON, translated to samples as
//! Prometheus' OTLP receiver does.
//!
//! - Names get their unit and `_total` or `_ratio`, attributes become labels, characters that cannot be there become
//!   underscores; labels that thereby have one name are joined with `;`.
//! - `service.namespace/service.name` is `job`, `service.instance.id` is `instance`; the resource's other attributes are
//!   the labels of `target_info`, unless they are promoted to labels of every series.
//! - Sums and histograms must be cumulative. Deltas are refused, point by point, as Prometheus does: a delta that is
//!   lost or comes twice cannot be told from one that did not. The sender is told how many were refused.
//! - Histograms become classic series, exponential histograms native histograms (finer ones than resolution 8 are
//!   made coarser, coarser ones than -4 are refused). A start time is a created time; a point flagged as "no recorded
//!   value" is a stale marker.
//!
//! A request of `n` bytes takes O(n); nothing is kept between requests.

mod attributes;
mod exponential;
mod model;
mod names;
mod protobuf;
mod translate;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use crate::gzip;
use crate::metadata::FamilyMetadata;
use crate::sample::SeriesSample;
use crate::wire::WireError;

/// The two encodings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpEncoding {
    /// `application/x-protobuf`
    Protobuf,
    /// `application/json`
    Json,
}

impl OtlpEncoding {
    /// The encoding that a `Content-Type` names, which is also that of the answer.
    #[must_use]
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        match media_type.to_ascii_lowercase().as_str() {
            "application/x-protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    /// Its name as a `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// What the translation may be told, as in Prometheus' `otlp` section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OtlpSettings {
    /// `promote_resource_attributes`: which of the resource become labels of every series.
    pub promote_resource_attributes: Vec<String>,
    /// `keep_identifying_resource_attributes`: whether `target_info` has those too that become `job` and `instance`.
    pub keep_identifying_resource_attributes: bool,
}

/// Why a request is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtlpError {
    /// No protobuf message, or another one.
    #[error("the body is no OTLP metrics request: {0}")]
    Malformed(#[from] WireError),
    /// No JSON, or another document; line and column are in the text.
    #[error("the body is no OTLP metrics request: {0}")]
    Json(String),
    /// A name or value that is no text.
    #[error("a text of the request is not UTF-8")]
    NotUtf8,
    /// Attributes within attributes, too many of them.
    #[error("an attribute is nested too deep")]
    TooDeep,
    /// Neither of the two encodings.
    #[error("the content type is {0:?}, expected application/x-protobuf or application/json")]
    ContentType(String),
    /// Packed in another way.
    #[error("the content encoding is {0:?}, expected gzip or identity")]
    ContentEncoding(String),
    /// Said to be packed with gzip, and is not.
    #[error("the body is not gzip: {0}")]
    Gzip(String),
    /// More than is taken at once.
    #[error("the request has more than {limit_bytes} bytes once it is unpacked")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
}

impl OtlpError {
    /// The HTTP status that tells it. None of them asks the sender to try again.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::ContentType(_) | Self::ContentEncoding(_) => 415,
            Self::TooLarge { .. } => 413,
            _ => 400,
        }
    }
}

/// Unpacks a body as its `Content-Encoding` says.
///
/// # Errors
/// If it is packed in another way, damaged, or larger than `limit_bytes` once it is unpacked.
pub fn unpack<'b>(
    body: &'b [u8],
    content_encoding: Option<&str>,
    limit_bytes: usize,
) -> Result<Cow<'b, [u8]>, OtlpError> {
    let encoding = content_encoding.unwrap_or_default().trim();
    if encoding.eq_ignore_ascii_case("gzip") {
        let unpacked = gzip::unpack(body, limit_bytes).map_err(|error| OtlpError::Gzip(error.to_string()))?;
        unpacked
            .map(Cow::Owned)
            .ok_or(OtlpError::TooLarge { limit_bytes })
    } else if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
        Err(OtlpError::ContentEncoding(encoding.chars().take(100).collect()))
    } else if body.len() > limit_bytes {
        Err(OtlpError::TooLarge { limit_bytes })
    } else {
        Ok(Cow::Borrowed(body))
    }
}

/// The body of an answer whose status is no success: `google.rpc.Status` with a message for people.
#[must_use]
pub fn refusal(message: &str, encoding: OtlpEncoding) -> Vec<u8> {
    match encoding {
        OtlpEncoding::Protobuf => protobuf::status(message),
        // Texts always serialize.
        OtlpEncoding::Json => serde_json::to_vec(&model::Status { message }).unwrap_or_default(),
    }
}

/// What a request brings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OtlpBatch {
    /// What to store, in order.
    pub samples: Vec<SeriesSample>,
    /// Which of them each data point became, by their places, in rising order. `target_info` is of no point.
    pub points: Vec<Range<usize>>,
    /// What is said of the metrics, under the names that they have here.
    pub metadata: Vec<FamilyMetadata>,
    /// Data points that are refused.
    pub rejected: u64,
    /// Why the first of them is.
    pub reason: String,
}

impl OtlpBatch {
    /// Notes that a data point is refused: here, or by the store.
    pub fn reject(&mut self, points: u64, reason: impl ToString) {
        if points > 0 && self.rejected == 0 {
            self.reason = reason.to_string();
        }
        self.rejected += points;
    }

    /// Notes samples that the store refuses, by their places, with the reasons. A data point counts once, however many
    /// samples it became.
    pub fn refuse(&mut self, samples: &BTreeMap<usize, String>) {
        let mut refused = self
            .points
            .iter()
            .filter_map(|point| samples.range(point.clone()).next());
        if let Some((_, reason)) = refused.next() {
            let points = 1 + refused.count() as u64;
            self.reject(points, reason);
        }
    }

    /// The body of the answer, whose status is 200: `ExportMetricsServiceResponse` with what was refused.
    #[must_use]
    pub fn response(&self, encoding: OtlpEncoding) -> Vec<u8> {
        match encoding {
            OtlpEncoding::Protobuf => protobuf::response(self.rejected, &self.reason),
            OtlpEncoding::Json => {
                let partial_success = (self.rejected > 0).then(|| model::PartialSuccess {
                    rejected_data_points: self.rejected.to_string(),
                    error_message: &self.reason,
                });
                // Texts and numbers always serialize.
                serde_json::to_vec(&model::Response { partial_success }).unwrap_or_default()
            }
        }
    }
}

/// Reads a request and translates it.
///
/// # Errors
/// If it is no request. Data points that cannot be taken are counted instead.
pub fn read(body: &[u8], encoding: OtlpEncoding, settings: &OtlpSettings) -> Result<OtlpBatch, OtlpError> {
    let request = match encoding {
        OtlpEncoding::Protobuf => protobuf::request(body)?,
        OtlpEncoding::Json => {
            serde_json::from_slice(body).map_err(|error| OtlpError::Json(error.to_string()))?
        }
    };
    Ok(translate::translate(&request, settings))
}
