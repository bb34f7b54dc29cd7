// SPDX-License-Identifier: MIT OR Apache-2.0
// What both collectors of the escrow share: they fetch a payer's money for the escrow, and for nobody else.
pragma solidity ^0.8.26;

/// @title Fetches what a payer has signed for a channel.
interface IDepositCollector {
    function collect(address payer, address token, uint256 amount, bytes32 channelId, bytes calldata collectorData)
        external;
}

/// @title The shared half of the stand-ins for x402's collectors. For tests.
/// @dev No constructor, nothing immutable: the escrow is the one at its published address.
abstract contract DepositCollector is IDepositCollector {
    error OnlyX402BatchSettlement();

    /// The escrow's address on every chain.
    address public constant x402BatchSettlement = 0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003;

    modifier onlyEscrow() {
        if (msg.sender != x402BatchSettlement) revert OnlyX402BatchSettlement();
        _;
    }
}
