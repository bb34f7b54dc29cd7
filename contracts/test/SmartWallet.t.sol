// SPDX-License-Identifier: MIT OR Apache-2.0
// Payers that are contracts: with a wallet that is there (ERC-1271) and with one that will be (ERC-6492).
pragma solidity ^0.8.26;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ExactPermit2Proxy} from "../src/standin/ExactPermit2Proxy.sol";
import {ISignatureTransfer} from "../src/standin/ISignatureTransfer.sol";
import {SmartWallet} from "../src/standin/SmartWallet.sol";
import {SmartWalletFactory} from "../src/standin/SmartWalletFactory.sol";
import {Stage} from "./Stage.sol";

contract SmartWalletTest is Stage {
    bytes32 private constant SALT = bytes32(uint256(0x5a17));
    bytes32 private constant SUFFIX = 0x6492649264926492649264926492649264926492649264926492649264926492;

    SmartWalletFactory private factory;
    address private wallet;

    function setUp() public override {
        super.setUp();
        factory = new SmartWalletFactory();
        wallet = factory.addressOf(payer, SALT);
        DOLLAR.mint(wallet, PURSE);
    }

    function authorization() private view returns (bytes32) {
        bytes32 kind = keccak256(
            "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
        );
        bytes32 words = keccak256(abi.encode(kind, wallet, PAYEE, uint256(1000), uint256(0), NOW + 1, bytes32(0)));
        return seal(tokenDomain(address(DOLLAR)), words);
    }

    function transfer(bytes memory signature) private {
        DOLLAR.transferWithAuthorization(wallet, PAYEE, 1000, 0, NOW + 1, 0, signature);
    }

    function wrapped(uint256 key, uint256 index) private view returns (bytes memory) {
        return abi.encode(index, sign(key, authorization()));
    }

    function test_the_factory_deploys_where_it_said_and_twice_is_no_mistake() public {
        same(wallet.code.length, 0, "code before");
        same(factory.deploy(payer, SALT), wallet, "deployed at");
        same(factory.deploy(payer, SALT), wallet, "found at");
        same(SmartWallet(payable(wallet)).owner(), payer, "owner");
        require(factory.addressOf(stranger, SALT) != wallet, "another owner, another address");
        require(factory.addressOf(payer, 0) != wallet, "another salt, another address");
    }

    function test_a_wallet_takes_its_key_plain_and_wrapped_and_no_other() public {
        SmartWallet it = SmartWallet(payable(factory.deploy(payer, SALT)));
        bytes32 digest = authorization();
        bytes4 yes = IERC1271.isValidSignature.selector;
        require(it.isValidSignature(digest, sign(PAYER_KEY, digest)) == yes, "plain");
        require(it.isValidSignature(digest, wrapped(PAYER_KEY, 0)) == yes, "wrapped");
        require(it.isValidSignature(digest, sign(STRANGER_KEY, digest)) != yes, "a stranger's, plain");
        require(it.isValidSignature(digest, wrapped(STRANGER_KEY, 0)) != yes, "a stranger's, wrapped");
        require(it.isValidSignature(digest, wrapped(PAYER_KEY, 1)) != yes, "a second key that is not there");
        require(it.isValidSignature(keccak256("other"), sign(PAYER_KEY, digest)) != yes, "other words");
    }

    function test_a_wallet_authorises_in_every_form() public {
        factory.deploy(payer, SALT);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PAYER_KEY, authorization());
        DOLLAR.transferWithAuthorization(wallet, PAYEE, 1000, 0, NOW + 1, 0, v, r, s);
        same(DOLLAR.balanceOf(PAYEE), 1000, "the payee has");
        vm.expectRevert("FiatTokenV2: authorization is used or canceled");
        transfer(abi.encodePacked(r, s, v));
    }

    function test_a_wrapped_signature_authorises() public {
        factory.deploy(payer, SALT);
        bytes memory foreign = wrapped(STRANGER_KEY, 0);
        vm.expectRevert("FiatTokenV2: invalid signature");
        transfer(foreign);
        transfer(wrapped(PAYER_KEY, 0));
        same(DOLLAR.balanceOf(PAYEE), 1000, "the payee has");
    }

    function test_bytes_that_are_no_signature_are_refused_not_fatal() public {
        factory.deploy(payer, SALT);
        vm.expectRevert("FiatTokenV2: invalid signature");
        transfer(hex"0102");
    }

    /// ERC-6492: the signature names the factory and how to call it; the token sees only what is inside.
    function test_a_wallet_that_is_not_there_yet_pays_after_its_deployment() public {
        bytes memory signature = bytes.concat(
            abi.encode(
                address(factory), abi.encodeCall(factory.deploy, (payer, SALT)), sign(PAYER_KEY, authorization())
            ),
            SUFFIX
        );
        vm.expectRevert("FiatTokenV2: invalid signature");
        transfer(signature);
        (address to, bytes memory how, bytes memory inner) = this.unwrap(signature);
        vm.expectRevert("FiatTokenV2: invalid signature");
        transfer(inner);
        (bool deployed,) = to.call(how);
        require(deployed, "the factory answers");
        transfer(inner);
        same(DOLLAR.balanceOf(PAYEE), 1000, "the payee has");
    }

    function unwrap(bytes calldata signature) external pure returns (address, bytes memory, bytes memory) {
        uint256 end = signature.length - 32;
        require(bytes32(signature[end:]) == SUFFIX, "the mark of ERC-6492");
        return abi.decode(signature[:end], (address, bytes, bytes));
    }

    function test_a_wallet_pays_by_permit2() public {
        factory.deploy(payer, SALT);
        vm.prank(payer);
        SmartWallet(payable(wallet))
            .execute(address(DOLLAR), 0, abi.encodeCall(DOLLAR.approve, (address(PERMIT2), PURSE)));
        bytes32 words = keccak256(abi.encode(keccak256(bytes(EXACT_WITNESS)), PAYEE, NOW));
        bytes32 digest = witnessDigest(permitOf(1000, 4), address(EXACT), EXACT_WITNESS, words);
        ExactPermit2Proxy.Witness memory witness = ExactPermit2Proxy.Witness({to: PAYEE, validAfter: NOW});
        bytes memory foreign = sign(STRANGER_KEY, digest);
        vm.expectRevert(ISignatureTransfer.InvalidContractSignature.selector);
        EXACT.settle(permitOf(1000, 4), wallet, witness, foreign);
        EXACT.settle(permitOf(1000, 4), wallet, witness, abi.encode(uint256(0), sign(PAYER_KEY, digest)));
        same(DOLLAR.balanceOf(PAYEE), 1000, "the payee has");
    }

    function test_only_the_owner_executes_and_refusals_come_through() public {
        SmartWallet it = SmartWallet(payable(factory.deploy(payer, SALT)));
        vm.prank(stranger);
        vm.expectRevert(SmartWallet.NotOwner.selector);
        it.execute(stranger, 0, "");
        vm.prank(payer);
        vm.expectRevert("ERC20: transfer amount exceeds balance");
        it.execute(address(DOLLAR), 0, abi.encodeCall(DOLLAR.transfer, (PAYEE, PURSE + 1)));
        vm.deal(wallet, 3);
        vm.prank(payer);
        it.execute(PAYEE, 3, "");
        same(PAYEE.balance, 3, "the payee has of the chain's own coin");
    }
}
