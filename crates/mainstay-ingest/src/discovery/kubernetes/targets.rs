//! From objects to targets, role by role.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::labels::{self, MetaLabels, set};
use super::objects::{Container, Endpoint, EndpointAddress, Object, Port, Reference};
use super::{Found, KubernetesRole};
use crate::config::TargetGroup;

/// Which address of a node is taken, the dearest first.
const NODE_ADDRESSES: [&str; 6] = [
    "InternalIP",
    "InternalDNS",
    "ExternalIP",
    "ExternalDNS",
    "LegacyHostIP",
    "Hostname",
];

/// The targets of a role, each a group with labels of its own.
pub(super) fn groups(role: KubernetesRole, found: &Found, attach_node: bool) -> Vec<TargetGroup> {
    let mut all = Vec::new();
    for object in found.of_kind(role) {
        let mut out = Out {
            found,
            attach_node,
            groups: &mut all,
        };
        match role {
            KubernetesRole::Node => out.node(object),
            KubernetesRole::Pod => out.pod(object),
            KubernetesRole::Service => out.service(object),
            KubernetesRole::Endpoints => out.endpoints(object),
            KubernetesRole::EndpointSlice => out.endpoint_slice(object),
            KubernetesRole::Ingress => out.ingress(object),
        }
    }
    all
}

struct Out<'o> {
    found: &'o Found,
    attach_node: bool,
    groups: &'o mut Vec<TargetGroup>,
}

/// The pods that endpoints lead to, with the ports for which there are targets.
type Seen<'o> = BTreeMap<(&'o str, &'o str), (&'o Object, Vec<u16>)>;

impl<'o> Out<'o> {
    fn target(&mut self, address: String, labels: MetaLabels) {
        self.groups.push(TargetGroup {
            targets: vec![address],
            labels: labels.into(),
        });
    }

    fn node(&mut self, node: &Object) {
        let mut own = MetaLabels::new();
        set(&mut own, "node_name", &node.metadata.name);
        set(&mut own, "node_provider_id", &node.spec.provider_id);
        labels::metadata(&mut own, "node", &node.metadata);
        let addresses = &node.status.addresses;
        for address in addresses.iter().rev() {
            labels::node_address(&mut own, &address.r#type, &address.address);
        }
        own.insert("instance".to_owned(), node.metadata.name.clone());
        let of_kind = |kind: &&str| addresses.iter().find(|address| address.r#type == **kind);
        if let Some(address) = NODE_ADDRESSES.iter().find_map(of_kind) {
            let port = node.status.daemon_endpoints.kubelet_endpoint.port;
            self.target(host_port(&address.address, port), own);
        }
    }

    fn service(&mut self, service: &Object) {
        let spec = &service.spec;
        for port in &spec.ports {
            let mut own = MetaLabels::new();
            labels::service(&mut own, service);
            let number = port.port.unwrap_or(0);
            set(
                &mut own,
                "service_port_name",
                port.name.clone().unwrap_or_default(),
            );
            set(&mut own, "service_port_number", number.to_string());
            set(
                &mut own,
                "service_port_protocol",
                port.protocol.clone().unwrap_or_default(),
            );
            set(&mut own, "service_type", &spec.r#type);
            if spec.r#type == "ExternalName" {
                set(&mut own, "service_external_name", &spec.external_name);
            } else {
                set(&mut own, "service_cluster_ip", &spec.cluster_ip);
            }
            if spec.r#type == "LoadBalancer" {
                set(&mut own, "service_loadbalancer_ip", &spec.load_balancer_ip);
            }
            let metadata = &service.metadata;
            let host = format!("{}.{}.svc", metadata.name, metadata.namespace);
            self.target(format!("{host}:{number}"), own);
        }
    }

    fn ingress(&mut self, ingress: &Object) {
        let mut own = MetaLabels::new();
        set(&mut own, "namespace", &ingress.metadata.namespace);
        set(&mut own, "ingress_name", &ingress.metadata.name);
        if let Some(class) = &ingress.spec.ingress_class_name {
            set(&mut own, "ingress_class_name", class);
        }
        labels::metadata(&mut own, "ingress", &ingress.metadata);
        let hosts: Vec<&String> = ingress.spec.tls.iter().flat_map(|tls| &tls.hosts).collect();
        for rule in &ingress.spec.rules {
            let secure = hosts.iter().any(|pattern| is_host_of(pattern, &rule.host));
            let paths: Vec<&str> = match &rule.http {
                Some(http) => http.paths.iter().map(|path| path.path.as_str()).collect(),
                None => vec![""],
            };
            for path in paths {
                let mut labels = own.clone();
                set(
                    &mut labels,
                    "ingress_scheme",
                    if secure { "https" } else { "http" },
                );
                set(&mut labels, "ingress_host", &rule.host);
                set(
                    &mut labels,
                    "ingress_path",
                    if path.is_empty() { "/" } else { path },
                );
                self.target(rule.host.clone(), labels);
            }
        }
    }

    fn pod(&mut self, pod: &Object) {
        // A pod has no address before it has started, and after it was evicted.
        let address = &pod.status.pod_ip;
        if address.is_empty() {
            return;
        }
        let mut own = MetaLabels::new();
        set(&mut own, "namespace", &pod.metadata.namespace);
        labels::pod(&mut own, pod);
        self.attach(&mut own, Some(&pod.spec.node_name));
        for (container, is_init) in containers(pod) {
            let mut labels = own.clone();
            set_container(&mut labels, pod, container, is_init);
            if container.ports.is_empty() {
                self.target(address.clone(), labels);
                continue;
            }
            for port in &container.ports {
                let mut labels = labels.clone();
                set_container_port(&mut labels, port);
                self.target(host_port(address, port.container_port), labels);
            }
        }
    }

    fn endpoints(&mut self, endpoints: &'o Object) {
        let metadata = &endpoints.metadata;
        let mut own = MetaLabels::new();
        set(&mut own, "namespace", &metadata.namespace);
        set(&mut own, "endpoints_name", &metadata.name);
        labels::metadata(&mut own, "endpoints", metadata);
        let service = self
            .found
            .get(KubernetesRole::Service, &metadata.namespace, &metadata.name);
        if let Some(service) = service {
            labels::service(&mut own, service);
        }
        let mut seen = Seen::new();
        for subset in &endpoints.subsets {
            let ready = subset.addresses.iter().map(|address| (address, "true"));
            let not_ready = subset
                .not_ready_addresses
                .iter()
                .map(|address| (address, "false"));
            let addresses: Vec<(&EndpointAddress, &str)> = ready.chain(not_ready).collect();
            for port in &subset.ports {
                for (address, ready) in &addresses {
                    let mut labels = own.clone();
                    set(
                        &mut labels,
                        "endpoint_port_name",
                        port.name.clone().unwrap_or_default(),
                    );
                    set(
                        &mut labels,
                        "endpoint_port_protocol",
                        port.protocol.clone().unwrap_or_default(),
                    );
                    set(&mut labels, "endpoint_ready", *ready);
                    if let Some(target) = &address.target_ref {
                        set(&mut labels, "endpoint_address_target_kind", &target.kind);
                        set(&mut labels, "endpoint_address_target_name", &target.name);
                    }
                    if let Some(node) = &address.node_name {
                        set(&mut labels, "endpoint_node_name", node);
                    }
                    if !address.hostname.is_empty() {
                        set(&mut labels, "endpoint_hostname", &address.hostname);
                    }
                    self.attach(&mut labels, address.node_name.as_deref());
                    self.attach_pod(&mut labels, &mut seen, address.target_ref.as_ref(), port.port);
                    self.target(host_port(&address.ip, port.port.unwrap_or(0)), labels);
                }
            }
        }
        self.other_ports(&own, &seen);
    }

    fn endpoint_slice(&mut self, slice: &'o Object) {
        let metadata = &slice.metadata;
        let mut own = MetaLabels::new();
        set(&mut own, "namespace", &metadata.namespace);
        set(&mut own, "endpointslice_name", &metadata.name);
        set(&mut own, "endpointslice_address_type", &slice.address_type);
        labels::metadata(&mut own, "endpointslice", metadata);
        if let Some(name) = metadata.labels.get("kubernetes.io/service-name")
            && let Some(service) = self.found.get(KubernetesRole::Service, &metadata.namespace, name)
        {
            labels::service(&mut own, service);
        }
        let mut seen = Seen::new();
        for endpoint in &slice.endpoints {
            for port in &slice.ports {
                for address in &endpoint.addresses {
                    let mut labels = own.clone();
                    set_endpoint(&mut labels, endpoint, port);
                    let of_node = endpoint
                        .target_ref
                        .as_ref()
                        .filter(|target| target.kind == "Node");
                    let node = of_node.map(|target| &target.name).or(endpoint.node_name.as_ref());
                    self.attach(&mut labels, node.map(String::as_str));
                    self.attach_pod(&mut labels, &mut seen, endpoint.target_ref.as_ref(), port.port);
                    let target = match port.port {
                        Some(port) => host_port(address, port),
                        None => address.clone(),
                    };
                    self.target(target, labels);
                }
            }
        }
        self.other_ports(&own, &seen);
    }

    fn attach(&self, labels: &mut MetaLabels, node: Option<&str>) {
        if self.attach_node
            && let Some(name) = node
            && let Some(node) = self.found.get(KubernetesRole::Node, "", name)
        {
            labels::node(labels, node);
        }
    }

    /// Labels of the pod that an endpoint leads to, and of the container that has the port.
    fn attach_pod(
        &self,
        labels: &mut MetaLabels,
        seen: &mut Seen<'o>,
        target: Option<&Reference>,
        port: Option<u16>,
    ) {
        let Some(pod) = target.filter(|target| target.kind == "Pod").and_then(|target| {
            self.found
                .get(KubernetesRole::Pod, &target.namespace, &target.name)
        }) else {
            return;
        };
        labels::pod(labels, pod);
        for (container, is_init) in containers(pod) {
            if let Some(held) = container
                .ports
                .iter()
                .find(|held| Some(held.container_port) == port)
            {
                set_container(labels, pod, container, is_init);
                set_container_port(labels, held);
            }
        }
        let key = (pod.metadata.namespace.as_str(), pod.metadata.name.as_str());
        seen.entry(key)
            .or_insert_with(|| (pod, Vec::new()))
            .1
            .extend(port);
    }

    /// Ports of containers, behind the endpoints, that are no endpoints themselves.
    fn other_ports(&mut self, own: &MetaLabels, seen: &Seen<'_>) {
        for (pod, ports) in seen.values().filter(|(pod, _)| !pod.status.pod_ip.is_empty()) {
            for (container, is_init) in containers(pod) {
                for port in container
                    .ports
                    .iter()
                    .filter(|port| !ports.contains(&port.container_port))
                {
                    let mut labels = own.clone();
                    labels::pod(&mut labels, pod);
                    set_container(&mut labels, pod, container, is_init);
                    set_container_port(&mut labels, port);
                    self.target(host_port(&pod.status.pod_ip, port.container_port), labels);
                }
            }
        }
    }
}

/// The containers of a pod, and whether each runs only before the others.
fn containers(pod: &Object) -> impl Iterator<Item = (&Container, bool)> {
    let usual = pod.spec.containers.iter().map(|container| (container, false));
    usual.chain(pod.spec.init_containers.iter().map(|container| (container, true)))
}

fn set_container(labels: &mut MetaLabels, pod: &Object, container: &Container, is_init: bool) {
    let statuses = if is_init {
        &pod.status.init_container_statuses
    } else {
        &pod.status.container_statuses
    };
    let status = statuses.iter().find(|status| status.name == container.name);
    set(labels, "pod_container_name", &container.name);
    set(labels, "pod_container_image", &container.image);
    set(
        labels,
        "pod_container_init",
        if is_init { "true" } else { "false" },
    );
    if let Some(status) = status {
        set(labels, "pod_container_id", &status.container_id);
    }
}

fn set_container_port(labels: &mut MetaLabels, port: &Port) {
    set(
        labels,
        "pod_container_port_name",
        port.name.clone().unwrap_or_default(),
    );
    set(
        labels,
        "pod_container_port_number",
        port.container_port.to_string(),
    );
    set(
        labels,
        "pod_container_port_protocol",
        port.protocol.clone().unwrap_or_default(),
    );
}

fn set_endpoint(labels: &mut MetaLabels, endpoint: &Endpoint, port: &Port) {
    let number = port.port.map(|port| port.to_string());
    let bool = |given: Option<bool>| given.map(|given| given.to_string());
    let conditions = &endpoint.conditions;
    let target = endpoint.target_ref.as_ref();
    for (name, value) in [
        ("port_name", port.name.clone()),
        ("port_protocol", port.protocol.clone()),
        ("port", number),
        ("port_app_protocol", port.app_protocol.clone()),
        ("endpoint_conditions_ready", bool(conditions.ready)),
        ("endpoint_conditions_serving", bool(conditions.serving)),
        ("endpoint_conditions_terminating", bool(conditions.terminating)),
        ("endpoint_hostname", endpoint.hostname.clone()),
        ("endpoint_node_name", endpoint.node_name.clone()),
        ("endpoint_zone", endpoint.zone.clone()),
        ("address_target_kind", target.map(|target| target.kind.clone())),
        ("address_target_name", target.map(|target| target.name.clone())),
    ] {
        if let Some(value) = value {
            set(labels, &format!("endpointslice_{name}"), value);
        }
    }
}

fn host_port(host: &str, port: u16) -> String {
    match host.parse::<IpAddr>() {
        Ok(address) => SocketAddr::new(address, port).to_string(),
        Err(_) => format!("{host}:{port}"),
    }
}

/// Whether a host is that of a certificate, whose first part may be `*`.
fn is_host_of(pattern: &str, host: &str) -> bool {
    let any = pattern.strip_prefix("*.").zip(host.split_once('.'));
    pattern == host || any.is_some_and(|(pattern, (_, host))| pattern == host)
}
