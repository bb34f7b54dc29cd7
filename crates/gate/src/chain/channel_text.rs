//! Channels between the words of x402 and those of the rules: what a payer names, and what he is told.

use farthing_channel::seller::{ChannelOnChain, KeptVoucher, Refused};
use farthing_channel::{ChannelId, ChannelTerms, Word};
use farthing_engine::CallId;
use farthing_money::Amount;
use farthing_wire::x402::batch::{
    ChannelConfig, ChannelStateText, DepositAuthorization, DepositPayload, VoucherStateText,
};
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::{SignatureText, Uint};

/// The terms that a payer names; refused if no channel can have them.
pub fn terms(config: &ChannelConfig) -> Result<ChannelTerms, Refused> {
    ChannelTerms::from_parts(config.parts()).ok_or(Refused::WithdrawDelayOutOfRange)
}

/// Where a channel stands: what the chain has said, and what was charged.
pub fn state(channel: ChannelId, chain: &ChannelOnChain, charged: Amount) -> ChannelStateText {
    ChannelStateText {
        channel_id: HexText(*channel.as_bytes()),
        balance: chain.balance.into(),
        total_claimed: chain.claimed.into(),
        withdraw_requested_at: chain.withdraw_since.unwrap_or_default(),
        refund_nonce: number(chain.refund_nonce),
        charged_cumulative_amount: Some(charged.into()),
    }
}

/// A payer's own voucher, for him to know it again; nothing if its signature is longer than is sent.
pub fn voucher(kept: &KeptVoucher) -> Option<VoucherStateText> {
    let signature = SignatureText::new(kept.signature.clone())?;
    Some(VoucherStateText { signed_max_claimable: Some(kept.ceiling.into()), signature: Some(signature) })
}

/// The call that carries a deposit: the same deposit, sent again, is the same call.
pub fn deposit_call(channel: ChannelId, deposit: &DepositPayload) -> CallId {
    let (kind, nonce) = match &deposit.deposit.authorization {
        DepositAuthorization::Eip3009(receive) => (&b"eip3009"[..], receive.salt.0.to_vec()),
        DepositAuthorization::Permit2(permit) => (&b"permit2"[..], permit.nonce.as_str().as_bytes().to_vec()),
    };
    CallId::of_parts("farthing/channel/deposit/1", [&channel.as_bytes()[..], kind, &nonce])
}

/// The call that gives a payer money back. The escrow numbers them, so that each is made once.
pub fn refund_call(channel: ChannelId, number: Word, asked: Option<Amount>) -> CallId {
    let asked = asked.map(|asked| asked.value().to_be_bytes().to_vec()).unwrap_or_default();
    CallId::of_parts("farthing/channel/refund/1", [&channel.as_bytes()[..], number.as_bytes(), &asked])
}

fn number(word: Word) -> Uint {
    word.to_string().parse().unwrap_or_else(|_| Uint::zero())
}

#[cfg(test)]
mod tests {
    use farthing_wire::x402::Reason;

    use super::*;

    #[test]
    fn every_refusal_of_the_rules_is_one_that_x402_knows() {
        for refused in Refused::ALL {
            assert_eq!(refused.reason().parse::<Reason>().map(Reason::as_str), Ok(refused.reason()));
        }
    }

    #[test]
    fn a_delay_beyond_all_is_refused_and_not_cut() {
        let accounts = [1, 2, 3, 4, 5].map(|byte| [byte; 20]);
        let at = |withdraw_delay| ChannelConfig::from_parts((accounts, withdraw_delay, [6; 32]));
        assert_eq!(terms(&at(900)).map(|terms| terms.withdraw_delay), Ok(900));
        assert_eq!(terms(&at((1 << 32) + 900)), Err(Refused::WithdrawDelayOutOfRange));
    }

    #[test]
    fn numbers_of_256_bits_are_told_whole() {
        let chain =
            ChannelOnChain { refund_nonce: Word::from_bytes([0xff; 32]), ..ChannelOnChain::default() };
        let told = state(ChannelId::from_bytes([7; 32]), &chain, Amount::new(u128::MAX));
        assert_eq!(told.refund_nonce.as_str().len(), 78);
        assert_eq!(
            told.charged_cumulative_amount.and_then(|text| text.amount()),
            Some(Amount::new(u128::MAX))
        );
    }

    #[test]
    fn a_refund_of_everything_is_not_one_of_nothing() {
        let (channel, number) = (ChannelId::from_bytes([1; 32]), Word::ZERO);
        let calls =
            [None, Some(Amount::ZERO), Some(Amount::new(1))].map(|asked| refund_call(channel, number, asked));
        assert!(calls[0] != calls[1] && calls[1] != calls[2]);
    }
}
