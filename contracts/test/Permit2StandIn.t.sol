// SPDX-License-Identifier: MIT OR Apache-2.0
// Permit2 itself: spenders, nonces in bitmaps, batches, and the three shapes of a signature.
pragma solidity ^0.8.26;

import {ISignatureTransfer} from "../src/standin/ISignatureTransfer.sol";
import {Stage} from "./Stage.sol";

contract Permit2StandInTest is Stage {
    event UnorderedNonceInvalidation(address indexed owner, uint256 word, uint256 mask);

    function setUp() public override {
        super.setUp();
        approvePermit2();
    }

    function details(address to, uint256 amount)
        private
        pure
        returns (ISignatureTransfer.SignatureTransferDetails memory)
    {
        return ISignatureTransfer.SignatureTransferDetails({to: to, requestedAmount: amount});
    }

    /// A permit without a witness, for this contract as the spender.
    function digest(ISignatureTransfer.PermitTransferFrom memory permit) private view returns (bytes32) {
        bytes32 kind = keccak256(
            "PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline)TokenPermissions(address token,uint256 amount)"
        );
        bytes32 words =
            keccak256(abi.encode(kind, permitted(permit.permitted), address(this), permit.nonce, permit.deadline));
        return seal(permit2Domain(), words);
    }

    function take(ISignatureTransfer.PermitTransferFrom memory permit, uint256 amount, bytes memory signature) private {
        PERMIT2.permitTransferFrom(permit, details(PAYEE, amount), payer, signature);
    }

    function test_its_domain_has_no_version() public view {
        same(PERMIT2.DOMAIN_SEPARATOR(), permit2Domain(), "domain");
    }

    function test_a_permit_pays_once() public {
        bytes memory signature = sign(PAYER_KEY, digest(permitOf(1000, 0x1ff)));
        take(permitOf(1000, 0x1ff), 600, signature);
        paid(600);
        same(PERMIT2.nonceBitmap(payer, 1), 1 << 255, "word 1 of the payer");
        vm.expectRevert(ISignatureTransfer.InvalidNonce.selector);
        take(permitOf(1000, 0x1ff), 400, signature);
    }

    function test_only_the_spender_that_was_signed_for() public {
        bytes memory signature = sign(PAYER_KEY, digest(permitOf(1000, 0)));
        vm.prank(stranger);
        vm.expectRevert(ISignatureTransfer.InvalidSigner.selector);
        take(permitOf(1000, 0), 600, signature);
    }

    function test_not_more_than_permitted() public {
        bytes memory signature = sign(PAYER_KEY, digest(permitOf(1000, 0)));
        vm.expectRevert(abi.encodeWithSelector(ISignatureTransfer.InvalidAmount.selector, 1000));
        take(permitOf(1000, 0), 1001, signature);
    }

    function test_not_after_the_deadline() public {
        bytes memory signature = sign(PAYER_KEY, digest(permitOf(1000, 0)));
        vm.warp(NOW + 61);
        vm.expectRevert(abi.encodeWithSelector(ISignatureTransfer.SignatureExpired.selector, NOW + 60));
        take(permitOf(1000, 0), 1, signature);
    }

    function test_signatures_of_64_bytes_and_of_no_known_length() public {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PAYER_KEY, digest(permitOf(1000, 0)));
        bytes32 parityAndS = bytes32(uint256(s) | (uint256(v - 27) << 255));
        take(permitOf(1000, 0), 1000, abi.encodePacked(r, parityAndS));
        paid(1000);
        vm.expectRevert(ISignatureTransfer.InvalidSignatureLength.selector);
        take(permitOf(1000, 1), 1000, abi.encodePacked(r, s, v, v));
        vm.expectRevert(ISignatureTransfer.InvalidSignature.selector);
        take(permitOf(1000, 1), 1000, abi.encodePacked(r, s, uint8(29)));
    }

    function test_a_nonce_can_be_given_up() public {
        vm.expectEmit(address(PERMIT2));
        emit UnorderedNonceInvalidation(payer, 0, 1 << 5);
        vm.prank(payer);
        PERMIT2.invalidateUnorderedNonces(0, 1 << 5);
        bytes memory signature = sign(PAYER_KEY, digest(permitOf(1000, 5)));
        vm.expectRevert(ISignatureTransfer.InvalidNonce.selector);
        take(permitOf(1000, 5), 1, signature);
        take(permitOf(1000, 6), 1, sign(PAYER_KEY, digest(permitOf(1000, 6))));
        paid(1);
    }

    function testFuzz_nonces_do_not_meet(uint256 one, uint256 other) public {
        vm.assume(one != other);
        take(permitOf(10, one), 1, sign(PAYER_KEY, digest(permitOf(10, one))));
        take(permitOf(10, other), 2, sign(PAYER_KEY, digest(permitOf(10, other))));
        bytes memory signature = sign(PAYER_KEY, digest(permitOf(10, one)));
        vm.expectRevert(ISignatureTransfer.InvalidNonce.selector);
        take(permitOf(10, one), 1, signature);
        paid(3);
    }

    // Batches: a payment that is split among several receivers.

    function batch() private pure returns (ISignatureTransfer.PermitBatchTransferFrom memory permit) {
        permit.permitted = new ISignatureTransfer.TokenPermissions[](2);
        permit.permitted[0] = permitOf(700, 0).permitted;
        permit.permitted[1] = permitOf(300, 0).permitted;
        permit.nonce = 1;
        permit.deadline = NOW + 60;
    }

    function batchWords(string memory kind, bytes memory tail) private view returns (bytes memory) {
        ISignatureTransfer.PermitBatchTransferFrom memory permit = batch();
        bytes32 rows = keccak256(abi.encodePacked(permitted(permit.permitted[0]), permitted(permit.permitted[1])));
        bytes memory head = abi.encode(keccak256(bytes(kind)), rows, address(this), permit.nonce, permit.deadline);
        return bytes.concat(head, tail);
    }

    function rowsOf(uint256 first, uint256 second)
        private
        view
        returns (ISignatureTransfer.SignatureTransferDetails[] memory rows)
    {
        rows = new ISignatureTransfer.SignatureTransferDetails[](2);
        rows[0] = details(PAYEE, first);
        rows[1] = details(stranger, second);
    }

    function signedBatch() private view returns (bytes memory) {
        bytes memory words = batchWords(
            "PermitBatchTransferFrom(TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline)TokenPermissions(address token,uint256 amount)",
            ""
        );
        return sign(PAYER_KEY, seal(permit2Domain(), keccak256(words)));
    }

    function test_a_batch_pays_each_row_and_once() public {
        bytes memory signature = signedBatch();
        PERMIT2.permitTransferFrom(batch(), rowsOf(700, 0), payer, signature);
        paid(700);
        same(DOLLAR.balanceOf(stranger), 0, "a row of nothing moves nothing");
        vm.expectRevert(ISignatureTransfer.InvalidNonce.selector);
        PERMIT2.permitTransferFrom(batch(), rowsOf(0, 300), payer, signature);
    }

    function test_a_batch_holds_to_each_row() public {
        bytes memory signature = signedBatch();
        vm.expectRevert(abi.encodeWithSelector(ISignatureTransfer.InvalidAmount.selector, 300));
        PERMIT2.permitTransferFrom(batch(), rowsOf(600, 301), payer, signature);
        ISignatureTransfer.SignatureTransferDetails[] memory one = new ISignatureTransfer.SignatureTransferDetails[](1);
        one[0] = details(PAYEE, 700);
        vm.expectRevert(ISignatureTransfer.LengthMismatch.selector);
        PERMIT2.permitTransferFrom(batch(), one, payer, signature);
        vm.warp(NOW + 61);
        vm.expectRevert(abi.encodeWithSelector(ISignatureTransfer.SignatureExpired.selector, NOW + 60));
        PERMIT2.permitTransferFrom(batch(), rowsOf(700, 300), payer, signature);
        paid(0);
    }

    function test_a_batch_with_a_witness() public {
        bytes32 witness = keccak256(abi.encode(keccak256("Order(uint256 number)"), uint256(12)));
        string memory tail = "Order witness)Order(uint256 number)TokenPermissions(address token,uint256 amount)";
        bytes memory words = batchWords(
            string.concat(
                "PermitBatchWitnessTransferFrom(TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline,",
                tail
            ),
            abi.encode(witness)
        );
        bytes memory signature = sign(PAYER_KEY, seal(permit2Domain(), keccak256(words)));
        vm.expectRevert(ISignatureTransfer.InvalidSigner.selector);
        PERMIT2.permitWitnessTransferFrom(batch(), rowsOf(700, 300), payer, bytes32(uint256(1)), tail, signature);
        PERMIT2.permitWitnessTransferFrom(batch(), rowsOf(700, 300), payer, witness, tail, signature);
        same(DOLLAR.balanceOf(PAYEE), 700, "the first row");
        same(DOLLAR.balanceOf(stranger), 300, "the second row");
    }
}
