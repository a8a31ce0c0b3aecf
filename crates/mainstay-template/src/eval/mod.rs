//! Walks a tree and writes what it says, with the semantics of Go's `text/template`.

mod pipeline;

use std::sync::Arc;

use crate::ast::{Branch, Command, Node, OperandKind, Pipe, Tree};
use crate::data::Data;
use crate::error::{Error, Fault};
use crate::format;
use crate::function::Signature;
use crate::html::{self, Predefined};
use crate::limits::Budget;
use crate::parse::Trees;
use crate::value::{Str, Value};

/// Where the result goes.
pub(crate) enum Output {
    Text(format::Sink),
    Html(html::Writer),
}

/// What a node says of what comes after it.
enum Flow {
    Next,
    Break,
    Continue,
}

/// A fault and the byte that it is at.
type Failure = (usize, Fault);

pub(crate) struct Evaluator<'t> {
    trees: &'t Trees,
    tree: &'t Tree,
    budget: Budget,
    output: Output,
    variables: Vec<(String, Value)>,
    depth: usize,
}

/// Runs a tree. The result may be no UTF-8 where a template cut a character in two.
pub(crate) fn run(
    trees: &Trees,
    tree: &Tree,
    data: &Arc<Data>,
    budget: Budget,
    output: Output,
) -> Result<Vec<u8>, Error> {
    let dot = Value::Data(Arc::clone(data));
    let variables = vec![("$".to_owned(), dot.clone())];
    let mut evaluator = Evaluator {
        trees,
        tree,
        budget,
        output,
        variables,
        depth: 0,
    };
    let placed = |evaluator: &Evaluator<'_>, (at, fault): Failure| {
        let source = &evaluator.tree.source;
        fault.at(&source.name, &source.text, at)
    };
    if let Err(failure) = evaluator.list(&dot, &tree.nodes) {
        // An inner template that failed is still the current one.
        return Err(placed(&evaluator, failure));
    }
    let end = tree.source.text.len();
    match evaluator.output {
        Output::Text(sink) => sink.finish(),
        Output::Html(writer) => writer.finish(),
    }
    .map_err(|fault| fault.at(&tree.source.name, &tree.source.text, end))
}

fn fail<T>(at: usize, message: impl Into<String>) -> Result<T, Failure> {
    Err((at, Fault::execution(message)))
}

impl<'t> Evaluator<'t> {
    fn list(&mut self, dot: &Value, nodes: &'t [Node]) -> Result<Flow, Failure> {
        for node in nodes {
            match self.node(dot, node)? {
                Flow::Next => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    fn charge(&mut self, at: usize) -> Result<(), Failure> {
        self.budget.charge(1).map_err(|fault| (at, fault))
    }

    fn enter(&mut self, at: usize) -> Result<(), Failure> {
        self.depth += 1;
        if self.depth > self.budget.limits.depth {
            return Err((
                at,
                Fault::Limit(
                    "templates and blocks inside of one another",
                    self.budget.limits.depth,
                ),
            ));
        }
        self.charge(at)
    }

    fn node(&mut self, dot: &Value, node: &'t Node) -> Result<Flow, Failure> {
        match node {
            Node::Text(at, text) => {
                self.charge(*at)?;
                match &mut self.output {
                    Output::Text(sink) => sink.text(text),
                    Output::Html(writer) => writer.text(text).map_err(|fault| (*at, fault))?,
                }
            }
            Node::Action(pipe) => self.action(dot, pipe)?,
            Node::If(branch) => return self.branch(dot, branch, false),
            Node::With(branch) => return self.branch(dot, branch, true),
            Node::Range(branch) => return self.range(dot, branch),
            Node::Template { at, name, pipe } => self.template(dot, *at, name, pipe.as_ref())?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn action(&mut self, dot: &Value, pipe: &'t Pipe) -> Result<(), Failure> {
        if !pipe.variables.is_empty() {
            self.pipeline(dot, pipe)?;
            return Ok(());
        }
        if matches!(self.output, Output::Html(_)) {
            return self.html_action(dot, pipe);
        }
        let value = self.pipeline(dot, pipe)?;
        let mut sink = self.budget.sink();
        match value {
            Value::Invalid => sink.text("<no value>"),
            value => format::print(&mut sink, &[value]).map_err(|fault| (pipe.at, fault))?,
        }
        let bytes = sink.finish().map_err(|fault| (pipe.at, fault))?;
        self.budget.read(bytes.len()).map_err(|fault| (pipe.at, fault))?;
        if let Output::Text(sink) = &mut self.output {
            sink.write(&bytes);
            // So that an endless template ends before its steps do.
            sink.check().map_err(|fault| (pipe.at, fault))?;
        }
        Ok(())
    }

    /// Writes a value escaped for where it stands. A pipeline that ends in `html` or `urlquery` escapes itself, and Go
    /// lets that stand in for its own escaping.
    fn html_action(&mut self, dot: &Value, pipe: &'t Pipe) -> Result<(), Failure> {
        let predefined = |command: &Command| match command.operands.first().map(|operand| &operand.kind) {
            Some(OperandKind::Function(name)) => Predefined::named(name),
            _ => None,
        };
        let Some((last, before)) = pipe.commands.split_last() else {
            return Ok(());
        };
        if before.iter().any(|command| predefined(command).is_some()) {
            return fail(
                pipe.at,
                "html and urlquery must end their pipeline where a template is HTML",
            );
        }
        let escaper = predefined(last);
        let value = match (escaper, before) {
            (None, _) => self.pipeline(dot, pipe)?,
            (Some(_), []) if last.operands.len() > 1 => {
                let arguments =
                    self.arguments(dot, &Signature::ANY, "html", &last.operands[1..], None, pipe.at)?;
                let mut sink = self.budget.sink();
                format::print(&mut sink, &arguments).map_err(|fault| (pipe.at, fault))?;
                let bytes = sink.finish().map_err(|fault| (pipe.at, fault))?;
                self.budget.text(bytes).map_err(|fault| (pipe.at, fault))?
            }
            (Some(_), before) if last.operands.len() == 1 && !before.is_empty() => {
                self.commands(dot, before)?.unwrap_or(Value::Invalid)
            }
            _ => {
                return Err((
                    pipe.at,
                    Fault::Unsupported("html or urlquery with these arguments".to_owned()),
                ));
            }
        };
        let mut sink = self.budget.sink();
        if let Output::Html(writer) = &mut self.output {
            writer
                .value(&mut sink, &value, escaper)
                .map_err(|fault| (pipe.at, fault))?;
            let written = writer.check().map_err(|fault| (pipe.at, fault))?;
            self.budget.read(written).map_err(|fault| (pipe.at, fault))?;
        }
        Ok(())
    }

    fn branch(&mut self, dot: &Value, branch: &'t Branch, with: bool) -> Result<Flow, Failure> {
        self.enter(branch.pipe.at)?;
        let scope = self.variables.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = if value.truth() {
            self.list(if with { &value } else { dot }, &branch.then)?
        } else if let Some(nodes) = &branch.otherwise {
            self.list(dot, nodes)?
        } else {
            Flow::Next
        };
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok(flow)
    }

    fn range(&mut self, dot: &Value, branch: &'t Branch) -> Result<Flow, Failure> {
        let at = branch.pipe.at;
        self.enter(at)?;
        let outer = self.variables.len();
        let over = self.pipeline(dot, &branch.pipe)?;
        let scope = self.variables.len();
        let mut iterations = 0;
        for (index, (key, element)) in entries(&over).map_err(|fault| (at, fault))?.enumerate() {
            self.charge(at)?;
            iterations = index + 1;
            self.bind(&branch.pipe, key, &element)?;
            let flow = self.list(&element, &branch.then)?;
            self.variables.truncate(scope);
            if let Flow::Break = flow {
                break;
            }
        }
        let mut flow = Flow::Next;
        if iterations == 0
            && let Some(nodes) = &branch.otherwise
        {
            flow = self.list(dot, nodes)?;
        }
        self.variables.truncate(outer);
        self.depth -= 1;
        Ok(flow)
    }

    /// Gives the variables of a `range` their values for one iteration.
    fn bind(&mut self, pipe: &Pipe, key: Value, element: &Value) -> Result<(), Failure> {
        let values = match pipe.variables.len() {
            0 => return Ok(()),
            1 => vec![element.clone()],
            _ => vec![key, element.clone()],
        };
        let declared = self.variables.len().saturating_sub(values.len());
        for (offset, (name, value)) in pipe.variables.iter().zip(values).enumerate() {
            if pipe.assign {
                self.set(pipe.at, name, value)?;
            } else if let Some(variable) = self.variables.get_mut(declared + offset) {
                variable.1 = value;
            }
        }
        Ok(())
    }

    fn template(
        &mut self,
        dot: &Value,
        at: usize,
        name: &Str,
        pipe: Option<&'t Pipe>,
    ) -> Result<(), Failure> {
        let Some(tree) = self.trees.get(name) else {
            return fail(at, format!("template {:?} not defined", name.lossy()));
        };
        self.enter(at)?;
        let dot = match pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Value::Invalid,
        };
        let variables = std::mem::replace(&mut self.variables, vec![("$".to_owned(), dot.clone())]);
        let caller = std::mem::replace(&mut self.tree, tree);
        self.list(&dot, &tree.nodes)?;
        self.tree = caller;
        self.variables = variables;
        self.depth -= 1;
        Ok(())
    }

    fn set(&mut self, at: usize, name: &str, value: Value) -> Result<(), Failure> {
        match self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            Some(variable) => {
                variable.1 = value;
                Ok(())
            }
            None => fail(at, format!("undefined variable: {name}")),
        }
    }
}

type Entries<'a> = Box<dyn Iterator<Item = (Value, Value)> + 'a>;

/// What a `range` goes through: keys or indices with elements.
fn entries(over: &Value) -> Result<Entries<'_>, Fault> {
    Ok(match over {
        Value::Invalid => Box::new(std::iter::empty()),
        Value::Kv(kv) => Box::new(
            kv.iter()
                .map(|(name, value)| (Value::text(name), Value::text(value))),
        ),
        Value::Dict(dict) => Box::new(
            dict.items
                .iter()
                .map(|(name, value)| (Value::Text(name.clone()), value.clone())),
        ),
        Value::Strings(_) | Value::Pairs(_) | Value::Alerts(..) | Value::List(_) => {
            let length = over.len().unwrap_or(0);
            Box::new((0..length).map_while(|index| Some((Value::length(index), over.element(index)?))))
        }
        other => {
            return Err(Fault::execution(format!(
                "range can't iterate over a value of type {}",
                other.type_name()
            )));
        }
    })
}
