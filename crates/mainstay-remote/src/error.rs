//! What can go wrong with another engine.

/// A request that another engine did not answer as it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// The endpoint cannot be used as it is configured.
    #[error("the engine's endpoint is wrong: {0}")]
    Endpoint(String),
    /// There was no answer.
    #[error("{0}")]
    Unanswered(Unanswered),
    /// The server refused or failed, and said why in the words of the API.
    #[error("the engine answered {error_type} (HTTP {status}): {message}")]
    Server {
        /// The HTTP status.
        status: u16,
        /// `errorType` of the answer: `bad_data`, `execution`, `timeout` and so on.
        error_type: String,
        /// `error` of the answer.
        message: String,
    },
    /// Something that is not the API answered: a proxy, a wrong address.
    #[error("the engine answered HTTP {status}, which is not the query API: {body}")]
    Http {
        /// The HTTP status.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// More than the limit.
    #[error("the engine's answer is larger than {limit_bytes} bytes: ask for less")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// The body is not what the API promises.
    #[error("the engine's answer cannot be read: {0}")]
    Malformed(String),
    /// It cannot be asked in the server's language.
    #[error("cannot be asked: {0}")]
    Unaskable(String),
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// No connection; nothing was sent.
    #[error("cannot connect to the engine: {0}")]
    Connect(String),
    /// No answer in time.
    #[error("the engine did not answer in time")]
    Timeout,
    /// The connection broke.
    #[error("the connection to the engine broke: {0}")]
    Broken(String),
}

impl RemoteError {
    /// Whether asking again may help. A query reads only, so that it may be repeated whatever became of it; a query
    /// that is too dear for the server, which it says by `timeout`, is not.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unanswered(Unanswered::Timeout) => false,
            Self::Unanswered(_) => true,
            Self::Server {
                status, error_type, ..
            } => matches!(status, 429 | 502..=504) && error_type != "timeout",
            Self::Http { status, .. } => matches!(status, 429 | 502..=504),
            _ => false,
        }
    }
}

impl From<reqwest::Error> for RemoteError {
    /// Addresses may bear credentials: errors are told without them.
    fn from(error: reqwest::Error) -> Self {
        let (builder, connect, timeout) = (error.is_builder(), error.is_connect(), error.is_timeout());
        let text = chain(&error.without_url());
        if builder {
            Self::Endpoint(text)
        } else if connect {
            Self::Unanswered(Unanswered::Connect(text))
        } else if timeout {
            Self::Unanswered(Unanswered::Timeout)
        } else {
            Self::Unanswered(Unanswered::Broken(text))
        }
    }
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The beginning of a body, on one line.
pub(crate) fn quote(body: &[u8]) -> String {
    const QUOTE_MAX_BYTES: usize = 300;
    let text = String::from_utf8_lossy(body.get(..QUOTE_MAX_BYTES).unwrap_or(body));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
