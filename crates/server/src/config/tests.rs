//! The whole file: what is read, and what is said about mistakes.

use std::fmt::Write;
use std::path::Path;

use farthing_gate::flow::{Demand, Extensions};
use farthing_gate::{Price, Target};
use farthing_money::Span;
use http::Method;
use proptest::prelude::*;

use super::*;

const SMALL: &str = "[server]\nupstream = \"http://127.0.0.1:3000\"\n";

fn read(text: &str) -> Config {
    match Config::read(text, Path::new("farthing.toml")) {
        Ok(config) => config,
        Err(mistakes) => panic!("{}", lines(&mistakes)),
    }
}

fn mistakes(text: &str) -> String {
    match Config::read(text, Path::new("farthing.toml")) {
        Ok(_) => String::new(),
        Err(mistakes) => lines(&mistakes),
    }
}

/// The mistakes of a file that is sound but for `rest`; lines count from the first of `rest`.
fn mistakes_in(rest: &str) -> String {
    let text = mistakes(&format!("{rest}\n{SMALL}"));
    text.replace("farthing.toml:", "")
}

#[test]
fn one_line_is_enough() {
    let config = read(SMALL);
    assert_eq!(config.server.listen, "127.0.0.1:8402".parse().unwrap());
    assert_eq!(config.server.data, Path::new("./farthing-data"));
    assert_eq!(config.server.upstream.to_string(), "http://127.0.0.1:3000");
    assert_eq!(config.server.origin("127.0.0.1:8402".parse().unwrap()).to_string(), "http://127.0.0.1:8402");
    assert_eq!(config.server.timeouts, TimeoutConfig::default());
    assert_eq!(config.issuer, IssuerConfig::default());
    assert_eq!(config.gate, GateConfig::default());
    assert_eq!(config.assets.by_code("USD").unwrap().unit().as_str(), "uusd");
    assert_eq!(config.rules.iter().count(), 0);
}

/// A file that says something in every section.
const WHOLE: &str = r#"
[server]
listen = "0.0.0.0:443"
data = "/var/lib/farthing"
public_url = "https://Example.com/"
upstream = "http://127.0.0.1:3000"
merchant = "example"
trusted_proxies = ["10.0.0.0/8", "::1"]
max_connections = 100
timeouts = { head = "90s" }

[issuer]
name = "Example credits"
test_funding = true
keyset_orders = 20
input_fee_ppk = 100
final_expiry = "365d"
epoch = "6h"

[[asset]]
code = "USD"

[[asset]]
code = "SAT"
scale = 0
unit = "sat"

[[price]]
path = "/articles/**"
amount = "0.01 USD"
pass = "24h"
pass_scope = "rule"
description = "an article"
tax = "reduced"

[[price]]
host = "api.example.com"
method = ["GET", "POST"]
path = "/**"
amount = "3 SAT"

[[free]]
path = "/articles/welcome"

[[pass]]
name = "day"
amount = "0.50 USD"
covers = ["/articles/**", "api.example.com/**"]
method = "GET"
lasts = "1d"
cap = true
description = "Everything for a day"
tax = "reduced"

[gate]
x_cashu = "b"
challenge_lifetime = "90s"
realm = "Example"

[x402]
payment_identifier = "required"
sign_in = false
offer_receipt = true

[sessions]
lifetime = "90d"
steps = 5000
open = 7
"#;

#[test]
fn a_whole_file_is_read() {
    let config = read(WHOLE);
    assert_eq!(config.server.origin("0.0.0.0:443".parse().unwrap()).to_string(), "https://example.com");
    assert_eq!(config.server.timeouts.head, Span::from_secs(90));
    assert_eq!(config.server.timeouts.connect, Span::from_secs(5));
    assert!(
        config.server.trusted_proxies.iter().any(|network| network.contains("10.1.2.3".parse().unwrap()))
    );
    assert_eq!((config.issuer.keyset_orders, config.issuer.input_fee_ppk), (20, 100));
    assert!(config.issuer.test_funding);
    assert_eq!(config.issuer.final_expiry, Some("365d".parse().unwrap()));
    assert_eq!(config.issuer.epoch, "6h".parse().unwrap());
    assert_eq!(config.gate.x_cashu, RequestForms::B);
    assert_eq!(config.gate.realm.as_deref(), Some("Example"));
    let all = Extensions { payment_identifier: Demand::Required, sign_in: false, offer_receipt: true };
    assert_eq!(config.x402.extensions, all);
    let limits = config.sessions.limits;
    assert_eq!((limits.lifetime, limits.steps, limits.open), ("90d".parse().unwrap(), 5_000, 7));
    let plan = config.rules.plans().first().unwrap();
    assert_eq!((plan.name(), plan.price().to_string()), ("day", "0.50 USD".to_owned()));
    assert_eq!(plan.covers().places(), ["/articles/**", "api.example.com/**"]);
    assert_eq!(
        (plan.covers().methods(), plan.lasts().to_string()),
        (vec!["GET".to_owned()], "1d".to_owned())
    );
    assert!(plan.is_cap());
    assert_eq!((plan.describe(), plan.tax_code().unwrap().as_str()), ("Everything for a day", "reduced"));
    let price = |method, host: &'static str, path| {
        let target = Target::new(host, path).unwrap();
        let chosen = config.rules.choose(&method, &target).unwrap()?;
        let price = match chosen.rule.price() {
            Price::Free => "free".to_owned(),
            Price::Paid { amount } => amount.to_string(),
        };
        Some((price, chosen.rule.config_line().unwrap(), chosen.rule.pass_span().to_string()))
    };
    let expected = |price: &str, line, pass: &str| Some((price.to_owned(), line, pass.to_owned()));
    assert_eq!(price(Method::GET, "example.com", "/articles/x"), expected("0.01 USD", 28, "1d"));
    assert_eq!(price(Method::GET, "example.com", "/articles/welcome"), expected("free", 42, "1m"));
    assert_eq!(price(Method::POST, "api.example.com", "/x"), expected("3 SAT", 36, "1m"));
    assert_eq!(price(Method::PUT, "api.example.com", "/x"), None);
    let mut codes: Vec<_> =
        config.rules.iter().map(|rule| rule.tax_code().map(|code| code.to_string())).collect();
    codes.sort();
    assert_eq!(codes, [None, None, Some("reduced".to_owned())]);
}

#[test]
fn every_mistake_is_told_at_once() {
    let text = "\
[server]
listen = 8402
upsteam = \"http://127.0.0.1:3000\"

[[price]]
path = \"/articles/**\"
amout = \"0.01 USD\"

[[price]]
path = \"articles\"
amount = \"0.01 EUR\"
pass = \"1 minute\"

[issuers]
name = \"x\"
";
    assert_eq!(
        mistakes(text),
        "\
farthing.toml:2:10: listen in [server]: expected an address and port such as \"127.0.0.1:8402\", got the number 8402
farthing.toml:3:1: unknown key \"upsteam\" in [server]; did you mean \"upstream\"?
farthing.toml:7:1: unknown key \"amout\" in [[price]]; did you mean \"amount\"?
farthing.toml:10:8: path in [[price]]: \"articles\" is not a path pattern: it does not begin with a slash; write such as \
/articles/** (* stays within a segment, ** does not)
farthing.toml:11:10: amount in [[price]]: the asset EUR is not configured; known: USD
farthing.toml:12:8: pass in [[price]]: expected a span such as \"1m\", got \"1 minute\"
farthing.toml:14:2: unknown section or key \"issuers\"; did you mean \"issuer\"?"
    );
}

/// Texts and what is said about them.
const SLIPS: &[(&str, &str)] = &[
    ("listen = \"127.0.0.1:1\"", "1:1: unknown section or key \"listen\"; it belongs in [server]"),
    (
        "[issuer]\nfoo = 1",
        "2:1: unknown key \"foo\" in [issuer]; known here: name, description, test_funding",
    ),
    (
        "[issuer]\nname = \"a\\nb\"",
        "2:8: name in [issuer]: expected a text on one line, got control characters",
    ),
    (
        "[issuer]\nkeyset_orders = 65",
        "2:17: keyset_orders in [issuer]: expected a whole number from 1 to 64, got 65",
    ),
    ("[issuer]\ntest_funding = \"yes\"", "expected true or false such as false, got the text \"yes\""),
    (
        "[issuer]\nfinal_expiry = \"0s\"",
        "2:16: final_expiry in [issuer]: expected a span such as \"365d\", got \"0s\"",
    ),
    (
        "[issuer]\nepoch = \"59m\"",
        "2:9: epoch in [issuer]: expected a span of an hour or more such as \"24h\", got \"59m\"",
    ),
    ("[gate]\nx_cashu = \"c\"", "expected \"a\", \"b\" or \"both\" such as \"a\", got \"c\""),
    ("[gate]\nrealm = \"a\\\"b\"", "2:9: realm in [gate]: expected a text such as \"example.com\", got"),
    // With it no MPP challenge could be written, and each 402 would have said so in the log.
    ("[gate]\nrealm = \"a|b\"", "2:9: realm in [gate]: expected a text such as \"example.com\", got"),
    (
        "[price]\npath = \"/\"",
        "1:1: expected the section [[price]], got a section; write [[price]], with two brackets",
    ),
    ("price = [1]", "1:10: expected the section [[price]], got the number 1"),
    ("gate = 1", "1:8: expected the section [gate], got the number 1; write [gate] on a line of its own"),
    (
        "[[price]]\npath = \"/\"\namount = \"0 USD\"",
        "expected more than nothing, got 0.00 USD; write amount = \"free\"",
    ),
    (
        "[[price]]\npath = \"/\"\namount = \"0.0000001 USD\"",
        "has more than the 6 decimals that USD is counted in",
    ),
    ("[[price]]\npath = \"/\"\namount = \"99999999999999 USD\"", "expected at most 2^64 - 1 minor units"),
    (
        "[[price]]\npath = \"/\"\namount = \"free\"\npass = \"1m\"",
        "4:8: pass in [[price]]: what is free needs no pass",
    ),
    (
        "[[price]]\npath = \"/\"\namount = \"1 USD\"\nmethod = [\"GET\", \"G T\", 5]",
        "4:18: method in [[price]]: expected a method such as GET, got \"G T\"\n4:25: method in [[price]]: expected a method or a list of methods such as [\"GET\", \"POST\"], got the number 5 in it",
    ),
    ("[[free]]\npath = \"/\"\nhost = \"a:80\"", "3:8: host in [[free]]: expected a host such as example.com"),
    (
        "[[free]]\npath = \"/\"\namount = \"free\"",
        "3:1: unknown key \"amount\" in [[free]]; it belongs in [[price]]",
    ),
    (
        "[[free]]\npath = \"/a\"\n[[free]]\npath = \"/a\"",
        "3:1: the rules /a (line 1) and /a (line 3) can both be meant",
    ),
    ("[[pass]]\nname = \"day\"", "1:1: expected the key \"amount\" in [[pass]], got none"),
    (
        "[[pass]]\nname = \"A day\"",
        "2:8: name in [[pass]]: expected a name of 1 to 32 small letters, digits and hyphens such as day, got \"A day\"",
    ),
    ("[[pass]]\namount = \"0 USD\"", "2:10: amount in [[pass]]: expected more than nothing, got 0.00 USD"),
    (
        "[[pass]]\ncovers = [\"/a\", \"b\"]",
        "2:17: covers in [[pass]]: \"b\" is not a path pattern: it does not begin with a slash",
    ),
    (
        "[[pass]]\nname = \"a\"\namount = \"1 USD\"\ncovers = []\nlasts = \"1d\"",
        "4:10: covers in [[pass]]: expected 1 to 16 places of at most 1024 bytes together, got 0 of 0 bytes",
    ),
    (
        "[[pass]]\nname = \"a\"\namount = \"1 USD\"\ncovers = \"/a\"\nlasts = \"0s\"",
        "5:9: lasts in [[pass]]: expected a pass that lasts longer than nothing, got 0s",
    ),
    (
        "[[pass]]\nname = \"a\"\namount = \"1 USD\"\ncovers = \"/a\"\nlasts = \"1d\"\n[[pass]]\nname = \"a\"\namount = \"1 USD\"\ncovers = \"/b\"\nlasts = \"1d\"",
        "7:8: name in [[pass]]: two passes are called \"a\"; give one of them another name",
    ),
    (
        "[[asset]]\ncode = \"usd\"",
        "2:8: code in [[asset]]: expected an asset code of 1 to 12 upper-case letters",
    ),
    (
        "[[asset]]\ncode = \"USD\"\nunit = \"usd\"",
        "3:8: unit in [[asset]]: the unit \"usd\" means 2 decimals",
    ),
    ("[[asset]]\ncode = \"USD\"\nscale = 2", "expected the name of a minor unit of 2 decimals, got none"),
    (
        "[[asset]]\ncode = \"USD\"\n[[asset]]\ncode = \"USD\"",
        "4:8: code in [[asset]]: expected each asset once, got USD again",
    ),
    (
        "[[asset]]\ncode = \"A\"\nunit = \"x\"\n[[asset]]\ncode = \"B\"\nunit = \"x\"",
        "6:8: unit in [[asset]]: expected a unit of its own, got x which is A's",
    ),
];

/// Lines after a sound `[server]` and what is said about them.
const SERVER_SLIPS: &[(&str, &str)] = &[
    (
        "trusted_proxies = [\"10.0.0.0/99\"]",
        "3:20: trusted_proxies in [server]: expected an address or a network",
    ),
    (
        "public_url = \"https://example.com/shop\"",
        "3:14: public_url in [server]: expected a URL that ends after its host",
    ),
    ("merchant = \"Über\"", "expected a name of a-z, 0-9, . _ and - such as \"example\", got \"Über\""),
    (
        "tls = { cert = \"a.pem\" }",
        "3:7: expected the key \"key\" in [server.tls], got none; write key = \"key.pem\"",
    ),
    (
        "[server.timeouts]\nhaed = \"1s\"",
        "4:1: unknown key \"haed\" in [server.timeouts]; did you mean \"head\"?",
    ),
    ("data = \"\"", "data in [server]: expected the path of a folder such as \"./farthing-data\", got \"\""),
    ("[[price]]\n", "3:1: expected the key \"path\" in [[price]], got none; write path = \"/articles/**\""),
];

#[test]
fn mistakes_say_what_to_do_next() {
    for (text, expected) in SLIPS {
        let got = mistakes_in(text);
        assert!(got.contains(expected), "\n{text}\nexpected: {expected}\ngot:      {got}");
    }
    assert!(
        mistakes("").starts_with("farthing.toml:1:1: expected the key \"upstream\" in [server], got none")
    );
    let server = |line: &str| mistakes(&format!("{SMALL}{line}"));
    for (line, expected) in SERVER_SLIPS {
        let got = server(line);
        assert!(got.contains(expected), "\n{line}\nexpected: {expected}\ngot:      {got}");
    }
}

#[test]
fn what_is_not_toml_does_not_hide_the_rest() {
    let text = "[server]\nlisten = 127.0.0.1:80\nmerchant = 5\nupstream =\n[gate]\nrealm = 7\n";
    let got = mistakes(text);
    let places: Vec<&str> = got.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(places.len(), 4, "{got}");
    assert!(
        got.contains("farthing.toml:2:") && got.contains("farthing.toml:3:12: merchant in [server]"),
        "{got}"
    );
    assert!(got.contains("farthing.toml:4:") && got.contains("farthing.toml:6:9: realm in [gate]"), "{got}");
    assert!(!got.contains("got none"), "a line that was left out is not missed as well: {got}");
}

#[test]
fn every_key_is_read_and_its_example_is_good() {
    let mut text = String::new();
    let mut section = "";
    for note in keys() {
        if note.section != section {
            section = note.section;
            writeln!(text, "{section}").unwrap();
        }
        writeln!(text, "{} = {}", note.key, note.example).unwrap();
    }
    read(&text);
    // A value of a kind that no key takes must be noticed at every key, or the key is not read at all.
    for note in keys() {
        let line = format!("{} = {}\n", note.key, note.example);
        let section_at = text.find(&format!("{}\n", note.section)).unwrap();
        let at = section_at + text[section_at..].find(&line).unwrap();
        let mut broken = text.clone();
        broken.replace_range(at..at + line.len(), &format!("{} = 1979-05-27\n", note.key));
        let got = mistakes(&broken);
        let expected = format!("{} in {}: expected {}", note.key, note.section, note.expected);
        assert!(got.contains(&expected) && got.contains("got the time 1979-05-27"), "{expected}\n{got}");
    }
}

#[test]
fn defaults_are_as_listed() {
    // Writing every default out changes nothing.
    let mut text = String::new();
    let mut section = "";
    // What may stand several times has nothing to be left out of.
    let once = |section: &str| {
        !section.starts_with("[[")
            && !["[price.", "[feature."].iter().any(|above| section.starts_with(above))
            && !["[chain.channels]", "[pass.refund]", "[rates]", "[trial]"].contains(&section)
    };
    for note in keys().filter(|note| once(note.section)) {
        if note.section != section && note.section != "[server.tls]" {
            section = note.section;
            writeln!(text, "{section}").unwrap();
        }
        match (note.key, note.default) {
            ("upstream", _) => writeln!(text, "upstream = \"http://127.0.0.1:3000\"").unwrap(),
            (key, Some(default)) => writeln!(text, "{key} = {default}").unwrap(),
            (_, None) => {}
        }
    }
    let (written, left_out) = (read(&text), read(SMALL));
    assert_eq!(written.server, left_out.server);
    assert_eq!(written.issuer, left_out.issuer);
    assert_eq!(written.gate, left_out.gate);
}

#[test]
fn named_files_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("farthing.toml");
    let text = format!(
        "{SMALL}[server.tls]\ncert = \"cert.pem\"\nkey = \".\"\n[issuer]\npassphrase_file = \"secret\"\n"
    );
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("secret"), "words\n").unwrap();
    let Err(LoadError::Mistakes(mistakes)) = Config::load(&path) else { panic!("expected mistakes") };
    assert_eq!(mistakes.len(), 2, "{mistakes:#?}");
    assert_eq!((mistakes[0].line, mistakes[0].column), (4, 8));
    assert!(mistakes[0].message.starts_with("cert in [server.tls]: expected a file that can be read, got "));
    assert!(mistakes[1].message.ends_with("it is not a file"), "{mistakes:?}");
    std::fs::write(&path, format!("{SMALL}[issuer]\npassphrase_file = \"secret\"\n")).unwrap();
    let config = Config::load(&path).unwrap();
    assert_eq!(config.issuer.passphrase(None).unwrap().unwrap().as_str(), "words");
    assert!(matches!(Config::load(&folder.path().join("none.toml")), Err(LoadError::Unreadable { .. })));
}

proptest! {
    #[test]
    fn any_text_is_a_configuration_or_has_mistakes(lines in proptest::collection::vec(hostile_line(), 0..12)) {
        let text = lines.join("\n");
        if let Err(mistakes) = Config::read(&text, Path::new("f.toml")) {
            prop_assert!(!mistakes.is_empty(), "{}", text);
            let lines = text.split('\n').count();
            prop_assert!(mistakes.iter().all(|mistake| (1..=lines).contains(&mistake.line)), "{mistakes:?}");
        }
    }
}

/// Lines of which some are sound, some have a value of the wrong kind, and some are no TOML.
fn hostile_line() -> impl Strategy<Value = String> {
    let names: Vec<&'static str> = keys().map(|note| note.key).collect();
    let sections: Vec<&'static str> = keys().map(|note| note.section).collect();
    let values: Vec<&'static str> =
        keys().map(|note| note.example).chain(["1", "\"", "[[]]", "{}", "\"é\""]).collect();
    let key_value = (proptest::sample::select(names), proptest::sample::select(values));
    prop_oneof![
        proptest::sample::select(sections).prop_map(str::to_owned),
        key_value.prop_map(|(key, value)| format!("{key} = {value}")),
        ".{0,12}",
    ]
}

/// Such a page could be bought with credits alone, and the operator saw that when nobody paid.
#[test]
fn what_goes_through_an_escrow_needs_a_token_that_goes_there() {
    let price = "[[price]]\npath = \"/a\"\namount = \"0.01 USD\"\nflow = \"escrow\"\n";
    let euros = "[[asset]]\ncode = \"USD\"\n[[asset]]\ncode = \"EUR\"\n";
    let chain = "[[chain]]\nid = 84532\nnodes = [\"http://127.0.0.1:8545\"]\n";
    let token = |asset: &str, schemes: &str| {
        let address = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
        format!(
            "{chain}[[token]]\nchain = 84532\naddress = \"{address}\"\nsymbol = \"T\"\nname = \"T\"\nversion = \"2\"\ncounts_as = \"{asset}\"\nschemes = {schemes}\n"
        )
    };
    let hint = "add \"auth-capture\" to the schemes of such a token, on a chain that has the escrow";
    for rest in [String::new(), token("USD", "\"exact\""), token("EUR", "\"auth-capture\"")] {
        let said = mistakes_in(&format!("{price}{price}{euros}{rest}").replacen("/a", "/b", 1));
        for line in [4, 8] {
            let expected = format!(
                "{line}:8: flow in [[price]]: expected a [[token]] that counts as USD and goes into escrow, got none; {hint}"
            );
            assert!(said.contains(&expected), "expected {expected:?} in {said}");
        }
    }
    assert_eq!(mistakes_in(&format!("{price}{}", token("USD", "[\"exact\", \"auth-capture\"]"))), "");
    assert_eq!(mistakes_in(&price.replace("escrow", "upfront")), "");
    // Only what is wrong with the token is said: it may be the one.
    let said = mistakes_in(&format!("{price}{}", token("USD", "\"all\"")));
    assert!(said.contains("schemes in [[token]]") && !said.contains("flow in"), "{said}");
}
