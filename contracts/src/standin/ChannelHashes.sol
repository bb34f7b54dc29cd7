// SPDX-License-Identifier: MIT OR Apache-2.0
// The typed data (EIP-712) of x402's `batch-settlement`: a channel's id, and what its parties sign.
pragma solidity ^0.8.26;

import {IBatchSettlement} from "./IBatchSettlement.sol";

/// @title What is hashed and signed. For tests.
/// @dev The domain is worked out at each call, so that nothing is immutable and the code works wherever it is put.
abstract contract ChannelHashes is IBatchSettlement {
    bytes32 public constant CHANNEL_CONFIG_TYPEHASH = keccak256(
        "ChannelConfig(address payer,address payerAuthorizer,address receiver,address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 salt)"
    );
    bytes32 public constant VOUCHER_TYPEHASH = keccak256("Voucher(bytes32 channelId,uint128 maxClaimableAmount)");
    bytes32 public constant REFUND_TYPEHASH = keccak256("Refund(bytes32 channelId,uint256 nonce,uint128 amount)");
    bytes32 public constant CLAIM_ENTRY_TYPEHASH =
        keccak256("ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)");
    bytes32 public constant CLAIM_BATCH_TYPEHASH = keccak256(
        "ClaimBatch(ClaimEntry[] claims)ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)"
    );

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    /// The digest of the terms, domain included: the same terms elsewhere are another channel.
    function getChannelId(ChannelConfig calldata config) public view returns (bytes32) {
        return _seal(keccak256(abi.encode(CHANNEL_CONFIG_TYPEHASH, config)));
    }

    function getVoucherDigest(bytes32 channelId, uint128 maxClaimableAmount) public view returns (bytes32) {
        return _seal(keccak256(abi.encode(VOUCHER_TYPEHASH, channelId, maxClaimableAmount)));
    }

    function getRefundDigest(bytes32 channelId, uint256 nonce, uint128 amount) public view returns (bytes32) {
        return _seal(keccak256(abi.encode(REFUND_TYPEHASH, channelId, nonce, amount)));
    }

    /// The list stands by the hash of its rows' hashes, also when it is empty.
    function getClaimBatchDigest(VoucherClaim[] calldata voucherClaims) public view returns (bytes32) {
        bytes memory rows;
        for (uint256 place = 0; place < voucherClaims.length; ++place) {
            VoucherClaim calldata row = voucherClaims[place];
            bytes32 channelId = getChannelId(row.voucher.channel);
            bytes memory entry =
                abi.encode(CLAIM_ENTRY_TYPEHASH, channelId, row.voucher.maxClaimableAmount, row.totalClaimed);
            rows = bytes.concat(rows, keccak256(entry));
        }
        return _seal(keccak256(abi.encode(CLAIM_BATCH_TYPEHASH, keccak256(rows))));
    }

    function _seal(bytes32 words) private view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                DOMAIN_TYPEHASH, keccak256("x402 Batch Settlement"), keccak256("1"), block.chainid, address(this)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, words));
    }
}
