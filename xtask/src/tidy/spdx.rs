//! Licence expressions: whether one can be met with the licences that we allow.

/// Whether `expression` can be met. The old form `MIT/Apache-2.0` means a choice.
pub fn is_met(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, at: 0, allowed };
    let met = reader.either();
    met && reader.at == words.len()
}

struct Reader<'a> {
    words: &'a [&'a str],
    at: usize,
    allowed: &'a [String],
}

impl Reader<'_> {
    fn next(&mut self, word: &str) -> bool {
        let found = self.words.get(self.at) == Some(&word);
        self.at = self.at.saturating_add(usize::from(found));
        found
    }

    fn either(&mut self) -> bool {
        let mut met = self.both();
        while self.next("OR") {
            met |= self.both();
        }
        met
    }

    fn both(&mut self) -> bool {
        let mut met = self.one();
        while self.next("AND") {
            met &= self.one();
        }
        met
    }

    fn one(&mut self) -> bool {
        if self.next("(") {
            let met = self.either();
            return self.next(")") && met;
        }
        let Some(name) = self.words.get(self.at) else { return false };
        self.at = self.at.saturating_add(1);
        let mut name = (*name).to_owned();
        if self.next("WITH") {
            name = format!("{name} WITH {}", self.words.get(self.at).copied().unwrap_or_default());
            self.at = self.at.saturating_add(1);
        }
        self.allowed.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_met_or_not() {
        let allowed = ["MIT", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        let cases = [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("MIT OR GPL-3.0-only", true),
            ("MIT/Apache-2.0", true),
            ("MIT AND GPL-3.0-only", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("Apache-2.0 WITH LLVM-exception OR GPL-3.0-only", true),
            ("Apache-2.0", false),
            ("MIT GPL-3.0-only", false),
            ("(MIT", false),
            ("", false),
        ];
        for (expression, expected) in cases {
            assert_eq!(is_met(expression, &allowed), expected, "{expression}");
        }
    }
}
