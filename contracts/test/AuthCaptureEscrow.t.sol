// SPDX-License-Identifier: MIT OR Apache-2.0
// Money in escrow: it goes in once, by the payer's signature for these very terms, and out only to the receiver or back.
pragma solidity ^0.8.26;

import {AuthCaptureEscrowStandIn} from "../src/standin/AuthCaptureEscrowStandIn.sol";
import {Eip3009CollectorStandIn} from "../src/standin/Eip3009CollectorStandIn.sol";
import {IAuthCaptureEscrow, ITokenCollector} from "../src/standin/IAuthCaptureEscrow.sol";
import {TokenStoreStandIn} from "../src/standin/TokenStoreStandIn.sol";
import {Stage} from "./Stage.sol";

contract AuthCaptureEscrowTest is Stage {
    AuthCaptureEscrowStandIn private constant ESCROW =
        AuthCaptureEscrowStandIn(0xf96815976523E00e65Be8f34cA5e64b4f41EB19c);
    Eip3009CollectorStandIn private constant COLLECTOR =
        Eip3009CollectorStandIn(0x8612dfdc421f80336cd14E8EF9cb1E765dB5ab88);
    address private constant OPERATOR = FACILITATOR;
    uint120 private constant AMOUNT = 1000;

    function setUp() public override {
        super.setUp();
        vm.etch(address(ESCROW), address(new AuthCaptureEscrowStandIn()).code);
        vm.etch(address(COLLECTOR), address(new Eip3009CollectorStandIn()).code);
    }

    function terms() private view returns (IAuthCaptureEscrow.PaymentInfo memory) {
        return IAuthCaptureEscrow.PaymentInfo({
            operator: OPERATOR,
            payer: payer,
            receiver: PAYEE,
            token: address(DOLLAR),
            maxAmount: AMOUNT,
            preApprovalExpiry: uint48(NOW + 60),
            authorizationExpiry: uint48(NOW + 600),
            refundExpiry: uint48(NOW + 600),
            minFeeBps: 0,
            maxFeeBps: 0,
            feeReceiver: address(0),
            salt: 7
        });
    }

    /// The nonce is spelled out here, not asked of the contract.
    function signed(IAuthCaptureEscrow.PaymentInfo memory info) private view returns (bytes memory) {
        bytes32 kind = keccak256(
            "PaymentInfo(address operator,address payer,address receiver,address token,uint120 maxAmount,uint48 preApprovalExpiry,uint48 authorizationExpiry,uint48 refundExpiry,uint16 minFeeBps,uint16 maxFeeBps,address feeReceiver,uint256 salt)"
        );
        address who = info.payer;
        info.payer = address(0);
        bytes32 nonce = keccak256(abi.encode(CHAIN, ESCROW, keccak256(abi.encode(kind, info))));
        info.payer = who;
        bytes32 receive_ = keccak256(
            "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
        );
        bytes32 words =
            keccak256(abi.encode(receive_, payer, COLLECTOR, info.maxAmount, 0, info.preApprovalExpiry, nonce));
        return sign(PAYER_KEY, seal(tokenDomain(address(DOLLAR)), words));
    }

    function authorize(IAuthCaptureEscrow.PaymentInfo memory info, uint256 amount) private {
        bytes memory signature = signed(terms());
        vm.prank(OPERATOR);
        ESCROW.authorize(info, amount, address(COLLECTOR), signature);
    }

    function capture(uint256 amount) private {
        vm.prank(OPERATOR);
        ESCROW.capture(terms(), amount, 0, address(0));
    }

    /// What can be captured and refunded, and who has how much.
    function stands(uint120 capturable, uint120 refundable) private view {
        (bool collected, uint120 left, uint120 out) = ESCROW.paymentState(ESCROW.getHash(terms()));
        require(collected, "it was collected");
        same(left, capturable, "capturable");
        same(out, refundable, "refundable");
        same(DOLLAR.balanceOf(ESCROW.getTokenStore(OPERATOR)), capturable, "the store has");
        same(DOLLAR.balanceOf(PAYEE), refundable, "the receiver has");
        same(DOLLAR.balanceOf(payer), PURSE - capturable - refundable, "the payer has left");
        same(DOLLAR.balanceOf(address(COLLECTOR)), 0, "the collector has");
    }

    function test_what_is_captured_goes_to_the_receiver_and_the_rest_back() public {
        authorize(terms(), AMOUNT);
        stands(AMOUNT, 0);
        vm.expectEmit(address(ESCROW));
        emit IAuthCaptureEscrow.PaymentCaptured(ESCROW.getHash(terms()), 400, 0, address(0));
        capture(400);
        stands(AMOUNT - 400, 400);
        vm.expectEmit(address(ESCROW));
        emit IAuthCaptureEscrow.PaymentVoided(ESCROW.getHash(terms()), AMOUNT - 400);
        vm.prank(OPERATOR);
        ESCROW.void(terms());
        stands(0, 400);
        vm.expectPartialRevert(IAuthCaptureEscrow.ZeroAuthorization.selector);
        vm.prank(OPERATOR);
        ESCROW.void(terms());
    }

    function test_less_than_all_leaves_the_rest_with_the_payer() public {
        authorize(terms(), 300);
        stands(300, 0);
        vm.expectPartialRevert(IAuthCaptureEscrow.InsufficientAuthorization.selector);
        capture(301);
        capture(300);
        stands(0, 300);
    }

    function test_a_signature_is_for_these_terms_alone() public {
        IAuthCaptureEscrow.PaymentInfo memory other = terms();
        other.receiver = stranger;
        vm.expectRevert("FiatTokenV2: invalid signature");
        authorize(other, AMOUNT);
        other = terms();
        other.authorizationExpiry += 1;
        other.refundExpiry += 1;
        vm.expectRevert("FiatTokenV2: invalid signature");
        authorize(other, AMOUNT);
    }

    function test_it_goes_in_once() public {
        authorize(terms(), AMOUNT);
        vm.expectPartialRevert(IAuthCaptureEscrow.PaymentAlreadyCollected.selector);
        authorize(terms(), AMOUNT);
        vm.prank(OPERATOR);
        ESCROW.void(terms());
        vm.expectPartialRevert(IAuthCaptureEscrow.PaymentAlreadyCollected.selector);
        authorize(terms(), AMOUNT);
        stands(0, 0);
    }

    function test_only_the_operator_moves_it() public {
        bytes memory signature = signed(terms());
        vm.expectPartialRevert(IAuthCaptureEscrow.InvalidSender.selector);
        ESCROW.authorize(terms(), AMOUNT, address(COLLECTOR), signature);
        authorize(terms(), AMOUNT);
        vm.expectPartialRevert(IAuthCaptureEscrow.InvalidSender.selector);
        ESCROW.capture(terms(), AMOUNT, 0, address(0));
        vm.expectPartialRevert(IAuthCaptureEscrow.InvalidSender.selector);
        vm.prank(payer);
        ESCROW.void(terms());
        vm.expectRevert(ITokenCollector.OnlyAuthCaptureEscrow.selector);
        COLLECTOR.collectTokens(terms(), stranger, AMOUNT, signature);
        capture(1);
        address store = ESCROW.getTokenStore(OPERATOR);
        vm.expectRevert(TokenStoreStandIn.OnlyEscrow.selector);
        TokenStoreStandIn(store).sendTokens(address(DOLLAR), stranger, 1);
    }

    function test_each_thing_has_its_time() public {
        vm.expectPartialRevert(IAuthCaptureEscrow.BeforeAuthorizationExpiry.selector);
        vm.prank(payer);
        ESCROW.reclaim(terms());
        vm.warp(NOW + 60);
        vm.expectPartialRevert(IAuthCaptureEscrow.AfterPreApprovalExpiry.selector);
        authorize(terms(), AMOUNT);
        vm.warp(NOW + 59);
        authorize(terms(), AMOUNT);
        vm.warp(NOW + 599);
        capture(1);
        vm.warp(NOW + 600);
        vm.expectPartialRevert(IAuthCaptureEscrow.AfterAuthorizationExpiry.selector);
        capture(1);
        vm.expectPartialRevert(IAuthCaptureEscrow.InvalidSender.selector);
        ESCROW.reclaim(terms());
        vm.prank(payer);
        ESCROW.reclaim(terms());
        stands(0, 1);
    }

    function test_what_makes_no_sense_is_refused() public {
        vm.expectPartialRevert(IAuthCaptureEscrow.ExceedsMaxAmount.selector);
        authorize(terms(), AMOUNT + 1);
        vm.expectPartialRevert(IAuthCaptureEscrow.ZeroAmount.selector);
        authorize(terms(), 0);
        IAuthCaptureEscrow.PaymentInfo memory other = terms();
        other.refundExpiry = other.authorizationExpiry - 1;
        vm.expectPartialRevert(IAuthCaptureEscrow.InvalidExpiries.selector);
        authorize(other, AMOUNT);
        authorize(terms(), AMOUNT);
        vm.expectRevert(abi.encodeWithSelector(IAuthCaptureEscrow.FeeNotHere.selector, 1));
        vm.prank(OPERATOR);
        ESCROW.capture(terms(), 10, 1, stranger);
    }
}
