//! The state of the supervisor: what is wanted of every service in every cell, and the pods that run.

use super::{
    manifest::{Deployment, Manifests},
    process::{Process, Spec},
    rollout::{Seen, plan},
    spool::{Change, Kind, Spool, write_durably},
};
use crate::{
    clock,
    discovery::{Endpoint, Route, Topology},
    error::{Error, Result},
    log::Logger,
    model::service,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};
use tokio::sync::{Notify, watch};

/// One revision of a deployment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Revision {
    pub(super) revision: u64,
    pub(super) version: String,
    pub(super) at: String,
    pub(super) cause: String,
}

/// What is kept over a restart of the supervisor.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Wanted {
    manifest_version: String,
    replicas: usize,
    revisions: Vec<Revision>,
}

#[derive(Default, Serialize, Deserialize)]
struct Kept {
    deployments: BTreeMap<String, Wanted>,
    routes: BTreeMap<String, Route>,
}

/// A pod of a deployment.
pub(super) struct Pod {
    pub(super) name: String,
    pub(super) revision: u64,
    pub(super) version: String,
    pub(super) process: Process,
}

/// A service in a cell.
pub(super) struct Service {
    pub(super) cell: String,
    pub(super) manifest: Deployment,
    pub(super) replicas: usize,
    pub(super) revisions: Vec<Revision>,
    pub(super) pods: Vec<Pod>,
}

impl Service {
    pub(super) fn current(&self) -> Option<&Revision> {
        self.revisions.last()
    }

    pub(super) fn version(&self) -> &str {
        self.current().map_or("", |revision| &revision.version)
    }

    pub(super) fn revision(&self) -> u64 {
        self.current().map_or(0, |revision| revision.revision)
    }

    pub(super) fn ready(&self) -> usize {
        self.pods.iter().filter(|pod| pod.process.status().ready).count()
    }

    /// Pods of the wanted revision that are ready, when nothing else is left to do.
    pub(super) fn rolled_out(&self) -> bool {
        let current = self.revision();
        self.pods.len() == self.replicas
            && self
                .pods
                .iter()
                .all(|pod| pod.revision == current && pod.process.status().ready)
    }
}

/// Why a change was refused.
#[derive(Debug)]
pub(super) enum Refusal {
    NotFound(String),
    Invalid(String),
    /// The change could not be made durable, so it was not made.
    Failed(Error),
}

/// How pods are started.
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) prefix: Vec<String>,
    pub(super) data: PathBuf,
    pub(super) discovery: String,
    pub(super) gateway_listen: BTreeMap<String, String>,
}

/// Everything the supervisor knows.
pub(super) struct Cluster {
    pub(super) services: BTreeMap<(String, String), Service>,
    pub(super) routes: BTreeMap<String, Route>,
    pub(super) changed: Arc<Notify>,
    pub(super) topologies: BTreeMap<String, watch::Sender<Arc<Topology>>>,
    launch: Launch,
    spool: Spool,
    log: Arc<Logger>,
    started: u64,
    stopping: bool,
}

impl Cluster {
    pub(super) fn new(
        cells: &[String],
        manifests: &Manifests,
        launch: Launch,
        spool: Spool,
        log: Arc<Logger>,
    ) -> Result<Self> {
        let kept = read_kept(&launch.data)?;
        let mut cluster = Self {
            services: BTreeMap::new(),
            routes: manifests.routes.clone(),
            changed: Arc::new(Notify::new()),
            topologies: cells
                .iter()
                .map(|cell| (cell.clone(), watch::Sender::new(Arc::default())))
                .collect(),
            launch,
            spool,
            log,
            started: 0,
            stopping: false,
        };
        // A move of a tenant outlives the file that said where it lived first.
        for (tenant, route) in kept.routes {
            if cluster
                .routes
                .get(&tenant)
                .is_some_and(|first| first.epoch < route.epoch)
            {
                cluster.routes.insert(tenant, route);
            }
        }
        for cell in cells {
            for manifest in &manifests.deployments {
                let key = format!("{cell}/{}", manifest.service);
                cluster.add(cell, manifest, kept.deployments.get(&key).cloned())?;
            }
        }
        cluster.keep()?;
        Ok(cluster)
    }

    fn add(&mut self, cell: &str, manifest: &Deployment, kept: Option<Wanted>) -> Result<()> {
        let mut service = Service {
            cell: cell.to_owned(),
            manifest: manifest.clone(),
            replicas: kept.as_ref().map_or(manifest.replicas, |kept| kept.replicas),
            revisions: kept.as_ref().map_or_else(Vec::new, |kept| kept.revisions.clone()),
            pods: Vec::new(),
        };
        let changed_in_file = kept.is_some_and(|kept| kept.manifest_version != manifest.version);
        if service.revisions.is_empty() {
            push(&mut service, &manifest.version, "manifest");
        } else if changed_in_file && service.version() != manifest.version {
            let change = change(&service, &manifest.version, "changed in the manifest".to_owned());
            self.spool.add(Kind::Deploy, &change)?;
            push(&mut service, &manifest.version, "manifest");
        }
        self.services
            .insert((cell.to_owned(), manifest.service.clone()), service);
        Ok(())
    }

    fn service(&mut self, cell: &str, name: &str) -> std::result::Result<&mut Service, Refusal> {
        self.services
            .get_mut(&(cell.to_owned(), name.to_owned()))
            .ok_or_else(|| Refusal::NotFound(format!("no deployment {name} in {cell}")))
    }

    /// Makes `version` the wanted one. Nothing happens when it is that already.
    pub(super) fn deploy(
        &mut self,
        cell: &str,
        name: &str,
        version: &str,
        summary: Option<String>,
    ) -> Changed {
        let version: crate::version::Version = version.parse().map_err(Refusal::Invalid)?;
        let version = version.to_string();
        let service = self.service(cell, name)?;
        let from = service.version().to_owned();
        if from == version {
            return Ok(None);
        }
        let summary = summary.unwrap_or_else(|| format!("deploy {name} {version} (was {from}) to {cell}"));
        self.change(Kind::Deploy, cell, name, &version, summary, "deploy")
    }

    /// Goes back to the version before the current one, or to that of a revision in the history.
    pub(super) fn undo(&mut self, cell: &str, name: &str, to: Option<u64>) -> Changed {
        let service = self.service(cell, name)?;
        let current = service.version().to_owned();
        let target = match to {
            Some(number) => service.revisions.iter().find(|r| r.revision == number),
            None => service.revisions.iter().rev().find(|r| r.version != current),
        };
        let Some(target) = target else {
            return Err(Refusal::Invalid(format!(
                "{name} in {cell} has no such earlier revision to go back to"
            )));
        };
        let (version, number) = (target.version.clone(), target.revision);
        let summary = format!("roll back {name} from {current} to {version} (revision {number}) in {cell}");
        self.change(Kind::Rollback, cell, name, &version, summary, "rollback")
    }

    /// Replaces every pod by one of the same version.
    pub(super) fn restart(&mut self, cell: &str, name: &str) -> Changed {
        let version = self.service(cell, name)?.version().to_owned();
        self.change(
            Kind::Configuration,
            cell,
            name,
            &version,
            format!("restart {name} in {cell}"),
            "restart",
        )
    }

    pub(super) fn scale(&mut self, cell: &str, name: &str, replicas: usize) -> Changed {
        if replicas > 20 {
            return Err(Refusal::Invalid("replicas must be 0 to 20".to_owned()));
        }
        let service = self.service(cell, name)?;
        let before = service.replicas;
        if before == replicas {
            return Ok(None);
        }
        let summary = format!("scale {name} in {cell} from {before} to {replicas} replicas");
        let record = change(service, service.version(), summary);
        let id = self
            .spool
            .add(Kind::Configuration, &record)
            .map_err(Refusal::Failed)?;
        self.service(cell, name)?.replicas = replicas;
        self.keep().map_err(Refusal::Failed)?;
        self.changed.notify_one();
        Ok(Some(id))
    }

    /// Moves a tenant to a cell, or only fences off those who know its old route.
    pub(super) fn move_tenant(&mut self, tenant: &str, cell: &str) -> Changed {
        if !self.topologies.contains_key(cell) {
            return Err(Refusal::Invalid(format!("cell {cell} is not run here")));
        }
        let Some(route) = self.routes.get(tenant).cloned() else {
            return Err(Refusal::NotFound(format!("no tenant {tenant}")));
        };
        let record = Change {
            cell: cell.to_owned(),
            service: service::GATEWAY.to_owned(),
            from_version: format!("epoch {}", route.epoch),
            to_version: format!("epoch {}", route.epoch + 1),
            summary: format!("route tenant {tenant} from {} to {cell}", route.cell),
            revision: route.epoch + 1,
        };
        let id = self
            .spool
            .add(Kind::Configuration, &record)
            .map_err(Refusal::Failed)?;
        let moved = Route {
            cell: cell.to_owned(),
            epoch: route.epoch + 1,
            ..route
        };
        self.routes.insert(tenant.to_owned(), moved);
        self.keep().map_err(Refusal::Failed)?;
        self.changed.notify_one();
        Ok(Some(id))
    }

    fn change(
        &mut self,
        kind: Kind,
        cell: &str,
        name: &str,
        version: &str,
        summary: String,
        cause: &str,
    ) -> Changed {
        let record = change(self.service(cell, name)?, version, summary);
        self.log.info(&record.summary);
        let id = self.spool.add(kind, &record).map_err(Refusal::Failed)?;
        push(self.service(cell, name)?, version, cause);
        self.keep().map_err(Refusal::Failed)?;
        self.changed.notify_one();
        Ok(Some(id))
    }

    /// Takes every pod one step towards what is wanted and publishes who is ready.
    pub(super) fn reconcile(&mut self) {
        let keys: Vec<(String, String)> = self.services.keys().cloned().collect();
        for key in keys {
            let Some(service) = self.services.get_mut(&key) else {
                continue;
            };
            service.pods.retain(|pod| !pod.process.status().ended);
            let current = service.revision();
            let seen: Vec<Seen> = service
                .pods
                .iter()
                .map(|pod| {
                    let status = pod.process.status();
                    Seen {
                        current: pod.revision == current,
                        ready: status.ready,
                        stopping: status.stopping,
                    }
                })
                .collect();
            let replicas = if self.stopping { 0 } else { service.replicas };
            let step = plan(replicas, service.manifest.strategy, &seen);
            for position in step.stop {
                service.pods[position].process.stop();
            }
            for _ in 0..step.start {
                self.start_pod(&key);
            }
        }
        self.publish();
    }

    fn start_pod(&mut self, key: &(String, String)) {
        self.started += 1;
        let Some(service) = self.services.get_mut(key) else {
            return;
        };
        let (cell, manifest, revision) = (&service.cell, &service.manifest, service.revision());
        let version = service.version().to_owned();
        let unique =
            crate::model::request_hash(format!("{cell} {} {}", self.started, clock::unix_ms()).as_bytes());
        let template = crate::model::request_hash(format!("{cell} {revision} {version}").as_bytes());
        let name = format!("{}-{}-{}", manifest.service, &template[..8], &unique[..5]);
        let mut environment = manifest.environment.clone();
        let data = &self.launch.data;
        environment.extend([
            ("PAYD_POD".to_owned(), name.clone()),
            ("PAYD_CELL".to_owned(), cell.clone()),
            ("PAYD_VERSION".to_owned(), version.clone()),
            ("PAYD_DISCOVERY".to_owned(), self.launch.discovery.clone()),
            (
                "PAYD_DB".to_owned(),
                super::database(data, cell).display().to_string(),
            ),
            (
                "PAYD_MEMORY_LIMIT_BYTES".to_owned(),
                manifest.memory_limit_bytes.to_string(),
            ),
        ]);
        let spec = Spec {
            program: self.launch.program.clone(),
            arguments: self
                .launch
                .prefix
                .iter()
                .chain(&manifest.arguments)
                .cloned()
                .collect(),
            environment,
            listen: (manifest.service == service::GATEWAY)
                .then(|| self.launch.gateway_listen.get(cell).cloned())
                .flatten(),
            log_file: super::logs(data).join(format!("{name}.log")),
            readiness: manifest.readiness.clone(),
            liveness: manifest.liveness.clone(),
        };
        let process = Process::start(spec, Arc::clone(&self.changed), Arc::clone(&self.log));
        service.pods.push(Pod {
            name,
            revision,
            version,
            process,
        });
    }

    fn publish(&self) {
        for (cell, sender) in &self.topologies {
            let mut services: BTreeMap<String, Vec<Endpoint>> = BTreeMap::new();
            for service in self.services.values().filter(|service| service.cell == *cell) {
                let endpoints = service.pods.iter().filter_map(|pod| {
                    let status = pod.process.status();
                    let address = status.address.filter(|_| status.ready)?;
                    Some(Endpoint {
                        pod: pod.name.clone(),
                        address,
                    })
                });
                services.insert(service.manifest.service.clone(), endpoints.collect());
            }
            sender.send_if_modified(|topology| {
                let changed = topology.generation == 0
                    || topology.services != services
                    || topology.tenants != self.routes;
                if changed {
                    let generation = topology.generation + 1;
                    *topology = Arc::new(Topology {
                        generation,
                        services,
                        tenants: self.routes.clone(),
                    });
                }
                changed
            });
        }
    }

    /// Wants no pods any more. Returns whether all have ended.
    pub(super) fn stop(&mut self) -> bool {
        self.stopping = true;
        self.reconcile();
        self.services.values().all(|service| service.pods.is_empty())
    }

    fn keep(&self) -> Result<()> {
        let deployments = self.services.iter().map(|((cell, name), service)| {
            let wanted = Wanted {
                manifest_version: service.manifest.version.clone(),
                replicas: service.replicas,
                revisions: service.revisions.clone(),
            };
            (format!("{cell}/{name}"), wanted)
        });
        let kept = Kept {
            deployments: deployments.collect(),
            routes: self.routes.clone(),
        };
        let document = serde_json::to_vec_pretty(&kept).unwrap_or_default();
        write_durably(&kept_file(&self.launch.data), &document)
    }
}

/// The id of the event that records the change; `None` when there was nothing to change.
pub(super) type Changed = std::result::Result<Option<String>, Refusal>;

fn push(service: &mut Service, version: &str, cause: &str) {
    let revision = service.revision() + 1;
    let at = clock::rfc3339(clock::unix_ms());
    service.revisions.push(Revision {
        revision,
        version: version.to_owned(),
        at,
        cause: cause.to_owned(),
    });
    // The limit counts old revisions, the current one comes on top.
    let surplus = service
        .revisions
        .len()
        .saturating_sub(service.manifest.revision_history_limit + 1);
    service.revisions.drain(..surplus);
}

fn change(service: &Service, to_version: &str, summary: String) -> Change {
    Change {
        cell: service.cell.clone(),
        service: service.manifest.service.clone(),
        from_version: service.version().to_owned(),
        to_version: to_version.to_owned(),
        summary,
        revision: service.revision() + 1,
    }
}

fn kept_file(data: &std::path::Path) -> PathBuf {
    data.join("supervisor.json")
}

fn read_kept(data: &std::path::Path) -> Result<Kept> {
    let path = kept_file(data);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| Error::Manifest {
            path,
            line: error.line() as u64,
            column: error.column() as u64,
            message: format!("{error}; remove the file to start from the manifests"),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Kept::default()),
        Err(error) => Err(Error::file(path)(error)),
    }
}
