//! The syntax tree. Places are byte offsets into the source.

use std::sync::Arc;

use crate::value::Str;

/// A named piece of template text.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// One template: the body of a `define` or `block`, or what stands outside of them.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) source: Arc<Source>,
    pub(crate) nodes: Vec<Node>,
}

#[derive(Debug)]
pub(crate) enum Node {
    Text(usize, Box<str>),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template {
        at: usize,
        name: Str,
        pipe: Option<Pipe>,
    },
    Break,
    Continue,
}

#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) then: Vec<Node>,
    pub(crate) otherwise: Option<Vec<Node>>,
}

#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) at: usize,
    /// The variables that take the value.
    pub(crate) variables: Vec<String>,
    /// `=` instead of `:=`.
    pub(crate) assign: bool,
    pub(crate) commands: Vec<Command>,
}

#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) operands: Vec<Operand>,
}

#[derive(Debug)]
pub(crate) struct Operand {
    pub(crate) at: usize,
    pub(crate) kind: OperandKind,
}

#[derive(Debug)]
pub(crate) enum OperandKind {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    Text(Str),
    /// `.A.B`
    Field(Vec<String>),
    /// `$x.A.B`
    Variable(String, Vec<String>),
    Function(String),
    /// `(...).A.B`
    Chain(Box<Operand>, Vec<String>),
    Pipe(Box<Pipe>),
}

/// A numeric literal. Which type it becomes depends on the parameter it is given to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Number {
    /// Its value where an integer is wanted; `1.0` has one, `1.5` has none.
    pub(crate) integer: Option<i64>,
    pub(crate) float: f64,
    /// Where nothing is said of the type, it is a float.
    pub(crate) is_float: bool,
}

impl Tree {
    /// Whether it is nothing but white space: such a definition does not replace another.
    pub(crate) fn is_empty(&self) -> bool {
        is_empty(&self.nodes)
    }
}

pub(crate) fn is_empty(nodes: &[Node]) -> bool {
    nodes
        .iter()
        .all(|node| matches!(node, Node::Text(_, text) if text.trim().is_empty()))
}
