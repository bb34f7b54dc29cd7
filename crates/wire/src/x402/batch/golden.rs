//! What the reference packages write is read, and what is written of it is the same again.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::x402::facilitator::{FacilitatorRequest, Supported, VerifyResponse};
use crate::x402::{
    AssetTransferMethod, Extra, HexText, Payload, PaymentRequired, Reason, SchemePayload, SettleResponse,
    SignatureText, TokenPermissions, Uint, field,
};

const LIMIT: usize = 16 * 1024;
const CHANNEL: &str = "0x3171aaa4c548c93a9a2f1a16634619b469f8fab9883e8e24c8f579a3919c5736";

fn text(name: &str) -> String {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../tests/vectors/x402-batch.json")).unwrap();
    vectors[name].as_str().unwrap().to_owned()
}

fn paid(name: &str) -> Payload {
    Payload::from_header(&text(name), LIMIT).unwrap()
}

fn settled(name: &str) -> SettleResponse {
    SettleResponse::from_header(&text(name)).unwrap()
}

fn request(name: &str) -> FacilitatorRequest {
    FacilitatorRequest::from_json(text(name).as_bytes()).unwrap()
}

/// Addresses without their capitals.
fn plain(value: &Value) -> Value {
    match value {
        Value::String(text) if text.starts_with("0x") => json!(text.to_ascii_lowercase()),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        other => other.clone(),
    }
}

fn members(payload: &SchemePayload) -> Value {
    serde_json::to_value(payload).unwrap()
}

#[test]
fn an_offer_says_how_channels_are_opened() {
    let required = PaymentRequired::from_header(&text("offer")).unwrap();
    let entry = &required.accepts[0];
    assert_eq!(entry.scheme, SCHEME_BATCH);
    let offer = ChannelOfferText::of(&entry.extra).unwrap();
    assert_eq!((offer.withdraw_delay, offer.min_deposit.clone()), (900, Some(Uint::from(10_000_u64))));
    let ours = offer.to_extra("USDC", "2", AssetTransferMethod::Eip3009);
    assert_eq!(
        plain(&serde_json::to_value(ours).unwrap()),
        plain(&serde_json::to_value(&entry.extra).unwrap())
    );
    let permit2 = &PaymentRequired::from_header(&text("permit2Offer")).unwrap().accepts[0].extra;
    let ours = offer.to_extra("USDC", "2", AssetTransferMethod::Permit2);
    assert_eq!(plain(&serde_json::to_value(ours).unwrap()), plain(&serde_json::to_value(permit2).unwrap()));
}

#[test]
fn what_payers_send_is_read_and_written() {
    for (name, kind) in [("deposit", 0), ("permit2Deposit", 0), ("voucher", 1), ("refund", 2)] {
        let sent = paid(name).payload;
        let read = PayerPayload::read(&sent).unwrap();
        let found = match &read {
            PayerPayload::Deposit(_) => 0,
            PayerPayload::Voucher(_) => 1,
            PayerPayload::Refund(_) => 2,
        };
        assert_eq!(found, kind, "{name}");
        let written = read.to_payload().unwrap();
        assert_eq!(plain(&members(&written)), plain(&members(&sent)), "{name}");
        assert_eq!(PayerPayload::read(&written), Ok(read.clone()), "{name}");
        assert_eq!(
            (read.config().withdraw_delay, read.voucher().signature.as_bytes().len()),
            (900, 65),
            "{name}"
        );
        assert!(!format!("{read:?}").contains(&read.voucher().signature.to_text()[2..]), "{name}");
    }
    let PayerPayload::Deposit(deposit) = PayerPayload::read(&paid("permit2Deposit").payload).unwrap() else {
        panic!("a deposit")
    };
    let DepositAuthorization::Permit2(permit) = deposit.deposit.authorization else { panic!("by Permit2") };
    assert_eq!(
        (permit.permitted.amount, permit.witness.channel_id),
        (deposit.deposit.amount, deposit.voucher.channel_id)
    );
    let PayerPayload::Refund(refund) = PayerPayload::read(&paid("refund").payload).unwrap() else {
        panic!("a refund")
    };
    assert_eq!(refund.amount, Some(Uint::from(700_u64)));
}

#[test]
fn what_sellers_send_is_read_and_written() {
    for name in [
        "depositSettle",
        "permit2Settle",
        "sellerClaim",
        "sellerSettle",
        "sellerRefund",
        "facilitatorClaim",
        "facilitatorSettle",
        "facilitatorRefund",
    ] {
        let asked = request(name);
        let read = FacilitatorPayload::read(&asked.payload.payload).unwrap();
        let written = read.to_payload().unwrap();
        assert_eq!(plain(&members(&written)), plain(&members(&asked.payload.payload)), "{name}");
        assert_eq!(FacilitatorPayload::read(&written), Ok(read.clone()), "{name}");
        let is_signed = match read {
            FacilitatorPayload::Claim(claim) => Some(claim.claim_authorizer_signature.is_some()),
            FacilitatorPayload::Refund(refund) => {
                assert_eq!(refund.claims.len(), 1);
                assert_eq!(
                    refund.refund_authorizer_signature.is_some(),
                    refund.claim_authorizer_signature.is_some()
                );
                Some(refund.refund_authorizer_signature.is_some())
            }
            FacilitatorPayload::Settle(_) | FacilitatorPayload::Deposit(_) => None,
        };
        assert!(is_signed.is_none_or(|signed| signed == name.starts_with("seller")), "{name}");
    }
    // What a payer asks for is not yet what a facilitator does.
    assert_eq!(FacilitatorPayload::read(&paid("refund").payload), Err(BatchError::Shape));
    assert_eq!(FacilitatorPayload::read(&paid("voucher").payload), Err(BatchError::Shape));
}

/// The reference's worker puts a hundred claims into one request.
#[test]
fn a_hundred_claims_fit_into_a_body() {
    let mut asked = request("sellerClaim");
    let FacilitatorPayload::Claim(mut claim) = FacilitatorPayload::read(&asked.payload.payload).unwrap()
    else {
        panic!("a claim")
    };
    claim.claims = vec![claim.claims[0].clone(); 100];
    asked.payload.payload = FacilitatorPayload::Claim(claim).to_payload().unwrap();
    let body = asked.to_json().unwrap();
    assert_eq!(FacilitatorRequest::from_json(body.as_bytes()), Ok(asked), "{} bytes", body.len());
}

#[test]
fn a_corrective_offer_says_where_the_channel_stands() {
    let required = PaymentRequired::from_header(&text("corrective")).unwrap();
    let reason: Reason = required.error.as_deref().unwrap().parse().unwrap();
    assert_eq!(reason, Reason::BatchCumulativeAmountMismatch);
    let extra = &required.accepts[0].extra;
    let (state, voucher) = (extra.channel().unwrap(), extra.channel_voucher().unwrap());
    assert_eq!(Ok(state.channel_id), CHANNEL.parse());
    assert_eq!(state.charged_cumulative_amount, Some(Uint::from(1_137_u64)));
    assert_eq!(voucher.signed_max_claimable, Some(Uint::from(2_000_u64)));
    // It is the voucher that the payer sent.
    assert_eq!(
        voucher.signature.as_ref(),
        Some(&PayerPayload::read(&paid("voucher").payload).unwrap().voucher().signature)
    );
    let before = PaymentRequired::from_header(&text("offer")).unwrap().accepts[0].extra.clone();
    assert_eq!(before.channel(), None);
    assert_eq!(&before.with_channel(&state, Some(&voucher)), extra, "ours is what theirs is");
}

#[test]
fn answers_say_what_it_cost() {
    for (name, balance, charged, cost) in [
        ("depositAnswer", 10_000_u64, Some(1_000_u64), Some(1_000_u64)),
        ("voucherAnswer", 10_000, Some(1_137), Some(137)),
        ("refundAnswer", 9_300, Some(4_137), None),
    ] {
        let response = settled(name);
        let answer = ChannelAnswer::of(&response).unwrap();
        let state = answer.channel_state.clone().unwrap();
        let expected = (Uint::from(balance), charged.map(Uint::from), cost.map(Uint::from));
        assert_eq!(
            (state.balance, state.charged_cumulative_amount, answer.charged_amount.clone()),
            expected,
            "{name}"
        );
        let bare = SettleResponse { extra: Map::new(), ..response.clone() };
        assert_eq!(answer.within(bare), response, "{name}");
    }
    assert_eq!(
        (settled("voucherAnswer").transaction, settled("voucherAnswer").amount),
        (String::new(), None)
    );
    // Written, each says what theirs says: of a voucher, that its amount is empty.
    for name in ["depositAnswer", "voucherAnswer", "refundAnswer"] {
        let json = |field: &str| {
            let json = crate::b64::decode_any(field).unwrap();
            serde_json::from_slice::<Value>(&json).unwrap()
        };
        assert_eq!(json(&voucher_header(&settled(name)).unwrap()), json(&text(name)), "{name}");
    }
    for name in ["depositSettled", "sellerRefunded", "facilitatorRefunded"] {
        let response = SettleResponse::from_json(text(name).as_bytes()).unwrap();
        let state = ChannelAnswer::of(&response).unwrap().channel_state.unwrap();
        assert_eq!(state.charged_cumulative_amount, None, "a facilitator does not know it: {name}");
    }
}

#[test]
fn facilitators_say_what_they_see_and_for_whom_they_sign() {
    let verified = VerifyResponse::from_json(text("depositVerified").as_bytes()).unwrap();
    let state = super::verified(&verified.extra).unwrap();
    assert_eq!((state.balance, state.refund_nonce), (Uint::zero(), Uint::zero()));
    assert_eq!(super::verified(&Map::new()), None);
    let supported = Supported::from_json(text("supported").as_bytes()).unwrap();
    let kind = supported.kinds.iter().find(|kind| kind.scheme == SCHEME_BATCH).unwrap();
    assert!(kind.extra["receiverAuthorizer"].as_str().unwrap().starts_with("0x90F7"));
}

#[test]
fn other_shapes_are_refused_with_the_references_strings() {
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut value = members(&paid("refund").payload);
        change(&mut value);
        let Value::Object(members) = value else { panic!("members") };
        PayerPayload::read(&SchemePayload::Other(members)).err().map(BatchError::reason)
    };
    assert_eq!(refused(&|_| {}), None);
    assert_eq!(refused(&|v| v["amount"] = Value::Null), None, "everything");
    assert_eq!(refused(&|v| v["new"] = json!([1])), None, "members that are not known change nothing");
    for bad in [json!("-1"), json!("0x1"), json!(700), json!(""), json!("1.5")] {
        assert_eq!(refused(&|v| v["amount"] = bad.clone()), Some(Reason::BatchRefundAmountInvalid), "{bad}");
    }
    assert_eq!(refused(&|v| v["voucher"]["channelId"] = json!("0x12")), Some(Reason::BatchChannelIdInvalid));
    let changes: [&dyn Fn(&mut Value); 7] = [
        &|v| v["type"] = json!("close"),
        &|v| v["type"] = Value::Null,
        &|v| v["voucher"]["channelId"] = Value::Null,
        &|v| v["voucher"]["maxClaimableAmount"] = json!(5_000),
        &|v| v["voucher"]["signature"] = json!("0x"),
        &|v| v["channelConfig"]["withdrawDelay"] = json!("900"),
        &|v| v["channelConfig"]["payer"] = json!("0x01"),
    ];
    for (place, change) in changes.into_iter().enumerate() {
        assert_eq!(refused(change), Some(Reason::BatchPayloadType), "{place}");
    }
    let mut both = members(&paid("deposit").payload);
    let other =
        members(&paid("permit2Deposit").payload)["deposit"]["authorization"]["permit2Authorization"].clone();
    both["deposit"]["authorization"]["permit2Authorization"] = other;
    let Value::Object(both) = both else { panic!("members") };
    assert_eq!(PayerPayload::read(&SchemePayload::Other(both)), Err(BatchError::Shape), "two authorizations");
    let mut many = members(&request("sellerClaim").payload.payload);
    many["claims"] = Value::Array(vec![many["claims"][0].clone(); CLAIMS_MOST + 1]);
    let Value::Object(many) = many else { panic!("members") };
    assert_eq!(FacilitatorPayload::read(&SchemePayload::Other(many)), Err(BatchError::Shape));
}

#[test]
fn an_offer_without_an_authorizer_opens_no_channel() {
    let extra = |value: Value| serde_json::from_value::<Extra>(value).unwrap();
    let good = json!({"receiverAuthorizer": format!("0x{}", "11".repeat(20)), "minDeposit": "$1"});
    let read = ChannelOfferText::of(&extra(good.clone())).unwrap();
    assert_eq!((read.withdraw_delay, read.min_deposit), (900, None));
    for (member, bad) in [
        ("receiverAuthorizer", json!(format!("0x{}", "00".repeat(20)))),
        ("receiverAuthorizer", Value::Null),
        ("receiverAuthorizer", json!("somebody")),
        ("withdrawDelay", json!("900")),
        ("withdrawDelay", json!(-1)),
    ] {
        let mut broken = good.clone();
        broken[member] = bad.clone();
        assert_eq!(ChannelOfferText::of(&extra(broken)), None, "{member} {bad}");
    }
}

prop_compose! {
    fn any_config()(accounts: [[u8; 20]; 5], withdraw_delay in 0u64..1 << 53, salt: [u8; 32]) -> ChannelConfig {
        ChannelConfig::from_parts((accounts, withdraw_delay, salt))
    }
}

prop_compose! {
    fn any_payload()(
        config in any_config(), channel: [u8; 32], amounts: [u128; 3], signature in prop::collection::vec(any::<u8>(), 1..80), which in 0u8..4
    ) -> PayerPayload {
        let [max, amount, number] = amounts.map(|amount| Uint::from(farthing_money::Amount::new(amount)));
        let (channel_id, signature) = (HexText(channel), SignatureText::new(signature).unwrap());
        let voucher = VoucherFields { channel_id, max_claimable_amount: max, signature: signature.clone() };
        let deposit = |authorization| PayerPayload::Deposit(DepositPayload {
            channel_config: config, voucher: voucher.clone(), deposit: Deposit { amount: amount.clone(), authorization },
        });
        match which {
            0 => deposit(DepositAuthorization::Eip3009(DepositReceive {
                valid_after: number.clone(), valid_before: number.clone(), salt: channel_id, signature,
            })),
            1 => deposit(DepositAuthorization::Permit2(DepositPermit2 {
                from: config.payer, permitted: TokenPermissions { token: config.token, amount: amount.clone() }, spender: config.receiver,
                nonce: number.clone(), deadline: number.clone(), witness: DepositWitness { channel_id }, signature,
            })),
            2 => PayerPayload::Voucher(VoucherPayload { channel_config: config, voucher }),
            _ => PayerPayload::Refund(RefundPayload { channel_config: config, voucher, amount: Some(amount) }),
        }
    }
}

proptest! {
    #[test]
    fn reading_undoes_writing(payload in any_payload(), authorizer in prop::option::of(any::<[u8; 40]>())) {
        let written = payload.to_payload().unwrap();
        prop_assert_eq!(PayerPayload::read(&written), Ok(payload.clone()));
        let row = ClaimFields {
            voucher: ClaimVoucher { channel: *payload.config(), max_claimable_amount: payload.voucher().max_claimable_amount.clone() },
            signature: payload.voucher().signature.clone(),
            total_claimed: payload.voucher().max_claimable_amount.clone(),
        };
        let signature = authorizer.and_then(|bytes| SignatureText::new(bytes.to_vec()));
        let claim = FacilitatorPayload::Claim(ClaimPayload { claims: vec![row.clone(), row], claim_authorizer_signature: signature });
        prop_assert_eq!(FacilitatorPayload::read(&claim.to_payload().unwrap()), Ok(claim));
    }

    #[test]
    fn any_members_are_read_or_refused(name in "[a-z]{0,8}", text: String, number: u64) {
        for kind in ["deposit", "voucher", "refund", "claim", "settle", &text] {
            let value = json!({"type": kind, &name: text, "voucher": {&name: number, "channelId": text}, "claims": [number], "amount": text});
            let Value::Object(members) = value else { unreachable!("members") };
            let payload = SchemePayload::Other(members);
            let _ = (PayerPayload::read(&payload), FacilitatorPayload::read(&payload));
        }
        let _ = field::from_field(&text, LIMIT, "a text");
    }
}
