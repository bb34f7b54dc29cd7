//! The names of rows. Each is its own type, so that one is never taken for another.

use farthing_channel::ChannelId;
use farthing_money::{Amount, Timestamp, byte_id};
use sha2::{Digest, Sha256};

byte_id!(
    /// A credit when it is spent: `Y = hash_to_curve(secret)`, compressed (NUT-00, NUT-07).
    CreditId,
    33
);
byte_id!(
    /// A blinded output `B_`, compressed (NUT-00).
    OutputId,
    33
);
byte_id!(
    /// A payment: derived from the credential, so that the same credential is the same payment.
    PaymentId,
    32
);
byte_id!(
    /// A mint or melt quote: random, known only to who asked for it.
    QuoteId,
    16
);
byte_id!(
    /// A top-up code: the SHA-256 of its text. The text itself is never stored.
    CodeId,
    32
);
byte_id!(
    /// What a request asked for, so that its repetition is told from another one with the same credits.
    RequestTag,
    16
);
byte_id!(
    /// A call on a chain: derived from what it does, so that the same call is made once.
    CallId,
    32
);
byte_id!(
    /// An account that sends transactions on a chain.
    SenderId,
    32
);
byte_id!(
    /// A transaction on a chain, by its hash.
    TransactionId,
    32
);
byte_id!(
    /// One movement on a chain: a transaction, and which of its logs says so.
    LogId,
    32
);
byte_id!(
    /// An account or a contract on a chain.
    ChainAddress,
    20
);

byte_id!(
    /// Who is paid through channels, in one token on one chain.
    ReceiverId,
    32
);
byte_id!(
    /// A payer's own name for a payment: a code of it that only the gate's secret makes.
    NameId,
    32
);
byte_id!(
    /// Who has paid for what: a code of an account and of what a pass for it opens, that only the gate's secret makes.
    AccessId,
    32
);
byte_id!(
    /// A fare: a code of the payment that began it, that only the gate's secret makes.
    FareId,
    32
);

byte_id!(
    /// A signed text that was published: what kind it is of, and which one of that kind.
    StatementId,
    16
);

/// What a published text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatementKind {
    /// The journal's head at the end of a day.
    DayHead,
    /// What a closed period came to.
    Close,
    /// What a keyset had issued and redeemed at the end of an epoch.
    Liabilities,
}

impl StatementKind {
    const fn byte(self) -> u8 {
        match self {
            Self::DayHead => 1,
            Self::Close => 2,
            Self::Liabilities => 3,
        }
    }

    /// The first id that a statement of this kind can have. Ids of one kind are in the order of their numbers.
    pub fn first(self) -> StatementId {
        StatementId::new(self, 0, 0)
    }
}

impl StatementId {
    fn new(kind: StatementKind, number: u64, part: u32) -> Self {
        let bytes = [kind.byte()].into_iter().chain(number.to_be_bytes()).chain(part.to_be_bytes());
        let mut id = [0; 16];
        id.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        Self::from_bytes(id)
    }

    /// The head at the end of a day, counted in days since 1970-01-01 (UTC).
    pub fn day_head(day: u64) -> Self {
        Self::new(StatementKind::DayHead, day, 0)
    }

    /// The close of the period that ended then.
    pub fn close(until: Timestamp) -> Self {
        Self::new(StatementKind::Close, until.secs(), 0)
    }

    /// The liabilities of a keyset, by its index, at the end of an epoch.
    pub fn liabilities(epoch: u32, keyset: u32) -> Self {
        Self::new(StatementKind::Liabilities, u64::from(epoch), keyset)
    }

    /// Its kind; nothing if it is of a later version.
    pub fn kind(self) -> Option<StatementKind> {
        let [kind, ..] = *self.as_bytes();
        [StatementKind::DayHead, StatementKind::Close, StatementKind::Liabilities]
            .into_iter()
            .find(|known| known.byte() == kind)
    }
}

impl PaymentId {
    /// SHA-256 over the credits of a credential in ascending order: neither their order nor the dialect matters.
    pub fn of_credits(credits: &[CreditId]) -> Self {
        let mut sorted = credits.to_vec();
        sorted.sort_unstable();
        let mut hash = Sha256::new().chain_update(b"farthing/payment/1");
        for credit in sorted {
            hash.update(credit.as_bytes());
        }
        Self::from_bytes(hash.finalize().into())
    }

    /// The payment of an authorization that a chain takes once: by whom, and by which number that the contract which keeps
    /// count of such numbers takes once. What it is written like does not matter.
    pub fn of_authorization(
        chain: u64,
        counter: ChainAddress,
        payer: ChainAddress,
        nonce: &[u8; 32],
    ) -> Self {
        let chain = chain.to_be_bytes();
        let parts = [&chain[..], counter.as_bytes(), payer.as_bytes(), nonce];
        Self::from_bytes(hash_of_parts("farthing/payment/chain/1", parts))
    }

    /// The payment that a voucher makes. The same voucher is another payment when something else was charged before it: it
    /// allows a sum in all, and what is left of that depends on what went before.
    pub fn of_voucher(channel: ChannelId, base: Amount, cumulative: Amount) -> Self {
        let (base, cumulative) = (base.value().to_be_bytes(), cumulative.value().to_be_bytes());
        let parts = [&channel.as_bytes()[..], &base[..], &cumulative[..]];
        Self::from_bytes(hash_of_parts("farthing/payment/voucher/1", parts))
    }

    /// The payment that pays a melt quote out on a chain after so many have failed. A quote has one at a time, and each has a
    /// name of its own, so that what is said of one is never taken for another.
    pub fn of_withdrawal(quote: QuoteId, failed: u32) -> Self {
        let failed = failed.to_be_bytes();
        Self::from_bytes(hash_of_parts("farthing/payment/withdrawal/1", [&quote.as_bytes()[..], &failed[..]]))
    }
}

impl CallId {
    /// The call that settles a payment: there is one at the most.
    pub fn of_payment(payment: PaymentId) -> Self {
        Self::from_bytes(*payment.as_bytes())
    }

    /// The payment that it settles, if it settles one.
    pub fn if_of_payment(self) -> PaymentId {
        PaymentId::from_bytes(*self.as_bytes())
    }

    /// The call that puts a payment's money into escrow.
    pub fn of_authorize(payment: PaymentId) -> Self {
        Self::of_parts("farthing/escrow/authorize/1", [&payment.as_bytes()[..]])
    }

    /// The call that gives back what is left of a payment in escrow.
    pub fn of_void(payment: PaymentId) -> Self {
        Self::of_parts("farthing/escrow/void/1", [&payment.as_bytes()[..]])
    }

    /// A call that is made for nobody's payment here, named by what it is about; each part is preceded by its length.
    pub fn of_parts<'a>(domain: &str, parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self::from_bytes(hash_of_parts(domain, parts))
    }
}

impl SenderId {
    /// Who sends, on which chain.
    pub fn of(chain: u64, sender: ChainAddress) -> Self {
        let chain = chain.to_be_bytes();
        Self::from_bytes(hash_of_parts("farthing/sender/1", [&chain[..], sender.as_bytes()]))
    }
}

impl ReceiverId {
    /// Who is paid, in which token, on which chain.
    pub fn of(chain: u64, receiver: ChainAddress, token: ChainAddress) -> Self {
        let chain = chain.to_be_bytes();
        let parts = [&chain[..], receiver.as_bytes(), token.as_bytes()];
        Self::from_bytes(hash_of_parts("farthing/receiver/1", parts))
    }
}

impl LogId {
    /// The log at this place among those of a transaction. A transaction is signed for one chain.
    pub fn of(transaction: TransactionId, place: u64) -> Self {
        let place = place.to_be_bytes();
        Self::from_bytes(hash_of_parts("farthing/log/1", [&transaction.as_bytes()[..], &place[..]]))
    }
}

impl CodeId {
    /// The id of a code.
    pub fn of_text(code: &str) -> Self {
        Self::from_bytes(farthing_ecash::code::hash(code))
    }
}

impl RequestTag {
    /// The tag of a request made of these parts; each is preceded by its length.
    pub fn of_parts<'a>(domain: &str, parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(hash_of_parts(domain, parts)).for_each(|(to, from)| *to = from);
        Self::from_bytes(bytes)
    }
}

/// SHA-256 over parts, each preceded by its length.
pub(crate) fn hash_of_parts<'a>(domain: &str, parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hash = Sha256::new().chain_update(domain).chain_update([0]);
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_credits_does_not_make_another_payment() {
        let (a, b) = (CreditId::from_bytes([2; 33]), CreditId::from_bytes([3; 33]));
        assert_eq!(PaymentId::of_credits(&[a, b]), PaymentId::of_credits(&[b, a]));
        assert_ne!(PaymentId::of_credits(&[a]), PaymentId::of_credits(&[a, b]));
    }

    #[test]
    fn statements_are_in_the_order_of_their_numbers() {
        let ids = [
            StatementKind::DayHead.first(),
            StatementId::day_head(3),
            StatementId::day_head(300),
            StatementId::close(Timestamp::from_secs(1)),
            StatementId::liabilities(1, 9),
            StatementId::liabilities(2, 0),
        ];
        assert!(ids.is_sorted());
        assert_eq!(ids[3].kind(), Some(StatementKind::Close));
        assert_eq!(StatementId::from_bytes([9; 16]).kind(), None);
    }

    #[test]
    fn parts_do_not_run_together() {
        let tag = |parts: &[&[u8]]| RequestTag::of_parts("t", parts.iter().copied());
        assert_ne!(tag(&[b"ab", b"c"]), tag(&[b"a", b"bc"]));
    }
}
