//! Tokens into trees, with the grammar of Go's `text/template/parse`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ast::{Branch, Command, Node, Operand, OperandKind, Pipe, Source, Tree};
use crate::error::{Error, Fault};
use crate::function;
use crate::lex::{self, Kind, Token};
use crate::literal;
use crate::value::Str;

/// The templates of one text by name; what stands outside of definitions has the text's own name.
pub(crate) type Trees = BTreeMap<Str, Arc<Tree>>;

type Failure = (usize, Fault);

const KEYWORDS: [&str; 11] = [
    "block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with",
];

struct Parser<'a> {
    source: &'a Arc<Source>,
    tokens: Vec<Token<'a>>,
    next: usize,
    trees: Trees,
    /// The variables in scope.
    variables: Vec<&'a str>,
    ranges: usize,
    depth: usize,
    nesting_limit: usize,
}

/// What ended a list of nodes.
enum Ending {
    End,
    Else { at: usize },
}

/// Parses a text. `own` is the name of what stands outside of definitions.
pub(crate) fn parse(source: &Arc<Source>, own: &str, nesting_limit: usize) -> Result<Trees, Error> {
    parse_source(source, own, nesting_limit).map_err(|(at, fault)| fault.at(&source.name, &source.text, at))
}

fn parse_source(source: &Arc<Source>, own: &str, nesting_limit: usize) -> Result<Trees, Failure> {
    let mut parser = Parser {
        source,
        tokens: lex::tokens(&source.text)?,
        next: 0,
        trees: Trees::new(),
        variables: vec!["$"],
        ranges: 0,
        depth: 0,
        nesting_limit,
    };
    let mut nodes = Vec::new();
    loop {
        let token = parser.peek();
        match token.kind {
            Kind::End => break,
            Kind::LeftDelimiter if parser.defines() => parser.definition()?,
            _ => match parser.text_or_action()? {
                Ok(node) => nodes.push(node),
                Err(Ending::End) => return fail(token.at, "unexpected {{end}}"),
                Err(Ending::Else { .. }) => return fail(token.at, "unexpected {{else}}"),
            },
        }
    }
    parser.add(0, Str::from(own), nodes)?;
    Ok(parser.trees)
}

fn fail<T>(at: usize, message: impl Into<String>) -> Result<T, Failure> {
    Err((at, Fault::Syntax(message.into())))
}

fn unexpected<T>(token: Token<'_>, context: &str) -> Result<T, Failure> {
    match token.kind {
        Kind::End => fail(token.at, format!("unexpected end of the template in {context}")),
        Kind::RightDelimiter => fail(token.at, format!("unexpected }}}} in {context}")),
        _ => fail(token.at, format!("unexpected {:?} in {context}", token.text)),
    }
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Token<'a> {
        // The list ends with `End`, which is never stepped over.
        self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> Token<'a> {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn peek_past_space(&mut self) -> Token<'a> {
        while self.peek().kind == Kind::Space {
            self.next += 1;
        }
        self.peek()
    }

    fn take_past_space(&mut self) -> Token<'a> {
        self.peek_past_space();
        self.take()
    }

    fn keyword(&mut self, word: &str) -> bool {
        let token = self.peek_past_space();
        token.kind == Kind::Identifier && token.text == word
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<Token<'a>, Failure> {
        let token = self.take_past_space();
        if token.kind == kind {
            Ok(token)
        } else {
            unexpected(token, context)
        }
    }

    fn enter(&mut self, at: usize) -> Result<(), Failure> {
        self.depth += 1;
        if self.depth > self.nesting_limit {
            return Err((at, Fault::Limit("levels of nesting", self.nesting_limit)));
        }
        Ok(())
    }

    /// Whether the left delimiter that stands here begins a `define`.
    fn defines(&mut self) -> bool {
        let start = self.next;
        self.next += 1;
        let found = self.keyword("define");
        self.next = start;
        found
    }

    fn add(&mut self, at: usize, name: Str, nodes: Vec<Node>) -> Result<(), Failure> {
        let tree = Tree {
            source: Arc::clone(self.source),
            nodes,
        };
        match self.trees.get(&name) {
            Some(known) if !known.is_empty() && !tree.is_empty() => {
                return fail(at, format!("multiple definition of template {:?}", name.lossy()));
            }
            Some(known) if !known.is_empty() => {}
            _ => {
                self.trees.insert(name, Arc::new(tree));
            }
        }
        Ok(())
    }

    fn definition(&mut self) -> Result<(), Failure> {
        self.take();
        let define = self.take_past_space();
        let name = self.template_name("define clause")?;
        self.expect(Kind::RightDelimiter, "define clause")?;
        let nodes = self.body_of_its_own(define.at, "define clause")?;
        self.add(define.at, name, nodes)
    }

    /// The body of a `define` or `block`: it sees no variables from outside.
    fn body_of_its_own(&mut self, at: usize, context: &str) -> Result<Vec<Node>, Failure> {
        self.enter(at)?;
        let variables = std::mem::replace(&mut self.variables, vec!["$"]);
        let ranges = std::mem::take(&mut self.ranges);
        let (nodes, ending) = self.list()?;
        self.variables = variables;
        self.ranges = ranges;
        self.depth -= 1;
        match ending {
            Ending::End => Ok(nodes),
            Ending::Else { at } => fail(at, format!("unexpected {{{{else}}}} in {context}")),
        }
    }

    fn template_name(&mut self, context: &str) -> Result<Str, Failure> {
        let token = self.take_past_space();
        match token.kind {
            Kind::Quoted | Kind::RawQuoted => Ok(Str::from(
                literal::text(token.text).map_err(|fault| (token.at, fault))?,
            )),
            _ => unexpected(token, context),
        }
    }

    fn list(&mut self) -> Result<(Vec<Node>, Ending), Failure> {
        let mut nodes = Vec::new();
        while self.peek_past_space().kind != Kind::End {
            match self.text_or_action()? {
                Ok(node) => nodes.push(node),
                Err(ending) => return Ok((nodes, ending)),
            }
        }
        fail(self.peek().at, "unexpected end of the template, expected {{end}}")
    }

    fn text_or_action(&mut self) -> Result<Result<Node, Ending>, Failure> {
        let token = self.take_past_space();
        match token.kind {
            Kind::Text => Ok(Ok(Node::Text(token.at, token.text.into()))),
            Kind::LeftDelimiter => self.action(),
            _ => unexpected(token, "input"),
        }
    }

    fn action(&mut self) -> Result<Result<Node, Ending>, Failure> {
        let token = self.peek_past_space();
        let word = if token.kind == Kind::Identifier {
            token.text
        } else {
            ""
        };
        if !KEYWORDS.contains(&word)
            || word == "nil"
            || (word == "break" || word == "continue") && self.ranges == 0
        {
            if word == "break" || word == "continue" {
                return fail(token.at, format!("{{{{{word}}}}} outside {{{{range}}}}"));
            }
            return Ok(Ok(Node::Action(self.pipeline("command", Kind::RightDelimiter)?)));
        }
        self.take();
        Ok(Ok(match word {
            "if" => Node::If(self.control(token.at, "if")?),
            "with" => Node::With(self.control(token.at, "with")?),
            "range" => Node::Range(self.control(token.at, "range")?),
            "template" => {
                let name = self.template_name("template clause")?;
                let pipe = if self.peek_past_space().kind == Kind::RightDelimiter {
                    self.take();
                    None
                } else {
                    Some(self.pipeline("template clause", Kind::RightDelimiter)?)
                };
                Node::Template {
                    at: token.at,
                    name,
                    pipe,
                }
            }
            "block" => {
                let name = self.template_name("block clause")?;
                let pipe = self.pipeline("block clause", Kind::RightDelimiter)?;
                let nodes = self.body_of_its_own(token.at, "block clause")?;
                self.add(token.at, name.clone(), nodes)?;
                Node::Template {
                    at: token.at,
                    name,
                    pipe: Some(pipe),
                }
            }
            "break" | "continue" => {
                self.expect(Kind::RightDelimiter, word)?;
                if word == "break" {
                    Node::Break
                } else {
                    Node::Continue
                }
            }
            "end" => {
                self.expect(Kind::RightDelimiter, "end")?;
                return Ok(Err(Ending::End));
            }
            "else" => {
                if !self.keyword("if") {
                    self.expect(Kind::RightDelimiter, "else")?;
                }
                return Ok(Err(Ending::Else { at: token.at }));
            }
            _ => return fail(token.at, format!("unexpected {{{{{word}}}}}")),
        }))
    }

    fn control(&mut self, at: usize, context: &str) -> Result<Branch, Failure> {
        self.enter(at)?;
        let scope = self.variables.len();
        let pipe = self.pipeline(context, Kind::RightDelimiter)?;
        let in_range = usize::from(context == "range");
        self.ranges += in_range;
        let (then, ending) = self.list()?;
        self.ranges -= in_range;
        let otherwise = match ending {
            Ending::End => None,
            Ending::Else { at } if context == "if" && self.keyword("if") => {
                // One `end` closes both.
                self.take();
                Some(vec![Node::If(self.control(at, "if")?)])
            }
            Ending::Else { at } => {
                if self.keyword("if") {
                    return unexpected(self.peek(), "else");
                }
                let (nodes, ending) = self.list()?;
                if let Ending::Else { .. } = ending {
                    return fail(at, "expected {{end}}; found {{else}}");
                }
                Some(nodes)
            }
        };
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok(Branch {
            pipe,
            then,
            otherwise,
        })
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipe, Failure> {
        let at = self.peek_past_space().at;
        self.enter(at)?;
        let mut pipe = Pipe {
            at,
            variables: Vec::new(),
            assign: false,
            commands: Vec::new(),
        };
        self.declarations(context, &mut pipe)?;
        loop {
            let token = self.peek_past_space();
            match token.kind {
                kind if kind == end => {
                    self.take();
                    break;
                }
                Kind::Identifier if token.text != "nil" && KEYWORDS.contains(&token.text) => {
                    return unexpected(token, context);
                }
                Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::CharConstant
                | Kind::Quoted
                | Kind::RawQuoted
                | Kind::Variable
                | Kind::LeftParen => {
                    let command = self.command()?;
                    if !pipe.commands.is_empty() && !executable(&command) {
                        return fail(
                            token.at,
                            format!("non executable command in stage {}", pipe.commands.len() + 1),
                        );
                    }
                    pipe.commands.push(command);
                }
                _ => return unexpected(token, context),
            }
        }
        if pipe.commands.is_empty() {
            return fail(at, format!("missing value for {context}"));
        }
        self.depth -= 1;
        Ok(pipe)
    }

    /// `$x :=`, `$x =`, `$i, $x :=`: nothing is taken where it is an operand.
    fn declarations(&mut self, context: &str, pipe: &mut Pipe) -> Result<(), Failure> {
        loop {
            let variable = self.peek_past_space();
            if variable.kind != Kind::Variable {
                return Ok(());
            }
            let start = self.next;
            self.take();
            let sign = self.peek_past_space();
            match sign.kind {
                Kind::Declare | Kind::Assign => {
                    self.take();
                    pipe.assign = sign.kind == Kind::Assign;
                }
                Kind::Comma => {
                    self.take();
                    if context != "range" || !pipe.variables.is_empty() {
                        return fail(sign.at, format!("too many declarations in {context}"));
                    }
                }
                _ => {
                    self.next = start;
                    return Ok(());
                }
            }
            pipe.variables.push(variable.text.to_owned());
            self.variables.push(variable.text);
            if sign.kind != Kind::Comma {
                return Ok(());
            }
            match self.peek_past_space().kind {
                Kind::Variable | Kind::RightDelimiter | Kind::RightParen => {}
                _ => return fail(self.peek().at, "range can only initialize variables"),
            }
        }
    }

    fn command(&mut self) -> Result<Command, Failure> {
        let mut operands = Vec::new();
        loop {
            let at = self.peek_past_space().at;
            if let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            let token = self.peek();
            match token.kind {
                Kind::Space => {
                    self.take();
                    continue;
                }
                Kind::RightDelimiter | Kind::RightParen => {}
                Kind::Pipe => {
                    self.take();
                }
                _ => return unexpected(token, "operand"),
            }
            if operands.is_empty() {
                return fail(at, "empty command");
            }
            return Ok(Command { operands });
        }
    }

    fn operand(&mut self) -> Result<Option<Operand>, Failure> {
        let at = self.peek().at;
        let Some(mut kind) = self.term()? else {
            return Ok(None);
        };
        let mut fields = Vec::new();
        while self.peek().kind == Kind::Field {
            fields.push(self.take().text[1..].to_owned());
        }
        if !fields.is_empty() {
            match &mut kind {
                OperandKind::Field(names) | OperandKind::Variable(_, names) => names.append(&mut fields),
                OperandKind::Dot
                | OperandKind::Nil
                | OperandKind::Bool(_)
                | OperandKind::Number(_)
                | OperandKind::Text(_) => return fail(at, "unexpected . after a literal"),
                _ => kind = OperandKind::Chain(Box::new(Operand { at, kind }), fields),
            }
        }
        Ok(Some(Operand { at, kind }))
    }

    fn term(&mut self) -> Result<Option<OperandKind>, Failure> {
        let token = self.peek_past_space();
        let placed = |fault| (token.at, fault);
        let kind = match token.kind {
            Kind::Identifier => match token.text {
                "nil" => OperandKind::Nil,
                "true" => OperandKind::Bool(true),
                "false" => OperandKind::Bool(false),
                word if KEYWORDS.contains(&word) => return Ok(None),
                name if function::exists(name) => OperandKind::Function(name.to_owned()),
                name => return fail(token.at, format!("function {name:?} not defined")),
            },
            Kind::Dot => OperandKind::Dot,
            Kind::Variable => {
                if !self.variables.contains(&token.text) {
                    return fail(token.at, format!("undefined variable {:?}", token.text));
                }
                OperandKind::Variable(token.text.to_owned(), Vec::new())
            }
            Kind::Field => OperandKind::Field(vec![token.text[1..].to_owned()]),
            Kind::Number => OperandKind::Number(literal::number(token.text).map_err(placed)?),
            Kind::CharConstant => OperandKind::Number(literal::character(token.text).map_err(placed)?),
            Kind::Quoted | Kind::RawQuoted => {
                OperandKind::Text(Str::from(literal::text(token.text).map_err(placed)?))
            }
            Kind::LeftParen => {
                self.take();
                let pipe = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                return Ok(Some(OperandKind::Pipe(Box::new(pipe))));
            }
            _ => return Ok(None),
        };
        self.take();
        Ok(Some(kind))
    }
}

/// Only a function, field or variable takes the value of the stage before it.
fn executable(command: &Command) -> bool {
    !matches!(
        command.operands.first().map(|operand| &operand.kind),
        Some(
            OperandKind::Bool(_)
                | OperandKind::Dot
                | OperandKind::Nil
                | OperandKind::Number(_)
                | OperandKind::Text(_)
        )
    )
}
