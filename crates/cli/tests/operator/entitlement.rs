//! `farthing entitlement`: issued over the socket and on the folder, checked offline, taken back.

use std::path::Path;

use serde_json::{Value, json};

use super::{NOBODY, Server, folder, run};

fn issue(path: &Path, more: &[&str]) -> (String, String) {
    let issued =
        run(path, &[&["entitlement", "issue", "--feature", "export", "--feature", "seats=5"], more].concat())
            .ok();
    (issued["id"].as_str().unwrap().to_owned(), issued["text"].as_str().unwrap().to_owned())
}

/// What applications have: the key, and the list as a file.
fn public(path: &Path) -> String {
    let public = run(path, &["entitlement", "public"]).ok();
    std::fs::write(path.join("list"), public["revoked"].as_str().unwrap()).unwrap();
    public["key"].as_str().unwrap().to_owned()
}

fn verify(path: &Path, key: &str, more: &[&str]) -> (i32, Value) {
    let run = run(path, &[&["entitlement", "verify", "one", "--key", key], more].concat());
    (run.exit, run.json())
}

#[test]
fn an_entitlement_is_issued_checked_offline_and_taken_back() {
    let folder = folder(NOBODY, "");
    let path = folder.path();
    let server = Server::serve(path);
    let (id, text) = issue(path, &["--until", "30d", "--subject", "customer 7", "--hashed"]);
    std::fs::write(path.join("one"), &text).unwrap();
    assert!(!text.contains("customer"), "only the hash");
    let key = public(path);
    server.stop();

    let (exit, said) =
        verify(path, &key, &["--feature", "seats", "--subject", "customer 7", "--revoked", "list"]);
    assert_eq!(
        (exit, &said["holds"], &said["feature"]),
        (0, &json!(true), &json!({"name": "seats", "limit": 5}))
    );
    for (more, exit, code) in [
        (&["--feature", "import", "--subject", "customer 7"][..], 4, "entitlement-feature"),
        (&["--feature", "export", "--subject", "customer 8"], 4, "entitlement-subject"),
        (&["--subject", "customer 7", "--at", "2099-01-01T00:00:00Z"], 4, "entitlement-ended"),
        (&["--subject", "customer 7", "--at", "2020-01-01T00:00:00Z"], 4, "entitlement-early"),
    ] {
        let (got, said) = verify(path, &key, more);
        assert_eq!((got, &said["code"]), (exit, &json!(code)), "{said}");
    }
    let (exit, said) = verify(path, &"A".repeat(43), &[]);
    assert_eq!((exit, &said["code"]), (1, &json!("signed-text-key")));

    // Taken back on the folder; whoever has the old list does not know it yet.
    let gone = run(path, &["entitlement", "revoke", "one"]).ok();
    assert_eq!(gone[0]["id"], json!(id));
    assert_eq!(verify(path, &key, &["--subject", "customer 7", "--revoked", "list"]).0, 0);
    public(path);
    let (exit, said) = verify(path, &key, &["--subject", "customer 7", "--revoked", "list"]);
    assert_eq!((exit, &said["code"]), (4, &json!("entitlement-revoked")));
    let again = run(path, &["entitlement", "revoke", &id]).ok();
    assert_eq!(again[0]["revoked_at"], gone[0]["revoked_at"], "the first time counts");
    let table = run(path, &["entitlement", "list", "--text"]).stdout;
    assert!(table.contains(&id) && table.contains("export, seats=5"), "{table}");
}

#[test]
fn what_makes_no_sense_is_not_issued() {
    let folder = folder(NOBODY, "");
    let path = folder.path();
    for (arguments, exit, said) in [
        (&["issue", "--feature", "A b", "--until", "30d"][..], 1, "names of 1 to 64 of a-z"),
        (&["issue", "--feature", "a", "--feature", "a", "--until", "30d"], 1, "each feature once"),
        (&["issue", "--feature", "a", "--until", "2020-01-01"], 1, "an end that is still to come"),
        (&["issue", "--feature", "a", "--until", "soon"], 2, "expected a span such as 30d"),
        (&["issue", "--feature", "a=b", "--until", "30d"], 2, "expected a whole number"),
        (&["issue", "--until", "30d"], 2, "--feature"),
        (&["issue", "--feature", "a", "--until", "30d", "--hashed"], 2, "--subject"),
        (&["revoke", "00000000000000000000000000000000"], 5, "there is no entitlement"),
        (&["revoke", "missing"], 5, "cannot read missing"),
    ] {
        let run = run(path, &[&["entitlement"], arguments].concat());
        assert_eq!(run.exit, exit, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{arguments:?}: {}", run.stderr);
    }
    assert_eq!(run(path, &["entitlement", "list"]).ok(), json!([]));
}
