//! The law of dependencies: who may know whom, and who may touch the outside world.

use std::path::Path;

use super::Finding;
use super::paths;
use super::workspace::{Member, TextFile};

/// What kind of crate it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// No IO, clock, entropy or async runtime.
    Pure,
    /// Touches the world: disk, sockets or time.
    Io,
}
use Kind::{Io, Pure};

/// Every crate with its layer and kind. A crate may depend only on crates of a *lower* layer, dev-dependencies included:
/// that keeps the graph acyclic, keeps siblings apart, and lets them build in parallel.
const LAYERS: &[(&str, u8, Kind)] = &[
    ("mainstay-kernel", 0, Pure),
    ("mainstay-template", 0, Pure),
    ("mainstay-catalog", 1, Pure),
    ("mainstay-journal", 1, Io),
    ("mainstay-segment", 1, Io),
    ("mainstay-series", 2, Io),
    ("mainstay-promql", 3, Pure),
    // The capabilities.
    ("mainstay-alert", 4, Pure),
    ("mainstay-capacity", 4, Pure),
    ("mainstay-change", 4, Pure),
    ("mainstay-delivery", 4, Io),
    ("mainstay-hands", 4, Io),
    ("mainstay-incident", 4, Pure),
    ("mainstay-ingest", 4, Io),
    ("mainstay-logs", 4, Io),
    ("mainstay-oncall", 4, Pure),
    ("mainstay-rehearsal", 4, Pure),
    ("mainstay-remote", 4, Io),
    ("mainstay-review", 4, Pure),
    ("mainstay-rules", 4, Pure),
    ("mainstay-runbook", 4, Pure),
    ("mainstay-slo", 4, Pure),
    ("mainstay-status", 4, Pure),
    ("mainstay-traces", 4, Io),
    ("mainstay-ui", 4, Pure),
    // Composition and its users.
    ("mainstay-plane", 5, Io),
    ("mainstay-adopt", 5, Pure),
    ("mainstay-sim", 6, Io),
    ("mainstay-web", 6, Io),
    ("mainstay", 7, Io),
];

/// Crates that stand alone: they import no crate of ours. `payments` is the platform under supervision.
const ALONE: &[&str] = &[
    "mainstay-bench",
    "payments",
    "resilience",
    "scratch-postgres",
    "xtask",
];

/// Crates that stand alone and serve tests: whoever tests may have them, as dev-dependencies.
const FOR_TESTS: &[&str] = &["scratch-postgres"];

/// Crates that depend on `payments`: the binary, which carries its roles for the demo.
const MAY_IMPORT_PAYMENTS: &[&str] = &["mainstay"];

/// Crates that may touch files or a database.
const MAY_TOUCH_DISK: &[&str] = &[
    "mainstay",
    "mainstay-bench",
    "mainstay-journal",
    "mainstay-logs",
    "mainstay-plane",
    "mainstay-segment",
    "mainstay-series",
    "mainstay-traces",
    "payments",
    "scratch-postgres",
    "xtask",
];

/// Crates that may open sockets.
const MAY_OPEN_SOCKETS: &[&str] = &[
    "mainstay",
    "mainstay-bench",
    "mainstay-delivery",
    "mainstay-hands",
    "mainstay-ingest",
    "mainstay-remote",
    "mainstay-web",
    "payments",
    "resilience",
];

/// Crates that may let one banned method or type through with `#[expect]` in `src`.
const MAY_EXPECT_DISALLOWED: &[&str] = &[
    "mainstay-hands",
    "mainstay-ingest",
    "mainstay-promql",
    "mainstay-series",
    "mainstay-sim",
];

/// Crates whose own `clippy.toml` stands in for the root's.
const OWN_CLIPPY: &[&str] = &["mainstay", "mainstay-bench", "payments", "xtask"];

const DISK_CRATES: &[&str] = &["sqlx", "rusqlite"];
const DISK_PATHS: &[&str] = &["std::fs", "tokio::fs"];
const SOCKET_CRATES: &[&str] = &["axum", "hyper", "hyper-util", "lettre", "reqwest"];
const SOCKET_PATHS: &[&str] = &[
    "tokio::net",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::os::unix::net",
];
const RUNTIME_CRATES: &[&str] = &["tokio", "tracing-subscriber", "getrandom"];

fn layer(name: &str) -> Option<(u8, Kind)> {
    LAYERS
        .iter()
        .find(|(known, ..)| *known == name)
        .map(|&(_, layer, kind)| (layer, kind))
}

/// Checks every edge between crates of ours, and what the crates draw in from outside.
pub(super) fn dependencies(members: &[Member]) -> Vec<Finding> {
    let ours = |name: &str| members.iter().any(|member| member.name == name);
    let mut findings = Vec::new();
    for member in members {
        for dependency in &member.dependencies {
            let subject = format!("{} -> {}", member.name, dependency.name);
            let for_tests = dependency.dev && FOR_TESTS.contains(&dependency.name.as_str());
            let broken = if for_tests {
                None
            } else if ours(&dependency.name) {
                inner_edge(&member.name, &dependency.name)
            } else if dependency.dev {
                None
            } else {
                outer_edge(&member.name, &dependency.name)
            };
            if let Some(detail) = broken {
                findings.push(Finding::new("dependency-law", subject, detail));
            }
        }
    }
    findings.dedup();
    findings
}

fn inner_edge(from: &str, to: &str) -> Option<String> {
    if to == "payments" && MAY_IMPORT_PAYMENTS.contains(&from) {
        return None;
    }
    if ALONE.contains(&to) && to != "resilience" {
        return Some(format!("nothing imports {to}"));
    }
    if ALONE.contains(&from) {
        return (to != "resilience").then(|| format!("{from} stands alone: it imports no mainstay crate"));
    }
    let ((upper, _), (lower, _)) = (layer(from)?, layer(to)?);
    (upper <= lower).then(|| {
        format!(
            "layer {upper} may import only lower layers, not {lower}: use a kernel fact, or a trait of the consumer's wired in the plane"
        )
    })
}

fn outer_edge(from: &str, to: &str) -> Option<String> {
    if DISK_CRATES.contains(&to) && !MAY_TOUCH_DISK.contains(&from) {
        return Some("only the journal and the stores touch disk".to_owned());
    }
    if SOCKET_CRATES.contains(&to) && !MAY_OPEN_SOCKETS.contains(&from) {
        return Some("only delivery, hands, ingest, remote and web open sockets".to_owned());
    }
    if RUNTIME_CRATES.contains(&to) && matches!(layer(from), Some((_, Pure))) {
        return Some("the domain is pure: no runtime, no hidden time or entropy".to_owned());
    }
    None
}

/// Checks that a crate has a layer and stands in a folder of its own name.
pub(super) fn place(member: &Member) -> Vec<Finding> {
    let mut findings = Vec::new();
    if layer(&member.name).is_none() && !ALONE.contains(&member.name.as_str()) {
        findings.push(Finding::new(
            "layer",
            &member.name,
            "has no layer: add it to LAYERS in tidy/law.rs",
        ));
    }
    if Path::new(&member.folder)
        .file_name()
        .is_none_or(|folder| folder != member.name.as_str())
    {
        findings.push(Finding::new(
            "folder",
            &member.name,
            format!("lies in {}, not in a folder of its name", member.folder),
        ));
    }
    findings
}

/// Checks what a crate's own code reaches for. Test code may read fixtures and open loopback sockets.
pub(super) fn sources(member: &Member, file: &TextFile) -> Vec<Finding> {
    let within = file
        .path
        .strip_prefix(&member.folder)
        .unwrap_or(&file.path)
        .trim_start_matches('/');
    let name = member.name.as_str();
    if within == "clippy.toml" && !OWN_CLIPPY.contains(&name) {
        return vec![Finding::new(
            "clippy-opt-out",
            &file.path,
            "this crate lives under the root's clippy.toml",
        )];
    }
    if !within.starts_with("src/") || !within.ends_with(".rs") || within.ends_with("/tests.rs") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for path in paths::paths(&file.text) {
        let under = |roots: &[&str]| {
            roots.iter().any(|root| {
                path.strip_prefix(root)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            })
        };
        if under(DISK_PATHS) && !MAY_TOUCH_DISK.contains(&name) {
            findings.push(Finding::new(
                "disk",
                &file.path,
                format!("names {path}: only the journal and the stores touch disk"),
            ));
        }
        if under(SOCKET_PATHS) && !MAY_OPEN_SOCKETS.contains(&name) {
            findings.push(Finding::new(
                "socket",
                &file.path,
                format!("names {path}: only delivery, hands, ingest, remote and web open sockets"),
            ));
        }
        if (path == "clippy::disallowed_methods" || path == "clippy::disallowed_types")
            && !MAY_EXPECT_DISALLOWED.contains(&name)
        {
            findings.push(Finding::new(
                "clippy-opt-out",
                &file.path,
                format!("expects {path}: take clock, entropy or configuration as a parameter"),
            ));
        }
    }
    findings.sort();
    findings.dedup();
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::workspace::Dependency;

    fn member(name: &str, dependencies: &[(&str, bool)]) -> Member {
        Member {
            name: name.to_owned(),
            folder: format!("crates/{name}"),
            dependencies: dependencies
                .iter()
                .map(|&(name, dev)| Dependency {
                    name: name.to_owned(),
                    dev,
                })
                .collect(),
            ..Member::default()
        }
    }

    fn subjects(members: &[Member]) -> Vec<String> {
        dependencies(members)
            .into_iter()
            .map(|finding| finding.subject)
            .collect()
    }

    #[test]
    fn capabilities_may_import_downwards_only() {
        let kernel = member("mainstay-kernel", &[]);
        let slo = member("mainstay-slo", &[("mainstay-kernel", false)]);
        let alert = member(
            "mainstay-alert",
            &[("mainstay-kernel", false), ("mainstay-slo", true)],
        );
        let upward = member("mainstay-journal", &[("mainstay-alert", false)]);
        assert_eq!(
            subjects(&[kernel, slo, alert, upward]),
            [
                "mainstay-alert -> mainstay-slo",
                "mainstay-journal -> mainstay-alert"
            ],
        );
    }

    #[test]
    fn the_platform_stands_alone() {
        let payments = member("payments", &[("mainstay-kernel", false)]);
        let web = member("mainstay-web", &[("payments", false)]);
        let binary = member("mainstay", &[("payments", false)]);
        let kernel = member("mainstay-kernel", &[]);
        assert_eq!(
            subjects(&[kernel, payments, web, binary]),
            ["payments -> mainstay-kernel", "mainstay-web -> payments"]
        );
    }

    #[test]
    fn the_domain_draws_in_no_io() {
        let outside = [
            ("tokio", false),
            ("reqwest", false),
            ("sqlx", false),
            ("serde", false),
            ("axum", true),
        ];
        assert_eq!(
            subjects(&[member("mainstay-slo", &outside)]),
            [
                "mainstay-slo -> tokio",
                "mainstay-slo -> reqwest",
                "mainstay-slo -> sqlx"
            ],
        );
        assert_eq!(
            subjects(&[member("mainstay-delivery", &outside)]),
            ["mainstay-delivery -> sqlx"]
        );
    }

    #[test]
    fn a_crate_has_a_layer_and_a_folder_of_its_name() {
        let mut lost = member("mainstay-oracle", &[]);
        lost.folder = "crates/oracle".to_owned();
        let rules: Vec<_> = place(&lost).into_iter().map(|finding| finding.rule).collect();
        assert_eq!(rules, ["layer", "folder"]);
        assert!(place(&member("mainstay-slo", &[])).is_empty());
    }

    #[test]
    fn sources_reach_only_for_what_their_crate_may() {
        let file = |path: &str| {
            TextFile {
            path: path.to_owned(),
            text: "use std::{fs, io};\nuse tokio::net::TcpListener;\n#[expect(clippy::disallowed_methods)]\nfn f() {}".to_owned(),
        }
        };
        let rules = |name: &str, path: &str| -> Vec<_> {
            sources(&member(name, &[]), &file(path))
                .into_iter()
                .map(|finding| finding.rule)
                .collect()
        };
        assert_eq!(
            rules("mainstay-slo", "crates/mainstay-slo/src/lib.rs"),
            ["clippy-opt-out", "disk", "socket"]
        );
        assert_eq!(
            rules("mainstay-ingest", "crates/mainstay-ingest/src/lib.rs"),
            ["disk"]
        );
        assert!(rules("mainstay-slo", "crates/mainstay-slo/tests/it/main.rs").is_empty());
        assert_eq!(
            rules("mainstay-slo", "crates/mainstay-slo/clippy.toml"),
            ["clippy-opt-out"]
        );
    }
}
