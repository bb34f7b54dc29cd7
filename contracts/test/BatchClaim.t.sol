// SPDX-License-Identifier: MIT OR Apache-2.0
// Claims and settlements of the escrow's stand-in: what a voucher is worth, to whom, and once.
pragma solidity ^0.8.26;

import {SmartWallet} from "../src/standin/SmartWallet.sol";
import {ChannelStage} from "./ChannelStage.sol";

contract BatchClaimTest is ChannelStage {
    function setUp() public override {
        super.setUp();
        fill(terms(), 10_000);
    }

    function refuse(VoucherClaim[] memory rows, bytes4 refusal) private {
        vm.prank(PAYEE);
        vm.expectRevert(refusal);
        ESCROW.claim(rows);
    }

    function test_claims_are_cumulative() public {
        vm.expectEmit(address(ESCROW));
        emit Claimed(idOf(terms()), PAYEE, 1000, 1000);
        claimAsReceiver(rowOf(terms(), 5000, 1000));
        VoucherClaim[] memory second = rowOf(terms(), 5000, 5000);
        vm.expectEmit(address(ESCROW));
        emit Claimed(idOf(terms()), authorizer, 4000, 5000);
        vm.prank(authorizer);
        ESCROW.claim(second);
        holds(terms(), 10_000, 5000);
        (uint128 claimed, uint128 settled) = ESCROW.receivers(PAYEE, address(DOLLAR));
        same(claimed, 5000, "claimed by the receiver");
        same(settled, 0, "settled");
        same(DOLLAR.balanceOf(PAYEE), 0, "a claim moves nothing");
    }

    function test_what_is_stale_changes_nothing() public {
        claimAsReceiver(rowOf(terms(), 5000, 4000));
        VoucherClaim[] memory rows = rowOf(terms(), 5000, 4000);
        rows[0].signature = "not even a signature";
        claimAsReceiver(rows);
        claimAsReceiver(rowOf(terms(), 100, 100));
        holds(terms(), 10_000, 4000);
    }

    function test_a_voucher_is_its_ceiling() public {
        refuse(rowOf(terms(), 5000, 5001), ClaimExceedsCeiling.selector);
        refuse(rowOf(terms(), 20_000, 10_001), ClaimExceedsBalance.selector);
        claimAsReceiver(rowOf(terms(), 20_000, 10_000));
        holds(terms(), 10_000, 10_000);
    }

    function test_a_voucher_is_for_its_channel_and_amount() public {
        fill(lane(1), 10_000);
        VoucherClaim[] memory rows = rowOf(terms(), 5000, 5000);
        rows[0].voucher.channel = lane(1);
        refuse(rows, InvalidSignature.selector);
        rows = rowOf(terms(), 5000, 5000);
        rows[0].voucher.maxClaimableAmount = 5001;
        refuse(rows, InvalidSignature.selector);
        rows = rowOf(terms(), 5000, 5000);
        rows[0] = row(STRANGER_KEY, terms(), 5000, 5000);
        refuse(rows, InvalidSignature.selector);
    }

    function test_a_session_key_signs_and_the_payer_does_not() public {
        ChannelConfig memory config = terms();
        config.payerAuthorizer = session;
        fill(config, 10_000);
        refuse(rowOf(config, 5000, 5000), InvalidSignature.selector);
        VoucherClaim[] memory rows = new VoucherClaim[](1);
        rows[0] = row(SESSION_KEY, config, 5000, 5000);
        claimAsReceiver(rows);
        holds(config, 10_000, 5000);
    }

    function test_nobody_as_the_authorizer_is_the_payer() public {
        ChannelConfig memory config = terms();
        config.payerAuthorizer = address(0);
        fill(config, 10_000);
        claimAsReceiver(rowOf(config, 5000, 5000));
        holds(config, 10_000, 5000);
    }

    /// A payer that is a contract is asked when the claim comes, not when the voucher came: it can change its mind.
    function test_a_wallet_voids_its_vouchers() public {
        SmartWallet wallet = new SmartWallet(payer);
        DOLLAR.mint(address(wallet), 10_000);
        ChannelConfig memory config = terms();
        config.payer = address(wallet);
        config.payerAuthorizer = address(0);
        fill(config, 10_000);
        claimAsReceiver(rowOf(config, 5000, 1000));
        vm.etch(address(wallet), address(new SmartWallet(stranger)).code);
        refuse(rowOf(config, 5000, 5000), InvalidSignature.selector);
        holds(config, 10_000, 1000);
    }

    function test_only_the_receivers_side_claims() public {
        VoucherClaim[] memory rows = rowOf(terms(), 5000, 5000);
        vm.expectRevert(NotAuthorizedToClaim.selector);
        ESCROW.claim(rows);
        vm.prank(payer);
        vm.expectRevert(NotAuthorizedToClaim.selector);
        ESCROW.claim(rows);
        refuse(new VoucherClaim[](0), EmptyBatch.selector);
    }

    function two() private view returns (VoucherClaim[] memory rows) {
        rows = new VoucherClaim[](2);
        rows[0] = row(PAYER_KEY, terms(), 5000, 4000);
        rows[1] = row(PAYER_KEY, lane(1), 700, 700);
    }

    function test_anyone_carries_what_the_authorizer_has_signed() public {
        fill(lane(1), 1000);
        VoucherClaim[] memory rows = two();
        bytes memory signature = sign(AUTHORIZER_KEY, claimsDigest(rows));
        vm.prank(stranger);
        ESCROW.claimWithSignature(rows, signature);
        holds(terms(), 10_000, 4000);
        holds(lane(1), 1000, 700);
        same(ESCROW.getClaimBatchDigest(rows), claimsDigest(rows), "the digest of two");
        VoucherClaim[] memory none = new VoucherClaim[](0);
        same(ESCROW.getClaimBatchDigest(none), claimsDigest(none), "the digest of none");
        signature = sign(AUTHORIZER_KEY, claimsDigest(none));
        vm.expectRevert(EmptyBatch.selector);
        ESCROW.claimWithSignature(none, signature);
    }

    function test_a_batch_is_signed_whole() public {
        fill(lane(1), 1000);
        VoucherClaim[] memory rows = two();
        bytes memory signature = sign(AUTHORIZER_KEY, claimsDigest(rows));
        (rows[0], rows[1]) = (rows[1], rows[0]);
        vm.expectRevert(InvalidSignature.selector);
        ESCROW.claimWithSignature(rows, signature);
        rows = two();
        rows[1].totalClaimed = 699;
        vm.expectRevert(InvalidSignature.selector);
        ESCROW.claimWithSignature(rows, signature);
        signature = sign(PAYER_KEY, claimsDigest(rows));
        vm.expectRevert(InvalidSignature.selector);
        ESCROW.claimWithSignature(rows, signature);
    }

    function test_all_rows_have_one_authorizer() public {
        VoucherClaim[] memory rows = two();
        rows[1].voucher.channel.receiverAuthorizer = PAYEE;
        bytes memory signature = sign(AUTHORIZER_KEY, claimsDigest(rows));
        vm.expectRevert(NotReceiverAuthorizer.selector);
        ESCROW.claimWithSignature(rows, signature);
    }

    /// A batch with one row that its channel does not cover any more fails whole: simulate, drop the row, send the rest.
    function test_one_bad_row_undoes_the_batch() public {
        fill(lane(1), 699);
        refuse(two(), ClaimExceedsBalance.selector);
        holds(terms(), 10_000, 0);
    }

    function test_one_settlement_pays_all_channels() public {
        fill(lane(1), 1000);
        claimAsReceiver(two());
        vm.expectEmit(address(ESCROW));
        emit Settled(PAYEE, address(DOLLAR), stranger, 4700);
        vm.prank(stranger);
        ESCROW.settle(PAYEE, address(DOLLAR));
        same(DOLLAR.balanceOf(PAYEE), 4700, "the receiver has");
        ESCROW.settle(PAYEE, address(DOLLAR));
        ESCROW.settle(stranger, address(DOLLAR));
        same(DOLLAR.balanceOf(PAYEE), 4700, "nothing is sent twice");
        holds(terms(), 10_000, 4000);
    }

    function test_a_claim_and_a_refund_in_one_call() public {
        VoucherClaim[] memory rows = rowOf(terms(), 5000, 4000);
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(ESCROW.claimWithSignature, (rows, sign(AUTHORIZER_KEY, claimsDigest(rows))));
        bytes memory refund = sign(AUTHORIZER_KEY, refundDigest(terms(), 0, 6000));
        calls[1] = abi.encodeCall(ESCROW.refundWithSignature, (terms(), 6000, 0, refund));
        vm.prank(stranger);
        ESCROW.multicall(calls);
        holds(terms(), 4000, 4000);
        same(DOLLAR.balanceOf(payer), PURSE - 4000, "the payer has");
    }

    /// Whatever is asked: a claim is at most the ceiling and the balance, or nothing happens.
    function testFuzz_a_claim_is_within_its_bounds(uint128 ceiling, uint128 total) public {
        ceiling = ceiling % 20_000;
        total = total % 20_000;
        VoucherClaim[] memory rows = rowOf(terms(), ceiling, total);
        bool good = total <= ceiling && total <= 10_000;
        vm.prank(PAYEE);
        if (!good) vm.expectRevert(total > ceiling ? ClaimExceedsCeiling.selector : ClaimExceedsBalance.selector);
        ESCROW.claim(rows);
        holds(terms(), 10_000, good ? total : 0);
    }
}
