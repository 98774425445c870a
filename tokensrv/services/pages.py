"""Pages of lists: which part was asked for, and the part that is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, func, literal_column, select
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
class Page(Generic[Item]):
    """The items of a page; ``total`` None: more than are worth counting."""

    items: tuple[Item, ...]
    page: int
    per_page: int
    has_next: bool
    total: int | None


def fetch(
    session: Session, query: Select[Any], request: PageRequest, record: Callable[[Any], Item]
) -> Page[Item]:
    """Return one page of the rows of an ordered query, each made a record."""
    rows = session.scalars(query.offset(request.offset).limit(request.per_page + 1)).all()
    counted = (
        query.with_only_columns(literal_column("1"), maintain_column_froms=True)
        .order_by(None)
        .limit(MAX_COUNTED + 1)
        .subquery()
    )
    total = session.scalar(select(func.count()).select_from(counted)) or 0
    return Page(
        items=tuple(record(row) for row in rows[: request.per_page]),
        page=request.page,
        per_page=request.per_page,
        has_next=len(rows) > request.per_page,
        total=total if total <= MAX_COUNTED else None,
    )
