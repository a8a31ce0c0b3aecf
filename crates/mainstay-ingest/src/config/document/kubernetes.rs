//! Elements of `kubernetes_sd_configs`.

use std::collections::BTreeMap;

use serde::de::MapAccess;
use serde_saphyr::Spanned;

use super::http::{HTTP_KEYS, Http};
use super::{Check, Fields, Keyed, next};
use crate::config::{ConfigError, HttpOptions};
use crate::discovery::{KubernetesDiscovery, KubernetesRole, KubernetesSelector};

#[derive(Default)]
pub(super) struct KubernetesKeys {
    role: Option<Spanned<String>>,
    api_server: Option<Spanned<String>>,
    kubeconfig: Option<Spanned<String>>,
    namespaces: Option<Keyed<Namespaces>>,
    selectors: Vec<Spanned<Keyed<Selector>>>,
    attach: Option<Keyed<Attach>>,
    http: Http,
}

impl Fields for KubernetesKeys {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "role" => self.role = map.next_value()?,
            "api_server" => self.api_server = map.next_value()?,
            "kubeconfig_file" => self.kubeconfig = map.next_value()?,
            "namespaces" => self.namespaces = map.next_value()?,
            "selectors" => self.selectors = next(map)?,
            "attach_metadata" => self.attach = map.next_value()?,
            _ => return self.http.field(key, map),
        }
        Ok(true)
    }
}

#[derive(Default)]
struct Namespaces {
    names: Vec<String>,
    own: Option<Spanned<bool>>,
}

impl Fields for Namespaces {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "names" => self.names = next(map)?,
            "own_namespace" => self.own = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[derive(Default)]
struct Selector {
    role: Option<Spanned<String>>,
    label: String,
    field: String,
}

impl Fields for Selector {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "role" => self.role = map.next_value()?,
            "label" => self.label = next(map)?,
            "field" => self.field = next(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[derive(Default)]
struct Attach {
    node: bool,
    namespace: Option<Spanned<bool>>,
}

impl Fields for Attach {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "node" => self.node = next(map)?,
            "namespace" => self.namespace = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Check<'_> {
    pub(super) fn kubernetes_discovery(
        &mut self,
        all: Vec<Spanned<Keyed<KubernetesKeys>>>,
    ) -> Result<Vec<KubernetesDiscovery>, ConfigError> {
        all.into_iter().map(|keyed| self.kubernetes(keyed)).collect()
    }

    fn kubernetes(
        &mut self,
        keyed: Spanned<Keyed<KubernetesKeys>>,
    ) -> Result<KubernetesDiscovery, ConfigError> {
        let at = keyed.referenced;
        let known = [HTTP_KEYS, &["preferred_node_address_types"]].concat();
        let keys = self.keys(keyed.value, &known, "kubernetes_sd_configs")?;
        let role = keys
            .role
            .ok_or_else(|| self.error(at, "kubernetes_sd_configs need a role"))?;
        let role = self.kubernetes_role(&role)?;
        if let Some(file) = keys.kubeconfig.filter(|file| !file.value.is_empty()) {
            return Err(self.error(
                file.referenced,
                "kubeconfig_file is not supported here: name the api_server and how to speak to it",
            ));
        }
        let http = self.http(keys.http)?;
        if let Some(url) = &keys.api_server
            && reqwest::Url::parse(&url.value).is_err()
        {
            return Err(self.error(url.referenced, format!("{:?} is no URL", url.value)));
        }
        if keys.api_server.is_none() && http != HttpOptions::default() {
            return Err(self.error(
                at,
                "how to speak to the API server can be said together with api_server only",
            ));
        }
        let mut namespaces = Vec::new();
        if let Some(given) = keys.namespaces {
            let given = self.keys(given, &[], "namespaces")?;
            if let Some(own) = given.own.filter(|own| own.value) {
                return Err(self.error(own.referenced, "own_namespace is not supported here: name it"));
            }
            namespaces = given.names;
        }
        let mut selectors = BTreeMap::new();
        for keyed in keys.selectors {
            let at = keyed.referenced;
            let selector = self.keys(keyed.value, &[], "selectors")?;
            let of = selector
                .role
                .ok_or_else(|| self.error(at, "a selector needs a role"))?;
            let kind = self.kubernetes_role(&of)?;
            if !role.kinds().contains(&kind) {
                return Err(self.error(
                    of.referenced,
                    format!("nothing of {} is looked at here", of.value),
                ));
            }
            let wanted = KubernetesSelector {
                label: selector.label,
                field: selector.field,
            };
            if selectors.insert(kind, wanted).is_some() {
                return Err(self.error(of.referenced, format!("a second selector for {}", of.value)));
            }
        }
        let mut attach_node = false;
        if let Some(attach) = keys.attach {
            let attach = self.keys(attach, &[], "attach_metadata")?;
            if let Some(namespace) = attach.namespace.filter(|namespace| namespace.value) {
                return Err(self.error(
                    namespace.referenced,
                    "the labels of namespaces are not supported here",
                ));
            }
            attach_node = attach.node;
        }
        Ok(KubernetesDiscovery {
            role,
            api_server: keys.api_server.map(|url| url.value),
            namespaces,
            selectors,
            attach_node,
            http,
        })
    }

    fn kubernetes_role(&self, name: &Spanned<String>) -> Result<KubernetesRole, ConfigError> {
        let known = KubernetesRole::NAMED
            .iter()
            .find(|(known, _)| *known == name.value);
        known.map(|(_, role)| *role).ok_or_else(|| {
            let names: Vec<&str> = KubernetesRole::NAMED.iter().map(|(name, _)| *name).collect();
            let reason = format!("{:?} is no role: expected {}", name.value, names.join(", "));
            self.error(name.referenced, reason)
        })
    }
}
