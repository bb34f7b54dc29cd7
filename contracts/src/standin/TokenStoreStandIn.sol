// SPDX-License-Identifier: MIT OR Apache-2.0
// Where the escrow keeps the tokens of one operator's payments.
pragma solidity ^0.8.26;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title Tokens that only its maker moves. For tests.
contract TokenStoreStandIn {
    using SafeERC20 for IERC20;

    error OnlyEscrow();

    address private immutable _escrow = msg.sender;

    /// Sends tokens on.
    function sendTokens(address token, address recipient, uint256 amount) external returns (bool) {
        if (msg.sender != _escrow) revert OnlyEscrow();
        IERC20(token).safeTransfer(recipient, amount);
        return true;
    }
}
