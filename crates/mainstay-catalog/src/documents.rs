//! All files of a catalog: reading them, naming them by digest, keeping them as one archive.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use mainstay_kernel::Digest;

use crate::alertmanager::{Sealed, seal};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::{Document, Format};
use crate::error::ArchiveError;
use crate::lint;

/// Longest file, in bytes.
pub const FILE_MAX_BYTES: usize = 1 << 20;
/// Longest catalog, in bytes, all files together.
pub const CATALOG_MAX_BYTES: usize = 16 << 20;
/// Most files in a catalog.
pub const CATALOG_MAX_FILES: usize = 4_096;
/// Deepest directory below the catalog's own.
pub const MAX_DEPTH: usize = 8;
/// Names the files and directories of a catalog that are not part of it: one path a line, `#` begins a comment.
pub const IGNORE_FILE: &str = ".mainstayignore";

const ARCHIVE_MAGIC: &[u8; 8] = b"MSTCAT\x00\x01";

/// The documents of a catalog and the files they stand in.
#[derive(Debug, Clone, Default)]
pub struct Documents {
    files: BTreeMap<Arc<str>, Arc<str>>,
    documents: Vec<Document>,
    sealed: Sealed,
}

impl Documents {
    /// Reads a directory (`.yaml`, `.yml` and `.md` files, at any depth, in order of name; names with a leading dot and
    /// what [`IGNORE_FILE`] lists are left out), or one file.
    #[must_use]
    pub fn load(path: &Path) -> (Self, Diagnostics) {
        let mut diagnostics = Diagnostics::new();
        let mut reader = Reader {
            files: BTreeMap::new(),
            bytes: 0,
            ignored: BTreeMap::new(),
            diagnostics: &mut diagnostics,
        };
        if path.is_dir() {
            reader.read_ignored(path);
            reader.directory(path, "", 0);
            reader.name_idle_lines();
        } else {
            let name = path
                .file_name()
                .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            reader.file(path, &name);
        }
        let files = reader.files;
        let documents = Self::parse(files, &mut diagnostics);
        (documents, diagnostics)
    }

    /// The same from texts: for tests, and for catalogs that were kept.
    #[must_use]
    pub fn from_texts<N: Into<String>, T: Into<String>>(
        texts: impl IntoIterator<Item = (N, T)>,
    ) -> (Self, Diagnostics) {
        let mut diagnostics = Diagnostics::new();
        let files = texts
            .into_iter()
            .map(|(name, text)| (Arc::from(name.into()), Arc::from(text.into())))
            .collect();
        let documents = Self::parse(files, &mut diagnostics);
        (documents, diagnostics)
    }

    fn parse(mut files: BTreeMap<Arc<str>, Arc<str>>, diagnostics: &mut Diagnostics) -> Self {
        let mut documents = Vec::new();
        let mut sealed = Sealed::default();
        for (file, source) in &mut files {
            let mut found = Diagnostics::new();
            let mut read = Document::read_file(file, source, &mut found);
            if let Some(masked) = without_secrets(&read, source, &mut sealed, diagnostics) {
                // What was found shows lines of the text: it must not be the one with secrets in it.
                *source = masked;
                found = Diagnostics::new();
                read = Document::read_file(file, source, &mut found);
            }
            diagnostics.merge(found);
            documents.extend(read);
        }
        Self {
            files,
            documents,
            sealed,
        }
    }

    /// The secrets that were taken out of the files.
    #[must_use]
    pub fn sealed(&self) -> &Sealed {
        &self.sealed
    }

    /// All documents, by file and place.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Document> {
        self.documents.iter()
    }

    /// The documents of one format.
    pub fn of_format(&self, format: Format) -> impl Iterator<Item = &Document> {
        self.iter().filter(move |document| document.format == format)
    }

    /// Our own documents of one kind.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Document> {
        self.of_format(Format::Mainstay)
            .filter(move |document| document.kind == kind)
    }

    /// The files and their texts, by name.
    pub fn files(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.files.iter().map(|(name, text)| (&**name, &**text))
    }

    /// The digest of every file's name and bytes, in order of name: what events name the catalog by.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let parts: Vec<&[u8]> = self
            .files()
            .flat_map(|(name, text)| [name.as_bytes(), text.as_bytes()])
            .collect();
        Digest::of_parts(&parts)
    }

    /// All files as one archive: magic and version, then for each file its name and its text, each behind its length
    /// (32 bits, little endian).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = ARCHIVE_MAGIC.to_vec();
        for (name, text) in self.files() {
            for part in [name, text] {
                // Files are limited to FILE_MAX_BYTES, far below 32 bits.
                bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
                bytes.extend(part.as_bytes());
            }
        }
        bytes
    }

    /// The inverse of [`Documents::to_bytes`].
    ///
    /// # Errors
    /// If the bytes are no such archive, of a version that this release does not know, or cut short.
    pub fn from_bytes(bytes: &[u8]) -> Result<(Self, Diagnostics), ArchiveError> {
        let Some((magic, mut rest)) = bytes.split_at_checked(ARCHIVE_MAGIC.len()) else {
            return Err(ArchiveError::NotAnArchive);
        };
        if magic[..7] != ARCHIVE_MAGIC[..7] {
            return Err(ArchiveError::NotAnArchive);
        }
        if magic[7] != ARCHIVE_MAGIC[7] {
            return Err(ArchiveError::UnknownVersion(magic[7]));
        }
        let mut part = || -> Result<Option<String>, ArchiveError> {
            if rest.is_empty() {
                return Ok(None);
            }
            let (len, after) = rest.split_first_chunk::<4>().ok_or(ArchiveError::CutShort)?;
            let len = u32::from_le_bytes(*len) as usize;
            let (text, after) = after.split_at_checked(len).ok_or(ArchiveError::CutShort)?;
            rest = after;
            Ok(Some(
                std::str::from_utf8(text)
                    .map_err(|_| ArchiveError::NotText)?
                    .to_owned(),
            ))
        };
        let mut texts = Vec::new();
        while let Some(name) = part()? {
            texts.push((name, part()?.ok_or(ArchiveError::CutShort)?));
        }
        Ok(Self::from_texts(texts))
    }
}

/// The text of a file without the secrets of the Alertmanager's configurations in it; `None` if there are none.
fn without_secrets(
    documents: &[Document],
    source: &str,
    sealed: &mut Sealed,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<str>> {
    let before = sealed.len();
    let mut text = source.as_bytes().to_vec();
    for document in documents
        .iter()
        .filter(|document| document.format == Format::AlertmanagerConfig)
    {
        // That a document is no YAML is said where it is read.
        if let Err(unsealed) = seal(document, &mut text, sealed)
            && unsealed.lint == lint::SECRET_IN_CATALOG
        {
            diagnostics.push(unsealed);
        }
    }
    (sealed.len() > before).then(|| String::from_utf8_lossy(&text).into())
}

struct Reader<'a> {
    files: BTreeMap<Arc<str>, Arc<str>>,
    bytes: usize,
    /// Paths that are left out, and whether they were there.
    ignored: BTreeMap<String, bool>,
    diagnostics: &'a mut Diagnostics,
}

impl Reader<'_> {
    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push_unread(diagnostic);
    }

    fn directory(&mut self, path: &Path, name: &str, depth: usize) {
        if depth > MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} directories deep");
            return self.report(Diagnostic::whole_file(lint::TOO_LARGE, name, message));
        }
        let entries = match fs::read_dir(path).and_then(|entries| entries.collect::<Result<Vec<_>, _>>()) {
            Ok(entries) => entries,
            Err(error) => {
                let message = format!("cannot read the directory: {error}");
                return self.report(Diagnostic::whole_file(lint::UNREADABLE, name, message));
            }
        };
        let mut entries: Vec<_> = entries
            .into_iter()
            .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry))
            .filter(|(entry_name, _)| !entry_name.starts_with('.'))
            .collect();
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for (entry_name, entry) in entries {
            let inner = if name.is_empty() {
                entry_name
            } else {
                format!("{name}/{entry_name}")
            };
            if let Some(was_there) = self.ignored.get_mut(&inner) {
                *was_there = true;
                continue;
            }
            let kind = entry.file_type();
            let is = |ask: fn(&fs::FileType) -> bool| kind.as_ref().is_ok_and(ask);
            let ends = |endings: &[&str], name: &str| endings.iter().any(|ending| name.ends_with(ending));
            if entry.file_name().to_str().is_none() {
                self.not_read(&inner, "its name is not UTF-8", "rename it");
            } else if is(fs::FileType::is_dir) {
                self.directory(&entry.path(), &inner, depth + 1);
            } else if is(fs::FileType::is_symlink) && entry.path().is_dir() {
                let help = "put the directory itself here: a link could lead in a circle";
                self.not_read(&inner, "it is a link to a directory", help);
            } else if ends(&[".yaml", ".yml", ".md"], &inner) {
                self.file(&entry.path(), &inner);
            } else if ends(&[".yaml", ".yml", ".md", ".json"], &inner.to_lowercase()) {
                let help = format!("name it .yaml, .yml or .md, or list it in {IGNORE_FILE}");
                self.not_read(&inner, "its ending is none that is read", &help);
            }
        }
    }

    /// Reads which files are left out: if that cannot be read, what should be left out would be in force.
    fn read_ignored(&mut self, directory: &Path) {
        match fs::read_to_string(directory.join(IGNORE_FILE)) {
            Ok(text) => {
                let lines = text.lines().map(|line| {
                    let line = line.trim().trim_end_matches('/');
                    line.strip_prefix("./").unwrap_or(line)
                });
                let named = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
                self.ignored = named.map(|name| (name.to_owned(), false)).collect();
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let message = format!("cannot read the file: {error}");
                self.report(
                    Diagnostic::whole_file(lint::UNREADABLE, IGNORE_FILE, message)
                        .help("make it readable: what it leaves out would be in force"),
                );
            }
        }
    }

    /// Lines of the list that leave nothing out.
    fn name_idle_lines(&mut self) {
        let idle: Vec<String> = self
            .ignored
            .iter()
            .filter(|(_, was_there)| !**was_there)
            .map(|(name, _)| name.clone())
            .collect();
        for name in idle {
            let message = format!("{name:?} is not there, so it leaves nothing out");
            let help = "write a path below the catalog's directory, without wild cards";
            self.diagnostics
                .push(Diagnostic::whole_file(lint::NOT_READ, IGNORE_FILE, message).help(help));
        }
    }

    fn not_read(&mut self, name: &str, why: &str, help: &str) {
        let message = format!("it is not read: {why}");
        self.diagnostics
            .push(Diagnostic::whole_file(lint::NOT_READ, name, message).help(help));
    }

    fn file(&mut self, path: &Path, name: &str) {
        // A pipe or a device would have us wait for ever.
        if fs::metadata(path).is_ok_and(|about| !about.is_file()) {
            let found = Diagnostic::whole_file(lint::UNREADABLE, name, "it is not a regular file");
            return self.report(found.help("put a file here"));
        }
        if self.files.len() >= CATALOG_MAX_FILES {
            let message = format!("more than {CATALOG_MAX_FILES} files");
            return self.report(Diagnostic::whole_file(lint::TOO_LARGE, name, message));
        }
        let mut bytes = Vec::new();
        let limit = FILE_MAX_BYTES.min(CATALOG_MAX_BYTES.saturating_sub(self.bytes));
        let read = fs::File::open(path).and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes));
        if let Err(error) = read {
            let message = format!("cannot read the file: {error}");
            let found = Diagnostic::whole_file(lint::UNREADABLE, name, message);
            return self.report(found.help("make it readable for the user that runs Mainstay"));
        }
        if bytes.len() > limit {
            let message =
                format!("a file has at most {FILE_MAX_BYTES} bytes, a catalog at most {CATALOG_MAX_BYTES}");
            return self.report(Diagnostic::whole_file(lint::TOO_LARGE, name, message).help("split it"));
        }
        self.bytes += bytes.len();
        match String::from_utf8(bytes) {
            Ok(text) => {
                // Some editors begin a file with a byte order mark.
                let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
                self.files.insert(Arc::from(name), Arc::from(text));
            }
            Err(error) => {
                let message = format!("not UTF-8 after byte {}", error.utf8_error().valid_up_to());
                self.report(
                    Diagnostic::whole_file(lint::SYNTAX, name, message).help("save the file as UTF-8"),
                );
            }
        }
    }
}
