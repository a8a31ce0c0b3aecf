//! An Alertmanager's configuration at the edge: its template files and the files that hold its secrets are read here.

mod files;
pub(super) mod native;

use std::path::{Path, PathBuf};

use mainstay_catalog::{At, Catalog, Diagnostic, Diagnostics, Level, lint};
use mainstay_template::{Limits, Templates, Version};

use crate::check;
use crate::exit::Exit;

/// The longest file that holds a secret, in bytes.
const SECRET_MAX_BYTES: u64 = 64 << 10;

/// The routes of one file, if it can be used.
pub(crate) fn read(path: &Path) -> Result<Catalog, Exit> {
    if !path.is_file() {
        anstream::eprintln!("mainstay: there is no file {}", path.display());
        return Err(Exit::Usage);
    }
    let (catalog, findings) = check::examine(path);
    if findings.has_errors() || catalog.response.alertmanager.is_none() {
        check::print(path, &findings);
        anstream::eprintln!(
            "{} is no Alertmanager configuration that can be used",
            path.display()
        );
        return Err(Exit::Problems);
    }
    let warnings = findings
        .iter()
        .filter(|finding| finding.level == Level::Warning)
        .count();
    if warnings > 0 {
        anstream::eprintln!(
            "{} in {}: `mainstay check` shows them",
            check::counted(warnings, "warning"),
            path.display()
        );
    }
    Ok(catalog)
}

/// Where relative paths of the configuration that is in force begin.
fn beginning(catalog: &Catalog, path: &Path) -> Option<PathBuf> {
    let adopted = catalog.response.alertmanager.as_ref()?;
    let directory = check::root(path)?;
    let file = directory.join(&adopted.file);
    Some(file.parent().unwrap_or(directory).to_owned())
}

/// Reads the template files of the configuration that is in force, of the catalog at `path`.
pub(crate) fn add_templates(catalog: &mut Catalog, path: &Path, diagnostics: &mut Diagnostics) {
    let Some(directory) = beginning(catalog, path) else {
        return;
    };
    let Some(adopted) = &mut catalog.response.alertmanager else {
        return;
    };
    let mut templates = Templates::with_defaults(Limits::default(), Version::default());
    for glob in &adopted.templates {
        for (path, text) in files::read(&directory, glob, diagnostics) {
            match templates.add(&path, &text) {
                Ok(()) => adopted.template_files.push((path, text)),
                Err(error) => {
                    let place = error.place();
                    let at = At::of_bytes(&text, offset(&text, place.line, place.column));
                    let message = format!("this is no template: {error}");
                    let found = Diagnostic::new(lint::BAD_VALUE, path.as_str(), &text, at, message);
                    diagnostics.push(found.help("mend it, or take the file out of `templates`"));
                }
            }
        }
    }
}

/// The character at a line and a column, both from 1.
fn offset(text: &str, line: usize, column: usize) -> std::ops::Range<usize> {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    let rest = text.get(before..).unwrap_or_default();
    let inside = rest
        .char_indices()
        .nth(column.saturating_sub(1))
        .map_or(rest.len(), |(byte, _)| byte);
    let start = before + inside;
    let length = text
        .get(start..)
        .and_then(|rest| rest.chars().next())
        .map_or(0, char::len_utf8);
    start..start + length
}

/// The values of settings: `${NAME}` of the environment, `${file:...}` of a file, and what was taken out of the
/// configuration.
pub(crate) fn settings<'a>(
    catalog: &'a Catalog,
    path: &'a Path,
    environment: impl Fn(&str) -> Option<String> + 'a,
) -> impl Fn(&str) -> Option<String> + 'a {
    let directory = beginning(catalog, path).unwrap_or_default();
    move |name| match name.strip_prefix("file:") {
        Some(file) => files::limited(&directory.join(file), SECRET_MAX_BYTES)
            .ok()
            .map(|text| text.trim().to_owned()),
        None => catalog
            .response
            .secret(name)
            .map(str::to_owned)
            .or_else(|| environment(name)),
    }
}
