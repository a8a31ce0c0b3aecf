//! Listing and watching objects of one kind.

use std::time::Duration;

use tokio::sync::mpsc;

use super::objects::{Event, EventKind, List, Object};
use super::{KubernetesRole, KubernetesSelector};
use crate::discovery::DiscoveryError;
use crate::http_client::{HttpClient, HttpError, Request};

/// How many objects a page of a list has.
const PAGE_OBJECTS: &str = "500";
/// The largest page, and the largest event, in bytes.
const PAGE_MAX_BYTES: usize = 64 << 20;
const EVENT_MAX_BYTES: usize = 4 << 20;
/// How long a page may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(60);
/// After how long the server ends a watch, which is then begun again; and when we do not believe that it will.
const WATCH_SECONDS: u64 = 300;
const WATCH_TIMEOUT: Duration = Duration::from_secs(WATCH_SECONDS + 60);

/// What became known.
#[derive(Debug)]
pub(super) enum Change {
    /// All objects of a kind, in a namespace or everywhere.
    Listed {
        kind: KubernetesRole,
        namespace: Option<String>,
        objects: Vec<Object>,
    },
    /// An object is new, or not as it was.
    Is(KubernetesRole, Box<Object>),
    Gone(KubernetesRole, Box<Object>),
}

/// A list of objects that is kept up to date.
pub(super) struct Watch {
    client: HttpClient,
    url: String,
    selector: Vec<(&'static str, String)>,
    kind: KubernetesRole,
    namespace: Option<String>,
}

/// How a watch ended.
enum End {
    /// In its time: it can be taken up where it was.
    Regular,
    /// Too far behind: everything must be listed again.
    Outdated,
}

impl Watch {
    pub(super) fn new(
        client: HttpClient,
        server: &str,
        kind: KubernetesRole,
        namespace: Option<String>,
        selector: &KubernetesSelector,
    ) -> Self {
        let (api, plural) = match kind {
            KubernetesRole::Node => ("api/v1", "nodes"),
            KubernetesRole::Pod => ("api/v1", "pods"),
            KubernetesRole::Service => ("api/v1", "services"),
            KubernetesRole::Endpoints => ("api/v1", "endpoints"),
            KubernetesRole::EndpointSlice => ("apis/discovery.k8s.io/v1", "endpointslices"),
            KubernetesRole::Ingress => ("apis/networking.k8s.io/v1", "ingresses"),
        };
        let within = namespace
            .as_ref()
            .map(|name| format!("namespaces/{name}/"))
            .unwrap_or_default();
        let selector = [
            ("labelSelector", selector.label.clone()),
            ("fieldSelector", selector.field.clone()),
        ];
        Self {
            client,
            url: format!("{}/{api}/{within}{plural}", server.trim_end_matches('/')),
            selector: selector
                .into_iter()
                .filter(|(_, text)| !text.is_empty())
                .collect(),
            kind,
            namespace,
        }
    }

    /// Tells every change until there is nobody to tell, or the server cannot be asked: why.
    pub(super) async fn run(self, changes: mpsc::Sender<Change>) -> DiscoveryError {
        loop {
            let outcome = async {
                let mut version = self.list(&changes).await?;
                while let End::Regular = self.watch(&mut version, &changes).await? {}
                Ok::<(), String>(())
            };
            if let Err(reason) = outcome.await {
                return DiscoveryError(format!("{}: {reason}", self.url));
            }
        }
    }

    fn url(&self, query: &[(&str, &str)]) -> Result<String, String> {
        let selector = self.selector.iter().map(|(name, text)| (*name, text.as_str()));
        let query = query.iter().copied().chain(selector);
        let url = reqwest::Url::parse_with_params(&self.url, query).map_err(|error| error.to_string())?;
        Ok(url.into())
    }

    /// Lists everything and gives the version that it is of.
    async fn list(&self, changes: &mpsc::Sender<Change>) -> Result<String, String> {
        let mut objects = Vec::new();
        let mut next = String::new();
        loop {
            let url = self.url(&[("limit", PAGE_OBJECTS), ("continue", &next)])?;
            let request = Request {
                url: &url,
                headers: vec![("accept", "application/json".to_owned())],
                compression: true,
                limit_bytes: PAGE_MAX_BYTES,
            };
            let answer = tokio::time::timeout(PAGE_TIMEOUT, self.client.get(request));
            let answer = answer
                .await
                .map_err(|_| format!("no complete answer within {PAGE_TIMEOUT:?}"))?;
            let page: List = match answer {
                Ok(answer) => serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?,
                // The list that the pages were of is no longer kept: once more from the beginning.
                Err(HttpError::Status(410)) if !next.is_empty() => {
                    objects.clear();
                    next.clear();
                    continue;
                }
                Err(error) => return Err(error.to_string()),
            };
            objects.extend(page.items);
            next = page.metadata.r#continue;
            if next.is_empty() {
                let listed = Change::Listed {
                    kind: self.kind,
                    namespace: self.namespace.clone(),
                    objects,
                };
                tell(changes, listed).await?;
                return Ok(page.metadata.resource_version);
            }
        }
    }

    /// Tells the changes since `version`, and moves it on.
    async fn watch(&self, version: &mut String, changes: &mpsc::Sender<Change>) -> Result<End, String> {
        let seconds = WATCH_SECONDS.to_string();
        let url = self.url(&[
            ("watch", "1"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version.as_str()),
            ("timeoutSeconds", &seconds),
        ])?;
        let followed = tokio::time::timeout(WATCH_TIMEOUT, async {
            let mut lines = match self.client.lines(&url, EVENT_MAX_BYTES).await {
                Ok(lines) => lines,
                Err(HttpError::Status(410)) => return Ok(End::Outdated),
                Err(error) => return Err(error.to_string()),
            };
            while let Some(line) = lines.next().await.map_err(|error| error.to_string())? {
                let kind: EventKind = serde_json::from_slice(&line).map_err(|error| error.to_string())?;
                if kind.r#type == "ERROR" {
                    return Ok(End::Outdated);
                }
                let event: Event = serde_json::from_slice(&line).map_err(|error| error.to_string())?;
                event.object.metadata.resource_version.clone_into(version);
                match kind.r#type.as_str() {
                    "ADDED" | "MODIFIED" => {
                        tell(changes, Change::Is(self.kind, Box::new(event.object))).await?;
                    }
                    "DELETED" => tell(changes, Change::Gone(self.kind, Box::new(event.object))).await?,
                    // A bookmark says only how far we are.
                    _ => {}
                }
            }
            Ok(End::Regular)
        });
        followed.await.unwrap_or(Ok(End::Regular))
    }
}

async fn tell(changes: &mpsc::Sender<Change>, change: Change) -> Result<(), String> {
    changes
        .send(change)
        .await
        .map_err(|_| "nobody listens any longer".to_owned())
}
