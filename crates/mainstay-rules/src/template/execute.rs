//! From a tree to text.

use std::collections::BTreeMap;

use super::function;
use super::parse::{Base, Node, Operand, Pipeline};
use super::value::Value;
use super::{Data, MAX_TEXT_BYTES};

/// How deep templates may call each other.
const MAX_CALLS: usize = 50;

/// Expands a template.
pub(super) fn execute(nodes: &[Node], data: &Data<'_>) -> Result<String, String> {
    let mut templates = BTreeMap::new();
    definitions(nodes, &mut templates);
    let entries = [
        ("Labels", Value::from(data.labels)),
        ("ExternalLabels", Value::from(data.external_labels)),
        ("ExternalURL", Value::Text(data.external_url.to_owned())),
        ("Value", Value::Float(data.value)),
    ];
    let variables = [
        ("labels", entries[0].1.clone()),
        ("externalLabels", entries[1].1.clone()),
        ("externalURL", entries[2].1.clone()),
        ("value", entries[3].1.clone()),
    ];
    let dot = Value::Map {
        entries: entries
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        of_texts: false,
    };
    let variables = variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    let mut execution = Execution {
        data,
        templates,
        variables: [(String::new(), dot.clone())]
            .into_iter()
            .chain(variables)
            .collect(),
        text: String::new(),
        calls: 0,
    };
    execution.nodes(nodes, &dot)?;
    Ok(execution.text)
}

fn definitions<'n>(nodes: &'n [Node], found: &mut BTreeMap<&'n str, &'n [Node]>) {
    for node in nodes {
        if let Node::Define { name, body } = node {
            found.insert(name, body);
            definitions(body, found);
        }
    }
}

struct Execution<'a> {
    data: &'a Data<'a>,
    templates: BTreeMap<&'a str, &'a [Node]>,
    variables: Vec<(String, Value)>,
    text: String,
    calls: usize,
}

impl<'a> Execution<'a> {
    fn nodes(&mut self, nodes: &'a [Node], dot: &Value) -> Result<(), String> {
        nodes.iter().try_for_each(|node| self.node(node, dot))
    }

    fn scoped(&mut self, scope: usize, nodes: &'a [Node], dot: &Value) -> Result<(), String> {
        let result = self.nodes(nodes, dot);
        self.variables.truncate(scope);
        result
    }

    fn node(&mut self, node: &'a Node, dot: &Value) -> Result<(), String> {
        let scope = self.variables.len();
        match node {
            Node::Text(text) => self.write(text),
            Node::Print(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.declares.is_empty() {
                    self.write(&value.print())
                } else {
                    Ok(())
                }
            }
            Node::If { branches, otherwise } => {
                for (condition, body) in branches {
                    if self.pipeline(condition, dot)?.is_true() {
                        return self.scoped(scope, body, dot);
                    }
                }
                self.scoped(scope, otherwise, dot)
            }
            Node::With {
                pipeline,
                body,
                otherwise,
            } => {
                let value = self.pipeline(pipeline, dot)?;
                if value.is_true() {
                    self.scoped(scope, body, &value)
                } else {
                    self.scoped(scope, otherwise, dot)
                }
            }
            Node::Range {
                pipeline,
                body,
                otherwise,
            } => self.range(pipeline, body, otherwise, dot),
            Node::Define { .. } => Ok(()),
            Node::Template { name, argument } => {
                let argument = match argument {
                    Some(pipeline) => self.pipeline(pipeline, dot)?,
                    None => Value::Nil,
                };
                let body = *self
                    .templates
                    .get(name.as_str())
                    .ok_or_else(|| format!("template {name:?} not defined"))?;
                self.calls += 1;
                if self.calls > MAX_CALLS {
                    return Err(format!("templates call each other more than {MAX_CALLS} deep"));
                }
                let outer = std::mem::replace(&mut self.variables, vec![(String::new(), argument.clone())]);
                let result = self.nodes(body, &argument);
                self.variables = outer;
                self.calls -= 1;
                result
            }
        }
    }

    fn range(
        &mut self,
        pipeline: &'a Pipeline,
        body: &'a [Node],
        otherwise: &'a [Node],
        dot: &Value,
    ) -> Result<(), String> {
        let scope = self.variables.len();
        let commands = Pipeline {
            declares: Vec::new(),
            is_assignment: false,
            commands: pipeline.commands.clone(),
        };
        let items: Vec<(Value, Value)> = match self.pipeline(&commands, dot)? {
            Value::List(items) => {
                let indices = (0_i64..).map(Value::Int);
                indices.zip(items).collect()
            }
            Value::Map { entries, .. } => entries
                .into_iter()
                .map(|(key, value)| (Value::Text(key), value))
                .collect(),
            Value::Nil => Vec::new(),
            other => return Err(format!("range can't iterate over {}", other.print())),
        };
        if items.is_empty() {
            return self.scoped(scope, otherwise, dot);
        }
        for (key, item) in items {
            match pipeline.declares.as_slice() {
                [value] => self.variables.push((value.clone(), item.clone())),
                [index, value, ..] => {
                    self.variables.push((index.clone(), key));
                    self.variables.push((value.clone(), item.clone()));
                }
                [] => {}
            }
            self.scoped(scope, body, &item)?;
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), String> {
        if self.text.len() + text.len() > MAX_TEXT_BYTES {
            return Err(format!("the text grows beyond {MAX_TEXT_BYTES} bytes"));
        }
        self.text.push_str(text);
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, String> {
        let mut value = None;
        for command in &pipeline.commands {
            value = Some(self.command(command, value, dot)?);
        }
        let value = value.unwrap_or(Value::Nil);
        for name in &pipeline.declares {
            let known = self.variables.iter_mut().rev().find(|(known, _)| known == name);
            match known {
                Some((_, slot)) if pipeline.is_assignment => *slot = value.clone(),
                _ => self.variables.push((name.clone(), value.clone())),
            }
        }
        Ok(value)
    }

    fn command(&mut self, command: &[Operand], last: Option<Value>, dot: &Value) -> Result<Value, String> {
        let [first, rest @ ..] = command else {
            return Ok(Value::Nil);
        };
        if let Base::Function(name) = &first.base {
            // `and` and `or` stop at the first operand that decides.
            let mut args = Vec::with_capacity(rest.len() + 1);
            for operand in rest {
                let value = self.operand(operand, dot)?;
                let decides = (name == "and" && !value.is_true()) || (name == "or" && value.is_true());
                args.push(value);
                if decides {
                    return Ok(args.pop().unwrap_or(Value::Nil));
                }
            }
            args.extend(last);
            let value = function::call(name, args, self.data)?;
            return first
                .fields
                .iter()
                .try_fold(value, |value, field| value.field(field));
        }
        if !rest.is_empty() || last.is_some() {
            return Err("can't give argument to non-function".to_owned());
        }
        self.operand(first, dot)
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, String> {
        let base = match &operand.base {
            Base::Dot => dot.clone(),
            Base::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                found
                    .map(|(_, value)| value.clone())
                    .ok_or_else(|| format!("undefined variable: ${name}"))?
            }
            Base::Function(name) => function::call(name, Vec::new(), self.data)?,
            Base::Text(text) => Value::Text(text.clone()),
            Base::Int(value) => Value::Int(*value),
            Base::Float(value) => Value::Float(*value),
            Base::Bool(value) => Value::Bool(*value),
            Base::Nil => Value::Nil,
            Base::Pipeline(pipeline) => self.pipeline(pipeline, dot)?,
        };
        operand
            .fields
            .iter()
            .try_fold(base, |value, field| value.field(field))
    }
}
