"""Introspection: facts in, the answer of RFC 7662 out.

Inactive is the starting value, and it is the same for every reason: a client never learns why.
Whether a sudo'd answer may be given at all is ``domain.caller.decide``; that it was recorded
first is ``services.introspection``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tokensrv.domain.caller import (
    Caller,
    Check,
    InvalidSudo,
    Refusal,
    SudoAsk,
    SudoPolicy,
    decide,
)
from tokensrv.domain.facts import NAMELESS, ClientFacts, ExchangeFacts, Facts, TokenFacts
from tokensrv.domain.scopes import closure, missing

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """What a client asks besides the token: sudo, the scopes it needs, the caller's address."""

    ask: SudoAsk | InvalidSudo | None = None
    scopes: tuple[str, ...] = field(default=())
    remote_ip: str | None = None


def inactive() -> Answer:
    """Return the one answer for everything that is not active (RFC 7662 §2.2)."""
    return {"active": False}


def is_for(token: TokenFacts, client: ClientFacts | None) -> bool:
    """Return whether this client may be told about the token; no client: whether anybody may."""
    return client is None or not token.audience or client.client_id in token.audience


def _are_for(token: TokenFacts, exchange: ExchangeFacts | None, client: ClientFacts | None) -> bool:
    """Return whether this client may be told about the token and about what it came from."""
    return is_for(token, client) and (exchange is None or is_for(exchange.source, client))


def visible_scopes(effective: tuple[str, ...], client: ClientFacts | None) -> tuple[str, ...]:
    """Return the scopes to show to a client: of its limit, if it has one, those that are held."""
    if client is None or client.scopes is None:
        return effective
    held = closure(effective)
    return tuple(scope for scope in client.scopes if scope in held)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may be told of a token: who calls with it, and the scopes to show."""

    caller: Caller
    token: TokenFacts
    scopes: tuple[str, ...]


Judgement = Verdict | Refusal


def judge(facts: Facts, question: Question, *, now_ms: int, policy: SudoPolicy) -> Judgement:
    """Return what may be told to ``facts.client``, or why it is told that the token is inactive.

    The reason is for the record and for explanations. No client: asked by somebody who is none,
    to whom no audience and no limit applies.
    """
    client = facts.client
    if facts.token is not None and not _are_for(facts.token, facts.exchange, client):
        # Not this client's business, so that nothing is recorded about it either.
        return Refusal(Check.AUDIENCE, facts.token, facts.owner)
    decision = decide(
        facts.token,
        facts.owner,
        question.ask,
        facts.target,
        now_ms=now_ms,
        policy=policy,
        exchange=facts.exchange,
        client_may_sudo=client is None or "sudo" in client.allow,
    )
    return decision if isinstance(decision, Refusal) else tell(decision, facts, question)


def tell(caller: Caller, facts: Facts, question: Question) -> Judgement:
    """Return what may be told to ``facts.client`` of a caller whose token is good."""
    client, token = facts.client, caller.token
    if token is None:
        return Refusal(Check.UNKNOWN)
    if not is_for(token, client):
        return Refusal(Check.AUDIENCE, token, caller.actor)
    if question.scopes:
        limit = None if client is None else client.scopes
        if lacking := missing(question.scopes, caller.scopes):
            return Refusal(Check.WANTED, token, caller.actor, missing=lacking)
        if limit is not None and (hidden := missing(question.scopes, limit)):
            return Refusal(Check.LIMIT, token, caller.actor, missing=hidden)
    return Verdict(caller, token, visible_scopes(caller.scopes, client))


def active(
    verdict: Verdict,
    facts: Facts,
    *,
    issuer: str,
    now_ms: int,
    soft_exp_seconds: int | None = None,
) -> Answer:
    """Return the members of an active token (RFC 7662 §2.2, ``act``: RFC 8693 §4.1).

    ``exp`` and ``expires_in`` (seconds) are absent for a token that never expires, unless
    ``soft_exp_seconds`` gives caches one to go by; ``aud`` for one that is for every client.
    """
    caller, token, exchange = verdict.caller, verdict.token, facts.exchange
    created, now = token.created_ms // 1000, now_ms // 1000
    exp = _exp(token, now, soft_exp_seconds)
    answer: Answer = {"active": True, "scope": " ".join(verdict.scopes)}
    if exchange is not None:
        answer["client_id"] = exchange.client_id
    elif facts.client is not None and facts.client is not NAMELESS:
        answer["client_id"] = facts.client.client_id
    answer["username"] = caller.subject.username
    answer["token_type"] = "Bearer"  # noqa: S105  # a type of RFC 6749, no secret
    if exp is not None:
        answer["exp"] = exp
    answer |= {"iat": created, "nbf": created, "sub": str(caller.subject.id)}
    if token.audience:
        answer["aud"] = list(token.audience)
    answer |= {"iss": issuer, "jti": str(token.id)}
    if exp is not None:
        answer["expires_in"] = exp - now
    if caller.is_sudo:
        credential = token if exchange is None else exchange.source
        answer["act"] = {
            "sub": str(caller.actor.id),
            "username": caller.actor.username,
            "jti": str(credential.id),
        }
    return answer


def _exp(token: TokenFacts, now: int, soft_exp_seconds: int | None) -> int | None:
    ends = [] if token.expires_ms is None else [token.expires_ms // 1000]
    if soft_exp_seconds is not None:
        ends.append(now + soft_exp_seconds)
    return min(ends, default=None)
