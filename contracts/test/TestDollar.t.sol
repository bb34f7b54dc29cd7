// SPDX-License-Identifier: MIT OR Apache-2.0
// The rest of the TestDollar: it works where its code is copied to, it can be frozen, and it takes permits. And the two
// tokens that differ from it on purpose.
pragma solidity ^0.8.26;

import {LyingToken} from "../src/standin/LyingToken.sol";
import {PlainToken} from "../src/standin/PlainToken.sol";
import {TestDollar} from "../src/standin/TestDollar.sol";
import {Stage} from "./Stage.sol";

contract TestDollarTest is Stage {
    event Transfer(address indexed from, address indexed to, uint256 value);

    function test_copied_code_keeps_its_name_version_owner_and_domain() public view {
        same(DOLLAR.name(), "USDC", "name");
        same(DOLLAR.symbol(), "USDC", "symbol");
        same(DOLLAR.version(), "2", "version");
        same(DOLLAR.decimals(), 6, "decimals");
        same(DOLLAR.owner(), OWNER, "owner");
        same(DOLLAR.DOMAIN_SEPARATOR(), tokenDomain(address(DOLLAR)), "domain");
        (, string memory name, string memory version, uint256 chain, address place,,) = DOLLAR.eip712Domain();
        same(name, "USDC", "name in the domain");
        same(version, "2", "version in the domain");
        same(chain, CHAIN, "chain in the domain");
        same(place, address(DOLLAR), "contract in the domain");
    }

    function test_the_domain_follows_the_chain() public {
        bytes32 before = DOLLAR.DOMAIN_SEPARATOR();
        vm.chainId(CHAIN + 1);
        require(DOLLAR.DOMAIN_SEPARATOR() != before, "a signature for one chain is none for another");
    }

    function test_only_the_owner_freezes() public {
        bytes4[4] memory doors = [
            TestDollar.pause.selector,
            TestDollar.unpause.selector,
            TestDollar.blacklist.selector,
            TestDollar.unBlacklist.selector
        ];
        for (uint256 door = 0; door < doors.length; ++door) {
            (bool done, bytes memory said) = address(DOLLAR).call(abi.encodeWithSelector(doors[door], payer));
            require(!done, "a stranger froze it");
            bytes memory expected = abi.encodeWithSignature("Error(string)", "Ownable: caller is not the owner");
            same(keccak256(said), keccak256(expected), "what a stranger is told");
        }
    }

    function test_nothing_moves_while_paused() public {
        vm.prank(OWNER);
        DOLLAR.pause();
        vm.prank(payer);
        vm.expectRevert("Pausable: paused");
        DOLLAR.transfer(PAYEE, 1);
        bytes memory signature = sign(PAYER_KEY, authorization(1));
        vm.expectRevert("Pausable: paused");
        DOLLAR.transferWithAuthorization(payer, PAYEE, 1, 0, NOW + 1, 0, signature);
        vm.prank(payer);
        vm.expectRevert("Pausable: paused");
        DOLLAR.approve(PAYEE, 1);
        vm.prank(OWNER);
        DOLLAR.unpause();
        DOLLAR.transferWithAuthorization(payer, PAYEE, 1, 0, NOW + 1, 0, signature);
        paid(1);
    }

    /// The allowance is without end, because only then nothing but the transfer itself looks at who carries.
    function test_the_blacklisted_neither_pay_nor_are_paid_nor_carry() public {
        vm.prank(payer);
        DOLLAR.approve(stranger, type(uint256).max);
        address[3] memory listed = [payer, PAYEE, stranger];
        for (uint256 row = 0; row < listed.length; ++row) {
            vm.prank(OWNER);
            DOLLAR.blacklist(listed[row]);
            vm.prank(stranger);
            vm.expectRevert("Blacklistable: account is blacklisted");
            DOLLAR.transferFrom(payer, PAYEE, 1);
            vm.prank(OWNER);
            DOLLAR.unBlacklist(listed[row]);
        }
        vm.prank(OWNER);
        DOLLAR.blacklist(payer);
        bytes memory signature = sign(PAYER_KEY, authorization(1));
        vm.expectRevert("Blacklistable: account is blacklisted");
        DOLLAR.transferWithAuthorization(payer, PAYEE, 1, 0, NOW + 1, 0, signature);
        paid(0);
    }

    function test_allowances_hold() public {
        vm.prank(payer);
        DOLLAR.approve(stranger, 10);
        vm.prank(stranger);
        vm.expectRevert("ERC20: transfer amount exceeds allowance");
        DOLLAR.transferFrom(payer, PAYEE, 11);
        vm.prank(stranger);
        DOLLAR.transferFrom(payer, PAYEE, 10);
        same(DOLLAR.allowance(payer, stranger), 0, "allowance left");
        paid(10);
    }

    function test_a_permit_approves_once() public {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PAYER_KEY, permit2612Digest(payer, 500, 0));
        DOLLAR.permit(payer, address(PERMIT2), 500, NOW + 60, v, r, s);
        same(DOLLAR.allowance(payer, address(PERMIT2)), 500, "allowance");
        same(DOLLAR.nonces(payer), 1, "next nonce");
        vm.expectRevert("EIP2612: invalid signature");
        DOLLAR.permit(payer, address(PERMIT2), 500, NOW + 60, v, r, s);
    }

    function test_a_permit_ends_and_is_the_owners() public {
        bytes memory signature = sign(STRANGER_KEY, permit2612Digest(payer, 500, 0));
        vm.expectRevert("EIP2612: invalid signature");
        DOLLAR.permit(payer, address(PERMIT2), 500, NOW + 60, signature);
        signature = sign(PAYER_KEY, permit2612Digest(payer, 500, 0));
        vm.warp(NOW + 61);
        vm.expectRevert("FiatTokenV2: permit is expired");
        DOLLAR.permit(payer, address(PERMIT2), 500, NOW + 60, signature);
        vm.warp(NOW + 60);
        DOLLAR.permit(payer, address(PERMIT2), 500, NOW + 60, signature);
    }

    function test_the_plain_token_has_no_authorisations() public {
        PlainToken plain = new PlainToken("Plain", "PLN");
        plain.mint(payer, 1 ether);
        same(plain.decimals(), 18, "decimals");
        same(plain.balanceOf(payer), 1 ether, "minted");
        (bool done,) =
            address(plain).staticcall(abi.encodeCall(DOLLAR.authorizationState, (payer, bytes32(uint256(1)))));
        require(!done, "expected no EIP-3009 in a plain token");
    }

    function test_the_lying_token_moves_one_unit_less_and_shows_it() public {
        LyingToken liar = new LyingToken("USDC", "USDC", "2", OWNER);
        vm.etch(address(DOLLAR), address(liar).code);
        bytes memory signature = sign(PAYER_KEY, authorization(1000));
        vm.expectEmit(address(DOLLAR));
        emit Transfer(payer, PAYEE, 999);
        DOLLAR.transferWithAuthorization(payer, PAYEE, 1000, 0, NOW + 1, 0, signature);
        paid(999);
    }

    /// The payer's authorisation of `value` for the payee, with nonce 0 and one second to go.
    function authorization(uint256 value) private view returns (bytes32) {
        bytes32 kind = keccak256(
            "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
        );
        bytes32 words = keccak256(abi.encode(kind, payer, PAYEE, value, uint256(0), NOW + 1, bytes32(0)));
        return seal(tokenDomain(address(DOLLAR)), words);
    }
}
