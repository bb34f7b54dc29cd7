//! `--locale`: people read amounts as they write them; programs, and whatever is typed, never see the difference.

use super::{farthing, folder_with};

const CONFIG: &str = "[server]\nupstream = \"http://127.0.0.1:1\"\n[[asset]]\ncode = \"EUR\"\n[[price]]\npath = \"/book\"\namount = \"1234.50 EUR\"\n";

#[test]
fn amounts_are_written_for_people_of_a_place_and_never_in_json() {
    let folder = folder_with(CONFIG);
    let list = |more: &[&str]| {
        let run = farthing(folder.path(), &[&["price", "list"], more].concat());
        assert_eq!(run.exit, 0, "{}", run.stderr);
        run.stdout
    };
    let plain = list(&["--text"]);
    assert!(plain.contains("1234.50 EUR"), "{plain}");
    for (tag, expected) in [
        ("de", "1.234,50\u{a0}€"),
        ("de_AT.UTF-8", "€\u{a0}1\u{a0}234,50"),
        ("en-IN", "€1,234.50"),
        ("fr", "1\u{202f}234,50\u{a0}€"),
    ] {
        let written = list(&["--text", "--locale", tag]);
        assert!(written.contains(expected) && !written.contains("1234.50 EUR"), "{tag}: {written}");
    }
    assert_eq!(list(&["--text", "--locale", "C"]), plain);
    let json = list(&["--json"]);
    assert_eq!(list(&["--json", "--locale", "de"]), json);
    assert_eq!(list(&["--locale", "de"]), json, "into a pipe goes JSON");
    let wrong = farthing(folder.path(), &["price", "list", "--locale", "german"]);
    assert_eq!(wrong.exit, 2);
    assert!(wrong.stderr.contains("expected a language such as de, en-GB or pt_BR"), "{}", wrong.stderr);
}
