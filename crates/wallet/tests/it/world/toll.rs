//! A seller that is paid through channels, honest or not, and the escrow that has the money. It checks what the reference's
//! seller and facilitator check, in their order.

use std::collections::{BTreeMap, BTreeSet};

use farthing_channel::seller::Presented;
use farthing_channel::{
    AuthorizedDeposit, BATCH_ESCROW, ChannelId, ChannelTerms, Domain, PermittedDeposit, Salt, Signature,
    Word, batch_domain, bytes_from_hex, bytes_to_hex, keccak256, permit2,
};
use farthing_money::{Amount, Span, Timestamp};
use farthing_wallet::{HttpRequest, HttpResponse};
use farthing_wire::x402::batch::{
    ChannelAnswer, ChannelConfig, ChannelOfferText, ChannelStateText, DepositAuthorization, DepositPayload,
    PayerPayload, SCHEME_BATCH, VoucherStateText,
};
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::{
    AssetTransferMethod, Payload, PaymentRequired, Requirements, Resource, SettleResponse, SignatureText,
    Uint, eip155_network,
};
use serde_json::{Map, Value, json};

use super::chain::{CHAIN, Chain, token};
use super::seller::{payee, requirements};

pub const TOLL: &str = "https://toll.example";
const MISMATCH: &str = "invalid_batch_settlement_evm_cumulative_amount_mismatch";

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// As it should.
    Honest,
    /// It has lost its books.
    Forgetful,
    /// It charges and says nothing of it.
    Silent,
    /// It says another total than it has charged.
    Lying,
    /// It says that it has charged more than its price.
    Overcharging,
    /// It does not charge, and fails.
    Broken,
    /// It charges, and fails.
    Stealing,
    /// It is busy with another request.
    Busy,
    /// It corrects, and shows no voucher.
    Mute,
    /// It charges each voucher, says that another total was expected, and shows that very voucher.
    Greedy,
    /// It says that a deposit is in, and keeps it for later; a voucher without one is never covered.
    Hoarding,
    /// As it should; who comes again with a voucher is told the same again, with the channel's total or without.
    Repeating { tells: bool },
}

/// What is in a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lies {
    pub balance: u64,
    pub claimed: u64,
}

/// The escrow's channels.
#[derive(Default)]
pub struct Escrow {
    pub channels: BTreeMap<ChannelId, Lies>,
    used: BTreeSet<[u8; 32]>,
    /// What payers want back, and since when.
    pub wanted: BTreeMap<ChannelId, (u64, u64)>,
    /// Deposits that payers have carried themselves.
    pub collected: BTreeSet<Vec<u8>>,
}

#[derive(Clone)]
struct Books {
    charged: u64,
    signed: u64,
    signature: Vec<u8>,
}

pub struct Toll {
    pub ways: Ways,
    pub price: u64,
    /// What it takes of the price.
    pub actual: Option<u64>,
    pub least: Option<u64>,
    /// How it wants deposits to move the token.
    pub method: AssetTransferMethod,
    /// Another way to pay, beside channels.
    pub takes_exact: bool,
    books: BTreeMap<ChannelId, Books>,
    /// All that it has charged, whether it remembers or not.
    pub charged: BTreeMap<ChannelId, u64>,
    /// The largest total that it ever saw a voucher for.
    pub signed: BTreeMap<ChannelId, u64>,
    pub served: usize,
    /// How long a pass lasts that comes with each answer.
    pub pass: Option<Span>,
    /// Deposits that it has kept for later.
    kept: Vec<(DepositPayload, ChannelTerms, ChannelId)>,
}

fn units(uint: &Uint) -> u64 {
    uint.to_u64().unwrap()
}

fn terms(config: &ChannelConfig) -> ChannelTerms {
    ChannelTerms::from_parts(config.parts()).unwrap()
}

impl Escrow {
    /// What a node answers to a question about a channel: two words.
    pub fn answer(&self, call: &Value) -> String {
        let calldata = bytes_from_hex(call["data"].as_str().unwrap(), 100).unwrap();
        let is = |signature: &str| calldata[..4] == keccak256(signature.as_bytes()).as_bytes()[..4];
        let channel = ChannelId::from_bytes(calldata[4..36].try_into().unwrap());
        let lies = self.channels.get(&channel).copied().unwrap_or_default();
        let (wanted, since) = self.wanted.get(&channel).copied().unwrap_or_default();
        let words = if is("channels(bytes32)") { [lies.balance, lies.claimed] } else { [wanted, since] };
        let bytes: Vec<u8> = words.iter().flat_map(|word| *Word::from(*word).as_bytes()).collect();
        bytes_to_hex(&bytes)
    }

    /// What can be taken of all channels, or was, if every voucher is claimed.
    pub fn at_stake(&self, signed: &BTreeMap<ChannelId, u64>) -> u64 {
        let of = |(channel, lies): (&ChannelId, &Lies)| {
            signed.get(channel).map_or(0, |most| lies.balance.min(*most))
        };
        self.channels.iter().map(of).sum()
    }

    pub fn balance(&self) -> u64 {
        self.channels.values().map(|lies| lies.balance).sum()
    }
}

impl Toll {
    pub fn new() -> Self {
        Self {
            ways: Ways::Honest,
            price: 1_000,
            actual: None,
            least: Some(10_000),
            method: AssetTransferMethod::Eip3009,
            takes_exact: false,
            books: BTreeMap::new(),
            charged: BTreeMap::new(),
            signed: BTreeMap::new(),
            served: 0,
            pass: None,
            kept: Vec::new(),
        }
    }

    /// Carries what it has kept.
    pub fn carry(&mut self, chain: &mut Chain, now: Timestamp) {
        for (deposit, terms, channel) in std::mem::take(&mut self.kept) {
            deposited(chain, &deposit, terms, channel, now);
        }
    }

    pub fn total_charged(&self) -> u64 {
        self.charged.values().sum()
    }

    fn offer(&self) -> Requirements {
        let text = ChannelOfferText {
            receiver_authorizer: HexText([0xaa; 20]),
            withdraw_delay: 900,
            min_deposit: self.least.map(Uint::from),
        };
        let extra = text.to_extra(&token().name, &token().version, self.method);
        Requirements { scheme: SCHEME_BATCH.into(), extra, ..requirements(self.price) }
    }

    fn refuse(
        &self,
        request: &HttpRequest,
        reason: Option<&str>,
        corrected: Option<Requirements>,
    ) -> HttpResponse {
        let mut accepts = vec![corrected.unwrap_or_else(|| self.offer())];
        accepts.extend(self.takes_exact.then(|| requirements(self.price)));
        let resource = Resource::of(request.url.clone());
        let error = reason.map(str::to_owned);
        let required = PaymentRequired { error, resource, accepts, extensions: Map::new() };
        let headers = vec![("PAYMENT-REQUIRED".into(), required.to_header().unwrap())];
        HttpResponse { status: 402, headers, body: Vec::new() }
    }

    pub fn handle(&mut self, chain: &mut Chain, request: &HttpRequest, now: Timestamp) -> HttpResponse {
        let field = request.headers.iter().find(|(name, _)| name == "PAYMENT-SIGNATURE");
        let Some((_, text)) = field else { return self.refuse(request, None, None) };
        let payment = Payload::from_header(text, 16_384).unwrap();
        if payment.accepted.scheme == "exact" {
            self.served += 1;
            return HttpResponse { status: 200, headers: Vec::new(), body: Vec::new() };
        }
        let payload = PayerPayload::read(&payment.payload).unwrap();
        let terms = terms(payload.config());
        let voucher = payload.voucher();
        let (channel, ceiling) =
            (ChannelId::from_bytes(voucher.channel_id.0), units(&voucher.max_claimable_amount));
        let presented = Presented {
            terms,
            channel,
            ceiling: Amount::from(ceiling),
            signature: voucher.signature.as_bytes(),
        };
        presented.prove(&batch_domain(CHAIN), None).unwrap();
        assert_ne!(terms.payer, terms.payer_authorizer, "another key than the one that has the money");
        assert_eq!(terms.receiver, payee());
        let most = self.signed.entry(channel).or_default();
        *most = ceiling.max(*most);
        let is_offered = payment.accepted == self.offer() || matches!(payload, PayerPayload::Refund(_));
        if !is_offered {
            return self.refuse(request, Some("No matching payment requirements"), None);
        }
        self.answer(chain, request, (&payload, terms, channel, ceiling), now)
    }

    fn answer(
        &mut self,
        chain: &mut Chain,
        request: &HttpRequest,
        (payload, terms, channel, ceiling): (&PayerPayload, ChannelTerms, ChannelId, u64),
        now: Timestamp,
    ) -> HttpResponse {
        match self.ways {
            Ways::Broken => return HttpResponse { status: 502, headers: Vec::new(), body: Vec::new() },
            Ways::Busy => {
                return self.refuse(request, Some("invalid_batch_settlement_evm_channel_busy"), None);
            }
            Ways::Forgetful => self.books.clear(),
            _ => {}
        }
        let is_refund = matches!(payload, PayerPayload::Refund(_));
        let price = if is_refund { 0 } else { self.price };
        let signature = payload.voucher().signature.as_bytes().to_vec();
        let inferred =
            Books { charged: ceiling.saturating_sub(price), signed: ceiling, signature: signature.clone() };
        let books = self.books.get(&channel).cloned().unwrap_or(inferred);
        let lies = chain.escrow.channels.get(&channel).copied().unwrap_or_default();
        let odd = self.odd(chain, request, (payload, terms, channel, ceiling), (&books, lies), now);
        if let Some(odd) = odd {
            return odd;
        }
        if ceiling != books.charged + price {
            let corrected = (self.ways != Ways::Mute).then(|| self.corrected(channel, &books, lies));
            return self.refuse(request, Some(MISMATCH), corrected);
        }
        if let PayerPayload::Deposit(deposit) = payload
            && self.method != method_of(deposit)
        {
            return self.refuse(request, Some("invalid_batch_settlement_evm_payload_type"), None);
        }
        if let PayerPayload::Deposit(deposit) = payload
            && !deposited(chain, deposit, terms, channel, now)
        {
            let reason = "invalid_batch_settlement_evm_deposit_simulation_failed";
            return self.refuse(request, Some(reason), None);
        }
        let lies = chain.escrow.channels.get(&channel).copied().unwrap_or_default();
        if ceiling > lies.balance {
            let reason = "invalid_batch_settlement_evm_cumulative_exceeds_balance";
            return self.refuse(request, Some(reason), None);
        }
        let cost = self.actual.map_or(price, |actual| actual.min(price));
        let charged = books.charged + cost;
        self.books.insert(channel, Books { charged, signed: ceiling, signature });
        *self.charged.entry(channel).or_default() += cost;
        if is_refund {
            return self.refund(chain, payload, channel, charged);
        }
        self.served += 1;
        self.delivered(payload, channel, lies, (charged, cost))
    }

    /// What only odd sellers answer.
    fn odd(
        &mut self,
        chain: &mut Chain,
        request: &HttpRequest,
        (payload, terms, channel, ceiling): (&PayerPayload, ChannelTerms, ChannelId, u64),
        (books, lies): (&Books, Lies),
        now: Timestamp,
    ) -> Option<HttpResponse> {
        if matches!(payload, PayerPayload::Refund(_)) {
            return None;
        }
        let price = self.price;
        let signature = payload.voucher().signature.as_bytes().to_vec();
        let all = Books { charged: ceiling, signed: ceiling, signature };
        let deposit = if let PayerPayload::Deposit(deposit) = payload { Some(deposit) } else { None };
        match self.ways {
            Ways::Greedy => {
                if let Some(deposit) = deposit {
                    deposited(chain, deposit, terms, channel, now);
                }
                let lies = chain.escrow.channels.get(&channel).copied().unwrap_or_default();
                *self.charged.entry(channel).or_default() += price;
                let corrected = self.corrected(channel, &all, lies);
                self.books.insert(channel, all);
                Some(self.refuse(request, Some(MISMATCH), Some(corrected)))
            }
            Ways::Hoarding => {
                let Some(deposit) = deposit else {
                    let reason = "invalid_batch_settlement_evm_cumulative_exceeds_balance";
                    return Some(self.refuse(request, Some(reason), None));
                };
                self.kept.push((deposit.clone(), terms, channel));
                self.books.insert(channel, all);
                *self.charged.entry(channel).or_default() += price;
                self.served += 1;
                let lies = Lies { balance: lies.balance + units(&deposit.deposit.amount), ..lies };
                Some(self.delivered(payload, channel, lies, (ceiling, price)))
            }
            Ways::Repeating { .. } if books.charged == ceiling => {
                self.served += 1;
                Some(self.delivered(payload, channel, lies, (ceiling, price)))
            }
            _ => None,
        }
    }

    fn refund(
        &mut self,
        chain: &mut Chain,
        payload: &PayerPayload,
        channel: ChannelId,
        charged: u64,
    ) -> HttpResponse {
        let PayerPayload::Refund(refund) = payload else { panic!("no refund") };
        let lies = chain.escrow.channels.get_mut(&channel).unwrap();
        let left = lies.balance - charged;
        let back = refund.amount.as_ref().map_or(left, units).min(left);
        (lies.balance, lies.claimed) = (lies.balance - back, charged);
        chain.balance += back;
        let after = *lies;
        if after.balance == charged {
            self.books.remove(&channel);
        }
        let mut response = SettleResponse::settled(&eip155_network(CHAIN.number()), "0x01".into(), None);
        response.amount = Some(Uint::from(back));
        let state = state(channel, after, charged);
        let answer = ChannelAnswer { channel_state: Some(state), charged_amount: None };
        answered(&answer.within(response))
    }

    fn delivered(
        &self,
        payload: &PayerPayload,
        channel: ChannelId,
        lies: Lies,
        (charged, cost): (u64, u64),
    ) -> HttpResponse {
        let (told, cost) = match self.ways {
            Ways::Stealing => return HttpResponse { status: 500, headers: Vec::new(), body: Vec::new() },
            Ways::Silent => return HttpResponse { status: 200, headers: Vec::new(), body: Vec::new() },
            Ways::Lying => (charged + 500, cost),
            Ways::Overcharging => (charged + self.price, self.price + cost),
            _ => (charged, cost),
        };
        let hash = if matches!(payload, PayerPayload::Deposit(_)) { "0x02" } else { "" };
        let response = SettleResponse::settled(&eip155_network(CHAIN.number()), hash.into(), None);
        let is_told = self.ways != Ways::Repeating { tells: false };
        let channel_state = is_told.then(|| state(channel, lies, told));
        answered(&ChannelAnswer { channel_state, charged_amount: Some(Uint::from(cost)) }.within(response))
    }

    fn corrected(&self, channel: ChannelId, books: &Books, lies: Lies) -> Requirements {
        let offer = self.offer();
        let voucher = VoucherStateText {
            signed_max_claimable: Some(Uint::from(books.signed)),
            signature: SignatureText::new(books.signature.clone()),
        };
        let extra = offer.extra.clone().with_channel(&state(channel, lies, books.charged), Some(&voucher));
        Requirements { extra, ..offer }
    }

    /// Claims whatever it has vouchers for, whatever it has said.
    pub fn claim_everything(&self, chain: &mut Chain) {
        for (channel, lies) in &mut chain.escrow.channels {
            let most = self.signed.get(channel).copied().unwrap_or_default();
            lies.claimed = lies.claimed.max(most.min(lies.balance));
        }
    }
}

fn state(channel: ChannelId, lies: Lies, charged: u64) -> ChannelStateText {
    ChannelStateText {
        channel_id: HexText(*channel.as_bytes()),
        balance: Uint::from(lies.balance),
        total_claimed: Uint::from(lies.claimed),
        withdraw_requested_at: 0,
        refund_nonce: Uint::zero(),
        charged_cumulative_amount: Some(Uint::from(charged)),
    }
}

fn answered(response: &SettleResponse) -> HttpResponse {
    let headers = vec![("PAYMENT-RESPONSE".into(), response.to_header().unwrap())];
    HttpResponse { status: 200, headers, body: Vec::new() }
}

fn method_of(payload: &DepositPayload) -> AssetTransferMethod {
    match payload.deposit.authorization {
        DepositAuthorization::Eip3009(_) => AssetTransferMethod::Eip3009,
        DepositAuthorization::Permit2(_) => AssetTransferMethod::Permit2,
    }
}

/// Carries a deposit; false if it is no good.
fn deposited(
    chain: &mut Chain,
    payload: &DepositPayload,
    terms: ChannelTerms,
    channel: ChannelId,
    now: Timestamp,
) -> bool {
    let (nonce, before) = match &payload.deposit.authorization {
        DepositAuthorization::Eip3009(signed) => {
            let deposit = AuthorizedDeposit {
                amount: payload.deposit.amount.amount().unwrap(),
                valid_after: units(&signed.valid_after).into(),
                valid_before: units(&signed.valid_before).into(),
                salt: Salt::from_bytes(signed.salt.0),
            };
            let authorization = deposit.authorization(terms.payer, channel);
            let token = token();
            let domain = Domain::new(&token.name, Some(&token.version), CHAIN, Some(token.address));
            let signature = Signature::from_bytes(signed.signature.as_bytes()).unwrap();
            assert_eq!(signature.recover(&authorization.receive_digest(&domain)).unwrap(), terms.payer);
            (*authorization.nonce.as_bytes(), units(&signed.valid_before))
        }
        DepositAuthorization::Permit2(signed) => {
            let nonce: Word = signed.nonce.as_str().parse().unwrap();
            let deadline = units(&signed.deadline);
            let amount = signed.permitted.amount.amount().unwrap();
            let permitted = PermittedDeposit { amount, nonce, deadline: deadline.into() };
            let digest = permitted.transfer(terms.token, channel).digest(&permit2::domain(CHAIN));
            let signature = Signature::from_bytes(signed.signature.as_bytes()).unwrap();
            assert_eq!(signature.recover(&digest).unwrap(), terms.payer);
            assert_eq!(amount, payload.deposit.amount.amount().unwrap());
            (*nonce.as_bytes(), deadline + 1)
        }
    };
    let amount = units(&payload.deposit.amount);
    let is_late = now.secs() >= before;
    if is_late || amount > chain.balance || !chain.escrow.used.insert(nonce) {
        return false;
    }
    chain.balance -= amount;
    chain.escrow.channels.entry(channel).or_default().balance += amount;
    true
}

/// Whether a question is about the escrow.
pub fn is_asked(call: &Value) -> bool {
    call["to"] == json!(BATCH_ESCROW)
}
