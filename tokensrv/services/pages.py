"""Pages of lists: which part was asked for, and the part that is there.

A page is found by its number or, however long the list, after the key of the last item before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, func, literal, literal_column, select, tuple_
from sqlalchemy.orm import Session

MAX_PER_PAGE = 100
# Beyond it a total is not counted: counting would cost more than the page itself.
MAX_COUNTED = 10_000

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Page ``page`` (from 1) of ``per_page`` items."""

    page: int = 1
    per_page: int = 20

    @property
    def offset(self) -> int:
        """Return how many items stand before this page."""
        return (self.page - 1) * self.per_page


@dataclass(frozen=True, slots=True)
class Key:
    """Where a keyset page begins: after the item with this value and this id."""

    value: Any
    id: int


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """The items of a page; ``total`` None: more than are worth counting."""

    items: tuple[Item, ...]
    page: int
    per_page: int
    has_next: bool
    total: int | None


@dataclass(frozen=True, slots=True)
class Order:
    """By which column a list is ordered; ties by id in the same direction, NULL is the least.

    ``has_nulls_last``: rows without a value come last in either direction.
    """

    id: Any
    # None: by id alone.
    column: Any = None
    is_descending: bool = False
    has_nulls_last: bool = False

    @property
    def name(self) -> str:
        """Return the name of the column."""
        return str(self._columns()[0].key)

    @property
    def has_keys(self) -> bool:
        """Return whether a page can begin after any item: one without a value has no key."""
        return not any(column.expression.nullable for column in self._columns())

    def sorted(self, query: Select[Any]) -> Select[Any]:
        """Return the query in this order."""
        return query.order_by(*map(self._directed, self._columns()))

    def beyond(self, key: Key) -> ColumnElement[bool]:
        """Return the condition of what comes after the key, for an order that has keys."""
        columns = self._columns()
        values = zip((key.value, key.id), columns, strict=False)
        there = [literal(value, column.type) for value, column in values]
        # Compared as one row, which both engines find in an index of these columns.
        if self.is_descending:
            return tuple_(*columns) < tuple_(*there)
        return tuple_(*columns) > tuple_(*there)

    def key(self, row: Any) -> Key:
        """Return where a page after this row begins."""
        return Key(getattr(row, self.name), row.id)

    def _columns(self) -> tuple[Any, ...]:
        column = self.id if self.column is None else self.column
        # Where no two are equal there are no ties.
        is_unique = column.expression.unique or column.expression.primary_key
        return (column,) if is_unique else (column, self.id)

    def _directed(self, column: Any) -> Any:
        directed = column.desc() if self.is_descending else column.asc()
        if not column.expression.nullable:
            return directed
        is_last = self.is_descending or self.has_nulls_last
        return directed.nulls_last() if is_last else directed.nulls_first()


def fetch(
    session: Session,
    query: Select[Any],
    order: Order,
    request: PageRequest,
    record: Callable[[Any], Item],
) -> Page[Item]:
    """Return one page of the rows of a query, each made a record."""
    wanted = order.sorted(query).offset(request.offset).limit(request.per_page + 1)
    rows = session.scalars(wanted).all()
    has_next = len(rows) > request.per_page
    # A page that ends the list has counted it.
    is_last = not has_next and (bool(rows) or request.page == 1)
    total = request.offset + len(rows) if is_last else _count(session, query)
    return Page(
        items=tuple(record(row) for row in rows[: request.per_page]),
        page=request.page,
        per_page=request.per_page,
        has_next=has_next,
        total=total if total <= MAX_COUNTED else None,
    )


def fetch_after(
    session: Session,
    query: Select[Any],
    order: Order,
    after: Key | None,
    limit: int,
    record: Callable[[Any], Item],
) -> tuple[tuple[Item, ...], Key | None]:
    """Return up to ``limit`` records after a key, and the key of the next if there are any.

    It costs the same wherever in the list it is. Nothing is counted. The order must have keys.
    """
    if after is not None:
        query = query.where(order.beyond(after))
    rows = session.scalars(order.sorted(query).limit(limit + 1)).all()
    following = order.key(rows[limit - 1]) if len(rows) > limit else None
    return tuple(record(row) for row in rows[:limit]), following


def _count(session: Session, query: Select[Any]) -> int:
    """Return how many rows a query has, but never look at more than are worth counting."""
    counted = (
        query.with_only_columns(literal_column("1"), maintain_column_froms=True)
        .limit(MAX_COUNTED + 1)
        .subquery()
    )
    return session.scalar(select(func.count()).select_from(counted)) or 0
