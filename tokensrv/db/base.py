"""The declarative base, its naming convention and the column types that both engines share."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, MetaData, Text, UnaryExpression
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql import operators
from sqlalchemy.types import TypeDecorator

from tokensrv.clock import from_ms, to_ms

# Names that do not depend on the engine, so that migrations match on both.
_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

# SQLite only gives AUTOINCREMENT to a column that is literally INTEGER.
Id = BigInteger().with_variant(Integer(), "sqlite")


class NullFirst(UnaryExpression[Any]):
    """A column of an index in which NULL comes before everything, on both engines.

    SQLite sorts so, and no index of it can say it.
    """

    inherit_cache = True

    def __init__(self, column: Any) -> None:
        super().__init__(column.expression, modifier=operators.nulls_first_op)


@compiles(NullFirst, "sqlite")
def _without_saying_so(element: Any, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.element, **options))


class Base(DeclarativeBase):
    """The base of all tables."""

    metadata = MetaData(naming_convention=_NAMING)


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime, stored as whole milliseconds since the epoch.

    An integer is exact, equal on both engines, and compared without parsing on the hot read.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Return the milliseconds to store; anything finer is cut."""
        return None if value is None else to_ms(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return the stored moment as an aware datetime."""
        return None if value is None else from_ms(value)


class Words(TypeDecorator[tuple[str, ...]]):
    """A list of words without blanks (scopes, client ids), stored separated by blanks."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str | None:
        """Return the words as they are stored."""
        return None if value is None else " ".join(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[str, ...] | None:
        """Return the stored words."""
        return None if value is None else tuple(value.split())
