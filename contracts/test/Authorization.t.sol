// SPDX-License-Identifier: MIT OR Apache-2.0
// EIP-3009 on the TestDollar: an authorisation moves what was signed, to whom it was signed, in its time, and once.
pragma solidity ^0.8.26;

import {Stage} from "./Stage.sol";

contract AuthorizationTest is Stage {
    bytes32 private constant NONCE = bytes32(uint256(0x51));

    event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
    event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);

    struct Terms {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }

    function terms() private view returns (Terms memory) {
        return Terms(payer, PAYEE, 1000, NOW - 1, NOW + 1, NONCE);
    }

    function digest(string memory kind, Terms memory t) private pure returns (bytes32) {
        bytes32 typeHash = keccak256(
            abi.encodePacked(
                kind, "(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
            )
        );
        bytes32 words = keccak256(abi.encode(typeHash, t.from, t.to, t.value, t.validAfter, t.validBefore, t.nonce));
        return seal(tokenDomain(address(DOLLAR)), words);
    }

    function transferDigest(Terms memory t) private pure returns (bytes32) {
        return digest("TransferWithAuthorization", t);
    }

    function submit(Terms memory t, bytes memory signature) private {
        DOLLAR.transferWithAuthorization(t.from, t.to, t.value, t.validAfter, t.validBefore, t.nonce, signature);
    }

    function submitSplit(Terms memory t, uint256 key) private {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, transferDigest(t));
        DOLLAR.transferWithAuthorization(t.from, t.to, t.value, t.validAfter, t.validBefore, t.nonce, v, r, s);
    }

    function receive_(Terms memory t, bytes memory signature) private {
        DOLLAR.receiveWithAuthorization(t.from, t.to, t.value, t.validAfter, t.validBefore, t.nonce, signature);
    }

    function cancelDigest(address authorizer, bytes32 nonce) private pure returns (bytes32) {
        bytes32 typeHash = keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");
        return seal(tokenDomain(address(DOLLAR)), keccak256(abi.encode(typeHash, authorizer, nonce)));
    }

    function test_both_forms_of_signature_pay() public {
        Terms memory t = terms();
        vm.expectEmit(address(DOLLAR));
        emit AuthorizationUsed(payer, NONCE);
        submit(t, sign(PAYER_KEY, transferDigest(t)));
        require(DOLLAR.authorizationState(payer, NONCE), "the nonce is used");
        t.nonce = bytes32(uint256(0x52));
        submitSplit(t, PAYER_KEY);
        paid(2000);
    }

    function test_a_nonce_pays_once_whatever_the_form() public {
        Terms memory t = terms();
        bytes memory signature = sign(PAYER_KEY, transferDigest(t));
        submit(t, signature);
        vm.expectRevert("FiatTokenV2: authorization is used or canceled");
        submit(t, signature);
        vm.expectRevert("FiatTokenV2: authorization is used or canceled");
        this.submitSplitOutside(t);
        t.to = address(this);
        signature = sign(PAYER_KEY, digest("ReceiveWithAuthorization", t));
        vm.expectRevert("FiatTokenV2: authorization is used or canceled");
        receive_(t, signature);
        paid(1000);
    }

    /// From outside, because signing would be the next call that `expectRevert` looks at.
    function submitSplitOutside(Terms memory t) external {
        submitSplit(t, PAYER_KEY);
    }

    function test_a_stranger_does_not_sign_for_the_payer() public {
        Terms memory t = terms();
        bytes memory signature = sign(STRANGER_KEY, transferDigest(t));
        vm.expectRevert("FiatTokenV2: invalid signature");
        submit(t, signature);
        paid(0);
    }

    function test_a_signature_for_receiving_does_not_transfer() public {
        Terms memory t = terms();
        bytes memory signature = sign(PAYER_KEY, digest("ReceiveWithAuthorization", t));
        vm.expectRevert("FiatTokenV2: invalid signature");
        submit(t, signature);
    }

    function test_time_begins_after_and_ends_before() public {
        Terms memory t = terms();
        bytes memory signature = sign(PAYER_KEY, transferDigest(t));
        vm.warp(t.validAfter);
        vm.expectRevert("FiatTokenV2: authorization is not yet valid");
        submit(t, signature);
        vm.warp(t.validBefore);
        vm.expectRevert("FiatTokenV2: authorization is expired");
        submit(t, signature);
        vm.warp(NOW);
        submit(t, signature);
        paid(1000);
    }

    /// OpenZeppelin takes both ends with bit 47 as block numbers; USDC takes them as a far future.
    function test_times_are_seconds_never_blocks() public {
        Terms memory t = terms();
        t.validAfter = 1 << 47;
        t.validBefore = (1 << 47) + 1_000_000;
        bytes memory signature = sign(PAYER_KEY, transferDigest(t));
        vm.expectRevert("FiatTokenV2: authorization is not yet valid");
        submit(t, signature);
    }

    function test_only_the_payee_receives() public {
        Terms memory t = terms();
        bytes memory signature = sign(PAYER_KEY, digest("ReceiveWithAuthorization", t));
        vm.expectRevert("FiatTokenV2: caller must be the payee");
        receive_(t, signature);
        vm.prank(PAYEE);
        receive_(t, signature);
        paid(1000);
    }

    function test_a_cancelled_nonce_pays_nothing() public {
        Terms memory t = terms();
        bytes memory signature = sign(PAYER_KEY, transferDigest(t));
        bytes memory foreign = sign(STRANGER_KEY, cancelDigest(payer, NONCE));
        vm.expectRevert("FiatTokenV2: invalid signature");
        DOLLAR.cancelAuthorization(payer, NONCE, foreign);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PAYER_KEY, cancelDigest(payer, NONCE));
        vm.expectEmit(address(DOLLAR));
        emit AuthorizationCanceled(payer, NONCE);
        DOLLAR.cancelAuthorization(payer, NONCE, v, r, s);
        vm.expectRevert("FiatTokenV2: authorization is used or canceled");
        submit(t, signature);
        vm.expectRevert("FiatTokenV2: authorization is used or canceled");
        DOLLAR.cancelAuthorization(payer, NONCE, v, r, s);
    }

    function test_more_than_the_payer_has_is_refused() public {
        Terms memory t = terms();
        t.value = PURSE + 1;
        bytes memory signature = sign(PAYER_KEY, transferDigest(t));
        vm.expectRevert("ERC20: transfer amount exceeds balance");
        submit(t, signature);
        require(!DOLLAR.authorizationState(payer, NONCE), "a refused authorisation stays unused");
    }

    /// Any field that is not what was signed is refused; the signature itself pays.
    function testFuzz_every_field_is_signed(uint8 which, uint256 other, uint256 value) public {
        Terms memory t = terms();
        t.value = value % PURSE;
        bytes memory signature = sign(PAYER_KEY, transferDigest(t));
        Terms memory forged = Terms(t.from, t.to, t.value, t.validAfter, t.validBefore, t.nonce);
        which = which % 6;
        if (which == 0) forged.from = address(uint160(other | 0x1000));
        if (which == 1) forged.to = address(uint160(other | 0x1000));
        if (which == 2) forged.value = other % PURSE;
        if (which == 3) forged.validAfter = other % NOW;
        if (which == 4) forged.validBefore = NOW + 1 + (other % NOW);
        if (which == 5) forged.nonce = bytes32(other);
        vm.assume(transferDigest(forged) != transferDigest(t));
        vm.assume(forged.from.code.length == 0);
        vm.expectRevert("FiatTokenV2: invalid signature");
        submit(forged, signature);
        submit(t, signature);
        paid(t.value);
    }

    /// Any two nonces of any payer pay once each, and nothing is made or lost.
    function testFuzz_nonces_do_not_meet(bytes32 one, bytes32 other, uint64 value) public {
        vm.assume(one != other);
        Terms memory t = terms();
        t.value = value % (PURSE / 2);
        uint256 supply = DOLLAR.totalSupply();
        t.nonce = one;
        submit(t, sign(PAYER_KEY, transferDigest(t)));
        require(!DOLLAR.authorizationState(payer, other), "the other nonce is free");
        t.nonce = other;
        submit(t, sign(PAYER_KEY, transferDigest(t)));
        paid(t.value * 2);
        same(DOLLAR.totalSupply(), supply, "the supply");
    }
}
