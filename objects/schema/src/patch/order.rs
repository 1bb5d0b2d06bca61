//! The order of a merged list: what the patch names comes in the patch's order, the rest in the
//! order it had, and both are interleaved by where they stood before.

use std::collections::HashMap;

use crate::Value;

/// How elements of a list are told apart.
#[derive(Clone, Copy)]
pub(super) enum Identity<'a> {
    /// By the value itself.
    Scalar,
    /// By the value under a key.
    Key(&'a str),
}

impl Identity<'_> {
    /// What identifies an element; elements without a key are alike.
    pub(super) fn of<'a>(&self, element: &'a Value) -> &'a Value {
        match self {
            Self::Scalar => element,
            Self::Key(key) => element.get(key).unwrap_or(&Value::Null),
        }
    }
}

/// Where the elements of a list stand, the first of each identity. Looked up by hash: a list may
/// have as many elements as a body has room for.
struct Positions<'a> {
    identity: Identity<'a>,
    first: HashMap<&'a Value, usize>,
}

impl<'a> Positions<'a> {
    fn new(list: &'a [Value], identity: Identity<'a>) -> Self {
        let mut first = HashMap::with_capacity(list.len());
        for (index, element) in list.iter().enumerate() {
            first.entry(identity.of(element)).or_insert(index);
        }
        Self { identity, first }
    }

    fn of(&self, element: &Value) -> Option<usize> {
        self.first.get(self.identity.of(element)).copied()
    }
}

/// Orders the elements of a merged list. `before` is the list as it was, `wanted` names elements in
/// the order in which they should come.
pub(super) fn ordered(
    merged: Vec<Value>,
    wanted: &[Value],
    before: &[Value],
    identity: Identity<'_>,
) -> Vec<Value> {
    let wanted = Positions::new(wanted, identity);
    let before = Positions::new(before, identity);
    let (mut named, mut rest): (Vec<_>, Vec<_>) =
        merged.into_iter().partition(|element| wanted.of(element).is_some());
    named.sort_by_key(|element| wanted.of(element));
    rest.sort_by_key(|element| before.of(element));
    interleaved(rest, named, &before)
}

/// Takes from `rest` while its next element stood before the next one of `named`.
fn interleaved(rest: Vec<Value>, named: Vec<Value>, before: &Positions<'_>) -> Vec<Value> {
    let mut all = Vec::with_capacity(rest.len() + named.len());
    let (mut rest, mut named) = (rest.into_iter().peekable(), named.into_iter().peekable());
    while let (Some(left), Some(right)) = (rest.peek(), named.peek()) {
        let stood = (before.of(left), before.of(right));
        let from_rest = matches!(stood, (Some(left), Some(right)) if left < right);
        all.extend(if from_rest { rest.next() } else { named.next() });
    }
    all.extend(rest);
    all.extend(named);
    all
}
