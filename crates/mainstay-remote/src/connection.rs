//! HTTP to one endpoint: who we are, how long we wait, how much we read.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, RequestBuilder, Response, Url};

use crate::error::RemoteError;

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
pub enum Auth {
    /// Nobody in particular.
    None,
    /// A bearer token.
    Bearer(String),
    /// A name and a password.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: String,
    },
}

impl std::fmt::Debug for Auth {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Bearer(_) => "Bearer(..)",
            Self::Basic { .. } => "Basic(..)",
        })
    }
}

/// Where an engine is, and on what terms it is spoken to.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The base address: of queries, what stands before `/api/v1`; of remote write, the whole address.
    pub url: String,
    /// Who asks.
    pub auth: Auth,
    /// Headers of every request, such as `X-Scope-OrgID`.
    pub headers: Vec<(String, String)>,
    /// How long one request may take.
    pub timeout: Duration,
    /// The largest answer that is read, in bytes.
    pub answer_max_bytes: usize,
    /// Certificates to trust beside the usual ones, as PEM.
    pub trust: Option<Vec<u8>>,
}

impl Endpoint {
    /// An endpoint with 30 s and 64 MiB, and nobody in particular asking.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            auth: Auth::None,
            headers: Vec::new(),
            timeout: Duration::from_secs(30),
            answer_max_bytes: 64 << 20,
            trust: None,
        }
    }
}

/// An HTTP client of one endpoint. Cloning it shares its connections.
#[derive(Debug, Clone)]
pub struct Connection {
    client: Client,
    url: Url,
    answer_max_bytes: usize,
}

/// An answer that was read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    /// Reads the configuration; nothing is sent yet.
    ///
    /// # Errors
    /// If the address, a header or a certificate is none.
    pub fn new(endpoint: &Endpoint) -> Result<Self, RemoteError> {
        let url = address(&endpoint.url)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &endpoint.headers {
            let header = HeaderName::try_from(name).map_err(|error| wrong(name, error.to_string()))?;
            let value = HeaderValue::try_from(value).map_err(|error| wrong(name, error.to_string()))?;
            headers.insert(header, value);
        }
        let trusted = match &endpoint.trust {
            Some(pem) => Certificate::from_pem_bundle(pem)?,
            None => Vec::new(),
        };
        // The first provider of the process stays: it is this one, or the one that the binary chose.
        let _already_chosen = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .timeout(endpoint.timeout)
            .connect_timeout(endpoint.timeout.min(Duration::from_secs(10)))
            .redirect(Policy::none())
            .no_proxy()
            .tls_certs_merge(trusted)
            .user_agent(concat!("mainstay/", env!("CARGO_PKG_VERSION")));
        if let Some(value) = authorization(&endpoint.auth) {
            let mut value = HeaderValue::try_from(value).map_err(|error| wrong("auth", error.to_string()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        builder = builder.default_headers(headers);
        Ok(Self {
            client: builder.build()?,
            url,
            answer_max_bytes: endpoint.answer_max_bytes,
        })
    }

    /// The same over a client that is there already, which says who asks and how long that may take.
    ///
    /// # Errors
    /// If the address is none.
    pub fn over(client: Client, url: &str) -> Result<Self, RemoteError> {
        Ok(Self {
            client,
            url: address(url)?,
            answer_max_bytes: Endpoint::new(url).answer_max_bytes,
        })
    }

    /// The address itself.
    pub(crate) fn post(&self) -> RequestBuilder {
        self.client.post(self.url.clone())
    }

    /// A path below the base address.
    pub(crate) fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        let base = self.url.path().trim_end_matches('/');
        url.set_path(&format!("{base}{path}"));
        url
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a request and reads the answer to its end, or to the limit.
    pub(crate) async fn answer(&self, request: RequestBuilder) -> Result<Answer, RemoteError> {
        let mut response = request.send().await?;
        let body = self.body(&mut response).await?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: std::mem::take(response.headers_mut()),
            body,
        })
    }

    async fn body(&self, response: &mut Response) -> Result<Vec<u8>, RemoteError> {
        let too_large = RemoteError::TooLarge {
            limit_bytes: self.answer_max_bytes,
        };
        let announced = response.content_length().unwrap_or_default();
        let announced = usize::try_from(announced).unwrap_or(usize::MAX);
        if announced > self.answer_max_bytes {
            return Err(too_large);
        }
        let mut body = Vec::with_capacity(announced);
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > self.answer_max_bytes {
                return Err(too_large);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn wrong(what: &str, reason: String) -> RemoteError {
    RemoteError::Endpoint(format!("{what}: {reason}"))
}

fn address(url: &str) -> Result<Url, RemoteError> {
    let mut url = Url::parse(url).map_err(|error| wrong("not a URL", error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("scheme", "expected http:// or https://".to_owned()));
    }
    url.set_fragment(None);
    Ok(url)
}

fn authorization(auth: &Auth) -> Option<String> {
    match auth {
        Auth::None => None,
        Auth::Bearer(token) => Some(format!("Bearer {token}")),
        Auth::Basic { username, password } => Some(format!(
            "Basic {}",
            STANDARD.encode(format!("{username}:{password}"))
        )),
    }
}
