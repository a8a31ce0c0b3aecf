//! What one rendering may use up.

use jiff::ZonedDateTime;

use crate::error::Fault;
use crate::format::{Sink, Version};
use crate::value::{Str, Value};

/// How much a template may be, take and make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest template text, in bytes.
    pub template_bytes: usize,
    /// Blocks and parentheses inside of one another.
    pub nesting: usize,
    /// Templates, blocks and parentheses inside of one another while rendering: what bounds recursion.
    pub depth: usize,
    /// Nodes and operands evaluated, and the more the longer a value is.
    pub steps: usize,
    /// The longest result, and the longest string in between.
    pub output_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            template_bytes: 256 << 10,
            nesting: 50,
            depth: 100,
            steps: 2_000_000,
            output_bytes: 1 << 20,
        }
    }
}

/// What functions may know and use while rendering.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) now: ZonedDateTime,
    pub(crate) version: Version,
    pub(crate) limits: Limits,
    left: usize,
}

/// Bytes that cost as much as one step.
const BYTES_PER_STEP: usize = 64;

/// Slices and maps of anything may be no deeper in one another: the stack is finite.
const VALUE_DEPTH_MAX: usize = 32;

impl Budget {
    pub(crate) fn new(limits: Limits, version: Version, now: ZonedDateTime) -> Self {
        Self {
            now,
            version,
            limits,
            left: limits.steps,
        }
    }

    pub(crate) fn charge(&mut self, steps: usize) -> Result<(), Fault> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Fault::Limit("steps", self.limits.steps)),
        }
    }

    /// Pays for reading so many bytes.
    pub(crate) fn read(&mut self, bytes: usize) -> Result<(), Fault> {
        self.charge(bytes / BYTES_PER_STEP)
    }

    pub(crate) fn sink(&self) -> Sink {
        Sink::new(self.limits.output_bytes, self.version)
    }

    /// A string that a function made.
    pub(crate) fn text(&mut self, bytes: Vec<u8>) -> Result<Value, Fault> {
        if bytes.len() > self.limits.output_bytes {
            return Err(Fault::Limit("bytes", self.limits.output_bytes));
        }
        self.read(bytes.len())?;
        Ok(Value::Text(Str::from(bytes)))
    }

    /// How deep a slice or map of these values is.
    pub(crate) fn depth_over<'a>(&mut self, values: impl Iterator<Item = &'a Value>) -> Result<usize, Fault> {
        let mut deepest = 0;
        for value in values {
            self.charge(1)?;
            deepest = deepest.max(value.depth());
        }
        if deepest >= VALUE_DEPTH_MAX {
            return Err(Fault::Limit("values inside of one another", VALUE_DEPTH_MAX));
        }
        Ok(deepest + 1)
    }
}
