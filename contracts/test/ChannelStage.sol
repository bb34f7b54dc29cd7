// SPDX-License-Identifier: MIT OR Apache-2.0
// The stage with x402's escrow and its collectors in their places: channels, deposits, vouchers and claims by hand.
pragma solidity ^0.8.26;

import {AuthorizationCollector} from "../src/standin/AuthorizationCollector.sol";
import {BatchSettlement} from "../src/standin/BatchSettlement.sol";
import {IBatchSettlement} from "../src/standin/IBatchSettlement.sol";
import {ISignatureTransfer} from "../src/standin/ISignatureTransfer.sol";
import {Permit2Collector} from "../src/standin/Permit2Collector.sol";
import {Stage} from "./Stage.sol";

/// @title Channels and what is signed for them.
/// @dev Digests are spelled out here once more, so that a slip in the escrow meets a second opinion.
abstract contract ChannelStage is Stage, IBatchSettlement {
    /// Account 3 of the test mnemonic, `receiverAuthorizer` in the golden vectors.
    uint256 internal constant AUTHORIZER_KEY = 0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6;
    uint256 internal constant SESSION_KEY = 0x5e55;
    uint40 internal constant DELAY = 900;

    BatchSettlement internal constant ESCROW = BatchSettlement(0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003);
    AuthorizationCollector internal constant BY_AUTHORIZATION =
        AuthorizationCollector(0x4020806089470a89826cB9fB1f4059150b550004);
    Permit2Collector internal constant BY_PERMIT2 = Permit2Collector(0x4020425FAf3B746C082C2f942b4E5159887B0005);

    address internal authorizer = vm.addr(AUTHORIZER_KEY);
    address internal session = vm.addr(SESSION_KEY);
    uint256 private salts;

    function setUp() public virtual override {
        super.setUp();
        vm.etch(address(ESCROW), address(new BatchSettlement()).code);
        vm.etch(address(BY_AUTHORIZATION), address(new AuthorizationCollector()).code);
        vm.etch(address(BY_PERMIT2), address(new Permit2Collector()).code);
    }

    /// The channel of the golden vectors.
    function terms() internal view returns (ChannelConfig memory) {
        return ChannelConfig(payer, payer, PAYEE, authorizer, address(DOLLAR), DELAY, bytes32(0));
    }

    /// Another one of the same parties.
    function lane(uint256 salt) internal view returns (ChannelConfig memory config) {
        config = terms();
        config.salt = bytes32(salt);
    }

    function escrowDomain() private pure returns (bytes32) {
        bytes32 kind = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        return keccak256(abi.encode(kind, keccak256("x402 Batch Settlement"), keccak256("1"), CHAIN, ESCROW));
    }

    function idOf(ChannelConfig memory c) internal pure returns (bytes32) {
        bytes32 kind = keccak256(
            "ChannelConfig(address payer,address payerAuthorizer,address receiver,address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 salt)"
        );
        bytes32 words = keccak256(
            abi.encode(
                kind, c.payer, c.payerAuthorizer, c.receiver, c.receiverAuthorizer, c.token, c.withdrawDelay, c.salt
            )
        );
        return seal(escrowDomain(), words);
    }

    function voucherDigest(ChannelConfig memory config, uint256 ceiling) internal pure returns (bytes32) {
        bytes32 kind = keccak256("Voucher(bytes32 channelId,uint128 maxClaimableAmount)");
        return seal(escrowDomain(), keccak256(abi.encode(kind, idOf(config), ceiling)));
    }

    function refundDigest(ChannelConfig memory config, uint256 nonce, uint256 amount) internal pure returns (bytes32) {
        bytes32 kind = keccak256("Refund(bytes32 channelId,uint256 nonce,uint128 amount)");
        return seal(escrowDomain(), keccak256(abi.encode(kind, idOf(config), nonce, amount)));
    }

    function claimsDigest(VoucherClaim[] memory rows) internal pure returns (bytes32) {
        string memory entry = "ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)";
        bytes32[] memory hashes = new bytes32[](rows.length);
        for (uint256 place = 0; place < rows.length; ++place) {
            bytes32 channelId = idOf(rows[place].voucher.channel);
            hashes[place] = keccak256(
                abi.encode(
                    keccak256(bytes(entry)), channelId, rows[place].voucher.maxClaimableAmount, rows[place].totalClaimed
                )
            );
        }
        bytes32 kind = keccak256(abi.encodePacked("ClaimBatch(ClaimEntry[] claims)", entry));
        return seal(escrowDomain(), keccak256(abi.encode(kind, keccak256(abi.encodePacked(hashes)))));
    }

    /// `collectorData` of an authorisation that the key signs for the channel, good for a minute.
    function authorization(uint256 key, ChannelConfig memory config, uint256 amount, uint256 salt)
        internal
        view
        returns (bytes memory)
    {
        bytes32 kind = keccak256(
            "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
        );
        bytes32 nonce = keccak256(abi.encode(idOf(config), salt));
        uint256 end = block.timestamp + 60;
        bytes32 words = keccak256(abi.encode(kind, config.payer, BY_AUTHORIZATION, amount, 0, end, nonce));
        return abi.encode(0, end, salt, sign(key, seal(tokenDomain(address(DOLLAR)), words)));
    }

    /// `collectorData` of a Permit2 transfer that the payer signs for the channel, with the token's permit or without.
    function permit2(ChannelConfig memory config, uint256 amount, uint256 nonce, bytes memory permit2612)
        internal
        pure
        returns (bytes memory)
    {
        bytes32 kind = keccak256(
            "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,DepositWitness witness)DepositWitness(bytes32 channelId)TokenPermissions(address token,uint256 amount)"
        );
        bytes32 witness = keccak256(abi.encode(keccak256("DepositWitness(bytes32 channelId)"), idOf(config)));
        ISignatureTransfer.PermitTransferFrom memory permit = permitOf(amount, nonce);
        bytes32 words = keccak256(
            abi.encode(kind, permitted(permit.permitted), address(BY_PERMIT2), nonce, permit.deadline, witness)
        );
        return abi.encode(nonce, permit.deadline, sign(PAYER_KEY, seal(permit2Domain(), words)), permit2612);
    }

    /// The payer's money goes into a channel.
    function fill(ChannelConfig memory config, uint128 amount) internal {
        ESCROW.deposit(config, amount, address(BY_AUTHORIZATION), authorization(PAYER_KEY, config, amount, ++salts));
    }

    function row(uint256 key, ChannelConfig memory config, uint128 ceiling, uint128 total)
        internal
        pure
        returns (VoucherClaim memory)
    {
        return VoucherClaim(Voucher(config, ceiling), sign(key, voucherDigest(config, ceiling)), total);
    }

    /// One row by the payer's own voucher.
    function rowOf(ChannelConfig memory config, uint128 ceiling, uint128 total)
        internal
        pure
        returns (VoucherClaim[] memory rows)
    {
        rows = new VoucherClaim[](1);
        rows[0] = row(PAYER_KEY, config, ceiling, total);
    }

    function claimAsReceiver(VoucherClaim[] memory rows) internal {
        vm.prank(PAYEE);
        ESCROW.claim(rows);
    }

    function holds(ChannelConfig memory config, uint128 balance, uint128 claimed) internal view {
        (uint128 gotBalance, uint128 gotClaimed) = ESCROW.channels(idOf(config));
        same(gotBalance, balance, "the balance of the channel");
        same(gotClaimed, claimed, "claimed of the channel");
    }

    function pending(ChannelConfig memory config) internal view returns (uint128 amount, uint40 since) {
        return ESCROW.pendingWithdrawals(idOf(config));
    }
}
