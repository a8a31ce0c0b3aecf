//! How series of two vectors find each other: `on`, `ignoring`, `group_left`, `group_right`, `bool`, `fill`.

use crate::ast::{BinaryOp, Cardinality, Grouping, Matching, Span};

use super::Fault;
use super::cursor::Parser;
use super::lex::Token;
use super::selector::utf8;

impl Parser<'_> {
    pub(super) fn modifiers(&mut self, op: BinaryOp) -> Result<(bool, Matching), Fault> {
        let mut matching = Matching::default();
        if op.is_set() {
            matching.cardinality = Cardinality::ManyToMany;
        }
        let start = self.peek_span()?;
        let return_bool = self.take_keyword("bool")?;
        if return_bool && !op.is_comparison() {
            return Err((
                start,
                "bool modifier can only be used on comparison operators".to_owned(),
            ));
        }
        let on = self.take_keyword("on")?;
        if on || self.take_keyword("ignoring")? {
            let labels = self.label_names()?;
            matching.labels = if on {
                Grouping::Keep(labels)
            } else {
                Grouping::Drop(labels)
            };
            for (keyword, cardinality) in [
                ("group_left", Cardinality::ManyToOne),
                ("group_right", Cardinality::OneToMany),
            ] {
                let span = self.peek_span()?;
                if self.take_keyword(keyword)? {
                    if op.is_set() {
                        return Err((
                            span,
                            format!("no grouping allowed for {:?} operation", op.symbol()),
                        ));
                    }
                    matching.cardinality = cardinality;
                    if self.peek_symbol("(")? {
                        matching.include = self.label_names()?;
                    }
                    self.check_include(&matching, span)?;
                }
            }
        }
        self.fill(op, &mut matching)?;
        Ok((return_bool, matching))
    }

    pub(super) fn check_include(&self, matching: &Matching, span: Span) -> Result<(), Fault> {
        if let Grouping::Keep(on) = &matching.labels
            && let Some(both) = matching.include.iter().find(|label| on.contains(label))
        {
            return Err((
                span,
                format!("label {both:?} must not occur in ON and GROUP clause at once"),
            ));
        }
        Ok(())
    }

    pub(super) fn fill(&mut self, op: BinaryOp, matching: &mut Matching) -> Result<(), Fault> {
        loop {
            let (token, span) = self.peek()?;
            let Token::Name(name) = token else { return Ok(()) };
            let (left, right) = match name.to_ascii_lowercase().as_str() {
                "fill" => (true, true),
                "fill_left" => (true, false),
                "fill_right" => (false, true),
                _ => return Ok(()),
            };
            // Without a parenthesis it is a metric of that name.
            if !self.text[span.end..].trim_start().starts_with('(') {
                return Ok(());
            }
            self.advance()?;
            if op.is_set() {
                return Err((
                    span,
                    "filling in missing series not allowed for set operators".to_owned(),
                ));
            }
            self.expect("(")?;
            let value = self.number()?;
            self.expect(")")?;
            matching.fill_left = if left { Some(value) } else { matching.fill_left };
            matching.fill_right = if right { Some(value) } else { matching.fill_right };
        }
    }

    pub(super) fn label_names(&mut self) -> Result<Vec<String>, Fault> {
        self.expect("(")?;
        let mut names = Vec::new();
        while !self.peek_symbol(")")? {
            match self.advance()? {
                (Token::Name(name), _) if !name.contains(':') => names.push(name),
                (Token::Text(bytes), span) => names.push(utf8(bytes, span)?),
                (token, span) => {
                    return Err((
                        span,
                        format!("unexpected {} in grouping opts, expected label", token.describe()),
                    ));
                }
            }
            if !self.take_symbol(",")? {
                break;
            }
        }
        self.expect(")")?;
        Ok(names)
    }
}
