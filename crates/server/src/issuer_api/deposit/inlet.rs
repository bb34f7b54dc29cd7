//! Mint quotes that take a plain transfer: they say where to and how much, and are written down when their address is told, so
//! that somebody looks there. One whose row was forgotten, or is lost, is written down again when somebody asks for it.

use farthing_engine::{Answer, Command, MintQuoteRow, OpenInlet, QuoteId};
use farthing_money::{Span, Timestamp};
use tracing::debug;

use super::super::body;
use super::super::quote::Minting;
use super::super::{Issuer, IssuerError};
use super::places::{Asker, PLACES};

/// How long an address is looked at after its quote has ended, or was asked for.
const AFTERWARDS: Span = Span::from_secs(6 * 3600);
/// When less is left, asking makes it longer.
const LEFT: Span = Span::from_secs(3600);
/// When to ask again while there is no place.
const RETRY_SECS: u64 = 60;

impl Issuer {
    /// Has the address of a new quote looked at; the quote as it is written down.
    pub(super) async fn open_inlet(
        &self,
        (id, row, since): (QuoteId, &MintQuoteRow, Timestamp),
        asker: &Asker,
    ) -> Result<MintQuoteRow, IssuerError> {
        if self.inlet(id, row).is_none() {
            let detail = "no token here is taken by a plain transfer; leave \"transfer\" out and pay at the quote's request";
            return Err(IssuerError::malformed(detail));
        }
        let until = row.expires_at.unwrap_or(since).after(AFTERWARDS);
        self.take_place(asker, until)?;
        let terms = Box::new(row.clone());
        let command = OpenInlet { quote: id, terms, since, until, search: Vec::new() };
        let answer = self.execute.execute(Command::OpenInlet(command)).await?;
        let Answer::MintQuote(_, row) = answer else {
            return Err(IssuerError::internal("a mint quote was expected of the engine"));
        };
        self.look();
        Ok(*row)
    }

    /// Has the address of a quote looked at that somebody asks for: longer if it is over soon, and all blocks since it was told if
    /// nobody looks any more. Whether somebody looks at it now; the quote is told as it stands in any case.
    pub(in crate::issuer_api) async fn look_again(&self, minting: &Minting, asker: &Asker) -> bool {
        match self.try_to_look_again(minting, asker).await {
            Ok(()) => true,
            Err(error) => {
                debug!(?error, "the address of a quote that was asked for is not looked at longer");
                matches!(self.read.inlet(minting.id), Ok(Some(_)))
            }
        }
    }

    async fn try_to_look_again(&self, minting: &Minting, asker: &Asker) -> Result<(), IssuerError> {
        let (Some(since), true) = (minting.since, minting.row.inlet) else { return Ok(()) };
        let Some(inlet) = self.inlet(minting.id, &minting.row) else { return Ok(()) };
        let now = self.now();
        let known = self.read.inlet(minting.id)?;
        let search = match known {
            Some(known) if known.until > now.after(LEFT) => return Ok(()),
            Some(_) => Vec::new(),
            None => inlet.ways.iter().map(|way| way.chain).collect(),
        };
        let until = now.after(AFTERWARDS);
        self.take_place(asker, until)?;
        let terms = Box::new(minting.row.clone());
        let command = OpenInlet { quote: minting.id, terms, since, until, search };
        self.execute.execute(Command::OpenInlet(command)).await?;
        self.look();
        Ok(())
    }

    fn look(&self) {
        if let Some(chains) = &self.chains {
            chains.look();
        }
    }

    /// Takes one of the places. An address whose time is over takes none, though something may lie there.
    fn take_place(&self, asker: &Asker, until: Timestamp) -> Result<(), IssuerError> {
        let now = self.now();
        let taken = self.read.inlets()?.into_iter().filter(|(_, inlet)| inlet.until > now).count();
        let detail = if taken >= PLACES {
            "too many quotes wait for a transfer; pay at the quote's request, or ask again later"
        } else if !self.places.take(asker, until, now) {
            "too many quotes that were asked for from this network address wait for a transfer; pay at the quote's request, or ask again later"
        } else {
            return Ok(());
        };
        Err(IssuerError::no_place(detail, RETRY_SECS))
    }

    fn inlet(&self, id: QuoteId, row: &MintQuoteRow) -> Option<farthing_gate::chain::Inlet> {
        let left = row.amount.checked_sub(row.paid).filter(|left| !left.is_zero()).unwrap_or(row.amount);
        self.chains.as_ref()?.inlet(id, row.asset.money(left))
    }

    /// Where a quote takes a transfer, and what is still missing.
    pub(in crate::issuer_api) fn shown_transfer(
        &self,
        id: QuoteId,
        row: &MintQuoteRow,
    ) -> Option<body::Transfer> {
        let inlet = row.inlet.then(|| self.inlet(id, row))??;
        let address = inlet.address.to_string();
        let way = |way: &farthing_gate::chain::Transfer| body::TransferWay {
            chain_id: way.chain,
            token: way.token.to_string(),
            symbol: way.symbol.clone(),
            units: way.units.to_string(),
            uri: uri(way, &address),
        };
        Some(body::Transfer { ways: inlet.ways.iter().map(way).collect(), address })
    }
}

/// The transfer as wallets read it from a QR code (EIP-681).
fn uri(way: &farthing_gate::chain::Transfer, to: &str) -> String {
    format!("ethereum:{}@{}/transfer?address={to}&uint256={}", way.token, way.chain, way.units)
}
