//! `fmt.Sprintf`: the format string.

use super::{Sink, Spec, value};
use crate::error::Fault;
use crate::value::Value;

/// Go reads no larger width, precision or index.
const NUMBER_MAX: usize = 1_000_000;

struct Reader<'a> {
    format: &'a [u8],
    at: usize,
    values: &'a [Value],
    next: usize,
    reordered: bool,
    good_index: bool,
}

/// Writes values as the format says.
pub(crate) fn printf(sink: &mut Sink, format: &[u8], values: &[Value]) -> Result<(), Fault> {
    let mut reader = Reader {
        format,
        at: 0,
        values,
        next: 0,
        reordered: false,
        good_index: true,
    };
    while reader.at < format.len() {
        let rest = &format[reader.at..];
        let text = rest.iter().position(|&byte| byte == b'%').unwrap_or(rest.len());
        sink.write(&rest[..text]);
        reader.at += text + 1;
        if text == rest.len() {
            break;
        }
        reader.verb(sink)?;
    }
    if !reader.reordered && reader.next < values.len() {
        sink.text("%!(EXTRA ");
        for (index, extra) in values[reader.next..].iter().enumerate() {
            if index > 0 {
                sink.text(", ");
            }
            if matches!(extra, Value::Invalid) {
                sink.text("<nil>");
            } else {
                sink.text(extra.type_name());
                sink.char('=');
                value::write(sink, &Spec::default(), 'v', extra, 0)?;
            }
        }
        sink.char(')');
    }
    Ok(())
}

impl Reader<'_> {
    fn byte(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    /// A number, if one stands here.
    fn number(&mut self) -> Option<usize> {
        let start = self.at;
        let mut number = 0;
        while let Some(digit @ b'0'..=b'9') = self.byte() {
            if number > NUMBER_MAX {
                self.at = self.format.len();
                return None;
            }
            number = number * 10 + usize::from(digit - b'0');
            self.at += 1;
        }
        (self.at > start).then_some(number)
    }

    /// `[3]`: the value that is next.
    fn index(&mut self) -> bool {
        if self.byte() != Some(b'[') {
            return false;
        }
        self.reordered = true;
        let rest = &self.format[self.at..];
        let Some(close) = rest.iter().position(|&byte| byte == b']') else {
            self.good_index = false;
            self.at += 1;
            return false;
        };
        let digits = &rest[1..close];
        let number = std::str::from_utf8(digits)
            .ok()
            .and_then(|text| text.parse::<usize>().ok());
        self.at += close + 1;
        match number {
            Some(number) if digits[0].is_ascii_digit() && (1..=self.values.len()).contains(&number) => {
                self.next = number - 1;
                true
            }
            _ => {
                self.good_index = false;
                true
            }
        }
    }

    /// The value for a `*`.
    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.next);
        self.next += usize::from(value.is_some());
        match value {
            Some(Value::Int(number) | Value::Duration(number))
                if number.unsigned_abs() <= NUMBER_MAX as u64 =>
            {
                Some(*number)
            }
            Some(Value::Byte(byte)) => Some(i64::from(*byte)),
            _ => None,
        }
    }

    fn verb(&mut self, sink: &mut Sink) -> Result<(), Fault> {
        let mut spec = Spec::default();
        self.good_index = true;
        while let Some(flag) = self.byte() {
            match flag {
                b'#' => spec.sharp = true,
                b'0' => spec.zero = !spec.minus,
                b'+' => spec.plus = true,
                b'-' => {
                    spec.minus = true;
                    spec.zero = false;
                }
                b' ' => spec.space = true,
                _ => break,
            }
            self.at += 1;
        }
        let mut after_index = self.index();
        if self.byte() == Some(b'*') {
            self.at += 1;
            match self.star() {
                Some(width) => {
                    if width < 0 {
                        spec.minus = true;
                        spec.zero = false;
                    }
                    spec.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => sink.text("%!(BADWIDTH)"),
            }
            after_index = false;
        } else {
            spec.width = self.number();
            if after_index && spec.width.is_some() {
                self.good_index = false;
            }
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            if after_index {
                self.good_index = false;
            }
            after_index = self.index();
            if self.byte() == Some(b'*') {
                self.at += 1;
                spec.precision = self.star().and_then(|precision| usize::try_from(precision).ok());
                if spec.precision.is_none() {
                    sink.text("%!(BADPREC)");
                }
                after_index = false;
            } else {
                spec.precision = Some(self.number().unwrap_or(0));
            }
        }
        if !after_index {
            self.index();
        }
        self.apply(sink, spec)
    }

    fn apply(&mut self, sink: &mut Sink, mut spec: Spec) -> Result<(), Fault> {
        let Some(first) = self.byte() else {
            sink.text("%!(NOVERB)");
            return Ok(());
        };
        let length = match first {
            0..=0x7f => 1,
            0x80..=0xdf => 2,
            0xe0..=0xef => 3,
            _ => 4,
        };
        let verb = self
            .format
            .get(self.at..self.at + length)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .and_then(|text| text.chars().next());
        self.at += if verb.is_some() { length } else { 1 };
        let verb = verb.unwrap_or('\u{fffd}');
        if verb == '%' {
            sink.char('%');
            return Ok(());
        }
        if !self.good_index {
            sink.text("%!");
            sink.char(verb);
            sink.text("(BADINDEX)");
            return Ok(());
        }
        let Some(value) = self.values.get(self.next) else {
            sink.text("%!");
            sink.char(verb);
            sink.text("(MISSING)");
            return Ok(());
        };
        self.next += 1;
        if verb == 'v' {
            spec.sharp_v = std::mem::take(&mut spec.sharp);
            spec.plus_v = std::mem::take(&mut spec.plus);
        }
        value::write(sink, &spec, verb, value, 0)
    }
}
