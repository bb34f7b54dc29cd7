// SPDX-License-Identifier: MIT OR Apache-2.0
// Stands where x402's escrow of `batch-settlement` stands on a real chain, 0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003, and
// behaves as it does, down to the names of its refusals and their order. Written from what is published about it.
pragma solidity ^0.8.26;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {ChannelHashes} from "./ChannelHashes.sol";
import {IDepositCollector} from "./DepositCollector.sol";

/// @title Channels that a payer fills once and a receiver empties by vouchers. For tests.
/// @dev No constructor, nothing immutable, empty storage at first: the runtime code works wherever it is put. A voucher
/// that nobody has claimed reserves nothing: a withdrawal that is carried out first takes its money.
contract BatchSettlement is ChannelHashes, Multicall, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// What came in less what went back to the payer, and how much of it the receiver has claimed so far.
    struct ChannelState {
        uint128 balance;
        uint128 totalClaimed;
    }

    /// What the payer wants back, and since when; no time is no wish.
    struct WithdrawalState {
        uint128 amount;
        uint40 initiatedAt;
    }

    /// What a receiver has claimed of all channels, and how much of it was sent.
    struct ReceiverState {
        uint128 totalClaimed;
        uint128 totalSettled;
    }

    uint40 public constant MIN_WITHDRAW_DELAY = 15 minutes;
    uint40 public constant MAX_WITHDRAW_DELAY = 30 days;

    mapping(bytes32 channelId => ChannelState state) public channels;
    mapping(bytes32 channelId => WithdrawalState state) public pendingWithdrawals;
    mapping(address receiver => mapping(address token => ReceiverState state)) public receivers;
    mapping(bytes32 channelId => uint256 nonce) public refundNonce;

    /// Anyone submits it; the collector fetches what the payer has signed.
    function deposit(ChannelConfig calldata config, uint128 amount, address collector, bytes calldata collectorData)
        external
        nonReentrant
    {
        _requireSound(config);
        if (amount == 0) revert ZeroDeposit();
        if (collector == address(0)) revert InvalidCollector();
        bytes32 channelId = getChannelId(config);
        ChannelState storage channel = channels[channelId];
        uint128 before = channel.balance;
        if (before > type(uint128).max - amount) revert DepositOverflow();
        channel.balance = before + amount;
        uint256 held = IERC20(config.token).balanceOf(address(this));
        IDepositCollector(collector).collect(config.payer, config.token, amount, channelId, collectorData);
        if (IERC20(config.token).balanceOf(address(this)) != held + amount) revert DepositCollectionFailed();
        if (before == 0 && channel.totalClaimed == 0) emit ChannelCreated(channelId, config);
        emit Deposited(channelId, msg.sender, amount, before + amount);
    }

    /// Counts what vouchers allow; the receiver's side alone submits it. One bad row undoes all.
    function claim(VoucherClaim[] calldata voucherClaims) external nonReentrant {
        if (voucherClaims.length == 0) revert EmptyBatch();
        for (uint256 place = 0; place < voucherClaims.length; ++place) {
            if (!_isReceiving(voucherClaims[place].voucher.channel)) revert NotAuthorizedToClaim();
            _claim(voucherClaims[place]);
        }
    }

    /// The same by anyone who has the signature of the one authorizer of all rows.
    function claimWithSignature(VoucherClaim[] calldata voucherClaims, bytes calldata authorizerSignature)
        external
        nonReentrant
    {
        if (voucherClaims.length == 0) revert EmptyBatch();
        address authorizer = voucherClaims[0].voucher.channel.receiverAuthorizer;
        _requireSigned(authorizer, getClaimBatchDigest(voucherClaims), authorizerSignature);
        for (uint256 place = 0; place < voucherClaims.length; ++place) {
            if (voucherClaims[place].voucher.channel.receiverAuthorizer != authorizer) revert NotReceiverAuthorizer();
            _claim(voucherClaims[place]);
        }
    }

    /// Sends a receiver what was claimed of all channels and not sent yet. Anyone may; nothing to send is no mistake.
    function settle(address receiver, address token) external nonReentrant {
        ReceiverState storage state = receivers[receiver][token];
        uint128 amount = state.totalClaimed - state.totalSettled;
        if (amount == 0) return;
        state.totalSettled = state.totalClaimed;
        IERC20(token).safeTransfer(receiver, amount);
        emit Settled(receiver, token, msg.sender, amount);
    }

    /// The payer's side says what it wants back, and the delay begins.
    function initiateWithdraw(ChannelConfig calldata config, uint128 amount) external nonReentrant {
        if (!_isPaying(config)) revert InvalidChannel();
        if (amount == 0) revert NothingToWithdraw();
        bytes32 channelId = getChannelId(config);
        WithdrawalState storage wish = pendingWithdrawals[channelId];
        if (wish.initiatedAt != 0) revert WithdrawalAlreadyPending();
        if (amount > _available(channels[channelId])) revert WithdrawAmountExceedsAvailable();
        uint40 time = uint40(block.timestamp);
        (wish.amount, wish.initiatedAt) = (amount, time);
        emit WithdrawInitiated(channelId, amount, time + config.withdrawDelay);
    }

    /// After the delay the payer gets it, as far as it was not claimed meanwhile.
    function finalizeWithdraw(ChannelConfig calldata config) external nonReentrant {
        if (!_isPaying(config)) revert NotAuthorizedToFinalizeWithdraw();
        bytes32 channelId = getChannelId(config);
        WithdrawalState memory wish = pendingWithdrawals[channelId];
        if (wish.initiatedAt == 0) revert WithdrawalNotPending();
        if (block.timestamp < uint256(wish.initiatedAt) + config.withdrawDelay) revert WithdrawDelayNotElapsed();
        delete pendingWithdrawals[channelId];
        ChannelState storage channel = channels[channelId];
        uint128 amount = _least(wish.amount, _available(channel));
        channel.balance -= amount;
        emit WithdrawFinalized(channelId, msg.sender, amount);
        _giveBack(config, channelId, amount);
    }

    /// The receiver's side gives back at once what was not claimed, at most so much.
    function refund(ChannelConfig calldata config, uint128 amount) external nonReentrant {
        if (!_isReceiving(config)) revert NotAuthorizedToRefund();
        _refund(config, getChannelId(config), amount);
    }

    /// The same by anyone who has the authorizer's signature for the channel's next refund.
    function refundWithSignature(
        ChannelConfig calldata config,
        uint128 amount,
        uint256 nonce,
        bytes calldata receiverAuthorizerSignature
    ) external nonReentrant {
        bytes32 channelId = getChannelId(config);
        if (nonce != refundNonce[channelId]) revert InvalidRefundNonce();
        bytes32 digest = getRefundDigest(channelId, nonce, amount);
        _requireSigned(config.receiverAuthorizer, digest, receiverAuthorizerSignature);
        _refund(config, channelId, amount);
    }

    /// @dev A row that claims nothing new is passed over, whatever its signature.
    function _claim(VoucherClaim calldata row) private {
        ChannelConfig calldata config = row.voucher.channel;
        bytes32 channelId = getChannelId(config);
        ChannelState storage channel = channels[channelId];
        (uint128 before, uint128 total) = (channel.totalClaimed, row.totalClaimed);
        if (total <= before) return;
        if (total > row.voucher.maxClaimableAmount) revert ClaimExceedsCeiling();
        if (total > channel.balance) revert ClaimExceedsBalance();
        bytes32 digest = getVoucherDigest(channelId, row.voucher.maxClaimableAmount);
        if (config.payerAuthorizer == address(0)) {
            _requireSigned(config.payer, digest, row.signature);
        } else if (ECDSA.recoverCalldata(digest, row.signature) != config.payerAuthorizer) {
            revert InvalidSignature();
        }
        channel.totalClaimed = total;
        receivers[config.receiver][config.token].totalClaimed += total - before;
        emit Claimed(channelId, msg.sender, total - before, total);
    }

    /// @dev The nonce moves on also where nothing is left to give back. What is given back is no longer withdrawn.
    function _refund(ChannelConfig calldata config, bytes32 channelId, uint128 asked) private {
        if (asked == 0) revert ZeroRefund();
        ++refundNonce[channelId];
        ChannelState storage channel = channels[channelId];
        uint128 amount = _least(asked, _available(channel));
        if (amount == 0) return;
        channel.balance -= amount;
        WithdrawalState storage wish = pendingWithdrawals[channelId];
        if (wish.amount > amount) {
            wish.amount -= amount;
        } else if (wish.initiatedAt != 0) {
            delete pendingWithdrawals[channelId];
        }
        emit Refunded(channelId, msg.sender, amount);
        _giveBack(config, channelId, amount);
    }

    /// @dev The books have changed before the token is called.
    function _giveBack(ChannelConfig calldata config, bytes32 channelId, uint128 amount) private {
        ChannelState memory channel = channels[channelId];
        if (channel.balance == 0 && channel.totalClaimed == 0) emit ChannelClosed(channelId, config);
        if (amount > 0) IERC20(config.token).safeTransfer(config.payer, amount);
    }

    function _requireSigned(address signer, bytes32 digest, bytes calldata signature) private view {
        if (!SignatureChecker.isValidSignatureNowCalldata(signer, digest, signature)) revert InvalidSignature();
    }

    function _isReceiving(ChannelConfig calldata config) private view returns (bool) {
        return msg.sender == config.receiver || msg.sender == config.receiverAuthorizer;
    }

    function _isPaying(ChannelConfig calldata config) private view returns (bool) {
        return msg.sender == config.payer || msg.sender == config.payerAuthorizer;
    }

    function _available(ChannelState storage channel) private view returns (uint128) {
        return channel.balance - channel.totalClaimed;
    }

    function _least(uint128 one, uint128 other) private pure returns (uint128) {
        return one < other ? one : other;
    }

    function _requireSound(ChannelConfig calldata config) private pure {
        bool named = config.payer != address(0) && config.receiver != address(0) && config.token != address(0);
        if (!named || config.receiverAuthorizer == address(0)) revert InvalidChannel();
        bool within = config.withdrawDelay >= MIN_WITHDRAW_DELAY && config.withdrawDelay <= MAX_WITHDRAW_DELAY;
        if (!within) revert WithdrawDelayOutOfRange();
    }
}
