//! The workspace as the checks see it: members from `cargo metadata`, files from git.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Files larger than this, in bytes, are data and are not looked into.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// Everything that the checks look at.
pub(super) struct Workspace {
    /// The crates of this workspace.
    pub(super) members: Vec<Member>,
    /// Its text files.
    pub(super) files: Vec<TextFile>,
}

impl Workspace {
    /// The member whose folder holds the file.
    pub(super) fn owner(&self, file: &TextFile) -> Option<&Member> {
        self.members
            .iter()
            .find(|member| Path::new(&file.path).starts_with(&member.folder))
    }
}

/// One crate.
#[derive(Debug, Clone, Default)]
pub(super) struct Member {
    /// Its package name.
    pub(super) name: String,
    /// Its folder, relative to the root.
    pub(super) folder: String,
    /// The path of its manifest, relative to the root.
    pub(super) manifest_path: String,
    /// Its manifest's text.
    pub(super) manifest: String,
    /// What it depends on, once per kind.
    pub(super) dependencies: Vec<Dependency>,
}

/// One declared dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dependency {
    /// The package depended on.
    pub(super) name: String,
    /// Whether only tests and benchmarks see it.
    pub(super) dev: bool,
}

/// One file under version control, or about to be.
pub(super) struct TextFile {
    /// Its path relative to the root, with `/`.
    pub(super) path: String,
    /// Its text.
    pub(super) text: String,
}

/// Reads the workspace around the current directory.
pub(super) fn load() -> Result<Workspace, String> {
    let metadata = output(
        "cargo",
        &["metadata", "--format-version", "1", "--no-deps"],
        Path::new("."),
    )?;
    let metadata: Value =
        serde_json::from_slice(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let root = PathBuf::from(
        metadata["workspace_root"]
            .as_str()
            .ok_or("cargo metadata names no workspace root")?,
    );
    let members = members(&metadata, &root)?;
    let listed = output(
        "git",
        &["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        &root,
    )?;
    let files = String::from_utf8_lossy(&listed)
        .split_terminator('\0')
        .filter_map(|path| read_text(&root, path))
        .collect();
    Ok(Workspace { members, files })
}

/// The members in the answer of `cargo metadata`.
fn members(metadata: &Value, root: &Path) -> Result<Vec<Member>, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let empty = Vec::new();
    let mut members = Vec::new();
    for package in metadata["packages"].as_array().unwrap_or(&empty) {
        let manifest_path = PathBuf::from(text(&package["manifest_path"]));
        let manifest = std::fs::read_to_string(&manifest_path)
            .map_err(|error| format!("{}: {error}", manifest_path.display()))?;
        let relative = manifest_path.strip_prefix(root).unwrap_or(&manifest_path);
        let dependencies = package["dependencies"].as_array().unwrap_or(&empty).iter();
        members.push(Member {
            name: text(&package["name"]),
            folder: relative
                .parent()
                .unwrap_or(relative)
                .to_string_lossy()
                .into_owned(),
            manifest_path: relative.to_string_lossy().into_owned(),
            manifest,
            dependencies: dependencies
                .map(|dependency| Dependency {
                    name: text(&dependency["name"]),
                    dev: dependency["kind"] == "dev",
                })
                .collect(),
        });
    }
    Ok(members)
}

/// The file's text, unless it is large, binary, or gone from the work tree.
fn read_text(root: &Path, path: &str) -> Option<TextFile> {
    let full = root.join(path);
    let size = std::fs::metadata(&full).ok()?.len();
    if size > MAX_TEXT_BYTES {
        return None;
    }
    let text = std::fs::read_to_string(&full).ok()?;
    (!text.contains('\0')).then(|| TextFile {
        path: path.to_owned(),
        text,
    })
}

fn output(program: &str, arguments: &[&str], directory: &Path) -> Result<Vec<u8>, String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .output()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(format!(
            "{program} {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        ))
    }
}
