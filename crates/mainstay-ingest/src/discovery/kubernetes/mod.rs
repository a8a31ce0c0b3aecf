//! Discovery by the Kubernetes API: `kubernetes_sd_configs`. What is there is listed once and then watched; targets and
//! their `__meta_kubernetes_…` labels are those of Prometheus.

mod labels;
mod objects;
mod targets;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use self::objects::Object;
use self::targets::groups;
use self::watch::{Change, Watch};
use super::DiscoveryError;
use crate::config::http::{Authorization, HttpSettings, Source};
use crate::config::{HttpOptions, TargetGroup};
use crate::http_client::HttpClient;

/// How far apart two looks at what was found are at least: changes come in swarms.
const SETTLE: Duration = Duration::from_millis(500);
/// How many changes may wait.
const CHANGES_MAX: usize = 1024;

/// What is discovered, and what is listed and watched for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KubernetesRole {
    /// Nodes: their kubelets.
    Node,
    /// Ports of containers.
    Pod,
    /// Ports of services.
    Service,
    /// Endpoints of services (the older form).
    Endpoints,
    /// Endpoints of services.
    EndpointSlice,
    /// Paths of ingresses.
    Ingress,
}

impl KubernetesRole {
    /// All of them, with their names in a configuration.
    pub const NAMED: [(&'static str, Self); 6] = [
        ("node", Self::Node),
        ("pod", Self::Pod),
        ("service", Self::Service),
        ("endpoints", Self::Endpoints),
        ("endpointslice", Self::EndpointSlice),
        ("ingress", Self::Ingress),
    ];

    /// The kinds of objects that are needed for it.
    #[must_use]
    pub fn kinds(self) -> &'static [Self] {
        match self {
            Self::Node => &[Self::Node],
            Self::Pod => &[Self::Pod],
            Self::Service => &[Self::Service],
            Self::Endpoints => &[Self::Endpoints, Self::Service, Self::Pod],
            Self::EndpointSlice => &[Self::EndpointSlice, Self::Service, Self::Pod],
            Self::Ingress => &[Self::Ingress],
        }
    }
}

/// Which objects of a kind are wanted: `selectors`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KubernetesSelector {
    /// By label, as `kubectl -l` has it.
    pub label: String,
    /// By field, as `kubectl --field-selector` has it.
    pub field: String,
}

/// An element of `kubernetes_sd_configs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesDiscovery {
    /// What is discovered.
    pub role: KubernetesRole,
    /// `api_server`; without it that of the cluster that this process runs in: see [`in_cluster`](Self::in_cluster).
    pub api_server: Option<String>,
    /// `namespaces.names`; none are all.
    pub namespaces: Vec<String>,
    /// `selectors`
    pub selectors: BTreeMap<KubernetesRole, KubernetesSelector>,
    /// `attach_metadata.node`: whether pods and endpoints get the labels of their nodes.
    pub attach_node: bool,
    /// How the API server is spoken to.
    pub http: HttpOptions,
}

impl KubernetesDiscovery {
    /// The same with the API server of the cluster that this process runs in as a pod, whose host and port Kubernetes
    /// gives it in `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`. One that names a server stays as it is.
    #[must_use]
    pub fn in_cluster(mut self, host: &str, port: &str) -> Self {
        if self.api_server.is_none() {
            let account = PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount");
            let host = if host.contains(':') {
                format!("[{host}]")
            } else {
                host.to_owned()
            };
            self.api_server = Some(format!("https://{host}:{port}"));
            self.http.tls.ca = Some(Source::File(account.join("ca.crt")));
            self.http.authorization = Some(Authorization::Header {
                scheme: "Bearer".to_owned(),
                credentials: Some(Source::File(account.join("token"))),
            });
        }
        self
    }

    /// Follows what is there, and hands all of it out when it is first known and whenever it has changed. `settings`
    /// are its [`http`](Self::http) with everything read that that names.
    ///
    /// It goes on until the future is dropped, or the API server cannot be asked: it gives why. What was handed out
    /// still holds then; the caller reads the settings anew (tokens run out) and begins again after a while.
    pub async fn follow(
        &self,
        settings: &HttpSettings,
        mut on_groups: impl FnMut(Vec<TargetGroup>),
    ) -> DiscoveryError {
        let Some(server) = self.api_server.as_deref() else {
            let reason = "there is no api_server, and this process does not run in a cluster";
            return DiscoveryError(reason.to_owned());
        };
        let client = match HttpClient::new(settings) {
            Ok(client) => client,
            Err(reason) => return DiscoveryError(reason),
        };
        let (sender, mut changes) = mpsc::channel(CHANGES_MAX);
        // They end when this future does.
        let mut watches = JoinSet::new();
        let mut unknown = 0;
        for watch in self.watches(server, &client) {
            unknown += 1;
            let sender = sender.clone();
            watches.spawn(async move { watch.run(sender).await });
        }
        let mut found = Found::default();
        let mut changed = false;
        let mut next = Instant::now();
        loop {
            tokio::select! {
                Some(change) = changes.recv() => {
                    if let Change::Listed { .. } = &change {
                        unknown -= i32::from(found.is_first(&change));
                    }
                    found.take(change);
                    changed = true;
                }
                Some(ended) = watches.join_next() => {
                    return ended.unwrap_or_else(|error| DiscoveryError(error.to_string()));
                }
                () = sleep_until(next), if changed && unknown <= 0 => {
                    on_groups(groups(self.role, &found, self.attach_node));
                    changed = false;
                    next = Instant::now() + SETTLE;
                }
            }
        }
    }

    /// What is listed and watched.
    fn watches(&self, server: &str, client: &HttpClient) -> Vec<Watch> {
        let mut kinds = self.role.kinds().to_vec();
        if self.attach_node && !kinds.contains(&KubernetesRole::Node) {
            kinds.push(KubernetesRole::Node);
        }
        let mut watches = Vec::new();
        for kind in kinds {
            let whole = kind == KubernetesRole::Node || self.namespaces.is_empty();
            let namespaces: Vec<Option<&String>> = if whole {
                vec![None]
            } else {
                self.namespaces.iter().map(Some).collect()
            };
            for namespace in namespaces {
                let selector = self.selectors.get(&kind).cloned().unwrap_or_default();
                watches.push(Watch::new(
                    client.clone(),
                    server,
                    kind,
                    namespace.cloned(),
                    &selector,
                ));
            }
        }
        watches
    }
}

/// The targets of every role, of objects that are taken for every kind.
#[cfg(feature = "fuzzing")]
pub(super) fn targets_of(body: &[u8]) {
    let mut found = Found::default();
    for (_, kind) in KubernetesRole::NAMED {
        let Ok(page) = serde_json::from_slice::<objects::List>(body) else {
            return;
        };
        for object in page.items {
            found.insert(kind, object);
        }
    }
    for (_, role) in KubernetesRole::NAMED {
        drop(groups(role, &found, true));
    }
}

/// The objects that are there, by kind, namespace and name.
#[derive(Debug, Default)]
struct Found {
    objects: BTreeMap<(KubernetesRole, String, String), Object>,
    /// What has been listed at least once.
    listed: Vec<(KubernetesRole, Option<String>)>,
}

impl Found {
    fn is_first(&self, change: &Change) -> bool {
        match change {
            Change::Listed { kind, namespace, .. } => !self.listed.contains(&(*kind, namespace.clone())),
            _ => false,
        }
    }

    fn take(&mut self, change: Change) {
        match change {
            Change::Listed {
                kind,
                namespace,
                objects,
            } => {
                self.objects.retain(|(held, of, _), _| {
                    *held != kind || namespace.as_ref().is_some_and(|namespace| namespace != of)
                });
                for object in objects {
                    self.insert(kind, object);
                }
                if !self.listed.contains(&(kind, namespace.clone())) {
                    self.listed.push((kind, namespace));
                }
            }
            Change::Is(kind, object) => self.insert(kind, *object),
            Change::Gone(kind, object) => {
                let metadata = object.metadata;
                self.objects.remove(&(kind, metadata.namespace, metadata.name));
            }
        }
    }

    fn insert(&mut self, kind: KubernetesRole, object: Object) {
        let key = (
            kind,
            object.metadata.namespace.clone(),
            object.metadata.name.clone(),
        );
        self.objects.insert(key, object);
    }

    fn get(&self, kind: KubernetesRole, namespace: &str, name: &str) -> Option<&Object> {
        self.objects.get(&(kind, namespace.to_owned(), name.to_owned()))
    }

    fn of_kind(&self, kind: KubernetesRole) -> impl Iterator<Item = &Object> {
        let of_kind = self.objects.range((kind, String::new(), String::new())..);
        of_kind
            .take_while(move |((held, ..), _)| *held == kind)
            .map(|(_, object)| object)
    }
}
