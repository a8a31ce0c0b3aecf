//! What a user of the catalog would notice.

mod adopted;
mod alertmanager;
mod archive;
mod as_written;
mod broken;
mod channels;
mod good;
mod hostile;
mod payments;
mod plan;

use std::path::{Path, PathBuf};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
