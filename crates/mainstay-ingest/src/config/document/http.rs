//! The keys of `<http_config>`, which stand among others in a job and in discoveries.

use std::path::PathBuf;

use serde::de::MapAccess;
use serde_saphyr::{Location, Spanned};

use super::{Check, Fields, Keyed, next};
use crate::config::ConfigError;
use crate::config::http::{Authorization, HttpOptions, Secret, Source, TlsOptions, TlsVersion};

/// Known keys that change nothing here.
pub(super) const HTTP_KEYS: &[&str] = &["enable_http2"];

#[derive(Default)]
pub(super) struct Http {
    basic: Option<Spanned<Keyed<Basic>>>,
    authorization: Option<Spanned<Keyed<Header>>>,
    bearer_token: Option<Spanned<String>>,
    bearer_token_file: Option<Spanned<String>>,
    oauth2: Option<Location>,
    tls: Option<Spanned<Keyed<Tls>>>,
    proxy_url: Option<Spanned<String>>,
    no_proxy: Option<Spanned<String>>,
    proxy_from_environment: Option<Spanned<bool>>,
    proxy_connect_header: Option<Location>,
    follow_redirects: Option<bool>,
    headers: Vec<(String, Keyed<HeaderValues>)>,
}

impl Fields for Http {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "basic_auth" => self.basic = map.next_value()?,
            "authorization" => self.authorization = map.next_value()?,
            "bearer_token" => self.bearer_token = map.next_value()?,
            "bearer_token_file" => self.bearer_token_file = map.next_value()?,
            "oauth2" => self.oauth2 = position(map)?,
            "tls_config" => self.tls = map.next_value()?,
            "proxy_url" => self.proxy_url = map.next_value()?,
            "no_proxy" => self.no_proxy = map.next_value()?,
            "proxy_from_environment" => self.proxy_from_environment = map.next_value()?,
            "proxy_connect_header" => self.proxy_connect_header = position(map)?,
            "follow_redirects" => self.follow_redirects = map.next_value()?,
            "http_headers" => {
                let headers: std::collections::BTreeMap<String, Keyed<HeaderValues>> = next(map)?;
                self.headers = headers.into_iter().collect();
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Where a value stands that is not read.
fn position<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Location>, A::Error> {
    Ok(Some(
        map.next_value::<Spanned<serde::de::IgnoredAny>>()?.referenced,
    ))
}

#[derive(Default)]
struct Basic {
    username: Option<String>,
    username_file: Option<String>,
    password: Option<String>,
    password_file: Option<String>,
}

impl Fields for Basic {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "username" => self.username = map.next_value()?,
            "username_file" => self.username_file = map.next_value()?,
            "password" => self.password = map.next_value()?,
            "password_file" => self.password_file = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[derive(Default)]
struct Header {
    scheme: Option<String>,
    credentials: Option<String>,
    credentials_file: Option<String>,
}

impl Fields for Header {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "type" => self.scheme = map.next_value()?,
            "credentials" => self.credentials = map.next_value()?,
            "credentials_file" => self.credentials_file = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[derive(Default)]
struct Tls {
    /// Of `ca`, `cert` and `key`: the text, and the file.
    sources: [[Option<String>; 2]; 3],
    server_name: Option<Spanned<String>>,
    insecure_skip_verify: bool,
    min_version: Option<Spanned<String>>,
    max_version: Option<Spanned<String>>,
}

impl Fields for Tls {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "ca" => self.sources[0][0] = map.next_value()?,
            "ca_file" => self.sources[0][1] = map.next_value()?,
            "cert" => self.sources[1][0] = map.next_value()?,
            "cert_file" => self.sources[1][1] = map.next_value()?,
            "key" => self.sources[2][0] = map.next_value()?,
            "key_file" => self.sources[2][1] = map.next_value()?,
            "server_name" => self.server_name = map.next_value()?,
            "insecure_skip_verify" => self.insecure_skip_verify = next(map)?,
            "min_version" => self.min_version = map.next_value()?,
            "max_version" => self.max_version = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[derive(Default)]
struct HeaderValues {
    texts: Vec<String>,
    files: Vec<String>,
}

impl Fields for HeaderValues {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "values" | "secrets" => self.texts.extend(next::<Vec<String>, _>(map)?),
            "files" => self.files = next(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn text(text: String) -> Source {
    Source::Text(Secret(text))
}

fn file(path: String) -> Source {
    Source::File(PathBuf::from(path))
}

impl Check<'_> {
    pub(super) fn http(&mut self, http: Http) -> Result<HttpOptions, ConfigError> {
        if let Some(at) = http.oauth2 {
            return Err(self.error(at, "oauth2 is not supported here"));
        }
        if let Some(at) = http.proxy_connect_header {
            return Err(self.error(at, "proxy_connect_header is not supported here"));
        }
        if let Some(given) = http.proxy_from_environment.filter(|given| given.value) {
            return Err(self.error(
                given.referenced,
                "proxy_from_environment is not supported here: name the proxy in proxy_url",
            ));
        }
        let mut headers = Vec::new();
        for (name, values) in http.headers {
            let values = self.keys(values, &[], "http_headers")?;
            let sources = values.texts.into_iter().map(text);
            let sources = sources.chain(values.files.into_iter().map(file));
            headers.extend(sources.map(|source| (name.clone(), source)));
        }
        let authorization = self.authorization(
            http.basic,
            http.authorization,
            [http.bearer_token, http.bearer_token_file],
        )?;
        if let Some(no_proxy) = http.no_proxy.as_ref()
            && http.proxy_url.is_none()
        {
            return Err(self.error(no_proxy.referenced, "no_proxy needs a proxy_url"));
        }
        if let Some(url) = &http.proxy_url
            && reqwest::Url::parse(&url.value).is_err()
        {
            return Err(self.error(url.referenced, "the proxy_url is no URL"));
        }
        Ok(HttpOptions {
            authorization,
            tls: self.tls(http.tls)?,
            proxy_url: http.proxy_url.map(|url| Secret(url.value)),
            no_proxy: http.no_proxy.map(|text| text.value),
            follow_redirects: http.follow_redirects.unwrap_or(true),
            headers,
        })
    }

    fn one_of(
        &self,
        at: Location,
        what: &str,
        [in_text, in_file]: [Option<String>; 2],
    ) -> Result<Option<Source>, ConfigError> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        match (given(in_text), given(in_file)) {
            (Some(_), Some(_)) => Err(self.error(at, format!("{what} and {what}_file: only one can be"))),
            (Some(in_text), None) => Ok(Some(text(in_text))),
            (None, Some(path)) => Ok(Some(file(path))),
            (None, None) => Ok(None),
        }
    }

    fn authorization(
        &mut self,
        basic: Option<Spanned<Keyed<Basic>>>,
        header: Option<Spanned<Keyed<Header>>>,
        bearer: [Option<Spanned<String>>; 2],
    ) -> Result<Option<Authorization>, ConfigError> {
        let places: Vec<Location> = [
            basic.as_ref().map(|given| given.referenced),
            header.as_ref().map(|given| given.referenced),
            bearer[0].as_ref().map(|given| given.referenced),
            bearer[1].as_ref().map(|given| given.referenced),
        ]
        .into_iter()
        .flatten()
        .collect();
        if let [_, second, ..] = places[..] {
            return Err(self.error(
                second,
                "only one of basic_auth, authorization, bearer_token and bearer_token_file can be",
            ));
        }
        if let Some(basic) = basic {
            let at = basic.referenced;
            let basic = self.keys(basic.value, &[], "basic_auth")?;
            let username = self.one_of(at, "username", [basic.username, basic.username_file])?;
            let password = self.one_of(at, "password", [basic.password, basic.password_file])?;
            return Ok(Some(Authorization::Basic {
                username: username.unwrap_or_else(|| text(String::new())),
                password,
            }));
        }
        if let Some(header) = header {
            let at = header.referenced;
            let header = self.keys(header.value, &[], "authorization")?;
            let scheme = header.scheme.unwrap_or_default().trim().to_owned();
            if scheme.eq_ignore_ascii_case("basic") {
                return Err(self.error(at, "the type cannot be Basic: use basic_auth"));
            }
            let scheme = if scheme.is_empty() {
                "Bearer".to_owned()
            } else {
                scheme
            };
            let credentials =
                self.one_of(at, "credentials", [header.credentials, header.credentials_file])?;
            return Ok(Some(Authorization::Header { scheme, credentials }));
        }
        let [in_text, in_file] = bearer.map(|given| given.map(|given| given.value));
        let credentials = in_text.map(text).or(in_file.map(file));
        Ok(credentials.map(|credentials| Authorization::Header {
            scheme: "Bearer".to_owned(),
            credentials: Some(credentials),
        }))
    }

    fn tls(&mut self, tls: Option<Spanned<Keyed<Tls>>>) -> Result<TlsOptions, ConfigError> {
        let Some(tls) = tls else {
            return Ok(TlsOptions::default());
        };
        let at = tls.referenced;
        let tls = self.keys(tls.value, &[], "tls_config")?;
        let [ca, cert, key] = tls.sources;
        let ca = self.one_of(at, "ca", ca)?;
        let identity = match (self.one_of(at, "cert", cert)?, self.one_of(at, "key", key)?) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => return Err(self.error(at, "a certificate and a key: only both can be")),
        };
        if let Some(name) = tls.server_name.as_ref().filter(|name| !name.value.is_empty())
            && ca.is_none()
            && !tls.insecure_skip_verify
        {
            return Err(self.error(
                name.referenced,
                "server_name is supported together with a ca only",
            ));
        }
        let min_version = match tls.min_version.as_ref().map(|text| text.value.as_str()) {
            None | Some("TLS10" | "TLS11" | "TLS12" | "") => TlsVersion::V1_2,
            Some("TLS13") => TlsVersion::V1_3,
            Some(other) => {
                let reason = format!("{other:?} is no version of TLS: expected TLS12 or TLS13");
                return Err(self.error(tls.min_version.map_or(at, |text| text.referenced), reason));
            }
        };
        if let Some(max) = tls.max_version.filter(|max| max.value != "TLS13") {
            let reason = format!("max_version {:?} is not supported here", max.value);
            return Err(self.error(max.referenced, reason));
        }
        Ok(TlsOptions {
            ca,
            identity,
            server_name: tls
                .server_name
                .map(|name| name.value)
                .filter(|name| !name.is_empty()),
            insecure_skip_verify: tls.insecure_skip_verify,
            min_version,
        })
    }
}
