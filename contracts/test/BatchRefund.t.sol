// SPDX-License-Identifier: MIT OR Apache-2.0
// The two ways out of a channel: a refund by the receiver at once, and a withdrawal by the payer after a delay.
pragma solidity ^0.8.26;

import {ChannelStage} from "./ChannelStage.sol";

contract BatchRefundTest is ChannelStage {
    function setUp() public override {
        super.setUp();
        fill(terms(), 10_000);
    }

    function refundAsReceiver(uint128 amount) private {
        vm.prank(PAYEE);
        ESCROW.refund(terms(), amount);
    }

    function initiate(uint128 amount) private {
        vm.prank(payer);
        ESCROW.initiateWithdraw(terms(), amount);
    }

    function finalize() private {
        vm.prank(payer);
        ESCROW.finalizeWithdraw(terms());
    }

    function payerHas(uint256 amount) private view {
        same(DOLLAR.balanceOf(payer), PURSE - 10_000 + amount, "the payer has");
    }

    function test_a_refund_gives_back_what_is_not_claimed() public {
        claimAsReceiver(rowOf(terms(), 4000, 4000));
        vm.expectEmit(address(ESCROW));
        emit Refunded(idOf(terms()), PAYEE, 1000);
        refundAsReceiver(1000);
        holds(terms(), 9000, 4000);
        vm.expectEmit(address(ESCROW));
        emit Refunded(idOf(terms()), PAYEE, 5000);
        refundAsReceiver(type(uint128).max);
        holds(terms(), 4000, 4000);
        payerHas(6000);
        same(ESCROW.refundNonce(idOf(terms())), 2, "the nonce");
    }

    /// The signature for the nonce before is worth nothing afterwards, although no money moved.
    function test_a_refund_of_nothing_uses_the_nonce() public {
        claimAsReceiver(rowOf(terms(), 10_000, 10_000));
        bytes memory signature = sign(AUTHORIZER_KEY, refundDigest(terms(), 0, 1));
        refundAsReceiver(1);
        same(ESCROW.refundNonce(idOf(terms())), 1, "the nonce");
        payerHas(0);
        vm.expectRevert(InvalidRefundNonce.selector);
        ESCROW.refundWithSignature(terms(), 1, 0, signature);
        vm.prank(PAYEE);
        vm.expectRevert(ZeroRefund.selector);
        ESCROW.refund(terms(), 0);
    }

    function test_a_signed_refund_is_for_its_channel_amount_and_nonce() public {
        fill(lane(1), 1000);
        bytes memory signature = sign(AUTHORIZER_KEY, refundDigest(terms(), 0, 700));
        vm.expectRevert(InvalidSignature.selector);
        ESCROW.refundWithSignature(lane(1), 700, 0, signature);
        vm.expectRevert(InvalidSignature.selector);
        ESCROW.refundWithSignature(terms(), 701, 0, signature);
        vm.expectRevert(InvalidRefundNonce.selector);
        ESCROW.refundWithSignature(terms(), 700, 1, signature);
        same(ESCROW.getRefundDigest(idOf(terms()), 0, 700), refundDigest(terms(), 0, 700), "the digest");
        vm.prank(stranger);
        ESCROW.refundWithSignature(terms(), 700, 0, signature);
        vm.expectRevert(InvalidRefundNonce.selector);
        ESCROW.refundWithSignature(terms(), 700, 0, signature);
        holds(terms(), 9300, 0);
    }

    function test_only_the_receivers_side_refunds() public {
        vm.prank(payer);
        vm.expectRevert(NotAuthorizedToRefund.selector);
        ESCROW.refund(terms(), 1);
    }

    function test_a_channel_ends_and_begins_again() public {
        vm.expectEmit(address(ESCROW));
        emit Refunded(idOf(terms()), PAYEE, 10_000);
        vm.expectEmit(address(ESCROW));
        emit ChannelClosed(idOf(terms()), terms());
        refundAsReceiver(10_000);
        bytes memory signed = authorization(PAYER_KEY, terms(), 5, 99);
        vm.expectEmit(address(ESCROW));
        emit ChannelCreated(idOf(terms()), terms());
        ESCROW.deposit(terms(), 5, address(BY_AUTHORIZATION), signed);
        holds(terms(), 5, 0);
    }

    function test_a_withdrawal_waits() public {
        vm.expectEmit(address(ESCROW));
        emit WithdrawInitiated(idOf(terms()), 6000, uint40(NOW) + DELAY);
        initiate(6000);
        (uint128 amount, uint40 since) = pending(terms());
        same(amount, 6000, "pending");
        same(since, NOW, "since");
        vm.warp(NOW + DELAY - 1);
        vm.prank(payer);
        vm.expectRevert(WithdrawDelayNotElapsed.selector);
        ESCROW.finalizeWithdraw(terms());
        vm.warp(NOW + DELAY);
        vm.expectEmit(address(ESCROW));
        emit WithdrawFinalized(idOf(terms()), payer, 6000);
        finalize();
        holds(terms(), 4000, 0);
        payerHas(6000);
        vm.prank(payer);
        vm.expectRevert(WithdrawalNotPending.selector);
        ESCROW.finalizeWithdraw(terms());
    }

    function test_a_withdrawal_within_the_bounds() public {
        vm.prank(stranger);
        vm.expectRevert(InvalidChannel.selector);
        ESCROW.initiateWithdraw(terms(), 1);
        vm.prank(payer);
        vm.expectRevert(NothingToWithdraw.selector);
        ESCROW.initiateWithdraw(terms(), 0);
        vm.prank(payer);
        vm.expectRevert(WithdrawAmountExceedsAvailable.selector);
        ESCROW.initiateWithdraw(terms(), 10_001);
        initiate(1);
        vm.prank(payer);
        vm.expectRevert(WithdrawalAlreadyPending.selector);
        ESCROW.initiateWithdraw(terms(), 1);
        vm.prank(PAYEE);
        vm.expectRevert(NotAuthorizedToFinalizeWithdraw.selector);
        ESCROW.finalizeWithdraw(terms());
    }

    function test_the_session_key_may_withdraw_to_the_payer() public {
        ChannelConfig memory config = terms();
        config.payerAuthorizer = session;
        fill(config, 1000);
        vm.prank(session);
        ESCROW.initiateWithdraw(config, 1000);
        vm.warp(NOW + DELAY);
        vm.prank(session);
        ESCROW.finalizeWithdraw(config);
        same(DOLLAR.balanceOf(session), 0, "the session key has");
        payerHas(0);
    }

    function test_what_is_claimed_in_time_stays() public {
        initiate(10_000);
        claimAsReceiver(rowOf(terms(), 4000, 4000));
        vm.warp(NOW + DELAY);
        finalize();
        holds(terms(), 4000, 4000);
        payerHas(6000);
    }

    /// A voucher reserves nothing: whoever claims after the withdrawal comes too late.
    function test_what_is_claimed_too_late_is_lost() public {
        VoucherClaim[] memory rows = rowOf(terms(), 4000, 4000);
        initiate(10_000);
        vm.warp(NOW + DELAY);
        finalize();
        vm.prank(PAYEE);
        vm.expectRevert(ClaimExceedsBalance.selector);
        ESCROW.claim(rows);
        payerHas(10_000);
    }

    function test_a_withdrawal_of_nothing_that_is_left() public {
        initiate(10_000);
        claimAsReceiver(rowOf(terms(), 10_000, 10_000));
        vm.warp(NOW + DELAY);
        vm.expectEmit(address(ESCROW));
        emit WithdrawFinalized(idOf(terms()), payer, 0);
        finalize();
        payerHas(0);
    }

    function test_a_refund_is_no_longer_withdrawn() public {
        initiate(6000);
        refundAsReceiver(1000);
        (uint128 amount, uint40 since) = pending(terms());
        same(amount, 5000, "pending");
        same(since, NOW, "since");
        refundAsReceiver(5000);
        (amount, since) = pending(terms());
        same(amount, 0, "pending");
        same(since, 0, "since");
        vm.warp(NOW + DELAY);
        vm.prank(payer);
        vm.expectRevert(WithdrawalNotPending.selector);
        ESCROW.finalizeWithdraw(terms());
        holds(terms(), 4000, 0);
    }
}
