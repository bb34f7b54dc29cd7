//! `farthing schema`: what programs read in order to run this one must be true.

use serde_json::Value;

use super::farthing;

fn schema(arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let run = farthing(folder.path(), &[&["schema"], arguments].concat());
    assert_eq!((run.exit, run.stderr.as_str()), (0, ""));
    serde_json::from_str(&run.stdout).unwrap()
}

#[test]
fn every_command_of_the_schema_has_help() {
    let all = schema(&["--all"]);
    let commands = all["commands"].as_array().unwrap();
    assert!(commands.len() >= 5, "{commands:#?}");
    let folder = tempfile::tempdir().unwrap();
    for command in commands {
        let mut words: Vec<&str> = command["command"].as_str().unwrap().split(' ').collect();
        words.push("--help");
        let help = farthing(folder.path(), &words);
        assert_eq!(help.exit, 0, "{words:?}");
        assert!(help.stdout.contains(command["about"].as_str().unwrap()), "{}", help.stdout);
        for argument in command["arguments"].as_array().unwrap() {
            assert!(argument["help"].is_string(), "{words:?} says nothing about {argument}");
            if let Some(long) = argument["long"].as_str() {
                assert!(help.stdout.contains(long), "{words:?} {long}");
            }
        }
    }
}

#[test]
fn exit_codes_variables_and_keys_are_listed() {
    let all = schema(&["--all"]);
    let codes: Vec<u64> =
        all["exit_codes"].as_array().unwrap().iter().map(|exit| exit["code"].as_u64().unwrap()).collect();
    assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 78]);
    assert_eq!(all["environment"][0]["name"], "FARTHING_PASSPHRASE");
    let keys = all["configuration"].as_array().unwrap();
    assert!(keys.iter().any(|note| note["section"] == "[server]" && note["key"] == "upstream"));
    assert_eq!(all["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn one_command_can_be_asked_for() {
    let explain = schema(&["price", "explain"]);
    assert_eq!(explain.as_array().unwrap().len(), 1);
    let method =
        explain[0]["arguments"].as_array().unwrap().iter().find(|argument| argument["name"] == "method");
    assert_eq!(method.unwrap()["default"], "GET");
    assert_eq!(schema(&["price"]).as_array().unwrap().len(), 2);
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(farthing(folder.path(), &["schema", "nothing"]).exit, 5);
    assert_eq!(farthing(folder.path(), &["schema"]).exit, 2);
}
