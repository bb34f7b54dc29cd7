// SPDX-License-Identifier: MIT OR Apache-2.0
// Stands where x402's collector of deposits by EIP-3009 stands on a real chain: 0x4020806089470a89826cB9fB1f4059150b550004.
pragma solidity ^0.8.26;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {DepositCollector} from "./DepositCollector.sol";

/// @title The one call that is made of the token.
interface IReceiveWithAuthorization {
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) external;
}

/// @title Receives what a payer has authorised for a channel, and hands it on. For tests.
/// @dev The nonce is a hash of the channel: the money can go nowhere else.
contract AuthorizationCollector is DepositCollector {
    using SafeERC20 for IERC20;

    /// `collectorData` is validAfter, validBefore, a salt and the signature.
    function collect(address payer, address token, uint256 amount, bytes32 channelId, bytes calldata collectorData)
        external
        onlyEscrow
    {
        (uint256 validAfter, uint256 validBefore, uint256 salt, bytes memory signature) =
            abi.decode(collectorData, (uint256, uint256, uint256, bytes));
        IReceiveWithAuthorization(token)
            .receiveWithAuthorization(
                payer, address(this), amount, validAfter, validBefore, keccak256(abi.encode(channelId, salt)), signature
            );
        IERC20(token).safeTransfer(x402BatchSettlement, amount);
    }
}
