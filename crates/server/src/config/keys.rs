//! Every key of the configuration file, once: what is expected, an example, the default and the meaning. Messages, the
//! check for unknown keys and `farthing schema` read this list.

/// A key of the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyNote {
    /// Its section as it is written: `[server]` or, when it may stand several times, `[[price]]`.
    pub section: &'static str,
    /// Its name.
    pub key: &'static str,
    /// What kind of value is expected.
    pub expected: &'static str,
    /// A value as it stands in the file.
    pub example: &'static str,
    /// What it is when it is left out; nothing when it must be given or when there is nothing then.
    pub default: Option<&'static str>,
    /// What it does.
    pub meaning: &'static str,
}

const fn note(
    section: &'static str,
    key: &'static str,
    expected: &'static str,
    example: &'static str,
    default: Option<&'static str>,
    meaning: &'static str,
) -> KeyNote {
    KeyNote { section, key, expected, example, default, meaning }
}

const ACCOUNT: &str = "an account on a chain";
const ADDRESS: &str = "an address and port";
const FILE: &str = "the path of a file";
const NUMBER: &str = "a whole number";
const SPAN: &str = "a span";
const TEXT: &str = "a text";
const HOST: &str = "a host pattern";
const METHOD: &str = "a method or a list of methods";
const PATH: &str = "a path pattern";

/// All keys, section by section.
pub const KEYS: &[KeyNote] = &[
    note(
        "[server]",
        "listen",
        ADDRESS,
        r#""127.0.0.1:8402""#,
        Some(r#""127.0.0.1:8402""#),
        "where requests come in; port 0 is any free one",
    ),
    note(
        "[server]",
        "data",
        "the path of a folder",
        r#""./farthing-data""#,
        Some(r#""./farthing-data""#),
        "the folder of books, credits and keys",
    ),
    note(
        "[server]",
        "public_url",
        "the URL of a web server",
        r#""https://example.com""#,
        None,
        "how payers reach this server; otherwise made of listen",
    ),
    note(
        "[server]",
        "upstream",
        "the URL of a web server",
        r#""http://127.0.0.1:3000""#,
        None,
        "the web server behind the gate; must be given",
    ),
    note(
        "[server]",
        "merchant",
        "a name of a-z, 0-9, . _ and -",
        r#""example""#,
        Some(r#""merchant""#),
        "who is paid: names the account and stands on receipts",
    ),
    note(
        "[server]",
        "trusted_proxies",
        "a list of ranges of addresses",
        r#"["10.0.0.0/8"]"#,
        Some("[]"),
        "proxies in front of this server whose X-Forwarded-* are believed",
    ),
    note(
        "[server]",
        "max_connections",
        "a whole number",
        "4096",
        Some("4096"),
        "connections at one time; more wait",
    ),
    note(
        "[server.tls]",
        "cert",
        FILE,
        r#""cert.pem""#,
        None,
        "the certificate chain (PEM); reloaded when it changes",
    ),
    note(
        "[server.tls]",
        "key",
        FILE,
        r#""key.pem""#,
        None,
        "its private key (PEM); reloaded when it changes",
    ),
    note("[server.timeouts]", "connect", SPAN, r#""5s""#, Some(r#""5s""#), "to connect to the upstream"),
    note(
        "[server.timeouts]",
        "head",
        SPAN,
        r#""30s""#,
        Some(r#""30s""#),
        "until the upstream's status and fields are there",
    ),
    note(
        "[server.timeouts]",
        "idle",
        SPAN,
        r#""60s""#,
        Some(r#""60s""#),
        "without a byte in either direction",
    ),
    note(
        "[server.timeouts]",
        "header",
        SPAN,
        r#""10s""#,
        Some(r#""10s""#),
        "until a client has sent its fields",
    ),
    note(
        "[server.limits]",
        "work_per_second",
        NUMBER,
        "1024",
        Some("1024"),
        "what one address may ask for in vain each second, in multiplications of a point (a forged credit is one); payments that are good are never counted; 0 is no limit",
    ),
    note(
        "[server.limits]",
        "work_burst",
        NUMBER,
        "16384",
        Some("16384"),
        "how much of it at once, after a quiet time",
    ),
    note(
        "[server.limits]",
        "work_waiting",
        NUMBER,
        "65536",
        None,
        "multiplications that may wait for a core, otherwise 32768 for each; more is answered with 503",
    ),
    note(
        "[server.limits]",
        "payments",
        NUMBER,
        "4096",
        Some("4096"),
        "payments under way at one time; more are answered with 503",
    ),
    note(
        "[issuer]",
        "name",
        TEXT,
        r#""Example credits""#,
        Some(r#""Farthing""#),
        "what wallets call the issuer",
    ),
    note(
        "[issuer]",
        "description",
        TEXT,
        r#""Prepaid credits for example.com""#,
        Some(r#""""#),
        "what wallets say about it",
    ),
    note(
        "[issuer]",
        "test_funding",
        "true or false",
        "false",
        Some("false"),
        "give credits away for nothing, so that wallets can be tested; never on a real server",
    ),
    note(
        "[issuer]",
        "passphrase_file",
        FILE,
        r#""passphrase""#,
        None,
        "the file whose first line decrypts the seed; FARTHING_PASSPHRASE goes before it",
    ),
    note(
        "[issuer]",
        "keyset_orders",
        "a whole number",
        "32",
        Some("32"),
        "how many denominations a keyset has: 1, 2, 4 and so on",
    ),
    note(
        "[issuer]",
        "input_fee_ppk",
        "a whole number",
        "0",
        Some("0"),
        "fee in minor units for each thousand credits that are swapped",
    ),
    note(
        "[issuer]",
        "final_expiry",
        SPAN,
        r#""365d""#,
        None,
        "how long after its making a keyset's credits are worth something; otherwise for ever",
    ),
    note(
        "[issuer]",
        "epoch",
        "a span of an hour or more",
        r#""24h""#,
        Some(r#""24h""#),
        "how often it is stated and signed what the issuer owes, and to how much of a span rows tell when",
    ),
    note("[[asset]]", "code", "an upper-case code", r#""USD""#, None, "what people call it; must be given"),
    note("[[asset]]", "scale", "a whole number", "6", Some("6"), "decimals of its minor unit"),
    note(
        "[[asset]]",
        "unit",
        "a lower-case unit",
        r#""uusd""#,
        Some("u and the code in lower case, at scale 6"),
        "what Cashu calls its minor unit",
    ),
    note(
        "[[price]]",
        "host",
        HOST,
        r#""*.example.com""#,
        Some("all"),
        "which hosts; once a rule names one, hosts that no rule names are refused, unless a rule says \"*\"",
    ),
    note("[[price]]", "method", METHOD, r#"["GET", "POST"]"#, Some("all"), "which methods; GET covers HEAD"),
    note(
        "[[price]]",
        "path",
        PATH,
        r#""/articles/**""#,
        None,
        "which paths: * stays within a segment, ** does not; must be given",
    ),
    note(
        "[[price]]",
        "amount",
        "an amount or \"free\"",
        r#""0.01 USD""#,
        None,
        "what a request costs; must be given",
    ),
    note(
        "[[price]]",
        "pass",
        SPAN,
        r#""1m""#,
        Some(r#""1m"; for what changes things "0s""#),
        "how long one payment opens what it paid for; without one, GET, HEAD and OPTIONS have 1m and all others 0s: exactly one delivery",
    ),
    note(
        "[[price]]",
        "pass_scope",
        "\"url\", \"path\" or \"rule\"",
        r#""path""#,
        Some(r#""url""#),
        "what one payment opens: the URL with its query, the path, or all that this rule prices",
    ),
    note("[[price]]", "description", TEXT, r#""an article""#, Some(r#""""#), "what payers read about it"),
    note(
        "[[price]]",
        "tax",
        "a tax code",
        r#""standard""#,
        None,
        "your own tax code: kept with each payment and summed by `farthing ledger report`; payers do not see it",
    ),
    note(
        "[[price]]",
        "flow",
        "\"authorization\", \"upfront\" or \"escrow\"",
        r#""upfront""#,
        Some(r#""authorization""#),
        "when a payment on a chain is settled: after the upstream has answered and before its answer goes out, before it is asked, or through an escrow, which needs a token with the scheme auth-capture",
    ),
    note("[[free]]", "host", HOST, r#""*.example.com""#, Some("all"), "which hosts"),
    note("[[free]]", "method", METHOD, r#""GET""#, Some("all"), "which methods; GET covers HEAD"),
    note("[[free]]", "path", PATH, r#""/about""#, None, "which paths cost nothing; must be given"),
    note(
        "[gate]",
        "x_cashu",
        "\"a\", \"b\" or \"both\"",
        r#""a""#,
        Some(r#""both""#),
        "which forms of the Cashu payment request a 402 carries: creqA, creqB",
    ),
    note("[gate]", "challenge_lifetime", SPAN, r#""5m""#, Some(r#""5m""#), "how long a 402's price stands"),
    note(
        "[gate]",
        "realm",
        TEXT,
        r#""example.com""#,
        None,
        "names what is protected in WWW-Authenticate; otherwise the host of public_url",
    ),
    note(
        "[x402]",
        "payment_identifier",
        r#""off", "optional" or "required""#,
        r#""required""#,
        Some(r#""optional""#),
        "whether payers give their payments an id (payment-identifier): another payment with the same id is refused for 24 hours",
    ),
    note(
        "[x402]",
        "sign_in",
        "true or false",
        "false",
        Some("true"),
        "whether who has paid comes back within the rule's pass by signing in with the account that paid (sign-in-with-x)",
    ),
    note(
        "[x402]",
        "offer_receipt",
        "true or false",
        "true",
        Some("false"),
        "whether offers and receipts are signed for who must prove them later (offer-receipt); each offer makes the 402 about one kilobyte longer",
    ),
    note("[[chain]]", "id", NUMBER, "8453", None, "the chain's number (EIP-155); must be given"),
    note(
        "[[chain]]",
        "nodes",
        "a list of addresses",
        r#"["http://127.0.0.1:8545"]"#,
        None,
        "its nodes, by JSON-RPC; the first that answers is asked; must be given",
    ),
    note(
        "[[chain]]",
        "pay_to",
        ACCOUNT,
        r#""0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC""#,
        Some("our own account on the chain"),
        "who is paid for what the gate sells",
    ),
    note(
        "[[chain]]",
        "confirmations",
        NUMBER,
        "1",
        Some("1"),
        "how many blocks have to hold a transaction until it counts",
    ),
    note(
        "[[chain]]",
        "poll",
        SPAN,
        r#""1s""#,
        Some(r#""1s""#),
        "how often the chain is asked while something is under way, sooner after something was sent",
    ),
    note(
        "[[chain]]",
        "timeout",
        SPAN,
        r#""5m""#,
        Some(r#""5m""#),
        "how long a payment may take, as offers say it",
    ),
    note(
        "[[chain]]",
        "patience",
        SPAN,
        r#""30s""#,
        Some(r#""30s""#),
        "how long a payer waits for a settlement to end; then 503 payment-settling, and the same payment sent again joins it",
    ),
    note(
        "[[chain]]",
        "escrow_hold",
        SPAN,
        r#""10m""#,
        Some(r#""10m""#),
        "how long a payment may lie in escrow while its answer is made, longer than the upstream ever takes; then it goes back",
    ),
    note(
        "[[chain]]",
        "coin",
        "an upper-case code",
        r#""ETH""#,
        Some(r#""ETH""#),
        "what the chain's own coin, in which its fees are paid, is called",
    ),
    note(
        "[[chain]]",
        "gas_price_most",
        NUMBER,
        "200",
        Some("200"),
        "the most that is paid for a unit of gas, in billionths of the coin; when the chain asks for more, payments wait",
    ),
    note(
        "[[chain]]",
        "gas_most",
        NUMBER,
        "300000",
        Some("1000000"),
        "the most gas that one call may use; what would use more is refused",
    ),
    note(
        "[[chain]]",
        "purse_low",
        NUMBER,
        "1000000",
        Some("0"),
        "the log warns when our account has less of the coin than this, in billionths; with `sponsor_approvals` it must be given, and no coin is given away when less would be left",
    ),
    note(
        "[[chain]]",
        "wallet_factories",
        "a list of accounts",
        r#"["0x0000000000FFe8B47B3e2130213B802212439497"]"#,
        Some("[]"),
        "contracts that may be called to create a payer's wallet (ERC-6492)",
    ),
    note(
        "[[chain]]",
        "signer",
        "an address of a signer",
        r#""https://signer.example""#,
        Some("this program signs"),
        "another program that has the key of our account and signs for it (`eth_signTransaction`); plain http only on this machine",
    ),
    note(
        "[[chain]]",
        "account",
        ACCOUNT,
        r#""0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65""#,
        Some("from the installation's seed"),
        "our own account on the chain, if a `signer` has its key",
    ),
    note(
        "[[chain]]",
        "sponsor_most",
        NUMBER,
        "100000",
        Some("100000"),
        "the most coin that a payer is given for the gas of one approval, in billionths; see `sponsor_approvals`",
    ),
    note("[[token]]", "chain", NUMBER, "8453", None, "the number of its chain; must be given"),
    note(
        "[[token]]",
        "address",
        ACCOUNT,
        r#""0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913""#,
        None,
        "its contract; must be given",
    ),
    note(
        "[[token]]",
        "symbol",
        TEXT,
        r#""USDC""#,
        None,
        "what people call it, in the books too; must be given",
    ),
    note("[[token]]", "decimals", NUMBER, "6", Some("6"), "how many decimals its contract counts in"),
    note(
        "[[token]]",
        "name",
        TEXT,
        r#""USD Coin""#,
        None,
        "the name in the domain that its payers sign for (EIP-712), not always its symbol; must be given",
    ),
    note("[[token]]", "version", TEXT, r#""2""#, None, "the version in that domain; must be given"),
    note(
        "[[token]]",
        "counts_as",
        "the code of an asset",
        r#""USD""#,
        None,
        "which prices it pays, one for one; must be given",
    ),
    note(
        "[[token]]",
        "transfer",
        "\"eip3009\", \"permit2\" or a list of them",
        r#"["eip3009", "permit2"]"#,
        Some(r#""eip3009""#),
        "how payers may move it",
    ),
    note(
        "[[token]]",
        "schemes",
        "\"exact\", \"upto\", \"auth-capture\" or a list of them",
        r#""exact""#,
        Some(r#""exact""#),
        "whether a payment is of the price, of at most a ceiling, which needs permit2, or goes through an escrow where a rule has flow = \"escrow\", which needs eip3009 and the escrow on the chain",
    ),
    note(
        "[[token]]",
        "sponsor_approvals",
        "true or false",
        "false",
        Some("false"),
        "whether payers who have not allowed Permit2 anything yet may send a signed `approve` along, on tokens without EIP-2612; if they lack the coin for its gas, they are given it, at most `sponsor_most`; needs `purse_low` in its `[[chain]]`",
    ),
    note(
        "[[token]]",
        "credits_least",
        "an amount",
        r#""1.00 USD""#,
        None,
        "sells credits for this token and pays them out in it (mint and melt method evm), at least so much at once; not at all if it is left out. What is paid out must have come in: leave pay_to out",
    ),
    note(
        "[[token]]",
        "payout_fee",
        "an amount",
        r#""0.05 USD""#,
        Some("nothing"),
        "what the issuer keeps of each payout, for its gas",
    ),
    note(
        "[[token]]",
        "sweep_least",
        "an amount",
        r#""10.00 USD""#,
        Some("credits_least"),
        "from how much on is moved on what lies at the address of a mint quote: each costs a transaction",
    ),
    note(
        "[facilitator]",
        "settle_for",
        "a list of accounts",
        r#"["0x90F79bf6EB2c4f870365E785982E1f101E93b906"]"#,
        Some("[]"),
        "for whom we settle besides ourselves: payments to these accounts, none of which is a pay_to; their gates ask /.well-known/farthing/facilitator",
    ),
];

/// The keys of a section.
pub(super) fn of_section(section: &str) -> impl Iterator<Item = &'static KeyNote> {
    KEYS.iter().filter(move |note| note.section == section)
}

/// The note of one key.
pub(super) fn find(section: &str, key: &str) -> Option<&'static KeyNote> {
    of_section(section).find(|note| note.key == key)
}

/// The sections in which a key stands.
pub(super) fn sections_of(key: &str) -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter(move |note| note.key == key).map(|note| note.section)
}

/// The words that may stand in a section: its keys and the sections below it. The file itself is the section "".
pub(super) fn words_of(section: &str) -> Vec<&'static str> {
    let mut words: Vec<&str> = of_section(section).map(|note| note.key).collect();
    for name in KEYS.iter().map(|note| note.section.trim_matches(['[', ']'])) {
        let own = section.trim_matches(['[', ']']);
        let below = if own.is_empty() {
            Some(name)
        } else {
            name.strip_prefix(own).and_then(|rest| rest.strip_prefix('.'))
        };
        let word = below.and_then(|below| below.split('.').next());
        if let Some(word) = word.filter(|word| !words.contains(word)) {
            words.push(word);
        }
    }
    words
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
