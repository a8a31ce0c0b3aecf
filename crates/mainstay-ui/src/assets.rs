//! The style sheet and the script, embedded. Each is served under a name that holds the digest of its content, so that
//! it may be cached for ever and is never stale.

use std::sync::LazyLock;

use mainstay_kernel::Digest;

/// A file that is part of the program.
#[derive(Debug)]
pub struct Asset {
    /// Where it is served: `/assets/console-3f2a….css`.
    pub path: String,
    /// Its media type.
    pub content_type: &'static str,
    /// Its content.
    pub content: &'static str,
}

impl Asset {
    fn new(name: &str, extension: &str, content_type: &'static str, content: &'static str) -> Self {
        let digest = Digest::of(content.as_bytes()).short();
        Self {
            path: format!("/assets/{name}-{digest}.{extension}"),
            content_type,
            content,
        }
    }
}

/// The style sheet.
pub static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "console",
        "css",
        "text/css; charset=utf-8",
        include_str!("../assets/console.css"),
    )
});

/// The script.
pub static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "console",
        "js",
        "text/javascript; charset=utf-8",
        include_str!("../assets/console.js"),
    )
});

/// The asset served at `path`.
#[must_use]
pub fn find(path: &str) -> Option<&'static Asset> {
    [&*STYLE, &*SCRIPT].into_iter().find(|asset| asset.path == path)
}
