//! What payers are told of a payment that a chain has settled.

use farthing_engine::{Outcome, SettlementRow};
use farthing_money::Timestamp;
use farthing_wire::mpp;
use farthing_wire::mpp::evm;
use farthing_wire::x402::{Bytes32Text, Reason, SettleResponse, Uint, eip155_network};

/// A settled payment: by which transaction, on which chain, whose, and how many units.
#[derive(Clone, Debug)]
pub struct Settled {
    network: String,
    transaction: Bytes32Text,
    payer: String,
    units: Uint,
}

impl Settled {
    /// What the books say of a call that has ended; nothing if no money has moved.
    pub fn of(row: &SettlementRow) -> Option<Self> {
        let Outcome::Settled { transaction, .. } = &row.outcome else { return None };
        let moves = &row.row.call.moves;
        Some(Self {
            network: eip155_network(row.row.call.chain),
            transaction: farthing_wire::x402::hex_text::HexText(*transaction.as_bytes()),
            payer: farthing_channel::Address::from_bytes(*moves.from.as_bytes()).to_string(),
            units: moves.units.into(),
        })
    }

    /// The value of `PAYMENT-RESPONSE`.
    pub fn response(&self) -> SettleResponse {
        let payer = Some(self.payer.clone());
        let mut response = SettleResponse::settled(&self.network, self.transaction.to_string(), payer);
        response.amount = Some(self.units.clone());
        response
    }

    /// The receipt of MPP's method `evm`.
    pub fn mpp_receipt(&self, at: Timestamp) -> mpp::Receipt {
        evm::receipt(self.transaction, at)
    }
}

/// The value of `PAYMENT-RESPONSE` for a payment that was not settled, or not yet.
pub fn unsettled(network: &str, reason: &str) -> Option<String> {
    let message = (reason == Reason::SettlementPending.as_str()).then(|| {
        "the outcome is not known yet; send the same request with the same payment again".to_owned()
    });
    SettleResponse::failed(network, reason, message).to_header().ok()
}
