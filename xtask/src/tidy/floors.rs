//! Arrows point down only: a crate sees the floors below its own, and some libraries live in one room.

use toml_edit::{Document, Item};

use super::Finding;
use super::graph::Graph;
use crate::tree::Tree;

/// Every room and its floor.
const ROOMS: [(&str, u8); 14] = [
    ("farthing-money", 0),
    ("farthing-jws", 0),
    ("farthing-entitlement", 1),
    ("farthing-ledger", 1),
    ("farthing-ecash", 1),
    ("farthing-channel", 1),
    ("farthing-wire", 1),
    ("farthing-engine", 2),
    ("farthing-wallet", 2),
    ("farthing-store", 3),
    ("farthing-gate", 3),
    ("farthing-evm", 3),
    ("farthing-server", 4),
    ("farthing", 5),
];

/// Floors up to this one are pure.
pub const PURE_FLOOR_MAX: u8 = 2;

/// What a pure room may use from outside: arithmetic, encodings and cryptography that do nothing by themselves.
const PURE_LIBRARIES: [&str; 23] = [
    "argon2",
    "base64",
    "bech32",
    "bip39",
    "chacha20poly1305",
    "ed25519-dalek",
    "hex",
    "hkdf",
    "hmac",
    "jiff",
    "k256",
    "minicbor",
    "postcard",
    "proptest",
    "secp256k1",
    "serde",
    "serde_json",
    "sfv",
    "sha2",
    "sha3",
    "subtle",
    "thiserror",
    "zeroize",
];

/// Libraries that live in some rooms only.
const CONFINED: [(&str, &[&str]); 9] = [
    ("alloy", &["farthing-evm"]),
    ("axum", &["farthing-gate", "farthing-server", "farthing"]),
    ("clap", &["farthing"]),
    ("fjall", &["farthing-store"]),
    ("hyper", &["farthing-evm", "farthing-gate", "farthing-server", "farthing"]),
    ("hyper-util", &["farthing-evm", "farthing-gate", "farthing-server", "farthing"]),
    ("redb", &["farthing-store"]),
    ("rustls", &["farthing-gate", "farthing-server", "farthing"]),
    ("tokio-postgres", &["farthing-store"]),
];

/// What no pure room may reach, however far down: sockets, runtimes, storage engines.
const IMPURE: [&str; 10] =
    ["tokio", "mio", "socket2", "hyper", "axum", "tower", "fjall", "alloy", "tokio-postgres", "reqwest"];

/// The floor of a room.
pub fn floor(name: &str) -> Option<u8> {
    ROOMS.iter().find(|(room, _)| *room == name).map(|(_, floor)| *floor)
}

/// Reads every manifest under `crates/`.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let manifests = tree
        .texts()
        .filter(|(path, _)| path.starts_with("crates/") && path.ends_with("/Cargo.toml"))
        .filter(|(path, _)| path.matches('/').count() == 2);
    manifests.flat_map(|(path, text)| manifest(path, text)).collect()
}

fn manifest(path: &str, text: &str) -> Vec<Finding> {
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => return vec![Finding::new(path, 0, format!("not TOML: {error}"))],
    };
    let name = document.get("package").and_then(|package| package.get("name")).and_then(Item::as_str);
    let name = name.unwrap_or_default();
    let Some(own) = floor(name) else {
        let message = format!("the room {name:?} has no floor; give it one in xtask/src/tidy/floors.rs");
        return vec![Finding::new(path, 0, message)];
    };
    let mut findings = Vec::new();
    if document.get("features").is_some() {
        findings.push(Finding::new(path, 0, "no cargo features: what is optional is configuration"));
    }
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(table) = document.get(section).and_then(Item::as_table_like) else { continue };
        for (key, item) in table.iter() {
            let inherited = item.get("workspace").and_then(Item::as_bool) == Some(true);
            if !inherited {
                findings.push(Finding::new(
                    path,
                    0,
                    format!("write `{key}.workspace = true`; versions live in the root"),
                ));
            }
            // What is tested above the pure rooms is tested with the real neighbour, not with a likeness of it.
            let sees_neighbours = section == "dev-dependencies" && own > PURE_FLOOR_MAX;
            let below = if sees_neighbours { own.saturating_add(1) } else { own };
            findings.extend(arrow(name, (own, below), key).map(|message| Finding::new(path, 0, message)));
        }
    }
    findings
}

/// What is wrong with a dependency of a room that sees the floors below one.
fn arrow(name: &str, (own, seen): (u8, u8), target: &str) -> Option<String> {
    if target.starts_with("farthing-") {
        return match floor(target) {
            None => Some(format!("{target} has no floor; give it one in xtask/src/tidy/floors.rs")),
            Some(below) if below < seen => None,
            Some(other) => {
                Some(format!("arrows point down: {name} is on floor {own}, {target} on floor {other}"))
            }
        };
    }
    if own <= PURE_FLOOR_MAX && !PURE_LIBRARIES.contains(&target) {
        return Some(format!(
            "{name} is a pure room and {target} is not among its libraries; argue for it in xtask/src/tidy/floors.rs"
        ));
    }
    let (_, rooms) = CONFINED.iter().find(|(library, _)| *library == target)?;
    (!rooms.contains(&name)).then(|| format!("{target} lives in {} only", rooms.join(", ")))
}

/// Follows the libraries of the pure rooms all the way down.
pub fn check_closure(graph: &Graph) -> Vec<Finding> {
    let pure = ROOMS.iter().filter(|(_, floor)| *floor <= PURE_FLOOR_MAX);
    let reached = pure.flat_map(|(room, _)| {
        let below = graph.below(room);
        IMPURE.iter().filter(move |library| below.contains(**library)).map(move |library| {
            let room_folder = room.trim_start_matches("farthing-");
            Finding::new(
                &format!("crates/{room_folder}/Cargo.toml"),
                0,
                format!(
                    "a pure room reaches {library}; `cargo tree -p {room} -i {library}` says through what"
                ),
            )
        })
    });
    reached.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(name: &str, rest: &str) -> Vec<String> {
        let text = format!("[package]\nname = \"{name}\"\n{rest}");
        let tree = Tree::of(&[("crates/sample/Cargo.toml", &text)]);
        check(&tree).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn arrows_up_and_sideways_are_found() {
        let up = messages("farthing-money", "[dependencies]\nfarthing-ledger.workspace = true\n");
        assert!(up[0].contains("arrows point down"), "{up:?}");
        let sideways = messages("farthing-ledger", "[dev-dependencies]\nfarthing-ecash.workspace = true\n");
        assert!(sideways[0].contains("floor 1"), "{sideways:?}");
        assert!(messages("farthing-engine", "[dependencies]\nfarthing-ledger.workspace = true\n").is_empty());
        let neighbour = "farthing-store.workspace = true\n";
        assert!(messages("farthing-gate", &format!("[dev-dependencies]\n{neighbour}")).is_empty());
        assert_eq!(messages("farthing-gate", &format!("[dependencies]\n{neighbour}")).len(), 1);
    }

    #[test]
    fn a_pure_room_may_not_use_a_runtime() {
        let found = messages("farthing-wire", "[dependencies]\ntokio.workspace = true\n");
        assert!(found[0].contains("pure room"), "{found:?}");
    }

    #[test]
    fn libraries_stay_in_their_rooms() {
        let found = messages("farthing-gate", "[dependencies]\nfjall.workspace = true\n");
        assert_eq!(found, ["fjall lives in farthing-store only"]);
        assert!(messages("farthing-store", "[dependencies]\nfjall.workspace = true\n").is_empty());
    }

    #[test]
    fn strangers_features_and_loose_versions_are_found() {
        assert!(messages("farthing-attic", "")[0].contains("no floor"));
        assert!(messages("farthing-gate", "[features]\nx = []\n")[0].contains("no cargo features"));
        assert!(messages("farthing-gate", "[dependencies]\nhttp = \"1\"\n")[0].contains("workspace = true"));
    }

    #[test]
    fn an_impure_library_far_down_is_found() {
        let graph = Graph::of(&[("farthing-wire", &["helper"]), ("helper", &["tokio"]), ("tokio", &[])]);
        let found = check_closure(&graph);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.contains("tokio"));
    }
}
