"""How commands print."""

from __future__ import annotations

import io
import json
import sys

import pytest

from tokensrv.cli.output import show_list, show_one, text

ITEMS = [
    {"id": 1, "name": "[bold]nightly\x1b[2J", "scopes": ["api", "sudo"], "active": True},
    {"id": 2, "name": "a\tb\nc", "scopes": [], "active": None},
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_list_in_a_pipe_is_separated_by_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    show_list(ITEMS, ("id", "name", "scopes", "active"), as_json=False)
    assert capsys.readouterr().out == (
        "id\tname\tscopes\tactive\n1\t[bold]nightly\\x1b[2J\tapi sudo\ton\n2\ta\\tb\\nc\t\t\n"
    )


def test_one_object_in_a_pipe_has_a_line_for_each_member(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_one(ITEMS[1], as_json=False)
    assert capsys.readouterr().out == "id\t2\nname\ta\\tb\\nc\nscopes\t\nactive\t\n"


def test_json_is_the_whole_of_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    show_list(ITEMS, ("id",), as_json=True)
    assert json.loads(capsys.readouterr().out) == ITEMS
    show_one(ITEMS[0], as_json=True)
    assert json.loads(capsys.readouterr().out) == ITEMS[0]


def test_a_terminal_gets_a_table_without_anybodys_control_characters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    show_list(ITEMS, ("id", "name"), as_json=False)
    show_one(ITEMS[0], as_json=False)
    shown = terminal.getvalue()
    assert "─" in shown
    assert shown.count("[bold]nightly\\x1b[2J") == 2
    assert "\x1b[2J" not in shown


def test_a_terminal_shows_a_state_in_its_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    rows = [{"id": 1, "name": "active", "state": "blocked"}]
    show_list(rows, ("id", "name", "state"), as_json=False)
    show_one(rows[0], as_json=False)
    assert terminal.getvalue().count("\x1b[31mblocked") == 2
    # A name is nobody's state.
    assert "\x1b[32mactive" not in terminal.getvalue()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(2.0, "2", id="whole float"),
        pytest.param(0.5, "0.5", id="float"),
        pytest.param(False, "off", id="switch"),
        pytest.param({"via": "cli"}, '{"via": "cli"}', id="object"),
        pytest.param("Zoë", "Zoë", id="letters are left alone"),
        pytest.param("\u202egpj", "\\u202egpj", id="right to left override"),
    ],
)
def test_a_value_is_one_printable_line(value: object, shown: str) -> None:
    assert text(value) == shown
