//! Manifests: a dependency's version and features are declared once, at the root.

use super::Finding;

/// Checks that every dependency of a member is inherited and adds no features of its own.
pub(super) fn features(path: &str, manifest: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_dependencies = false;
    for (index, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            in_dependencies = section.ends_with("dependencies");
            if section.contains("dependencies.") {
                findings.push(finding(
                    path,
                    index,
                    "write the dependency on one line, as `name.workspace = true`",
                ));
            }
            continue;
        }
        if !in_dependencies || line.is_empty() || line.starts_with('#') {
            continue;
        }
        if !line.contains("workspace = true") {
            findings.push(finding(
                path,
                index,
                "declare the dependency in the root's [workspace.dependencies]",
            ));
        } else if line.contains("features") {
            findings.push(finding(
                path,
                index,
                "declare the features at the root: a second set builds it twice",
            ));
        }
    }
    findings
}

fn finding(path: &str, index: usize, detail: &str) -> Finding {
    Finding::new(
        "dependency-features",
        path,
        format!("line {}: {detail}", index + 1),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_inherited_dependencies_pass() {
        let manifest = "\
[package]
name = \"x\"
[features]
demo = [\"dep:payments\"]
[dependencies]
serde.workspace = true
payments = { workspace = true, optional = true }
tokio = { workspace = true, features = [\"fs\"] }
regex = \"1\"
[dev-dependencies.insta]
workspace = true
";
        let details: Vec<_> = features("Cargo.toml", manifest)
            .into_iter()
            .map(|finding| finding.detail)
            .collect();
        assert_eq!(details.len(), 3);
        assert!(details[0].starts_with("line 8: declare the features"));
        assert!(details[1].starts_with("line 9: declare the dependency"));
        assert!(details[2].starts_with("line 10: write the dependency on one line"));
    }
}
