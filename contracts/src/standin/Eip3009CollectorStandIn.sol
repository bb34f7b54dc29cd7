// SPDX-License-Identifier: MIT OR Apache-2.0
// Stands for the collector that carries payers' authorizations (EIP-3009) into the escrow of x402's `auth-capture`.
pragma solidity ^0.8.26;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {IAuthCaptureEscrow, ITokenCollector} from "./IAuthCaptureEscrow.sol";
import {TestDollar} from "./TestDollar.sol";

/// What creates a payer's wallet first, without lending it our name.
interface IMulticall3 {
    struct Call {
        address target;
        bytes callData;
    }

    struct Result {
        bool success;
        bytes returnData;
    }

    function tryAggregate(bool requireSuccess, Call[] calldata calls) external payable returns (Result[] memory);
}

/// @title Takes what the payer signed for, all of it, and hands the amount on. For tests.
contract Eip3009CollectorStandIn is ITokenCollector {
    using SafeERC20 for IERC20;

    IAuthCaptureEscrow private constant ESCROW = IAuthCaptureEscrow(0xf96815976523E00e65Be8f34cA5e64b4f41EB19c);
    IMulticall3 private constant MULTICALL = IMulticall3(0xcA11bde05977b3631167028862bE2a173976CA11);
    /// What a signature of a wallet that is not there yet ends with (ERC-6492).
    bytes32 private constant WRAPPED = 0x6492649264926492649264926492649264926492649264926492649264926492;

    CollectorType public constant collectorType = CollectorType.Payment;

    function collectTokens(
        IAuthCaptureEscrow.PaymentInfo calldata paymentInfo,
        address tokenStore,
        uint256 amount,
        bytes calldata collectorData
    ) external {
        if (msg.sender != address(ESCROW)) revert OnlyAuthCaptureEscrow();
        IAuthCaptureEscrow.PaymentInfo memory ofNobody = paymentInfo;
        ofNobody.payer = address(0);
        TestDollar(paymentInfo.token)
            .receiveWithAuthorization(
                paymentInfo.payer,
                address(this),
                paymentInfo.maxAmount,
                0,
                paymentInfo.preApprovalExpiry,
                ESCROW.getHash(ofNobody),
                _unwrapped(collectorData)
            );
        uint256 excess = paymentInfo.maxAmount - amount;
        if (excess > 0) IERC20(paymentInfo.token).safeTransfer(paymentInfo.payer, excess);
        IERC20(paymentInfo.token).safeTransfer(tokenStore, amount);
    }

    /// The signature alone; whoever creates its signer is called first.
    function _unwrapped(bytes calldata signature) private returns (bytes memory inner) {
        uint256 length = signature.length;
        if (length < 32 || bytes32(signature[length - 32:]) != WRAPPED) return signature;
        IMulticall3.Call[] memory calls = new IMulticall3.Call[](1);
        (calls[0].target, calls[0].callData, inner) = abi.decode(signature[:length - 32], (address, bytes, bytes));
        MULTICALL.tryAggregate(false, calls);
    }
}
