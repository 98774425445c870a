"""Introspection: facts in, the answer of RFC 7662 out.

Inactive is the starting value, and it is the same for every reason: a client never learns why.
Whether a sudo'd answer may be given at all is ``domain.caller.decide``; that it was recorded
first is ``services.introspection``.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

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
from tokensrv.domain.usernames import Target

Answer = dict[str, Any]


class Question(NamedTuple):
    """What a client asks besides the token: sudo, the scopes it needs, the caller's address."""

    ask: SudoAsk | InvalidSudo | None = None
    scopes: tuple[str, ...] = ()
    remote_ip: str | None = None

    @property
    def target(self) -> Target | None:
        """Return as whom it asks to act, None for a sudo that is not there or names nobody."""
        return self.ask.target if isinstance(self.ask, SudoAsk) else None


# Nothing but the token.
PLAIN: Final = Question()


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


class Verdict(NamedTuple):
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
    client, token, owner, target, exchange = facts
    if token is not None and not _are_for(token, exchange, client):
        # Not this client's business, so that nothing is recorded about it either.
        return Refusal(Check.AUDIENCE, token, owner)
    decision = decide(
        token,
        owner,
        question.ask,
        target,
        now_ms=now_ms,
        policy=policy,
        exchange=exchange,
        remote_ip=question.remote_ip,
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
            return Refusal(
                Check.WANTED, token, caller.actor, target=caller.subject, missing=lacking
            )
        if limit is not None and (hidden := missing(question.scopes, limit)):
            return Refusal(Check.LIMIT, token, caller.actor, target=caller.subject, missing=hidden)
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
    caller, token, scopes = verdict
    exchange, subject = facts.exchange, caller.subject
    created, now = token.created_ms // 1000, now_ms // 1000
    exp = _exp(token, now, soft_exp_seconds)
    answer: Answer = {"active": True, "scope": " ".join(scopes)}
    if exchange is not None:
        answer["client_id"] = exchange.client_id
    elif facts.client is not None and facts.client is not NAMELESS:
        answer["client_id"] = facts.client.client_id
    answer["username"] = subject.username
    answer["token_type"] = "Bearer"  # noqa: S105  # a type of RFC 6749, no secret
    if exp is not None:
        answer["exp"] = exp
    answer["iat"] = answer["nbf"] = created
    answer["sub"] = str(subject.id)
    if token.audience:
        answer["aud"] = list(token.audience)
    answer["iss"] = issuer
    answer["jti"] = str(token.id)
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
    exp = None if token.expires_ms is None else token.expires_ms // 1000
    if soft_exp_seconds is None:
        return exp
    soft = now + soft_exp_seconds
    return soft if exp is None else min(exp, soft)
