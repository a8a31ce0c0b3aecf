//! One HTTP client for scrapes and discovery: as `<http_config>` says, within a limit in bytes.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::config::http::{HttpSettings, TlsVersion};
use crate::gzip;

/// How many redirects are followed, as in Prometheus.
const REDIRECTS_MAX: usize = 10;
/// How long an unused connection stays open.
const IDLE: Duration = Duration::from_secs(300);

/// Keeps connections open between requests.
#[derive(Debug, Clone)]
pub(crate) struct HttpClient {
    client: reqwest::Client,
    /// Of every request. (The client's own keep one value of a name only.)
    headers: reqwest::header::HeaderMap,
}

/// A request.
pub(crate) struct Request<'a> {
    pub(crate) url: &'a str,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Whether gzip is asked for.
    pub(crate) compression: bool,
    /// The most bytes of the body, unpacked.
    pub(crate) limit_bytes: usize,
}

/// An answer of status 200.
pub(crate) struct Answer {
    pub(crate) content_type: String,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("{url:?} is no http address: {reason}")]
    Url { url: String, reason: String },
    #[error("{0}")]
    Connection(String),
    #[error("status {0}")]
    Status(u16),
    #[error("the body has more than {limit_bytes} bytes")]
    TooLarge { limit_bytes: usize },
}

/// A client for requests that another part makes: every one of them as these settings say, and none longer than `timeout`.
///
/// # Errors
/// Why there can be none, in words.
pub fn http_client(settings: &HttpSettings, timeout: Duration) -> Result<reqwest::Client, String> {
    let (builder, headers) = builder(settings)?;
    let client = builder.default_headers(headers).timeout(timeout).build();
    client.map_err(|error| in_full(&error))
}

fn builder(settings: &HttpSettings) -> Result<(reqwest::ClientBuilder, reqwest::header::HeaderMap), String> {
    // Whichever part of the process comes first chooses the same provider.
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    let mut headers = reqwest::header::HeaderMap::new();
    for (name, value) in &settings.headers {
        let name = reqwest::header::HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("{name:?} is no name of a header"))?;
        let mut value = reqwest::header::HeaderValue::from_str(&value.0)
            .map_err(|_| format!("the value of the header {name} has characters that none may have"))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    let redirects = if settings.follow_redirects {
        reqwest::redirect::Policy::limited(REDIRECTS_MAX)
    } else {
        reqwest::redirect::Policy::none()
    };
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("mainstay/", env!("CARGO_PKG_VERSION")))
        .redirect(redirects)
        .pool_idle_timeout(IDLE)
        .tcp_nodelay(true)
        .no_proxy();
    if let Some(tls) = tls(settings)? {
        builder = builder.tls_backend_preconfigured(tls);
    } else if settings.min_version == TlsVersion::V1_3 {
        builder = builder.tls_version_min(reqwest::tls::Version::TLS_1_3);
    }
    if let Some(url) = &settings.proxy_url {
        let no_proxy = settings.no_proxy.as_deref().unwrap_or_default();
        let proxy = reqwest::Proxy::all(&url.0).map_err(|_| "the proxy_url is no URL".to_owned())?;
        builder = builder.proxy(proxy.no_proxy(reqwest::NoProxy::from_string(no_proxy)));
    }
    Ok((builder, headers))
}

impl HttpClient {
    /// A client with these settings; why there can be none, in words.
    pub(crate) fn new(settings: &HttpSettings) -> Result<Self, String> {
        let (builder, headers) = builder(settings)?;
        let client = builder.build().map_err(|error| in_full(&error))?;
        Ok(Self { client, headers })
    }

    /// Asks, and waits for an answer of status 200.
    async fn open(&self, request: &Request<'_>) -> Result<reqwest::Response, HttpError> {
        let url = reqwest::Url::parse(request.url).map_err(|error| HttpError::Url {
            url: request.url.to_owned(),
            reason: error.to_string(),
        })?;
        let mut get = self.client.get(url);
        for (name, value) in &request.headers {
            get = get.header(*name, value);
        }
        for (name, value) in &self.headers {
            get = get.header(name, value);
        }
        if request.compression {
            get = get.header("accept-encoding", "gzip");
        }
        let response = get.send().await.map_err(connection)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(HttpError::Status(response.status().as_u16()));
        }
        Ok(response)
    }

    /// Asks, and gives the body line by line as it comes, no line longer than this many bytes.
    #[cfg(feature = "kubernetes")]
    pub(crate) async fn lines(&self, url: &str, limit_bytes: usize) -> Result<Lines, HttpError> {
        let request = Request {
            url,
            headers: Vec::new(),
            compression: false,
            limit_bytes,
        };
        Ok(Lines {
            response: self.open(&request).await?,
            buffer: BytesMut::new(),
            limit_bytes,
        })
    }

    pub(crate) async fn get(&self, request: Request<'_>) -> Result<Answer, HttpError> {
        let mut response = self.open(&request).await?;
        let header = |name: &str| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let (content_type, encoding) = (header("content-type"), header("content-encoding"));
        let limit_bytes = request.limit_bytes;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(connection)? {
            if body.len() + chunk.len() > limit_bytes {
                return Err(HttpError::TooLarge { limit_bytes });
            }
            body.extend_from_slice(&chunk);
        }
        let body = match encoding.as_str() {
            "gzip" => match gzip::unpack(&body, limit_bytes) {
                Ok(body) => body.ok_or(HttpError::TooLarge { limit_bytes })?.into(),
                Err(error) => {
                    return Err(HttpError::Connection(format!("the body is not gzip: {error}")));
                }
            },
            "" | "identity" => body.freeze(),
            other => {
                return Err(HttpError::Connection(format!(
                    "the content encoding is {other:?}"
                )));
            }
        };
        Ok(Answer { content_type, body })
    }
}

fn connection(error: reqwest::Error) -> HttpError {
    HttpError::Connection(in_full(&error.without_url()))
}

/// The lines of a body that may go on for long.
#[cfg(feature = "kubernetes")]
pub(crate) struct Lines {
    response: reqwest::Response,
    buffer: BytesMut,
    limit_bytes: usize,
}

#[cfg(feature = "kubernetes")]
impl Lines {
    /// The next line without its end; `None` at the end of the body. What stands there unended is no line.
    pub(crate) async fn next(&mut self) -> Result<Option<BytesMut>, HttpError> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') {
                let mut line = self.buffer.split_to(searched + at + 1);
                line.truncate(searched + at);
                return Ok(Some(line));
            }
            searched = self.buffer.len();
            let limit_bytes = self.limit_bytes;
            if searched > limit_bytes {
                return Err(HttpError::TooLarge { limit_bytes });
            }
            match self.response.chunk().await.map_err(connection)? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}

/// TLS as the settings want it; `None` if they say nothing beyond what the client does by itself.
fn tls(settings: &HttpSettings) -> Result<Option<ClientConfig>, String> {
    let custom = settings.ca.is_some() || settings.identity.is_some() || settings.insecure_skip_verify;
    if !custom {
        return Ok(None);
    }
    let versions: &[_] = match settings.min_version {
        TlsVersion::V1_2 => rustls::ALL_VERSIONS,
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let builder = ClientConfig::builder_with_protocol_versions(versions);
    let verifier: Arc<dyn ServerCertVerifier> = if settings.insecure_skip_verify {
        Arc::new(Verifier::Nobody)
    } else if let Some(ca) = &settings.ca {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca.0.as_bytes()) {
            let certificate = certificate.map_err(|error| format!("the ca is no PEM: {error}"))?;
            roots
                .add(certificate)
                .map_err(|error| format!("the ca: {error}"))?;
        }
        let inner = WebPkiServerVerifier::builder(Arc::new(roots))
            .build()
            .map_err(|error| format!("the ca: {error}"))?;
        match &settings.server_name {
            None => inner,
            Some(name) => {
                let name =
                    ServerName::try_from(name.clone()).map_err(|_| format!("{name:?} is no server name"))?;
                Arc::new(Verifier::Named(inner, name))
            }
        }
    } else {
        let roots =
            rustls_platform_verifier::Verifier::new(Arc::new(rustls::crypto::ring::default_provider()));
        Arc::new(roots.map_err(|error| error.to_string())?)
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let config = match &settings.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = CertificateDer::pem_slice_iter(certificate.0.as_bytes())
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| format!("the certificate is no PEM: {error}"))?;
            let key = PrivateKeyDer::from_pem_slice(key.0.as_bytes())
                .map_err(|error| format!("the key is no PEM: {error}"))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("certificate and key: {error}"))?
        }
    };
    Ok(Some(config))
}

/// Who vouches for servers where it is not the usual way.
#[derive(Debug)]
enum Verifier {
    /// Nobody: `insecure_skip_verify`.
    Nobody,
    /// As usual, but under another name than the address'.
    Named(Arc<WebPkiServerVerifier>, ServerName<'static>),
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self {
            Self::Nobody => Ok(ServerCertVerified::assertion()),
            Self::Named(inner, name) => {
                inner.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// An error with its causes: the outermost of these alone says nothing.
fn in_full(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
