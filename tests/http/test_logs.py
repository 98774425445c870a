from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensrv.domain.secret import Kind, mint
from tokensrv.http import logs

KINDS = st.sampled_from(list(Kind))
PREFIXES = st.from_regex(r"[a-z0-9]{2,12}", fullmatch=True)


def formatted(event: str = "event", *, error: Exception | None = None, **keys: Any) -> str:
    exc_info = None if error is None else (type(error), error, error.__traceback__)
    record = logging.getLogger("tokensrv.test").makeRecord(
        "tokensrv.test", logging.INFO, "file", 1, event, (), exc_info, extra=keys
    )
    return logs.JsonFormatter().format(record)


def test_a_record_is_one_object_on_one_line() -> None:
    text = formatted("token.revoked", token_id=7, note="two\nlines")
    line = json.loads(text)
    assert "\n" not in text
    assert (line["event"], line["level"], line["logger"]) == (
        "token.revoked",
        "info",
        "tokensrv.test",
    )
    assert (line["token_id"], line["note"], line["request_id"]) == (7, "two\nlines", None)
    assert datetime.fromisoformat(line["time"]).tzinfo == UTC


def test_a_record_carries_the_id_of_its_request() -> None:
    token = logs.current_request.set("abc")
    try:
        assert json.loads(formatted())["request_id"] == "abc"
    finally:
        logs.current_request.reset(token)


def test_no_key_takes_the_place_of_a_fixed_one() -> None:
    line = json.loads(formatted(logger="forged", level="forged", time="forged"))
    assert "forged" not in line.values()


def test_what_json_does_not_know_is_written_as_text() -> None:
    assert json.loads(formatted(when=datetime(2026, 3, 10, tzinfo=UTC)))["when"].startswith("2026")


@given(PREFIXES, KINDS, st.text(), st.text())
def test_no_secret_is_ever_written(prefix: str, kind: Kind, before: str, after: str) -> None:
    secret = mint(prefix, kind)
    text = before + secret + after
    try:
        raise RuntimeError(text)
    except RuntimeError as error:
        line = formatted(
            text, error=error, a=text, b=[text], c={text: (text, {"d": text})}, e=Exception(text)
        )
    random_part = secret[-36:]
    assert random_part not in line
    assert random_part not in json.dumps(json.loads(line), ensure_ascii=False)
    assert f"{secret[:-36]}***" in json.loads(line)["a"]


def test_it_is_configured_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logs.configure()
    logging.getLogger("tokensrv.test").info("once")
    lines = [line for line in capsys.readouterr().err.splitlines() if '"once"' in line]
    assert len(lines) == 1


def test_a_closed_stderr_loses_the_line_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Closed:
        def write(self, _text: str) -> int:
            raise ValueError("closed")

    monkeypatch.setattr(sys, "stderr", Closed())
    monkeypatch.setattr(logging, "raiseExceptions", False)
    logs.JsonHandler().emit(logging.makeLogRecord({"msg": "lost"}))
