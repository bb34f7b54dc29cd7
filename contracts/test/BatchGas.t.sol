// SPDX-License-Identifier: MIT OR Apache-2.0
// What the escrow's stand-in costs, beside what is published of the escrow itself. The README shows both.
pragma solidity ^0.8.26;

import {ChannelStage} from "./ChannelStage.sol";

/// @title Measures a call.
abstract contract GasStage is ChannelStage {
    /// Exactly what it was, so that nobody changes it unseen; and within a third of the published figure, above or below: a
    /// stand-in that costs otherwise would mislead whoever budgets.
    function cost(string memory what, uint256 expected, uint256 published) internal view {
        uint256 gas = vm.lastCallGas().gasTotalUsed;
        same(gas, expected, what);
        require(gas < published + published / 3 && gas > published - published / 3, what);
    }
}

contract BatchGasOfDepositsTest is GasStage {
    function test_first_deposit_by_authorization() public {
        fill(terms(), 10_000);
        cost("first deposit, EIP-3009", 142_299, 111_738);
    }

    function test_first_deposit_by_permit2() public {
        approvePermit2();
        ESCROW.deposit(terms(), 10_000, address(BY_PERMIT2), permit2(terms(), 10_000, 8, ""));
        cost("first deposit, Permit2", 108_962, 119_685);
    }
}

contract BatchGasOfChannelsTest is GasStage {
    function setUp() public override {
        super.setUp();
        for (uint256 place = 0; place < 10; ++place) {
            fill(lane(place), 10_000);
        }
    }

    function rows(uint256 count) private view returns (VoucherClaim[] memory all) {
        all = new VoucherClaim[](count);
        for (uint256 place = 0; place < count; ++place) {
            all[place] = row(PAYER_KEY, lane(place), 5000, 5000);
        }
    }

    function test_claim_of_one() public {
        claimAsReceiver(rows(1));
        cost("claim of 1 channel", 39_658, 40_252);
    }

    function test_claim_of_ten() public {
        claimAsReceiver(rows(10));
        cost("claim of 10 channels", 189_594, 192_043);
    }

    function test_refund() public {
        vm.prank(PAYEE);
        ESCROW.refund(terms(), 1000);
        cost("refund", 58_423, 43_859);
    }

    function test_refund_with_signature() public {
        ESCROW.refundWithSignature(terms(), 1000, 0, sign(AUTHORIZER_KEY, refundDigest(terms(), 0, 1000)));
        cost("refund with signature", 66_052, 53_670);
    }
}

/// What was claimed is settled in a transaction of its own, on storage that nobody has touched before.
contract BatchGasOfSettlementTest is GasStage {
    function setUp() public override {
        super.setUp();
        fill(terms(), 10_000);
        claimAsReceiver(rowOf(terms(), 5000, 5000));
        DOLLAR.mint(PAYEE, 1);
    }

    function test_settle() public {
        ESCROW.settle(PAYEE, address(DOLLAR));
        cost("settle", 31_363, 31_204);
    }
}
