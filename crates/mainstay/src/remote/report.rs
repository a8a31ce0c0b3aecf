//! `mainstay slo report`.

use std::path::{Path, PathBuf};

use mainstay_plane::signing::PublicKey;
use mainstay_slo::report::edition::read_signed;
use mainstay_web::view::ReportForm;

use super::{Remote, Server, path, with_query};
use crate::console::report::written;
use crate::exit::Exit;
use crate::output::text;

/// The largest file that is verified, in bytes.
const FILE_MAX_BYTES: u64 = 16 << 20;

/// Options of `mainstay slo report`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The month, such as 2026-10.
    #[arg(long, required_unless_present = "verify")]
    month: Option<String>,
    /// Of this tenant; without it, of the platform.
    #[arg(long)]
    tenant: Option<String>,
    /// How it is written: md if nothing is said, html, csv, or json with everything that is signed.
    #[arg(long, value_parser = ["md", "html", "csv", "json"])]
    format: Option<String>,
    /// An edition as it was issued: its number, or last.
    #[arg(long, conflicts_with = "issue")]
    edition: Option<String>,
    /// Issue the next edition, signed, unless nothing changed since the last one.
    #[arg(long)]
    issue: bool,
    /// Verify a signed edition in JSON, without asking a server; exit code 3 if it is not what was issued.
    #[arg(long, value_name = "FILE", requires = "public_key", conflicts_with_all = ["issue", "edition", "month", "tenant"])]
    verify: Option<PathBuf>,
    /// The key that verifies: as the server prints it at /api/v1/signing-key, kept since before.
    #[arg(long, value_name = "KEY")]
    public_key: Option<String>,
    #[command(flatten)]
    server: Server,
}

impl Options {
    pub(crate) fn run(&self) -> Exit {
        if let (Some(file), Some(key)) = (&self.verify, &self.public_key) {
            return verify(file, key, self.format.as_deref());
        }
        let address = path(&["reports", self.month.as_deref().unwrap_or_default()]);
        let tenant = self.tenant.as_deref().map(|tenant| ("tenant", tenant));
        Remote::run(&self.server, async |remote| {
            let mut edition = self.edition.as_deref();
            if self.issue {
                let query: Vec<_> = tenant.into_iter().collect();
                let done = remote.order(&with_query(&address, &query)).await?;
                // The report itself is what is asked for; this is about it.
                anstream::eprintln!("{}", text(&done, "message"));
                edition = Some("last");
            }
            let edition = edition.map(|edition| ("edition", edition));
            let query = [("format", self.format.as_deref().unwrap_or("md"))]
                .into_iter()
                .chain(tenant)
                .chain(edition);
            let query: Vec<_> = query.collect();
            anstream::print!("{}", remote.text(&with_query(&address, &query)).await?);
            Ok(Exit::Ok)
        })
    }
}

/// Says whether a file is an edition that the holder of a key issued. Prints it in another form, if one is asked for.
fn verify(file: &Path, key: &str, format: Option<&str>) -> Exit {
    let failed = |why: &dyn std::fmt::Display, exit| {
        anstream::eprintln!("mainstay: {}: {why}", file.display());
        exit
    };
    let Some(key) = PublicKey::parse(key) else {
        return failed(&"--public-key is no Ed25519 key in base64", Exit::Usage);
    };
    let bytes = match std::fs::metadata(file).and_then(|about| match about.len() {
        0..=FILE_MAX_BYTES => std::fs::read(file),
        _ => Err(std::io::Error::other(format!(
            "it has more than {FILE_MAX_BYTES} bytes"
        ))),
    }) {
        Ok(bytes) => bytes,
        Err(error) => return failed(&error, Exit::Failure),
    };
    let (signed, message) = match read_signed(&bytes) {
        Ok(read) => read,
        Err(error) => return failed(&error, Exit::Problems),
    };
    if !key.verifies(&message, &signed.signature) {
        return failed(
            &"the signature is not of this key: do not believe it",
            Exit::Problems,
        );
    }
    let edition = &signed.edition;
    let whose = edition.report.tenant.as_ref();
    anstream::eprintln!(
        "{}: edition {} of {} for {}, issued {} by {}, is as it was signed.",
        file.display(),
        edition.number,
        edition.report.month,
        whose.map_or("the platform", |tenant| tenant.id.as_str()),
        edition.issued_at,
        edition.issued_by
    );
    if let Some(form) = format.and_then(ReportForm::named) {
        anstream::print!("{}", written(&edition.report, Some(&signed), form).text);
    }
    Exit::Ok
}
