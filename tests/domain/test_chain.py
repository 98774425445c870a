from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensrv.domain.chain import COLUMNS, FIRST_HASH, middle, row_hash

ROW = (
    1,
    "2026-03-10T12:00:00.000Z",
    "token.created",
    1,
    "root",
    2,
    "bøb",
    7,
    None,
    "192.0.2.1",
    "req",
    None,
    {"b": [1, None], "a": 'quote "'},
    FIRST_HASH,
)
# Written out by hand, so that the format cannot change unseen.
TEXT = (
    '[1,"2026-03-10T12:00:00.000Z","token.created",1,"root",2,"bøb",7,null,"192.0.2.1","req",null,'
    '{"a":"quote \\"","b":[1,null]},"' + "0" * 64 + '"]'
)


def test_the_hash_covers_the_documented_text() -> None:
    assert len(ROW) == len(COLUMNS)
    assert row_hash(ROW) == hashlib.sha256(TEXT.encode()).hexdigest()


@given(st.lists(st.none() | st.integers() | st.text(), min_size=12, max_size=12))
def test_who_learns_seq_and_previous_hash_last_puts_them_around_the_rest(rest: list[Any]) -> None:
    row = [7, *rest, FIRST_HASH]
    text = f'[7,{middle(row)},"{FIRST_HASH}"]'
    assert row_hash(row) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("column", range(len(COLUMNS)), ids=COLUMNS)
def test_a_changed_column_changes_the_hash(column: int) -> None:
    changed = [*ROW[:column], "changed", *ROW[column + 1 :]]
    assert row_hash(changed) != row_hash(ROW)


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_the_order_in_which_data_was_written_does_not_count(data: dict[str, object]) -> None:
    backwards = dict(reversed(data.items()))
    assert row_hash([*ROW[:12], data, FIRST_HASH]) == row_hash([*ROW[:12], backwards, FIRST_HASH])
