//! Who is where: the ready pods of a cell's services and the routes of the tenants, as the supervisor publishes them.
//!
//! Pods long-poll `GET /v1/discovery/CELL?after=GENERATION`: the answer comes as soon as there is a newer
//! generation, so a change reaches the gateways within milliseconds. When the supervisor does not answer, the last
//! known topology stays in force.

use crate::{client, log::Logger};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::watch;

/// Where a tenant's payments live. The epoch grows with every move, so that a late writer can be refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The cell.
    pub cell: String,
    /// The route's epoch.
    pub epoch: u64,
    /// Currency of the tenant's accounts, ISO 4217.
    pub currency: String,
}

/// One ready pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The pod's name.
    pub pod: String,
    /// `host:port`.
    pub address: String,
}

/// What a pod knows of its cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// Grows with every change.
    pub generation: u64,
    /// Ready pods by service.
    pub services: BTreeMap<String, Vec<Endpoint>>,
    /// Routes by tenant, of every cell.
    pub tenants: BTreeMap<String, Route>,
}

impl Topology {
    /// The tenants that live in `cell`.
    pub fn tenants_of<'a>(&'a self, cell: &'a str) -> impl Iterator<Item = &'a str> {
        self.tenants
            .iter()
            .filter(move |(_, route)| route.cell == cell)
            .map(|(tenant, _)| tenant.as_str())
    }
}

/// Follows the topology until the process ends.
pub(crate) fn follow(url: String, cell: String, log: Arc<Logger>) -> watch::Receiver<Arc<Topology>> {
    let (publish, follow) = watch::channel(Arc::new(Topology::default()));
    tokio::spawn(async move {
        let http = client::http();
        let mut generation = 0;
        while !publish.is_closed() {
            let uri = format!("{url}/v1/discovery/{cell}?after={generation}");
            match client::get_json::<Topology>(&http, &uri, Duration::from_secs(15)).await {
                Ok(topology) => {
                    generation = topology.generation;
                    publish.send_replace(Arc::new(topology));
                }
                Err(error) => {
                    log.warn("discovery failed, last topology stays", &error);
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    });
    follow
}
