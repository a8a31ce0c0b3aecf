//! How somebody is spoken to over HTTP: Prometheus' `<http_config>`.

use std::fmt;
use std::path::{Path, PathBuf};

/// A text that is never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// A text that stands in the configuration, or in a file that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Here.
    Text(Secret),
    /// In this file, which is read anew whenever targets are looked up.
    File(PathBuf),
}

/// Who we say that we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// `basic_auth`
    Basic {
        /// Who.
        username: Source,
        /// With what; nothing is a password too.
        password: Option<Source>,
    },
    /// `authorization`, and `bearer_token`.
    Header {
        /// `Bearer` unless said otherwise.
        scheme: String,
        /// What follows it.
        credentials: Option<Source>,
    },
}

/// The oldest version of TLS that is spoken; nothing older than 1.2 is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2
    #[default]
    V1_2,
    /// 1.3
    V1_3,
}

/// `tls_config`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Who vouches for servers, as PEM; without it those whom the machine trusts.
    pub ca: Option<Source>,
    /// Our own certificate and key, as PEM.
    pub identity: Option<(Source, Source)>,
    /// The name that a server's certificate must bear, instead of the address'.
    pub server_name: Option<String>,
    /// Whether any certificate will do.
    pub insecure_skip_verify: bool,
    /// `min_version`
    pub min_version: TlsVersion,
}

/// `<http_config>`: as written, its files not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpOptions {
    /// Who we say that we are.
    pub authorization: Option<Authorization>,
    /// `tls_config`
    pub tls: TlsOptions,
    /// `proxy_url`
    pub proxy_url: Option<Secret>,
    /// `no_proxy`: whom to speak to without the proxy.
    pub no_proxy: Option<String>,
    /// `follow_redirects`
    pub follow_redirects: bool,
    /// `http_headers`, each value by itself.
    pub headers: Vec<(String, Source)>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            authorization: None,
            tls: TlsOptions::default(),
            proxy_url: None,
            no_proxy: None,
            follow_redirects: true,
            headers: Vec::new(),
        }
    }
}

/// [`HttpOptions`] with everything read that they name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// Headers of every request, the authorization included.
    pub headers: Vec<(String, Secret)>,
    /// Who vouches for servers, as PEM.
    pub ca: Option<Secret>,
    /// Our own certificate and key, as PEM.
    pub identity: Option<(Secret, Secret)>,
    /// The name that a server's certificate must bear.
    pub server_name: Option<String>,
    /// Whether any certificate will do.
    pub insecure_skip_verify: bool,
    /// The oldest TLS that is spoken.
    pub min_version: TlsVersion,
    /// The proxy.
    pub proxy_url: Option<Secret>,
    /// Whom to speak to without it.
    pub no_proxy: Option<String>,
    /// Whether redirects are followed.
    pub follow_redirects: bool,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            headers: Vec::new(),
            ca: None,
            identity: None,
            server_name: None,
            insecure_skip_verify: false,
            min_version: TlsVersion::default(),
            proxy_url: None,
            no_proxy: None,
            follow_redirects: true,
        }
    }
}

/// Reads a file that a configuration names; why it cannot, in words.
pub type ReadFile<'a> = dyn Fn(&Path) -> Result<String, String> + 'a;

impl HttpOptions {
    /// Reads the files that are named.
    ///
    /// # Errors
    /// The first that cannot be read.
    pub fn resolve(&self, read: &ReadFile<'_>) -> Result<HttpSettings, String> {
        let text = |source: &Source| match source {
            Source::Text(text) => Ok(text.clone()),
            Source::File(path) => read(path).map(|text| Secret(text.trim().to_owned())),
        };
        let optional = |source: &Option<Source>| source.as_ref().map(text).transpose();
        let mut headers = Vec::new();
        for (name, source) in &self.headers {
            headers.push((name.clone(), text(source)?));
        }
        if let Some(authorization) = &self.authorization {
            let value = match authorization {
                Authorization::Basic { username, password } => {
                    let password = optional(password)?.unwrap_or_default();
                    let pair = format!("{}:{}", text(username)?.0, password.0);
                    format!("Basic {}", base64(&pair))
                }
                Authorization::Header { scheme, credentials } => {
                    format!("{scheme} {}", optional(credentials)?.unwrap_or_default().0)
                }
            };
            headers.push(("authorization".to_owned(), Secret(value)));
        }
        let identity = match &self.tls.identity {
            Some((cert, key)) => Some((text(cert)?, text(key)?)),
            None => None,
        };
        Ok(HttpSettings {
            headers,
            ca: optional(&self.tls.ca)?,
            identity,
            server_name: self.tls.server_name.clone(),
            insecure_skip_verify: self.tls.insecure_skip_verify,
            min_version: self.tls.min_version,
            proxy_url: self.proxy_url.clone(),
            no_proxy: self.no_proxy.clone(),
            follow_redirects: self.follow_redirects,
        })
    }
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
