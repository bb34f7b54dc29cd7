//! `farthing check` and `farthing price ..` on good and bad configurations.

use serde_json::{Value, json};

use super::{Run, farthing, folder_with};

const GOOD: &str = r#"[server]
upstream = "http://127.0.0.1:3000"
public_url = "https://example.com"

[[price]]
path = "/articles/**"
amount = "0.01 USD"
pass = "24h"
description = "an article"

[[price]]
path = "/api/**"
method = "POST"
amount = "0.0005 USD"

[[free]]
path = "/articles/welcome"
"#;

const THREE_MISTAKES: &str = r#"[server]
listen = 8402
upstream = "http://127.0.0.1:3000"

[[price]]
path = "/articles/**"
amout = "0.01 USD"

[gate]
x_cashu = "c"
"#;

fn run(config: &str, arguments: &[&str]) -> Run {
    farthing(folder_with(config).path(), arguments)
}

fn parse(run: &Run) -> Value {
    let parsed = serde_json::from_str(&run.stdout);
    assert!(parsed.is_ok(), "expected JSON, got {}{}", run.stdout, run.stderr);
    parsed.unwrap()
}

#[test]
fn check_tells_three_mistakes_at_once() {
    let expected = "\
error: the configuration has 3 mistakes
farthing.toml:2:10: listen in [server]: expected an address and port such as \"127.0.0.1:8402\", got the number 8402
farthing.toml:7:1: unknown key \"amout\" in [[price]]; did you mean \"amount\"?
farthing.toml:10:11: x_cashu in [gate]: expected \"a\", \"b\" or \"both\" such as \"a\", got \"c\"

hint: `farthing check` tells whether all is well
";
    let text = run(THREE_MISTAKES, &["check", "--text"]);
    assert_eq!((text.exit, text.stdout.as_str(), text.stderr.as_str()), (78, "", expected));
    let piped = run(THREE_MISTAKES, &["check"]);
    assert_eq!((piped.exit, piped.stderr.as_str()), (78, expected));
    let answer = parse(&piped);
    assert_eq!(answer["sound"], false);
    assert_eq!(answer["mistakes"].as_array().unwrap().len(), 3);
    assert_eq!(
        answer["mistakes"][1],
        json!({
            "file": "farthing.toml",
            "line": 7,
            "column": 1,
            "message": "unknown key \"amout\" in [[price]]",
            "hint": "did you mean \"amount\"?",
        })
    );
}

#[test]
fn check_says_that_all_is_well() {
    let text = run(GOOD, &["check", "--text"]);
    let expected = "farthing.toml is sound: 127.0.0.1:8402 in front of http://127.0.0.1:3000, 2 rules with a price and 1 \
                    free, in USD\n";
    assert_eq!((text.exit, text.stdout.as_str(), text.stderr.as_str()), (0, expected, ""));
    let answer = parse(&run(GOOD, &["check"]));
    assert_eq!((&answer["sound"], &answer["prices"], &answer["free"]), (&json!(true), &json!(2), &json!(1)));
    let funded = format!("{GOOD}[issuer]\ntest_funding = true\n");
    assert!(run(&funded, &["check"]).stderr.starts_with("warning: test_funding gives credits away"));
    let unpriced = run("[server]\nupstream = \"http://127.0.0.1:3000\"\n", &["check"]);
    assert!(unpriced.exit == 0 && unpriced.stderr.contains("nothing has a price"), "{}", unpriced.stderr);
}

#[test]
fn no_command_starts_from_a_bad_configuration() {
    for command in [&["check"][..], &["price", "list"], &["price", "explain", "/"]] {
        assert_eq!(run(THREE_MISTAKES, command).exit, 78, "{command:?}");
        let absent = run(GOOD, &[command, &["--config", "absent.toml"]].concat());
        assert_eq!((absent.exit, absent.stdout.as_str()), (78, ""), "{command:?}");
        assert!(
            absent.stderr.starts_with("error: cannot read the configuration absent.toml: "),
            "{}",
            absent.stderr
        );
        assert!(absent.stderr.contains("\n\nhint: name the file with --config FILE"), "{}", absent.stderr);
    }
}

#[test]
fn price_explain_says_which_rule_and_why() {
    let text = run(GOOD, &["price", "explain", "--text", "https://example.com/articles/one?page=2"]);
    let expected = "\
GET example.com/articles/one
  /articles/** (line 5): 0.01 USD, a payment opens it for 1d
  not /articles/welcome (line 16): is for other paths
  not POST /api/** (line 11): is for other paths
";
    assert_eq!((text.exit, text.stdout.as_str(), text.stderr.as_str()), (0, expected, ""));

    let answer = parse(&run(GOOD, &["price", "explain", "/api/x", "-X", "post"]));
    assert_eq!(answer["asked"], "POST example.com/api/x");
    let price = json!({ "amount": "500", "asset": "USD", "unit": "uusd", "scale": 6, "decimal": "0.0005" });
    assert_eq!((&answer["winner"]["line"], &answer["winner"]["price"]), (&json!(11), &price));
    assert_eq!((&answer["winner"]["pass"], &answer["winner"]["pass_scope"]), (&json!("0s"), &json!("url")));
    assert_eq!(answer["losers"].as_array().unwrap().len(), 2);

    let robots = parse(&run(GOOD, &["price", "explain", "/robots.txt"]));
    assert_eq!((&robots["winner"]["built_in"], &robots["winner"]["free"]), (&json!(true), &json!(true)));
    assert_eq!(parse(&run(GOOD, &["price", "explain", "/other"]))["winner"], Value::Null);
}

#[test]
fn price_explain_says_what_it_costs_whom_and_when() {
    let config = "[server]\nupstream = \"http://127.0.0.1:3000\"\n\n[[group]]\nname = \"staff\"\nnetworks = [\"192.0.2.0/24\"]\n\n\
                  [[crawler]]\nname = \"findbot\"\nclass = \"search\"\nagent = \"FindBot\"\n\n\
                  [[price]]\npath = \"/**\"\namount = \"0.10 USD\"\n\n\
                  [[price.case]]\ngroup = \"staff\"\namount = \"free\"\n\n\
                  [[price.case]]\ncrawler = \"search\"\namount = \"0.01 USD\"\n\n\
                  [[price.case]]\nhours = \"17:00-19:00\"\namount = \"0.05 USD\"\n\n\
                  [price.quota]\nfree = 3\nper = \"day\"\nby = \"visitor\"\n\n[price.teaser]\nshow = \"50 words\"\n";
    let (noon, evening) = ("2026-11-27T12:00:00Z", "2026-11-27T18:00:00Z");
    for (asker, price, case, quota) in [
        (&["--at", noon][..], json!("0.10"), Value::Null, true),
        (&["--at", evening], json!("0.05"), json!("17:00-19:00, UTC"), true),
        (&["--at", evening, "--group", "staff"], Value::Null, json!("group staff"), true),
        (&["--at", noon, "--network", "192.0.2.7"], Value::Null, json!("group staff"), true),
        (&["--at", evening, "--crawler", "findbot"], json!("0.01"), json!("search crawlers"), false),
        (&["--at", evening, "--crawler", "search"], json!("0.01"), json!("search crawlers"), false),
        // By its own word alone nobody pays less.
        (&["--at", noon, "--agent", "Mozilla/5.0 (FindBot/2)"], json!("0.10"), Value::Null, true),
    ] {
        let due = parse(&run(config, &[&["price", "explain", "/a"], asker].concat()))["due"].clone();
        assert_eq!(
            (&due["price"]["decimal"], &due["case"], &due["quota"]),
            (&price, &case, &json!(quota)),
            "{asker:?}"
        );
    }
    let text = run(config, &["price", "explain", "--text", "/a", "--at", evening, "--group", "staff"]);
    let last = "  for group staff at 2026-11-27T18:00:00.000Z: free (the case group staff)\n";
    assert!(text.stdout.ends_with(last), "{}", text.stdout);
    assert!(text.stdout.contains("    free to look at: the first 50 words\n"), "{}", text.stdout);
    let unknown = run(config, &["price", "explain", "/a", "--group", "guests"]);
    assert!(
        unknown.exit == 2 && unknown.stderr.contains("the configuration has: staff"),
        "{}",
        unknown.stderr
    );
    let answer = parse(&run(config, &["price", "explain", "/a"]));
    assert_eq!(answer["winner"]["quota"], json!({ "free": 3, "per": "day", "by": "visitor" }));
}

#[test]
fn price_explain_says_what_the_gate_would_refuse() {
    let doubtful = run(GOOD, &["price", "explain", "/x/../articles/one"]);
    assert_eq!((doubtful.exit, doubtful.stdout.as_str()), (1, ""));
    assert!(
        doubtful.stderr.contains("the gate refuses this request (path-ambiguous)"),
        "{}",
        doubtful.stderr
    );
    let form = run(GOOD, &["price", "explain", "articles one"]);
    assert!(form.exit == 2 && form.stderr.contains("hint: write such as https://"), "{}", form.stderr);
    let method = run(GOOD, &["price", "explain", "/", "-X", "G T"]);
    assert!(method.exit == 2 && method.stderr.contains("expected a method such as GET"), "{}", method.stderr);
}

#[test]
fn price_list_is_a_table_for_people() {
    let list = run(GOOD, &["price", "list", "--text"]);
    let expected = "\
LINE      METHOD  HOST  PATH               PRICE       PASS      DESCRIPTION
16        all     *     /articles/welcome  free        -
5         all     *     /articles/**       0.01 USD    1d (url)  an article
11        POST    *     /api/**            0.0005 USD  0s (url)
built in  all     *     /robots.txt        free        -         free by default
";
    assert!(list.stdout.starts_with(expected), "{}", list.stdout);
    let rules = parse(&run(GOOD, &["price", "list"]));
    assert_eq!(rules[1]["rule"], "/articles/** (line 5)");
    assert_eq!(rules[1]["description"], "an article");
}
