//! Mint and melt quotes (NUT-04, NUT-05, NUT-20, NUT-23): method `code` for top-up codes, and `bolt11` that pays itself
//! where the configuration says `test_funding`. What is paid on chains is in `deposit` and `withdrawal`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use farthing_ecash::{BlindSignature, PublicKey};
use farthing_engine::{
    Answer, Chart, CodeId, Command, MeltQuoteRow, MintQuoteRow, OpenMeltQuote, OpenMintQuote, PaymentId,
    QuoteId, Reject,
};
use farthing_gate::chain::CreditTerms;
use farthing_money::{Amount, Asset, IdError, Span, Timestamp};

use super::deposit::places::Asker;
use super::extract::{Content, Named};
use super::trial::{AskedFrom, TRIAL};
use super::{Issuer, IssuerError, QUOTES_MOST, body, invoice, terms};
use crate::random::draw;

/// The method that top-up codes are.
pub(super) const CODE: &str = "code";
/// The method that wallets know, here without Lightning.
pub(super) const BOLT11: &str = "bolt11";

/// The method that money on a chain of the EVM is.
pub(super) const EVM: &str = "evm";

impl Issuer {
    /// The methods that are offered, for one unit at least.
    pub(super) fn methods(&self) -> Vec<&'static str> {
        let evm = self.assets.iter().any(|asset| self.credit_terms(asset).is_some());
        let test = self.about.test_funding.then_some(BOLT11);
        [CODE].into_iter().chain(test).chain(evm.then_some(EVM)).collect()
    }

    pub(super) fn method(&self, name: &str) -> Result<&'static str, IssuerError> {
        let methods = self.methods();
        let found = methods.iter().find(|method| **method == name).copied();
        found.ok_or_else(|| IssuerError::unknown_method(name, &methods.join(", ")))
    }

    /// On which terms credits of an asset are bought and sold on chains.
    pub(super) fn credit_terms(&self, asset: Asset) -> Option<CreditTerms> {
        self.chains.as_ref()?.credit_terms(asset)
    }

    pub(super) fn asset(&self, unit: &str) -> Result<Asset, IssuerError> {
        let known =
            || self.assets.iter().map(|asset| asset.unit().to_string()).collect::<Vec<_>>().join(", ");
        self.assets.by_unit(unit).ok_or_else(|| IssuerError::unknown_unit(unit, &known()))
    }

    /// The id in the books of a mint quote, by its text. There need not be such a quote.
    pub(super) fn mint_quote_id(&self, text: &str) -> Result<QuoteId, IdError> {
        let sealed = terms::evm::open_mint(&self.terms, text, &self.assets, &self.about.url);
        sealed.map_or_else(|| text.parse(), |sealed| Ok(sealed.id))
    }

    /// A mint quote by the text of its id: from its row, or from the id itself while it is unpaid.
    pub(super) fn read_mint_quote(&self, method: &str, text: &str) -> Result<Minting, IssuerError> {
        let sealed = terms::evm::open_mint(&self.terms, text, &self.assets, &self.about.url);
        let id = match &sealed {
            Some(sealed) => sealed.id,
            None => text.parse().map_err(|_| IssuerError::unknown_quote())?,
        };
        let since = sealed.as_ref().and_then(|sealed| sealed.since);
        let terms = sealed.map(|sealed| sealed.row);
        let row = self.read.mint_quote(id)?.or_else(|| terms.clone()).filter(|row| row.method == method);
        let row = row.ok_or_else(IssuerError::unknown_quote)?;
        Ok(Minting { text: text.to_owned(), id, row, terms, since })
    }

    /// A melt quote by the text of its id: from its row, or from the id itself while it is unpaid.
    pub(super) fn read_melt_quote(&self, method: &str, text: &str) -> Result<Melting, IssuerError> {
        let sealed = terms::melt(&self.terms, text, &self.assets);
        let id = match &sealed {
            Some((id, _)) => *id,
            None => text.parse().map_err(|_| IssuerError::unknown_quote())?,
        };
        let terms = sealed.map(|(_, row)| row);
        let row = self.read.melt_quote(id)?.or_else(|| terms.clone()).filter(|row| row.method == method);
        let row = row.ok_or_else(IssuerError::unknown_quote)?;
        Ok(Melting { text: text.to_owned(), id, row, terms })
    }
}

impl Issuer {
    /// The quote that a code was claimed by: only who holds the same key, or who needs none, may go on with it.
    fn claimed(&self, id: QuoteId, pubkey: Option<&str>) -> Result<MintQuoteRow, IssuerError> {
        let row = self.read.mint_quote(id)?.ok_or_else(IssuerError::unknown_quote)?;
        if row.pubkey.as_deref() == pubkey { Ok(row) } else { Err(Reject::CodeUsed.into()) }
    }
}

/// So short a quote would end before it could be paid.
pub(super) const LIFETIME_LEAST: Span = Span::from_secs(60);

pub(super) fn random_bytes<const N: usize>(issuer: &Issuer) -> Result<[u8; N], IssuerError> {
    draw(&issuer.random).map_err(|_| IssuerError::internal("the system gives no random bytes"))
}

pub(super) async fn open_mint(
    State(issuer): State<Arc<Issuer>>,
    Named(method): Named<String>,
    (asker, from): (Option<Extension<Asker>>, Option<Extension<AskedFrom>>),
    Content(body): Content,
) -> Result<Response, IssuerError> {
    let method = issuer.mint_method(&method)?;
    let request: body::MintQuoteRequest = body::read(&body)?;
    let asset = issuer.asset(&request.unit)?;
    let pubkey = request.pubkey.map(|key| key.parse::<PublicKey>()).transpose();
    let pubkey = pubkey.map_err(|error| IssuerError::malformed(format!("pubkey: {error}")))?;
    if method == EVM {
        let asker = asked_by(asker);
        let opened = issuer.open_deposit(asset, request.amount, pubkey, (request.transfer, &asker)).await?;
        let mut response = body::write(&opened)?;
        if request.transfer {
            // It is written down though nobody has paid.
            response.extensions_mut().insert(super::limit::Costly);
        }
        return Ok(response);
    }
    if method == TRIAL {
        let from = from.map(|Extension(from)| from).unwrap_or_default();
        return issuer.open_trial(asset, request.amount, (pubkey, from)).await;
    }
    let now = issuer.now();
    let quote = QuoteId::from_bytes(random_bytes(&issuer)?);
    let mut row = MintQuoteRow {
        method: method.to_owned(),
        request: String::new(),
        asset,
        amount: Amount::ZERO,
        paid: Amount::ZERO,
        issued: Amount::ZERO,
        source: Chart::of(asset).codes,
        code: None,
        pubkey: pubkey.map(|key| key.to_string()),
        expires_at: Some(now.after(issuer.quote_lifetime)),
        updated_at: now,
        tag: None,
        payment: None,
        inlet: false,
    };
    if method == CODE {
        let code = request.code.ok_or_else(|| {
            IssuerError::malformed("method \"code\" needs the member \"code\": the text of a top-up code")
        })?;
        let code = CodeId::of_text(&code);
        row.request = code.to_string();
        row.code = Some(code);
    } else {
        let amount = request.amount.filter(|amount| *amount > 0);
        let amount = amount.ok_or_else(|| {
            IssuerError::malformed("method \"bolt11\" needs the member \"amount\": a whole number above zero")
        })?;
        row.amount = Amount::from(amount);
        row.paid = row.amount;
        row.source = Chart::of(asset).test_funding;
        row.request =
            invoice::write(amount, now, quote.as_bytes(), request.description.as_deref().unwrap_or(""))?;
    }
    let answer = issuer.execute.execute(Command::OpenMintQuote(OpenMintQuote { quote, row })).await?;
    let Answer::MintQuote(id, row) = answer else {
        return Err(IssuerError::internal("a mint quote was expected of the engine"));
    };
    // A code that was claimed before answers with the id of the quote that has it.
    let row = if id == quote { *row } else { issuer.claimed(id, row.pubkey.as_deref())? };
    body::write(&issuer.shown_mint(&id.to_string(), id, &row))
}

pub(super) async fn mint_quote(
    State(issuer): State<Arc<Issuer>>,
    Named((method, quote)): Named<(String, String)>,
    asker: Option<Extension<Asker>>,
) -> Result<Response, IssuerError> {
    let minting = issuer.read_mint_quote(issuer.mint_method(&method)?, &quote)?;
    body::write(&issuer.asked_mint(&minting, &asked_by(asker)).await)
}

pub(super) async fn check_mint(
    State(issuer): State<Arc<Issuer>>,
    Named(method): Named<String>,
    asker: Option<Extension<Asker>>,
    Content(body): Content,
) -> Result<Response, IssuerError> {
    let (method, asker) = (issuer.mint_method(&method)?, asked_by(asker));
    let request: body::QuoteCheckRequest = body::read(&body)?;
    if request.quotes.len() > QUOTES_MOST {
        return Err(IssuerError::too_many("quotes", request.quotes.len(), QUOTES_MOST));
    }
    let mut quotes = Vec::with_capacity(request.quotes.len());
    for quote in &request.quotes {
        let minting = issuer.read_mint_quote(method, quote)?;
        quotes.push(issuer.asked_mint(&minting, &asker).await);
    }
    body::write(&quotes)
}

fn asked_by(asker: Option<Extension<Asker>>) -> Asker {
    asker.map(|Extension(asker)| asker).unwrap_or_default()
}

impl Issuer {
    /// A mint quote that is asked for: its address is looked at again, and told only if that is so.
    async fn asked_mint(&self, minting: &Minting, asker: &Asker) -> body::MintQuote {
        let is_looked_at = self.look_again(minting, asker).await;
        let shown = self.shown_mint(&minting.text, minting.id, &minting.row);
        body::MintQuote { transfer: shown.transfer.filter(|_| is_looked_at), ..shown }
    }

    /// A mint quote as it is shown, with where it takes a transfer.
    pub(super) fn shown_mint(&self, text: &str, id: QuoteId, row: &MintQuoteRow) -> body::MintQuote {
        body::MintQuote { transfer: self.shown_transfer(id, row), ..shown_mint(text, row) }
    }
}

/// The one word of NUT-04 for how a quote stands. What came in parts is no state: `amount_paid` and `amount_issued` tell of it.
fn state(row: &MintQuoteRow) -> &'static str {
    if !row.issued.is_zero() && row.paid <= row.issued {
        "ISSUED"
    } else if !row.paid.is_zero() && row.paid >= row.amount {
        "PAID"
    } else {
        "UNPAID"
    }
}

/// A mint quote as NUT-04 and NUT-23 write it.
fn shown_mint(id: &str, row: &MintQuoteRow) -> body::MintQuote {
    let short = |amount: Amount| amount.to_u64().unwrap_or(u64::MAX);
    body::MintQuote {
        state: state(row),
        transfer: None,
        quote: id.to_owned(),
        request: row.request.clone(),
        unit: row.asset.unit().to_string(),
        method: row.method.clone(),
        amount: short(row.amount),
        amount_paid: short(row.paid),
        amount_issued: short(row.issued),
        updated_at: row.updated_at.secs(),
        expiry: row.expires_at.map(Timestamp::secs),
        pubkey: row.pubkey.clone(),
    }
}

pub(super) async fn open_melt(
    State(issuer): State<Arc<Issuer>>,
    Named(method): Named<String>,
    Content(body): Content,
) -> Result<Response, IssuerError> {
    let method = issuer.method(&method)?;
    let request: body::MeltQuoteRequest = body::read(&body)?;
    let asset = issuer.asset(&request.unit)?;
    if method == EVM {
        return body::write(&issuer.open_withdrawal(asset, &request)?);
    }
    let (amount, target, code) = if method == CODE {
        let code: CodeId = request.request.parse().map_err(|error: IdError| {
            IssuerError::malformed(format!(
                "request: {error}: the hash of the top-up code that is to be funded"
            ))
        })?;
        let amount = request
            .amount
            .ok_or_else(|| IssuerError::malformed("method \"code\" needs the member \"amount\""))?;
        if issuer.read.code(code)?.is_some() {
            return Err(Reject::CodeExists(code).into());
        }
        (amount, Chart::of(asset).codes, Some(code))
    } else {
        (invoice::amount(&request.request)?, Chart::of(asset).test_funding, None)
    };
    if amount == 0 {
        return Err(IssuerError::malformed("the amount must be above zero"));
    }
    let lifetime = issuer.quote_lifetime.max(LIFETIME_LEAST);
    let row = MeltQuoteRow {
        method: method.to_owned(),
        request: request.request,
        asset,
        amount: Amount::from(amount),
        fee: Amount::ZERO,
        target,
        code,
        expires_at: issuer.now().after(lifetime),
        paid: None,
        failed: 0,
    };
    if method == CODE {
        let salt = random_bytes(&issuer)?;
        let id = terms::code::seal(&issuer.terms, &row, salt)
            .ok_or_else(|| IssuerError::internal("no quote can be made"))?;
        return body::write(&shown_melt(&id, &row, false, None));
    }
    let quote = QuoteId::from_bytes(random_bytes(&issuer)?);
    issuer.execute.execute(Command::OpenMeltQuote(OpenMeltQuote { quote, row: row.clone() })).await?;
    body::write(&shown_melt(&quote.to_string(), &row, false, None))
}

pub(super) async fn melt_quote(
    State(issuer): State<Arc<Issuer>>,
    Named((method, quote)): Named<(String, String)>,
) -> Result<Response, IssuerError> {
    let Melting { text, id, row, .. } = issuer.read_melt_quote(issuer.method(&method)?, &quote)?;
    body::write(&issuer.melt_with_change((&text, id), &row).await?)
}

/// A mint quote as it was found.
pub(super) struct Minting {
    /// Its id, as it was told to who opened it.
    pub(super) text: String,
    /// Its id in the books.
    pub(super) id: QuoteId,
    /// How it stands.
    pub(super) row: MintQuoteRow,
    /// Its terms, if they stand in its id.
    pub(super) terms: Option<MintQuoteRow>,
    /// When its address was told, if it takes transfers.
    pub(super) since: Option<Timestamp>,
}

/// A melt quote as it was found.
pub(super) struct Melting {
    /// Its id, as it was told to who opened it.
    pub(super) text: String,
    /// Its id in the books.
    pub(super) id: QuoteId,
    /// How it stands.
    pub(super) row: MeltQuoteRow,
    /// Its terms, if they stand in its id.
    pub(super) terms: Option<MeltQuoteRow>,
}

impl Issuer {
    /// Whether a melt quote is being paid out on a chain.
    pub(super) fn is_pending(&self, id: QuoteId, row: &MeltQuoteRow) -> Result<bool, IssuerError> {
        let withdrawal = || self.read.payment(PaymentId::of_withdrawal(id, row.failed));
        Ok(row.method == EVM && row.paid.is_none() && withdrawal()?.is_some())
    }

    /// A melt quote with its change once it is paid (NUT-08).
    pub(super) async fn melt_with_change(
        &self,
        (text, id): (&str, QuoteId),
        row: &MeltQuoteRow,
    ) -> Result<body::MeltQuote, IssuerError> {
        let pending = self.is_pending(id, row)?;
        let change = match &row.paid {
            Some((_, change)) if !change.is_empty() => {
                let (keyring, change) = (self.keyring(), change.clone());
                let weight = change.len() * 3;
                let signed = self.crypto.run(weight, move || keyring.sign_change_again(&change)).await;
                Some(signed??)
            }
            _ => None,
        };
        Ok(shown_melt(text, row, pending, change))
    }
}

/// A melt quote as NUT-05 writes it.
pub(super) fn shown_melt(
    id: &str,
    row: &MeltQuoteRow,
    pending: bool,
    change: Option<Vec<BlindSignature>>,
) -> body::MeltQuote {
    let paid = row.paid.is_some();
    body::MeltQuote {
        quote: id.to_owned(),
        request: row.request.clone(),
        amount: row.amount.to_u64().unwrap_or(u64::MAX),
        unit: row.asset.unit().to_string(),
        method: row.method.clone(),
        fee_reserve: row.fee.to_u64().unwrap_or(u64::MAX),
        state: match (paid, pending) {
            (true, _) => "PAID",
            (false, true) => "PENDING",
            (false, false) => "UNPAID",
        },
        paid,
        expiry: row.expires_at.secs(),
        payment_preimage: (paid && row.method == BOLT11).then(|| "00".repeat(32)),
        change,
    }
}
