//! Go's `fmt`: what `print`, `printf` and `println` write.

mod float;
mod printf;
mod quote;
mod value;

use crate::error::Fault;
use crate::value::Value;

pub(crate) use float::general as general_float;
pub(crate) use printf::printf;
pub(crate) use quote::printable;

/// Which Alertmanager's way of printing is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// 0.25: label sets and pairs print as Go prints any map and slice, `map[a:b]` and `[{a b}]`; an empty value stays
    /// empty in an HTML attribute without quotes.
    V0_25,
    /// 0.26 and later: they print as `a=b, c=d`; there is no such empty value, it is `ZgotmplZ`.
    #[default]
    V0_26,
}

/// Bytes up to a limit. What is too much is dropped and noted.
#[derive(Debug)]
pub(crate) struct Sink {
    bytes: Vec<u8>,
    limit: usize,
    overflowed: bool,
    pub(crate) version: Version,
}

/// What is formatted may be no deeper: the stack is finite.
const DEPTH_MAX: usize = 40;

impl Sink {
    pub(crate) fn new(limit: usize, version: Version) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
            overflowed: false,
            version,
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if self.bytes.len() + bytes.len() > self.limit {
            self.overflowed = true;
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.write(text.as_bytes());
    }

    pub(crate) fn char(&mut self, c: char) {
        self.text(c.encode_utf8(&mut [0; 4]));
    }

    pub(crate) fn repeat(&mut self, byte: u8, times: usize) {
        if self.bytes.len() + times > self.limit {
            self.overflowed = true;
        } else {
            self.bytes.resize(self.bytes.len() + times, byte);
        }
    }

    pub(crate) fn check(&self) -> Result<usize, Fault> {
        if self.overflowed {
            Err(Fault::Limit("bytes", self.limit))
        } else {
            Ok(self.bytes.len())
        }
    }

    /// What was written, leaving nothing.
    pub(crate) fn take(&mut self) -> Result<Vec<u8>, Fault> {
        self.check()?;
        Ok(std::mem::take(&mut self.bytes))
    }

    pub(crate) fn finish(self) -> Result<Vec<u8>, Fault> {
        if self.overflowed {
            return Err(Fault::Limit("bytes", self.limit));
        }
        Ok(self.bytes)
    }
}

/// How one value is to be written.
#[derive(Debug, Clone, Default)]
struct Spec {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%+v`, `%#v`.
    plus_v: bool,
    sharp_v: bool,
    width: Option<usize>,
    precision: Option<usize>,
    /// Inside of a complaint, where no value describes itself.
    complaining: bool,
}

/// `fmt.Sprint`: a space between two operands of which neither is a string.
pub(crate) fn print(sink: &mut Sink, values: &[Value]) -> Result<(), Fault> {
    let is_text = |value: &Value| matches!(value, Value::Text(_) | Value::Safe(..));
    for (index, value) in values.iter().enumerate() {
        if index > 0 && !is_text(value) && !is_text(&values[index - 1]) {
            sink.char(' ');
        }
        value::write(sink, &Spec::default(), 'v', value, 0)?;
    }
    Ok(())
}

/// `fmt.Sprintln`.
pub(crate) fn println(sink: &mut Sink, values: &[Value]) -> Result<(), Fault> {
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            sink.char(' ');
        }
        value::write(sink, &Spec::default(), 'v', value, 0)?;
    }
    sink.char('\n');
    Ok(())
}
