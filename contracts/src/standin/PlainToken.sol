// SPDX-License-Identifier: MIT OR Apache-2.0
// A token that knows neither EIP-3009 nor EIP-2612 and counts in 18 decimals: what Permit2 is for.
pragma solidity ^0.8.26;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title Only ERC-20, and anyone may mint. For tests.
contract PlainToken is ERC20 {
    constructor(string memory name_, string memory symbol_) ERC20(name_, symbol_) {}

    /// Makes `amount` out of nothing for `to`.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}
