//! What the story shows of long and secret things.

use farthing_wallet::HttpResponse;

/// Fields of an answer that matter to a payer.
const FIELDS: [&str; 4] = ["content-type", "cache-control", "x-cashu", "www-authenticate"];
const VALUE_CHARS_MAX: usize = 40;
const QUOTED_CHARS_MAX: usize = 20;
const BODY_CHARS_MAX: usize = 110;

/// An answer as curl shows it: status, the fields that matter and the beginning of the body, long values cut.
pub fn answer(answer: &HttpResponse) -> String {
    let status = http::StatusCode::from_u16(answer.status).unwrap_or_default();
    let mut lines = vec![format!("HTTP/1.1 {status}")];
    for name in FIELDS {
        let fields = answer.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        lines.extend(fields.map(|(_, value)| format!("{name}: {}", field(value))));
    }
    let body = String::from_utf8_lossy(&answer.body);
    lines.push(String::new());
    lines.push(cut(body.lines().next().unwrap_or_default(), BODY_CHARS_MAX));
    lines.join("\n")
}

/// A field, long values cut; those of parameters one by one.
fn field(value: &str) -> String {
    if !value.contains('"') {
        return cut(value, VALUE_CHARS_MAX);
    }
    // What is between quotes is every second part.
    let part = |(index, part): (usize, &str)| {
        if index % 2 == 1 && part.chars().count() > QUOTED_CHARS_MAX {
            "…".to_owned()
        } else {
            part.to_owned()
        }
    };
    value.split('"').enumerate().map(part).collect::<Vec<_>>().join("\"")
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    format!("{}…", text.chars().take(most).collect::<String>())
}

/// An argument as it is typed into a shell.
pub fn typed(argument: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@~".contains(&byte);
    if !argument.is_empty() && argument.bytes().all(is_plain) {
        argument.to_owned()
    } else {
        format!("'{argument}'")
    }
}

/// What a wallet says when it is made, without its words: a story that is told to everyone is no place for them.
pub fn without_words(said: &str) -> String {
    let are_words = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        line.starts_with(' ')
            && words.len() == 12
            && line.bytes().all(|byte| byte == b' ' || byte.is_ascii_lowercase())
    };
    let lines = said.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| if are_words(line) { "    (twelve words)" } else { line }).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_and_parameters_stay_readable() {
        let long = "a".repeat(41);
        assert_eq!(
            field(&format!("Payment id=\"{long}\", method=\"credit\"")),
            "Payment id=\"…\", method=\"credit\""
        );
        assert_eq!(field(&long), format!("{}…", "a".repeat(40)));
        assert_eq!(field("no-store"), "no-store");
    }

    #[test]
    fn the_words_of_a_wallet_are_not_told() {
        let words = "half depart obvious quality work element tank gorilla view sugar picture humble";
        let said = format!("a new wallet\n\n    {words}\n\nwrite these 12 words down");
        assert_eq!(without_words(&said), "a new wallet\n    (twelve words)\nwrite these 12 words down");
    }

    #[test]
    fn arguments_are_quoted_where_a_shell_needs_it() {
        assert_eq!(typed("http://127.0.0.1:8402/a.html"), "http://127.0.0.1:8402/a.html");
        assert_eq!(typed("http://a/b?c=d&e"), "'http://a/b?c=d&e'");
        assert_eq!(typed("5.00 USD"), "'5.00 USD'");
    }
}
