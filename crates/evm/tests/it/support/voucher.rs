//! Payments on a stage as the gate makes them: held by whatever pays, and charged by a voucher.

use farthing_channel::seller::Presented;
use farthing_channel::{ChannelTerms, Digest, PublicKey, Voucher, batch_domain};
use farthing_engine::{
    ChargeVoucher, Chart, Command, Funds, HeldVoucher, Hold, Marks, PaymentId, Read, Reject, RequestTag,
};
use farthing_ledger::AccountId;
use farthing_money::Amount;

use super::{CHAIN, Stage, submitter, usd};

/// Who is paid.
pub fn shop() -> AccountId {
    Chart::of(usd()).merchant("shop").id()
}

impl Stage {
    /// Holds a payment for a page of the shop.
    pub fn hold(&self, payment: PaymentId, funds: Funds, price: Amount) -> Result<(), Reject> {
        let hold = Hold {
            payment,
            funds,
            price,
            asset: usd(),
            merchant: shop().into(),
            resource: "/page".into(),
            tag: RequestTag::from_bytes([0; 16]),
            tax_code: None,
            marks: Marks::default(),
        };
        self.desk.run(&Command::Hold(hold)).map(|_| ())
    }

    /// Charges so much by the next voucher of a channel, which is verified by a key that is known, or by what it is signed with.
    pub fn charge_voucher(
        &self,
        terms: ChannelTerms,
        price: Amount,
        known: Option<PublicKey>,
        sign: impl FnOnce(&Digest) -> [u8; 65],
    ) -> Result<(), Reject> {
        let batch = batch_domain(CHAIN);
        let channel = terms.id(&batch);
        let row = self.desk.channel(channel).unwrap().unwrap();
        let (base, accounts) = (row.books.charged(), row.accounts);
        let ceiling = base.checked_add(price).unwrap();
        let signature = sign(&Voucher { channel, cumulative: ceiling }.batch_digest(&batch));
        let presented = Presented { terms, channel, ceiling, signature: &signature };
        let voucher = HeldVoucher {
            voucher: presented.prove(&batch, known).unwrap(),
            price,
            offer: self.chain.channel_terms(&self.chain.tokens[0], submitter().address()).unwrap(),
            owed_elsewhere: Amount::ZERO,
            accounts,
        };
        let payment = PaymentId::of_voucher(channel, base, ceiling);
        self.hold(payment, Funds::Voucher(Box::new(voucher)), price)?;
        let charge = ChargeVoucher {
            payment,
            channel,
            accounts,
            merchant: shop().into(),
            asset: usd(),
            charged: price,
            pass_until: None,
            marks: Marks::default(),
        };
        self.desk.run(&Command::ChargeVoucher(charge)).map(|_| ())
    }

    /// What the escrow, what is claimed, the payers, what is lost, the reserve and the shop have.
    pub fn channel_books(&self) -> [i128; 6] {
        let accounts = self.chain.channel_accounts(&self.chain.tokens[0]);
        let has = |id| self.desk.credit_balance(id);
        [
            -has(accounts.escrow),
            -has(accounts.claimed),
            has(accounts.payers),
            -has(accounts.lost),
            -has(accounts.reserve),
            has(shop()),
        ]
    }
}
