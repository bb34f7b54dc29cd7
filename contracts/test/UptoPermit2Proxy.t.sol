// SPDX-License-Identifier: MIT OR Apache-2.0
// `upto` by Permit2: only the facilitator that the payer named submits it, for at most what was permitted, once.
pragma solidity ^0.8.26;

import {ISignatureTransfer} from "../src/standin/ISignatureTransfer.sol";
import {Permit2Proxy} from "../src/standin/Permit2Proxy.sol";
import {UptoPermit2Proxy} from "../src/standin/UptoPermit2Proxy.sol";
import {Stage} from "./Stage.sol";

contract UptoPermit2ProxyTest is Stage {
    event Settled();

    UptoPermit2Proxy.Witness private witness;

    function setUp() public override {
        super.setUp();
        witness = UptoPermit2Proxy.Witness({to: PAYEE, facilitator: FACILITATOR, validAfter: NOW});
        approvePermit2();
    }

    function signed(ISignatureTransfer.PermitTransferFrom memory permit) private view returns (bytes memory) {
        bytes32 words =
            keccak256(abi.encode(keccak256(bytes(UPTO_WITNESS)), witness.to, witness.facilitator, witness.validAfter));
        return sign(PAYER_KEY, witnessDigest(permit, address(UPTO), UPTO_WITNESS, words));
    }

    function test_it_says_what_the_reference_asks() public view {
        same(address(UPTO.PERMIT2()), address(PERMIT2), "PERMIT2");
        same(UPTO.WITNESS_TYPEHASH(), keccak256(bytes(UPTO_WITNESS)), "WITNESS_TYPEHASH");
        string memory expected =
            string.concat("Witness witness)TokenPermissions(address token,uint256 amount)", UPTO_WITNESS);
        same(UPTO.WITNESS_TYPE_STRING(), expected, "WITNESS_TYPE_STRING");
    }

    function test_the_facilitator_takes_less_than_permitted_once() public {
        ISignatureTransfer.PermitTransferFrom memory permit = permitOf(1000, 9);
        bytes memory signature = signed(permit);
        vm.expectEmit(address(UPTO));
        emit Settled();
        vm.prank(FACILITATOR);
        UPTO.settle(permit, 137, payer, witness, signature);
        paid(137);
        vm.prank(FACILITATOR);
        vm.expectRevert(ISignatureTransfer.InvalidNonce.selector);
        UPTO.settle(permit, 1, payer, witness, signature);
        paid(137);
    }

    function test_nobody_else_submits() public {
        ISignatureTransfer.PermitTransferFrom memory permit = permitOf(1000, 9);
        bytes memory signature = signed(permit);
        vm.prank(stranger);
        vm.expectRevert(UptoPermit2Proxy.UnauthorizedFacilitator.selector);
        UPTO.settle(permit, 137, payer, witness, signature);
        witness.facilitator = stranger;
        vm.prank(stranger);
        vm.expectRevert(ISignatureTransfer.InvalidSigner.selector);
        UPTO.settle(permit, 137, payer, witness, signature);
        paid(0);
    }

    function test_time_begins_with_valid_after() public {
        ISignatureTransfer.PermitTransferFrom memory permit = permitOf(1000, 9);
        bytes memory signature = signed(permit);
        vm.warp(NOW - 1);
        vm.prank(FACILITATOR);
        vm.expectRevert(Permit2Proxy.PaymentTooEarly.selector);
        UPTO.settle(permit, 137, payer, witness, signature);
        vm.warp(permit.deadline + 1);
        vm.prank(FACILITATOR);
        vm.expectRevert(abi.encodeWithSelector(ISignatureTransfer.SignatureExpired.selector, permit.deadline));
        UPTO.settle(permit, 137, payer, witness, signature);
    }

    function test_a_permit_of_the_token_replaces_the_approval() public {
        vm.prank(payer);
        DOLLAR.approve(address(PERMIT2), 0);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PAYER_KEY, permit2612Digest(payer, 1000, 0));
        Permit2Proxy.EIP2612Permit memory permit =
            Permit2Proxy.EIP2612Permit({value: 1000, deadline: NOW + 60, r: r, s: s, v: v});
        bytes memory signature = signed(permitOf(1000, 9));
        vm.prank(FACILITATOR);
        UPTO.settleWithPermit(permit, permitOf(1000, 9), 400, payer, witness, signature);
        paid(400);
        permit.value = 400;
        vm.prank(FACILITATOR);
        vm.expectRevert(Permit2Proxy.Permit2612AmountMismatch.selector);
        UPTO.settleWithPermit(permit, permitOf(1000, 10), 400, payer, witness, signature);
    }

    /// Whatever is asked: at most the permitted amount moves, exactly what was asked, or nothing.
    function testFuzz_at_most_the_permitted_moves(uint256 ceiling, uint256 asked) public {
        ceiling = ceiling % (PURSE + 1);
        asked = asked % (2 * PURSE);
        ISignatureTransfer.PermitTransferFrom memory permit = permitOf(ceiling, 9);
        bytes memory signature = signed(permit);
        bool within = asked <= ceiling;
        vm.prank(FACILITATOR);
        if (!within) vm.expectRevert(UptoPermit2Proxy.AmountExceedsPermitted.selector);
        UPTO.settle(permit, asked, payer, witness, signature);
        paid(within ? asked : 0);
    }

    /// Only the named facilitator, whoever else comes.
    function testFuzz_only_the_facilitator(address caller) public {
        vm.assume(caller != FACILITATOR);
        bytes memory signature = signed(permitOf(1000, 9));
        vm.prank(caller);
        vm.expectRevert(UptoPermit2Proxy.UnauthorizedFacilitator.selector);
        UPTO.settle(permitOf(1000, 9), 1, payer, witness, signature);
    }
}
