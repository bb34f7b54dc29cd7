//! An issuer's statements of liabilities and the lists behind them, honest unless a test meddles with them.

use std::cell::Cell;
use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use farthing_ecash::KeysetId;
use farthing_ledger::{Leaf, LeafKey, Root, SumTree, TreeName};
use farthing_money::{Amount, Timestamp};
use farthing_wallet::HttpResponse;
use farthing_wire::liabilities::{
    JournalHead, LeafPage, Listed, Sha256Digest, Side, Statement, StatementPage,
};

use super::mint::Mint;

const PAGE_LEAVES: usize = 7;
const PAGE_STATEMENTS: usize = 2;

type List = BTreeMap<LeafKey, (u64, u32)>;

#[derive(Clone)]
pub struct Publisher {
    pub key: SigningKey,
    pub epoch: u32,
    opened_at: Timestamp,
    /// What is shown as entries.
    pub lists: BTreeMap<(String, Side), List>,
    /// What is shown as statements, in the order of epochs and keysets.
    pub texts: Vec<String>,
    /// Keysets of which nothing is stated any more.
    pub silent: Vec<KeysetId>,
    /// How many of the next requests are told to come again.
    pub busy: Cell<u32>,
    /// When keysets end.
    pub final_expiry: Option<Timestamp>,
    /// Whether nothing is shown at all.
    pub is_silent: bool,
}

impl Publisher {
    pub fn new(now: Timestamp) -> Self {
        let key = SigningKey::from_bytes(&[4; 32]);
        let (lists, texts, silent) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self {
            key,
            epoch: 0,
            opened_at: now,
            lists,
            texts,
            silent,
            busy: Cell::new(0),
            final_expiry: None,
            is_silent: false,
        }
    }

    /// Lists what is new and signs statements.
    pub fn end_epoch(&mut self, mint: &Mint, now: Timestamp) {
        self.list(mint);
        self.state(mint, now);
    }

    pub fn list(&mut self, mint: &Mint) {
        let issued = mint.signed.iter().map(|(b, signed)| (b.to_bytes(), signed.id, signed.amount));
        let redeemed = mint.redeemed().map(|(y, id, amount)| (y.to_bytes(), id, amount));
        for (side, key, id, amount) in issued
            .map(|(key, id, amount)| (Side::Issued, key, id, amount))
            .chain(redeemed.map(|(key, id, amount)| (Side::Redeemed, key, id, amount)))
        {
            let list = self.lists.entry((id.to_string(), side)).or_default();
            list.entry(LeafKey::from_bytes(key)).or_insert((amount, self.epoch));
        }
    }

    pub fn state(&mut self, mint: &Mint, now: Timestamp) {
        for id in mint.ids() {
            if !self.silent.contains(&id) {
                let statement = self.statement(&id.to_string(), now);
                self.texts.push(statement.sign(&self.key).unwrap());
            }
        }
        (self.epoch, self.opened_at) = (self.epoch + 1, now);
    }

    /// What would be stated of a keyset now.
    pub fn statement(&self, keyset: &str, now: Timestamp) -> Statement {
        let [issued, redeemed] = Side::ALL.map(|side| self.listed(keyset, side));
        let before = self.texts.iter().rev().find(|text| read(text).keyset == keyset);
        Statement {
            format: Statement::FORMAT,
            keyset: keyset.to_owned(),
            unit: "uusd".parse().unwrap(),
            final_expiry: self.final_expiry,
            epoch: self.epoch,
            opened_at: self.opened_at,
            closed_at: now,
            outstanding: Statement::owed(&issued, &redeemed).unwrap(),
            issued,
            redeemed,
            journal: JournalHead { batch: 1, digest: Sha256Digest::from_bytes([0; 32]) },
            previous: before.map(|text| Statement::digest(text)),
        }
    }

    fn listed(&self, keyset: &str, side: Side) -> Listed {
        let mut tree = SumTree::new(TreeName::new(&side.tree_name(keyset)));
        self.leaves(keyset, side, self.epoch).iter().for_each(|leaf| tree.push(leaf).unwrap());
        let Root { digest, sum, count } = tree.root().unwrap();
        let root = Sha256Digest::from_bytes(*digest.as_bytes());
        Listed { root, sum, count, unlisted: Amount::ZERO }
    }

    pub fn leaves(&self, keyset: &str, side: Side, last: u32) -> Vec<Leaf> {
        let entries = self.lists.get(&(keyset.to_owned(), side)).into_iter().flatten();
        let leaves = entries.map(|(key, (amount, epoch))| Leaf { key: *key, amount: *amount, epoch: *epoch });
        leaves.filter(|leaf| leaf.epoch <= last).collect()
    }

    pub fn list_mut(&mut self, keyset: KeysetId, side: Side) -> &mut List {
        self.lists.entry((keyset.to_string(), side)).or_default()
    }

    pub fn handle(&self, path: &str) -> HttpResponse {
        if self.is_silent {
            return super::json(404, &serde_json::json!({ "detail": "no such page" }));
        }
        if self.busy.get() > 0 {
            self.busy.set(self.busy.get() - 1);
            let mut busy = super::json(503, &serde_json::json!({ "detail": "busy" }));
            busy.headers.push(("Retry-After".into(), "2".into()));
            return busy;
        }
        let (path, after) = path.split_once("?after=").unwrap_or((path, ""));
        let body = match path.trim_start_matches('/').split('/').collect::<Vec<_>>()[..] {
            [""] => {
                let start = if after.is_empty() { 0 } else { after.parse::<usize>().unwrap() };
                let texts = self.texts.iter().skip(start).take(PAGE_STATEMENTS).cloned().collect();
                let end = start + PAGE_STATEMENTS;
                let next = (end < self.texts.len()).then(|| format!("{end:09}"));
                serde_json::to_value(StatementPage { statements: texts, next })
            }
            [keyset, epoch, side] => {
                let side = Side::read(side).unwrap();
                let all = self.leaves(keyset, side, epoch.parse().unwrap());
                let later: Vec<_> =
                    all.into_iter().filter(|leaf| leaf.key.to_string().as_str() > after).collect();
                let page: Vec<_> = later.iter().take(PAGE_LEAVES).collect();
                let next = page.last().filter(|_| later.len() > PAGE_LEAVES);
                let next = next.map(|leaf| leaf.key.to_string());
                let leaves =
                    page.iter().map(|leaf| (leaf.key.to_string(), leaf.amount, leaf.epoch)).collect();
                serde_json::to_value(LeafPage { leaves, next })
            }
            _ => panic!("unexpected path {path}"),
        };
        super::json(200, &body.unwrap())
    }
}

pub fn read(text: &str) -> Statement {
    Statement::verify(text, None).unwrap().0
}
