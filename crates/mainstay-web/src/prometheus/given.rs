//! The parameters of a request, read as Prometheus reads them.

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::Method;
use jiff::Timestamp;
use mainstay_kernel::{Matcher, Reach};

use super::tenant;
use crate::app::App;
use crate::error::WebError;
use crate::view::{InstantQuery, QueryError, QueryOptions, RangeQuery, Selection};

/// The most steps a range query may have, as in Prometheus.
const MAX_STEPS: i64 = 11_000;
/// How long a query may take, in milliseconds, unless it asks for less.
const MAX_TIMEOUT_MS: u64 = 120_000;

/// What Prometheus' clients write for "since ever" and "for ever", which no calendar has.
const EVER: [(&str, i64); 2] = [
    ("-292273086-05-16T16:47:06Z", i64::MIN),
    ("292277025-08-18T07:12:54.999999999Z", i64::MAX),
];

/// The fields of a form, then the parameters of the address: as Go's `ParseForm`, which Prometheus uses. A name may
/// occur several times.
#[derive(Debug, Clone, Default)]
pub(super) struct Given {
    fields: Vec<(String, String)>,
    /// Whose series may be seen.
    pub(super) reach: Reach,
}

impl FromRequest<App> for Given {
    type Rejection = WebError;

    async fn from_request(request: Request, app: &App) -> Result<Self, Self::Rejection> {
        let reach = tenant::reach(request.headers(), request.extensions())?;
        let query = request.uri().query().unwrap_or_default().to_owned();
        let body = match *request.method() {
            // The guard has read the body, so it is there.
            Method::POST | Method::PUT => Bytes::from_request(request, app).await.unwrap_or_default(),
            _ => Bytes::new(),
        };
        Ok(Self {
            reach,
            ..Self::of(&body, query.as_bytes())
        })
    }
}

impl Given {
    fn of(form: &[u8], query: &[u8]) -> Self {
        let read = |text| form_urlencoded::parse(text).into_owned();
        Self {
            fields: read(form).chain(read(query)).collect(),
            reach: Reach::All,
        }
    }

    /// The first value of a parameter; absent and empty are the same.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next().filter(|text| !text.is_empty())
    }

    /// Every value of a parameter.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.fields.iter().filter(move |(held, _)| held == name);
        named.map(|(_, value)| value.as_str())
    }

    /// An instant query.
    pub(super) fn instant(&self, now: Timestamp) -> Result<InstantQuery, QueryError> {
        Ok(InstantQuery {
            at_ms: self.time_or("time", now.as_millisecond())?,
            options: self.options()?,
            reach: self.reach.clone(),
            expr: self.get("query").unwrap_or_default().to_owned(),
        })
    }

    /// A range query.
    pub(super) fn range(&self) -> Result<RangeQuery, QueryError> {
        let required =
            |name| time_ms(self.get(name).unwrap_or_default()).map_err(|error| wrong(name, &error));
        let (start_ms, end_ms) = (required("start")?, required("end")?);
        if end_ms < start_ms {
            return Err(wrong("end", "end timestamp must not be before start time"));
        }
        let step = self.get("step").unwrap_or_default();
        let step_ms = span_ms(step).map_err(|error| wrong("step", &error))?;
        if step_ms <= 0 {
            return Err(wrong(
                "step",
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            ));
        }
        if end_ms.saturating_sub(start_ms) / step_ms > MAX_STEPS {
            return Err(QueryError::BadData(
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"
                    .to_owned(),
            ));
        }
        Ok(RangeQuery {
            start_ms,
            end_ms,
            step_ms,
            options: self.options()?,
            reach: self.reach.clone(),
            expr: self.get("query").unwrap_or_default().to_owned(),
        })
    }

    fn options(&self) -> Result<QueryOptions, QueryError> {
        let timeout_ms = match self.get("timeout") {
            None => MAX_TIMEOUT_MS,
            Some(text) => {
                let ms = span_ms(text).map_err(|error| wrong("timeout", &error))?;
                u64::try_from(ms).unwrap_or(0).min(MAX_TIMEOUT_MS)
            }
        };
        let lookback = self.get("lookback_delta").map(span_ms).transpose();
        let lookback_ms = lookback.map_err(|error| {
            QueryError::BadData(format!("error parsing lookback delta duration: {error}"))
        })?;
        Ok(QueryOptions {
            timeout_ms,
            // As in Prometheus, none is the default.
            lookback_ms: lookback_ms.filter(|ms| *ms > 0),
        })
    }

    /// How many entries are wanted; `None` if all.
    pub(super) fn limit(&self) -> Result<Option<usize>, QueryError> {
        let Some(text) = self.get("limit") else {
            return Ok(None);
        };
        let number: i64 = text
            .parse()
            .map_err(|_| wrong("limit", &format!("cannot parse {text:?} to a valid number")))?;
        let limit = usize::try_from(number).map_err(|_| wrong("limit", "limit must be non-negative"))?;
        Ok((limit > 0).then_some(limit))
    }

    /// A yes or no, as Go's `ParseBool` reads them; no, if nothing is said.
    pub(super) fn flag(&self, name: &str) -> Result<bool, QueryError> {
        match self.get(name) {
            None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some(text) => Err(wrong(name, &format!("unable to parse boolean {text:?}"))),
        }
    }

    /// A number that need not be given.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, QueryError> {
        let number = self.get(name).map(|text| text.parse());
        number
            .transpose()
            .map_err(|_| QueryError::BadData(format!("{name} must be a number")))
    }

    /// What `match[]`, `start` and `end` select.
    pub(super) fn selection(&self) -> Result<Selection, QueryError> {
        Ok(Selection {
            start_ms: self.time_or("start", i64::MIN)?,
            end_ms: self.time_or("end", i64::MAX)?,
            selectors: self.selectors()?,
            reach: self.reach.clone(),
        })
    }

    /// The selectors in `match[]`; each must leave something out.
    pub(super) fn selectors(&self) -> Result<Vec<Vec<Matcher>>, QueryError> {
        let parse = |text| {
            mainstay_promql::parse_selector(text).map_err(|error| QueryError::BadData(error.to_string()))
        };
        self.all("match[]").map(parse).collect()
    }

    /// The instant in a parameter, in milliseconds since the epoch.
    fn time_or(&self, name: &str, default_ms: i64) -> Result<i64, QueryError> {
        match self.get(name) {
            None => Ok(default_ms),
            Some(text) => time_ms(text)
                .map_err(|error| wrong(name, &format!("invalid time value for '{name}': {error}"))),
        }
    }
}

/// A parameter that is not as it must be, in Prometheus' words.
pub(super) fn wrong(name: &str, problem: &str) -> QueryError {
    QueryError::BadData(format!("invalid parameter {name:?}: {problem}"))
}

/// Seconds since the epoch with a fraction, or RFC 3339; in milliseconds.
fn time_ms(text: &str) -> Result<i64, String> {
    let bad = || format!("cannot parse {text:?} to a valid timestamp");
    if let Ok(seconds) = text.parse::<f64>() {
        return to_ms(seconds).ok_or_else(bad);
    }
    if let Some((_, ms)) = EVER.iter().find(|(ever, _)| *ever == text) {
        return Ok(*ms);
    }
    let instant: Timestamp = text.parse().map_err(|_| bad())?;
    Ok(instant.as_millisecond())
}

/// Seconds with a fraction, or a Prometheus duration such as `1h30m`; in milliseconds.
fn span_ms(text: &str) -> Result<i64, String> {
    let bad = || format!("cannot parse {text:?} to a valid duration");
    let Ok(seconds) = text.parse::<f64>() else {
        return mainstay_promql::duration::parse_ms(text).ok_or_else(bad);
    };
    // What Go's `time.Duration` holds, in seconds.
    const LONGEST_S: f64 = 9_223_372_036.854_775;
    if seconds.abs() > LONGEST_S {
        return Err(format!("{}. It overflows int64", bad()));
    }
    to_ms(seconds).ok_or_else(bad)
}

/// Seconds to whole milliseconds; what is farther than any calendar is as far as can be.
fn to_ms(seconds: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "it ends at the ends")]
    (!seconds.is_nan()).then(|| (seconds * 1_000.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(query: &str) -> Given {
        Given::of(b"", query.as_bytes())
    }

    #[test]
    fn a_form_comes_before_the_address() {
        let given = Given::of(b"query=a%2Bb+c&match[]=x&match%5B%5D=y", b"query=z&limit=5");
        assert_eq!(given.get("query"), Some("a+b c"));
        assert_eq!(given.all("match[]").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(given.limit(), Ok(Some(5)));
    }

    #[test]
    fn instants_and_spans_read_as_in_prometheus() {
        assert_eq!(time_ms("1435781451.781"), Ok(1_435_781_451_781));
        assert_eq!(time_ms("2015-07-01T20:10:51.781Z"), Ok(1_435_781_451_781));
        assert_eq!(time_ms("2015-07-01T22:10:51.781+02:00"), Ok(1_435_781_451_781));
        assert_eq!(time_ms("-92233099012"), Ok(-92_233_099_012_000));
        assert_eq!(time_ms("1e300"), Ok(i64::MAX));
        for (text, ms) in EVER {
            assert_eq!(time_ms(text), Ok(ms));
        }
        for bad in ["", "NaN", "yesterday"] {
            assert_eq!(
                time_ms(bad),
                Err(format!("cannot parse {bad:?} to a valid timestamp"))
            );
        }
        assert_eq!(span_ms("15"), Ok(15_000));
        assert_eq!(span_ms("1h30m"), Ok(5_400_000));
        assert_eq!(span_ms("250ms"), Ok(250));
        assert_eq!(
            span_ms("1e100"),
            Err(r#"cannot parse "1e100" to a valid duration. It overflows int64"#.to_owned())
        );
        for bad in ["", "m", "30m1h", "1h1h", "5x", "99999999999999999999s"] {
            assert!(span_ms(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ranges_are_bounded() {
        let ask = |end: &str, step: &str| given(&format!("query=up&start=0&end={end}&step={step}")).range();
        assert_eq!(ask("60", "15").expect("well formed").step_ms, 15_000);
        assert!(ask("60", "0").is_err());
        assert!(ask("-1", "15").is_err());
        assert!(ask("11001", "1").is_err());
        assert!(ask("11000", "1").is_ok());
    }

    #[test]
    fn a_selector_that_selects_everything_is_refused() {
        assert!(given("match[]=up&match[]={job=~\"a.*\"}").selectors().is_ok());
        for bad in ["{}", "{job=~\".*\"}", "{job!=\"x\"}", "up +"] {
            let encoded: String = form_urlencoded::byte_serialize(bad.as_bytes()).collect();
            assert!(given(&format!("match[]={encoded}")).selectors().is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_are_numbers_from_zero() {
        assert_eq!(given("limit=0").limit(), Ok(None));
        assert_eq!(
            given("limit=-1").limit(),
            Err(wrong("limit", "limit must be non-negative"))
        );
        assert!(given("limit=many").limit().is_err());
    }
}
