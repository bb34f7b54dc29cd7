//! What a payer signs for a channel, his vouchers and deposits, and what his seller orders by it.

use farthing_channel::{
    AUTHORIZATION_COLLECTOR, Address, AuthorizedDeposit, ChannelId, ChannelTerms, Domain, PERMIT2_COLLECTOR,
    PermittedDeposit, Salt, Voucher, Word, batch_domain, permit2,
};
use farthing_money::Amount;
use farthing_wire::x402::TokenPermissions;
use farthing_wire::x402::batch::{
    ClaimFields, ClaimPayload, ClaimVoucher, Deposit, DepositAuthorization, DepositPayload, DepositPermit2,
    DepositReceive, DepositWitness, FacilitatorPayload, RefundOrder, VoucherFields,
};
use farthing_wire::x402::hex_text::HexText;

use super::pier::{CONFIG, config_text, session, signature, text};
use super::{CHAIN, payee, payer, submitter};

/// Channels of the payer that differ in their salt.
pub struct Drafts {
    pub token: Address,
    /// When the deposits' authorizations end.
    pub until: u64,
}

impl Drafts {
    pub fn terms(&self, salt: u8) -> ChannelTerms {
        ChannelTerms {
            payer: payer().address(),
            payer_authorizer: session().address(),
            receiver: payee(),
            receiver_authorizer: submitter().address(),
            token: self.token,
            withdraw_delay: CONFIG.withdraw_delay,
            salt: Salt::from_bytes([salt; 32]),
        }
    }

    pub fn id(&self, salt: u8) -> ChannelId {
        self.terms(salt).id(&batch_domain(CHAIN))
    }

    /// A voucher for so much in all.
    pub fn voucher(&self, salt: u8, total: u128) -> VoucherFields {
        let (channel, cumulative) = (self.id(salt), Amount::new(total));
        let digest = Voucher { channel, cumulative }.batch_digest(&batch_domain(CHAIN));
        VoucherFields {
            channel_id: HexText(*channel.as_bytes()),
            max_claimable_amount: cumulative.into(),
            signature: signature(&session().sign(&digest).to_bytes()),
        }
    }

    /// A deposit of so much with a voucher of so much.
    fn deposit(
        &self,
        salt: u8,
        amount: u128,
        total: u128,
        authorization: DepositAuthorization,
    ) -> DepositPayload {
        DepositPayload {
            channel_config: config_text(&self.terms(salt)),
            voucher: self.voucher(salt, total),
            deposit: Deposit { amount: Amount::new(amount).into(), authorization },
        }
    }

    /// A deposit by EIP-3009.
    pub fn receive(&self, salt: u8, amount: u128, total: u128, nonce: u8) -> DepositPayload {
        let deposit = AuthorizedDeposit {
            amount: Amount::new(amount),
            valid_after: Word::ZERO,
            valid_before: Word::from(self.until),
            salt: Salt::from_bytes([nonce; 32]),
        };
        let domain = Domain::new("USDC", Some("2"), CHAIN, Some(self.token));
        let authorization = deposit.authorization(payer().address(), self.id(salt));
        assert_eq!(authorization.to, AUTHORIZATION_COLLECTOR);
        let signed = payer().sign(&authorization.receive_digest(&domain)).to_bytes();
        let receive = DepositReceive {
            valid_after: 0_u64.into(),
            valid_before: self.until.into(),
            salt: HexText([nonce; 32]),
            signature: signature(&signed),
        };
        self.deposit(salt, amount, total, DepositAuthorization::Eip3009(receive))
    }

    /// A deposit by Permit2.
    pub fn permit(&self, salt: u8, amount: u128, total: u128, nonce: u64) -> DepositPayload {
        let channel = self.id(salt);
        let deposit = PermittedDeposit {
            amount: Amount::new(amount),
            nonce: Word::from(nonce),
            deadline: Word::from(self.until),
        };
        let digest = deposit.transfer(self.token, channel).digest(&permit2::domain(CHAIN));
        let permit = DepositPermit2 {
            from: text(payer().address()),
            permitted: TokenPermissions { token: text(self.token), amount: Amount::new(amount).into() },
            spender: text(PERMIT2_COLLECTOR),
            nonce: nonce.into(),
            deadline: self.until.into(),
            witness: DepositWitness { channel_id: HexText(*channel.as_bytes()) },
            signature: signature(&payer().sign(&digest).to_bytes()),
        };
        self.deposit(salt, amount, total, DepositAuthorization::Permit2(permit))
    }

    /// A row of a claim: so much in all, under a voucher of so much.
    pub fn row(&self, salt: u8, ceiling: u128, total: u128) -> ClaimFields {
        let VoucherFields { max_claimable_amount, signature, .. } = self.voucher(salt, ceiling);
        let voucher = ClaimVoucher { channel: config_text(&self.terms(salt)), max_claimable_amount };
        ClaimFields { voucher, signature, total_claimed: Amount::new(total).into() }
    }

    /// A refund that nobody has signed, with the voucher that it leaves.
    pub fn refund(&self, salt: u8, amount: u128, nonce: u64, voucher: u128) -> RefundOrder {
        RefundOrder {
            channel_config: config_text(&self.terms(salt)),
            voucher: self.voucher(salt, voucher),
            amount: Amount::new(amount).into(),
            refund_nonce: nonce.into(),
            claims: vec![],
            refund_authorizer_signature: None,
            claim_authorizer_signature: None,
        }
    }
}

/// An order of these claims that nobody has signed.
pub fn claim(rows: Vec<ClaimFields>) -> FacilitatorPayload {
    FacilitatorPayload::Claim(ClaimPayload { claims: rows, claim_authorizer_signature: None })
}
