//! All files of a catalog: reading them, naming them by digest, keeping them as one archive.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use mainstay_kernel::Digest;

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
            ignored: Vec::new(),
            diagnostics: &mut diagnostics,
        };
        if path.is_dir() {
            if let Ok(ignored) = fs::read_to_string(path.join(IGNORE_FILE)) {
                let lines = ignored.lines().map(|line| line.trim().trim_end_matches('/'));
                let named = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
                reader.ignored = named.map(str::to_owned).collect();
            }
            reader.directory(path, "", 0);
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

    fn parse(files: BTreeMap<Arc<str>, Arc<str>>, diagnostics: &mut Diagnostics) -> Self {
        let documents = files
            .iter()
            .flat_map(|(file, source)| Document::read_file(file, source, diagnostics))
            .collect();
        Self { files, documents }
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

struct Reader<'a> {
    files: BTreeMap<Arc<str>, Arc<str>>,
    bytes: usize,
    ignored: Vec<String>,
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
            .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry)))
            .filter(|(entry_name, _)| !entry_name.starts_with('.'))
            .collect();
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for (entry_name, entry) in entries {
            let inner = if name.is_empty() {
                entry_name
            } else {
                format!("{name}/{entry_name}")
            };
            if self.ignored.contains(&inner) {
                continue;
            }
            // A link to a directory is not followed: it could lead in a circle.
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_directory {
                self.directory(&entry.path(), &inner, depth + 1);
            } else if [".yaml", ".yml", ".md"]
                .iter()
                .any(|ending| inner.ends_with(ending))
            {
                self.file(&entry.path(), &inner);
            }
        }
    }

    fn file(&mut self, path: &Path, name: &str) {
        if self.files.len() >= CATALOG_MAX_FILES {
            let message = format!("more than {CATALOG_MAX_FILES} files");
            return self.report(Diagnostic::whole_file(lint::TOO_LARGE, name, message));
        }
        let mut bytes = Vec::new();
        let limit = FILE_MAX_BYTES.min(CATALOG_MAX_BYTES.saturating_sub(self.bytes));
        let read = fs::File::open(path).and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes));
        if let Err(error) = read {
            let message = format!("cannot read the file: {error}");
            return self.report(Diagnostic::whole_file(lint::UNREADABLE, name, message));
        }
        if bytes.len() > limit {
            let message =
                format!("a file has at most {FILE_MAX_BYTES} bytes, a catalog at most {CATALOG_MAX_BYTES}");
            return self.report(Diagnostic::whole_file(lint::TOO_LARGE, name, message).help("split it"));
        }
        self.bytes += bytes.len();
        match String::from_utf8(bytes) {
            Ok(text) => {
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
