"""The caller: who really calls, as whom, with which scopes; and the sudo decision.

``decide`` is the one function that turns a credential into a caller. Every edge uses it:
the API, introspection, and whatever comes later. It checks in a fixed order and grants on its
last line. That the use of sudo is recorded before anything is answered is the caller of this
function's duty (``services.trail.sudo``, ``services.introspection``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import NamedTuple

from tokensrv.domain.exchange import within_source
from tokensrv.domain.facts import ExchangeFacts, TokenFacts, TokenKind, UserFacts, UserState
from tokensrv.domain.networks import allows
from tokensrv.domain.scopes import common, of_owner, under_sudo
from tokensrv.domain.usernames import Target
from tokensrv.errors import TokensrvError

REASON_LENGTH = 255

# A member of an enumeration takes longer to look up than to compare with.
_ACTIVE = UserState.ACTIVE
_EXCHANGED = TokenKind.EXCHANGED


class Check(StrEnum):
    """The checks in their order; the value names it in events and explanations.

    ``audience``, ``wanted`` and ``limit`` are ``domain.introspection``'s.
    """

    UNKNOWN = "unknown"
    AUDIENCE = "audience"
    EXPIRED = "expired"
    REVOKED = "revoked"
    NETWORK = "network"
    OWNER = "owner"
    SOURCE = "source"
    SUDO = "sudo"
    CLIENT = "client"
    ADMIN = "admin"
    CREDENTIAL = "credential"
    SCOPE = "scope"
    TARGET = "target"
    TARGET_STATE = "target_state"
    TARGET_ADMIN = "target_admin"
    REASON = "reason"
    WANTED = "wanted"
    LIMIT = "limit"


SUDO_CHECKS = frozenset(
    {
        Check.SUDO,
        Check.CLIENT,
        Check.ADMIN,
        Check.CREDENTIAL,
        Check.SCOPE,
        Check.TARGET,
        Check.TARGET_STATE,
        Check.TARGET_ADMIN,
        Check.REASON,
    }
)


@dataclass(frozen=True, slots=True)
class SudoAsk:
    """Somebody asks to act as ``target``; ``reason`` None: none was given."""

    target: Target
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class InvalidSudo:
    """Sudo is present, but its value cannot be read. It is never ignored."""


class SudoPolicy(NamedTuple):
    """The instance's settings that the decision depends on."""

    admin_targets: bool = False
    reason_required: bool = False


class Caller(NamedTuple):
    """Who acts (``actor``), as whom (``subject``), with which effective scopes.

    ``token`` None: the credential is a web session. Without sudo actor and subject are equal.
    ``remote_ip`` is where the token is used from, None where nobody knows.
    """

    actor: UserFacts
    subject: UserFacts
    token: TokenFacts | None
    scopes: tuple[str, ...]
    is_sudo: bool = False
    reason: str | None = None
    remote_ip: str | None = None

    @property
    def is_lent(self) -> bool:
        """Return whether the power is for a while: under sudo, and out of an exchange.

        Nothing can be made with it that would outlive it.
        """
        return self.is_sudo or (self.token is not None and self.token.kind == TokenKind.EXCHANGED)


class Refusal(NamedTuple):
    """The check that failed, and as much of the facts as it may be answered with."""

    check: Check
    token: TokenFacts | None = None
    actor: UserFacts | None = None
    ask: SudoAsk | None = None
    target: UserFacts | None = None
    # Of an exchanged token: what its source would be refused for now; None: there is none.
    source_check: Check | None = None
    # The scopes that were wanted and are not granted.
    missing: tuple[str, ...] = ()

    @property
    def is_sudo(self) -> bool:
        """Return whether a good credential was refused to act as another user."""
        return self.check in SUDO_CHECKS


class Refused(TokensrvError):
    """A decision that was good a moment ago is refused now; ``refusal`` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"The caller was refused: {refusal.check.value}.")
        self.refusal = refusal


def decide(
    token: TokenFacts | None,
    owner: UserFacts | None,
    ask: SudoAsk | InvalidSudo | None,
    target: UserFacts | None,
    *,
    now_ms: int,
    policy: SudoPolicy,
    exchange: ExchangeFacts | None = None,
    remote_ip: str | None = None,
    is_session: bool = False,
    client_may_sudo: bool = True,
) -> Caller | Refusal:
    """Return who calls as whom, or the first check that failed.

    ``owner`` is the token's owner (or the session's user), ``target`` the user that ``ask``
    names, None if there is none; ``exchange`` is where an exchanged token comes from.
    ``remote_ip`` is where the token is used from: None, nobody knows, is in no network.
    ``client_may_sudo``: whether the client that asks on behalf of the token may ask about sudo
    at all.
    """
    # One function on purpose, although it is long: the order is the decision.
    if owner is None or (token is None and not is_session):
        return Refusal(Check.UNKNOWN)
    # Expired is reported before revoked, as GitLab does.
    if token is not None and token.is_expired(now_ms):
        return Refusal(Check.EXPIRED, token, owner)
    if token is not None and token.is_revoked:
        return Refusal(Check.REVOKED, token, owner)
    # A revoked token comes first: its use betrays a copy, from wherever. The owner comes after:
    # who calls from elsewhere learns nothing of an account.
    if token is not None and token.allowed_ips and not allows(token.allowed_ips, remote_ip):
        return Refusal(Check.NETWORK, token, owner)
    if owner.state != _ACTIVE:
        return Refusal(Check.OWNER, token, owner)
    actor, is_exchanged = owner, token is not None and token.kind == _EXCHANGED
    if token is not None and is_exchanged:
        caller = _exchanged(token, owner, exchange, remote_ip, now_ms, policy)
        if ask is None or isinstance(caller, Refusal):
            return caller
        # Whoever asks for more is the actor, whose name must stand in the record.
        actor = caller.actor
    if ask is None:
        granted = of_owner(token.scopes, is_admin=owner.is_admin) if token else ()
        return Caller(owner, owner, token, granted, remote_ip=remote_ip)
    if isinstance(ask, InvalidSudo):
        return Refusal(Check.SUDO, token, actor)
    refuse = partial(Refusal, token=token, actor=actor, ask=ask, target=target)
    if not client_may_sudo:
        return refuse(Check.CLIENT)
    if not owner.is_admin:
        return refuse(Check.ADMIN)
    if token is None or is_exchanged:
        return refuse(Check.CREDENTIAL)
    if "sudo" not in token.scopes:
        return refuse(Check.SCOPE)
    if target is None:
        return refuse(Check.TARGET)
    if target.state != UserState.ACTIVE:
        return refuse(Check.TARGET_STATE)
    if target.is_admin and not policy.admin_targets:
        return refuse(Check.TARGET_ADMIN)
    reason, granted = ask.reason, under_sudo(token.scopes)
    if reason is None and policy.reason_required:
        return refuse(Check.REASON)
    if reason is not None and not 1 <= len(reason) <= REASON_LENGTH:
        return refuse(Check.REASON)
    return Caller(owner, target, token, granted, is_sudo=True, reason=reason, remote_ip=remote_ip)


def _exchanged(
    token: TokenFacts,
    owner: UserFacts,
    exchange: ExchangeFacts | None,
    remote_ip: str | None,
    now_ms: int,
    policy: SudoPolicy,
) -> Caller | Refusal:
    """Return the caller with an exchanged token, as long as its source would grant it anew.

    What its source has lost meanwhile it has lost, too.
    """
    refuse = partial(Refusal, Check.SOURCE, token=token, actor=owner)
    if exchange is None:
        return refuse()
    again = decide(
        exchange.source,
        exchange.source_owner,
        SudoAsk(_by_id(owner), exchange.reason) if exchange.has_actor else None,
        owner,
        now_ms=now_ms,
        policy=policy,
        remote_ip=remote_ip,
    )
    if isinstance(again, Refusal):
        return refuse(source_check=again.check)
    bounded = within_source(token, exchange.source)
    if bounded is None or again.subject.id != owner.id:
        return refuse()
    scopes = common(token.scopes, again.scopes)
    return again._replace(token=bounded, scopes=scopes) if scopes else refuse()


def _by_id(user: UserFacts) -> Target:
    return Target(user.username, user.id, None)
