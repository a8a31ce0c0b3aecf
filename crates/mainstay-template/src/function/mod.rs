//! The functions of templates: Go's own and Alertmanager's.

mod alertmanager;
mod builtin;
mod comparison;
mod escape;
mod json;
mod pattern;
mod title;

use std::sync::Arc;

use crate::ast::OperandKind;
use crate::error::Fault;
use crate::limits::Budget;
use crate::value::{Nested, Value};

pub(crate) use alertmanager::join;
pub(crate) use escape::html as escape_html;
pub(crate) use escape::query as escape_query;

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parameter {
    Any,
    Text,
    Int,
    Duration,
    Time,
    Strings,
    List,
}

/// What a function takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signature {
    fixed: &'static [Parameter],
    variadic: Option<Parameter>,
}

use Parameter::{Any, Duration, Int, List, Strings, Text, Time};

impl Signature {
    pub(crate) const ANY: Self = Self {
        fixed: &[],
        variadic: Some(Any),
    };

    pub(crate) const fn fixed(fixed: &'static [Parameter]) -> Self {
        Self {
            fixed,
            variadic: None,
        }
    }

    const fn variadic(fixed: &'static [Parameter], rest: Parameter) -> Self {
        Self {
            fixed,
            variadic: Some(rest),
        }
    }

    /// Whether it can take so many.
    pub(crate) fn check(&self, name: &str, operands: usize, piped: bool) -> Result<(), Fault> {
        let given = operands + usize::from(piped);
        let wanted = self.fixed.len();
        match self.variadic {
            Some(_) if given >= wanted => Ok(()),
            None if given == wanted => Ok(()),
            Some(_) => Err(Fault::execution(format!(
                "wrong number of args for {name}: want at least {wanted} got {given}"
            ))),
            None => Err(Fault::execution(format!(
                "wrong number of args for {name}: want {wanted} got {given}"
            ))),
        }
    }

    pub(crate) fn parameter(&self, index: usize) -> Parameter {
        self.fixed.get(index).copied().or(self.variadic).unwrap_or(Any)
    }
}

impl Parameter {
    fn name(self) -> &'static str {
        match self {
            Any => "interface {}",
            Text => "string",
            Int => "int",
            Duration => "time.Duration",
            Time => "time.Time",
            Strings => "[]string",
            List => "[]interface {}",
        }
    }

    /// The literal `nil` as an argument.
    pub(crate) fn nil(self) -> Result<Value, Fault> {
        match self {
            Any => Ok(Value::Invalid),
            Strings => Ok(Value::Strings(Arc::from([]))),
            List => Ok(Value::List(Arc::new(Nested {
                items: Vec::new(),
                depth: 1,
            }))),
            _ => Err(Fault::execution(format!("cannot assign nil to {}", self.name()))),
        }
    }

    /// A literal as an argument.
    pub(crate) fn literal(self, literal: &OperandKind) -> Result<Value, Fault> {
        match (self, literal) {
            (Any, OperandKind::Bool(truth)) => Ok(Value::Bool(*truth)),
            (Any | Text, OperandKind::Text(text)) => Ok(Value::Text(text.clone())),
            (Any, OperandKind::Number(number)) => Ok(match (number.is_float, number.integer) {
                (false, Some(integer)) => Value::Int(integer),
                _ => Value::Float(number.float),
            }),
            (Int, OperandKind::Number(number)) if number.integer.is_some() => {
                Ok(Value::Int(number.integer.unwrap_or(0)))
            }
            (Duration, OperandKind::Number(number)) if number.integer.is_some() => {
                Ok(Value::Duration(number.integer.unwrap_or(0)))
            }
            _ => Err(Fault::execution(format!(
                "expected {}; found another literal",
                self.name()
            ))),
        }
    }

    /// A value as an argument: Go converts nothing.
    pub(crate) fn accept(self, value: Value) -> Result<Value, Fault> {
        match (self, &value) {
            (Any, _)
            | (Text, Value::Text(_))
            | (Int, Value::Int(_))
            | (Duration, Value::Duration(_))
            | (Time, Value::Time(_))
            | (Strings, Value::Strings(_))
            | (List, Value::List(_)) => Ok(value),
            (Strings | List, Value::Invalid) => self.nil(),
            (_, Value::Invalid) => Err(Fault::execution(format!(
                "invalid value; expected {}",
                self.name()
            ))),
            _ => Err(Fault::execution(format!(
                "wrong type for value; expected {}; got {}",
                self.name(),
                value.type_name()
            ))),
        }
    }
}

/// Whether there is a function of that name.
pub(crate) fn exists(name: &str) -> bool {
    signature(name).is_some()
}

/// What a function takes.
pub(crate) fn signature(name: &str) -> Option<Signature> {
    Some(match name {
        "and" | "or" | "eq" | "index" | "slice" | "call" => Signature::variadic(&[Any], Any),
        "not" | "len" | "humanizeDuration" | "toJson" => Signature::fixed(&[Any]),
        "ne" | "lt" | "le" | "gt" | "ge" => Signature::fixed(&[Any, Any]),
        "print" | "println" | "html" | "js" | "urlquery" | "list" | "dict" => Signature::ANY,
        "printf" => Signature::variadic(&[Text], Any),
        "toUpper" | "toLower" | "title" | "trimSpace" | "safeHtml" | "safeUrl" | "urlUnescape"
        | "base64encode" | "base64decode" => Signature::fixed(&[Text]),
        "join" => Signature::fixed(&[Text, Strings]),
        "match" => Signature::fixed(&[Text, Text]),
        "reReplaceAll" => Signature::fixed(&[Text, Text, Text]),
        "stringSlice" => Signature::variadic(&[], Text),
        "date" | "tz" => Signature::fixed(&[Text, Time]),
        "since" => Signature::fixed(&[Time]),
        "now" => Signature::fixed(&[]),
        "append" => Signature::variadic(&[List], Any),
        _ => return None,
    })
}

/// Calls a function with arguments that its signature has accepted.
pub(crate) fn call(name: &str, arguments: Vec<Value>, budget: &mut Budget) -> Result<Value, Fault> {
    builtin::call(name, &arguments, budget)
        .or_else(|| alertmanager::call(name, &arguments, budget))
        .unwrap_or_else(|| Err(Fault::execution("no such function")))
}
