//! Path patterns: `*` stays within a segment, `**` crosses slashes, and there is no other syntax.
//!
//! Both sides are compared decoded and without a trailing slash, so `/docs/**` is `/docs`, `/docs/` and all below it.

use std::fmt;

use super::RuleError;
use crate::target::decode_pattern;

/// Which paths a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
    literal: Vec<u8>,
    tokens: Vec<Token>,
    exactness: Exactness,
}

/// How exactly a pattern names its paths; more is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Exactness {
    pub(super) whole: bool,
    pub(super) prefix: usize,
    pub(super) fewer_deep: std::cmp::Reverse<usize>,
    pub(super) fewer_stars: std::cmp::Reverse<usize>,
    pub(super) letters: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Byte(u8),
    /// `*`: anything but a slash.
    Star,
    /// `**`: anything.
    Deep,
    /// `/**` at the end: nothing, or a slash and anything.
    Below,
    /// `/**/`: a slash, or a slash, anything and a slash.
    Between,
}

/// More wildcards than this in one pattern say nothing that anyone could foresee.
const WILDCARDS_MAX: usize = 8;

impl PathPattern {
    /// Reads a pattern such as `/articles/**`.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let bad = |why| RuleError::Path { got: text.chars().take(128).collect(), why };
        if !text.starts_with('/') {
            return Err(bad("it does not begin with a slash"));
        }
        if text.contains("***") {
            return Err(bad("three stars in a row say nothing that two do not"));
        }
        let all = tokens(&decode_pattern(text).map_err(bad)?);
        let split = all.iter().position(|token| !matches!(token, Token::Byte(_))).unwrap_or(all.len());
        let (head, tail) = all.split_at(split);
        if tail.iter().filter(|token| !matches!(token, Token::Byte(_))).count() > WILDCARDS_MAX {
            return Err(bad("it has more than eight wildcards"));
        }
        let literal = head.iter().filter_map(|token| token.byte()).collect();
        Ok(Self { text: text.to_owned(), literal, tokens: tail.to_vec(), exactness: exactness(&all) })
    }

    /// Whether `path` (decoded, without a trailing slash) is one of them; with `fold`, whatever the case.
    pub fn matches(&self, path: &[u8], fold: bool) -> bool {
        let Some((head, rest)) = path.split_at_checked(self.literal.len()) else { return false };
        let same = if fold { head.eq_ignore_ascii_case(&self.literal) } else { head == self.literal };
        same && glob(&self.tokens, rest, fold)
    }

    /// As the operator wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn exactness(&self) -> Exactness {
        self.exactness
    }

    /// Whether some path matches both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let others = other.variants();
        self.variants().iter().any(|left| others.iter().any(|right| overlap(left, right)))
    }

    /// The pattern in words of only bytes, `*` and `**`: every optional slash once with and once without.
    fn variants(&self) -> Vec<Vec<Token>> {
        let mut variants = vec![self.literal.iter().map(|byte| Token::Byte(*byte)).collect::<Vec<_>>()];
        for token in &self.tokens {
            let choices: &[&[Token]] = match token {
                Token::Below => &[&[], &[SLASH, Token::Deep]],
                Token::Between => &[&[SLASH], &[SLASH, Token::Deep, SLASH]],
                other => &[std::slice::from_ref(other)],
            };
            variants = variants
                .iter()
                .flat_map(|variant| choices.iter().map(move |choice| [variant.as_slice(), choice].concat()))
                .collect();
        }
        variants
    }
}

const SLASH: Token = Token::Byte(b'/');

impl Token {
    fn byte(self) -> Option<u8> {
        if let Self::Byte(byte) = self { Some(byte) } else { None }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

fn tokens(pattern: &[crate::target::PatternByte]) -> Vec<Token> {
    use crate::target::PatternByte::{Literal, Star};
    let mut tokens = Vec::with_capacity(pattern.len());
    let mut rest = pattern;
    loop {
        rest = match rest {
            [Literal(b'/'), Star, Star] => {
                tokens.push(Token::Below);
                &[]
            }
            [Literal(b'/'), Star, Star, Literal(b'/'), tail @ ..] => {
                tokens.push(Token::Between);
                tail
            }
            [Star, Star, tail @ ..] => {
                tokens.push(Token::Deep);
                tail
            }
            [Star, tail @ ..] => {
                tokens.push(Token::Star);
                tail
            }
            [Literal(byte), tail @ ..] => {
                tokens.push(Token::Byte(*byte));
                tail
            }
            [] => return tokens,
        };
    }
}

fn exactness(tokens: &[Token]) -> Exactness {
    let count = |wanted: fn(&Token) -> bool| tokens.iter().filter(|token| wanted(token)).count();
    let wild = |token: &Token| !matches!(token, Token::Byte(_));
    let slash = |token: &Token| matches!(token, Token::Below | Token::Between);
    let first = tokens.iter().position(wild);
    let opens_with_slash = first.and_then(|at| tokens.get(at)).is_some_and(slash);
    Exactness {
        whole: first.is_none(),
        prefix: first.unwrap_or(tokens.len()) + usize::from(opens_with_slash),
        fewer_deep: std::cmp::Reverse(count(|t| matches!(t, Token::Deep | Token::Below | Token::Between))),
        fewer_stars: std::cmp::Reverse(count(|t| matches!(t, Token::Star))),
        letters: count(|t| matches!(t, Token::Byte(_))),
    }
}

/// Where to go on after a mismatch: the latest `*`, else the latest `**`, one byte (or segment) further.
///
/// The earliest match of each wildcard is enough: a later one can only leave less for the wildcards after it.
fn glob(tokens: &[Token], text: &[u8], fold: bool) -> bool {
    let (mut at, mut position) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    let mut deep: Option<(usize, usize, bool)> = None;
    loop {
        let next = text.get(position).copied();
        match (tokens.get(at), next) {
            (Some(Token::Byte(byte)), Some(got)) if same(*byte, got, fold) => {
                (at, position) = (at + 1, position + 1);
                continue;
            }
            (Some(Token::Star), _) => {
                at += 1;
                star = Some((at, position));
                continue;
            }
            (Some(Token::Deep), _) => {
                at += 1;
                (star, deep) = (None, Some((at, position, false)));
                continue;
            }
            (Some(Token::Between), Some(b'/')) => {
                (at, position) = (at + 1, position + 1);
                (star, deep) = (None, Some((at, position, true)));
                continue;
            }
            (None, None) | (Some(Token::Below), None | Some(b'/')) => return true,
            _ => {}
        }
        if let Some((after, from)) =
            star.filter(|(_, from)| text.get(*from).is_some_and(|byte| *byte != b'/'))
        {
            (at, position) = (after, from + 1);
            star = Some((at, position));
        } else if let Some((after, from, segments)) = deep {
            let rest = text.get(from..).unwrap_or_default();
            let step = if segments { rest.iter().position(|byte| *byte == b'/') } else { Some(0) };
            let Some(step) = step.filter(|_| !rest.is_empty()) else { return false };
            (at, position) = (after, from + step + 1);
            (star, deep) = (None, Some((at, position, segments)));
        } else {
            return false;
        }
    }
}

fn same(left: u8, right: u8, fold: bool) -> bool {
    left == right || fold && left.eq_ignore_ascii_case(&right)
}

/// Whether two patterns of bytes, `*` and `**` have a text in common: a walk over both at once.
fn overlap(left: &[Token], right: &[Token]) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    let mut open = vec![(0, 0)];
    while let Some((i, j)) = open.pop() {
        if !seen.insert((i, j)) {
            continue;
        }
        let eats = |token: &Token, byte: u8| matches!(token, Token::Deep) || byte != b'/';
        match (left.get(i), right.get(j)) {
            (None, None) => return true,
            (Some(Token::Byte(a)), Some(Token::Byte(b))) => {
                if a == b {
                    open.push((i + 1, j + 1));
                }
            }
            (Some(Token::Byte(a)), Some(wild)) => {
                open.push((i, j + 1));
                if eats(wild, *a) {
                    open.push((i + 1, j));
                }
            }
            (Some(wild), Some(Token::Byte(b))) => {
                open.push((i + 1, j));
                if eats(wild, *b) {
                    open.push((i, j + 1));
                }
            }
            (Some(Token::Byte(_)), None) | (None, Some(Token::Byte(_))) => {}
            (Some(_), None) => open.push((i + 1, j)),
            (None, Some(_)) => open.push((i, j + 1)),
            (Some(_), Some(_)) => open.extend([(i + 1, j), (i, j + 1)]),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> PathPattern {
        PathPattern::parse(text).unwrap()
    }

    #[test]
    fn stars_stay_in_a_segment_and_double_stars_do_not() {
        let cases = [
            ("/", "/", true),
            ("/a", "/a", true),
            ("/a/", "/a", true),
            ("/a", "/ab", false),
            ("/*", "/a", true),
            ("/*", "/a/b", false),
            ("/*/b", "/a/b", true),
            ("/*/b", "/a/c/b", false),
            ("/**", "/", true),
            ("/**", "/a/b", true),
            ("/a/**", "/a", true),
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/ab", false),
            ("/a**", "/ab/c", true),
            ("/a/**/z", "/a/z", true),
            ("/a/**/z", "/a/b/c/z", true),
            ("/a/**/z", "/a/bz", false),
            ("/**/*.pdf", "/x.pdf", true),
            ("/**/*.pdf", "/a/b/x.pdf", true),
            ("/**/*.pdf", "/a/x.pdf/y", false),
            ("/**.pdf", "/a/x.pdf", true),
            ("/a*b*c", "/axxbyyc", true),
            ("/a*b*c", "/axxb/yc", false),
            ("/%61", "/a", true),
            ("/caf%C3%A9", "/café", true),
        ];
        for (text, path, expected) in cases {
            assert_eq!(pattern(text).matches(path.as_bytes(), false), expected, "{text} {path}");
        }
        assert!(
            pattern("/Paid/*").matches(b"/pAID/x", true) && !pattern("/Paid/*").matches(b"/paid/x", false)
        );
    }

    #[test]
    fn what_is_not_a_pattern_is_refused() {
        for bad in [
            "",
            "a",
            "*",
            "/***",
            "/a/../b",
            "/./a",
            "/a//b",
            "/%zz",
            "/a%2Fb",
            "/a%00",
            "/*/*/*/*/*/*/*/*/*",
            "/a\\b",
            "/a?b",
        ] {
            assert!(matches!(PathPattern::parse(bad), Err(RuleError::Path { .. })), "{bad:?}");
        }
    }

    #[test]
    fn patterns_that_share_a_path_overlap() {
        let cases = [
            ("/a/*b", "/a/*c", false),
            ("/a*b/*", "/a*/b*", true),
            ("/*/x", "/y/*", true),
            ("/a/**", "/a", true),
            ("/a/**", "/ab/**", false),
            ("/a/*x/**", "/a/*y/**", false),
            ("/**/z", "/a/**", true),
        ];
        for (left, right, expected) in cases {
            assert_eq!(pattern(left).overlaps(&pattern(right)), expected, "{left} {right}");
            assert_eq!(pattern(right).overlaps(&pattern(left)), expected, "{right} {left}");
        }
    }

    /// The same meaning, written as slowly and plainly as possible.
    fn naive(tokens: &[Token], text: &[u8]) -> bool {
        match (tokens.split_first(), text.split_first()) {
            (None, rest) => rest.is_none(),
            (Some((Token::Byte(byte), tail)), Some((got, rest))) => byte == got && naive(tail, rest),
            (Some((Token::Byte(_), _)), None) => false,
            (Some((wild, tail)), rest) => {
                naive(tail, text)
                    || rest.is_some_and(|(got, rest)| {
                        (matches!(wild, Token::Deep) || *got != b'/') && naive(tokens, rest)
                    })
            }
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_naive_meaning(text in "/[ab/*]{0,9}", path in "/[ab/]{0,10}") {
            if let Ok(pattern) = PathPattern::parse(&text) {
                let expected = pattern.variants().iter().any(|variant| naive(variant, path.as_bytes()));
                prop_assert_eq!(pattern.matches(path.as_bytes(), false), expected, "{} {}", text, path);
            }
        }

        #[test]
        fn two_patterns_that_match_one_path_overlap(left in "/[ab/*]{0,6}", right in "/[ab/*]{0,6}", path in "/[ab/]{0,6}") {
            if let (Ok(left), Ok(right)) = (PathPattern::parse(&left), PathPattern::parse(&right)) {
                let both = left.matches(path.as_bytes(), false) && right.matches(path.as_bytes(), false);
                prop_assert!(!both || left.overlaps(&right));
            }
        }
    }
}
