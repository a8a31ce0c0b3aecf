//! Which format a target speaks, and which ones it is asked for.

/// The formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format, version 0.0.4.
    Text,
    /// OpenMetrics text format, version 1.0.
    OpenMetrics,
    /// Prometheus' protobuf format: `io.prometheus.client.MetricFamily`, delimited.
    Protobuf,
}

impl Format {
    /// The format that a `Content-Type` names; if it names none that is known, that of the fallback. As in Prometheus 3
    /// nothing is guessed: `None` if there is no fallback either.
    #[must_use]
    pub fn of_content_type(content_type: &str, fallback: Option<ScrapeProtocol>) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        match media_type.to_ascii_lowercase().as_str() {
            "application/openmetrics-text" => Some(Self::OpenMetrics),
            "application/vnd.google.protobuf" => Some(Self::Protobuf),
            "text/plain" => Some(Self::Text),
            _ => fallback.map(ScrapeProtocol::format),
        }
    }
}

/// What a target may be asked for: an element of `scrape_protocols`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScrapeProtocol {
    /// `PrometheusProto`
    PrometheusProto,
    /// `PrometheusText0.0.4`
    PrometheusText0_0_4,
    /// `PrometheusText1.0.0`
    PrometheusText1_0_0,
    /// `OpenMetricsText0.0.1`
    OpenMetricsText0_0_1,
    /// `OpenMetricsText1.0.0`
    OpenMetricsText1_0_0,
}

impl ScrapeProtocol {
    /// All of them, with their names in a configuration.
    pub const NAMED: [(&'static str, Self); 5] = [
        ("PrometheusProto", Self::PrometheusProto),
        ("PrometheusText0.0.4", Self::PrometheusText0_0_4),
        ("PrometheusText1.0.0", Self::PrometheusText1_0_0),
        ("OpenMetricsText0.0.1", Self::OpenMetricsText0_0_1),
        ("OpenMetricsText1.0.0", Self::OpenMetricsText1_0_0),
    ];
    /// What Prometheus asks for unless told otherwise, dearest first: OpenMetrics carries created times.
    pub const DEFAULT: [Self; 4] = [
        Self::OpenMetricsText1_0_0,
        Self::OpenMetricsText0_0_1,
        Self::PrometheusText1_0_0,
        Self::PrometheusText0_0_4,
    ];
    /// What it asks for when native histograms are wanted, which only the first carries.
    pub const DEFAULT_NATIVE: [Self; 5] = [
        Self::PrometheusProto,
        Self::OpenMetricsText1_0_0,
        Self::OpenMetricsText0_0_1,
        Self::PrometheusText1_0_0,
        Self::PrometheusText0_0_4,
    ];

    /// The format that it is read as.
    #[must_use]
    pub fn format(self) -> Format {
        match self {
            Self::PrometheusProto => Format::Protobuf,
            Self::PrometheusText0_0_4 | Self::PrometheusText1_0_0 => Format::Text,
            Self::OpenMetricsText0_0_1 | Self::OpenMetricsText1_0_0 => Format::OpenMetrics,
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::PrometheusProto => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
            Self::PrometheusText0_0_4 => "text/plain;version=0.0.4",
            Self::PrometheusText1_0_0 => "text/plain;version=1.0.0",
            Self::OpenMetricsText0_0_1 => "application/openmetrics-text;version=0.0.1",
            Self::OpenMetricsText1_0_0 => "application/openmetrics-text;version=1.0.0",
        }
    }
}

/// What to send as `Accept` to be answered in one of these, dearest first, or in anything else at last. With the weights
/// that Prometheus gives them.
#[must_use]
pub fn accept(protocols: &[ScrapeProtocol]) -> String {
    let most = ScrapeProtocol::NAMED.len() + 1;
    let mut header = String::new();
    for (index, protocol) in protocols.iter().enumerate() {
        let weight = most.saturating_sub(index);
        header.push_str(&format!("{};q=0.{weight},", protocol.media_type()));
    }
    header.push_str(&format!("*/*;q=0.{}", most.saturating_sub(protocols.len())));
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_are_believed_and_nothing_is_guessed() {
        let of = |content_type| Format::of_content_type(content_type, None);
        assert_eq!(of("text/plain; version=0.0.4; charset=utf-8"), Some(Format::Text));
        assert_eq!(of("application/openmetrics-text"), Some(Format::OpenMetrics));
        assert_eq!(
            of("Application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily"),
            Some(Format::Protobuf)
        );
        assert_eq!((of(""), of("text/html")), (None, None));
        let fallback = Some(ScrapeProtocol::PrometheusText0_0_4);
        assert_eq!(Format::of_content_type("text/html", fallback), Some(Format::Text));
        assert_eq!(
            Format::of_content_type("application/openmetrics-text", fallback),
            Some(Format::OpenMetrics)
        );
        assert_eq!(
            accept(&ScrapeProtocol::DEFAULT),
            "application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
        );
    }
}
