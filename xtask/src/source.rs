//! What the rules want to know of a Rust file, read from its tokens: comments and strings cannot deceive it.

use std::str::FromStr;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Where `fn` stands.
    pub line: usize,
    /// From `fn` to the closing brace.
    pub lines: usize,
}

/// What one file has.
#[derive(Debug, Default)]
pub struct Source {
    /// Every function, nested ones too.
    pub functions: Vec<Function>,
    /// Lines of `#[ignore]`.
    pub ignored: Vec<usize>,
    /// Lines in tests where something called `sleep` is called.
    pub sleeps: Vec<usize>,
    /// String literals in functions named `code` and at the head of `Problem::new`: the stable codes of refusals.
    pub codes: Vec<(String, usize)>,
}

/// Where the walk is.
#[derive(Clone, Copy)]
struct Place {
    test: bool,
    code: bool,
}

impl Source {
    /// Reads a file's text. Files under `tests/` are tests throughout.
    pub fn read(path: &str, text: &str) -> Result<Self, String> {
        let tokens = TokenStream::from_str(text).map_err(|error| format!("{path}: not Rust: {error}"))?;
        let mut source = Self::default();
        source.walk(tokens, Place { test: path.contains("/tests/"), code: false });
        Ok(source)
    }

    fn walk(&mut self, tokens: TokenStream, place: Place) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut item = place;
        let mut function: Option<(String, usize)> = None;
        for (index, token) in tokens.iter().enumerate() {
            let next = tokens.get(index.saturating_add(1));
            match token {
                TokenTree::Ident(ident) if ident == "fn" => {
                    if let Some(TokenTree::Ident(name)) = next {
                        function = Some((name.to_string(), ident.span().start().line));
                        item.code = name == "code";
                    }
                }
                TokenTree::Ident(ident) if ident == "sleep" && item.test => {
                    if matches!(next, Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis)
                    {
                        self.sleeps.push(ident.span().start().line);
                    }
                }
                TokenTree::Punct(punct) if punct.as_char() == ';' => {
                    function = None;
                    item = place;
                }
                TokenTree::Punct(punct) if punct.as_char() == '#' => self.attribute(next, &mut item),
                TokenTree::Literal(_) if place.code => self.codes.extend(text_of(token)),
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    self.walk(group.stream(), item);
                    if let Some((name, line)) = function.take() {
                        let end = group.span_close().end().line;
                        let lines = end.saturating_sub(line).saturating_add(1);
                        self.functions.push(Function { name, line, lines });
                    }
                    item = place;
                }
                TokenTree::Group(group) => {
                    if !item.test && makes_a_problem(tokens.get(..index).unwrap_or_default()) {
                        self.codes.extend(group.stream().into_iter().next().as_ref().and_then(text_of));
                    }
                    self.walk(group.stream(), item);
                }
                _ => {}
            }
        }
    }

    fn attribute(&mut self, next: Option<&TokenTree>, item: &mut Place) {
        let Some(TokenTree::Group(group)) = next else { return };
        let words: Vec<String> = words(group);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["ignore", ..] | ["cfg_attr", _, "ignore", ..] => {
                self.ignored.push(group.span_open().start().line);
            }
            ["test", ..] | ["tokio", "test", ..] | ["cfg", "test"] => item.test = true,
            _ => {}
        }
    }
}

/// A string literal and its line.
fn text_of(token: &TokenTree) -> Option<(String, usize)> {
    let text = token.to_string();
    let text = text.strip_prefix('"')?.strip_suffix('"')?;
    Some((text.to_owned(), token.span().start().line))
}

/// Whether the tokens end in `Problem::new`, whose first argument is a code.
fn makes_a_problem(before: &[TokenTree]) -> bool {
    let last = before.get(before.len().saturating_sub(4)..).unwrap_or_default();
    last.iter().map(ToString::to_string).eq(["Problem", ":", ":", "new"])
}

/// The names in an attribute, nested ones too, in order.
fn words(group: &Group) -> Vec<String> {
    let mut found = Vec::new();
    for token in group.stream() {
        match token {
            TokenTree::Ident(ident) => found.push(ident.to_string()),
            TokenTree::Group(group) => found.extend(words(&group)),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"//! A sample.
fn short() {}
fn long(
    a: u8,
) {
    // fn comment() {}
    let text = "fn string() { sleep(1) }";
    sleep(1);
}
trait T { fn no_body(&self); }
impl E { fn code(&self) -> &'static str { match self { Self::A => "a-b", Self::B(..) => "c" } } }
fn other() -> Problem { Problem::new("d-e", 400, "not-a-code", Problem::other("not-a-code")) }
#[cfg(test)]
mod tests {
    #[test]
    #[ignore = "later"]
    fn one() { std::thread::sleep(wait); }
    fn sample() { Problem::new("a-sample", 402); }
    proptest! { #[test] fn two() { time::sleep(wait).await; } }
}
fn after() { sleep(1); }
"#;

    #[test]
    fn functions_are_measured_and_strings_are_not_code() {
        let source = Source::read("crates/a/src/a.rs", SAMPLE).unwrap();
        let names: Vec<_> = source.functions.iter().map(|function| function.name.as_str()).collect();
        assert_eq!(names, ["short", "long", "code", "other", "one", "sample", "two", "after"]);
        assert_eq!(source.functions[1], Function { name: "long".to_owned(), line: 3, lines: 7 });
    }

    #[test]
    fn only_tests_may_not_sleep() {
        assert_eq!(Source::read("crates/a/src/a.rs", SAMPLE).unwrap().sleeps, [17, 19]);
        assert_eq!(Source::read("crates/a/tests/a.rs", SAMPLE).unwrap().sleeps, [8, 17, 19, 21]);
    }

    #[test]
    fn ignored_tests_and_codes_are_seen() {
        let source = Source::read("crates/a/src/a.rs", SAMPLE).unwrap();
        assert_eq!(source.ignored, [16]);
        assert_eq!(
            source.codes,
            [("a-b", 11), ("c", 11), ("d-e", 12)].map(|(code, line)| (code.to_owned(), line))
        );
    }
}
