//! Calls on the escrow of channels: making those that the worker does not make, and telling them apart when one has failed.

use farthing_channel::seller::RefundPlan;
use farthing_channel::{BATCH_ESCROW, ChannelTerms, Salt, batch_call, batch_domain};
use farthing_engine::{Call, Movement};
use farthing_money::{Amount, Span, Timestamp};
use farthing_wire::x402::Reason;

use crate::abi;
use crate::chain::{ChainConfig, of_engine, to_engine};

/// How long a refund may wait for a cheaper block. Nothing is served through its channel meanwhile.
const REFUND_TIME: Span = Span::from_secs(3_600);

/// The struct of a channel's terms in the text of a function.
const TERMS: &str = "(address,address,address,address,address,uint40,bytes32)";

/// What a call on the escrow does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BatchStep {
    Deposit,
    Claim,
    Settle,
    Refund,
}

impl BatchStep {
    /// What a call of the outbox does; nothing if it does not call the escrow.
    pub(crate) fn of(call: &Call) -> Option<Self> {
        (of_engine(call.to) == BATCH_ESCROW).then_some(())?;
        let is = |text: &str| call.input.starts_with(&abi::selector(text));
        let claims = [
            format!("claim((({TERMS},uint128),bytes,uint128)[])"),
            format!("claimWithSignature((({TERMS},uint128),bytes,uint128)[],bytes)"),
        ];
        Some(if is(&deposit_text()) {
            Self::Deposit
        } else if is("settle(address,address)") {
            Self::Settle
        } else if claims.iter().any(|text| is(text)) {
            Self::Claim
        } else {
            // With its claim it is one of several.
            Self::Refund
        })
    }

    /// Its transaction has failed.
    pub(crate) const fn failed(self) -> Reason {
        match self {
            Self::Deposit => Reason::BatchDepositTransactionFailed,
            Self::Claim => Reason::BatchClaimTransactionFailed,
            Self::Settle => Reason::BatchSettleTransactionFailed,
            Self::Refund => Reason::BatchRefundTransactionFailed,
        }
    }

    /// The escrow would refuse it.
    pub(crate) const fn refused(self) -> Reason {
        match self {
            Self::Deposit => Reason::BatchDepositSimulationFailed,
            Self::Claim => Reason::BatchClaimSimulationFailed,
            Self::Settle => Reason::BatchSettleSimulationFailed,
            Self::Refund => Reason::BatchRefundSimulationFailed,
        }
    }

    /// Its time is over.
    pub(crate) const fn late(self) -> Reason {
        match self {
            Self::Deposit => Reason::BatchPayloadAuthorizationValidBefore,
            step => step.failed(),
        }
    }
}

/// The text of the function that takes deposits.
pub(crate) fn deposit_text() -> String {
    format!("deposit({TERMS},uint128,address,bytes)")
}

/// The terms with which a row of a call begins.
pub(crate) fn terms_of_row(row: &[u8]) -> Option<ChannelTerms> {
    let address = |place| abi::word(row, place)?.to_address();
    Some(ChannelTerms {
        payer: address(0)?,
        payer_authorizer: address(1)?,
        receiver: address(2)?,
        receiver_authorizer: address(3)?,
        token: address(4)?,
        withdraw_delay: u32::try_from(abi::word(row, 5)?.to_u64()?).ok()?,
        salt: Salt::from_bytes(*abi::word(row, 6)?.as_bytes()),
    })
}

/// What gives a payer money back, after what it still owes was claimed. It is sent by our own account, which is the receiver's
/// authorizer. Nothing if the voucher that is to be claimed is not signed by whom the channel names.
pub(crate) fn refund(
    chain: &ChainConfig,
    terms: &ChannelTerms,
    plan: &RefundPlan,
    now: Timestamp,
) -> Option<Call> {
    let refund = batch_call::refund(terms, plan.amount);
    let input = match &plan.claim {
        Some(row) => {
            let row = row.clone().mended(&batch_domain(chain.id))?;
            batch_call::multicall(&[batch_call::claim(&[row]), refund])
        }
        None => refund,
    };
    let (token, to, payer) = (to_engine(terms.token), to_engine(BATCH_ESCROW), to_engine(terms.payer));
    // What it moves is seen on the chain afterwards.
    let moves = Movement { token, from: to, to: payer, units: Amount::ZERO };
    Some(Call { chain: chain.id.number(), to, input, moves, until: now.after(REFUND_TIME), approval: None })
}
