//! Elements of `file_sd_configs`, `http_sd_configs` and `dns_sd_configs`.

use std::path::PathBuf;
use std::time::Duration;

use serde::de::MapAccess;
use serde_saphyr::Spanned;

use super::http::{HTTP_KEYS, Http};
use super::{Check, Fields, Keyed, next};
use crate::config::ConfigError;
use crate::discovery::{DnsDiscovery, HttpDiscovery, RecordType};

#[derive(Default)]
pub(super) struct FileKeys {
    files: Vec<Spanned<String>>,
}

impl Fields for FileKeys {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "files" => self.files = next(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[derive(Default)]
pub(super) struct HttpKeys {
    url: Option<Spanned<String>>,
    refresh_interval: Option<Spanned<String>>,
    http: Http,
}

impl Fields for HttpKeys {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "url" => self.url = map.next_value()?,
            "refresh_interval" => self.refresh_interval = map.next_value()?,
            _ => return self.http.field(key, map),
        }
        Ok(true)
    }
}

#[derive(Default)]
pub(super) struct DnsKeys {
    names: Vec<String>,
    refresh_interval: Option<Spanned<String>>,
    kind: Option<Spanned<String>>,
    port: u16,
}

impl Fields for DnsKeys {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "names" => self.names = next(map)?,
            "refresh_interval" => self.refresh_interval = map.next_value()?,
            "type" => self.kind = map.next_value()?,
            "port" => self.port = next(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Check<'_> {
    pub(super) fn files(&mut self, keyed: Keyed<FileKeys>) -> Result<Vec<PathBuf>, ConfigError> {
        let files = self.keys(keyed, &["refresh_interval"], "file_sd_configs")?.files;
        for file in &files {
            // One star, in the last part, before an ending that Prometheus knows.
            let ending = [".json", ".yml", ".yaml"]
                .iter()
                .any(|end| file.value.ends_with(end));
            let (folder, name) = file.value.rsplit_once('/').unwrap_or(("", &file.value));
            if !ending || folder.contains('*') || name.matches('*').count() > 1 {
                let reason = format!(
                    "{:?} is no path of target files: it ends in .json, .yml or .yaml, and has one * at most, in the last part",
                    file.value
                );
                return Err(self.error(file.referenced, reason));
            }
        }
        Ok(files.into_iter().map(|file| PathBuf::from(file.value)).collect())
    }

    pub(super) fn http_discovery(
        &mut self,
        all: Vec<Spanned<Keyed<HttpKeys>>>,
    ) -> Result<Vec<HttpDiscovery>, ConfigError> {
        all.into_iter()
            .map(|keyed| {
                let at = keyed.referenced;
                let keys = self.keys(keyed.value, HTTP_KEYS, "http_sd_configs")?;
                let url = keys
                    .url
                    .ok_or_else(|| self.error(at, "http_sd_configs need a url"))?;
                let parsed = reqwest::Url::parse(&url.value);
                if !parsed.is_ok_and(|parsed| matches!(parsed.scheme(), "http" | "https")) {
                    let reason = format!("{:?} is no http or https URL", url.value);
                    return Err(self.error(url.referenced, reason));
                }
                let refresh = self.duration(keys.refresh_interval.as_ref())?;
                Ok(HttpDiscovery {
                    url: url.value,
                    http: self.http(keys.http)?,
                    refresh: refresh.unwrap_or(Duration::from_secs(60)),
                })
            })
            .collect()
    }

    pub(super) fn dns_discovery(
        &mut self,
        all: Vec<Spanned<Keyed<DnsKeys>>>,
    ) -> Result<Vec<DnsDiscovery>, ConfigError> {
        all.into_iter()
            .map(|keyed| {
                let at = keyed.referenced;
                let keys = self.keys(keyed.value, &[], "dns_sd_configs")?;
                if keys.names.is_empty() {
                    return Err(self.error(at, "dns_sd_configs need at least one name"));
                }
                let record = match &keys.kind {
                    None => RecordType::Srv,
                    Some(kind) => match kind.value.to_ascii_uppercase().as_str() {
                        "SRV" => RecordType::Srv,
                        "A" => RecordType::A,
                        "AAAA" => RecordType::Aaaa,
                        "MX" => RecordType::Mx,
                        "NS" => RecordType::Ns,
                        _ => {
                            let reason =
                                format!("{:?} is no type: expected SRV, A, AAAA, MX or NS", kind.value);
                            return Err(self.error(kind.referenced, reason));
                        }
                    },
                };
                if record != RecordType::Srv && keys.port == 0 {
                    return Err(self.error(at, "a port is needed for all types but SRV"));
                }
                let refresh = self.duration(keys.refresh_interval.as_ref())?;
                Ok(DnsDiscovery {
                    names: keys.names,
                    record,
                    port: keys.port,
                    refresh: refresh.unwrap_or(Duration::from_secs(30)),
                })
            })
            .collect()
    }
}
