//! The wallet: the seed, what is known, and the vault that keeps it. Flows move it; nothing here sends anything.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use farthing_money::{Amount, Money, Timestamp, Unit};
use farthing_wire::PASSES_PATH;
use farthing_wire::pass::plan_scope;

use crate::address::Address;
use crate::attempt::Attempt;
use crate::budget::{Limits, Rule, Scope};
use crate::chain::{AccountAddress, ChainId, Token, account, known};
use crate::channel::ChannelPolicy;
use crate::error::WalletError;
use crate::history::Entry;
use crate::merchant::StoredPass;
use crate::mint::Mint;
use crate::offer::Chosen;
use crate::sealed::{Unlock, seal};
use crate::session::{Live, Session};
use crate::state::{Draft, State};
use crate::unit::money;
use crate::vault::{Change, Numbers, Row, RowKey, Vault, VaultFault, VaultFaultKind};
use crate::words::Seed;

/// A gate looks at no more than so many.
const SHOWN_MAX: usize = 4;

/// A wallet that is open.
pub struct Wallet {
    pub(crate) seed: Seed,
    pub(crate) state: State,
    vault: Box<dyn Vault + Send>,
    stopped: bool,
    /// What flows of this program are busy with: an attempt, or a channel.
    held: Vec<(RowKey, Weak<()>)>,
    /// Sessions as this program goes through them.
    pub(crate) live: BTreeMap<RowKey, Live>,
    /// What requests of this program were asked to pay, by method and address.
    pub(crate) asked: BTreeMap<(String, String), Chosen>,
}

/// What there is of one unit at one mint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The mint.
    pub mint: String,
    /// What can be spent.
    pub free: Money,
    /// What is set aside for attempts that are open, tokens that were given away among them.
    pub reserved: Money,
}

/// Random bytes for sealing, which the caller draws.
#[derive(Clone, Copy)]
pub struct SealingEntropy {
    /// For the passphrase.
    pub salt: [u8; 16],
    /// For the cipher.
    pub nonce: [u8; 24],
}

impl Wallet {
    /// Makes a new wallet in an empty vault, its seed sealed.
    pub fn create(
        vault: impl Vault + Send + 'static,
        seed: Seed,
        unlock: Unlock<'_>,
        entropy: &SealingEntropy,
    ) -> Result<Self, WalletError> {
        Self::make(vault, seed, unlock, entropy, false)
    }

    /// Makes a wallet again from the words of one that is lost. Before it has anything signed by a mint it searches that
    /// mint, so that it draws nothing that the lost wallet has drawn; a [`RestoreFlow`](crate::RestoreFlow) does so for
    /// everything that a mint has.
    pub fn restore(
        vault: impl Vault + Send + 'static,
        seed: Seed,
        unlock: Unlock<'_>,
        entropy: &SealingEntropy,
    ) -> Result<Self, WalletError> {
        Self::make(vault, seed, unlock, entropy, true)
    }

    fn make(
        vault: impl Vault + Send + 'static,
        seed: Seed,
        unlock: Unlock<'_>,
        entropy: &SealingEntropy,
        restored: bool,
    ) -> Result<Self, WalletError> {
        let state = load(&vault)?;
        if state.sealed.is_some() {
            return Err(WalletError::WalletExists);
        }
        let sealed = seal(seed.entropy(), unlock, &entropy.salt, &entropy.nonce)?;
        let numbers = Numbers { restored, ..state.numbers };
        let mut wallet = Self::of(vault, seed, state);
        wallet.commit(vec![Change::Put(Row::Seed(sealed)), Change::Put(Row::Numbers(numbers))])?;
        Ok(wallet)
    }

    fn of(vault: impl Vault + Send + 'static, seed: Seed, state: State) -> Self {
        let (vault, live, asked) = (Box::new(vault), BTreeMap::new(), BTreeMap::new());
        Self { seed, state, vault, stopped: false, held: Vec::new(), live, asked }
    }

    /// Opens the wallet that is in a vault.
    pub fn open(vault: impl Vault + Send + 'static, unlock: Unlock<'_>) -> Result<Self, WalletError> {
        let state = load(&vault)?;
        let sealed = state.sealed.as_ref().ok_or(WalletError::NoWallet)?;
        let entropy = sealed.open(unlock)?;
        let damaged = || VaultFault::new(VaultFaultKind::Corrupt, "the seed is damaged; restore a backup");
        let seed = Seed::from_entropy(entropy.as_slice().try_into().map_err(|_| damaged())?)?;
        Ok(Self::of(vault, seed, state))
    }

    /// Whether a vault holds a wallet, and if so whether a passphrase opens it (otherwise a key does).
    pub fn peek(vault: &impl Vault) -> Result<Option<bool>, WalletError> {
        Ok(load(vault)?.sealed.map(|sealed| sealed.wants_passphrase()))
    }

    /// Seals the seed anew, for another passphrase or key.
    pub fn seal_again(&mut self, unlock: Unlock<'_>, entropy: &SealingEntropy) -> Result<(), WalletError> {
        let sealed = seal(self.seed.entropy(), unlock, &entropy.salt, &entropy.nonce)?;
        self.commit(vec![Change::Put(Row::Seed(sealed))])
    }

    /// The seed, to show its words.
    pub fn seed(&self) -> &Seed {
        &self.seed
    }

    /// Makes changes durable, then takes them over. After a failure nothing more is accepted.
    pub(crate) fn commit(&mut self, changes: Vec<Change>) -> Result<(), WalletError> {
        if self.stopped {
            let message = "a write of the wallet failed before; start again, and mend the disk first";
            return Err(VaultFault::new(VaultFaultKind::Stopped, message).into());
        }
        if changes.is_empty() {
            return Ok(());
        }
        self.stopped = true;
        self.vault.commit(&changes)?;
        self.stopped = false;
        for change in changes {
            self.state.apply(change);
        }
        Ok(())
    }

    /// Takes something for a flow of this program: as long as the flow keeps what is answered, no other one touches it. That is
    /// forgotten when the program ends, as it should be: one program at a time has the wallet.
    pub(crate) fn hold(&mut self, key: RowKey) -> Arc<()> {
        let token = Arc::new(());
        self.held.retain(|(_, held)| held.strong_count() > 0);
        self.held.push((key, Arc::downgrade(&token)));
        token
    }

    /// Whether another flow of this program is busy with it.
    pub(crate) fn is_held(&self, key: &RowKey) -> bool {
        self.held.iter().any(|(other, held)| other == key && held.strong_count() > 0)
    }

    /// Whether channels are opened without being asked for.
    pub fn channel_policy(&self) -> ChannelPolicy {
        self.state.channel_policy
    }

    /// Says whether channels are opened without being asked for.
    pub fn set_channel_policy(&mut self, policy: ChannelPolicy) -> Result<(), WalletError> {
        self.commit(vec![Change::Put(Row::ChannelPolicy(policy))])
    }

    /// What there is, by mint and unit.
    pub fn balances(&self) -> Result<Vec<Balance>, WalletError> {
        let mut sums: BTreeMap<(String, Unit), (Amount, Amount)> = BTreeMap::new();
        for credit in self.state.credits.values() {
            let (free, reserved) = sums.entry((credit.mint.clone(), credit.unit)).or_default();
            let sum = if credit.reserved.is_some() { reserved } else { free };
            *sum = sum.checked_add(Amount::from(credit.amount())).unwrap_or(Amount::MAX);
        }
        let balance = |((mint, unit), (free, reserved))| {
            Ok(Balance { mint, free: money(unit, free)?, reserved: money(unit, reserved)? })
        };
        sums.into_iter().map(balance).collect()
    }

    /// The newest entries of the history, newest first.
    pub fn history(&self, limit: usize) -> Result<Vec<Entry>, WalletError> {
        Ok(self.vault.history(limit)?)
    }

    /// What was begun and is not over, oldest first.
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.state.attempts.values()
    }

    /// The mints that were ever used.
    pub fn mints(&self) -> impl Iterator<Item = &Mint> {
        self.state.mints.values()
    }

    /// The limits of a unit: those that were set, or else the usual ones.
    pub fn limits(&self, unit: Unit) -> Limits {
        self.state.limits.get(&unit).copied().unwrap_or_else(|| Limits::usual(unit))
    }

    /// Sets the limits of a unit.
    pub fn set_limits(&mut self, limits: Limits) -> Result<(), WalletError> {
        self.commit(vec![Change::Put(Row::Limits(Box::new(limits)))])
    }

    /// The owner's own rules.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.state.rules.values()
    }

    /// Sets own rules; one of the same subject and measure is replaced. What was counted under it stays counted.
    pub fn set_rules(&mut self, rules: Vec<Rule>) -> Result<(), WalletError> {
        self.commit(rules.into_iter().map(|rule| Change::Put(Row::Rule(Box::new(rule)))).collect())
    }

    /// Takes own rules away.
    pub fn remove_rules(&mut self, rules: &[Rule]) -> Result<(), WalletError> {
        self.commit(rules.iter().map(|rule| Change::Remove(RowKey::rule(rule))).collect())
    }

    /// The number of a run that pays many times. What earlier runs have spent is forgotten.
    pub(crate) fn begin_run(&mut self) -> Result<u64, WalletError> {
        let mut draft = Draft::new(&self.state);
        let number = draft.attempt_number();
        for (unit, scope) in self.state.spent.keys().filter(|(_, scope)| matches!(scope, Scope::Run(_))) {
            draft.remove(RowKey::spent(*unit, scope));
        }
        let changes = draft.into_changes();
        self.commit(changes)?;
        Ok(number)
    }

    /// Whether flows of this program have payments or changes of credits under way, of which something may still come back.
    pub(crate) fn has_more_under_way(&self) -> bool {
        let is_step = |key: &RowKey| key.as_str().starts_with(RowKey::STEP);
        self.attempts().any(|attempt| self.is_held(&RowKey::attempt(attempt.id)))
            || self.held.iter().any(|(key, held)| is_step(key) && held.strong_count() > 0)
    }

    /// What was spent of a unit, in a scope.
    pub fn spent(&self, unit: Unit, scope: &Scope) -> Amount {
        self.state.spent(unit, scope)
    }

    /// The sessions that were opened and not closed.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.state.sessions.values()
    }

    /// Writes down what is left in the sessions that this program has used, and which step was charged: an issuer that has lost it is told. Programs
    /// do so at their end; without it the wallet knows the step of the last mark.
    pub fn note_sessions(&mut self) -> Result<(), WalletError> {
        let used = self.live.keys().filter_map(|key| self.state.sessions.get(key));
        let changes = used.map(|session| Change::Put(Row::Session(Box::new(session.clone())))).collect();
        self.commit(changes)
    }

    /// The wallet's account on chains of the EVM, the same on each.
    pub fn account(&self) -> Result<AccountAddress, WalletError> {
        Ok(account::key(&self.seed)?.address())
    }

    /// The tokens that are known: those that everybody knows, and those that the owner has named or blocked.
    pub fn tokens(&self) -> Vec<Token> {
        let own = &self.state.tokens;
        let common = known::tokens().filter(|token| !own.contains_key(&(token.chain, token.address)));
        let mut tokens: Vec<Token> = common.chain(own.values().cloned()).collect();
        tokens.sort_by_key(|token| (token.chain, token.address));
        tokens
    }

    /// Those that the owner has named himself, or blocked.
    pub fn own_tokens(&self) -> impl Iterator<Item = &Token> {
        self.state.tokens.values()
    }

    /// One of them.
    pub fn token(&self, chain: ChainId, address: AccountAddress) -> Option<Token> {
        let own = self.state.tokens.get(&(chain, address)).cloned();
        own.or_else(|| known::tokens().find(|token| token.chain == chain && token.address == address))
    }

    /// Names a token that may be spent.
    pub fn add_token(&mut self, token: Token) -> Result<(), WalletError> {
        token.check()?;
        self.commit(vec![Change::Put(Row::Token(Box::new(token)))])
    }

    /// Forgets a token, or blocks one that everybody knows. Answers with whether it was known.
    pub fn remove_token(&mut self, chain: ChainId, address: AccountAddress) -> Result<bool, WalletError> {
        let common = known::tokens().find(|token| token.chain == chain && token.address == address);
        let was_known = self.token(chain, address).is_some_and(|token| !token.is_blocked);
        let change = match common {
            Some(token) => Change::Put(Row::Token(Box::new(Token { is_blocked: true, ..token }))),
            None => Change::Remove(RowKey::token(chain, address)),
        };
        self.commit(vec![change])?;
        Ok(was_known)
    }

    /// Where a node of a chain can be asked.
    pub fn node(&self, chain: ChainId) -> Option<&str> {
        self.state.nodes.get(&chain).map(String::as_str)
    }

    /// Says where a node of a chain can be asked, or that none is.
    pub fn set_node(&mut self, chain: ChainId, url: Option<&str>) -> Result<(), WalletError> {
        let change = match url {
            Some(url) => Change::Put(Row::Node { chain, url: Address::safe(url)?.to_string() }),
            None => Change::Remove(RowKey::node(chain)),
        };
        self.commit(vec![change])
    }

    /// Puts known mints and counters back, from a backup; counters never go back.
    pub fn adopt(&mut self, backup: &crate::backup::Backup) -> Result<(), WalletError> {
        let mut draft = Draft::new(&self.state);
        for url in &backup.mints {
            if !self.state.mints.contains_key(url) {
                draft.put(Row::Mint(Box::new(Mint::new(url))));
            }
        }
        for (keyset, next) in &backup.counters {
            draft.advance(*keyset, *next);
        }
        let mut numbers = self.state.numbers;
        numbers.quote_key = numbers.quote_key.max(backup.quote_keys);
        draft.put(Row::Numbers(numbers));
        let changes = draft.into_changes();
        self.commit(changes)
    }

    /// The passes that may open an address, in the order in which they are shown, because not all of many are at once: first those for a time,
    /// of these first those of this page, then the one that lasts longest; then bundles, the one that ends first before others.
    pub(crate) fn passes(&self, address: &Address, now: Timestamp) -> Vec<&StoredPass> {
        let opens = |pass: &&StoredPass| pass.may_open(address, now) && !pass.is_fare();
        let passes = self.state.passes.values().filter(opens);
        let (mut bundles, mut others): (Vec<_>, Vec<_>) = passes.partition(|pass| pass.bundle.is_some());
        others.sort_by_key(|pass| (pass.covers == pass.origin, std::cmp::Reverse(pass.expires)));
        bundles.sort_by_key(|pass| pass.expires);
        others.into_iter().chain(bundles).collect()
    }

    /// The fields that go with a payment: the fares of its site, in which it counts, and where a pass is sold, the passes that are
    /// there already, because the new one lasts from their end.
    pub(crate) fn shown(&self, address: &Address, now: Timestamp) -> Vec<(String, String)> {
        let plan = address.path().strip_prefix(PASSES_PATH).map(plan_scope);
        let is_shown = |pass: &&StoredPass| pass.may_open(address, now) && (pass.is_fare() || plan.is_some());
        let mut shown: Vec<_> = self.state.passes.values().filter(is_shown).collect();
        // The one that is extended must be among them.
        shown.sort_by_key(|pass| (plan.as_ref() != Some(&pass.scope), !pass.is_fare()));
        shown.into_iter().take(SHOWN_MAX).map(|pass| (pass.field().to_owned(), pass.pass.clone())).collect()
    }
}

fn load(vault: &impl Vault) -> Result<State, VaultFault> {
    let mut state = State::default();
    for row in vault.load()? {
        state.apply(Change::Put(row));
    }
    Ok(state)
}

impl std::fmt::Debug for Wallet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wallet").field("credits", &self.state.credits.len()).finish_non_exhaustive()
    }
}
