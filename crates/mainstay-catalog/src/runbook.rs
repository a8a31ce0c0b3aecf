//! Runbooks: CommonMark with front matter, whose fenced blocks of language `step` a machine can run.
//!
//! ````text
//! ---
//! title: High Error Rate
//! severity: P1
//! impact: Part of the payments fail
//! owner: payments
//! last_reviewed: 2026-11-02
//! alerts: [HighErrorRate]
//! ---
//! ## Mitigate
//! ```step id=rollback action=rollback service=payment-service risk=medium approve=responder timeout=5m
//! Go back to the previous revision.
//! ```
//! ````

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, civil};
use mainstay_kernel::{CellId, RunbookId, ServiceId, Severity, TeamId};
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};
use serde::{Deserialize, Serialize};

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

/// A runbook.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunbookDoc {
    /// The file's name without directories and ending.
    pub id: RunbookId,
    /// The file.
    pub file: String,
    /// What stands before the text.
    #[serde(flatten)]
    pub front: FrontMatter,
    /// What a machine can run or ask, in order.
    pub steps: Vec<Step>,
    /// The text after the front matter, as it is written.
    pub body: String,
}

/// What stands before a runbook's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrontMatter {
    /// Its title.
    pub title: String,
    /// The severity of what it is for.
    pub severity: Severity,
    /// What users suffer.
    pub impact: String,
    /// The team that keeps it.
    pub owner: Spanned<TeamId>,
    /// When somebody last walked through it.
    pub last_reviewed: civil::Date,
    /// The alerts it is for.
    pub alerts: Vec<Spanned<String>>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Its name, unique in the runbook.
    pub id: Spanned<String>,
    /// What it is about: `title`, or the heading it stands under.
    pub title: String,
    /// What is done.
    pub action: StepAction,
    /// How long it may take.
    #[serde(with = "duration::text")]
    pub timeout: SignedDuration,
    /// What can go wrong by doing it.
    pub risk: Risk,
    /// Whose word it needs.
    pub approve: Approval,
    /// The step that undoes it.
    pub undo: Option<Spanned<String>>,
    /// The text in the block: instructions, or the query.
    pub text: String,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum StepAction {
    /// Go back to the previous revision.
    Rollback {
        /// Of this service.
        service: ServiceId,
        /// In this cell; in the incident's cell if nothing is said.
        cell: Option<CellId>,
    },
    /// Restart the pods.
    Restart {
        /// Of this service.
        service: ServiceId,
        /// In this cell; in the incident's cell if nothing is said.
        cell: Option<CellId>,
    },
    /// Run that many pods.
    Scale {
        /// Of this service.
        service: ServiceId,
        /// In this cell; in the incident's cell if nothing is said.
        cell: Option<CellId>,
        /// How many.
        replicas: u32,
    },
    /// Ask the metrics; the block's text is PromQL.
    Query {
        /// What every value of the answer must be.
        expect: Expectation,
    },
    /// Something for a human.
    Manual {
        /// What they should see.
        expect: Option<String>,
    },
}

/// A comparison with a number, such as `< 0.001`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Expectation {
    /// How to compare.
    pub op: Comparison,
    /// With what.
    pub value: f64,
}

impl Expectation {
    /// Whether `value` is as expected; NaN never is.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        match self.op {
            Comparison::Less => value < self.value,
            Comparison::LessOrEqual => value <= self.value,
            Comparison::Greater => value > self.value,
            Comparison::GreaterOrEqual => value >= self.value,
            Comparison::Equal => value == self.value,
            Comparison::NotEqual => !value.is_nan() && value != self.value,
        }
    }
}

/// How to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Comparison {
    /// `<`
    #[serde(rename = "<")]
    Less,
    /// `<=`
    #[serde(rename = "<=")]
    LessOrEqual,
    /// `>`
    #[serde(rename = ">")]
    Greater,
    /// `>=`
    #[serde(rename = ">=")]
    GreaterOrEqual,
    /// `==`
    #[serde(rename = "==")]
    Equal,
    /// `!=`
    #[serde(rename = "!=")]
    NotEqual,
}

/// What can go wrong by doing a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Nothing: it only looks.
    #[default]
    Low,
    /// Some requests may fail.
    Medium,
    /// A cell may fail.
    High,
}

/// Whose word a step needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    /// Nobody's.
    #[default]
    None,
    /// The responder's.
    Responder,
    /// The incident commander's.
    Commander,
}

/// Reads every runbook of a catalog; what cannot be read, or refers to nothing, is reported.
#[must_use]
pub fn build(documents: &Documents, platform: &Platform, diagnostics: &mut Diagnostics) -> Vec<RunbookDoc> {
    let mut runbooks = Vec::new();
    for document in documents.of_format(Format::Runbook) {
        if let Some(runbook) = parse(document, diagnostics) {
            if !platform.teams.contains_key(&runbook.front.owner.value) {
                let known = platform.teams.keys().map(AsRef::as_ref);
                diagnostics.push(document.unknown_reference("team", &runbook.front.owner, known));
            }
            runbooks.push(runbook);
        }
    }
    runbooks
}

/// Reads one runbook. References to services are those of the first line of its steps, which the capability that runs
/// them resolves against the scope of an incident.
#[must_use]
pub fn parse(document: &Document, diagnostics: &mut Diagnostics) -> Option<RunbookDoc> {
    let source = document.source();
    let id = match RunbookId::new(document.name.clone()) {
        Ok(id) => id,
        Err(error) => {
            diagnostics.push(Diagnostic::whole_file(
                lint::BAD_VALUE,
                &document.file,
                error.to_string(),
            ));
            return None;
        }
    };
    let Some((front_end, body_start)) = front_matter_end(source) else {
        let message = "the front matter has no end";
        let help = "close it with a line `---`";
        diagnostics.push(document.diagnostic(lint::SYNTAX, document.at, message).help(help));
        return None;
    };
    let front: FrontMatter = diagnostics.keep(document.part(0..front_end).decode())?;
    let body = &source[body_start..];
    let mut steps: Vec<Step> = Vec::new();
    for block in blocks(body, body_start) {
        let result = step(document, &block).and_then(|step| {
            if steps.iter().any(|other| other.id == step.id) {
                let message = format!("there are two steps named {:?}", step.id.value);
                return Err(document.diagnostic(lint::DUPLICATE_NAME, step.id.at, message));
            }
            Ok(step)
        });
        steps.extend(diagnostics.keep(result));
        if steps.len() > MAX_STEPS {
            let message = format!("more than {MAX_STEPS} steps");
            diagnostics.push(
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
    Some(RunbookDoc {
        id,
        file: document.file.to_string(),
        front,
        steps,
        body: body.to_owned(),
    })
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
}

impl<'a> Pairs<'a> {
    fn read(document: &'a Document, block: &Block) -> Result<Self, Diagnostic> {
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
                return Ok(Self { document, at, pairs });
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

fn step(document: &Document, block: &Block) -> Result<Step, Diagnostic> {
    let mut pairs = Pairs::read(document, block)?;
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
    let service = "the name of a service";
    let cell = "the name of a cell";
    let action = match action.as_str() {
        "rollback" => StepAction::Rollback {
            service: pairs.required("service", service, |text| text.parse().ok())?,
            cell: pairs.optional("cell", cell, |text| text.parse().ok())?,
        },
        "restart" => StepAction::Restart {
            service: pairs.required("service", service, |text| text.parse().ok())?,
            cell: pairs.optional("cell", cell, |text| text.parse().ok())?,
        },
        "scale" => StepAction::Scale {
            service: pairs.required("service", service, |text| text.parse().ok())?,
            cell: pairs.optional("cell", cell, |text| text.parse().ok())?,
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
