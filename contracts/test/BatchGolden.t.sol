// SPDX-License-Identifier: MIT OR Apache-2.0
// Signatures that the reference client made for the published escrow at the address of Base Sepolia's: the stand-in takes
// them all, one after the other, and its digests are the published ones.
pragma solidity ^0.8.26;

import {ChannelStage} from "./ChannelStage.sol";

contract BatchGoldenTest is ChannelStage {
    uint256 private constant UNTIL = 1_770_000_000;
    bytes32 private constant CHANNEL = 0xe94a435ba5c4a651c4c975bc5e2a208275f95d4199785ab0d7fbbf56bc9469ec;
    bytes private constant VOUCHER =
        hex"ec59c6e05d2f1aca6f7516a046f4e4ab907a3ae482b7de2dd45a1a2eb3e2a9e923a9e0abf5e30624e3d60ef06baaf6be0304b51d75d000103386d133cfccdb2d1b";
    bytes private constant CLAIMS =
        hex"2dfde26b7b9376c9b30ecc5e8d1cacd0168f92c89ff3bea558ff5a84003ea00d616b9b8d85135c4a7a16354215af48ef52445ed8256b177bfd4cb82f73d0df001b";
    bytes private constant REFUND =
        hex"9655068faa20af84f29c796dd54ce9a7ae131c84dec8b11a83ee01ab396ddb2368beaf6d764d3b61e2c86f1748465cad0931d16ff438c241ba46fba5fd01cd721c";
    bytes private constant DEPOSIT =
        hex"e10eae5cbea76f47a7be86a848e640924ccea4ddb8e8d6491acf2dd20566cb897c1900b416ddb4fe7047c981486e198a5c0f860c0d323130d45d60f8b5aad24c1b";
    bytes private constant DEPOSIT_BY_PERMIT2 =
        hex"c0db8c83851a052eb6c338b9ac4ee7850db1a8c360263fb8f3312c9e7b57feb51f4ee228b85ad8c448494555b4ca84982b9928a21598e0285e94fb14d1f8cf5b1b";

    function rows() private view returns (VoucherClaim[] memory claims) {
        claims = new VoucherClaim[](1);
        claims[0] = VoucherClaim(Voucher(terms(), 5000), VOUCHER, 4137);
    }

    function deposit() private {
        uint256 salt = 0x1111111111111111111111111111111111111111111111111111111111111111;
        ESCROW.deposit(terms(), 10_000, address(BY_AUTHORIZATION), abi.encode(0, UNTIL, salt, DEPOSIT));
    }

    function test_digests_are_the_published_ones() public view {
        same(ESCROW.getChannelId(terms()), CHANNEL, "the channel");
        same(
            ESCROW.getVoucherDigest(CHANNEL, 5000),
            0xbf63db8de739766da28d05025b18ae4615e217cecc2af2b2c5184319e8eddb31,
            "a voucher"
        );
        same(
            ESCROW.getRefundDigest(CHANNEL, 0, 1500),
            0x20267d3972c47815c09daaa4bd604c83c050b7cf225366042fd8acbc6c6cf10a,
            "a refund"
        );
        same(
            ESCROW.getClaimBatchDigest(rows()),
            0x09b6a94d684803abf8f52b300ea8b5d8913accb77db4279e0733bdee5e37cb37,
            "claims"
        );
    }

    function test_another_channel_and_its_voucher() public view {
        ChannelConfig memory config = terms();
        config.receiver = 0x19ee5100D3a1e687F85B952bd3FbEc108Ab6A8d7;
        config.receiverAuthorizer = 0xd407e409E34E0b9afb99EcCeb609bDbcD5e7f1bf;
        bytes32 channel = ESCROW.getChannelId(config);
        same(channel, 0x5fafb915f0dbee350d7f84d91802dea47e8e3a71929c3cd79da161c291fb28bd, "the channel");
        same(
            ESCROW.getVoucherDigest(channel, 1000),
            0xa2874adbecca0abb1884b4ac1c100e3906d25208ad0c9e6a8fcf9790ccfa2246,
            "its voucher"
        );
    }

    /// The type hashes that the published escrow answers on Base Sepolia.
    function test_types_are_the_published_ones() public view {
        same(
            ESCROW.CHANNEL_CONFIG_TYPEHASH(),
            0x1c9a06ceab9b0ebbd3301dc56c9111bb6d9af421356dc9ccb3b7084c755db308,
            "terms"
        );
        same(ESCROW.VOUCHER_TYPEHASH(), 0x1e1bd6ff84c3e0d9029a292b212e039c0ca97ec497c55191a4a5874294609a69, "vouchers");
        same(ESCROW.REFUND_TYPEHASH(), 0xbe23ad087435072cd69b49cc5b92de10ee610fce7ae0ab428307972d764bb216, "refunds");
        same(ESCROW.CLAIM_ENTRY_TYPEHASH(), 0x30b9a0367528fca13c3e8ec6134c3113f1887ebe7a1ad61de0955aac288b0cf5, "rows");
        same(
            ESCROW.CLAIM_BATCH_TYPEHASH(), 0x42bd57c010b870c2e96203c66341f28a6a19b4d56a74533a8eb5f706b9fd6d57, "batches"
        );
    }

    function test_the_life_of_a_channel() public {
        deposit();
        ESCROW.claimWithSignature(rows(), CLAIMS);
        ESCROW.refundWithSignature(terms(), 1500, 0, REFUND);
        ESCROW.settle(PAYEE, address(DOLLAR));
        holds(terms(), 8500, 4137);
        same(DOLLAR.balanceOf(PAYEE), 4137, "the receiver has");
        same(DOLLAR.balanceOf(payer), PURSE - 8500, "the payer has");
        same(DOLLAR.balanceOf(address(ESCROW)), 8500 - 4137, "the escrow has");
    }

    function test_a_deposit_by_permit2() public {
        approvePermit2();
        bytes memory signed = abi.encode(8, UNTIL, DEPOSIT_BY_PERMIT2, bytes(""));
        ESCROW.deposit(terms(), 10_000, address(BY_PERMIT2), signed);
        holds(terms(), 10_000, 0);
        same(DOLLAR.balanceOf(address(ESCROW)), 10_000, "the escrow has");
    }
}
