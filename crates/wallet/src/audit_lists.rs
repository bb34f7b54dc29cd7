//! Makes the trees of a keyset again from its lists, and looks for the wallet's own credits in them.

use std::collections::{BTreeMap, BTreeSet};

use farthing_ecash::{
    KeysetId, Proof, PublicKey, RestoreError, SecretKey, blind, dleq, hash_to_curve, restore,
};
use farthing_ledger::{Leaf, LeafKey, Root, SumTree, TreeName};
use farthing_money::{Span, Timestamp};
use farthing_wire::liabilities::{LeafPage, Side, Statement};
use serde_json::{Value, json};

use crate::audit::{Finding, FindingKind, OwnCredits, Signed};
use crate::audit_history::finding;
use crate::error::WalletError;
use crate::wallet::Wallet;

/// How far the issuer's clock and the wallet's may be apart before an absence is held against the issuer.
const CLOCKS: Span = Span::from_secs(3_600);

type Key = [u8; 33];

/// A credit that the wallet has or had.
struct Own {
    y: Key,
    b: Option<Key>,
    held: Option<Held>,
}

/// A credit that it has.
struct Held {
    proof: Proof,
    since: Option<Timestamp>,
    is_reserved: bool,
}

/// The lists of a keyset, as they come in.
pub(crate) struct Lists {
    pub(crate) newest: Signed,
    /// Earlier statements, which the same lists must bear out, cut at their epochs.
    earlier: Vec<Signed>,
    own: Vec<Own>,
    wanted: BTreeMap<Side, BTreeSet<Key>>,
    found: BTreeMap<Side, BTreeMap<Key, (u64, u32)>>,
    side: Side,
    /// One tree for the newest statement and one for each earlier.
    trees: Vec<SumTree>,
    /// Whether the side is known to be wrong already.
    failed: bool,
    after: Option<String>,
    past: usize,
    pub(crate) findings: Vec<Finding>,
}

impl Lists {
    /// Ready for the first page of the issued list. `earlier` are statements whose roots are checked too.
    pub(crate) fn new(
        wallet: &Wallet,
        newest: Signed,
        earlier: Vec<Signed>,
        mints: &[String],
    ) -> Result<Self, WalletError> {
        let own = match newest.statement.keyset.parse() {
            Ok(keyset) => own_credits(wallet, keyset, mints)?,
            Err(_) => Vec::new(),
        };
        let issued = own.iter().filter_map(|own| own.b).collect();
        let redeemed = own.iter().map(|own| own.y).collect();
        let mut lists = Self {
            newest,
            earlier,
            own,
            wanted: BTreeMap::from([(Side::Issued, issued), (Side::Redeemed, redeemed)]),
            found: BTreeMap::new(),
            side: Side::Issued,
            trees: Vec::new(),
            failed: false,
            after: None,
            past: 0,
            findings: Vec::new(),
        };
        lists.begin(Side::Issued);
        Ok(lists)
    }

    fn begin(&mut self, side: Side) {
        let name = TreeName::new(&side.tree_name(&self.newest.statement.keyset));
        let trees = std::iter::repeat_with(|| SumTree::new(name));
        self.trees = trees.take(self.earlier.len().saturating_add(1)).collect();
        (self.side, self.failed, self.after) = (side, false, None);
    }

    /// Where the next page is, below the address of the issuer's list of statements.
    pub(crate) fn next_path(&self) -> String {
        let Statement { keyset, epoch, .. } = &self.newest.statement;
        let after = self.after.as_ref().map(|after| format!("?after={after}")).unwrap_or_default();
        format!("/{keyset}/{epoch}/{}{after}", self.side.as_str())
    }

    /// Takes a page in. Says whether there are more to come.
    pub(crate) fn take(&mut self, page: &LeafPage) -> bool {
        if let Err(why) = self.add(page) {
            self.fail(&why);
        }
        if !self.failed && page.next.is_some() {
            self.after.clone_from(&page.next);
            return true;
        }
        if !self.failed {
            self.close();
        }
        match self.side {
            Side::Issued => {
                self.begin(Side::Redeemed);
                true
            }
            Side::Redeemed => false,
        }
    }

    fn add(&mut self, page: &LeafPage) -> Result<(), String> {
        let listed = *self.newest.statement.side(self.side);
        let epochs: Vec<u32> = self.epochs().collect();
        for (key, amount, epoch) in &page.leaves {
            let bytes: LeafKey = key.parse().map_err(|_| format!("{} is no key", shown(key)))?;
            let leaf = Leaf { key: bytes, amount: *amount, epoch: *epoch };
            if leaf.epoch > self.newest.statement.epoch {
                return Err(format!("the entry {bytes} is of the later epoch {epoch}"));
            }
            for (tree, last) in self.trees.iter_mut().zip(&epochs) {
                if leaf.epoch <= *last {
                    tree.push(&leaf).map_err(|error| error.to_string())?;
                }
            }
            if self.wanted.get(&self.side).is_some_and(|wanted| wanted.contains(bytes.as_bytes())) {
                let found = self.found.entry(self.side).or_default();
                found.insert(*bytes.as_bytes(), (leaf.amount, leaf.epoch));
            }
        }
        let count = self.trees.first().map_or(0, SumTree::count);
        if count > listed.count {
            return Err(format!("there are more entries than the {} that were signed", listed.count));
        }
        match (&page.next, &self.after) {
            (Some(next), Some(after)) if next <= after => Err("its pages do not go on".to_owned()),
            (Some(next), _) if next.len() > 128 || !next.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                Err("its pages name no next page".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// The epochs of the trees: of the newest statement first.
    fn epochs(&self) -> impl Iterator<Item = u32> + '_ {
        std::iter::once(&self.newest).chain(&self.earlier).map(|signed| signed.statement.epoch)
    }

    /// The end of a list: all roots must be those that were signed.
    fn close(&mut self) {
        let side = self.side;
        let statements = std::iter::once(&self.newest).chain(&self.earlier);
        let checked: Vec<(Signed, Option<Root>)> =
            statements.cloned().zip(self.trees.iter().map(|tree| tree.root().ok())).collect();
        for (place, (signed, root)) in checked.into_iter().enumerate() {
            let listed = signed.statement.side(side);
            let same = root.is_some_and(|root| {
                (root.digest.as_bytes(), root.sum, root.count)
                    == (listed.root.as_bytes(), listed.sum, listed.count)
            });
            if same {
                self.past = self.past.saturating_add(usize::from(place > 0));
                continue;
            }
            let kind = if place == 0 { FindingKind::List } else { FindingKind::Past };
            let shows = root.map(|root| json!({ "root": root.digest, "sum": root.sum, "count": root.count }));
            let epoch = signed.statement.epoch;
            let message = if place == 0 {
                format!("the list of what was {} is not the one that was signed", side.as_str())
            } else {
                format!("what was {} until epoch {epoch} was changed afterwards", side.as_str())
            };
            let evidence =
                json!({ "statement": signed.text, "newest": self.newest.text, "list": side, "shown": shows });
            self.findings.push(finding(kind, &signed.statement, message, evidence));
            self.failed |= place == 0;
        }
    }

    fn fail(&mut self, why: &str) {
        self.failed = true;
        let side = self.side.as_str();
        let message = format!("the list of what was {side} is not the one that was signed: {why}");
        let evidence = json!({ "statement": self.newest.text, "list": self.side, "reason": why });
        self.findings.push(finding(FindingKind::List, &self.newest.statement, message, evidence));
    }

    /// After the last page: the wallet's own credits.
    pub(crate) fn judge(&mut self, wallet: &Wallet) -> OwnCredits {
        let mut report = OwnCredits {
            past: self.past.checked_div(Side::ALL.len()).unwrap_or_default(),
            ..OwnCredits::default()
        };
        let own = std::mem::take(&mut self.own);
        for own in &own {
            match &own.held {
                Some(held) => self.judge_held(wallet, own, held, &mut report),
                None => self.judge_spent(own, &mut report),
            }
        }
        report
    }

    fn found(&self, side: Side, key: &Key) -> Option<(u64, u32)> {
        self.found.get(&side).and_then(|found| found.get(key)).copied()
    }

    fn judge_held(&mut self, wallet: &Wallet, own: &Own, held: &Held, report: &mut OwnCredits) {
        let amount = held.proof.amount;
        let redeemed = self.found(Side::Redeemed, &own.y);
        if redeemed.is_some() && held.is_reserved {
            report.under_way.add(amount);
            return;
        }
        if let Some((_, epoch)) = redeemed {
            let message = format!(
                "a credit of {amount} that this wallet has not spent is listed as redeemed in epoch {epoch}; \
                 if its words are in use elsewhere, it was spent there"
            );
            let evidence =
                json!({ "statement": self.newest.text, "y": hex::encode(own.y), "amount": amount });
            self.findings.push(finding(FindingKind::Redeemed, &self.newest.statement, message, evidence));
            return;
        }
        let Some(b) = own.b else {
            report.unknown.add(amount);
            return;
        };
        match self.found(Side::Issued, &b) {
            Some((listed, _)) if listed == amount => report.listed.add(amount),
            Some((listed, _)) => {
                let message = format!("a credit of {amount} is listed as issued for {listed}");
                let evidence = self.signature_evidence(wallet, held, &b, Some(listed));
                self.findings.push(finding(FindingKind::Amount, &self.newest.statement, message, evidence));
            }
            None => match held.since {
                None => report.unknown.add(amount),
                Some(since) if since.after(CLOCKS) >= self.newest.statement.opened_at => {
                    report.too_new.add(amount);
                }
                Some(_) => {
                    let message = format!("a credit of {amount} is not listed as issued");
                    let evidence = self.signature_evidence(wallet, held, &b, None);
                    let kind = FindingKind::NotIssued;
                    self.findings.push(finding(kind, &self.newest.statement, message, evidence));
                }
            },
        }
    }

    /// A credit that was spent must have been issued, for as much and not later.
    fn judge_spent(&mut self, own: &Own, report: &mut OwnCredits) {
        let Some((amount, redeemed)) = self.found(Side::Redeemed, &own.y) else { return };
        let issued = own.b.and_then(|b| self.found(Side::Issued, &b));
        let (kind, message) = match issued {
            Some((listed, epoch)) if listed == amount && epoch <= redeemed => {
                report.spent.add(amount);
                return;
            }
            Some((listed, _)) => {
                let message =
                    format!("a credit is listed as issued for {listed} and as redeemed for {amount}");
                (FindingKind::Amount, message)
            }
            None => {
                let message = format!("a credit of {amount} is listed as redeemed and not as issued");
                (FindingKind::NotIssued, message)
            }
        };
        // The link between the two is the wallet's secret; shown is what was never listed.
        let evidence = json!({ "statement": self.newest.text, "b": own.b.map(hex::encode) });
        self.findings.push(finding(kind, &self.newest.statement, message, evidence));
    }

    /// The blinded message, the signature that the issuer gave for it and the proof (NUT-12) that its key made it.
    fn signature_evidence(&self, wallet: &Wallet, held: &Held, b: &Key, listed: Option<u64>) -> Value {
        let proof = &held.proof;
        let key = wallet.mints().find_map(|mint| mint.keyset(proof.id)?.key(proof.amount));
        let signed = key.zip(proof.dleq).and_then(|(key, dleq)| {
            let (_, c_) = dleq::as_signed(key, proof.secret.as_bytes(), proof.c, &dleq)?;
            Some(json!({ "key": key, "C_": c_, "e": dleq.e, "s": dleq.s }))
        });
        json!({
            "statement": self.newest.text,
            "B_": hex::encode(b),
            "amount": proof.amount,
            "listed_amount": listed,
            "signature": signed,
        })
    }
}

/// Every credit of a keyset that the wallet has, and every one that it ever planned.
fn own_credits(wallet: &Wallet, keyset: KeysetId, mints: &[String]) -> Result<Vec<Own>, WalletError> {
    let mut held: BTreeMap<Key, Held> = BTreeMap::new();
    for credit in wallet.state.credits.values() {
        if credit.proof.id == keyset && mints.contains(&credit.mint) {
            let (proof, since, is_reserved) = (credit.proof.clone(), credit.since, credit.reserved.is_some());
            held.insert(credit.y().to_bytes(), Held { proof, since, is_reserved });
        }
    }
    let mut all = Vec::new();
    for counter in 0..wallet.state.counters.get(&keyset).copied().unwrap_or_default() {
        let (secret, r) = match restore::derive(wallet.seed.bytes(), keyset, counter) {
            Ok(derived) => derived,
            Err(RestoreError::Skip(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        let y = hash_to_curve(secret.as_bytes()).to_bytes();
        let b = blind(secret.as_bytes(), &r).map(PublicKey::to_bytes);
        all.push(Own { y, b, held: held.remove(&y) });
    }
    // What is left was made by another derivation; with its proof of equality came the blinding factor.
    for (y, held) in held {
        let r = held.proof.dleq.and_then(|dleq| SecretKey::from_bytes(*dleq.r.as_bytes()).ok());
        let b = r.and_then(|r| blind(held.proof.secret.as_bytes(), &r)).map(PublicKey::to_bytes);
        all.push(Own { y, b, held: Some(held) });
    }
    Ok(all)
}

/// Text of a stranger, cut short.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(80).collect::<String>())
}
