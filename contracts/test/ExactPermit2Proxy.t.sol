// SPDX-License-Identifier: MIT OR Apache-2.0
// `exact` by Permit2: anyone may submit it, and it can only pay what, whom and when the payer signed.
pragma solidity ^0.8.26;

import {ExactPermit2Proxy} from "../src/standin/ExactPermit2Proxy.sol";
import {ISignatureTransfer} from "../src/standin/ISignatureTransfer.sol";
import {Permit2Proxy} from "../src/standin/Permit2Proxy.sol";
import {Stage} from "./Stage.sol";

contract ExactPermit2ProxyTest is Stage {
    event Settled();
    event SettledWithPermit();

    ExactPermit2Proxy.Witness private witness;

    function setUp() public override {
        super.setUp();
        witness = ExactPermit2Proxy.Witness({to: PAYEE, validAfter: NOW - 1});
    }

    function digest(ISignatureTransfer.PermitTransferFrom memory permit, ExactPermit2Proxy.Witness memory seen)
        private
        pure
        returns (bytes32)
    {
        bytes32 words = keccak256(abi.encode(keccak256(bytes(EXACT_WITNESS)), seen.to, seen.validAfter));
        return witnessDigest(permit, address(EXACT), EXACT_WITNESS, words);
    }

    function signed(ISignatureTransfer.PermitTransferFrom memory permit) private view returns (bytes memory) {
        return sign(PAYER_KEY, digest(permit, witness));
    }

    function test_it_says_what_the_reference_asks() public view {
        same(address(EXACT.PERMIT2()), address(PERMIT2), "PERMIT2");
        same(EXACT.WITNESS_TYPEHASH(), keccak256(bytes(EXACT_WITNESS)), "WITNESS_TYPEHASH");
        string memory expected =
            string.concat("Witness witness)TokenPermissions(address token,uint256 amount)", EXACT_WITNESS);
        same(EXACT.WITNESS_TYPE_STRING(), expected, "WITNESS_TYPE_STRING");
    }

    function test_anyone_submits_once() public {
        approvePermit2();
        ISignatureTransfer.PermitTransferFrom memory permit = permitOf(1000, 3);
        bytes memory signature = signed(permit);
        vm.expectEmit(address(EXACT));
        emit Settled();
        vm.prank(stranger);
        EXACT.settle(permit, payer, witness, signature);
        paid(1000);
        vm.expectRevert(ISignatureTransfer.InvalidNonce.selector);
        EXACT.settle(permit, payer, witness, signature);
        paid(1000);
    }

    function test_nobody_redirects_it() public {
        approvePermit2();
        ISignatureTransfer.PermitTransferFrom memory permit = permitOf(1000, 3);
        bytes memory signature = signed(permit);
        witness.to = stranger;
        vm.expectRevert(ISignatureTransfer.InvalidSigner.selector);
        EXACT.settle(permit, payer, witness, signature);
    }

    function test_a_permit_for_the_other_proxy_is_none() public {
        approvePermit2();
        ISignatureTransfer.PermitTransferFrom memory permit = permitOf(1000, 3);
        bytes32 words = keccak256(abi.encode(keccak256(bytes(EXACT_WITNESS)), witness.to, witness.validAfter));
        bytes memory signature = sign(PAYER_KEY, witnessDigest(permit, address(UPTO), EXACT_WITNESS, words));
        vm.expectRevert(ISignatureTransfer.InvalidSigner.selector);
        EXACT.settle(permit, payer, witness, signature);
    }

    function test_time_begins_and_ends() public {
        approvePermit2();
        ISignatureTransfer.PermitTransferFrom memory permit = permitOf(1000, 3);
        bytes memory signature = signed(permit);
        vm.warp(witness.validAfter - 1);
        vm.expectRevert(Permit2Proxy.PaymentTooEarly.selector);
        EXACT.settle(permit, payer, witness, signature);
        vm.warp(permit.deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(ISignatureTransfer.SignatureExpired.selector, permit.deadline));
        EXACT.settle(permit, payer, witness, signature);
        vm.warp(permit.deadline);
        EXACT.settle(permit, payer, witness, signature);
        paid(1000);
    }

    function test_nothing_nobody_and_nowhere_are_refused() public {
        bytes memory signature = signed(permitOf(1000, 3));
        vm.expectRevert(ExactPermit2Proxy.InvalidAmount.selector);
        EXACT.settle(permitOf(0, 3), payer, witness, signature);
        vm.expectRevert(Permit2Proxy.InvalidOwner.selector);
        EXACT.settle(permitOf(1000, 3), address(0), witness, signature);
        witness.to = address(0);
        vm.expectRevert(Permit2Proxy.InvalidDestination.selector);
        EXACT.settle(permitOf(1000, 3), payer, witness, signature);
    }

    function test_a_chain_without_permit2_is_named() public {
        bytes memory signature = signed(permitOf(1000, 3));
        vm.etch(address(PERMIT2), "");
        vm.expectRevert(Permit2Proxy.InvalidPermit2Address.selector);
        EXACT.settle(permitOf(1000, 3), payer, witness, signature);
    }

    function test_a_missing_allowance_is_one_sentence() public {
        bytes memory signature = signed(permitOf(1000, 3));
        vm.expectRevert("TRANSFER_FROM_FAILED");
        EXACT.settle(permitOf(1000, 3), payer, witness, signature);
    }

    function permit2612(uint256 value) private view returns (Permit2Proxy.EIP2612Permit memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PAYER_KEY, permit2612Digest(payer, value, 0));
        return Permit2Proxy.EIP2612Permit({value: value, deadline: NOW + 60, r: r, s: s, v: v});
    }

    function test_a_permit_of_the_token_replaces_the_approval() public {
        bytes memory signature = signed(permitOf(1000, 3));
        Permit2Proxy.EIP2612Permit memory permit = permit2612(1000);
        vm.expectEmit(address(EXACT));
        emit SettledWithPermit();
        EXACT.settleWithPermit(permit, permitOf(1000, 3), payer, witness, signature);
        paid(1000);
        same(DOLLAR.allowance(payer, address(PERMIT2)), 0, "allowance left");
    }

    function test_a_permit_that_somebody_submitted_first_does_no_harm() public {
        Permit2Proxy.EIP2612Permit memory permit = permit2612(1000);
        DOLLAR.permit(payer, address(PERMIT2), permit.value, permit.deadline, permit.v, permit.r, permit.s);
        EXACT.settleWithPermit(permit, permitOf(1000, 3), payer, witness, signed(permitOf(1000, 3)));
        paid(1000);
    }

    function test_a_permit_of_another_amount_is_refused() public {
        bytes memory signature = signed(permitOf(1000, 3));
        Permit2Proxy.EIP2612Permit memory permit = permit2612(1001);
        vm.expectRevert(Permit2Proxy.Permit2612AmountMismatch.selector);
        EXACT.settleWithPermit(permit, permitOf(1000, 3), payer, witness, signature);
    }

    function testFuzz_all_that_was_permitted_moves_once(uint256 amount, uint256 nonce) public {
        approvePermit2();
        ISignatureTransfer.PermitTransferFrom memory permit = permitOf(1 + amount % PURSE, nonce);
        bytes memory signature = signed(permit);
        EXACT.settle(permit, payer, witness, signature);
        vm.expectRevert(ISignatureTransfer.InvalidNonce.selector);
        EXACT.settle(permit, payer, witness, signature);
        paid(1 + amount % PURSE);
    }
}
