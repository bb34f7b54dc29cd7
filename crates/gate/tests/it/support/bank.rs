//! A small issuer: the real books on rows in memory.

mod desk;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ed25519_dalek::SigningKey;
use farthing_channel::ChannelId;
use farthing_ecash::{
    BlindSignature, BlindedMessage, Lock, Proof, PublicKey, SecretKey, Token, blind, unblind,
};
use farthing_engine::{
    Answer, CallId, CallRow, ChannelRow, Chart, Command, CreditId, CreditRow, Hold, Issue, IssuePart, ItemId,
    ItemRow, Keyring, KeysetRow, Marks, MintQuoteRow, OpenKeyset, OpenMintQuote, PaymentId, PaymentRow, Post,
    QuoteId, Read, Refusal, Reject, RequestTag, SettlementRow, credits_account, end_of,
};
use farthing_gate::Rules;
use farthing_gate::crypto::Crypto;
use farthing_gate::flow::{Currencies, GateConfig, Names, OfferStyle, Secrets, XCashu};
use farthing_ledger::{AccountId, Totals};
use farthing_money::{Amount, Asset, Span, Timestamp};
use farthing_store::{Committer, KeyValue, Memory, RowStore, TableName};
use tokio::sync::{Semaphore, watch};

use self::desk::Desk;

pub const MINT: &str = "http://shop.example/mint";

/// What the gate needs, and what a test wants to look at.
pub struct Bank {
    pub rows: RowStore<Arc<Memory>>,
    bytes: Arc<Memory>,
    committer: Mutex<Committer<RowStore<Arc<Memory>>>>,
    pub keyring: Arc<Keyring>,
    /// Milliseconds since the epoch.
    pub now: Arc<AtomicU64>,
    /// So many commands are answered with Busy before the next is carried out.
    pub busy: AtomicUsize,
    /// Holds say that they are there, and wait to be let go.
    pub holds: Mutex<Option<[Arc<Semaphore>; 2]>>,
    drawn: AtomicU64,
}

pub fn usd() -> Asset {
    Asset::micro("USD").unwrap()
}

/// Another currency, with amounts that look the same.
pub fn eur() -> Asset {
    Asset::micro("EUR").unwrap()
}

/// The same currency, counted in cents.
pub fn cents() -> Asset {
    Asset::new("USD", 2, "usd").unwrap()
}

pub fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

/// A number that is a secret key, the `n`th.
fn secret_key(n: u64) -> SecretKey {
    SecretKey::from_hex(&format!("{:064x}", n + 1)).unwrap()
}

impl Bank {
    pub fn new() -> Arc<Self> {
        Self::of(&[usd()])
    }

    /// One that issues credits of these assets.
    pub fn of(assets: &[Asset]) -> Arc<Self> {
        let draft = |(index, asset): (u32, &Asset)| {
            let row = KeysetRow {
                id: String::new(),
                index,
                asset: *asset,
                orders: 32,
                input_fee_ppk: 0,
                final_expiry: None,
                active: true,
                opened_at: Timestamp::from_secs(1),
                closed: false,
            };
            Keyring::draft(&[7; 32], &row).unwrap()
        };
        let keysets: Vec<_> = (0..).zip(assets).map(draft).collect();
        let (bytes, now) = (Arc::<Memory>::default(), Arc::new(AtomicU64::new(1_795_341_457_943)));
        let rows = RowStore::open(Arc::clone(&bytes)).unwrap();
        let clock = Arc::clone(&now);
        let clock = move || Timestamp::from_millis(clock.load(Ordering::SeqCst));
        let committer = Committer::new(rows.clone(), Arc::new(clock), Box::new(|_| {})).unwrap();
        let bank = Self {
            rows,
            bytes,
            committer: Mutex::new(committer),
            keyring: Arc::new(Keyring::new(&[7; 32], &keysets).unwrap()),
            now,
            busy: AtomicUsize::new(0),
            holds: Mutex::default(),
            drawn: AtomicU64::new(0),
        };
        for keyset in keysets {
            let chart = Chart::of(keyset.asset);
            let mut accounts = chart.accounts();
            accounts.extend([chart.merchant("shop"), chart.merchant("elsewhere")]);
            bank.decide(&Command::OpenAccounts(accounts)).unwrap();
            let account = credits_account(keyset.asset, &keyset.id);
            bank.decide(&Command::OpenKeyset(OpenKeyset { keyset, account, retire: Vec::new() })).unwrap();
        }
        Arc::new(bank)
    }

    pub fn decide(&self, command: &Command) -> Result<Answer, Refusal> {
        self.committer.lock().unwrap().commit(std::slice::from_ref(command)).remove(0)
    }

    /// The tables in whose keys or rows these bytes are.
    pub fn tables_with(&self, wanted: &[u8]) -> Vec<&'static str> {
        let has = |bytes: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
        let has_them = |table: &TableName| {
            let pairs = self.bytes.scan(*table, &[], usize::MAX).unwrap();
            pairs.iter().any(|(key, value)| has(key) || has(value))
        };
        TableName::ALL.into_iter().filter(has_them).map(TableName::as_str).collect()
    }

    /// Everything that is kept, to compare.
    pub fn everything(&self) -> String {
        let all = |table: &TableName| format!("{:?}", self.bytes.scan(*table, &[], usize::MAX).unwrap());
        TableName::ALL.iter().map(all).collect()
    }

    /// A channel, as the books have it.
    pub fn channel(self: &Arc<Self>, id: ChannelId) -> Option<ChannelRow> {
        self.rows.channel(id).unwrap()
    }

    /// What an account was debited more than credited, and what of it is pending.
    pub fn debit(&self, account: AccountId) -> (i128, i128) {
        let totals = self.totals(account);
        let number = |amount: Amount| i128::try_from(amount.value()).unwrap();
        let posted = number(totals.debits_posted) - number(totals.credits_posted);
        (posted, number(totals.debits_pending) - number(totals.credits_pending))
    }

    /// Ends what a crash has left on hold, as a start does.
    pub fn restart(&self, payment: PaymentId, row: &PaymentRow) {
        let channel = row.channel.and_then(|id| self.rows.channel(id).unwrap());
        self.decide(&end_of(payment, row, channel.as_ref())).unwrap();
    }

    /// What a payment is known by besides.
    pub fn marks(&self, payment: PaymentId) -> Marks {
        self.rows.payment(payment).unwrap().map(|row| row.marks).unwrap_or_default()
    }

    /// A call that is under way.
    pub fn call(self: &Arc<Self>, id: CallId) -> Option<CallRow> {
        self.rows.call(id).unwrap()
    }

    /// How a call has ended.
    pub fn settlement(self: &Arc<Self>, id: CallId) -> Option<SettlementRow> {
        self.rows.settlement(id).unwrap()
    }

    /// What became of a payment.
    pub fn payment(self: &Arc<Self>, id: PaymentId) -> Option<PaymentRow> {
        self.rows.payment(id).unwrap()
    }

    /// How often something was paid for and given back.
    pub fn item(self: &Arc<Self>, resource: &str) -> ItemRow {
        self.rows.item(ItemId::of(resource)).unwrap().unwrap()
    }

    pub fn wait_secs(&self, secs: u64) {
        self.now.fetch_add(secs * 1_000, Ordering::SeqCst);
    }

    pub fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }

    pub fn pass_time(&self, span: Span) {
        self.now.fetch_add(span.millis(), Ordering::SeqCst);
    }

    fn draw(&self) -> u64 {
        self.drawn.fetch_add(1, Ordering::SeqCst)
    }

    fn next_secret(&self) -> String {
        format!("{:064x}", self.draw())
    }

    fn blinded(&self, asset: Asset, amount: u64, secret: String) -> (BlindedMessage, String, SecretKey) {
        let r = secret_key(self.draw());
        let b_ = blind(secret.as_bytes(), &r).unwrap();
        let id = self.keyring.active(asset.unit()).unwrap().id;
        (BlindedMessage { amount, id, b_ }, secret, r)
    }

    /// A blank output with what it takes to open its signature.
    pub fn blank(&self, amount: u64) -> (BlindedMessage, String, SecretKey) {
        self.blinded(usd(), amount, self.next_secret())
    }

    pub fn open(&self, signature: &BlindSignature, secret: &str, r: &SecretKey) -> Proof {
        let keysets: Vec<_> = self.keyring.published().collect();
        let keyset = keysets.iter().find(|keyset| keyset.id == signature.id).unwrap();
        let key: PublicKey = keyset.key(signature.amount).unwrap();
        let c = unblind(signature.c_, r, key).unwrap();
        Proof::new(signature.amount, signature.id, secret.to_owned(), c)
    }

    /// New credits, backed by the test account.
    pub fn credits(&self, amounts: &[u64]) -> Vec<Proof> {
        self.credits_in(usd(), amounts)
    }

    pub fn credits_in(&self, asset: Asset, amounts: &[u64]) -> Vec<Proof> {
        let secrets = amounts.iter().map(|amount| (*amount, self.next_secret())).collect();
        self.issue(asset, secrets)
    }

    /// A new credit whose secret is a lock.
    pub fn locked(&self, amount: u64, lock: &Lock) -> Proof {
        let secret = lock.to_secret(&self.next_secret()).unwrap();
        self.issue(usd(), vec![(amount, secret)]).remove(0)
    }

    /// Credits of these secrets.
    fn issue(&self, asset: Asset, secrets: Vec<(u64, String)>) -> Vec<Proof> {
        let sum = Amount::from(secrets.iter().map(|(amount, _)| amount).sum::<u64>());
        let source = Chart::of(asset).test_funding;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.draw().to_le_bytes());
        let quote = QuoteId::from_bytes(bytes);
        let row = MintQuoteRow {
            method: "test".to_owned(),
            request: String::new(),
            asset,
            amount: sum,
            paid: sum,
            issued: Amount::ZERO,
            source,
            code: None,
            pubkey: None,
            expires_at: None,
            updated_at: self.time(),
            tag: None,
            payment: None,
            inlet: false,
        };
        self.decide(&Command::OpenMintQuote(OpenMintQuote { quote, row })).unwrap();
        let blanks: Vec<_> =
            secrets.into_iter().map(|(amount, secret)| self.blinded(asset, amount, secret)).collect();
        let sign = |blank: &(BlindedMessage, String, SecretKey)| {
            self.keyring.sign(&blank.0, asset, self.time()).unwrap()
        };
        let signed: Vec<_> = blanks.iter().map(sign).collect();
        let part = IssuePart { quote, pubkey: None, amount: sum, source };
        let outputs = signed.iter().map(|signed| signed.output).collect();
        let tag = RequestTag::of_parts("test", [&bytes[..]]);
        self.decide(&Command::Issue(Issue { parts: vec![part], outputs, asset, tag })).unwrap();
        signed
            .iter()
            .zip(&blanks)
            .map(|(signed, (_, secret, r))| self.open(&signed.signature, secret, r))
            .collect()
    }

    /// Charges credits at once, for somebody else than the gate: what a facilitator calls to settle.
    pub fn charge(&self, proofs: &[Proof], price: u128, merchant: &str) -> Result<(), Refusal> {
        let asset = self.keyring.asset(proofs[0].id).unwrap();
        let inputs: Vec<_> = proofs
            .iter()
            .map(|proof| {
                let refusal = Refusal::Reject(Reject::NotLoaded);
                self.keyring.verify(proof, asset, self.time()).map_err(|_| refusal)
            })
            .collect::<Result<_, _>>()?;
        let credits: Vec<_> = inputs.iter().map(|input| input.credit).collect();
        let accounts: BTreeSet<_> = inputs.iter().map(|input| input.account).collect();
        let payment = PaymentId::of_credits(&credits);
        let merchant = Chart::of(asset).merchant(merchant).id();
        let (price, tag) = (Amount::new(price), RequestTag::of_parts("settle", [&b""[..]]));
        let total = Amount::try_sum(inputs.iter().map(|input| Amount::from(input.amount))).unwrap();
        let resource = "settled".to_owned();
        let hold = Hold {
            payment,
            funds: inputs.into(),
            price,
            asset,
            merchant: merchant.into(),
            resource,
            tag,
            tax_code: None,
            marks: Marks::default(),
        };
        self.decide(&Command::Hold(hold))?;
        let post = Post {
            payment,
            credits,
            accounts: accounts.into_iter().collect(),
            merchant: merchant.into(),
            asset,
            charged: total,
            change: Vec::new(),
            pass_until: None,
            marks: Marks::default(),
        };
        self.decide(&Command::Post(post)).map(|_| ())
    }

    /// A token of new credits.
    pub fn token(&self, amounts: &[u64]) -> String {
        Token::new(MINT, usd().unit(), None, self.credits(amounts)).encode()
    }

    fn credited(&self, account: AccountId) -> u128 {
        self.totals(account).credits_posted.value()
    }

    fn totals(&self, account: AccountId) -> Totals {
        let accounts = self.rows.accounts().unwrap();
        accounts.into_iter().find(|known| known.id() == account).unwrap().totals
    }

    /// What the merchant has taken.
    pub fn taken(&self) -> u128 {
        self.taken_in(usd())
    }

    pub fn taken_in(&self, asset: Asset) -> u128 {
        self.credited(Chart::of(asset).merchant("shop").id())
    }

    /// Whether a credit is unspent, pending or spent.
    pub fn state(&self, proof: &Proof) -> &'static str {
        let id = CreditId::from_bytes(proof.y().to_bytes());
        match self.rows.credits(&[id]).unwrap().remove(0) {
            None => "unspent",
            Some(CreditRow::Pending { .. }) => "pending",
            Some(CreditRow::Spent { .. }) => "spent",
        }
    }

    pub fn config(self: &Arc<Self>, rules: Rules) -> GateConfig {
        let (clock, drawing) = (Arc::clone(self), Arc::clone(self));
        GateConfig {
            rules: watch::channel(Arc::new(rules)).1,
            keyring: watch::channel(Arc::clone(&self.keyring)).1,
            execute: Arc::new(Desk(Arc::clone(self))),
            read: Arc::new(self.rows.clone()),
            crypto: Crypto::new(2).unwrap(),
            clock: Arc::new(move || clock.time()),
            random: Arc::new(move |bytes| {
                for chunk in bytes.chunks_mut(8) {
                    chunk.copy_from_slice(&drawing.draw().to_le_bytes()[..chunk.len()]);
                }
                Ok(())
            }),
            trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
            secrets: Secrets { challenge: [1; 32], change: [2; 32], signing: signing_key() },
            names: Names {
                merchant: "shop".to_owned(),
                issuer: "issuer".to_owned(),
                mints: vec![MINT.to_owned()],
                realm: "shop.example".to_owned(),
                host: "gate.example".to_owned(),
                https: None,
            },
            offers: OfferStyle { x_cashu: XCashu::Both, ..OfferStyle::default() },
            currencies: Currencies::default(),
            chains: None,
            sessions: None,
        }
    }
}
