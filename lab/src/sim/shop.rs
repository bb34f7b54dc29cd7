//! What is for sale in the simulated world: the configuration, its prices and how they change.

use std::path::Path;

use farthing_gate::Rules;
use farthing_server::config::{Config, Origin};

use super::chain;
use super::dice::Dice;
use super::seller::SELLER;

/// Where payers find the shop.
pub const SHOP: &str = "https://shop.example";

/// Requests that cost something: method, path, whether a pass of it may open more than one address, and the body.
pub const PAGES: [(&str, &str, bool, &str); 9] = [
    ("GET", "/page", false, ""),
    ("GET", "/once", false, ""),
    ("GET", "/shelf/1", true, ""),
    ("GET", "/shelf/2", true, ""),
    ("GET", "/list?q=1", true, ""),
    ("POST", "/order", false, "one"),
    ("POST", "/order", false, "two"),
    ("POST", "/slow", false, "three"),
    ("GET", AHEAD, false, ""),
];

/// What is settled before the upstream is asked, if it is paid on the chain.
pub const AHEAD: &str = "/ahead";

/// What costs nothing.
pub const FREE: &str = "/free";

/// Credits end so many days after their keyset began.
const KEYSET_DAYS: u64 = 60;

/// The configuration of a seed, with prices drawn from dice.
pub fn config(seed: u64, dice: &mut Dice) -> Result<Config, String> {
    let fee = if seed.is_multiple_of(3) { 100 } else { 0 };
    let expiry =
        if seed.is_multiple_of(2) { format!("final_expiry = \"{KEYSET_DAYS}d\"\n") } else { String::new() };
    let mut price = |most: u64| {
        let micro = dice.within(1..=most);
        format!("0.{micro:06} USD")
    };
    let rules = [
        format!("path = \"/page\"\namount = \"{}\"\n", price(9_000)),
        format!("path = \"/once\"\npass = \"0s\"\namount = \"{}\"\n", price(9_000)),
        format!(
            "path = \"/shelf/*\"\npass = \"10m\"\npass_scope = \"rule\"\namount = \"{}\"\n",
            price(30_000)
        ),
        format!("path = \"/list\"\npass = \"2s\"\npass_scope = \"path\"\namount = \"{}\"\n", price(2_000)),
        format!("path = \"/order\"\namount = \"{}\"\n", price(20_000)),
        format!("path = \"/slow\"\npass = \"1h\"\namount = \"{}\"\n", price(50)),
        format!("path = \"{AHEAD}\"\npass = \"5m\"\nflow = \"upfront\"\namount = \"{}\"\n", price(9_000)),
    ];
    let chain = chain_of(seed).map(|plan| plan.text(channels_of(seed))).unwrap_or_default();
    let prices = rules.map(|rule| format!("[[price]]\n{rule}")).concat();
    let text = format!(
        "[server]\nupstream = \"http://127.0.0.1:1\"\ndata = \"data\"\npublic_url = \"{SHOP}\"\nmerchant = \"shop\"\n\
         [issuer]\nkeyset_orders = 20\ninput_fee_ppk = {fee}\n{expiry}\
         [[asset]]\ncode = \"USD\"\n{prices}[[free]]\npath = \"{FREE}\"\n{chain}"
    );
    Config::read(&text, Path::new("/sim/farthing.toml")).map_err(|mistakes| format!("{mistakes:?}"))
}

/// What is configured of the chain of a seed.
#[derive(Clone, Copy, Debug)]
pub struct ChainPlan {
    /// How many blocks have to hold a transaction.
    pub confirmations: u64,
    /// Whether forks go deeper than that.
    pub deep: bool,
}

/// The chain of a seed: half of them have one, and half of those fork deeply.
pub fn chain_of(seed: u64) -> Option<ChainPlan> {
    let mut dice = Dice::of(seed, u64::MAX.wrapping_sub(1));
    let plan = ChainPlan { confirmations: dice.within(1..=3), deep: seed % 2 == 1 };
    (seed % 4 >= 2).then_some(plan)
}

/// What a payer may owe through channels in the world of a seed: half of those with a chain have channels.
pub fn channels_of(seed: u64) -> Option<u64> {
    let mut dice = Dice::of(seed, u64::MAX.wrapping_sub(2));
    let most = dice.within(30_000..=120_000);
    (seed % 8 >= 6).then_some(most)
}

impl ChainPlan {
    fn text(self, channels: Option<u64>) -> String {
        let (confirmations, id) = (self.confirmations, chain::ID);
        let (address, name, version) = (chain::ADDRESS, chain::NAME, chain::VERSION);
        format!(
            "[[chain]]\nid = {id}\nnodes = [\"http://127.0.0.1:1\"]\nconfirmations = {confirmations}\n\
             gas_price_most = 100\n{}\
             [[token]]\nchain = {id}\naddress = \"{address}\"\nsymbol = \"SIM\"\nname = \"{name}\"\n\
             version = \"{version}\"\ncounts_as = \"USD\"\ncredits_least = \"0.000100 USD\"\n\
             withdrawal_fee = \"0.000010 USD\"\n{}[facilitator]\nsettle_for = [\"{SELLER}\"]\n",
            channels.map(channels_text).unwrap_or_default(),
            if channels.is_some() { "schemes = [\"exact\", \"batch-settlement\"]\n" } else { "" }
        )
    }
}

/// Other prices for the same pages.
pub fn prices(seed: u64, dice: &mut Dice) -> Result<Rules, String> {
    config(seed, dice).map(|config| config.rules)
}

/// Where the shop is.
pub fn origin() -> Result<Origin, String> {
    SHOP.parse().map_err(|error| format!("{error}"))
}

/// On which terms channels are taken: claims come often enough that payers are not held up, and late enough that some are in time
/// to take their money out first.
fn channels_text(most: u64) -> String {
    let (half, quarter) = (most / 2, most / 4);
    format!(
        "[chain.channels]\nwithdraw_delay = \"15m\"\nexposure_most = \"0.{most:06} USD\"\n\
         claim_from = \"0.{quarter:06} USD\"\nclaim_after = \"4m\"\nsettle_from = \"0.{half:06} USD\"\nrows_most = 3\n"
    )
}
