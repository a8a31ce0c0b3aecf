//! The Kubernetes manifests, as far as a supervisor of local processes can follow them.
//!
//! `apps/v1 Deployment` and the `v1 ConfigMap` named `tenant-routes` are read; unknown fields are left alone, as the
//! format asks for, and objects of other kinds are named in a warning.

use super::{process::Probe, rollout::Strategy};
use crate::{
    discovery::Route,
    error::{Error, Result},
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// Largest manifest file, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The ConfigMap with the routes of the tenants.
const ROUTES: &str = "tenant-routes";

/// What a Deployment asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deployment {
    pub(super) service: String,
    pub(super) replicas: usize,
    /// The container's arguments: the role.
    pub(super) arguments: Vec<String>,
    pub(super) version: String,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) memory_limit_bytes: u64,
    pub(super) strategy: Strategy,
    pub(super) readiness: Option<Probe>,
    pub(super) liveness: Option<Probe>,
    pub(super) revision_history_limit: usize,
}

/// Everything in a directory of manifests.
#[derive(Debug)]
pub(super) struct Manifests {
    pub(super) deployments: Vec<Deployment>,
    pub(super) routes: BTreeMap<String, Route>,
    pub(super) warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: String,
    kind: String,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Deserialize)]
struct RawConfigMap {
    data: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct RawDeployment {
    metadata: Metadata,
    spec: RawSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSpec {
    #[serde(default = "one")]
    replicas: usize,
    #[serde(default = "ten")]
    revision_history_limit: usize,
    #[serde(default)]
    strategy: RawStrategy,
    template: RawTemplate,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawStrategy {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    rolling_update: RawRollingUpdate,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRollingUpdate {
    max_surge: Option<Count>,
    max_unavailable: Option<Count>,
}

/// A number of pods, or a percentage of the replicas.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Count {
    Pods(usize),
    Percent(String),
}

#[derive(Deserialize)]
struct RawTemplate {
    spec: RawPodSpec,
}

#[derive(Deserialize)]
struct RawPodSpec {
    containers: Vec<RawContainer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawContainer {
    name: String,
    image: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: Vec<RawVariable>,
    #[serde(default)]
    resources: RawResources,
    readiness_probe: Option<RawProbe>,
    liveness_probe: Option<RawProbe>,
}

#[derive(Deserialize)]
struct RawVariable {
    name: String,
    /// Absent with `valueFrom`: those variables are set by the supervisor itself.
    value: Option<String>,
}

#[derive(Default, Deserialize)]
struct RawResources {
    #[serde(default)]
    limits: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawProbe {
    http_get: Option<RawHttpGet>,
    #[serde(default = "ten_seconds")]
    period_seconds: u64,
    #[serde(default = "one_second")]
    timeout_seconds: u64,
    #[serde(default = "three")]
    failure_threshold: u32,
}

#[derive(Deserialize)]
struct RawHttpGet {
    path: String,
}

const fn one() -> usize {
    1
}
const fn ten() -> usize {
    10
}
const fn ten_seconds() -> u64 {
    10
}
const fn one_second() -> u64 {
    1
}
const fn three() -> u32 {
    3
}

impl Manifests {
    /// Reads every `*.yaml` of the directory, in the order of their names.
    pub(super) fn read(directory: &Path) -> Result<Self> {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(directory)
            .map_err(Error::file(directory))?
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "yaml" || e == "yml"))
            .collect();
        paths.sort();
        let mut manifests = Self {
            deployments: Vec::new(),
            routes: BTreeMap::new(),
            warnings: Vec::new(),
        };
        for path in paths {
            let length = path.metadata().map_err(Error::file(&path))?.len();
            if length > MAX_FILE_BYTES {
                let message = format!("{length} bytes; a manifest may have at most {MAX_FILE_BYTES}");
                return Err(Error::Manifests { path, message });
            }
            let text = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
            manifests.read_file(&path, &text)?;
        }
        if manifests.deployments.is_empty() {
            let message = "no apps/v1 Deployment found; name a directory of Kubernetes manifests".to_owned();
            return Err(Error::Manifests {
                path: directory.to_owned(),
                message,
            });
        }
        Ok(manifests)
    }

    fn read_file(&mut self, path: &Path, text: &str) -> Result<()> {
        for (first_line, document) in documents(text) {
            let head: Head = parse(path, first_line, document)?;
            match (head.api_version.as_str(), head.kind.as_str()) {
                ("apps/v1", "Deployment") => {
                    let raw: RawDeployment = parse(path, first_line, document)?;
                    self.deployments.push(raw.read(path, first_line)?);
                }
                ("v1", "ConfigMap") if head.metadata.name == ROUTES => {
                    let raw: RawConfigMap = parse(path, first_line, document)?;
                    for text in raw.data.values() {
                        self.routes
                            .extend(parse::<BTreeMap<String, Route>>(path, first_line, text)?);
                    }
                }
                (version, kind) => self.warnings.push(format!(
                    "{}:{first_line}: {version} {kind} {} has no meaning for local processes and is left out",
                    path.display(),
                    head.metadata.name
                )),
            }
        }
        Ok(())
    }
}

/// The documents of a file with the number of their first line.
fn documents(text: &str) -> Vec<(u64, &str)> {
    let mut documents = Vec::new();
    let (mut start, mut first_line, mut offset) = (0, 1, 0);
    for (number, line) in (1u64..).zip(text.split_inclusive('\n')) {
        if line.trim_end() == "---" {
            documents.push((first_line, &text[start..offset]));
            start = offset + line.len();
            first_line = number + 1;
        }
        offset += line.len();
    }
    documents.push((first_line, &text[start..]));
    let blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    documents.retain(|(_, document)| !document.lines().all(blank));
    documents
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path, first_line: u64, text: &str) -> Result<T> {
    serde_saphyr::from_str(text).map_err(|error| {
        let error = error.without_snippet();
        let at = error.location();
        Error::Manifest {
            path: path.to_owned(),
            line: first_line + at.map_or(0, |at| at.line().saturating_sub(1)),
            column: at.map_or(1, |at| at.column()),
            message: error.to_string(),
        }
    })
}

impl RawDeployment {
    fn read(self, path: &Path, line: u64) -> Result<Deployment> {
        let service = self.metadata.name;
        let wrong = |message: String| Error::Manifest {
            path: path.to_owned(),
            line,
            column: 1,
            message,
        };
        let mut containers = self.spec.template.spec.containers;
        if containers.len() != 1 {
            return Err(wrong(format!(
                "{service}: one container is expected, there are {}",
                containers.len()
            )));
        }
        let container = containers.swap_remove(0);
        let Some((_, version)) = container
            .image
            .rsplit_once(':')
            .filter(|(_, tag)| !tag.contains('/'))
        else {
            let name = container.name;
            return Err(wrong(format!(
                "{service}: image of container {name} has no tag; add one, such as :v1.5.0"
            )));
        };
        version.parse::<crate::version::Version>().map_err(&wrong)?;
        if container.args.is_empty() {
            return Err(wrong(format!(
                "{service}: args must name the role, such as [payment]"
            )));
        }
        let limit = container
            .resources
            .limits
            .get("memory")
            .map_or("512Mi", String::as_str);
        let memory_limit_bytes = bytes(limit)
            .ok_or_else(|| wrong(format!("{service}: memory limit {limit:?} is not a quantity")))?;
        let replicas = self.spec.replicas;
        Ok(Deployment {
            replicas,
            version: version.to_owned(),
            arguments: container.args,
            environment: container
                .env
                .into_iter()
                .filter_map(|v| Some((v.name, v.value?)))
                .collect(),
            memory_limit_bytes,
            strategy: self
                .spec
                .strategy
                .read(replicas)
                .map_err(|m| wrong(format!("{service}: {m}")))?,
            readiness: container.readiness_probe.and_then(RawProbe::read),
            liveness: container.liveness_probe.and_then(RawProbe::read),
            revision_history_limit: self.spec.revision_history_limit,
            service,
        })
    }
}

impl RawStrategy {
    fn read(self, replicas: usize) -> std::result::Result<Strategy, String> {
        match self.kind.as_deref() {
            Some("Recreate") => Ok(Strategy::Recreate),
            None | Some("RollingUpdate") => {
                let quarter = || Count::Percent("25%".to_owned());
                let max_surge = self
                    .rolling_update
                    .max_surge
                    .unwrap_or_else(quarter)
                    .pods(replicas, true)?;
                let max_unavailable = self
                    .rolling_update
                    .max_unavailable
                    .unwrap_or_else(quarter)
                    .pods(replicas, false)?;
                if max_surge == 0 && max_unavailable == 0 {
                    return Err("maxSurge and maxUnavailable must not both be 0".to_owned());
                }
                Ok(Strategy::Rolling {
                    max_surge,
                    max_unavailable,
                })
            }
            Some(other) => Err(format!(
                "strategy {other:?} is neither RollingUpdate nor Recreate"
            )),
        }
    }
}

impl Count {
    /// Percentages round up for a surge and down for what may be missing, as Kubernetes does.
    fn pods(self, replicas: usize, up: bool) -> std::result::Result<usize, String> {
        match self {
            Self::Pods(pods) => Ok(pods),
            Self::Percent(text) => {
                let percent: usize = text
                    .strip_suffix('%')
                    .and_then(|digits| digits.parse().ok())
                    .ok_or_else(|| format!("{text:?} is neither a number nor a percentage"))?;
                let hundredths = replicas.saturating_mul(percent);
                Ok(if up {
                    hundredths.div_ceil(100)
                } else {
                    hundredths / 100
                })
            }
        }
    }
}

impl RawProbe {
    fn read(self) -> Option<Probe> {
        Some(Probe {
            path: self.http_get?.path,
            period: Duration::from_secs(self.period_seconds.max(1)),
            timeout: Duration::from_secs(self.timeout_seconds.max(1)),
            failure_threshold: self.failure_threshold.max(1),
        })
    }
}

/// A quantity of bytes: a number with an optional suffix.
fn bytes(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, suffix) = text.split_at(split);
    let factor: u64 = match suffix {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Manifests> {
        let mut manifests = Manifests {
            deployments: vec![],
            routes: BTreeMap::new(),
            warnings: vec![],
        };
        manifests.read_file(Path::new("a.yaml"), text).map(|()| manifests)
    }

    const DEPLOYMENT: &str = "# comment\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: fraud-service}\n\
        spec:\n  replicas: 3\n  template:\n    spec:\n      containers:\n      - name: fraud\n        image: r.io:5000/fraud:v1.2.3\n\
        \x20       args: [fraud]\n        unheard: of\n        resources: {limits: {memory: 64Mi}}\n";

    #[test]
    fn a_deployment_with_defaults() {
        let manifests = read(DEPLOYMENT).expect("manifest");
        let one = &manifests.deployments[0];
        assert_eq!(
            (one.service.as_str(), one.version.as_str(), one.replicas),
            ("fraud-service", "v1.2.3", 3)
        );
        assert_eq!(
            one.strategy,
            Strategy::Rolling {
                max_surge: 1,
                max_unavailable: 0
            }
        );
        assert_eq!(one.memory_limit_bytes, 64 << 20);
    }

    #[test]
    fn faults_have_a_position_and_foreign_kinds_a_warning() {
        let error = read(&DEPLOYMENT.replace("replicas: 3", "replicas: many")).expect_err("not a number");
        assert!(error.to_string().starts_with("a.yaml:7:13: "), "{error}");
        let error = read(&DEPLOYMENT.replace("fraud:v1.2.3", "fraud")).expect_err("no tag");
        assert!(error.to_string().contains("add one, such as :v1.5.0"), "{error}");
        let warned = read("apiVersion: v1\nkind: Service\nmetadata: {name: a}\n").expect("warning only");
        assert!(
            warned.warnings[0].starts_with("a.yaml:1: v1 Service a has no meaning"),
            "{:?}",
            warned.warnings
        );
    }
}
