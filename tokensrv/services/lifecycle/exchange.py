"""Exchange: a short-lived token out of another one, for a client that asks (RFC 8693).

Two kinds come out of it: one with which an admin acts as another user, and one of the owner's
own that can merely do less. The rules are ``domain.exchange`` and, as ever, ``domain.caller``;
here they meet the rows that are locked while the new token is made. What becomes of it when its
source changes is decided anew at every use.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from tokensrv.clock import from_ms, isoformat, to_ms, utcnow
from tokensrv.db import Store
from tokensrv.domain import exchange as rules
from tokensrv.domain.caller import (
    Caller,
    Check,
    InvalidSudo,
    Refusal,
    Refused,
    SudoAsk,
    decide,
)
from tokensrv.domain.facts import ClientFacts, Facts, TokenFacts, TokenKind
from tokensrv.domain.introspection import is_for, visible_scopes
from tokensrv.domain.secret import Kind, digest, mint
from tokensrv.errors import Forbidden, NotFound
from tokensrv.models import Client, Token
from tokensrv.services.authority import confirm, policy
from tokensrv.services.lifecycle.token_values import check_audience
from tokensrv.services.records import NewToken, token_record
from tokensrv.services.trail import sudo
from tokensrv.services.trail.events import NewEvent, Origin, append
from tokensrv.services.trail.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeWish:
    """The token that a client wants. ``ask`` None: of the owner's own, with less power.

    No scopes: all that can be had; no audience: the source's; ``seconds`` None: the default.
    """

    ask: SudoAsk | InvalidSudo | None = None
    scopes: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    seconds: int | None = None
    remote_ip: str | None = None


def exchange(
    store: Store,
    usage: Usage,
    facts: Facts,
    wish: ExchangeWish,
    origin: Origin,
    *,
    method: str,
    path: str,
) -> NewToken:
    """Make a token out of ``facts.token`` for ``facts.client``, which ``origin`` names.

    Raises Refused when the source is dead or may not act as that user (the latter goes on
    record), Forbidden when nothing can be exchanged for it, ScopesNotHeld, Invalid (audience),
    NotFound (Client) when the client may not exchange, StorageUnavailable.
    """
    try:
        caller = _caller(store, usage, facts, wish)
        return _make(store, replace(origin, caller=caller), wish, facts.client)
    except Refused as problem:
        sudo.refused(store, usage, problem.refusal, origin, method=method, path=path)
        raise


def _caller(store: Store, usage: Usage, facts: Facts, wish: ExchangeWish) -> Caller:
    """Return who asks for the token, as whom; a good source counts as used. Raises Refused."""
    token = facts.token
    if token is None:
        raise Refused(Refusal(Check.UNKNOWN))
    if not is_for(token, facts.client):
        # Not this client's business, so that nothing is recorded about it either.
        raise Refused(Refusal(Check.AUDIENCE, token, facts.owner))
    decision = decide(
        token,
        facts.owner,
        wish.ask,
        facts.target,
        now_ms=store.clock.now_ms(),
        policy=policy(store),
        exchange=facts.exchange,
        remote_ip=wish.remote_ip,
    )
    if isinstance(decision, Refusal):
        raise Refused(decision)
    usage.used(token.id, token.user_id, wish.remote_ip)
    return decision


def _make(store: Store, origin: Origin, wish: ExchangeWish, client: ClientFacts | None) -> NewToken:
    with store.write() as session:
        caller = confirm(session, store, origin).caller
        _lock_client(session, origin.client_id)
        check_audience(session, wish.audience)
        if caller is None or caller.token is None or not _may_exchange(caller, caller.token):
            raise Forbidden("Nothing is exchanged for this token")
        secret = mint(store.settings.prefix, Kind.EXCHANGED)
        token = _token(store, caller, caller.token, wish, client)
        token.digest, token.exchanged_by = digest(secret), origin.client_id
        session.add(token)
        session.flush()
        append(session, store.clock, origin, [_event(token)])
        return NewToken(token_record(token, token.created_at), secret)


def _may_exchange(caller: Caller, source: TokenFacts) -> bool:
    """Return whether something may come out of a good token, whose sudo, if any, was allowed.

    An impersonation token is exchanged for its sudo alone, an exchanged one for nothing.
    """
    if source.kind == TokenKind.IMPERSONATION:
        return caller.is_sudo
    return source.kind == TokenKind.PERSONAL


def _lock_client(session: Session, client_id: str | None) -> None:
    """Keep the client as it is while it gets the token; raises NotFound (Client)."""
    query = select(Client).where(Client.client_id == client_id).with_for_update()
    client = session.scalars(query).first()
    if client is None or client.disabled_at is not None or "exchange" not in client.allow:
        raise NotFound("Client", client_id)


def _token(
    store: Store,
    caller: Caller,
    source: TokenFacts,
    wish: ExchangeWish,
    client: ClientFacts | None,
) -> Token:
    """Return the new token's row, but for what its secret and its client leave in it."""
    now = utcnow(store.clock)
    expires_ms = rules.exchanged_expiry(
        to_ms(now), wanted_seconds=wish.seconds, source_ms=source.expires_ms
    )
    return Token(
        kind=TokenKind.EXCHANGED.value,
        user_id=caller.subject.id,
        name=f"exchanged for token {source.id}",
        scopes=rules.exchanged_scopes(wish.scopes, visible_scopes(caller.scopes, client)),
        audience=rules.exchanged_audience(wish.audience, source.audience),
        allowed_ips=source.allowed_ips,
        created_at=now,
        updated_at=now,
        expires_at=from_ms(expires_ms),
        last_used_ips=(),
        source_id=source.id,
        actor_id=caller.actor.id if caller.is_sudo else None,
        reason=caller.reason,
    )


def _event(token: Token) -> NewEvent:
    data = {
        "user_id": token.user_id,
        "source_id": token.source_id,
        "scopes": list(token.scopes),
        "audience": list(token.audience),
        "allowed_ips": list(token.allowed_ips),
        "expires_at": None if token.expires_at is None else isoformat(token.expires_at),
    }
    return NewEvent(action="token.exchanged", token_id=token.id, data=data)
