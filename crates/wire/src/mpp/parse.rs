//! Reads authentication fields (RFC 9110, section 11): several challenges in one value, of several schemes, with
//! commas between challenges as well as between their parameters.

use super::quoted;

/// One challenge or credential: a scheme, then one token or parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scheme {
    /// The scheme's name as it was written.
    pub(crate) name: String,
    /// The `token68`, if there is one.
    pub(crate) token: Option<String>,
    /// The parameters; names in lower case.
    pub(crate) params: Vec<(String, String)>,
    /// Whether something in it could not be read. Others' schemes are often sloppy; ours must not be.
    pub(crate) faulty: bool,
}

impl Scheme {
    /// Whether it is of a scheme, whose name has no case.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// All schemes of a field's value, in order. What cannot be read marks the scheme in which it stands.
pub(crate) fn schemes(value: &str) -> Vec<Scheme> {
    let mut found: Vec<Scheme> = Vec::new();
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return found;
        }
        let (word, behind) = take(rest, is_token_char);
        let (spaces, behind) = take(behind, is_space);
        let parameter = behind.strip_prefix('=').filter(|_| !word.is_empty());
        match (parameter, found.last_mut()) {
            (Some(behind), Some(scheme)) => {
                rest = read_parameter(word, behind, scheme);
            }
            (None, _) if !word.is_empty() => {
                let mut scheme = Scheme { name: word.to_owned(), ..Scheme::default() };
                rest = if spaces.is_empty() { behind } else { read_token(behind, &mut scheme) };
                // A scheme's name ends with a space, a comma or the value.
                if spaces.is_empty() && !rest.is_empty() && !rest.starts_with(',') {
                    scheme.faulty = true;
                    rest = skip_to_comma(rest);
                }
                found.push(scheme);
            }
            (_, last) => {
                if let Some(scheme) = last {
                    scheme.faulty = true;
                }
                rest = skip_to_comma(rest);
            }
        }
    }
}

/// Takes a `token68` if one stands here: such a run that ends at a comma or the end.
fn read_token<'a>(rest: &'a str, scheme: &mut Scheme) -> &'a str {
    let is_token68 = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
    let (run, behind) = take(rest, is_token68);
    let (padding, behind) = take(behind, |c| c == '=');
    let (_, behind) = take(behind, is_space);
    let ends = behind.is_empty() || behind.starts_with(',');
    match rest.get(..run.len().saturating_add(padding.len())) {
        Some(token) if !run.is_empty() && ends => {
            scheme.token = Some(token.to_owned());
            behind
        }
        _ => rest,
    }
}

/// Takes the value of a parameter and what follows it.
fn read_parameter<'a>(name: &str, rest: &'a str, scheme: &mut Scheme) -> &'a str {
    let rest = rest.trim_start_matches(is_space);
    let (value, behind) = if let Some(inside) = rest.strip_prefix('"') {
        let Some(read) = quoted::read(inside) else {
            scheme.faulty = true;
            return "";
        };
        read
    } else {
        let (value, behind) = take(rest, |c| c != ',');
        let value = value.trim_end_matches(is_space);
        // Others write base64 without quotes here, so more than tokens is read.
        let sound = !value.is_empty() && value.chars().all(|c| c.is_ascii_graphic() && c != '"');
        scheme.faulty |= !sound;
        (value.to_owned(), behind)
    };
    let name = name.to_ascii_lowercase();
    // One value for two readers: the first or the last? Neither.
    scheme.faulty |= scheme.token.is_some() || scheme.params.iter().any(|(other, _)| *other == name);
    scheme.params.push((name, value));
    let behind = behind.trim_start_matches(is_space);
    if behind.is_empty() || behind.starts_with(',') {
        behind
    } else {
        scheme.faulty = true;
        skip_to_comma(behind)
    }
}

/// What follows the next comma that is outside of quotes.
fn skip_to_comma(rest: &str) -> &str {
    let mut rest = rest;
    loop {
        let (_, behind) = take(rest, |c| c != ',' && c != '"');
        match behind.strip_prefix('"') {
            Some(inside) => match quoted::read(inside) {
                Some((_, behind)) => rest = behind,
                None => return "",
            },
            None => return behind,
        }
    }
}

fn take(text: &str, keep: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !keep(c)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn is_space(c: char) -> bool {
    c == ' ' || c == '\t'
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn show(value: &str) -> String {
        let show_one = |scheme: &Scheme| {
            let params: Vec<_> = scheme.params.iter().map(|(n, v)| format!("{n}={v}")).collect();
            let token = scheme.token.as_deref().map(|t| format!(" <{t}>")).unwrap_or_default();
            let fault = if scheme.faulty { "!" } else { "" };
            format!("{}{token}({}){fault}", scheme.name, params.join("; "))
        };
        schemes(value).iter().map(show_one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn values_are_read_as_rfc_9110_says() {
        for (value, expected) in [
            ("", ""),
            (" , ,", ""),
            ("Negotiate", "Negotiate()"),
            ("Negotiate, Basic realm=\"x\"", "Negotiate() Basic(realm=x)"),
            ("Basic YWJj==", "Basic <YWJj==>()"),
            ("Basic YWJj , Bearer", "Basic <YWJj>() Bearer()"),
            (
                "Payment id=\"1\", realm=\"a, Bearer b=\\\"c\\\"\" , Payment ID=2,x = y",
                "Payment(id=1; realm=a, Bearer b=\"c\") Payment(id=2; x=y)",
            ),
            ("L402 macaroon=abc==, invoice=\"lnbc\"", "L402(macaroon=abc==; invoice=lnbc)"),
            (
                "Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Basic realm=\"simple\"",
                "Newauth(realm=apps; type=1; title=Login to \"apps\") Basic(realm=simple)",
            ),
        ] {
            assert_eq!(show(value), expected, "{value}");
        }
    }

    #[test]
    fn what_cannot_be_read_marks_its_scheme() {
        for (value, expected) in [
            ("Payment id=\"1", "Payment()!"),
            ("Payment id=\"1\" x", "Payment(id=1)!"),
            ("Payment id=1, id=2", "Payment(id=1; id=2)!"),
            ("Payment id=1, ID=1", "Payment(id=1; id=1)!"),
            ("Payment id=a\"b", "Payment(id=a\"b)!"),
            ("id=1, Payment a=1", "Payment(a=1)"),
            ("Bad {, Payment a=1", "Bad()! Payment(a=1)"),
            (
                "Bad x={\"Payment y=1, Payment z=2\", Payment a=1",
                "Bad(x={\"Payment y=1)! Payment(z=2\")! Payment(a=1)",
            ),
            ("Payment abc, a=1", "Payment <abc>(a=1)!"),
            ("Payment@x, Basic", "Payment()! Basic()"),
        ] {
            assert_eq!(show(value), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_no_panic(text in "[ -~é]*") {
            let _ = schemes(&text);
        }

        #[test]
        fn what_stands_in_quotes_makes_no_scheme(text in "\\PC*") {
            let quoted = quoted::write(&text).unwrap();
            let found = schemes(&format!("One a={quoted}, Two b={quoted}"));
            prop_assert_eq!(found.len(), 2);
            prop_assert!(found.iter().all(|scheme| !scheme.faulty && scheme.params[0].1 == text));
        }
    }
}
