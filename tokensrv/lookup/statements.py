"""The statement of the hot read, written once from the models, and its row as facts.

Columns are read as they are stored (milliseconds, words separated by blanks), so that a row
costs no conversion that a decision does not need.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import cache, lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Dialect,
    FromClause,
    Select,
    Text,
    bindparam,
    cast,
    literal_column,
    null,
    select,
    type_coerce,
)
from sqlalchemy.orm import aliased

from tokensrv.domain.facts import (
    ClientFacts,
    ExchangeFacts,
    Facts,
    TokenFacts,
    TokenKind,
    UserFacts,
)
from tokensrv.domain.usernames import Target
from tokensrv.models import Client, Token, User


class By(Enum):
    """How the sudo target is named, if there is one."""

    NOTHING = "nothing"
    ID = "id"
    NAME = "name"


class Shape(NamedTuple):
    """Which parts the statement reads beside the token and its owner."""

    with_client: bool
    target_by: By = By.NOTHING
    # Where an exchanged token comes from; for this kind only, and for many tokens at once.
    with_exchange: bool = False
    # Many tokens, each row with the digest it was found by.
    is_many: bool = False


class Prepared(NamedTuple):
    """A statement as text with ``?``, and the names of its parameters in their order."""

    sql: str
    parameters: tuple[str, ...]


_CLIENT_WIDTH, _TOKEN_WIDTH, _USER_WIDTH = 10, 9, 4
_TOKEN_AT = _CLIENT_WIDTH
_OWNER_AT = _TOKEN_AT + _TOKEN_WIDTH
_REST_AT = _OWNER_AT + _USER_WIDTH
_EXCHANGED = TokenKind.EXCHANGED
# What nearly every question needs.
USUAL = Shape(with_client=True)


def by(target: Target | None) -> By:
    """Return which form of the statement a target needs."""
    if target is None:
        return By.NOTHING
    return By.ID if target.id is not None else By.NAME


def values(
    client_id: str | None, digest: bytes | None, target: Target | None
) -> dict[str, str | int | bytes | None]:
    """Return the parameters of the statement by name."""
    named = None if target is None else target.key if target.id is None else target.id
    return {"client_id": client_id, "digest": digest, "target": named}


@cache
def statement(shape: Shape) -> Select[Any]:
    """Return the statement: driven by the client, or by one empty row without one.

    At most one row comes back for a token: every join is on a unique column.
    """
    owner = aliased(User, name="owner")
    source: FromClause = (
        Client.__table__
        if shape.with_client
        else select(literal_column("1").label("one")).subquery("nobody")
    )
    asked = (
        Token.digest.in_(bindparam("digests", expanding=True))
        if shape.is_many
        else Token.digest == bindparam("digest")
    )
    source = source.outerjoin(Token, asked).outerjoin(owner, owner.id == Token.user_id)
    columns = [*_client(with_client=shape.with_client), *_token(Token), *_user(owner)]
    if shape.target_by is not By.NOTHING:
        target = aliased(User, name="target")
        named = target.id if shape.target_by is By.ID else target.username_key
        source = source.outerjoin(target, named == bindparam("target"))
        columns += _user(target)
    if shape.with_exchange:
        origin, origin_owner = aliased(Token, name="source"), aliased(User, name="source_owner")
        source = source.outerjoin(origin, origin.id == Token.source_id)
        source = source.outerjoin(origin_owner, origin_owner.id == origin.user_id)
        columns += [*_token(origin), *_user(origin_owner), *_exchange()]
    if shape.is_many:
        columns.append(Token.digest.expression)
    found = select(*columns).select_from(source)
    if not shape.with_client:
        return found
    return found.where(Client.client_id == bindparam("client_id"))


def prepared(dialect: Dialect, shape: Shape) -> Prepared:
    """Return the statement compiled for a driver that takes ``?``."""
    compiled = statement(shape).compile(dialect=dialect)
    return Prepared(str(compiled), tuple(compiled.positiontup or ()))


def facts(row: Sequence[Any] | None, shape: Shape) -> Facts:
    """Return the facts of the row; no row: an unknown client, so nothing is told."""
    if row is None:
        return Facts()
    # By place, not by name: this is done for every question, and names take twice as long.
    client = None if row[0] is None else _client_facts(tuple(row[:_CLIENT_WIDTH]))
    token = None if row[_TOKEN_AT] is None else _token_facts(row, _TOKEN_AT)
    owner = _user_facts(row, _OWNER_AT)
    if shape is USUAL:
        return Facts(client, token, owner)
    has_target = shape.target_by is not By.NOTHING
    exchange_at = _REST_AT + (_USER_WIDTH if has_target else 0)
    target = _user_facts(row, _REST_AT) if has_target else None
    exchange = _exchange_facts(row, exchange_at) if shape.with_exchange else None
    return Facts(client, token, owner, target, exchange)


def needs_exchange(found: Facts) -> bool:
    """Return whether the token depends on a source that the hot statement does not read."""
    return found.token is not None and found.token.kind == _EXCHANGED


def _client(*, with_client: bool) -> list[ColumnElement[Any]]:
    if not with_client:
        return [null() for _ in range(_CLIENT_WIDTH)]
    return [
        Client.id.expression,
        Client.client_id.expression,
        Client.secret_digest.expression,
        Client.previous_secret_digest.expression,
        type_coerce(Client.disabled_at, BigInteger),
        type_coerce(Client.scopes, Text),
        type_coerce(Client.allow, Text),
        type_coerce(Client.auth_methods, Text),
        # A cast, or one of the drivers would parse it for every question.
        cast(Client.jwks, Text),
        Client.introspection_signed_response_alg.expression,
    ]


def _token(token: Any) -> list[ColumnElement[Any]]:
    return [
        token.id,
        token.kind,
        token.user_id,
        type_coerce(token.scopes, Text),
        type_coerce(token.audience, Text),
        type_coerce(token.created_at, BigInteger),
        type_coerce(token.expires_at, BigInteger),
        type_coerce(token.revoked_at, BigInteger),
        type_coerce(token.allowed_ips, Text),
    ]


def _user(user: Any) -> list[ColumnElement[Any]]:
    return [user.id, user.username, user.state, user.is_admin]


def _exchange() -> list[ColumnElement[Any]]:
    return [Token.actor_id.expression, Token.exchanged_by.expression, Token.reason.expression]


# Few clients ask, and they ask often. What is remembered is how to read these very columns, so
# that a changed row is read anew.
@lru_cache(maxsize=1024)
def _client_facts(columns: tuple[Any, ...]) -> ClientFacts:
    return ClientFacts(
        id=columns[0],
        client_id=columns[1],
        secret_digests=tuple(digest for digest in columns[2:4] if digest is not None),
        is_disabled=columns[4] is not None,
        scopes=None if columns[5] is None else tuple(columns[5].split()),
        allow=tuple(columns[6].split()),
        auth_methods=tuple(columns[7].split()),
        jwks=columns[8],
        introspection_signed_response_alg=columns[9],
    )


def _token_facts(row: Sequence[Any], at: int) -> TokenFacts:
    number, kind, user_id, scopes, audience, created_ms, expires_ms, revoked_ms, allowed_ips = row[
        at : at + _TOKEN_WIDTH
    ]
    return TokenFacts(
        number,
        kind,
        user_id,
        tuple(scopes.split()),
        tuple(audience.split()),
        created_ms,
        expires_ms,
        revoked_ms is not None,
        tuple(allowed_ips.split()),
    )


def _user_facts(row: Sequence[Any], at: int) -> UserFacts | None:
    if row[at] is None:
        return None
    return UserFacts(row[at], row[at + 1], row[at + 2], bool(row[at + 3]))


def _exchange_facts(row: Sequence[Any], at: int) -> ExchangeFacts | None:
    owner = _user_facts(row, at + _TOKEN_WIDTH)
    if row[at] is None or owner is None:
        return None
    actor_id, client_id, reason = row[at + _TOKEN_WIDTH + _USER_WIDTH :][:3]
    return ExchangeFacts(
        source=_token_facts(row, at),
        source_owner=owner,
        has_actor=actor_id is not None,
        client_id=client_id or "",
        reason=reason,
    )
