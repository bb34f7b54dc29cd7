// SPDX-License-Identifier: MIT OR Apache-2.0
// Stands where Permit2 stands on a real chain, 0x000000000022D473030F116dDEE9F6B43aC78BA3, and answers as it does.
// Written from the published interface; only transfers by signature, not allowances.
pragma solidity ^0.8.26;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ISignatureTransfer} from "./ISignatureTransfer.sol";

/// @title Permit2's transfers by signature. For tests.
/// @dev It has no constructor and nothing immutable: its runtime code works wherever it is put.
contract Permit2StandIn is ISignatureTransfer {
    using SafeERC20 for IERC20;

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)");
    bytes32 private constant PERMISSIONS_TYPEHASH = keccak256("TokenPermissions(address token,uint256 amount)");

    string private constant SINGLE = "PermitTransferFrom(TokenPermissions permitted,";
    string private constant BATCH = "PermitBatchTransferFrom(TokenPermissions[] permitted,";
    string private constant SINGLE_WITNESS = "PermitWitnessTransferFrom(TokenPermissions permitted,";
    string private constant BATCH_WITNESS = "PermitBatchWitnessTransferFrom(TokenPermissions[] permitted,";
    string private constant TERMS = "address spender,uint256 nonce,uint256 deadline";
    string private constant PERMISSIONS = ")TokenPermissions(address token,uint256 amount)";

    /// Bit `nonce & 0xff` of word `nonce >> 8` says whether the owner's nonce is used.
    mapping(address owner => mapping(uint256 word => uint256 bits)) public nonceBitmap;

    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPEHASH, keccak256("Permit2"), block.chainid, address(this)));
    }

    function permitTransferFrom(
        PermitTransferFrom calldata permit,
        SignatureTransferDetails calldata transferDetails,
        address owner,
        bytes calldata signature
    ) external {
        bytes32 typeHash = keccak256(abi.encodePacked(SINGLE, TERMS, PERMISSIONS));
        bytes32 permitted = _hash(permit.permitted);
        bytes32 words = keccak256(abi.encode(typeHash, permitted, msg.sender, permit.nonce, permit.deadline));
        _single(permit, transferDetails, owner, words, signature);
    }

    function permitTransferFrom(
        PermitBatchTransferFrom calldata permit,
        SignatureTransferDetails[] calldata transferDetails,
        address owner,
        bytes calldata signature
    ) external {
        bytes32 typeHash = keccak256(abi.encodePacked(BATCH, TERMS, PERMISSIONS));
        bytes32 permitted = _hash(permit.permitted);
        bytes32 words = keccak256(abi.encode(typeHash, permitted, msg.sender, permit.nonce, permit.deadline));
        _batch(permit, transferDetails, owner, words, signature);
    }

    function permitWitnessTransferFrom(
        PermitTransferFrom calldata permit,
        SignatureTransferDetails calldata transferDetails,
        address owner,
        bytes32 witness,
        string calldata witnessTypeString,
        bytes calldata signature
    ) external {
        bytes32 typeHash = keccak256(abi.encodePacked(SINGLE_WITNESS, TERMS, ",", witnessTypeString));
        bytes32 permitted = _hash(permit.permitted);
        bytes32 words = keccak256(abi.encode(typeHash, permitted, msg.sender, permit.nonce, permit.deadline, witness));
        _single(permit, transferDetails, owner, words, signature);
    }

    function permitWitnessTransferFrom(
        PermitBatchTransferFrom calldata permit,
        SignatureTransferDetails[] calldata transferDetails,
        address owner,
        bytes32 witness,
        string calldata witnessTypeString,
        bytes calldata signature
    ) external {
        bytes32 typeHash = keccak256(abi.encodePacked(BATCH_WITNESS, TERMS, ",", witnessTypeString));
        bytes32 permitted = _hash(permit.permitted);
        bytes32 words = keccak256(abi.encode(typeHash, permitted, msg.sender, permit.nonce, permit.deadline, witness));
        _batch(permit, transferDetails, owner, words, signature);
    }

    /// Uses up nonces of the caller that nobody has presented yet.
    function invalidateUnorderedNonces(uint256 wordPos, uint256 mask) external {
        nonceBitmap[msg.sender][wordPos] |= mask;
        emit UnorderedNonceInvalidation(msg.sender, wordPos, mask);
    }

    function _single(
        PermitTransferFrom calldata permit,
        SignatureTransferDetails calldata details,
        address owner,
        bytes32 words,
        bytes calldata signature
    ) private {
        if (block.timestamp > permit.deadline) revert SignatureExpired(permit.deadline);
        if (details.requestedAmount > permit.permitted.amount) revert InvalidAmount(permit.permitted.amount);
        _useNonce(owner, permit.nonce);
        _requireSigned(owner, words, signature);
        _move(permit.permitted.token, owner, details.to, details.requestedAmount);
    }

    function _batch(
        PermitBatchTransferFrom calldata permit,
        SignatureTransferDetails[] calldata details,
        address owner,
        bytes32 words,
        bytes calldata signature
    ) private {
        if (block.timestamp > permit.deadline) revert SignatureExpired(permit.deadline);
        if (details.length != permit.permitted.length) revert LengthMismatch();
        _useNonce(owner, permit.nonce);
        _requireSigned(owner, words, signature);
        for (uint256 row = 0; row < details.length; ++row) {
            TokenPermissions calldata permitted = permit.permitted[row];
            if (details[row].requestedAmount > permitted.amount) revert InvalidAmount(permitted.amount);
            if (details[row].requestedAmount == 0) continue;
            _move(permitted.token, owner, details[row].to, details[row].requestedAmount);
        }
    }

    function _useNonce(address owner, uint256 nonce) private {
        uint256 bit = 1 << (nonce & 0xff);
        uint256 used = nonceBitmap[owner][nonce >> 8];
        if (used & bit != 0) revert InvalidNonce();
        nonceBitmap[owner][nonce >> 8] = used | bit;
    }

    /// @dev A failing token is one sentence here, whatever the token said: callers see it and nothing else.
    function _move(address token, address from, address to, uint256 amount) private {
        require(IERC20(token).trySafeTransferFrom(from, to, amount), "TRANSFER_FROM_FAILED");
    }

    function _requireSigned(address owner, bytes32 words, bytes calldata signature) private view {
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", DOMAIN_SEPARATOR(), words));
        if (owner.code.length != 0) {
            bytes4 answer = IERC1271(owner).isValidSignature(digest, signature);
            if (answer != IERC1271.isValidSignature.selector) revert InvalidContractSignature();
            return;
        }
        address signer = _signer(digest, signature);
        if (signer == address(0)) revert InvalidSignature();
        if (signer != owner) revert InvalidSigner();
    }

    /// @dev 65 bytes, or the 64 of EIP-2098 whose highest bit of `s` is the parity.
    function _signer(bytes32 digest, bytes calldata signature) private pure returns (address) {
        if (signature.length == 65) {
            (bytes32 r, bytes32 s) = abi.decode(signature, (bytes32, bytes32));
            return ecrecover(digest, uint8(signature[64]), r, s);
        }
        if (signature.length != 64) revert InvalidSignatureLength();
        (bytes32 first, bytes32 parityAndS) = abi.decode(signature, (bytes32, bytes32));
        uint8 parity = uint8(uint256(parityAndS >> 255));
        return ecrecover(digest, 27 + parity, first, parityAndS & bytes32(uint256(type(int256).max)));
    }

    function _hash(TokenPermissions calldata permitted) private pure returns (bytes32) {
        return keccak256(abi.encode(PERMISSIONS_TYPEHASH, permitted.token, permitted.amount));
    }

    function _hash(TokenPermissions[] calldata permitted) private pure returns (bytes32) {
        bytes32[] memory rows = new bytes32[](permitted.length);
        for (uint256 row = 0; row < permitted.length; ++row) {
            rows[row] = _hash(permitted[row]);
        }
        return keccak256(abi.encodePacked(rows));
    }
}
