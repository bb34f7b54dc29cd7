// SPDX-License-Identifier: MIT OR Apache-2.0
// What both x402 proxies share: a payment by Permit2 whose receiver and first moment the payer has signed, so that
// whoever submits it can send the money nowhere else. Written from the published interface.
pragma solidity ^0.8.26;

import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ISignatureTransfer} from "./ISignatureTransfer.sol";

/// @title The shared half of the stand-ins for x402's proxies. For tests.
/// @dev No constructor, nothing immutable, no storage: the runtime code works wherever it is put.
abstract contract Permit2Proxy is ReentrancyGuardTransient {
    /// An EIP-2612 permit for Permit2 itself, so that a payer without gas need not approve it in a transaction.
    struct EIP2612Permit {
        uint256 value;
        uint256 deadline;
        bytes32 r;
        bytes32 s;
        uint8 v;
    }

    event Settled();
    event SettledWithPermit();

    error InvalidDestination();
    error InvalidOwner();
    error InvalidPermit2Address();
    error PaymentTooEarly();
    error Permit2612AmountMismatch();

    /// Permit2's address on every chain.
    ISignatureTransfer public constant PERMIT2 = ISignatureTransfer(0x000000000022D473030F116dDEE9F6B43aC78BA3);

    /// @dev Somebody else may have submitted the same permit first. Then it fails here, and the allowance is there.
    function _approve(
        EIP2612Permit calldata permit2612,
        ISignatureTransfer.TokenPermissions calldata permitted,
        address owner
    ) internal {
        if (permit2612.value != permitted.amount) {
            revert Permit2612AmountMismatch();
        }
        try IERC20Permit(permitted.token)
            .permit(
                owner, address(PERMIT2), permit2612.value, permit2612.deadline, permit2612.v, permit2612.r, permit2612.s
            ) {}
            catch {}
    }

    function _requireSettleable(address owner, address to, uint256 validAfter) internal view {
        if (owner == address(0)) revert InvalidOwner();
        if (to == address(0)) revert InvalidDestination();
        if (block.timestamp < validAfter) revert PaymentTooEarly();
        if (address(PERMIT2).code.length == 0) revert InvalidPermit2Address();
    }
}
