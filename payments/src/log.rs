//! Structured logs: one JSON object a line on stderr, with the fields of the specification.
//!
//! A process writes at most [`LINES_PER_SECOND`] lines; what it leaves out is counted in the next line's metadata,
//! so that an outage at hundreds of errors a second cannot fill the disk.

use crate::clock;
use serde::Serialize;
use std::{
    io::Write,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
};

const LINES_PER_SECOND: u64 = 20;

/// Severity of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warn,
    Error,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'static str,
    service: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    trace_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    tenant_id: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exception: Option<String>,
    metadata: serde_json::Value,
}

/// What a line is about.
#[derive(Clone, Copy, Default)]
pub(crate) struct About<'a> {
    pub(crate) trace_id: &'a str,
    pub(crate) tenant: &'a str,
}

/// Writes the lines of one process.
#[derive(Debug)]
pub(crate) struct Logger {
    service: String,
    pod: String,
    cell: String,
    second: AtomicI64,
    lines: AtomicU64,
    suppressed: AtomicU64,
}

impl Logger {
    pub(crate) fn new(service: &str, pod: &str, cell: &str) -> Self {
        Self {
            service: service.to_owned(),
            pod: pod.to_owned(),
            cell: cell.to_owned(),
            second: AtomicI64::new(0),
            lines: AtomicU64::new(0),
            suppressed: AtomicU64::new(0),
        }
    }

    pub(crate) fn info(&self, message: &str) {
        self.write(Level::Info, About::default(), message, None);
    }

    pub(crate) fn warn(&self, message: &str, cause: &dyn std::fmt::Display) {
        self.write(Level::Warn, About::default(), message, Some(cause));
    }

    pub(crate) fn error(&self, message: &str, cause: &dyn std::fmt::Display) {
        self.write(Level::Error, About::default(), message, Some(cause));
    }

    pub(crate) fn write(
        &self,
        level: Level,
        about: About<'_>,
        message: &str,
        cause: Option<&dyn std::fmt::Display>,
    ) {
        let now = clock::unix_ms();
        if self.second.swap(now / 1000, Ordering::Relaxed) != now / 1000 {
            self.lines.store(0, Ordering::Relaxed);
        }
        if self.lines.fetch_add(1, Ordering::Relaxed) >= LINES_PER_SECOND {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let suppressed = self.suppressed.swap(0, Ordering::Relaxed);
        let mut metadata = serde_json::json!({ "pod": self.pod, "cell": self.cell });
        if suppressed > 0 {
            metadata["suppressed_lines"] = suppressed.into();
        }
        let line = Line {
            timestamp: clock::rfc3339(now),
            level: level.as_str(),
            service: &self.service,
            trace_id: about.trace_id,
            tenant_id: about.tenant,
            message,
            exception: cause.map(ToString::to_string),
            metadata,
        };
        let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
        bytes.push(b'\n');
        // A closed stderr must not take the service down.
        let _ = std::io::stderr().write_all(&bytes);
    }
}
