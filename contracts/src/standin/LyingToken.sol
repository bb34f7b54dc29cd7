// SPDX-License-Identifier: MIT OR Apache-2.0
// A token that says yes and moves less than was signed for, so that tests can show who looks at the Transfer event.
pragma solidity ^0.8.26;

import {TestDollar} from "./TestDollar.sol";

/// @title A TestDollar that delivers one unit less than authorised. For tests.
contract LyingToken is TestDollar {
    constructor(string memory name_, string memory symbol_, string memory version_, address owner_)
        TestDollar(name_, symbol_, version_, owner_)
    {}

    function _transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce
    ) internal override {
        uint256 moved = value == 0 ? 0 : value - 1;
        super._transferWithAuthorization(from, to, moved, validAfter, validBefore, nonce);
    }
}
