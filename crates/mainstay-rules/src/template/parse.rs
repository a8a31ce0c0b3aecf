//! From tokens to a tree.

use super::lex::{Part, Token, error_at, parts};
use super::{TemplateError, VARIABLES, function};

/// How deep actions may nest.
const MAX_DEPTH: usize = 50;

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Text(String),
    Print(Pipeline),
    If {
        branches: Vec<(Pipeline, Vec<Self>)>,
        otherwise: Vec<Self>,
    },
    With {
        pipeline: Pipeline,
        body: Vec<Self>,
        otherwise: Vec<Self>,
    },
    Range {
        pipeline: Pipeline,
        body: Vec<Self>,
        otherwise: Vec<Self>,
    },
    Define {
        name: String,
        body: Vec<Self>,
    },
    Template {
        name: String,
        argument: Option<Pipeline>,
    },
}

/// Commands joined by `|`, and the variables that take the result.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pipeline {
    pub(super) declares: Vec<String>,
    pub(super) is_assignment: bool,
    pub(super) commands: Vec<Vec<Operand>>,
}

/// An argument, with the fields taken of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operand {
    pub(super) base: Base,
    pub(super) fields: Vec<String>,
}

/// What an operand starts from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Base {
    Dot,
    Variable(String),
    Function(String),
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Nil,
    Pipeline(Box<Pipeline>),
}

pub(super) fn parse(text: &str) -> Result<Vec<Node>, TemplateError> {
    let parts = parts(text)?;
    let scope = VARIABLES
        .iter()
        .map(|name| (*name).to_owned())
        .chain([String::new()])
        .collect();
    let mut parser = Parser {
        text,
        parts: parts.into_iter().peekable(),
        scope,
        depth: 0,
    };
    match parser.block()? {
        (nodes, None) => Ok(nodes),
        (_, Some(end)) => Err(error_at(
            text,
            end.offset,
            format!("unexpected {{{{{}}}}}", end.word),
        )),
    }
}

struct Parser<'t> {
    text: &'t str,
    parts: std::iter::Peekable<std::vec::IntoIter<Part>>,
    /// Variables in scope; the nameless one is `$`.
    scope: Vec<String>,
    depth: usize,
}

/// The action that ended a block: `end`, or `else` with what follows it.
struct End {
    word: &'static str,
    rest: Vec<(Token, usize)>,
    offset: usize,
}

impl Parser<'_> {
    /// Nodes up to `end`, `else` or the end of the text.
    fn block(&mut self) -> Result<(Vec<Node>, Option<End>), TemplateError> {
        self.depth += 1;
        let mut nodes = Vec::new();
        while let Some(part) = self.parts.next() {
            let (tokens, offset) = match part {
                Part::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Part::Action(tokens, offset) => (tokens, offset),
            };
            if self.depth > MAX_DEPTH {
                return Err(error_at(
                    self.text,
                    offset,
                    format!("nested deeper than {MAX_DEPTH} levels"),
                ));
            }
            let mut rest = tokens
                .into_iter()
                .skip_while(|(token, _)| *token == Token::Space)
                .collect::<Vec<_>>();
            let keyword = match rest.first() {
                Some((Token::Word(word), _)) => word.clone(),
                _ => String::new(),
            };
            let is_keyword = [
                "if", "with", "range", "define", "template", "end", "else", "block", "break", "continue",
            ]
            .contains(&keyword.as_str());
            if is_keyword {
                rest.remove(0);
            }
            match keyword.as_str() {
                "end" | "else" => {
                    self.depth -= 1;
                    let word = if keyword == "end" { "end" } else { "else" };
                    return Ok((nodes, Some(End { word, rest, offset })));
                }
                "if" => nodes.push(self.conditional(rest, offset)?),
                "with" | "range" => nodes.push(self.scoped(&keyword, rest, offset)?),
                "define" => {
                    let name = self.name(&rest, offset)?;
                    let outer = std::mem::replace(&mut self.scope, vec![String::new()]);
                    let body = self.body(offset)?.0;
                    self.scope = outer;
                    nodes.push(Node::Define { name, body });
                }
                "template" => {
                    let name = self.name(&rest, offset)?;
                    let after = rest.split_off(
                        rest.iter()
                            .position(|(t, _)| matches!(t, Token::Text(_)))
                            .map_or(0, |i| i + 1),
                    );
                    let has_argument = after.iter().any(|(token, _)| *token != Token::Space);
                    let argument = if has_argument {
                        Some(self.pipeline(after, offset)?)
                    } else {
                        None
                    };
                    nodes.push(Node::Template { name, argument });
                }
                "block" | "break" | "continue" => {
                    return Err(error_at(
                        self.text,
                        offset,
                        format!("{{{{{keyword}}}}} is not supported"),
                    ));
                }
                _ => nodes.push(Node::Print(self.pipeline(rest, offset)?)),
            }
        }
        self.depth -= 1;
        Ok((nodes, None))
    }

    fn name(&self, tokens: &[(Token, usize)], offset: usize) -> Result<String, TemplateError> {
        let first = tokens.iter().find(|(token, _)| *token != Token::Space);
        match first {
            Some((Token::Text(name), _)) => Ok(name.clone()),
            _ => Err(error_at(
                self.text,
                offset,
                "expected the quoted name of a template",
            )),
        }
    }

    /// A body that must be closed; with `else`, its second body.
    fn body(&mut self, offset: usize) -> Result<(Vec<Node>, Option<End>), TemplateError> {
        let scope = self.scope.len();
        let (nodes, end) = self.block()?;
        self.scope.truncate(scope);
        match end {
            None => Err(error_at(
                self.text,
                offset,
                "unexpected end of template: {{end}} is missing",
            )),
            Some(end) if end.word == "else" => Ok((nodes, Some(end))),
            Some(_) => Ok((nodes, None)),
        }
    }

    fn conditional(&mut self, condition: Vec<(Token, usize)>, offset: usize) -> Result<Node, TemplateError> {
        let scope = self.scope.len();
        let mut branches = Vec::new();
        let mut otherwise = Vec::new();
        let mut next = Some(condition);
        while let Some(condition) = next.take() {
            let condition = self.pipeline(condition, offset)?;
            let (body, end) = self.body(offset)?;
            branches.push((condition, body));
            let Some(end) = end else { break };
            let mut rest: Vec<_> = end
                .rest
                .into_iter()
                .skip_while(|(t, _)| *t == Token::Space)
                .collect();
            if matches!(rest.first(), Some((Token::Word(word), _)) if word == "if") {
                rest.remove(0);
                next = Some(rest);
            } else {
                otherwise = self.last_body(offset)?;
            }
        }
        self.scope.truncate(scope);
        Ok(Node::If { branches, otherwise })
    }

    fn last_body(&mut self, offset: usize) -> Result<Vec<Node>, TemplateError> {
        match self.body(offset)? {
            (body, None) => Ok(body),
            (_, Some(end)) => Err(error_at(self.text, end.offset, "unexpected {{else}}")),
        }
    }

    fn scoped(
        &mut self,
        keyword: &str,
        tokens: Vec<(Token, usize)>,
        offset: usize,
    ) -> Result<Node, TemplateError> {
        let scope = self.scope.len();
        let pipeline = self.pipeline(tokens, offset)?;
        let (body, end) = self.body(offset)?;
        let otherwise = if end.is_some() {
            self.last_body(offset)?
        } else {
            Vec::new()
        };
        self.scope.truncate(scope);
        Ok(if keyword == "with" {
            Node::With {
                pipeline,
                body,
                otherwise,
            }
        } else {
            Node::Range {
                pipeline,
                body,
                otherwise,
            }
        })
    }

    fn pipeline(&mut self, tokens: Vec<(Token, usize)>, offset: usize) -> Result<Pipeline, TemplateError> {
        let sign = tokens
            .iter()
            .position(|(t, _)| matches!(t, Token::Symbol(":=" | "=")));
        let mut declares = Vec::new();
        let mut is_assignment = false;
        let mut rest = tokens;
        if let Some(sign) = sign {
            let expression = rest.split_off(sign + 1);
            is_assignment = rest.last().is_some_and(|(t, _)| *t == Token::Symbol("="));
            for (token, at) in &rest[..sign] {
                match token {
                    Token::Variable(name) if !name.is_empty() => declares.push(name.clone()),
                    Token::Space | Token::Symbol(",") => {}
                    _ => {
                        return Err(error_at(
                            self.text,
                            *at,
                            "expected a variable before the assignment",
                        ));
                    }
                }
            }
            rest = expression;
        }
        let mut tokens = rest.into_iter().peekable();
        let commands = self.commands(&mut tokens, offset)?;
        if let Some((token, at)) = tokens.next() {
            return Err(error_at(self.text, at, format!("unexpected {token:?} in action")));
        }
        if !is_assignment {
            self.scope.extend(declares.iter().cloned());
        }
        Ok(Pipeline {
            declares,
            is_assignment,
            commands,
        })
    }

    fn commands(&self, tokens: &mut Tokens, offset: usize) -> Result<Vec<Vec<Operand>>, TemplateError> {
        let mut commands = vec![Vec::new()];
        loop {
            match tokens.peek() {
                None | Some((Token::Symbol(")"), _)) => break,
                Some((Token::Space, _)) => {
                    tokens.next();
                }
                Some((Token::Symbol("|"), _)) => {
                    tokens.next();
                    commands.push(Vec::new());
                }
                Some(_) => {
                    let operand = self.operand(tokens, offset)?;
                    if let Some(command) = commands.last_mut() {
                        command.push(operand);
                    }
                }
            }
        }
        if commands.iter().any(Vec::is_empty) {
            return Err(error_at(self.text, offset, "missing value for command"));
        }
        Ok(commands)
    }

    fn operand(&self, tokens: &mut Tokens, offset: usize) -> Result<Operand, TemplateError> {
        let Some((token, at)) = tokens.next() else {
            return Err(error_at(self.text, offset, "missing value for command"));
        };
        let mut fields = Vec::new();
        let base = match token {
            Token::Field(name) => {
                if !name.is_empty() {
                    fields.push(name);
                }
                Base::Dot
            }
            Token::Variable(name) if self.scope.contains(&name) => Base::Variable(name),
            Token::Variable(name) => {
                return Err(error_at(self.text, at, format!("undefined variable \"${name}\"")));
            }
            Token::Text(text) => Base::Text(text),
            Token::Int(value) => Base::Int(value),
            Token::Float(value) => Base::Float(value),
            Token::Word(word) => match word.as_str() {
                "true" | "false" => Base::Bool(word == "true"),
                "nil" => Base::Nil,
                _ if function::is_known(&word) => Base::Function(word),
                _ => return Err(error_at(self.text, at, format!("function {word:?} not defined"))),
            },
            Token::Symbol("(") => {
                let commands = self.commands(tokens, at)?;
                if !matches!(tokens.next(), Some((Token::Symbol(")"), _))) {
                    return Err(error_at(self.text, at, "unclosed left paren"));
                }
                Base::Pipeline(Box::new(Pipeline {
                    declares: Vec::new(),
                    is_assignment: false,
                    commands,
                }))
            }
            other => {
                return Err(error_at(
                    self.text,
                    at,
                    format!("unexpected {other:?} in operand"),
                ));
            }
        };
        while let Some((Token::Field(name), _)) = tokens.peek() {
            if name.is_empty() {
                break;
            }
            fields.push(name.clone());
            tokens.next();
        }
        Ok(Operand { base, fields })
    }
}

type Tokens = std::iter::Peekable<std::vec::IntoIter<(Token, usize)>>;
