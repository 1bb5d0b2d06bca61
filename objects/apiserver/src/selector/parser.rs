//! The grammar of label selectors in their text form.
//!
//! Invariant: looks one word ahead and never back. What is refused is refused where kube-apiserver
//! stops reading, since its texts name the word that it found.

use std::collections::BTreeSet;

use super::SelectorError;
use super::labels::{Operator, Requirement, check_key};
use super::lexer::{Token, Word, words};

/// Reads words into requirements.
pub(super) struct Parser {
    words: Vec<Word>,
    at: usize,
}

/// Whether `in` and `notin` are operators here, or just names.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Operator,
    Value,
}

impl Parser {
    pub(super) fn new(text: &str) -> Self {
        Self { words: words(text), at: 0 }
    }

    /// All requirements, as they are written.
    pub(super) fn selector(&mut self) -> Result<Vec<Requirement>, SelectorError> {
        let mut requirements = Vec::new();
        loop {
            match self.peek(Place::Value) {
                Token::End => return Ok(requirements),
                Token::Identifier | Token::Not => {}
                _ => return Err(self.found("expected: !, identifier, or 'end of string'")),
            }
            let requirement = self.requirement();
            requirements.push(requirement.map_err(|error| {
                SelectorError::new(format_args!("unable to parse requirement: {error}"))
            })?);
            match self.peek(Place::Value) {
                Token::End => return Ok(requirements),
                Token::Comma => self.at += 1,
                _ => return Err(self.found("expected: ',' or 'end of string'")),
            }
            if !matches!(self.peek(Place::Value), Token::Identifier | Token::Not) {
                return Err(self.found("expected: identifier after ','"));
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let absent = self.peek(Place::Value) == Token::Not;
        if absent {
            self.at += 1;
        }
        if self.peek(Place::Value) != Token::Identifier {
            return Err(self.found("expected: identifier"));
        }
        let key = self.take();
        check_key("<nil>", &key)?;
        if absent {
            return Requirement::new(&key, Operator::DoesNotExist, Vec::new());
        }
        if matches!(self.peek(Place::Value), Token::End | Token::Comma) {
            return Requirement::new(&key, Operator::Exists, Vec::new());
        }
        let operator = self.operator()?;
        let values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => self.exact_value()?,
        };
        Requirement::new(&key, operator, values.into_iter().collect())
    }

    fn operator(&mut self) -> Result<Operator, SelectorError> {
        let operator = match self.peek(Place::Operator) {
            Token::In => Operator::In,
            Token::NotIn => Operator::NotIn,
            Token::Equals => Operator::Equals,
            Token::DoubleEquals => Operator::DoubleEquals,
            Token::NotEquals => Operator::NotEquals,
            Token::Greater => Operator::GreaterThan,
            Token::Less => Operator::LessThan,
            _ => return Err(self.found("expected: in, notin, =, ==, !=, gt, lt")),
        };
        self.at += 1;
        Ok(operator)
    }

    fn values(&mut self) -> Result<BTreeSet<String>, SelectorError> {
        if self.peek(Place::Value) != Token::Open {
            // Compat: this one text of kube-apiserver has no comma.
            return Err(SelectorError(format!("found '{}' expected: '('", self.text())));
        }
        self.at += 1;
        match self.peek(Place::Value) {
            Token::Close => {
                self.at += 1;
                Ok(BTreeSet::from([String::new()]))
            }
            Token::Identifier | Token::Comma => self.value_list(),
            _ => Err(self.found("expected: ',', ')' or identifier")),
        }
    }

    /// Values up to the closing parenthesis; a comma with nothing before or after it stands for the
    /// empty value too.
    fn value_list(&mut self) -> Result<BTreeSet<String>, SelectorError> {
        let mut values = BTreeSet::new();
        loop {
            match self.peek(Place::Value) {
                Token::Identifier => {
                    values.insert(self.take());
                    match self.peek(Place::Value) {
                        Token::Comma => {}
                        Token::Close => break,
                        _ => return Err(self.found("expected: ',' or ')'")),
                    }
                }
                Token::Comma => {
                    self.at += 1;
                    let next = self.peek(Place::Value);
                    if values.is_empty() || matches!(next, Token::Close | Token::Comma) {
                        values.insert(String::new());
                    }
                    if next == Token::Close {
                        break;
                    }
                }
                _ => return Err(self.found("expected: ',', or identifier")),
            }
        }
        self.at += 1;
        Ok(values)
    }

    fn exact_value(&mut self) -> Result<BTreeSet<String>, SelectorError> {
        match self.peek(Place::Value) {
            Token::End | Token::Comma => Ok(BTreeSet::from([String::new()])),
            Token::Identifier => Ok(BTreeSet::from([self.take()])),
            _ => Err(self.found("expected: identifier")),
        }
    }

    fn peek(&self, place: Place) -> Token {
        match self.words.get(self.at).map_or(Token::End, |word| word.token) {
            Token::In | Token::NotIn if place == Place::Value => Token::Identifier,
            token => token,
        }
    }

    fn text(&self) -> &str {
        self.words.get(self.at).map_or("", |word| &word.text)
    }

    fn take(&mut self) -> String {
        let text = self.text().to_owned();
        self.at += 1;
        text
    }

    fn found(&self, expected: &str) -> SelectorError {
        SelectorError(format!("found '{}', {expected}", self.text()))
    }
}
