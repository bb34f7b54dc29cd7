//! What is for sale in the simulated world: the configuration, its prices and how they change.

use std::path::Path;

use farthing_gate::Rules;
use farthing_server::config::{Config, Origin};

use super::chain;
use super::dice::Dice;
use super::office;
use super::seller::SELLER;

/// Where payers find the shop.
pub const SHOP: &str = "https://shop.example";

/// Requests that cost something: method, path, whether a pass of it may open more than one address, and the body.
pub const PAGES: [(&str, &str, bool, &str); 14] = [
    ("GET", "/page", false, ""),
    ("GET", "/once", false, ""),
    ("GET", "/shelf/1", true, ""),
    ("GET", "/shelf/2", true, ""),
    ("GET", "/list?q=1", true, ""),
    ("POST", "/order", false, "one"),
    ("POST", "/order", false, "two"),
    ("POST", "/slow", false, "three"),
    ("GET", AHEAD, false, ""),
    ("GET", SHARED, false, ""),
    ("GET", ABROAD, false, ""),
    ("GET", "/abroad?q=2", false, ""),
    ("GET", "/list?q=2", true, ""),
    ("GET", FEW, false, ""),
];

/// What is settled before the upstream is asked, if it is paid on the chain.
pub const AHEAD: &str = "/ahead";

/// What is earned by several merchants.
pub const SHARED: &str = "/shared";

/// What has a price in euros, is earned by several merchants, and is paid in dollars.
pub const ABROAD: &str = "/abroad";

/// What it costs there, in millionths of a euro; one of these.
pub const ABROAD_PRICES: [u64; 4] = [1, 137, 4_999, 20_000];

/// What payers in dollars pay beyond the rate, in millionths.
pub const SPREAD: u128 = 15_000;

/// What is free a few times a day for whoever brings one of the shop's keys.
pub const FEW: &str = "/few";

/// How often.
pub const FEW_FREE: u32 = 3;

/// The most that is paid for single pages of the pass while a fare lasts, in millionths of a dollar.
pub const CAP: u64 = 5_000;

/// The pages of the pass.
pub const COVERED: [&str; 2] = ["/page", "/list"];

/// Who earns of a page, in parts of 100, in the order of the configuration; the shop has the rest.
pub fn shares(path: &str) -> &'static [(&'static str, u128)] {
    match path {
        SHARED => &[("author", 70), ("translator", 10)],
        ABROAD => &[("author", 33), ("translator", 33)],
        _ => &[],
    }
}

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
        format!("path = \"{SHARED}\"\npass = \"1s\"\namount = \"{}\"\n{}", price(20_000), split(SHARED)),
        format!(
            "path = \"{FEW}\"\npass = \"0s\"\namount = \"{}\"\n[price.quota]\nfree = {FEW_FREE}\nper = \"day\"\nby = \"key\"\n",
            price(9_000)
        ),
        abroad(dice.pick(&ABROAD_PRICES).copied().unwrap_or(1)),
    ];
    let chain = chain_of(seed).map(|plan| plan.text(channels_of(seed))).unwrap_or_default();
    let prices = rules.map(|rule| format!("[[price]]\n{rule}")).concat();
    let (pass, office) = (pass(), office::text(chain_of(seed).is_some()));
    let text = format!(
        "[server]\nupstream = \"http://127.0.0.1:1\"\ndata = \"data\"\npublic_url = \"{SHOP}\"\nmerchant = \"shop\"\n\
         [issuer]\nkeyset_orders = 20\ninput_fee_ppk = {fee}\n{expiry}\
         [[asset]]\ncode = \"USD\"\n[[asset]]\ncode = \"EUR\"\n{prices}[[free]]\npath = \"{FREE}\"\n{pass}{office}{chain}"
    );
    Config::read(&text, Path::new("/sim/farthing.toml")).map_err(|mistakes| format!("{mistakes:?}"))
}

/// A page in euros.
fn abroad(micro: u64) -> String {
    let split = split(ABROAD);
    format!(
        "path = \"{ABROAD}\"\npass = \"30s\"\naccepts = [\"USD\"]\namount = \"0.{micro:06} EUR\"\n{split}"
    )
}

/// Who earns what of a page.
fn split(path: &str) -> String {
    let one = |(merchant, share): &(&str, u128)| {
        format!("[[price.split]]\nmerchant = \"{merchant}\"\nshare = {share}\n")
    };
    shares(path).iter().map(one).collect()
}

/// The pass that single payments count toward.
fn pass() -> String {
    let covers = COVERED.map(|path| format!("\"{path}\"")).join(", ");
    format!(
        "[[pass]]\nname = \"day\"\namount = \"0.{CAP:06} USD\"\nlasts = \"1d\"\ncovers = [{covers}]\ncap = true\n"
    )
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
