"""Rotations: the tokens that a token came from, and those that came from it, one by one."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.models import Token
from tokensrv.services.records import TokenRecord, token_record

# As many are told in each direction.
MAX_STEPS: Final = 10


def chain_of(store: Store, token_id: int) -> tuple[TokenRecord, ...]:
    """Return a token between those before and after it, the oldest first.

    It is alone if it was never rotated, and nothing is returned if there is no such token.
    """
    with store.read() as session:
        token = session.get(Token, token_id)
        if token is None:
            return ()
        rows = [*_before(session, token)[::-1], token, *_after(session, token)]
        now = utcnow(store.clock)
        return tuple(token_record(row, now) for row in rows)


def _before(session: Session, token: Token) -> list[Token]:
    found: list[Token] = []
    while token.previous_id is not None and len(found) < MAX_STEPS:
        # A foreign key refers to it, so that it is there.
        token = session.get_one(Token, token.previous_id)
        found.append(token)
    return found


def _after(session: Session, token: Token) -> list[Token]:
    found: list[Token] = []
    successor: Token | None = token
    while successor is not None and len(found) < MAX_STEPS:
        # There is one at most, since only a token that lives is rotated.
        query = select(Token).where(Token.previous_id == successor.id).order_by(Token.id)
        successor = session.scalars(query).first()
        if successor is not None:
            found.append(successor)
    return found
