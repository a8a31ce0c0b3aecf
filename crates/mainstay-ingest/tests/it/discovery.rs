//! Service discovery against servers on loopback.

use std::net::SocketAddr;
use std::time::Duration;

use mainstay_ingest::config::http::HttpSettings;
use mainstay_ingest::config::{HttpOptions, TargetGroup};
use mainstay_ingest::discovery::{DnsDiscovery, HttpDiscovery, RecordType, Resolver};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use crate::http::{self, Answer};

fn lines(groups: &[TargetGroup]) -> Vec<String> {
    groups
        .iter()
        .map(|group| format!("{} {}", group.targets.join(" "), group.labels))
        .collect()
}

#[tokio::test]
async fn http_lists_become_groups_and_anything_else_is_an_error() {
    let list = r#"[{"targets": ["a:1", "b:2"], "labels": {"x": "y", "__meta_z": "1"}}, {"targets": []}]"#;
    let address = http::serve(move |request| match request.target.as_str() {
        "/good" => Answer::ok("application/json; charset=utf-8", list),
        "/text" => Answer::ok("text/plain", list),
        "/broken" => Answer::ok("application/json", "[{\"targets\": 3}]"),
        "/large" => Answer::ok("application/json", vec![b' '; 17 << 20]),
        _ => Answer::status(503),
    })
    .await;
    let found = async |path: &str| {
        let discovery = HttpDiscovery {
            url: format!("http://{address}/{path}"),
            http: HttpOptions::default(),
            refresh: Duration::from_secs(20),
        };
        let groups = discovery.groups(&HttpSettings::default()).await;
        groups
            .map(|groups| lines(&groups))
            .map_err(|error| error.to_string())
    };
    assert_eq!(
        found("good").await.expect("a list"),
        [
            format!(r#"a:1 b:2 {{__meta_url="http://{address}/good", __meta_z="1", x="y"}}"#),
            format!(r#" {{__meta_url="http://{address}/good"}}"#),
        ]
    );
    assert_eq!(
        found("text").await.expect_err("no JSON"),
        r#"the content type is "text/plain", expected application/json"#
    );
    assert!(found("broken").await.expect_err("no list").contains("/broken:1:"));
    assert_eq!(
        found("large").await.expect_err("too much"),
        "the body has more than 16777216 bytes"
    );
    assert_eq!(found("gone").await.expect_err("no list"), "status 503");
}

/// A name server: what it answers to a name (in lower case, with its dot) and a type, record data each; or a code. By UDP
/// it says that `long.example.` does not fit.
async fn name_server(
    answer: impl Fn(&str, u16) -> Result<Vec<Vec<u8>>, u8> + Copy + Send + 'static,
) -> SocketAddr {
    let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = udp.local_addr().expect("bound");
    let tcp = TcpListener::bind(address).await.expect("the same port");
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
            let reply = reply(&buffer[..length], answer, true);
            udp.send_to(&reply, from).await.expect("sent");
        }
    });
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = tcp.accept().await {
            let length = socket.read_u16().await.expect("a question");
            let mut question = vec![0; usize::from(length)];
            socket.read_exact(&mut question).await.expect("a question");
            let reply = reply(&question, answer, false);
            socket
                .write_u16(u16::try_from(reply.len()).expect("short"))
                .await
                .expect("sent");
            socket.write_all(&reply).await.expect("sent");
        }
    });
    address
}

fn reply(question: &[u8], answer: impl Fn(&str, u16) -> Result<Vec<Vec<u8>>, u8>, is_udp: bool) -> Vec<u8> {
    let (mut name, mut at) = (String::new(), 12);
    while question[at] != 0 {
        let end = at + 1 + usize::from(question[at]);
        name.push_str(&String::from_utf8_lossy(&question[at + 1..end]));
        name.push('.');
        at = end;
    }
    let kind = u16::from_be_bytes([question[at + 1], question[at + 2]]);
    let (records, code) = match answer(&name.to_lowercase(), kind) {
        Ok(records) => (records, 0),
        Err(code) => (Vec::new(), code),
    };
    let truncated = is_udp && name == "long.example.";
    let mut message = question[..at + 5].to_vec();
    message[2] = if truncated { 0x83 } else { 0x81 };
    message[3] = 0x80 | code;
    message[6..12].fill(0);
    if truncated {
        return message;
    }
    message[7] = u8::try_from(records.len()).expect("few");
    for data in records {
        message.extend([0xc0, 12]);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 60]);
        message.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
        message.extend(data);
    }
    message
}

fn service(port: u16, target: &str) -> Vec<u8> {
    let mut data = vec![0, 1, 0, 1];
    data.extend(port.to_be_bytes());
    for label in target.split('.') {
        data.push(u8::try_from(label.len()).expect("short"));
        data.extend(label.as_bytes());
    }
    data.push(0);
    data
}

#[tokio::test]
async fn dns_records_become_targets() {
    let server = name_server(|name, kind| match (name, kind) {
        ("_pay._tcp.example.", 33) => Ok(vec![service(8080, "a.example"), service(81, "b.example")]),
        ("web.cluster.local.", 1) => Ok(vec![vec![10, 0, 0, 1], vec![10, 0, 0, 2]]),
        ("web.cluster.local.", 28) => Ok(vec![vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]]),
        ("long.example.", 1) => Ok(vec![vec![10, 0, 0, 3]; 90]),
        ("broken.example.", _) => Err(2),
        ("empty.example.", _) => Ok(Vec::new()),
        _ => Err(3),
    })
    .await;
    let resolver =
        Resolver::parse("search cluster.local\noptions timeout:5 attempts:1\n").with_servers(vec![server]);
    let found = async |name: &str, record| {
        let discovery = DnsDiscovery {
            names: vec![name.to_owned()],
            record,
            port: 9100,
            refresh: Duration::from_secs(30),
        };
        let groups = discovery.groups(&resolver).await;
        groups
            .map(|groups| lines(&groups))
            .map_err(|error| error.to_string())
    };
    assert_eq!(
        found("_pay._tcp.example", RecordType::Srv).await.expect("there"),
        [
            r#"a.example:8080 {__meta_dns_name="_pay._tcp.example", __meta_dns_srv_record_port="8080", __meta_dns_srv_record_target="a.example."}"#,
            r#"b.example:81 {__meta_dns_name="_pay._tcp.example", __meta_dns_srv_record_port="81", __meta_dns_srv_record_target="b.example."}"#,
        ]
    );
    assert_eq!(
        found("web", RecordType::A)
            .await
            .expect("there, in the search domain"),
        [
            r#"10.0.0.1:9100 {__meta_dns_name="web"}"#,
            r#"10.0.0.2:9100 {__meta_dns_name="web"}"#
        ]
    );
    assert_eq!(
        found("web", RecordType::Aaaa).await.expect("there"),
        [r#"[1::9]:9100 {__meta_dns_name="web"}"#]
    );
    assert_eq!(
        found("long.example", RecordType::A).await.expect("by TCP").len(),
        90
    );
    assert_eq!(found("empty.example", RecordType::A).await, Ok(Vec::new()));
    assert_eq!(
        found("nobody.example", RecordType::A).await,
        Ok(Vec::new()),
        "no such name"
    );
    assert_eq!(
        found("broken.example.", RecordType::A)
            .await
            .expect_err("the server does not know"),
        "broken.example. was answered with code 2"
    );
}
