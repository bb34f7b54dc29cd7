//! The token of the simulated chain: it looks at signatures, times and numbers as EIP-3009 asks for, and keeps what it moved.
//! It is written from the standard and shares no reading with the rooms that are under test.

use std::collections::BTreeMap;

use farthing_channel::{
    Address, Authorization, AuthorizationNonce, CancelAuthorization, ChainId, Digest, Domain, Signature,
    TxHash, Word, keccak256,
};
use farthing_evm::{Log, Trial};
use farthing_money::{Amount, Timestamp};

/// The number of an authorization and its payer: what makes it the only one.
pub type Once = (Address, [u8; 32]);

/// What an authorization has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Whose it is now.
    pub to: Address,
    /// How many units.
    pub units: u128,
    /// By which transaction.
    pub by: TxHash,
}

/// The token after a block.
#[derive(Clone, Debug, Default)]
pub struct Token {
    units: BTreeMap<Address, u128>,
    /// Numbers that are used up, with what they moved; nothing if their payer took them back.
    used: BTreeMap<Once, Option<Moved>>,
}

/// Its address, name and version.
pub const ADDRESS: Address = Address::from_bytes([0x70; 20]);
/// The name that payers sign for.
pub const NAME: &str = "Simulated Dollar";
/// The version that payers sign for.
pub const VERSION: &str = "2";

const USED: &str = "AuthorizationUsed(address,bytes32)";
const CANCELED: &str = "AuthorizationCanceled(address,bytes32)";
const TRANSFER: &str = "Transfer(address,address,uint256)";
const WITH_VRS: &str =
    "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)";
const WITH_BYTES: &str = "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)";
const CANCEL: &str = "cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)";
const SEND: &str = "transfer(address,uint256)";
const BALANCE: &str = "balanceOf(address)";
const STATE: &str = "authorizationState(address,bytes32)";

/// What its payers sign for.
pub fn domain(chain: ChainId) -> Domain {
    Domain::new(NAME, Some(VERSION), chain, Some(ADDRESS))
}

/// The words of a call, if it is of this function.
fn words<'a>(input: &'a [u8], function: &str) -> Option<&'a [u8]> {
    let selector = keccak256(function.as_bytes());
    input.strip_prefix(selector.as_bytes().get(..4)?)
}

fn word(words: &[u8], place: usize) -> Option<Word> {
    let bytes = words.get(place.checked_mul(32)?..)?.first_chunk::<32>()?;
    Some(Word::from_bytes(*bytes))
}

/// A signature in three words: its last byte, and its halves.
fn signature(words: &[u8], place: usize) -> Option<Signature> {
    let mut bytes = word(words, place.checked_add(1)?)?.as_bytes().to_vec();
    bytes.extend(word(words, place.checked_add(2)?)?.as_bytes());
    bytes.push(u8::try_from(word(words, place)?.to_u64()?).ok()?);
    Signature::from_bytes(&bytes).ok()
}

fn log(event: &str, about: [Word; 2], rest: Vec<u8>, by: TxHash) -> Log {
    let [first, second] = about;
    let topics = vec![Word::from(keccak256(event.as_bytes())), first, second];
    Log { contract: ADDRESS, topics, rest, transaction: by }
}

impl Token {
    /// Gives an account units.
    pub fn mint(&mut self, account: Address, units: u128) {
        let had = self.units.entry(account).or_default();
        *had = had.saturating_add(units);
    }

    /// How many units an account has.
    pub fn units(&self, account: Address) -> u128 {
        self.units.get(&account).copied().unwrap_or_default()
    }

    /// What an authorization has moved.
    pub fn fate(&self, once: &Once) -> Option<Moved> {
        self.used.get(once).copied().flatten()
    }

    /// Every authorization that moved something.
    pub fn moved(&self) -> impl Iterator<Item = (Once, Moved)> + '_ {
        self.used.iter().filter_map(|(once, moved)| Some((*once, (*moved)?)))
    }

    /// What it answers to a question; nothing if it is none.
    pub fn answer(&self, input: &[u8]) -> Option<Vec<u8>> {
        if let Some(words) = words(input, BALANCE) {
            let units = self.units(word(words, 0)?.to_address()?);
            let mut answer = vec![0; 16];
            answer.extend(units.to_be_bytes());
            return Some(answer);
        }
        if let Some(words) = words(input, STATE) {
            let once = (word(words, 0)?.to_address()?, *word(words, 1)?.as_bytes());
            return Some(Word::from(u64::from(self.used.contains_key(&once))).as_bytes().to_vec());
        }
        let text = if words(input, "name()").is_some() {
            NAME
        } else {
            words(input, "version()").map(|_| VERSION)?
        };
        let mut answer = Word::from(32).as_bytes().to_vec();
        answer.extend(Word::from(u64::try_from(text.len()).ok()?).as_bytes());
        answer.extend(text.as_bytes());
        answer.resize(answer.len().next_multiple_of(32), 0);
        Some(answer)
    }

    /// Does what a call asks for, or says why not.
    pub fn change(
        &mut self,
        chain: ChainId,
        trial: &Trial,
        by: TxHash,
        now: Timestamp,
    ) -> Result<Vec<Log>, &'static str> {
        let input = &trial.input;
        let done = if let Some(words) = words(input, WITH_VRS) {
            self.carry(chain, words, signature(words, 6), by, now)
        } else if let Some(words) = words(input, WITH_BYTES) {
            let bytes = words.get(8 * 32..).and_then(|rest| rest.get(..65));
            self.carry(chain, words, bytes.and_then(|bytes| Signature::from_bytes(bytes).ok()), by, now)
        } else if let Some(words) = words(input, CANCEL) {
            self.take_back(chain, words, by)
        } else if let Some(words) = words(input, SEND) {
            self.send(trial.from, words, by)
        } else {
            None
        };
        done.unwrap_or(Err("execution reverted"))
    }

    fn carry(
        &mut self,
        chain: ChainId,
        words: &[u8],
        signature: Option<Signature>,
        by: TxHash,
        now: Timestamp,
    ) -> Option<Result<Vec<Log>, &'static str>> {
        let (from, to) = (word(words, 0)?.to_address()?, word(words, 1)?.to_address()?);
        let (valid_after, valid_before) = (word(words, 3)?, word(words, 4)?);
        let nonce = AuthorizationNonce::from_bytes(*word(words, 5)?.as_bytes());
        let said = Authorization { from, to, value: word(words, 2)?, valid_after, valid_before, nonce };
        Some(self.authorized(&said, &said.transfer_digest(&domain(chain)), signature, by, now))
    }

    /// Carries an authorization out whose digest its payer has signed, or says why not.
    pub fn authorized(
        &mut self,
        said: &Authorization,
        digest: &Digest,
        signature: Option<Signature>,
        by: TxHash,
        now: Timestamp,
    ) -> Result<Vec<Log>, &'static str> {
        let (Authorization { from, to, nonce, .. }, now) = (*said, Word::from_seconds(now));
        let once = (from, *nonce.as_bytes());
        if now <= said.valid_after {
            return Err("FiatTokenV2: authorization is not yet valid");
        }
        if now >= said.valid_before {
            return Err("FiatTokenV2: authorization is expired");
        }
        if self.used.contains_key(&once) {
            return Err("FiatTokenV2: authorization is used or canceled");
        }
        if signature.is_none_or(|signature| signature.recover(digest) != Ok(from)) {
            return Err("FiatTokenV2: invalid signature");
        }
        let units = said.value.to_amount().ok_or("execution reverted")?.value();
        let moved = self.pass_on(from, to, units, by)?;
        self.used.insert(once, Some(Moved { to, units, by }));
        Ok(vec![log(USED, [from.into(), nonce.into()], Vec::new(), by), moved])
    }

    /// Moves units from one account to another.
    pub fn pass_on(
        &mut self,
        from: Address,
        to: Address,
        units: u128,
        by: TxHash,
    ) -> Result<Log, &'static str> {
        let left = self.units(from).checked_sub(units).ok_or("ERC20: transfer amount exceeds balance")?;
        self.units.insert(from, left);
        self.mint(to, units);
        let rest = Word::from(Amount::new(units)).as_bytes().to_vec();
        Ok(log(TRANSFER, [from.into(), to.into()], rest, by))
    }

    fn take_back(
        &mut self,
        chain: ChainId,
        words: &[u8],
        by: TxHash,
    ) -> Option<Result<Vec<Log>, &'static str>> {
        let (authorizer, nonce) = (word(words, 0)?.to_address()?, *word(words, 1)?.as_bytes());
        let cancel = CancelAuthorization { authorizer, nonce: AuthorizationNonce::from_bytes(nonce) };
        if signature(words, 2)?.recover(&cancel.digest(&domain(chain))) != Ok(authorizer) {
            return Some(Err("FiatTokenV2: invalid signature"));
        }
        if self.used.contains_key(&(authorizer, nonce)) {
            return Some(Err("FiatTokenV2: authorization is used or canceled"));
        }
        self.used.insert((authorizer, nonce), None);
        Some(Ok(vec![log(CANCELED, [authorizer.into(), Word::from_bytes(nonce)], Vec::new(), by)]))
    }

    fn send(&mut self, from: Address, words: &[u8], by: TxHash) -> Option<Result<Vec<Log>, &'static str>> {
        let (to, value) = (word(words, 0)?.to_address()?, word(words, 1)?);
        let units = value.to_amount()?.value();
        Some(self.pass_on(from, to, units, by).map(|log| vec![log]))
    }
}
