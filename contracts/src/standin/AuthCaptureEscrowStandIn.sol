// SPDX-License-Identifier: MIT OR Apache-2.0
// Stands for the escrow behind x402's `auth-capture`: money goes in by the payer's signature, and out to the receiver or
// back to the payer, as the operator says. Charges, refunds and fees are not here.
pragma solidity ^0.8.26;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IAuthCaptureEscrow, ITokenCollector} from "./IAuthCaptureEscrow.sol";
import {TokenStoreStandIn} from "./TokenStoreStandIn.sol";

/// @title The escrow. For tests: it is placed, so that it has no constructor and nothing immutable.
contract AuthCaptureEscrowStandIn is IAuthCaptureEscrow, ReentrancyGuardTransient {
    bytes32 public constant PAYMENT_INFO_TYPEHASH = keccak256(
        "PaymentInfo(address operator,address payer,address receiver,address token,uint120 maxAmount,uint48 preApprovalExpiry,uint48 authorizationExpiry,uint48 refundExpiry,uint16 minFeeBps,uint16 maxFeeBps,address feeReceiver,uint256 salt)"
    );

    struct PaymentState {
        bool hasCollectedPayment;
        uint120 capturableAmount;
        uint120 refundableAmount;
    }

    mapping(bytes32 paymentInfoHash => PaymentState state) public paymentState;

    modifier onlySender(address expected) {
        if (msg.sender != expected) revert InvalidSender(msg.sender, expected);
        _;
    }

    modifier validAmount(uint256 amount) {
        if (amount == 0) revert ZeroAmount();
        if (amount > type(uint120).max) revert AmountOverflow(amount, type(uint120).max);
        _;
    }

    function authorize(
        PaymentInfo calldata paymentInfo,
        uint256 amount,
        address tokenCollector,
        bytes calldata collectorData
    ) external nonReentrant onlySender(paymentInfo.operator) validAmount(amount) {
        _requireAcceptable(paymentInfo, amount);
        bytes32 hash = getHash(paymentInfo);
        if (paymentState[hash].hasCollectedPayment) revert PaymentAlreadyCollected(hash);
        paymentState[hash] = PaymentState(true, uint120(amount), 0);
        emit PaymentAuthorized(hash, paymentInfo, amount, tokenCollector);
        _collect(paymentInfo, amount, tokenCollector, collectorData);
    }

    function capture(PaymentInfo calldata paymentInfo, uint256 amount, uint256 feeAmount, address feeReceiver)
        external
        nonReentrant
        onlySender(paymentInfo.operator)
        validAmount(amount)
    {
        if (feeAmount != 0) revert FeeNotHere(feeAmount);
        if (block.timestamp >= paymentInfo.authorizationExpiry) {
            revert AfterAuthorizationExpiry(uint48(block.timestamp), paymentInfo.authorizationExpiry);
        }
        bytes32 hash = getHash(paymentInfo);
        PaymentState storage state = paymentState[hash];
        if (state.capturableAmount < amount) {
            revert InsufficientAuthorization(hash, state.capturableAmount, amount);
        }
        state.capturableAmount -= uint120(amount);
        state.refundableAmount += uint120(amount);
        emit PaymentCaptured(hash, amount, feeAmount, feeReceiver);
        _send(paymentInfo, paymentInfo.receiver, amount);
    }

    function void(PaymentInfo calldata paymentInfo) external nonReentrant onlySender(paymentInfo.operator) {
        (bytes32 hash, uint256 amount) = _empty(paymentInfo);
        emit PaymentVoided(hash, amount);
        _send(paymentInfo, paymentInfo.payer, amount);
    }

    function reclaim(PaymentInfo calldata paymentInfo) external nonReentrant onlySender(paymentInfo.payer) {
        if (block.timestamp < paymentInfo.authorizationExpiry) {
            revert BeforeAuthorizationExpiry(uint48(block.timestamp), paymentInfo.authorizationExpiry);
        }
        (bytes32 hash, uint256 amount) = _empty(paymentInfo);
        emit PaymentReclaimed(hash, amount);
        _send(paymentInfo, paymentInfo.payer, amount);
    }

    function getHash(PaymentInfo calldata paymentInfo) public view returns (bytes32) {
        bytes32 terms = keccak256(abi.encode(PAYMENT_INFO_TYPEHASH, paymentInfo));
        return keccak256(abi.encode(block.chainid, address(this), terms));
    }

    function getTokenStore(address operator) public view returns (address) {
        bytes32 code = keccak256(type(TokenStoreStandIn).creationCode);
        bytes32 word = keccak256(abi.encodePacked(bytes1(0xff), address(this), bytes32(bytes20(operator)), code));
        return address(uint160(uint256(word)));
    }

    /// Takes all that is left of a payment out of the count.
    function _empty(PaymentInfo calldata paymentInfo) private returns (bytes32 hash, uint256 amount) {
        hash = getHash(paymentInfo);
        amount = paymentState[hash].capturableAmount;
        if (amount == 0) revert ZeroAuthorization(hash);
        paymentState[hash].capturableAmount = 0;
    }

    function _collect(
        PaymentInfo calldata paymentInfo,
        uint256 amount,
        address tokenCollector,
        bytes calldata collectorData
    ) private {
        ITokenCollector collector = ITokenCollector(tokenCollector);
        if (collector.collectorType() != ITokenCollector.CollectorType.Payment) revert InvalidCollectorForOperation();
        address store = getTokenStore(paymentInfo.operator);
        uint256 before = IERC20(paymentInfo.token).balanceOf(store);
        collector.collectTokens(paymentInfo, store, amount, collectorData);
        if (IERC20(paymentInfo.token).balanceOf(store) != before + amount) revert TokenCollectionFailed();
    }

    /// The store need not be there before something goes out of it.
    function _send(PaymentInfo calldata paymentInfo, address recipient, uint256 amount) private {
        address store = getTokenStore(paymentInfo.operator);
        if (store.code.length == 0) {
            new TokenStoreStandIn{salt: bytes32(bytes20(paymentInfo.operator))}();
            emit TokenStoreCreated(paymentInfo.operator, store);
        }
        TokenStoreStandIn(store).sendTokens(paymentInfo.token, recipient, amount);
    }

    function _requireAcceptable(PaymentInfo calldata paymentInfo, uint256 amount) private view {
        (uint48 first, uint48 second, uint48 third) =
            (paymentInfo.preApprovalExpiry, paymentInfo.authorizationExpiry, paymentInfo.refundExpiry);
        if (amount > paymentInfo.maxAmount) revert ExceedsMaxAmount(amount, paymentInfo.maxAmount);
        if (block.timestamp >= first) revert AfterPreApprovalExpiry(uint48(block.timestamp), first);
        if (first > second || second > third) revert InvalidExpiries(first, second, third);
    }
}
