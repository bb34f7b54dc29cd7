// SPDX-License-Identifier: MIT OR Apache-2.0
// The stablecoin of the tests. It behaves as USDC does on chain, down to the sentences of its refusals, because
// facilitators read them: EIP-3009 with both forms of signature, EIP-2612, a pause and a black list.
pragma solidity ^0.8.26;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {ShortString, ShortStrings} from "@openzeppelin/contracts/utils/ShortStrings.sol";

/// @title A dollar of 6 decimals that anyone may mint. For tests.
/// @dev Name, symbol, version and owner live in the code, not in storage. So the code of a deployed TestDollar may be
/// copied to any address, such as the one where a client expects USDC of a known chain, and works there.
contract TestDollar is ERC3009, IERC20Permit, Nonces {
    using ShortStrings for *;

    event Pause();
    event Unpause();
    event Blacklisted(address indexed account);
    event UnBlacklisted(address indexed account);

    bytes32 private constant PERMIT_TYPEHASH =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");

    ShortString private immutable _symbol;

    /// Who may pause and blacklist.
    address public immutable owner;

    /// Whether nothing moves.
    bool public paused;

    /// Whose money does not move.
    mapping(address account => bool listed) public isBlacklisted;

    modifier onlyOwner() {
        require(msg.sender == owner, "Ownable: caller is not the owner");
        _;
    }

    constructor(string memory name_, string memory symbol_, string memory version_, address owner_)
        ERC20("", "")
        EIP712(name_, version_)
    {
        _symbol = symbol_.toShortString();
        owner = owner_;
    }

    function name() public view override returns (string memory) {
        return _EIP712Name();
    }

    function symbol() public view override returns (string memory) {
        return _symbol.toString();
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }

    /// The version in the domain that payers sign for.
    function version() external view returns (string memory) {
        return _EIP712Version();
    }

    /// Makes `amount` out of nothing for `to`.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function pause() external onlyOwner {
        paused = true;
        emit Pause();
    }

    function unpause() external onlyOwner {
        paused = false;
        emit Unpause();
    }

    function blacklist(address account) external onlyOwner {
        isBlacklisted[account] = true;
        emit Blacklisted(account);
    }

    function unBlacklist(address account) external onlyOwner {
        isBlacklisted[account] = false;
        emit UnBlacklisted(account);
    }

    // EIP-3009. Both forms of signature take contracts as signers, as USDC's do since its version 2.2.

    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) public override {
        _requireUsable(from, to, validAfter, validBefore, nonce);
        bytes32 digest = _digest(TRANSFER_WITH_AUTHORIZATION_TYPEHASH, from, to, value, validAfter, validBefore, nonce);
        _requireSigned(from, digest, abi.encodePacked(r, s, v));
        _transferWithAuthorization(from, to, value, validAfter, validBefore, nonce);
    }

    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) external {
        _requireUsable(from, to, validAfter, validBefore, nonce);
        bytes32 digest = _digest(TRANSFER_WITH_AUTHORIZATION_TYPEHASH, from, to, value, validAfter, validBefore, nonce);
        _requireSigned(from, digest, signature);
        _transferWithAuthorization(from, to, value, validAfter, validBefore, nonce);
    }

    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) public override {
        require(to == msg.sender, "FiatTokenV2: caller must be the payee");
        _requireUsable(from, to, validAfter, validBefore, nonce);
        bytes32 digest = _digest(RECEIVE_WITH_AUTHORIZATION_TYPEHASH, from, to, value, validAfter, validBefore, nonce);
        _requireSigned(from, digest, abi.encodePacked(r, s, v));
        _transferWithAuthorization(from, to, value, validAfter, validBefore, nonce);
    }

    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) external {
        require(to == msg.sender, "FiatTokenV2: caller must be the payee");
        _requireUsable(from, to, validAfter, validBefore, nonce);
        bytes32 digest = _digest(RECEIVE_WITH_AUTHORIZATION_TYPEHASH, from, to, value, validAfter, validBefore, nonce);
        _requireSigned(from, digest, signature);
        _transferWithAuthorization(from, to, value, validAfter, validBefore, nonce);
    }

    function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s) public override {
        cancelAuthorization(authorizer, nonce, abi.encodePacked(r, s, v));
    }

    function cancelAuthorization(address authorizer, bytes32 nonce, bytes memory signature) public {
        require(!paused, "Pausable: paused");
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(CANCEL_AUTHORIZATION_TYPEHASH, authorizer, nonce)));
        _requireSigned(authorizer, digest, signature);
        _cancelAuthorization(authorizer, nonce);
    }

    // EIP-2612.

    function permit(address owner_, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
    {
        permit(owner_, spender, value, deadline, abi.encodePacked(r, s, v));
    }

    function permit(address owner_, address spender, uint256 value, uint256 deadline, bytes memory signature) public {
        require(deadline >= block.timestamp, "FiatTokenV2: permit is expired");
        bytes32 words = keccak256(abi.encode(PERMIT_TYPEHASH, owner_, spender, value, _useNonce(owner_), deadline));
        bool signed = SignatureChecker.isValidSignatureNow(owner_, _hashTypedDataV4(words), signature);
        require(signed, "EIP2612: invalid signature");
        _approve(owner_, spender, value);
    }

    function nonces(address owner_) public view override(IERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner_);
    }

    function DOMAIN_SEPARATOR() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    // What is refused, in USDC's words.

    function transferFrom(address from, address to, uint256 value) public override returns (bool) {
        _requireOpen(msg.sender, from);
        require(allowance(from, msg.sender) >= value, "ERC20: transfer amount exceeds allowance");
        return super.transferFrom(from, to, value);
    }

    function _update(address from, address to, uint256 value) internal override {
        _requireOpen(from, to);
        require(from == address(0) || balanceOf(from) >= value, "ERC20: transfer amount exceeds balance");
        super._update(from, to, value);
    }

    function _approve(address owner_, address spender, uint256 value, bool emitEvent) internal override {
        _requireOpen(owner_, spender);
        super._approve(owner_, spender, value, emitEvent);
    }

    /// @dev OpenZeppelin's reading knows block numbers too; USDC's knows seconds only.
    function _checkValidity(uint256 validAfter, uint256 validBefore) internal view override {
        require(block.timestamp > validAfter, "FiatTokenV2: authorization is not yet valid");
        require(block.timestamp < validBefore, "FiatTokenV2: authorization is expired");
    }

    function _consumeNonce(address authorizer, bytes32 nonce) internal override {
        _requireUnused(authorizer, nonce);
        super._consumeNonce(authorizer, nonce);
    }

    function _requireUsable(address from, address to, uint256 validAfter, uint256 validBefore, bytes32 nonce)
        private
        view
    {
        _requireOpen(from, to);
        _checkValidity(validAfter, validBefore);
        _requireUnused(from, nonce);
    }

    function _requireUnused(address authorizer, bytes32 nonce) private view {
        require(!authorizationState(authorizer, nonce), "FiatTokenV2: authorization is used or canceled");
    }

    function _requireOpen(address one, address other) private view {
        require(!paused, "Pausable: paused");
        require(!isBlacklisted[one] && !isBlacklisted[other], "Blacklistable: account is blacklisted");
    }

    function _requireSigned(address signer, bytes32 digest, bytes memory signature) private view {
        bool signed = SignatureChecker.isValidSignatureNow(signer, digest, signature);
        require(signed, "FiatTokenV2: invalid signature");
    }

    function _digest(
        bytes32 typeHash,
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce
    ) private view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(typeHash, from, to, value, validAfter, validBefore, nonce)));
    }
}
