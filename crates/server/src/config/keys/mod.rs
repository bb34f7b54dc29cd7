//! Every key of the configuration file, once: what is expected, an example, the default and the meaning. Messages, the
//! check for unknown keys and `farthing schema` read this list.

mod chains;
mod features;
mod gate;
mod issuer;
mod meter;
mod passes;
mod payouts;
mod prices;
mod rates;
mod server;
mod sessions;
mod trial;

pub use super::key_words::KeyNote;
pub(super) use super::key_words::{find, sections_of, words_of};

const ACCOUNT: &str = "an account on a chain";
const ADDRESS: &str = "an address and port";
const AMOUNT: &str = "an amount";
const FILE: &str = "the path of a file";
const HOST: &str = "a host pattern";
const NETWORKS: &str = "a list of ranges of addresses";
const METHOD: &str = "a method or a list of methods";
const NUMBER: &str = "a whole number";
const PATH: &str = "a path pattern";
const SPAN: &str = "a span";
const TEXT: &str = "a text";

/// All keys, section by section.
pub fn keys() -> impl Iterator<Item = &'static KeyNote> {
    [
        server::KEYS,
        issuer::KEYS,
        prices::KEYS,
        meter::KEYS,
        passes::KEYS,
        features::KEYS,
        trial::KEYS,
        rates::KEYS,
        gate::KEYS,
        sessions::KEYS,
        chains::KEYS,
        payouts::KEYS,
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests;
