//! What a pipeline gives: its commands, their operands, fields, methods and functions.

use super::{Evaluator, Failure, fail};
use crate::ast::{Command, Operand, OperandKind, Pipe};
use crate::error::Fault;
use crate::function::{self, Parameter, Signature};
use crate::method;
use crate::value::Value;

impl<'t> Evaluator<'t> {
    pub(super) fn pipeline(&mut self, dot: &Value, pipe: &'t Pipe) -> Result<Value, Failure> {
        self.enter(pipe.at)?;
        let value = self.commands(dot, &pipe.commands)?.unwrap_or(Value::Invalid);
        for name in &pipe.variables {
            if pipe.assign {
                self.set(pipe.at, name, value.clone())?;
            } else {
                self.variables.push((name.clone(), value.clone()));
            }
        }
        self.depth -= 1;
        Ok(value)
    }

    pub(super) fn commands(
        &mut self,
        dot: &Value,
        commands: &'t [Command],
    ) -> Result<Option<Value>, Failure> {
        let mut value = None;
        for command in commands {
            value = Some(self.command(dot, command, value)?);
        }
        Ok(value)
    }

    /// `last` is what the stage before gives.
    fn command(&mut self, dot: &Value, command: &'t Command, last: Option<Value>) -> Result<Value, Failure> {
        let Some((first, arguments)) = command.operands.split_first() else {
            return Ok(Value::Invalid);
        };
        self.operand(dot, first, arguments, last)
    }

    /// An operand with what it is applied to.
    fn operand(
        &mut self,
        dot: &Value,
        first: &'t Operand,
        arguments: &'t [Operand],
        last: Option<Value>,
    ) -> Result<Value, Failure> {
        let at = first.at;
        self.charge(at)?;
        let given = !arguments.is_empty() || last.is_some();
        match &first.kind {
            OperandKind::Field(names) => return self.chain(dot, dot.clone(), names, arguments, last, at),
            OperandKind::Variable(name, names) if !names.is_empty() => {
                let value = self.variable(at, name)?;
                return self.chain(dot, value, names, arguments, last, at);
            }
            OperandKind::Chain(inner, names) => {
                if let OperandKind::Nil = inner.kind {
                    return fail(at, "indirection through explicit nil");
                }
                let value = self.operand(dot, inner, &[], None)?;
                return self.chain(dot, value, names, arguments, last, at);
            }
            OperandKind::Function(name) => return self.function(dot, name, arguments, last, at),
            _ if given => return fail(at, "can't give an argument to what is no function"),
            _ => {}
        }
        match &first.kind {
            OperandKind::Dot => Ok(dot.clone()),
            OperandKind::Variable(name, _) => self.variable(at, name),
            OperandKind::Pipe(pipe) => self.pipeline(dot, pipe),
            OperandKind::Nil => fail(at, "nil is not a command"),
            OperandKind::Bool(truth) => Ok(Value::Bool(*truth)),
            OperandKind::Text(text) => Ok(Value::Text(text.clone())),
            OperandKind::Number(number) => match (number.is_float, number.integer) {
                (false, Some(integer)) => Ok(Value::Int(integer)),
                _ => Ok(Value::Float(number.float)),
            },
            OperandKind::Field(_) | OperandKind::Chain(..) | OperandKind::Function(_) => {
                fail(at, "can't evaluate the command")
            }
        }
    }

    fn variable(&self, at: usize, name: &str) -> Result<Value, Failure> {
        match self.variables.iter().rev().find(|(known, _)| known == name) {
            Some((_, value)) => Ok(value.clone()),
            None => fail(at, format!("undefined variable: {name}")),
        }
    }

    /// `.A.B.C argument...`: only the last may take arguments.
    fn chain(
        &mut self,
        dot: &Value,
        mut receiver: Value,
        names: &'t [String],
        arguments: &'t [Operand],
        mut last: Option<Value>,
        at: usize,
    ) -> Result<Value, Failure> {
        for (index, name) in names.iter().enumerate() {
            self.charge(at)?;
            let ends = index + 1 == names.len();
            let arguments = if ends { arguments } else { &[] };
            let last = if ends { last.take() } else { None };
            receiver = self.field(dot, receiver, name, arguments, last, at)?;
        }
        Ok(receiver)
    }

    fn field(
        &mut self,
        dot: &Value,
        receiver: Value,
        name: &str,
        arguments: &'t [Operand],
        last: Option<Value>,
        at: usize,
    ) -> Result<Value, Failure> {
        if let Value::Invalid = receiver {
            return Ok(Value::Invalid);
        }
        if let Some(signature) = method::signature(&receiver, name) {
            let arguments = self.arguments(dot, &signature, name, arguments, last, at)?;
            return method::call(&receiver, name, arguments, &mut self.budget)
                .map_err(|fault| (at, calling(name, fault)));
        }
        let given = !arguments.is_empty() || last.is_some();
        let found = match &receiver {
            Value::Kv(kv) => Some(
                kv.get(name)
                    .map_or_else(|| Value::text(""), |value| Value::text(value)),
            ),
            Value::Dict(dict) => Some(dict.items.get(name.as_bytes()).cloned().unwrap_or(Value::Invalid)),
            receiver => receiver.field(name),
        };
        match found {
            Some(_) if given => fail(at, format!("{name} has arguments but is no method")),
            Some(value) => Ok(value),
            None => fail(
                at,
                format!("can't evaluate field {name} in type {}", receiver.type_name()),
            ),
        }
    }

    fn function(
        &mut self,
        dot: &Value,
        name: &str,
        arguments: &'t [Operand],
        last: Option<Value>,
        at: usize,
    ) -> Result<Value, Failure> {
        let Some(signature) = function::signature(name) else {
            return fail(at, format!("{name:?} is not a defined function"));
        };
        if matches!(name, "and" | "or") {
            return self.short_circuit(dot, &signature, name, arguments, last, at);
        }
        let arguments = self.arguments(dot, &signature, name, arguments, last, at)?;
        function::call(name, arguments, &mut self.budget).map_err(|fault| (at, calling(name, fault)))
    }

    /// `and` and `or` evaluate no more than they need.
    fn short_circuit(
        &mut self,
        dot: &Value,
        signature: &Signature,
        name: &str,
        arguments: &'t [Operand],
        last: Option<Value>,
        at: usize,
    ) -> Result<Value, Failure> {
        signature
            .check(name, arguments.len(), last.is_some())
            .map_err(|fault| (at, fault))?;
        let mut value = Value::Invalid;
        for operand in arguments {
            value = self.argument(dot, Parameter::Any, operand)?;
            if value.truth() == (name == "or") {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    pub(super) fn arguments(
        &mut self,
        dot: &Value,
        signature: &Signature,
        name: &str,
        operands: &'t [Operand],
        last: Option<Value>,
        at: usize,
    ) -> Result<Vec<Value>, Failure> {
        signature
            .check(name, operands.len(), last.is_some())
            .map_err(|fault| (at, fault))?;
        let mut values = Vec::with_capacity(operands.len() + 1);
        for operand in operands {
            let parameter = signature.parameter(values.len());
            values.push(self.argument(dot, parameter, operand)?);
        }
        if let Some(last) = last {
            let parameter = signature.parameter(values.len());
            values.push(parameter.accept(last).map_err(|fault| (at, fault))?);
        }
        Ok(values)
    }

    fn argument(
        &mut self,
        dot: &Value,
        parameter: Parameter,
        operand: &'t Operand,
    ) -> Result<Value, Failure> {
        let at = operand.at;
        match &operand.kind {
            OperandKind::Nil => parameter.nil().map_err(|fault| (at, fault)),
            OperandKind::Bool(_) | OperandKind::Number(_) | OperandKind::Text(_) => {
                self.charge(at)?;
                parameter.literal(&operand.kind).map_err(|fault| (at, fault))
            }
            _ => {
                let value = self.operand(dot, operand, &[], None)?;
                parameter.accept(value).map_err(|fault| (at, fault))
            }
        }
    }
}

fn calling(name: &str, fault: Fault) -> Fault {
    match fault {
        Fault::Execution(message) => Fault::Execution(format!("error calling {name}: {message}")),
        fault => fault,
    }
}
