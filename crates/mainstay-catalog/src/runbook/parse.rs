//! From a Markdown file to a runbook, with the place of everything that does not fit.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use mainstay_kernel::{CellId, RunbookId, ServiceId};
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use super::{Approval, Comparison, Expectation, FrontMatter, Risk, RunbookDoc, Step, StepAction};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::{Document, Format};
use crate::documents::Documents;
use crate::duration;
use crate::lint;
use crate::nearest::suggest;
use crate::platform::Platform;
use crate::spanned::{At, Spanned};

/// How long a step may take where it does not say.
const STEP_TIMEOUT: SignedDuration = SignedDuration::from_mins(5);
/// Most steps in one runbook.
const MAX_STEPS: usize = 100;
/// The keys of a step's first line.
const STEP_KEYS: [&str; 11] = [
    "id", "title", "action", "service", "cell", "replicas", "expect", "timeout", "risk", "approve", "undo",
];

/// Reads every runbook of a catalog; what cannot be read, or refers to nothing, is reported.
#[must_use]
pub fn build(documents: &Documents, platform: &Platform, diagnostics: &mut Diagnostics) -> Vec<RunbookDoc> {
    let mut runbooks = Vec::new();
    for document in documents.of_format(Format::Runbook) {
        if let Some((runbook, named)) = read(document, diagnostics) {
            if !platform.teams.contains_key(&runbook.front.owner.value) {
                let known = platform.teams.keys().map(AsRef::as_ref);
                diagnostics.push(document.unknown_reference("team", &runbook.front.owner, known));
            }
            for service in named
                .services
                .iter()
                .filter(|id| !platform.services.contains_key(&id.value))
            {
                let known = platform.services.keys().map(AsRef::as_ref);
                diagnostics.push(document.unknown_reference("service", service, known));
            }
            for cell in named
                .cells
                .iter()
                .filter(|id| !platform.cells.contains_key(&id.value))
            {
                let known = platform.cells.keys().map(AsRef::as_ref);
                diagnostics.push(document.unknown_reference("cell", cell, known));
            }
            runbooks.push(runbook);
        }
    }
    runbooks
}

/// Reads one runbook, without resolving what it refers to.
#[must_use]
pub fn parse(document: &Document, diagnostics: &mut Diagnostics) -> Option<RunbookDoc> {
    read(document, diagnostics).map(|(runbook, _)| runbook)
}

/// The names that the steps of a runbook use, with their places.
#[derive(Default)]
struct Named {
    services: Vec<Spanned<ServiceId>>,
    cells: Vec<Spanned<CellId>>,
}

fn read(document: &Document, diagnostics: &mut Diagnostics) -> Option<(RunbookDoc, Named)> {
    let source = document.source();
    let id = match RunbookId::new(document.name.clone()) {
        Ok(id) => id,
        Err(error) => {
            diagnostics.push(Diagnostic::whole_file(
                lint::BAD_VALUE,
                document.file.clone(),
                error.to_string(),
            ));
            return None;
        }
    };
    let Some((front_end, body_start)) = front_matter_end(source) else {
        let message = "the front matter has no end";
        let help = "close it with a line `---`";
        diagnostics.push_unread(document.diagnostic(lint::SYNTAX, document.at, message).help(help));
        return None;
    };
    let front: FrontMatter = diagnostics.keep(document.part(0..front_end).decode())?;
    let body = &source[body_start..];
    let (mut steps, mut named): (Vec<Step>, _) = (Vec::new(), Named::default());
    for block in blocks(body, body_start) {
        let result = step(document, &block, &mut named).and_then(|step| {
            if steps.iter().any(|other| other.id == step.id) {
                let message = format!("there are two steps named {:?}", step.id.value);
                return Err(document.diagnostic(lint::DUPLICATE_NAME, step.id.at, message));
            }
            Ok(step)
        });
        steps.extend(diagnostics.keep(result));
        if steps.len() > MAX_STEPS {
            let message = format!("more than {MAX_STEPS} steps");
            diagnostics.push_unread(
                document
                    .diagnostic(lint::TOO_LARGE, document.at, message)
                    .help("split the runbook"),
            );
            return None;
        }
    }
    let ids: BTreeSet<&str> = steps.iter().map(|step| step.id.as_str()).collect();
    for undo in steps
        .iter()
        .filter_map(|step| step.undo.as_ref())
        .filter(|undo| !ids.contains(undo.as_str()))
    {
        diagnostics.push(document.unknown_reference("step", undo, ids.iter().copied()));
    }
    let runbook = RunbookDoc {
        id,
        file: document.file.to_string(),
        front,
        steps,
        body: body.to_owned(),
    };
    Some((runbook, named))
}

/// Where the front matter's YAML ends, and where the text after it begins.
fn front_matter_end(source: &str) -> Option<(usize, usize)> {
    let mut offset = 0;
    for (index, line) in source.split_inclusive('\n').enumerate() {
        let next = offset + line.len();
        if index > 0 && line.trim_end() == "---" {
            return Some((offset, next));
        }
        offset = next;
    }
    None
}

/// A fenced block of language `step`.
struct Block {
    heading: String,
    /// The first line after the fence, from its byte in the file.
    info: String,
    info_offset: usize,
    text: String,
}

fn blocks(body: &str, body_start: usize) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut heading, mut in_heading, mut in_step) = (String::new(), false, false);
    for (event, range) in Parser::new(body).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { .. }) => {
                heading.clear();
                in_heading = true;
            }
            Event::End(TagEnd::Heading(_)) => in_heading = false,
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                in_step = info.split_whitespace().next() == Some("step");
                if in_step {
                    let within = body[range.clone()].find(&*info).unwrap_or_default();
                    blocks.push(Block {
                        heading: heading.clone(),
                        info: info.into_string(),
                        info_offset: body_start + range.start + within,
                        text: String::new(),
                    });
                }
            }
            Event::End(TagEnd::CodeBlock) => in_step = false,
            Event::Text(text) | Event::Code(text) if in_heading => heading.push_str(&text),
            Event::Text(text) if in_step => {
                if let Some(block) = blocks.last_mut() {
                    block.text.push_str(&text);
                }
            }
            _ => {}
        }
    }
    blocks
}

/// The `key=value` pairs of a step's first line.
struct Pairs<'a> {
    document: &'a Document,
    at: At,
    pairs: BTreeMap<String, Spanned<String>>,
    named: &'a mut Named,
}

impl<'a> Pairs<'a> {
    fn read(document: &'a Document, block: &Block, named: &'a mut Named) -> Result<Self, Diagnostic> {
        let at = |from: usize, to: usize| {
            At::of_bytes(
                document.source(),
                block.info_offset + from..block.info_offset + to,
            )
        };
        let mut pairs: BTreeMap<String, Spanned<String>> = BTreeMap::new();
        let info = block.info.as_str();
        let mut offset = info.find("step").unwrap_or_default() + "step".len();
        loop {
            let rest = &info[offset..];
            let trimmed = rest.trim_start();
            offset += rest.len() - trimmed.len();
            if trimmed.is_empty() {
                let at = at(0, info.len());
                return Ok(Self {
                    document,
                    at,
                    pairs,
                    named,
                });
            }
            let key_len = trimmed
                .find(|c: char| c == '=' || c.is_whitespace())
                .unwrap_or(trimmed.len());
            let key = &trimmed[..key_len];
            let place = at(offset, offset + key_len);
            let Some(value) = trimmed[key_len..].strip_prefix('=') else {
                let message = format!("{key:?} has no value");
                return Err(document
                    .diagnostic(lint::SYNTAX, place, message)
                    .help("write `key=value`"));
            };
            if !STEP_KEYS.contains(&key) {
                let message = format!("unknown key {key:?}");
                return Err(document
                    .diagnostic(lint::UNKNOWN_KEY, place, message)
                    .help(suggest(key, "key", STEP_KEYS)));
            }
            let (value, taken) = match value.strip_prefix('"') {
                Some(quoted) => {
                    let Some(end) = quoted.find('"') else {
                        let message = "a quotation mark that is not closed";
                        return Err(document.diagnostic(lint::SYNTAX, place, message));
                    };
                    (&quoted[..end], end + 2)
                }
                None => {
                    let end = value.find(char::is_whitespace).unwrap_or(value.len());
                    (&value[..end], end)
                }
            };
            let start = offset + key_len + 1;
            let value = Spanned {
                value: value.to_owned(),
                at: at(start, start + taken),
            };
            if pairs.insert(key.to_owned(), value).is_some() {
                let message = format!("the key {key:?} is given twice");
                return Err(document
                    .diagnostic(lint::DUPLICATE_KEY, place, message)
                    .help("keep one of the two"));
            }
            offset = start + taken;
        }
    }

    fn optional<T>(
        &mut self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Diagnostic> {
        let Some(text) = self.pairs.remove(key) else {
            return Ok(None);
        };
        match read(&text.value) {
            Some(value) => Ok(Some(value)),
            None => {
                let message = format!("{key}={:?} cannot be used", text.value);
                let help = format!("expected {expected}");
                Err(self
                    .document
                    .diagnostic(lint::BAD_VALUE, text.at, message)
                    .help(help))
            }
        }
    }

    fn required<T>(
        &mut self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Diagnostic> {
        self.optional(key, expected, read)?.ok_or_else(|| {
            self.document
                .diagnostic(lint::MISSING_KEY, self.at, format!("the step has no {key:?}"))
                .help(format!("add `{key}=`: {expected}"))
        })
    }
}

impl Pairs<'_> {
    fn service(&mut self) -> Result<ServiceId, Diagnostic> {
        let at = self.pairs.get("service").map_or(self.at, |text| text.at);
        let value: ServiceId = self.required("service", "the name of a service", |text| text.parse().ok())?;
        self.named.services.push(Spanned {
            value: value.clone(),
            at,
        });
        Ok(value)
    }

    fn cell(&mut self) -> Result<Option<CellId>, Diagnostic> {
        let at = self.pairs.get("cell").map_or(self.at, |text| text.at);
        let cell: Option<CellId> = self.optional("cell", "the name of a cell", |text| text.parse().ok())?;
        self.named
            .cells
            .extend(cell.clone().map(|value| Spanned { value, at }));
        Ok(cell)
    }
}

fn step(document: &Document, block: &Block, named: &mut Named) -> Result<Step, Diagnostic> {
    let mut pairs = Pairs::read(document, block, named)?;
    let id = pairs.pairs.get("id").cloned();
    let name: String = pairs.required("id", "a short name", |text| {
        (!text.is_empty()).then(|| text.to_owned())
    })?;
    let id = Spanned {
        value: name,
        at: id.map_or(pairs.at, |id| id.at),
    };
    let word = pairs.pairs.get("action").map_or(pairs.at, |action| action.at);
    let words = "rollback, restart, scale, query or manual";
    let action: String = pairs.required("action", words, |text| Some(text.to_owned()))?;
    let action = match action.as_str() {
        "rollback" => StepAction::Rollback {
            service: pairs.service()?,
            cell: pairs.cell()?,
        },
        "restart" => StepAction::Restart {
            service: pairs.service()?,
            cell: pairs.cell()?,
        },
        "scale" => StepAction::Scale {
            service: pairs.service()?,
            cell: pairs.cell()?,
            replicas: pairs.required("replicas", "how many pods", |text| text.parse().ok())?,
        },
        "query" => StepAction::Query {
            expect: pairs.required("expect", "a comparison such as \"< 0.001\"", expectation)?,
        },
        "manual" => StepAction::Manual {
            expect: pairs.optional("expect", "a text", |text| Some(text.to_owned()))?,
        },
        other => {
            let message = format!("unknown action {other:?}");
            let known = ["rollback", "restart", "scale", "query", "manual"];
            return Err(document
                .diagnostic(lint::BAD_VALUE, word, message)
                .help(suggest(other, "action", known)));
        }
    };
    let title = pairs.optional("title", "a text", |text| Some(text.to_owned()))?;
    let timeout = pairs.optional("timeout", "a duration such as 5m", |text| {
        duration::parse(text).ok()
    })?;
    let risk = pairs.optional("risk", "low, medium or high", |text| match text {
        "low" => Some(Risk::Low),
        "medium" => Some(Risk::Medium),
        "high" => Some(Risk::High),
        _ => None,
    })?;
    let approve = pairs.optional("approve", "none, responder or commander", |text| match text {
        "none" => Some(Approval::None),
        "responder" => Some(Approval::Responder),
        "commander" => Some(Approval::Commander),
        _ => None,
    })?;
    let undo = pairs.pairs.remove("undo");
    if let Some((key, value)) = pairs.pairs.pop_first() {
        let message = format!("the key {key:?} means nothing for this action");
        return Err(document
            .diagnostic(lint::UNKNOWN_KEY, value.at, message)
            .help("leave it out"));
    }
    Ok(Step {
        id,
        title: title.unwrap_or_else(|| block.heading.clone()),
        action,
        timeout: timeout.unwrap_or(STEP_TIMEOUT),
        risk: risk.unwrap_or_default(),
        approve: approve.unwrap_or_default(),
        undo,
        text: block.text.trim_end().to_owned(),
    })
}

fn expectation(text: &str) -> Option<Expectation> {
    let comparisons = [
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("==", Comparison::Equal),
        ("!=", Comparison::NotEqual),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    let text = text.trim();
    let (op, number) = comparisons
        .into_iter()
        .find_map(|(symbol, op)| Some((op, text.strip_prefix(symbol)?)))?;
    let value: f64 = number.trim().parse().ok()?;
    value.is_finite().then_some(Expectation { op, value })
}
