// SPDX-License-Identifier: MIT OR Apache-2.0
// Deposits of the escrow's stand-in: who signs what for which channel, and what is refused.
pragma solidity ^0.8.26;

import {DepositCollector, IDepositCollector} from "../src/standin/DepositCollector.sol";
import {LyingToken} from "../src/standin/LyingToken.sol";
import {Permit2Collector} from "../src/standin/Permit2Collector.sol";
import {ChannelStage} from "./ChannelStage.sol";

/// @title Takes nothing and says nothing.
contract IdleCollector is IDepositCollector {
    function collect(address, address, uint256, bytes32, bytes calldata) external {}
}

contract BatchDepositTest is ChannelStage {
    function test_a_channel_begins_with_its_first_deposit() public {
        bytes memory signed = authorization(PAYER_KEY, terms(), 700, 1);
        bytes32 channel = idOf(terms());
        vm.expectEmit(address(ESCROW));
        emit ChannelCreated(channel, terms());
        vm.expectEmit(address(ESCROW));
        emit Deposited(channel, address(this), 700, 700);
        ESCROW.deposit(terms(), 700, address(BY_AUTHORIZATION), signed);
        signed = authorization(PAYER_KEY, terms(), 300, 2);
        vm.expectEmit(address(ESCROW));
        emit Deposited(channel, stranger, 300, 1000);
        vm.prank(stranger);
        ESCROW.deposit(terms(), 300, address(BY_AUTHORIZATION), signed);
        holds(terms(), 1000, 0);
        same(DOLLAR.balanceOf(address(ESCROW)), 1000, "the escrow has");
    }

    function test_an_authorisation_is_for_one_channel_one_amount_and_once() public {
        bytes memory signed = authorization(PAYER_KEY, terms(), 700, 1);
        vm.expectRevert("FiatTokenV2: invalid signature");
        ESCROW.deposit(lane(1), 700, address(BY_AUTHORIZATION), signed);
        vm.expectRevert("FiatTokenV2: invalid signature");
        ESCROW.deposit(terms(), 701, address(BY_AUTHORIZATION), signed);
        ESCROW.deposit(terms(), 700, address(BY_AUTHORIZATION), signed);
        vm.expectRevert("FiatTokenV2: authorization is used or canceled");
        ESCROW.deposit(terms(), 700, address(BY_AUTHORIZATION), signed);
        holds(terms(), 700, 0);
    }

    function test_permit2_is_for_one_channel_and_once() public {
        approvePermit2();
        bytes memory signed = permit2(terms(), 700, 5, "");
        vm.expectRevert(bytes4(keccak256("InvalidSigner()")));
        ESCROW.deposit(lane(1), 700, address(BY_PERMIT2), signed);
        ESCROW.deposit(terms(), 700, address(BY_PERMIT2), signed);
        vm.expectRevert(bytes4(keccak256("InvalidNonce()")));
        ESCROW.deposit(terms(), 700, address(BY_PERMIT2), signed);
        holds(terms(), 700, 0);
    }

    function test_the_tokens_own_permit_replaces_the_approval() public {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PAYER_KEY, permit2612Digest(payer, 700, 0));
        bytes memory signed = permit2(terms(), 700, 5, abi.encode(700, NOW + 60, v, r, s));
        ESCROW.deposit(terms(), 700, address(BY_PERMIT2), signed);
        // A permit that is used already says so in an event; without an allowance the deposit fails after it.
        signed = permit2(terms(), 700, 6, abi.encode(700, NOW + 60, v, r, s));
        vm.expectRevert("TRANSFER_FROM_FAILED");
        ESCROW.deposit(terms(), 700, address(BY_PERMIT2), signed);
        approvePermit2();
        vm.expectEmit(address(BY_PERMIT2));
        emit Permit2Collector.EIP2612PermitFailedWithReason(address(DOLLAR), payer, "EIP2612: invalid signature");
        ESCROW.deposit(terms(), 700, address(BY_PERMIT2), signed);
        signed = permit2(terms(), 700, 7, abi.encode(699, NOW + 60, v, r, s));
        vm.expectRevert(Permit2Collector.Permit2612AmountMismatch.selector);
        ESCROW.deposit(terms(), 700, address(BY_PERMIT2), signed);
        holds(terms(), 1400, 0);
    }

    function test_collectors_serve_the_escrow_alone() public {
        vm.expectRevert(DepositCollector.OnlyX402BatchSettlement.selector);
        BY_AUTHORIZATION.collect(payer, address(DOLLAR), 1, bytes32(0), "");
        vm.expectRevert(DepositCollector.OnlyX402BatchSettlement.selector);
        BY_PERMIT2.collect(payer, address(DOLLAR), 1, bytes32(0), "");
        same(BY_AUTHORIZATION.x402BatchSettlement(), address(ESCROW), "x402BatchSettlement");
        same(address(BY_PERMIT2.PERMIT2()), address(PERMIT2), "PERMIT2");
    }

    function refuse(ChannelConfig memory config, uint128 amount, address collector, bytes4 refusal) private {
        vm.expectRevert(refusal);
        ESCROW.deposit(config, amount, collector, "");
    }

    function test_terms_that_are_no_channel_are_refused() public {
        address collector = address(BY_AUTHORIZATION);
        for (uint256 place = 0; place < 4; ++place) {
            ChannelConfig memory config = terms();
            if (place == 0) config.payer = address(0);
            if (place == 1) config.receiver = address(0);
            if (place == 2) config.receiverAuthorizer = address(0);
            if (place == 3) config.token = address(0);
            refuse(config, 1, collector, InvalidChannel.selector);
        }
        ChannelConfig memory hasty = terms();
        hasty.withdrawDelay = 899;
        refuse(hasty, 1, collector, WithdrawDelayOutOfRange.selector);
        hasty.withdrawDelay = 30 days + 1;
        refuse(hasty, 1, collector, WithdrawDelayOutOfRange.selector);
        refuse(terms(), 0, collector, ZeroDeposit.selector);
        refuse(terms(), 1, address(0), InvalidCollector.selector);
    }

    function test_what_does_not_arrive_is_no_deposit() public {
        refuse(terms(), 1, address(new IdleCollector()), DepositCollectionFailed.selector);
        vm.etch(address(DOLLAR), address(new LyingToken("USDC", "USDC", "2", OWNER)).code);
        bytes memory signed = authorization(PAYER_KEY, terms(), 700, 1);
        // The token moves one unit less to the collector, which then cannot hand on what was promised.
        vm.expectRevert();
        ESCROW.deposit(terms(), 700, address(BY_AUTHORIZATION), signed);
        holds(terms(), 0, 0);
    }

    function test_the_largest_balance() public {
        uint128 most = type(uint128).max;
        DOLLAR.mint(payer, most - PURSE);
        fill(terms(), most);
        holds(terms(), most, 0);
        refuse(terms(), 1, address(BY_AUTHORIZATION), DepositOverflow.selector);
        claimAsReceiver(rowOf(terms(), most, most));
        ESCROW.settle(PAYEE, address(DOLLAR));
        same(DOLLAR.balanceOf(PAYEE), most, "the receiver has");
    }

    function testFuzz_a_deposit_is_what_was_signed(uint128 amount, uint256 salt, bytes32 lane_) public {
        amount = uint128(1 + (amount % PURSE));
        ChannelConfig memory config = terms();
        config.salt = lane_;
        ESCROW.deposit(config, amount, address(BY_AUTHORIZATION), authorization(PAYER_KEY, config, amount, salt));
        holds(config, amount, 0);
        same(ESCROW.getChannelId(config), idOf(config), "the channel");
        same(DOLLAR.balanceOf(address(ESCROW)), amount, "the escrow has");
    }
}
