//! The `__meta_kubernetes_…` labels of objects.

use std::collections::BTreeMap;

use super::objects::{Metadata, Object};

/// Labels that are gathered for a target.
pub(super) type MetaLabels = BTreeMap<String, String>;

pub(super) fn set(labels: &mut MetaLabels, name: &str, value: impl Into<String>) {
    labels.insert(format!("__meta_kubernetes_{name}"), value.into());
}

fn sanitized(name: &str) -> String {
    let plain = |char: char| if char.is_ascii_alphanumeric() { char } else { '_' };
    name.chars().map(plain).collect()
}

/// Labels and annotations of an object, and which of them there are.
pub(super) fn metadata(labels: &mut MetaLabels, kind: &str, metadata: &Metadata) {
    for (what, held) in [("label", &metadata.labels), ("annotation", &metadata.annotations)] {
        for (name, value) in held {
            let name = sanitized(name);
            set(labels, &format!("{kind}_{what}_{name}"), value);
            set(labels, &format!("{kind}_{what}present_{name}"), "true");
        }
    }
}

pub(super) fn pod(labels: &mut MetaLabels, pod: &Object) {
    let status = &pod.status;
    let ready = status
        .conditions
        .iter()
        .find(|condition| condition.r#type == "Ready");
    let ready = ready.map_or("unknown".to_owned(), |condition| condition.status.to_lowercase());
    set(labels, "pod_name", &pod.metadata.name);
    set(labels, "pod_ip", &status.pod_ip);
    set(labels, "pod_ready", ready);
    set(labels, "pod_phase", &status.phase);
    set(labels, "pod_node_name", &pod.spec.node_name);
    set(labels, "pod_host_ip", &status.host_ip);
    set(labels, "pod_uid", &pod.metadata.uid);
    if let Some(owner) = pod
        .metadata
        .owner_references
        .iter()
        .find(|owner| owner.controller)
    {
        set(labels, "pod_controller_kind", &owner.kind);
        set(labels, "pod_controller_name", &owner.name);
    }
    metadata(labels, "pod", &pod.metadata);
}

pub(super) fn service(labels: &mut MetaLabels, service: &Object) {
    set(labels, "namespace", &service.metadata.namespace);
    set(labels, "service_name", &service.metadata.name);
    metadata(labels, "service", &service.metadata);
}

/// What pods and endpoints get of their node.
pub(super) fn node(labels: &mut MetaLabels, node: &Object) {
    set(labels, "node_name", &node.metadata.name);
    for (name, value) in &node.metadata.labels {
        let name = sanitized(name);
        set(labels, &format!("node_label_{name}"), value);
        set(labels, &format!("node_labelpresent_{name}"), "true");
    }
}

pub(super) fn node_address(labels: &mut MetaLabels, kind: &str, address: &str) {
    set(labels, &format!("node_address_{}", sanitized(kind)), address);
}
