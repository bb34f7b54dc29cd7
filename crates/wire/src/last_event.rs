//! The last event of a stream of events: what was charged is known at its end only, so it is told behind everything else.

use serde::Deserialize;

/// The name of the event.
pub const NAME: &str = "farthing";
/// No such event is longer than this.
pub const BYTES_MAX: usize = 65_536;

#[derive(Deserialize)]
struct Words {
    #[serde(default)]
    receipt: Option<String>,
}

/// The event with these data. An empty line goes first: what came may have broken off in the middle of another one.
pub fn write(data: &str) -> String {
    format!("\n\nevent: {NAME}\ndata: {data}\n\n")
}

/// The receipt that the end of a stream tells; nothing if it does not end with such an event. Whoever reads it checks the signature.
pub fn receipt(end: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(end);
    let (_, event) = text.rsplit_once(&format!("\n\nevent: {NAME}\ndata: "))?;
    let (data, rest) = event.split_once('\n')?;
    let words = farthing_jws::json::read::<Words>(data.as_bytes(), "the last event").ok()?;
    words.receipt.filter(|_| rest.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_came_before_the_receipt_is_read(before: Vec<u8>, receipt_text in "[A-Za-z0-9_.-]{1,99}") {
            let ours = write(&format!("{{\"receipt\":\"{receipt_text}\"}}"));
            let whole = [before.as_slice(), ours.as_bytes()].concat();
            prop_assert_eq!(receipt(&whole), Some(receipt_text));
        }

        /// Neither any bytes nor any data in the right frame are a panic, and nothing but a member of that name is a receipt.
        #[test]
        fn whatever_comes_is_no_panic(bytes: Vec<u8>, data: String) {
            prop_assert_eq!(receipt(&bytes), None);
            let told = receipt(write(&data).as_bytes());
            prop_assert!(told.is_none() || data.contains("receipt"));
        }
    }

    #[test]
    fn only_the_last_event_tells_a_receipt() {
        let of = |text: &str| receipt(text.as_bytes());
        let ours = write(r#"{"charged":"300","receipt":"a.b.c"}"#);
        for before in ["", "data: hello\n\n", "data: hel", &write(r#"{"receipt":"other"}"#)] {
            assert_eq!(of(&format!("{before}{ours}")).as_deref(), Some("a.b.c"), "{before:?}");
        }
        for none in [
            String::new(),
            format!("{ours}data: more\n\n"),
            write(r#"{"charged":"0"}"#),
            write("{"),
            ours.trim_end().to_owned(),
            ours.replace(NAME, "other"),
        ] {
            assert_eq!(of(&none), None, "{none:?}");
        }
        assert_eq!(receipt(&[0xff; 9]), None);
    }
}
