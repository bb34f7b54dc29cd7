//! Mandates: what an owner lets an agent's wallet spend, signed. The wallet that takes one in pays within it only, beside its own limits;
//! the first one binds it to its giver for good.

use ed25519_dalek::SigningKey;
use farthing_money::{Money, Span, Timestamp, Unit};
use farthing_wire::{JwsError, Mandate, MandateFile, Revocation, jws};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::address::Address;
use crate::budget::{Asker, HostPattern, Name, Period, Scope, day_of, month_of};
use crate::error::WalletError;
use crate::unit::asset_of;
use crate::vault::{Change, Row};
use crate::wallet::Wallet;
use crate::words::Seed;

/// Clocks differ by so much.
const CLOCKS_DIFFER: Span = Span::from_secs(300);
/// So much of a mandate's name is shown to people.
const SHORT: usize = 8;

/// A mandate that this wallet has taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// What it says.
    pub mandate: Mandate,
    /// The signed text.
    pub text: String,
    /// Who gave it: the key that signed it.
    pub giver: String,
    /// Whether it binds the whole wallet, and not just the commands that name it.
    pub is_binding: bool,
    /// Whether its time was seen to be over: it stays so, whatever the clock says later.
    #[serde(default)]
    pub is_over: bool,
    /// When its giver has taken it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
    /// When something was last paid under it.
    pub last: Timestamp,
}

/// A mandate that this wallet has given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// What it says.
    pub mandate: Mandate,
    /// The signed text.
    pub text: String,
    /// The token that goes along, and the attempt under which it can be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<(String, u64)>,
    /// When it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
}

/// Why something is not paid under a mandate, or a mandate is not taken in.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MandateReject {
    /// Its time is over.
    #[error("the mandate {} ended {until}; ask its giver for another one", short(id))]
    Ended {
        /// Which.
        id: String,
        /// When.
        until: Timestamp,
    },
    /// Its giver has taken it back.
    #[error("the mandate {} was taken back by its giver {at}; ask for another one", short(id))]
    Revoked {
        /// Which.
        id: String,
        /// When.
        at: Timestamp,
    },
    /// Not for this host.
    #[error("the mandate {} is for {allowed}, not for {host}; nothing was sent", short(id))]
    Host {
        /// Which.
        id: String,
        /// For which hosts it is.
        allowed: String,
        /// Who asks.
        host: String,
    },
    /// Not for this tool.
    #[error("the mandate {} is for the tools {allowed}, got {got}; name the tool with --tool", short(id))]
    Tool {
        /// Which.
        id: String,
        /// For which tools it is.
        allowed: String,
        /// Which one asks.
        got: String,
    },
    /// Not for this unit.
    #[error("the mandate {} is for {expected}, and {got} is asked for; nothing was sent", short(id))]
    Unit {
        /// Which.
        id: String,
        /// For which unit it is.
        expected: Unit,
        /// What is asked for.
        got: Unit,
    },
    /// The clock is wrong.
    #[error(
        "this machine's clock says {now}, and the mandate {} was used or given {seen}; set the clock right",
        short(id)
    )]
    Clock {
        /// Which.
        id: String,
        /// What the clock says.
        now: Timestamp,
        /// What was seen before.
        seen: Timestamp,
    },
    /// No such mandate.
    #[error("there is no mandate {0} here; `farthing wallet mandate list` lists them")]
    Unknown(String),
    /// Another giver than that to whom the wallet is bound.
    #[error(
        "this wallet is bound to the giver {expected}, and the mandate is of {got}; take it into another wallet"
    )]
    Giver {
        /// Who may give.
        expected: String,
        /// Who gave it.
        got: String,
    },
    /// It is here already.
    #[error("the mandate {} is here already; nothing was changed", short(.0))]
    Taken(String),
    /// It is no mandate, or was changed.
    #[error("the mandate is not good: {0}; ask its giver for the file again")]
    Malformed(String),
    /// The token that goes along is not the one that was signed for.
    #[error("the token in the file is not the one of the mandate {}; ask its giver for the file again", short(.0))]
    Token(String),
    /// Something else than a payment.
    #[error("this wallet is bound by a mandate and only pays; {0} would take money out of it")]
    OnlyPayments(&'static str),
}

impl MandateReject {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ended { .. } => "mandate-ended",
            Self::Revoked { .. } => "mandate-revoked",
            Self::Host { .. } => "mandate-host",
            Self::Tool { .. } => "mandate-tool",
            Self::Unit { .. } => "mandate-unit",
            Self::Clock { .. } => "mandate-clock",
            Self::Unknown(_) => "mandate-unknown",
            Self::Giver { .. } => "mandate-giver",
            Self::Taken(_) => "mandate-taken",
            Self::Malformed(_) => "mandate-malformed",
            Self::Token(_) => "mandate-token",
            Self::OnlyPayments(_) => "mandate-only-payments",
        }
    }
}

/// The beginning of a name.
fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

/// The key with which a wallet signs mandates. It is no other of its keys, and tells nothing of them.
fn giver_key(seed: &Seed) -> SigningKey {
    let mut hash = Sha256::new();
    hash.update(b"farthing mandate key 1");
    hash.update(seed.bytes());
    SigningKey::from_bytes(&hash.finalize().into())
}

fn malformed(error: &JwsError) -> MandateReject {
    MandateReject::Malformed(error.to_string())
}

impl Taken {
    /// Reads a file and checks everything that can be checked without a wallet.
    pub fn read(file: &MandateFile, now: Timestamp) -> Result<Self, MandateReject> {
        let missing = || MandateReject::Malformed("expected a mandate, got a revocation".into());
        let text = file.mandate.clone().ok_or_else(missing)?;
        let (mandate, key) = Mandate::verify_signer(&text).map_err(|error| malformed(&error))?;
        let id = mandate.id.clone();
        if asset_of(mandate.unit)
            .is_none_or(|asset| asset.code() != mandate.asset || asset.scale() != mandate.scale)
        {
            let got = format!("expected a unit that is known, got {} as {}", mandate.unit, mandate.asset);
            return Err(MandateReject::Malformed(got));
        }
        let hosts = mandate.hosts.iter().find_map(|host| host.parse::<HostPattern>().err());
        let tools = mandate.tools.iter().find_map(|tool| tool.parse::<Name>().err());
        if let Some(wrong) = hosts.map(|error| error.to_string()).or(tools.map(|error| error.to_string())) {
            return Err(MandateReject::Malformed(wrong));
        }
        let hash = file.token.as_deref().map(token_hash);
        if hash != mandate.token {
            return Err(MandateReject::Token(id));
        }
        let last = mandate.given;
        let giver = jws::key_text(&key);
        let taken = Self { mandate, text, giver, is_binding: true, is_over: false, revoked: None, last };
        taken.stands(now).map(|()| taken)
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.mandate.id
    }

    /// The beginning of its name.
    pub fn short(&self) -> &str {
        short(self.id())
    }

    /// Whether anything can be paid under it at a moment.
    pub fn stands(&self, now: Timestamp) -> Result<(), MandateReject> {
        let (id, until) = (self.id().to_owned(), self.mandate.until);
        if let Some(at) = self.revoked {
            return Err(MandateReject::Revoked { id, at });
        }
        if self.is_over || now >= until {
            return Err(MandateReject::Ended { id, until });
        }
        if self.last > now.after(CLOCKS_DIFFER) {
            return Err(MandateReject::Clock { id, now, seen: self.last });
        }
        Ok(())
    }

    /// Whether it is for such a payment.
    pub(crate) fn allows(&self, unit: Unit, address: &Address, asker: &Asker) -> Result<(), MandateReject> {
        let (id, mandate) = (self.id().to_owned(), &self.mandate);
        if mandate.unit != unit {
            return Err(MandateReject::Unit { id, expected: mandate.unit, got: unit });
        }
        let named = |host: &String| host.parse::<HostPattern>().is_ok_and(|pattern| pattern.allows(address));
        if !mandate.hosts.is_empty() && !mandate.hosts.iter().any(named) {
            let (allowed, host) = (mandate.hosts.join(", "), address.host());
            return Err(MandateReject::Host { id, allowed, host });
        }
        let tool = |tool: &String| tool.parse::<Name>().is_ok_and(|name| asker.tool.as_ref() == Some(&name));
        if !mandate.tools.is_empty() && !mandate.tools.iter().any(tool) {
            let got = asker.tool.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
            return Err(MandateReject::Tool { id, allowed: mandate.tools.join(", "), got });
        }
        Ok(())
    }

    /// What a payment under it is charged to.
    pub(crate) fn scopes(&self, now: Timestamp) -> [Scope; 3] {
        let periods = [Period::Ever, Period::Day(day_of(now)), Period::Month(month_of(now))];
        periods.map(|period| Scope::Mandate(period, self.id().to_owned()))
    }
}

/// What a mandate says of the token that goes along.
fn token_hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

impl Wallet {
    /// The key that signs this wallet's mandates, as text.
    pub fn giver(&self) -> String {
        jws::key_text(&giver_key(&self.seed).verifying_key())
    }

    /// The mandates that were taken in.
    pub fn mandates(&self) -> impl Iterator<Item = &Taken> {
        self.state.mandates.values()
    }

    /// The mandates that were given.
    pub fn given_mandates(&self) -> impl Iterator<Item = &Given> {
        self.state.given.values()
    }

    pub(crate) fn binding_mandates(&self) -> impl Iterator<Item = &Taken> {
        self.mandates().filter(|taken| taken.is_binding)
    }

    /// Whether a mandate binds this wallet.
    pub fn is_bound(&self) -> bool {
        self.binding_mandates().next().is_some()
    }

    /// Refuses what takes money out of a wallet that is bound and is not a payment.
    pub fn check_unbound(&self, what: &'static str) -> Result<(), MandateReject> {
        if self.is_bound() { Err(MandateReject::OnlyPayments(what)) } else { Ok(()) }
    }

    /// What is paid under a mandate so far.
    pub fn spent_under(&self, taken: &Taken, period: Period) -> farthing_money::Amount {
        self.spent(taken.mandate.unit, &Scope::Mandate(period, taken.id().to_owned()))
    }

    /// Whether a mandate may be taken in.
    pub fn check_taking(&self, taken: &Taken) -> Result<(), MandateReject> {
        if self.state.mandates.get(taken.id()).is_some_and(|other| other.is_binding || !taken.is_binding) {
            return Err(MandateReject::Taken(taken.id().to_owned()));
        }
        let bound = self.binding_mandates().next();
        match bound.filter(|bound| bound.giver != taken.giver) {
            Some(bound) => {
                Err(MandateReject::Giver { expected: bound.giver.clone(), got: taken.giver.clone() })
            }
            None => Ok(()),
        }
    }

    /// Takes a mandate in that brings no money along.
    pub fn take_mandate(&mut self, taken: Taken) -> Result<(), WalletError> {
        self.check_taking(&taken)?;
        self.commit(vec![Change::Put(self.taking(taken))])
    }

    /// The row of a mandate that is taken in. One that was used by single commands before keeps what was seen of it.
    pub(crate) fn taking(&self, taken: Taken) -> Row {
        let before = self.state.mandates.get(taken.id()).cloned();
        let taken = before.map_or(taken, |before| Taken { is_binding: true, ..before });
        Row::Mandate(Box::new(taken))
    }

    /// Signs a mandate and remembers it.
    pub fn give_mandate(
        &mut self,
        mut mandate: Mandate,
        token: Option<(String, u64)>,
    ) -> Result<Given, WalletError> {
        mandate.token = token.as_ref().map(|(token, _)| token_hash(token));
        let text = mandate.sign(&giver_key(&self.seed)).map_err(|error| malformed(&error))?;
        let given = Given { mandate, text, token, revoked: None };
        self.commit(vec![Change::Put(Row::Given(Box::new(given.clone())))])?;
        Ok(given)
    }

    /// A mandate that was given, by the beginning of its name.
    pub fn given_mandate(&self, id: &str) -> Result<Given, MandateReject> {
        let unknown = || MandateReject::Unknown(id.to_owned());
        let mut found =
            self.given_mandates().filter(|given| !id.is_empty() && given.mandate.id.starts_with(id));
        found.next().filter(|_| found.next().is_none()).cloned().ok_or_else(unknown)
    }

    /// A mandate that was taken in, by the beginning of its name.
    pub fn taken_mandate(&self, id: &str) -> Result<Taken, MandateReject> {
        let unknown = || MandateReject::Unknown(id.to_owned());
        let mut found = self.mandates().filter(|taken| !id.is_empty() && taken.id().starts_with(id));
        found.next().filter(|_| found.next().is_none()).cloned().ok_or_else(unknown)
    }

    /// Signs the end of a mandate that this wallet has given, and remembers it.
    pub fn revoke_mandate(&mut self, given: &Given, now: Timestamp) -> Result<MandateFile, WalletError> {
        let at = given.revoked.unwrap_or(now);
        let revocation = Revocation { mandate: given.mandate.id.clone(), at };
        let text = revocation.sign(&giver_key(&self.seed)).map_err(|error| malformed(&error))?;
        let given = Given { revoked: Some(at), ..given.clone() };
        self.commit(vec![Change::Put(Row::Given(Box::new(given)))])?;
        Ok(MandateFile::revocation(text))
    }

    /// Takes in that a mandate was taken back by its giver.
    pub fn end_mandate(&mut self, file: &MandateFile) -> Result<Taken, WalletError> {
        let missing = || MandateReject::Malformed("expected a revocation, got a mandate".into());
        let text = file.revocation.as_deref().ok_or_else(missing)?;
        let (revocation, key) = Revocation::verify_signer(text).map_err(|error| malformed(&error))?;
        let unknown = || MandateReject::Unknown(short(&revocation.mandate).to_owned());
        let taken = self.state.mandates.get(&revocation.mandate).cloned().ok_or_else(unknown)?;
        let got = jws::key_text(&key);
        if got != taken.giver {
            return Err(MandateReject::Giver { expected: taken.giver, got }.into());
        }
        let taken = Taken { revoked: Some(taken.revoked.unwrap_or(revocation.at)), ..taken };
        self.commit(vec![Change::Put(Row::Mandate(Box::new(taken.clone())))])?;
        Ok(taken)
    }
}

impl Given {
    /// The file that an agent's wallet takes in.
    pub fn file(&self) -> MandateFile {
        let token = self.token.as_ref().map(|(token, _)| token.clone());
        MandateFile { token, ..MandateFile::mandate(self.text.clone()) }
    }

    /// The whole of it.
    pub fn total(&self) -> Option<Money> {
        asset_of(self.mandate.unit).map(|asset| asset.money(self.mandate.total))
    }
}
