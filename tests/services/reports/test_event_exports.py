"""Exports of events: what a line holds, and that a spreadsheet runs none of it."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from tests.conftest import START
from tokensrv.domain.chain import COLUMNS as HASHED
from tokensrv.domain.chain import row_hash
from tokensrv.services.records import EventRecord
from tokensrv.services.reports.event_exports import COLUMNS, csv_lines, json_lines


def _event(**columns: Any) -> EventRecord:
    values: dict[str, Any] = dict.fromkeys(COLUMNS)
    values |= {"seq": 7, "at": START, "action": "token.created", "data": {"name": "ci"}}
    return EventRecord(**values | {"prev_hash": "0" * 64, "hash": "f" * 64} | columns)


def _rows(*events: EventRecord) -> list[list[str]]:
    return list(csv.reader(io.StringIO("".join(csv_lines(events)), newline="")))


def test_a_line_of_json_holds_all_that_its_hash_covers() -> None:
    event = _event(actor="рут", reason='two\nlines, "quoted"')
    (line,) = json_lines([event])
    assert line.count("\n") == 1
    found = json.loads(line)
    assert tuple(found) == COLUMNS
    assert found["at"] == "2026-03-10T12:00:00.000Z"
    covered = {**found, "hash": None}
    expected = row_hash([7, covered["at"], *(getattr(event, name) for name in HASHED[2:])])
    assert row_hash([found[name] for name in HASHED]) == expected


def test_the_first_row_names_the_columns_and_each_event_is_one() -> None:
    head, first, second = _rows(_event(token_id=3), _event(seq=8, reason='two\nlines, "quoted"'))
    assert tuple(head) == COLUMNS
    assert dict(zip(head, first, strict=True)) | {"hash": "", "prev_hash": ""} == {
        **dict.fromkeys(COLUMNS, ""),
        "seq": "7",
        "at": "2026-03-10T12:00:00.000Z",
        "action": "token.created",
        "token_id": "3",
        "data": '{"name":"ci"}',
    }
    assert second[head.index("reason")] == 'two\nlines, "quoted"'


def test_without_any_event_there_is_a_row_of_names_and_no_line_of_json() -> None:
    assert _rows() == [list(COLUMNS)]
    assert list(json_lines([])) == []


@pytest.mark.parametrize(
    "beginning", [*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20", " =", "\t=", "\n@", "\u3000="]
)
@pytest.mark.parametrize("column", ["reason", "request_id", "actor", "client_id", "ip"])
def test_a_formula_becomes_a_text(column: str, beginning: str) -> None:
    formula = f'{beginning}HYPERLINK("https://example.org")'
    head, row = _rows(_event(**{column: formula}))
    assert row[head.index(column)] == f"'{formula}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a;=1+1;b", "a;'=1+1;b"),
        ("a;  @b", "a;'  @b"),
        ("a\n-b", "a\n'-b"),
        ("a\t\uff0bb", "a\t'\uff0bb"),
        ("one - two\nlines; and = so", "one - two\nlines; and = so"),
    ],
)
def test_no_formula_begins_where_others_part_the_cells(text: str, expected: str) -> None:
    head, row = _rows(_event(reason=text, data={"name": text}))
    assert row[head.index("reason")] == expected
    assert json.loads(row[head.index("data")])["name"].replace("'", "") == text


def test_a_name_within_the_data_is_no_formula() -> None:
    head, row = _rows(_event(data={"=name": "=1+1"}))
    assert row[head.index("data")] == '{"=name":"=1+1"}'
