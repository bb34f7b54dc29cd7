// SPDX-License-Identifier: MIT OR Apache-2.0
// A payer that is a contract: it signs by ERC-1271, and need not exist yet when it signs (ERC-6492).
pragma solidity ^0.8.26;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title A wallet with one key. For tests: it binds signatures neither to itself nor to the chain.
contract SmartWallet is IERC1271 {
    error NotOwner();

    /// Whose key signs.
    address public immutable owner;

    constructor(address owner_) {
        owner = owner_;
    }

    receive() external payable {}

    /// Takes the key's 65 bytes as they are, or wrapped as `abi.encode(uint256 0, bytes signature)`: many wallets wrap,
    /// and a signature that is not 65 bytes long takes other ways through tokens and facilitators.
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        bytes memory inner = signature;
        if (signature.length != 65) {
            uint256 index;
            (index, inner) = abi.decode(signature, (uint256, bytes));
            if (index != 0) return 0xffffffff;
        }
        (address signer, ECDSA.RecoverError mistake,) = ECDSA.tryRecover(hash, inner);
        bool signed = mistake == ECDSA.RecoverError.NoError && signer == owner;
        return signed ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }

    /// Calls `to` as the wallet, for instance to approve Permit2.
    function execute(address to, uint256 value, bytes calldata payload) external returns (bytes memory) {
        if (msg.sender != owner) revert NotOwner();
        (bool done, bytes memory answer) = to.call{value: value}(payload);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(answer, 0x20), mload(answer))
            }
        }
        return answer;
    }
}
