//! Discovery against a server that answers as a Kubernetes API server does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay_ingest::config::http::HttpSettings;
use mainstay_ingest::config::{HttpOptions, TargetGroup};
use mainstay_ingest::discovery::{DiscoveryError, KubernetesDiscovery, KubernetesRole, KubernetesSelector};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

const POD: &str = r#"{"metadata": {"name": "web-1", "namespace": "pay", "uid": "u-1", "labels": {"app.kubernetes.io/name": "web"},
    "annotations": {"prometheus.io/scrape": "true"}, "ownerReferences": [{"kind": "ReplicaSet", "name": "web", "controller": true}],
    "creationTimestamp": null},
  "spec": {"nodeName": "n-1", "initContainers": [{"name": "init", "image": "i:1"}],
    "containers": [{"name": "main", "image": "web:2", "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"},
                                                                {"name": "metrics", "containerPort": 9100, "protocol": "TCP"}]}]},
  "status": {"podIP": "10.1.0.5", "hostIP": "10.0.0.1", "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
    "containerStatuses": [{"name": "main", "containerID": "containerd://c1"}]}}"#;
const PENDING: &str = r#"{"metadata": {"name": "web-2", "namespace": "pay"}, "spec": {"containers": [{"name": "main"}]}, "status": {"phase": "Pending"}}"#;
const SERVICE: &str = r#"{"metadata": {"name": "web", "namespace": "pay", "labels": {"app": "web"}, "annotations": null},
  "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.9", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}}"#;
const NODE: &str = r#"{"metadata": {"name": "n-1", "labels": {"zone": "a"}}, "spec": {"providerID": "p://1"},
  "status": {"addresses": [{"type": "Hostname", "address": "n-1.local"}, {"type": "InternalIP", "address": "10.0.0.1"}],
    "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}}}"#;
const ENDPOINTS: &str = r#"{"metadata": {"name": "web", "namespace": "pay"},
  "subsets": [{"addresses": [{"ip": "10.1.0.5", "nodeName": "n-1", "targetRef": {"kind": "Pod", "name": "web-1", "namespace": "pay"}}],
    "notReadyAddresses": [{"ip": "10.1.0.6", "hostname": "h"}], "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]}]}"#;
const SLICE: &str = r#"{"metadata": {"name": "web-abc", "namespace": "pay", "labels": {"kubernetes.io/service-name": "web"}},
  "addressType": "IPv4", "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
  "endpoints": [{"addresses": ["10.1.0.5"], "conditions": {"ready": true, "serving": true, "terminating": false}, "nodeName": "n-1",
    "zone": "a", "targetRef": {"kind": "Pod", "name": "web-1", "namespace": "pay"}}]}"#;
const INGRESS: &str = r#"{"metadata": {"name": "edge", "namespace": "pay"}, "spec": {"ingressClassName": "nginx",
  "tls": [{"hosts": ["*.example.org"]}], "rules": [{"host": "pay.example.org", "http": {"paths": [{"path": "/v1"}, {"path": ""}]}},
    {"host": "plain.local"}]}}"#;

/// Lists by path, each in pages of objects.
type Lists = BTreeMap<String, Vec<Vec<&'static str>>>;

/// What the server says: pages of lists by path, and lines of watches that are sent as they are added.
#[derive(Clone, Default)]
struct Api {
    lists: Arc<Mutex<Lists>>,
    events: Arc<Mutex<BTreeMap<String, watch::Sender<Vec<String>>>>>,
    /// What was asked, path and query.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Api {
    fn with(self, path: &str, pages: Vec<Vec<&'static str>>) -> Self {
        self.lists.lock().expect("sound").insert(path.to_owned(), pages);
        self.events
            .lock()
            .expect("sound")
            .insert(path.to_owned(), watch::Sender::new(Vec::new()));
        self
    }

    fn tell(&self, path: &str, kind: &str, object: &str) {
        let line = format!(r#"{{"type": "{kind}", "object": {}}}"#, object.replace('\n', " "));
        self.events.lock().expect("sound")[path].send_modify(|lines| lines.push(line));
    }

    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let api = self.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let api = api.clone();
                tokio::spawn(async move {
                    // A client that is gone has heard enough.
                    let _ = api.answer(BufReader::new(socket)).await;
                });
            }
        });
        address
    }

    async fn answer(self, mut socket: BufReader<tokio::net::TcpStream>) -> std::io::Result<()> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if socket.read_line(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let target = head.split_whitespace().nth(1).unwrap_or_default().to_owned();
        self.asked.lock().expect("sound").push(target.clone());
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        if query.contains("watch=1") {
            let mut lines = self.events.lock().expect("sound")[path].subscribe();
            socket
                .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
                .await?;
            let mut sent = 0;
            loop {
                let new = lines.borrow_and_update()[sent..].join("\n");
                if !new.is_empty() {
                    sent = lines.borrow().len();
                    socket.write_all(format!("{new}\n").as_bytes()).await?;
                }
                if lines.changed().await.is_err() {
                    return Ok(());
                }
            }
        }
        let pages = self.lists.lock().expect("sound").get(path).cloned();
        let page = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("continue=p"))
            .unwrap_or("0");
        let page: usize = page.parse().unwrap_or(0);
        let answer = match pages
            .as_ref()
            .and_then(|pages| pages.get(page).map(|items| (items, pages.len())))
        {
            None => "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned(),
            Some((items, pages)) => {
                let next = if page + 1 < pages {
                    format!("p{}", page + 1)
                } else {
                    String::new()
                };
                let body = format!(
                    r#"{{"metadata": {{"resourceVersion": "7", "continue": "{next}"}}, "items": [{}]}}"#,
                    items.join(",")
                );
                format!(
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                )
            }
        };
        socket.write_all(answer.as_bytes()).await
    }
}

fn discovery(role: KubernetesRole, server: &str) -> KubernetesDiscovery {
    KubernetesDiscovery {
        role,
        api_server: Some(format!("http://{server}/")),
        namespaces: Vec::new(),
        selectors: BTreeMap::new(),
        attach_node: false,
        http: HttpOptions::default(),
    }
}

/// Follows until the test ends, or it cannot.
fn follow(
    discovery: KubernetesDiscovery,
) -> (
    mpsc::UnboundedReceiver<Vec<String>>,
    tokio::task::JoinHandle<DiscoveryError>,
) {
    let (sender, found) = mpsc::unbounded_channel();
    let task = tokio::spawn(async move {
        discovery
            .follow(&HttpSettings::default(), |groups| {
                // The test may have seen enough.
                let _ = sender.send(groups.iter().map(line).collect());
            })
            .await
    });
    (found, task)
}

/// A target and its labels, without what all of them begin with.
fn line(group: &TargetGroup) -> String {
    let labels: Vec<String> = group
        .labels
        .iter()
        .map(|(name, value)| {
            format!(
                "{}={value}",
                name.strip_prefix("__meta_kubernetes_").unwrap_or(name)
            )
        })
        .collect();
    format!("{} {}", group.targets.join(" "), labels.join(" "))
}

async fn next(found: &mut mpsc::UnboundedReceiver<Vec<String>>) -> Vec<String> {
    timeout(Duration::from_secs(20), found.recv())
        .await
        .expect("in time")
        .expect("following")
}

const POD_LABELS: &str =
    "pod_annotation_prometheus_io_scrape=true pod_annotationpresent_prometheus_io_scrape=true";

#[tokio::test]
async fn pods_are_listed_page_by_page_and_followed() {
    let api = Api::default().with("/api/v1/pods", vec![vec![PENDING], vec![POD]]);
    let (mut found, _task) = follow(discovery(KubernetesRole::Pod, &api.serve().await));
    let container = |port: &str| {
        format!(
            "{POD_LABELS} pod_container_id=containerd://c1 pod_container_image=web:2 pod_container_init=false \
             pod_container_name=main{port} pod_controller_kind=ReplicaSet pod_controller_name=web pod_host_ip=10.0.0.1 pod_ip=10.1.0.5 \
             pod_label_app_kubernetes_io_name=web pod_labelpresent_app_kubernetes_io_name=true pod_name=web-1 \
             pod_node_name=n-1 pod_phase=Running pod_ready=true pod_uid=u-1"
        )
    };
    let port = |name: &str, number: u16| {
        format!(
            " pod_container_port_name={name} pod_container_port_number={number} pod_container_port_protocol=TCP"
        )
    };
    let init = container("")
        .replace(
            "pod_container_id=containerd://c1 pod_container_image=web:2",
            "pod_container_image=i:1",
        )
        .replace("init=false", "init=true")
        .replace("name=main", "name=init");
    let expected = [
        format!("10.1.0.5:8080 namespace=pay {}", container(&port("http", 8080))),
        format!(
            "10.1.0.5:9100 namespace=pay {}",
            container(&port("metrics", 9100))
        ),
        format!("10.1.0.5 namespace=pay {init}"),
    ];
    assert_eq!(next(&mut found).await, expected);
    api.tell(
        "/api/v1/pods",
        "BOOKMARK",
        r#"{"metadata": {"resourceVersion": "9"}}"#,
    );
    api.tell(
        "/api/v1/pods",
        "MODIFIED",
        &POD.replace(r#""True""#, r#""False""#),
    );
    let changed = next(&mut found).await;
    assert_eq!(
        changed[0],
        expected[0].replace("pod_ready=true", "pod_ready=false")
    );
    api.tell("/api/v1/pods", "DELETED", POD);
    assert_eq!(next(&mut found).await, [""; 0]);
}

#[tokio::test]
async fn endpoints_bear_their_service_their_pod_and_its_node() {
    let api = Api::default()
        .with("/api/v1/endpoints", vec![vec![ENDPOINTS]])
        .with("/apis/discovery.k8s.io/v1/endpointslices", vec![vec![SLICE]])
        .with("/api/v1/services", vec![vec![SERVICE]])
        .with("/api/v1/pods", vec![vec![POD]])
        .with("/api/v1/nodes", vec![vec![NODE]]);
    let server = api.serve().await;
    let (mut found, _task) = follow(KubernetesDiscovery {
        attach_node: true,
        ..discovery(KubernetesRole::Endpoints, &server)
    });
    let lines = next(&mut found).await;
    let addresses: Vec<&str> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    // The port of the container that is no endpoint comes last.
    assert_eq!(addresses, ["10.1.0.5:8080", "10.1.0.6:8080", "10.1.0.5:9100"]);
    for part in [
        "endpoint_address_target_kind=Pod",
        "endpoint_address_target_name=web-1",
        "endpoint_node_name=n-1",
        "endpoint_port_name=http",
        "endpoint_ready=true",
        "endpoints_name=web",
        "node_label_zone=a",
        "node_name=n-1",
        "pod_container_port_number=8080",
        "pod_name=web-1",
        "service_label_app=web",
        "service_name=web",
    ] {
        assert!(lines[0].contains(part), "{part} is not in {}", lines[0]);
    }
    assert_eq!(
        lines[1],
        "10.1.0.6:8080 endpoint_hostname=h endpoint_port_name=http endpoint_port_protocol=TCP endpoint_ready=false \
         endpoints_name=web namespace=pay service_label_app=web service_labelpresent_app=true service_name=web"
    );
    let (mut found, _task) = follow(discovery(KubernetesRole::EndpointSlice, &server));
    let lines = next(&mut found).await;
    assert_eq!(lines.len(), 2, "{lines:#?}");
    for part in [
        "endpointslice_address_type=IPv4",
        "endpointslice_endpoint_conditions_ready=true",
        "endpointslice_endpoint_conditions_terminating=false",
        "endpointslice_endpoint_node_name=n-1",
        "endpointslice_endpoint_zone=a",
        "endpointslice_label_kubernetes_io_service_name=web",
        "endpointslice_name=web-abc",
        "endpointslice_port=8080",
        "pod_container_name=main",
        "service_name=web",
    ] {
        assert!(lines[0].contains(part), "{part} is not in {}", lines[0]);
    }
    assert!(!lines[0].contains("node_label_zone"), "{}", lines[0]);
    assert!(lines[1].starts_with("10.1.0.5:9100 "), "{}", lines[1]);
}

#[tokio::test]
async fn nodes_services_and_ingresses() {
    let api = Api::default()
        .with("/api/v1/nodes", vec![vec![NODE]])
        .with("/api/v1/services", vec![vec![SERVICE]])
        .with("/apis/networking.k8s.io/v1/ingresses", vec![vec![INGRESS]]);
    let server = api.serve().await;
    let first = async |role| {
        let (mut found, task) = follow(discovery(role, &server));
        let lines = next(&mut found).await;
        task.abort();
        lines
    };
    assert_eq!(
        first(KubernetesRole::Node).await,
        [
            "10.0.0.1:10250 node_address_Hostname=n-1.local node_address_InternalIP=10.0.0.1 node_label_zone=a \
          node_labelpresent_zone=true node_name=n-1 node_provider_id=p://1 instance=n-1"
        ]
    );
    assert_eq!(
        first(KubernetesRole::Service).await,
        [
            "web.pay.svc:80 namespace=pay service_cluster_ip=10.96.0.9 service_label_app=web service_labelpresent_app=true \
          service_name=web service_port_name=http service_port_number=80 service_port_protocol=TCP service_type=ClusterIP"
        ]
    );
    let ingress = |host: &str, path: &str, scheme: &str| {
        format!(
            "{host} ingress_class_name=nginx ingress_host={host} ingress_name=edge ingress_path={path} ingress_scheme={scheme} namespace=pay"
        )
    };
    assert_eq!(
        first(KubernetesRole::Ingress).await,
        [
            ingress("pay.example.org", "/v1", "https"),
            ingress("pay.example.org", "/", "https"),
            ingress("plain.local", "/", "http"),
        ]
    );
}

#[tokio::test]
async fn namespaces_and_selectors_are_asked_for_and_refusals_are_told() {
    let api = Api::default()
        .with("/api/v1/namespaces/a/pods", vec![vec![]])
        .with("/api/v1/namespaces/pay/pods", vec![vec![POD]]);
    let server = api.serve().await;
    let selector = KubernetesSelector {
        label: "app=web,tier!=x".to_owned(),
        field: "status.phase=Running".to_owned(),
    };
    let (mut found, _task) = follow(KubernetesDiscovery {
        namespaces: vec!["a".to_owned(), "pay".to_owned()],
        selectors: BTreeMap::from([(KubernetesRole::Pod, selector)]),
        ..discovery(KubernetesRole::Pod, &server)
    });
    assert_eq!(
        next(&mut found).await.len(),
        3,
        "nothing is told before both are known"
    );
    let asked = api.asked.lock().expect("sound").clone();
    let query = "labelSelector=app%3Dweb%2Ctier%21%3Dx&fieldSelector=status.phase%3DRunning";
    assert!(
        asked
            .iter()
            .any(|target| target.starts_with("/api/v1/namespaces/a/pods?") && target.ends_with(query)),
        "{asked:?}"
    );
    // An event that says that too much was missed leads to a new list.
    let lists = |api: &Api| {
        let asked = api.asked.lock().expect("sound");
        asked
            .iter()
            .filter(|target| target.contains("/pay/pods?limit"))
            .count()
    };
    assert_eq!(lists(&api), 1);
    api.tell(
        "/api/v1/namespaces/pay/pods",
        "ERROR",
        r#"{"kind": "Status", "code": 410, "status": "Failure"}"#,
    );
    next(&mut found).await;
    assert!(lists(&api) >= 2);
    let (_found, task) = follow(discovery(KubernetesRole::Service, &server));
    let error = timeout(Duration::from_secs(20), task)
        .await
        .expect("in time")
        .expect("no panic");
    assert_eq!(
        error.to_string(),
        format!("http://{server}/api/v1/services: status 403")
    );
}
