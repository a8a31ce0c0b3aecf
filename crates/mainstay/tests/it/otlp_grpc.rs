//! Metrics by OTLP over gRPC, sent by OpenTelemetry's own exporter.

use std::path::Path;
use std::process::Command;

use mainstay_kernel::Digest;

use crate::harness::{Server, encoded, http, quiet_catalog};

const LISTENS: &str = "mainstay takes OTLP over gRPC on ";

/// The server, and where it takes calls.
fn server(options: &[&str]) -> (Server, String) {
    let catalog = quiet_catalog();
    let options = [&["--otlp-grpc-listen", "127.0.0.1:0"], options].concat();
    let data = tempfile::tempdir().expect("a directory");
    let server = Server::start_for(data, &catalog.path().display().to_string(), &options);
    let listens = server.said.iter().find_map(|line| line.strip_prefix(LISTENS));
    let address = listens.expect("it says where").to_owned();
    (server, address)
}

/// How an export of the exporter ends; `None` if the exporter is not installed and need not be.
fn export(arguments: &[&str]) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let installed = root.join("target/tools/opentelemetry");
    if !installed.is_dir() {
        let required = std::env::var_os("MAINSTAY_CONFORMANCE_REQUIRED").is_some_and(|value| value == "1");
        assert!(!required, "./test installs OpenTelemetry's exporter");
        println!("skipped: no exporter; ./test installs it");
        return None;
    }
    let output = Command::new("python3")
        .arg(root.join("crates/mainstay/tests/it/otlp_grpc/exporter.py"))
        .args(arguments)
        .env("PYTHONPATH", installed)
        .output()
        .expect("there is a Python");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned() + &said)
}

fn asked(server: &Server, query: &str, headers: &str) -> String {
    let form = encoded(&[("query", query)]);
    http(&server.address, "/api/v1/query", Some(&form), headers).body
}

#[test]
fn what_an_exporter_measures_is_found_packed_or_not() {
    let (server, address) = server(&[]);
    for compression in ["none", "gzip"] {
        let Some(ended) = export(&[&address, compression]) else {
            return;
        };
        assert_eq!(ended, "SUCCESS");
        let of = format!("{{job=\"shop\",instance=\"{compression}\"}}");
        for (query, value) in [
            (format!("orders_total{of}"), "42"),
            (format!("height{of}"), "2.5"),
            (format!("latency_seconds_count{of}"), "3"),
            (format!("latency_seconds_sum{of}"), "87.75"),
        ] {
            let found = asked(&server, &query, "");
            assert!(found.contains(&format!("\"{value}\"]")), "{query}: {found}");
        }
        let place = asked(&server, &format!("orders_total{of}"), "");
        assert!(place.contains("\"place\":\"hall, é\""), "{place}");
    }
    let said = http(&server.address, "/api/v1/metadata?metric=orders_total", None, "").json();
    assert_eq!(said["data"]["orders_total"][0]["help"], "Orders taken.");
}

#[test]
fn an_exporter_without_the_right_token_is_told_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let tokens = directory.path().join("tokens.yaml");
    let account = |name: &str, role: &str| {
        let digest = Digest::of(format!("{name}-token").as_bytes());
        format!("  - {{name: {name}, role: {role}, tenants: all, sha256: \"{digest}\"}}\n")
    };
    let text = format!(
        "tokens:\n{}{}",
        account("writer", "responder"),
        account("reader", "viewer")
    );
    std::fs::write(&tokens, text).expect("written");
    let (server, address) = server(&["--tokens", &tokens.display().to_string()]);
    for (headers, code) in [
        (&[][..], "UNAUTHENTICATED"),
        (&["authorization=Bearer nobody"], "UNAUTHENTICATED"),
        (&["authorization=Bearer reader-token"], "PERMISSION_DENIED"),
    ] {
        let arguments = [&[&*address, "none"], headers].concat();
        let Some(ended) = export(&arguments) else { return };
        assert!(ended.starts_with("FAILURE") && ended.contains(code), "{ended}");
    }
    let ended = export(&[&address, "gzip", "authorization=Bearer writer-token"]);
    assert_eq!(ended.as_deref(), Some("SUCCESS"));
    let found = asked(&server, "orders_total", "Authorization: Bearer reader-token\r\n");
    assert!(found.contains("\"42\"]"), "{found}");
}
