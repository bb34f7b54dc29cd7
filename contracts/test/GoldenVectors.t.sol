// SPDX-License-Identifier: MIT OR Apache-2.0
// Signatures that the reference client made, for the addresses of Base Sepolia. If our contracts take them, our
// contracts read the same words as the published ones.
pragma solidity ^0.8.26;

import {ExactPermit2Proxy} from "../src/standin/ExactPermit2Proxy.sol";
import {ISignatureTransfer} from "../src/standin/ISignatureTransfer.sol";
import {Stage} from "./Stage.sol";

contract GoldenVectorsTest is Stage {
    uint256 private constant UNTIL = 1_770_000_000;
    bytes32 private constant CHANNEL = 0xe94a435ba5c4a651c4c975bc5e2a208275f95d4199785ab0d7fbbf56bc9469ec;
    address private constant AUTHORIZATION_COLLECTOR = 0x4020806089470a89826cB9fB1f4059150b550004;
    address private constant PERMIT2_COLLECTOR = 0x4020425FAf3B746C082C2f942b4E5159887B0005;

    function test_exact_by_authorization() public {
        bytes memory signature =
            hex"faf997d1ca7d98763faca2b17d0a30d19341f9644449c6cf7bd3f54be5452bd30fe6f9fa84cdff0fdb00751da4d3e0d734d05ba8da35f3f1f0459767a728e0381c";
        bytes32 nonce = bytes32(uint256(0x2222222222222222222222222222222222222222222222222222222222222222));
        DOLLAR.transferWithAuthorization(payer, PAYEE, 1000, 0, UNTIL, nonce, signature);
        paid(1000);
    }

    function test_exact_by_permit2() public {
        approvePermit2();
        ISignatureTransfer.PermitTransferFrom memory permit = permitOf(1000, 7);
        permit.deadline = UNTIL;
        bytes memory signature =
            hex"578edc6b9b9ffa3a516fbbc81576a60e3f02fb5bda39ea2c70216c0a75bbdb2d19bc5a81dc2fab1bee0a665c66a51ed042a83c1e5ad3c4537caebdf931a021bd1b";
        EXACT.settle(permit, payer, ExactPermit2Proxy.Witness({to: PAYEE, validAfter: 0}), signature);
        paid(1000);
    }

    function test_deposit_by_authorization() public {
        bytes memory signature =
            hex"e10eae5cbea76f47a7be86a848e640924ccea4ddb8e8d6491acf2dd20566cb897c1900b416ddb4fe7047c981486e198a5c0f860c0d323130d45d60f8b5aad24c1b";
        bytes32 nonce = 0xff68ab152185c3f5b82b7d22e8a8a76dbab620bd5db72464b2541d60d7701009;
        vm.prank(AUTHORIZATION_COLLECTOR);
        DOLLAR.receiveWithAuthorization(payer, AUTHORIZATION_COLLECTOR, 10_000, 0, UNTIL, nonce, signature);
        same(DOLLAR.balanceOf(AUTHORIZATION_COLLECTOR), 10_000, "the collector has");
    }

    function test_deposit_by_permit2() public {
        approvePermit2();
        ISignatureTransfer.PermitTransferFrom memory permit = permitOf(10_000, 8);
        permit.deadline = UNTIL;
        bytes memory signature =
            hex"c0db8c83851a052eb6c338b9ac4ee7850db1a8c360263fb8f3312c9e7b57feb51f4ee228b85ad8c448494555b4ca84982b9928a21598e0285e94fb14d1f8cf5b1b";
        bytes32 witness = keccak256(abi.encode(keccak256("DepositWitness(bytes32 channelId)"), CHANNEL));
        vm.prank(PERMIT2_COLLECTOR);
        PERMIT2.permitWitnessTransferFrom(
            permit,
            ISignatureTransfer.SignatureTransferDetails({to: PAYEE, requestedAmount: 10_000}),
            payer,
            witness,
            "DepositWitness witness)DepositWitness(bytes32 channelId)TokenPermissions(address token,uint256 amount)",
            signature
        );
        paid(10_000);
    }
}
