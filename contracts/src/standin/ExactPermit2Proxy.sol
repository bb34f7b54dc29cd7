// SPDX-License-Identifier: MIT OR Apache-2.0
// Stands where x402's proxy for `exact` stands on a real chain: 0x402085c248EeA27D92E8b30b2C58ed07f9E20001.
pragma solidity ^0.8.26;

import {ISignatureTransfer} from "./ISignatureTransfer.sol";
import {Permit2Proxy} from "./Permit2Proxy.sol";

/// @title Moves what was permitted, all of it; anyone may submit. For tests.
contract ExactPermit2Proxy is Permit2Proxy {
    /// What the payer signs besides the permit.
    struct Witness {
        address to;
        uint256 validAfter;
    }

    error InvalidAmount();

    string public constant WITNESS_TYPE_STRING =
        "Witness witness)TokenPermissions(address token,uint256 amount)Witness(address to,uint256 validAfter)";
    bytes32 public constant WITNESS_TYPEHASH = keccak256("Witness(address to,uint256 validAfter)");

    function settle(
        ISignatureTransfer.PermitTransferFrom calldata permit,
        address owner,
        Witness calldata witness,
        bytes calldata signature
    ) external nonReentrant {
        _settle(permit, owner, witness, signature);
        emit Settled();
    }

    /// The same for a payer who has not approved Permit2 yet.
    function settleWithPermit(
        EIP2612Permit calldata permit2612,
        ISignatureTransfer.PermitTransferFrom calldata permit,
        address owner,
        Witness calldata witness,
        bytes calldata signature
    ) external nonReentrant {
        _approve(permit2612, permit.permitted, owner);
        _settle(permit, owner, witness, signature);
        emit SettledWithPermit();
    }

    function _settle(
        ISignatureTransfer.PermitTransferFrom calldata permit,
        address owner,
        Witness calldata witness,
        bytes calldata signature
    ) private {
        uint256 amount = permit.permitted.amount;
        if (amount == 0) revert InvalidAmount();
        _requireSettleable(owner, witness.to, witness.validAfter);
        PERMIT2.permitWitnessTransferFrom(
            permit,
            ISignatureTransfer.SignatureTransferDetails({to: witness.to, requestedAmount: amount}),
            owner,
            keccak256(abi.encode(WITNESS_TYPEHASH, witness.to, witness.validAfter)),
            WITNESS_TYPE_STRING,
            signature
        );
    }
}
