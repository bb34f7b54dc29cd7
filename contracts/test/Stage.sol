// SPDX-License-Identifier: MIT OR Apache-2.0
// The chain that every test starts from: Base Sepolia's number, a fixed time, and the contracts where clients expect them.
pragma solidity ^0.8.26;

import {ExactPermit2Proxy} from "../src/standin/ExactPermit2Proxy.sol";
import {ISignatureTransfer} from "../src/standin/ISignatureTransfer.sol";
import {Permit2StandIn} from "../src/standin/Permit2StandIn.sol";
import {TestDollar} from "../src/standin/TestDollar.sol";
import {UptoPermit2Proxy} from "../src/standin/UptoPermit2Proxy.sol";
import {Vm} from "./Vm.sol";

/// @title Contracts in their places, a payer with money, and ways to sign.
/// @dev Digests are spelled out here once more, so that a slip in a contract meets a second opinion.
abstract contract Stage {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    uint256 internal constant CHAIN = 84532;
    uint256 internal constant NOW = 1_760_000_000;
    /// Account 1 of the test mnemonic, `client` in the golden vectors.
    uint256 internal constant PAYER_KEY = 0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d;
    uint256 internal constant STRANGER_KEY = 0xbad;
    uint256 internal constant PURSE = 1_000_000;

    address internal constant OWNER = address(0x0123);
    address internal constant PAYEE = 0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC;
    address internal constant FACILITATOR = 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266;

    TestDollar internal constant DOLLAR = TestDollar(0x036CbD53842c5426634e7929541eC2318f3dCF7e);
    Permit2StandIn internal constant PERMIT2 = Permit2StandIn(0x000000000022D473030F116dDEE9F6B43aC78BA3);
    ExactPermit2Proxy internal constant EXACT = ExactPermit2Proxy(0x402085c248EeA27D92E8b30b2C58ed07f9E20001);
    UptoPermit2Proxy internal constant UPTO = UptoPermit2Proxy(0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002);

    string internal constant EXACT_WITNESS = "Witness(address to,uint256 validAfter)";
    string internal constant UPTO_WITNESS = "Witness(address to,address facilitator,uint256 validAfter)";

    address internal payer = vm.addr(PAYER_KEY);
    address internal stranger = vm.addr(STRANGER_KEY);

    function setUp() public virtual {
        vm.chainId(CHAIN);
        vm.warp(NOW);
        vm.etch(address(DOLLAR), address(new TestDollar("USDC", "USDC", "2", OWNER)).code);
        vm.etch(address(PERMIT2), address(new Permit2StandIn()).code);
        vm.etch(address(EXACT), address(new ExactPermit2Proxy()).code);
        vm.etch(address(UPTO), address(new UptoPermit2Proxy()).code);
        DOLLAR.mint(payer, PURSE);
    }

    // Signing.

    function sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function seal(bytes32 domain, bytes32 words) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domain, words));
    }

    function tokenDomain(address token) internal pure returns (bytes32) {
        bytes32 kind = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        return keccak256(abi.encode(kind, keccak256("USDC"), keccak256("2"), CHAIN, token));
    }

    function permit2Domain() internal pure returns (bytes32) {
        bytes32 kind = keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)");
        return keccak256(abi.encode(kind, keccak256("Permit2"), CHAIN, PERMIT2));
    }

    /// EIP-2612 for Permit2 as the spender.
    function permit2612Digest(address owner, uint256 value, uint256 nonce) internal pure returns (bytes32) {
        bytes32 kind = keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        return seal(tokenDomain(address(DOLLAR)), keccak256(abi.encode(kind, owner, PERMIT2, value, nonce, NOW + 60)));
    }

    /// Permit2 with a witness whose type is `witnessType`.
    function witnessDigest(
        ISignatureTransfer.PermitTransferFrom memory permit,
        address spender,
        string memory witnessType,
        bytes32 witness
    ) internal pure returns (bytes32) {
        bytes32 kind = keccak256(
            abi.encodePacked(
                "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,",
                "Witness witness)TokenPermissions(address token,uint256 amount)",
                witnessType
            )
        );
        bytes32 words =
            keccak256(abi.encode(kind, permitted(permit.permitted), spender, permit.nonce, permit.deadline, witness));
        return seal(permit2Domain(), words);
    }

    function permitted(ISignatureTransfer.TokenPermissions memory it) internal pure returns (bytes32) {
        return keccak256(abi.encode(keccak256("TokenPermissions(address token,uint256 amount)"), it.token, it.amount));
    }

    /// A permit for dollars that ends in a minute.
    function permitOf(uint256 amount, uint256 nonce)
        internal
        pure
        returns (ISignatureTransfer.PermitTransferFrom memory)
    {
        return ISignatureTransfer.PermitTransferFrom({
            permitted: ISignatureTransfer.TokenPermissions({token: address(DOLLAR), amount: amount}),
            nonce: nonce,
            deadline: NOW + 60
        });
    }

    /// The payer lets Permit2 take what signatures say.
    function approvePermit2() internal {
        vm.prank(payer);
        DOLLAR.approve(address(PERMIT2), type(uint256).max);
    }

    // Looking.

    function same(uint256 got, uint256 expected, string memory what) internal pure {
        require(got == expected, string.concat(what, ": expected ", text(expected), ", got ", text(got)));
    }

    function same(address got, address expected, string memory what) internal pure {
        same(uint256(uint160(got)), uint256(uint160(expected)), what);
    }

    function same(bytes32 got, bytes32 expected, string memory what) internal pure {
        same(uint256(got), uint256(expected), what);
    }

    function same(string memory got, string memory expected, string memory what) internal pure {
        require(
            keccak256(bytes(got)) == keccak256(bytes(expected)),
            string.concat(what, ": expected ", expected, ", got ", got)
        );
    }

    /// Who has how much of the dollars; together it is all that was minted.
    function paid(uint256 amount) internal view {
        same(DOLLAR.balanceOf(PAYEE), amount, "the payee has");
        same(DOLLAR.balanceOf(payer), PURSE - amount, "the payer has left");
    }

    function text(uint256 number) private pure returns (string memory digits) {
        do {
            digits = string.concat(string(abi.encodePacked(bytes1(uint8(48 + (number % 10))))), digits);
            number /= 10;
        } while (number > 0);
    }
}
