//! Rules that need the syntax tree: function length, forbidden calls, unwraps, sleeps, weak tests.
//!
//! Names are resolved with the file's own `use` lines, so `use std::time::Instant; Instant::now()`
//! is seen as `std::time::Instant::now`. Macro bodies are read as tokens, for paths and method
//! calls.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::bans::BANS;
use super::rooms::room_of;
use super::{Findings, Rule};

/// Lines of a function, from `fn` to its last brace.
const FUNCTION_LINES_MAX: usize = 70;
/// Rooms that are tests as a whole.
const TEST_ROOMS: &[&str] = &["checkers", "sim", "harness", "kubernetes_harness"];
/// The files that may wait: each for all the others of its room, between two looks at a condition.
const WAITING: &[&str] = &[
    "jepsen-like-tests/programs/src/pause.rs",
    // These two wait in virtual time, which costs none.
    "jepsen-like-tests/sim/src/clock.rs",
    "raft/tests/consensus/cluster.rs",
];

/// Looks at the syntax tree of a Rust file.
pub(crate) fn check(path: &str, text: &str, findings: &mut Findings) {
    let file = match syn::parse_file(text) {
        Ok(file) => file,
        Err(error) => {
            let line = error.span().start().line;
            findings.add(Rule::Unreadable, path, line, format!("does not parse: {error}"));
            return;
        }
    };
    let room = room_of(path).map_or("", |room| room.name);
    let mut look = Look {
        path,
        room,
        names: BTreeMap::new(),
        in_tests: is_test_file(path) || file.attrs.iter().any(is_test_attribute),
        findings,
    };
    let mut names = Names::default();
    names.visit_file(&file);
    look.names = names.0;
    look.visit_file(&file);
}

fn is_test_file(path: &str) -> bool {
    let mut parts = path.split('/').rev();
    let file = parts.next().unwrap_or_default();
    let folders = ["tests", "examples", "benches"];
    file == "tests.rs" || file.ends_with("_tests.rs") || parts.any(|part| folders.contains(&part))
}

/// The names that a file's `use` lines bring in, with what they stand for.
#[derive(Default)]
struct Names(BTreeMap<String, Vec<String>>);

impl Visit<'_> for Names {
    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        leaves(&item.tree, &mut Vec::new(), &mut |name, path, _| {
            self.0.insert(name.to_owned(), path.to_vec());
        });
    }
}

/// Calls `leaf` with the name, the full path and the line of each thing that a `use` brings in.
fn leaves(
    tree: &syn::UseTree,
    before: &mut Vec<String>,
    leaf: &mut dyn FnMut(&str, &[String], usize),
) {
    let mut give = |before: &[String], ident: &syn::Ident, name: &syn::Ident| {
        let mut path = before.to_vec();
        if ident != "self" {
            path.push(ident.to_string());
        }
        let name = if name == "self" { path.last().cloned() } else { Some(name.to_string()) };
        leaf(&name.unwrap_or_default(), &path, ident.span().start().line);
    };
    match tree {
        syn::UseTree::Path(part) => {
            before.push(part.ident.to_string());
            leaves(&part.tree, before, leaf);
            before.pop();
        }
        syn::UseTree::Name(part) => give(before, &part.ident, &part.ident),
        syn::UseTree::Rename(part) => give(before, &part.ident, &part.rename),
        syn::UseTree::Glob(part) => leaf("*", before, part.span().start().line),
        syn::UseTree::Group(group) => {
            for tree in &group.items {
                leaves(tree, before, leaf);
            }
        }
    }
}

struct Look<'a> {
    path: &'a str,
    room: &'static str,
    names: BTreeMap<String, Vec<String>>,
    in_tests: bool,
    findings: &'a mut Findings,
}

impl Look<'_> {
    fn add(&mut self, rule: Rule, line: usize, message: impl Into<String>) {
        self.findings.add(rule, self.path, line, message);
    }

    /// Runs `visit` with the knowledge of whether it is in a test.
    fn within(&mut self, attributes: &[syn::Attribute], visit: impl FnOnce(&mut Self)) {
        let outside = self.in_tests;
        self.in_tests = outside || attributes.iter().any(is_test_attribute);
        visit(self);
        self.in_tests = outside;
    }

    /// A path as it stands in the code, at a line.
    fn path(&mut self, segments: &[String], line: usize) {
        let mut full = segments.to_vec();
        if let Some(meant) = segments.first().and_then(|first| self.names.get(first)) {
            full.splice(0..1, meant.iter().cloned());
        }
        self.full_path(&full.join("::"), line);
    }

    fn full_path(&mut self, full: &str, line: usize) {
        let below = |ban: &str| {
            full.strip_prefix(ban).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let room = self.room;
        for ban in BANS.iter().filter(|ban| ban.rooms.contains(&room)) {
            let free = ban.seams.contains(&self.path) || (self.in_tests && ban.tests_are_free);
            if !free && ban.paths.iter().any(|path| below(path)) {
                self.add(ban.rule, line, format!("`{full}`: {}", ban.why));
            }
        }
        if below("bincode") && !is_codec(self.path) {
            self.add(Rule::Codec, line, "bincode is named in the room's `codec` module alone");
        }
        let sleeps = ["std::thread::sleep", "tokio::time::sleep", "tokio::time::sleep_until"];
        let in_tests = self.in_tests || TEST_ROOMS.contains(&self.room);
        if in_tests && sleeps.contains(&full) && !WAITING.contains(&self.path) {
            self.add(Rule::Sleep, line, "a test waits for its condition, with a deadline");
        }
    }

    fn unwrap(&mut self, line: usize) {
        if !self.in_tests {
            self.add(Rule::Unwrap, line, "`unwrap()`: say `expect(\"why it cannot fail\")`");
        }
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first = signature.fn_token.span().start().line;
        let lines = block.brace_token.span.close().end().line + 1 - first;
        if lines > FUNCTION_LINES_MAX {
            let message =
                format!("`{}` has {lines} lines, {FUNCTION_LINES_MAX} fit", signature.ident);
            self.add(Rule::FunctionLength, first, message);
        }
    }

    /// The tokens of a macro's body: paths, and calls of `unwrap`.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(first) => {
                    let line = first.span().start().line;
                    let mut segments = vec![first.to_string()];
                    while let Some(next) = segment_after(&tokens, at) {
                        segments.push(next);
                        at += 3;
                    }
                    self.path(&segments, line);
                }
                TokenTree::Punct(dot) if dot.as_char() == '.' => {
                    if let Some(TokenTree::Ident(method)) = tokens.get(at) {
                        if method == "unwrap" {
                            self.unwrap(method.span().start().line);
                        }
                        at += 1;
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
}

/// The identifier after a `::` at a place among tokens.
fn segment_after(tokens: &[TokenTree], at: usize) -> Option<String> {
    match (tokens.get(at)?, tokens.get(at + 1)?, tokens.get(at + 2)?) {
        (TokenTree::Punct(a), TokenTree::Punct(b), TokenTree::Ident(next))
            if a.as_char() == ':' && b.as_char() == ':' =>
        {
            Some(next.to_string())
        }
        _ => None,
    }
}

fn is_codec(path: &str) -> bool {
    path.ends_with("/codec.rs") || path.contains("/codec/")
}

/// `#[cfg(test)]`, `#[test]`, `#[tokio::test]`; not `#[cfg(not(test))]`.
fn is_test_attribute(attribute: &syn::Attribute) -> bool {
    if attribute.path().segments.last().is_some_and(|last| last.ident == "test") {
        return true;
    }
    let syn::Meta::List(list) = &attribute.meta else { return false };
    let text = list.tokens.to_string();
    let names_test = text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == "test");
    list.path.is_ident("cfg") && names_test && !text.contains("not")
}

impl<'ast> Visit<'ast> for Look<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.within(&item.attrs, |look| visit::visit_item_mod(look, item));
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        self.within(&item.attrs, |look| visit::visit_item_fn(look, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        self.within(&item.attrs, |look| visit::visit_impl_item_fn(look, item));
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.within(&item.attrs, |look| visit::visit_item_impl(look, item));
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.within(&item.attrs, |look| {
            leaves(&item.tree, &mut Vec::new(), &mut |_, path, line| {
                look.full_path(&path.join("::"), line);
            });
        });
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        self.path(&segments, path.span().start().line);
        visit::visit_path(self, path);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if call.method == "unwrap" && call.args.is_empty() {
            self.unwrap(call.method.span().start().line);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, body: &'ast syn::Macro) {
        self.tokens(body.tokens.clone());
        visit::visit_macro(self, body);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        for weak in ["ignore", concat!("should", "_panic")] {
            if attribute.path().is_ident(weak) {
                let message = format!("`#[{weak}]`: a test runs, and passes by what it asserts");
                self.add(Rule::WeakTest, attribute.span().start().line, message);
            }
        }
        visit::visit_attribute(self, attribute);
    }
}
