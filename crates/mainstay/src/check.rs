//! `mainstay check`: what is wrong with a catalog or a file, where exactly, and how to mend it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mainstay_catalog::runbook::{RunbookDoc, StepAction};
use mainstay_catalog::{At, Catalog, Diagnostic, Diagnostics, Document, Documents, Format, Level, lint};
use mainstay_kernel::{Clock as _, Labels, Severity};
use mainstay_plane::telemetry::{Contracts, LimitsSpec};
use mainstay_promql::dialect::{Dialect, differences};
use mainstay_rules::{RuleFile, RuleKind, RuleSpec};
use serde::Serialize;

use crate::adopt;
use crate::clock::SystemClock;
use crate::exit::Exit;
use crate::output::Table;

/// Options of `mainstay check`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Catalog directories, or single files of any format that is known.
    #[arg(required_unless_present = "lints", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// List every check there is: what it finds, which ruling it stands for, and whether it is looked for yet.
    #[arg(long, exclusive = true)]
    lints: bool,
    /// Also say what of the rules means something else on this engine: prometheus, prometheus2 or victoriametrics.
    #[arg(long, value_parser = dialect)]
    engine: Option<Dialect>,
    /// How findings are written: `text` with the line and a caret, `short` with one line each, `json`.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    #[default]
    Text,
    Short,
    Json,
}

/// What was found below one path.
#[derive(Serialize)]
struct Found {
    path: PathBuf,
    files: usize,
    errors: usize,
    warnings: usize,
    findings: Diagnostics,
    /// Files that are recognised and that nothing here reads further.
    unchecked: BTreeSet<String>,
}

/// Reads a catalog or a file, and checks everything that any capability must have to use it.
pub(crate) fn examine(path: &Path) -> (Catalog, Diagnostics) {
    let (mut catalog, mut diagnostics) = Catalog::check(path);
    adopt::alertmanager::add_templates(&mut catalog, path, &mut diagnostics);
    // What they make of it is of no use here; what they find is.
    let slos = mainstay_slo::spec::load(&catalog.documents, &catalog.platform, &mut diagnostics);
    let _ = mainstay_slo::gate::load(&catalog, &slos, SystemClock.now(), &mut diagnostics);
    let _ = Contracts::of(&catalog.documents, &catalog.platform, &slos, &mut diagnostics);
    let _ = LimitsSpec::of(&catalog.documents, &mut diagnostics);
    for document in catalog.documents.of_format(Format::PrometheusRules) {
        check_rules(document, &mut diagnostics);
    }
    for runbook in &catalog.runbooks {
        check_queries(runbook, &catalog.documents, &mut diagnostics);
    }
    diagnostics.settle();
    (catalog, diagnostics)
}

/// The dialect of an engine's name.
pub(crate) fn dialect(name: &str) -> Result<Dialect, String> {
    Dialect::named(name).ok_or_else(|| "expected prometheus, prometheus2 or victoriametrics".to_owned())
}

/// What of the rules means something else in another dialect.
fn check_dialect(documents: &Documents, dialect: Dialect, diagnostics: &mut Diagnostics) {
    for document in documents.of_format(Format::PrometheusRules) {
        let Ok(file) = RuleFile::parse(&document.file, document.source()) else {
            continue; // Said already.
        };
        for rule in file.groups.iter().flat_map(|group| &group.rules) {
            let found = differences(&rule.expr, dialect);
            for difference in found.iter().filter(|difference| !difference.rule.is_of_ranges()) {
                let part = rule.query.get(difference.span.start..difference.span.end);
                let line = place(document.source(), rule.line, 1);
                let at = line.of_part(document.source(), part.unwrap_or_default());
                let message = format!("on {dialect}: {} ({})", difference.message, difference.rule);
                diagnostics.push(document.diagnostic(lint::DIALECT, at, message));
            }
        }
    }
}

fn check_rules(document: &Document, diagnostics: &mut Diagnostics) {
    let place = |finding: &mainstay_rules::Diagnostic| {
        let at = place(document.source(), finding.line, finding.column);
        document
            .diagnostic(lint::BAD_VALUE, at, finding.message.clone())
            .help(finding.help)
    };
    match RuleFile::parse(&document.file, document.source()) {
        Ok(file) => {
            diagnostics.extend(file.warnings.iter().map(|finding| Diagnostic {
                level: Level::Warning,
                ..place(finding)
            }));
            let rules = file.groups.iter().flat_map(|group| &group.rules);
            diagnostics.extend(rules.filter_map(|rule| unknown_priority(document, rule)));
        }
        Err(error) => error
            .0
            .iter()
            .for_each(|finding| diagnostics.push_unread(place(finding))),
    }
}

/// An alert whose labels say a severity that nobody knows would be routed as if it said none, and page nobody.
fn unknown_priority(document: &Document, rule: &RuleSpec) -> Option<Diagnostic> {
    let plain = |name: &str| {
        let text = rule.labels.get(name)?.text();
        (!text.contains("{{")).then_some(text)
    };
    let is_alert = matches!(rule.kind, RuleKind::Alert { .. });
    let (name, text, level) = match (plain("priority"), plain("severity")) {
        (Some(priority), _) => ("priority", priority, Level::Error),
        (None, Some(severity)) if !rule.labels.contains_key("priority") => {
            ("severity", severity, Level::Warning)
        }
        _ => return None,
    };
    let labels: Labels = [(name, text)].into_iter().collect();
    if !is_alert || Severity::from_labels(&labels).is_some() {
        return None;
    }
    let key = format!("{name}:");
    let lines = document
        .source()
        .lines()
        .enumerate()
        .skip(rule.line.saturating_sub(1));
    let (line, column) = lines
        .filter_map(|(index, line)| Some((index + 1, line[..line.find(&key)?].chars().count() + 1)))
        .next()
        .unwrap_or((rule.line, 1));
    let message = format!(
        "{text:?} is no {name} that is known: {} would page nobody",
        rule.name()
    );
    let found = document
        .diagnostic(lint::BAD_VALUE, place(document.source(), line, column), message)
        .help("`priority` is P0, P1, P2 or P3; `severity` is critical, high, warning or info");
    Some(Diagnostic { level, ..found })
}

/// The queries of a runbook's steps: at 3 am is no time to find that one cannot be read.
fn check_queries(runbook: &RunbookDoc, documents: &Documents, diagnostics: &mut Diagnostics) {
    let Some(document) = documents
        .of_format(Format::Runbook)
        .find(|document| *document.file == *runbook.file)
    else {
        return;
    };
    let queries = runbook
        .steps
        .iter()
        .filter(|step| matches!(step.action, StepAction::Query { .. }));
    for step in queries {
        if let Err(error) = mainstay_promql::parse(&step.text) {
            // The query begins on the line below the step's own.
            let line = step.id.at.line as usize + error.position.line;
            let at = place(document.source(), line, error.position.column);
            let message = format!(
                "the query of step {:?} cannot be read: {}",
                step.id.value, error.message
            );
            diagnostics.push(
                document
                    .diagnostic(lint::BAD_VALUE, at, message)
                    .help("write PromQL, such as `up == 0`; `mainstay query` tries an expression"),
            );
        }
    }
}

/// The word at a line and a column of a file.
fn place(source: &str, line: usize, column: usize) -> At {
    let before: usize = source
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    let rest = &source[before..];
    let inside = rest
        .char_indices()
        .nth(column.saturating_sub(1))
        .map_or(rest.len(), |(byte, _)| byte);
    let start = before + inside;
    let word = source[start..]
        .find(|c: char| c.is_whitespace() || c == ':')
        .unwrap_or(source.len() - start);
    At::of_bytes(source, start..start + word.max(1).min(source.len() - start))
}

/// The directory below which the findings of `path` name their files.
pub(crate) fn root(path: &Path) -> Option<&Path> {
    if path.is_dir() { Some(path) } else { path.parent() }
}

/// Prints findings with their lines and carets.
pub(crate) fn print(path: &Path, diagnostics: &Diagnostics) {
    anstream::print!("{}", diagnostics.render(root(path), true));
}

/// The registry of checks.
fn list_lints() -> Exit {
    let mut table = Table::new(&["CHECK", "LEVEL", "RULING", "LOOKED FOR", "FINDS"]);
    for lint in lint::ALL.iter().map(|id| id.lint()) {
        table.row([
            lint.id.to_owned(),
            format!("{:?}", lint.level).to_lowercase(),
            lint.ruling.unwrap_or_default().to_owned(),
            match lint.status {
                lint::Status::Implemented => "yes".to_owned(),
                lint::Status::Planned(capability) => format!("with {capability}"),
            },
            lint.finds.to_owned(),
        ]);
    }
    table.print("There is no check.");
    Exit::Ok
}

pub(crate) fn run(options: &Options) -> Exit {
    if options.lints {
        return list_lints();
    }
    if let Some(missing) = options.paths.iter().find(|path| !path.exists()) {
        anstream::eprintln!(
            "mainstay check: there is no file or directory {}",
            missing.display()
        );
        return Exit::Usage;
    }
    let find = |path: &PathBuf| find(path, options.engine);
    let found: Vec<Found> = options.paths.iter().map(find).collect();
    match options.output {
        Output::Text => found.iter().for_each(|found| print(&found.path, &found.findings)),
        Output::Short => found
            .iter()
            .for_each(|found| anstream::print!("{}", short(found))),
        Output::Json => match serde_json::to_string_pretty(&found) {
            Ok(text) => anstream::println!("{text}"),
            Err(error) => {
                anstream::eprintln!("mainstay check: {error}");
                return Exit::Failure;
            }
        },
    }
    for found in &found {
        let files = found.unchecked.iter().take(10);
        files.for_each(|file| anstream::eprintln!("not checked further: {file}"));
    }
    let sum = |part: fn(&Found) -> usize| found.iter().map(part).sum::<usize>();
    let (errors, warnings, files) = (sum(|f| f.errors), sum(|f| f.warnings), sum(|f| f.files));
    anstream::eprintln!(
        "{} and {} in {}",
        counted(errors, "error"),
        counted(warnings, "warning"),
        counted(files, "file")
    );
    if errors > 0 { Exit::Problems } else { Exit::Ok }
}

fn find(path: &Path, engine: Option<Dialect>) -> Found {
    let (catalog, mut findings) = examine(path);
    // Whoever only reads a catalog does not ask for these: a server starts with objectives that contradict each other.
    mainstay_slo::spec::contradictions::check(&catalog.documents, &catalog.platform, &mut findings);
    // Nor for holes of the time to come: they are no reason not to start today.
    mainstay_oncall::reach::check(&catalog, SystemClock.now(), &mut findings);
    findings.settle();
    if let Some(dialect) = engine {
        check_dialect(&catalog.documents, dialect, &mut findings);
        findings.settle();
    }
    let kind = |document: &Document| match document.format {
        Format::PrometheusRuleTests => Some("rule unit tests; `mainstay test rules` runs them".to_owned()),
        Format::KubernetesObject => Some(format!("a Kubernetes {}", document.kind)),
        _ => None,
    };
    let unchecked = catalog
        .documents
        .iter()
        .filter_map(|document| Some(format!("{}, {}", document.file, kind(document)?)));
    Found {
        path: path.to_owned(),
        files: catalog.documents.files().len(),
        errors: findings.errors(),
        warnings: findings
            .iter()
            .filter(|finding| finding.level == Level::Warning)
            .count(),
        unchecked: unchecked.collect(),
        findings,
    }
}

/// One line per finding, below the path as it was given.
fn short(found: &Found) -> String {
    let below = root(&found.path)
        .map(|root| root.display().to_string())
        .filter(|root| !root.is_empty());
    let prefix = below
        .map(|root| format!("{}/", root.trim_end_matches('/')))
        .unwrap_or_default();
    found
        .findings
        .render_short()
        .lines()
        .map(|line| format!("{prefix}{line}\n"))
        .collect()
}

/// `1 error`, `2 errors`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_word_at_line_and_column() {
        let at = place("groups:\n  - nam: é x\n", 2, 5);
        assert_eq!((at.line, at.column, at.len_bytes), (2, 5, 3));
        assert_eq!(place("a\n", 9, 9).line, 2, "a place past the end is the end");
    }
}
