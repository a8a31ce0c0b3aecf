//! `mainstay metrics`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _};
use std::path::{Path, PathBuf};

use mainstay_ingest::SeriesSample;
use mainstay_ingest::import::{Import, ImportError, ImportFormat};
use mainstay_kernel::Labels;
use mainstay_remote::write::{Entry, Families, Protocol, encode};
use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use serde::Serialize;

use super::store::{Clean, Delete, Snapshot};
use super::{Ask, Remote, Trouble, refused, understood};
use crate::exit::Exit;
use crate::output::{self, Form, Table};

/// How many samples one request bears.
const BATCH_SAMPLES: usize = 5_000;
/// The headers in which a receiver of remote write 2.0 says what it took.
const WRITTEN: [&str; 2] = [
    "x-prometheus-remote-write-samples-written",
    "x-prometheus-remote-write-histograms-written",
];
/// What to do about samples that are not taken.
const WHY_REFUSED: &str = "The server takes no sample that is older than its retention (serve --metrics-retention-days), and none that \
     comes more than 10 minutes after a newer one of its series: a file should be in order of time.";

/// What is done with samples.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Send files of samples with times to the server: OpenMetrics text, or CSV with the columns timestamp, value, __name__
    /// and labels; exit code 3 if a file cannot be read to its end, or not every sample is taken.
    Import {
        /// The files; - is standard input. Times older than the server's retention are refused.
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// What they are; if nothing is said, a name that ends in .csv is CSV and every other one is OpenMetrics.
        #[arg(long, value_enum)]
        format: Option<FileFormat>,
        #[command(flatten)]
        ask: Ask,
    },
    /// Delete samples for good; shows first how many there are. A change record says who deleted what.
    Delete(Delete),
    /// Write the files anew of which something was deleted, so that nothing of it is left in them.
    Clean(Clean),
    /// Copy the store, by hard links, into DATA/series/snapshots; prints the copy's name.
    Snapshot(Snapshot),
}

/// The formats of files.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum FileFormat {
    /// OpenMetrics text.
    #[value(name = "openmetrics")]
    OpenMetrics,
    /// Comma-separated values.
    Csv,
}

impl Command {
    pub(crate) fn run(&self) -> Exit {
        let (files, format, ask) = match self {
            Self::Import { files, format, ask } => (files, format, ask),
            Self::Delete(delete) => return delete.run(),
            Self::Clean(clean) => return clean.run(),
            Self::Snapshot(snapshot) => return snapshot.run(),
        };
        Remote::run(&ask.server, async |remote| {
            let mut imported = Vec::new();
            for file in files {
                imported.push(import(remote, file, *format).await?);
            }
            match ask.output {
                Form::Json => output::json(&imported),
                Form::Table => table(&imported).print("Nothing was imported."),
            }
            for file in &imported {
                let problems = [&file.refusal, &file.problem];
                for problem in problems.into_iter().flatten() {
                    anstream::eprintln!("{problem}");
                }
            }
            if imported.iter().any(|file| file.refused > 0) {
                anstream::eprintln!("{WHY_REFUSED}");
            }
            let whole = imported
                .iter()
                .all(|file| file.refused == 0 && file.problem.is_none());
            Ok(if whole { Exit::Ok } else { Exit::Problems })
        })
    }
}

/// What became of a file.
#[derive(Debug, Serialize)]
struct Imported {
    file: String,
    /// Lines read.
    lines: usize,
    /// Samples that the server holds now.
    taken: u64,
    /// Samples that it does not take.
    refused: u64,
    /// Why the first of them is not taken.
    refusal: Option<String>,
    /// Why the file was not read to its end, and where.
    problem: Option<String>,
}

async fn import(remote: &Remote, path: &Path, format: Option<FileFormat>) -> Result<Imported, Trouble> {
    let mut imported = Imported {
        file: path.display().to_string(),
        lines: 0,
        taken: 0,
        refused: 0,
        refusal: None,
        problem: None,
    };
    let reader: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        match File::open(path) {
            Ok(file) => Box::new(BufReader::new(file)),
            Err(error) => {
                imported.problem = Some(format!("{}: it cannot be read: {error}", imported.file));
                return Ok(imported);
            }
        }
    };
    let mut samples = Import::new(reader, format_of(path, format), BATCH_SAMPLES);
    let progress = Progress::begin();
    while let Some(batch) = samples.next() {
        imported.lines = samples.lines();
        match batch {
            Ok(batch) => {
                send(remote, batch, &mut imported).await?;
                progress.show(&imported);
            }
            // The samples before the place that is named have been sent.
            Err(ImportError::Parse(error)) => {
                imported.problem = Some(format!("{}:{error}", imported.file));
            }
            Err(error @ ImportError::Read(_)) => {
                imported.problem = Some(format!("{}:{}: {error}", imported.file, imported.lines));
            }
        }
    }
    imported.lines = samples.lines();
    progress.end();
    Ok(imported)
}

/// Sends a batch and counts what became of it. What is too large for the server is sent in halves.
async fn send(remote: &Remote, batch: Vec<SeriesSample>, imported: &mut Imported) -> Result<(), Trouble> {
    let entries: Vec<Entry> = batch.into_iter().map(entry).collect();
    let mut pieces = vec![&entries[..]];
    while let Some(piece) = pieces.pop() {
        let (status, headers, body) = remote.answer(request(remote, piece)).await?;
        let sent = piece.len() as u64;
        let mut refuse = |taken: u64| {
            imported.taken += taken;
            imported.refused += sent.saturating_sub(taken);
            let reason = String::from_utf8_lossy(&body).trim().to_owned();
            imported
                .refusal
                .get_or_insert_with(|| format!("{}: {reason}", imported.file));
        };
        match (status, taken(&headers)) {
            (200..=299, Some(taken)) => imported.taken += taken,
            // What is good of a request is taken, and what is not is told.
            (400, Some(taken)) => refuse(taken),
            (413, _) if piece.len() > 1 => {
                let (first, second) = piece.split_at(piece.len() / 2);
                pieces.extend([second, first]);
            }
            (413, _) => refuse(0),
            (200..=299, None) => {
                return Err(Trouble::Strange(
                    "it does not say how many samples it took".to_owned(),
                ));
            }
            _ => return Err(refused(status, understood(&body).ok())),
        }
    }
    Ok(())
}

fn request(remote: &Remote, entries: &[Entry]) -> RequestBuilder {
    remote
        .client
        .post(format!("{}/api/v1/write", remote.base))
        .header("content-type", Protocol::V2.content_type())
        .header("content-encoding", "snappy")
        .header("x-prometheus-remote-write-version", Protocol::V2.version_header())
        .body(encode(
            entries,
            &Labels::new(),
            Protocol::V2,
            &Families::default(),
        ))
}

fn entry(sample: SeriesSample) -> Entry {
    Entry {
        labels: sample.labels,
        created_ms: sample.created_ms,
        t_ms: sample.t_ms,
        value: sample.value,
    }
}

/// How many samples an answer says are held now; `None` if it does not say so.
fn taken(headers: &HeaderMap) -> Option<u64> {
    let counts = WRITTEN.map(|name| headers.get(name)?.to_str().ok()?.parse::<u64>().ok());
    match counts {
        [None, None] => None,
        counts => Some(counts.into_iter().flatten().fold(0, u64::saturating_add)),
    }
}

fn format_of(path: &Path, said: Option<FileFormat>) -> ImportFormat {
    match said {
        Some(FileFormat::OpenMetrics) => ImportFormat::OpenMetrics,
        Some(FileFormat::Csv) => ImportFormat::Csv,
        None if path
            .extension()
            .is_some_and(|ends| ends.eq_ignore_ascii_case("csv")) =>
        {
            ImportFormat::Csv
        }
        None => ImportFormat::OpenMetrics,
    }
}

fn table(imported: &[Imported]) -> Table {
    let mut table = Table::new(&["FILE", "LINES", "TAKEN", "REFUSED"]);
    for file in imported {
        table.row([
            file.file.clone(),
            mainstay_ui::number::count(file.lines as u64),
            mainstay_ui::number::count(file.taken),
            mainstay_ui::number::count(file.refused),
        ]);
    }
    table
}

/// A line that says how far an import is: for people who look on, not for a file.
struct Progress {
    is_seen: bool,
}

impl Progress {
    fn begin() -> Self {
        Self {
            is_seen: io::stderr().is_terminal(),
        }
    }

    fn show(&self, imported: &Imported) {
        if self.is_seen {
            let count = mainstay_ui::number::count;
            anstream::eprint!(
                "\r{}: line {}, {} taken, {} refused",
                imported.file,
                count(imported.lines as u64),
                count(imported.taken),
                count(imported.refused)
            );
        }
    }

    fn end(&self) {
        if self.is_seen {
            anstream::eprint!("\r\x1b[K");
        }
    }
}
