//! What is read before anything runs: the catalog with all that it names.

use std::path::Path;
use std::sync::Arc;

use mainstay_catalog::{Catalog, Diagnostics};
use mainstay_delivery::channel::RealChannels;
use mainstay_plane::Directory;
use mainstay_plane::telemetry::Judged;

use super::channels::setting_error;
use super::{ServeError, channel_options, environment};
use crate::adopt::alertmanager::settings;
use crate::check;

/// A catalog that can be put in force.
pub(super) struct Configured {
    pub(super) catalog: Arc<Catalog>,
    pub(super) judged: Judged,
    pub(super) directory: Directory,
    pub(super) channels: RealChannels,
}

impl Configured {
    /// Reads the catalog in a directory, and whatever may be wrong with it is wrong here.
    pub(super) fn read(path: &Path) -> Result<Self, ServeError> {
        let (catalog, judged) = load_catalog(path)?;
        let lookup = settings(&catalog, path, environment);
        let unset = |error| ServeError::Channel(setting_error(&catalog.response.channels, &lookup, &error));
        let directory = Directory::new(&catalog, &lookup).map_err(unset)?;
        let options = channel_options(&catalog.response.channels, &lookup).map_err(ServeError::Channel)?;
        drop(lookup);
        let channels = RealChannels::new(options).map_err(|error| ServeError::Channel(error.to_string()))?;
        for (what, url) in directory.urls() {
            let bad = |reason| ServeError::Channel(format!("the URL of {what} cannot be used: {reason}"));
            channels.check_url(url).map_err(bad)?;
        }
        Ok(Self {
            catalog,
            judged,
            directory,
            channels,
        })
    }

    /// The same read again by a replica that stood by: what was put in force meanwhile was not told to it. What cannot be
    /// read now is left, for pages must go out.
    pub(super) fn read_again(self, path: &Path) -> Self {
        Self::read(path).unwrap_or_else(|error| {
            tracing::error!(%error, "the catalog cannot be read again: that of this process' start is in force");
            self
        })
    }
}

/// Reads the catalog in a directory with all that is judged by it.
pub(super) fn load_catalog(path: &Path) -> Result<(Arc<Catalog>, Judged), ServeError> {
    let bad =
        |text: String| ServeError::Catalog(format!("the catalog {} cannot be used\n{text}", path.display()));
    let (catalog, findings) = check::examine(path);
    if findings.has_errors() {
        return Err(bad(findings.render_short()));
    }
    let judged = Judged::of(&catalog, &mut Diagnostics::default());
    Ok((Arc::new(catalog), judged))
}
