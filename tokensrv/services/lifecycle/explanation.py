"""Explanations: why a token is active or not, for those who may see it.

The facts and the verdict are those of introspection, so what is explained is what would be
answered. To explain is no use: it leaves no event, not even of a sudo that would be refused, and
neither the token nor its owner was there.
"""

from __future__ import annotations

from sqlalchemy import select

from tokensrv.db import Store
from tokensrv.domain import explanation
from tokensrv.domain.caller import Caller, SudoAsk
from tokensrv.domain.explanation import Explanation
from tokensrv.domain.facts import Facts, TokenKind
from tokensrv.domain.introspection import Question
from tokensrv.domain.secret import token_digest
from tokensrv.errors import Invalid, NotFound
from tokensrv.lookup import Lookup
from tokensrv.models import Token
from tokensrv.services.authority import policy
from tokensrv.services.lifecycle.tokens import may_see


def explain(
    store: Store,
    lookup: Lookup,
    caller: Caller | None,
    token: str | int,
    question: Question,
    *,
    client_id: str | None = None,
) -> Explanation:
    """Return what a client would be told about a token, and why.

    ``token`` is its secret or its id; ``client_id`` None: asked by no client; ``caller`` None:
    the command line. Raises NotFound (Token) for one that does not exist for this caller, Invalid
    for an unknown client, StorageUnavailable.
    """
    digest = _digest(store, token)
    target = question.ask.target if isinstance(question.ask, SudoAsk) else None
    facts = lookup.find(client_id=client_id, digest=digest, target=target)
    is_unknown_client = client_id is not None and facts.client is None
    # Without a client nothing is read at all, and whose the token is comes first.
    about = lookup.find(digest=digest) if is_unknown_client else facts
    if not _may_see(caller, about):
        raise NotFound("Token")
    if is_unknown_client:
        raise Invalid("client_id", "does not have a valid value")
    return explanation.explain(facts, question, now_ms=store.clock.now_ms(), policy=policy(store))


def _digest(store: Store, token: str | int) -> bytes | None:
    if isinstance(token, str):
        return token_digest(token)
    with store.read() as session:
        return session.scalar(select(Token.digest).where(Token.id == token))


def _may_see(caller: Caller | None, facts: Facts) -> bool:
    token, exchange = facts.token, facts.exchange
    if token is None:
        return False
    # What came out of an exchange without an actor is a narrower token of the owner's own.
    is_his_own = exchange is not None and not exchange.has_actor
    kind = TokenKind.PERSONAL if is_his_own else token.kind
    return may_see(caller, user_id=token.user_id, kind=kind)
