// SPDX-License-Identifier: MIT OR Apache-2.0
// The escrow's stand-in under anything that its parties may do in any order: the money is always there, no voucher pays
// twice, no withdrawal takes what was claimed, and what is counted never falls.
pragma solidity ^0.8.26;

import {ChannelStage} from "./ChannelStage.sol";

/// @title Four channels of two receivers and everything that happens to them.
/// @dev Keeps its own books beside the escrow's. Nothing it does may be refused: what would be is bent into what is not.
contract ChannelActor is ChannelStage {
    uint256 public constant LANES = 4;

    /// What the actor itself knows of a channel.
    struct Books {
        uint256 deposited;
        uint256 returned;
        uint256 claimed;
        uint256 signed;
        uint256 refunds;
    }

    Books[LANES] private books;
    uint256 public given;
    uint256 public settled;
    uint256 private time = NOW;

    function open() external {
        setUp();
        DOLLAR.mint(payer, 1e30);
    }

    /// Two channels go to each receiver.
    function channelOf(uint256 place) public view returns (ChannelConfig memory config) {
        config = lane(place);
        if (place % 2 == 1) config.receiver = stranger;
    }

    function booksOf(uint256 place) external view returns (Books memory) {
        return books[place];
    }

    function stateOf(uint256 place) public view returns (uint128 balance, uint128 claimed) {
        return ESCROW.channels(idOf(channelOf(place)));
    }

    // What may happen.

    function deposit(uint256 place, uint96 amount) external {
        place = place % LANES;
        if (amount == 0) return;
        fill(channelOf(place), amount);
        books[place].deposited += amount;
    }

    /// A voucher up to any ceiling is claimed as far as it goes; old ones come again.
    function claim(uint256 place, uint96 ceiling, uint96 total, bool bySignature) external {
        place = place % LANES;
        (uint128 balance,) = stateOf(place);
        ChannelConfig memory config = channelOf(place);
        if (balance == 0) return;
        uint128 most = ceiling < balance ? ceiling : balance;
        uint128 asked = uint128(total % (uint256(most) + 1));
        VoucherClaim[] memory rows = new VoucherClaim[](2);
        rows[0] = row(PAYER_KEY, config, ceiling, asked);
        rows[1] = rows[0];
        if (bySignature) {
            ESCROW.claimWithSignature(rows, sign(AUTHORIZER_KEY, claimsDigest(rows)));
        } else {
            vm.prank(config.receiver);
            ESCROW.claim(rows);
        }
        if (ceiling > books[place].signed) books[place].signed = ceiling;
        if (asked > books[place].claimed) books[place].claimed = asked;
    }

    function settle(bool other) external {
        address receiver = other ? stranger : PAYEE;
        uint256 had = DOLLAR.balanceOf(receiver);
        ESCROW.settle(receiver, address(DOLLAR));
        settled += DOLLAR.balanceOf(receiver) - had;
    }

    function refund(uint256 place, uint96 amount, bool bySignature) external {
        place = place % LANES;
        ChannelConfig memory config = channelOf(place);
        if (amount == 0) return;
        uint256 had = DOLLAR.balanceOf(payer);
        if (bySignature) {
            uint256 nonce = ESCROW.refundNonce(idOf(config));
            ESCROW.refundWithSignature(config, amount, nonce, sign(AUTHORIZER_KEY, refundDigest(config, nonce, amount)));
        } else {
            vm.prank(config.receiver);
            ESCROW.refund(config, amount);
        }
        books[place].returned += DOLLAR.balanceOf(payer) - had;
        books[place].refunds += 1;
    }

    function initiate(uint256 place, uint96 amount) external {
        place = place % LANES;
        (uint128 balance, uint128 claimed) = stateOf(place);
        (, uint40 since) = pending(channelOf(place));
        if (since != 0 || balance == claimed) return;
        vm.prank(payer);
        ESCROW.initiateWithdraw(channelOf(place), uint128(1 + (amount % (balance - claimed))));
    }

    function finalize(uint256 place) external {
        place = place % LANES;
        (, uint40 since) = pending(channelOf(place));
        if (since == 0) return;
        if (time < uint256(since) + DELAY) pass(DELAY);
        uint256 had = DOLLAR.balanceOf(payer);
        vm.prank(payer);
        ESCROW.finalizeWithdraw(channelOf(place));
        books[place].returned += DOLLAR.balanceOf(payer) - had;
    }

    /// Somebody sends the escrow money that belongs to no channel.
    function give(uint96 amount) external {
        DOLLAR.mint(address(ESCROW), amount);
        given += amount;
    }

    function pass(uint40 seconds_) public {
        time += seconds_ % 30 days;
        vm.warp(time);
    }
}

contract BatchInvariantsTest is ChannelStage {
    ChannelActor private actor;
    uint128[4] private claimedBefore;
    uint256[4] private noncesBefore;

    function setUp() public override {
        actor = new ChannelActor();
        actor.open();
    }

    /// forge calls nothing else.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(actor);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory selectors) {
        bytes4[] memory those = new bytes4[](8);
        those[0] = ChannelActor.deposit.selector;
        those[1] = ChannelActor.claim.selector;
        those[2] = ChannelActor.settle.selector;
        those[3] = ChannelActor.refund.selector;
        those[4] = ChannelActor.initiate.selector;
        those[5] = ChannelActor.finalize.selector;
        those[6] = ChannelActor.give.selector;
        those[7] = ChannelActor.pass.selector;
        selectors = new FuzzSelector[](1);
        selectors[0] = FuzzSelector(address(actor), those);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    /// All money that came in and has not gone out is there, and it covers all that was claimed.
    function invariant_the_money_is_there() public view {
        (uint256 balances, uint256 claimed) = (0, 0);
        for (uint256 place = 0; place < 4; ++place) {
            (uint128 balance, uint128 total) = actor.stateOf(place);
            balances += balance;
            claimed += total;
        }
        uint256 held = DOLLAR.balanceOf(address(ESCROW));
        same(held, balances - actor.settled() + actor.given(), "the escrow has");
        require(held >= claimed - actor.settled(), "what was claimed is covered");
    }

    /// A channel holds what was deposited less what went back, whatever was claimed.
    function invariant_a_channel_holds_what_it_was_given() public view {
        for (uint256 place = 0; place < 4; ++place) {
            (uint128 balance,) = actor.stateOf(place);
            ChannelActor.Books memory books = actor.booksOf(place);
            same(balance, books.deposited - books.returned, "the balance");
        }
    }

    /// The largest claim counts, once, and it is within a signed voucher. No withdrawal and no refund takes of it.
    function invariant_no_voucher_pays_twice() public view {
        for (uint256 place = 0; place < 4; ++place) {
            (uint128 balance, uint128 claimed) = actor.stateOf(place);
            ChannelActor.Books memory books = actor.booksOf(place);
            same(claimed, books.claimed, "claimed");
            require(claimed <= books.signed, "claimed is signed");
            require(claimed <= balance, "claimed is covered");
        }
    }

    /// A receiver has claimed what its channels say, and was sent what it has.
    function invariant_receivers_are_the_sum_of_their_channels() public view {
        address[2] memory those = [PAYEE, stranger];
        uint256 sent = 0;
        for (uint256 parity = 0; parity < 2; ++parity) {
            (uint128 claimed, uint128 settled) = ESCROW.receivers(those[parity], address(DOLLAR));
            (, uint128 one) = actor.stateOf(parity);
            (, uint128 other) = actor.stateOf(parity + 2);
            same(claimed, uint256(one) + other, "claimed by a receiver");
            require(settled <= claimed, "no more is sent than was claimed");
            same(DOLLAR.balanceOf(those[parity]), settled, "a receiver has");
            sent += settled;
        }
        same(sent, actor.settled(), "settled");
    }

    /// Looked at after each action.
    function invariant_what_is_counted_never_falls() public {
        for (uint256 place = 0; place < 4; ++place) {
            (, uint128 claimed) = actor.stateOf(place);
            uint256 nonce = ESCROW.refundNonce(idOf(actor.channelOf(place)));
            require(claimed >= claimedBefore[place] && nonce >= noncesBefore[place], "totals only rise");
            same(nonce, actor.booksOf(place).refunds, "each refund has its nonce");
            (claimedBefore[place], noncesBefore[place]) = (claimed, nonce);
        }
    }
}
