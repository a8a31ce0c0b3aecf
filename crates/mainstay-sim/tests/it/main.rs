//! The plane in the World: scenarios, kills at every boundary, seeds that misbehave.

mod disk;
mod kills;
mod scenarios;
mod storm;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstay_catalog::Catalog;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn catalog() -> Arc<Catalog> {
    let (catalog, _) =
        Catalog::load(&root().join("catalogs/payments")).expect("the payments catalog is good");
    Arc::new(catalog)
}
