// SPDX-License-Identifier: MIT OR Apache-2.0
// Deploys wallets at addresses that are known beforehand, which is what an ERC-6492 signature speaks of.
pragma solidity ^0.8.26;

import {SmartWallet} from "./SmartWallet.sol";

/// @title Wallets by CREATE2. For tests.
contract SmartWalletFactory {
    event Deployed(address indexed wallet, address indexed owner);

    /// Deploys the wallet, or finds it: asking twice is no mistake.
    function deploy(address owner, bytes32 salt) external returns (address wallet) {
        wallet = addressOf(owner, salt);
        if (wallet.code.length == 0) {
            wallet = address(new SmartWallet{salt: salt}(owner));
            emit Deployed(wallet, owner);
        }
    }

    /// Where the wallet is or will be.
    function addressOf(address owner, bytes32 salt) public view returns (address) {
        bytes32 code = keccak256(abi.encodePacked(type(SmartWallet).creationCode, abi.encode(owner)));
        return address(uint160(uint256(keccak256(abi.encodePacked(bytes1(0xff), address(this), salt, code)))));
    }
}
