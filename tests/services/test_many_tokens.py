"""A user may hold any number of tokens: with 100,000 of them nothing slows down."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select, text

from tests.conftest import QueryRecorder
from tests.factories import caller_of, make_admin, make_token, make_user, origin_of
from tokensrv.db import Store
from tokensrv.domain.caller import Caller
from tokensrv.models import Token
from tokensrv.services.directory import users
from tokensrv.services.lifecycle import minting, rotation, tokens
from tokensrv.services.lifecycle.token_lists import SORTS, TokenFilter, list_tokens
from tokensrv.services.pages import PageRequest
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE
from tokensrv.services.trail.usage import Usage

MANY = 100_000
# Far above what one takes (milliseconds), far below what reading all of them takes.
QUICK_SECONDS = 0.25


# A row for each number, made where they are stored.
_FILL = """
WITH RECURSIVE numbers (n) AS (
    SELECT CAST(:first AS integer) UNION ALL SELECT n + 1 FROM numbers WHERE n < :last
)
INSERT INTO token (kind, user_id, digest, name, scopes, created_at, updated_at, revoked_at)
SELECT 'personal', :user_id, {digest}, 'token ' || n, 'api', :now + n, :now,
    CASE WHEN n % 2 = 1 THEN :now END
FROM numbers
"""
_DIGEST = {"sqlite": "randomblob(32)", "postgresql": "sha256(CAST(CAST(n AS text) AS bytea))"}


def _fill(store: Store, user: UserRecord) -> None:
    filling = text(_FILL.format(digest=_DIGEST[store.engine.dialect.name]))
    now = store.clock.now_ms()
    with store.write() as session:
        for first in range(0, MANY, MANY // 10):
            last = first + MANY // 10 - 1
            values = {"first": first, "last": last, "user_id": user.id, "now": now}
            session.execute(filling, values)
        session.execute(text("ANALYZE"))


@pytest.fixture
def alice(store: Store) -> UserRecord:
    make_admin(store)
    alice = make_user(store)
    _fill(store, alice)
    return alice


def _seconds(verb: Callable[[], Any]) -> float:
    """Return the shortest of three times: the machine may be busy with something else."""
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        verb()
        times.append(time.perf_counter() - begin)
    return min(times)


def test_no_verb_slows_down(store: Store, alice: UserRecord, usage: Usage) -> None:
    token = make_token(store, alice)
    origin = origin_of(store, token.secret)
    caller = origin.caller
    assert caller is not None
    others = iter([make_token(store, alice).record.id for _ in range(6)])
    verbs: dict[str, Callable[[], Any]] = {
        "find": lambda: caller_of(store, token.secret),
        "get": lambda: tokens.get(store, caller, token.record.id),
        "create": lambda: minting.create_for_self(store, origin, _wish()),
        "change": lambda: tokens.change(
            store, origin, token.record.id, tokens.TokenChanges(name=str(time.perf_counter()))
        ),
        "rotate": lambda: rotation.rotate(store, origin, next(others)),
        "revoke": lambda: tokens.revoke(store, origin, next(others)),
        "use": lambda: _use(usage, token.record.id, alice.id),
    }
    slow = {name: took for name, verb in verbs.items() if (took := _seconds(verb)) > QUICK_SECONDS}
    assert slow == {}


def _wish() -> minting.TokenWish:
    return minting.TokenWish(name="new", scopes=("read_user",))


def _use(usage: Usage, token_id: int, user_id: int) -> None:
    usage.used(token_id, user_id, "192.0.2.7")
    usage.flush()


def test_no_list_slows_down(store: Store, alice: UserRecord) -> None:
    caller = caller_of(store, make_token(store, alice).secret)
    admin = caller_of(store, make_token(store, make_admin(store, "other")).secret)
    wanted: dict[str, tuple[Caller, TokenFilter, str | None, int]] = {
        "own": (caller, TokenFilter(), None, 1),
        "own active": (caller, TokenFilter(is_active=True), None, 1),
        "own revoked": (caller, TokenFilter(is_revoked=True), None, 1),
        "own far back": (caller, TokenFilter(), None, 900),
        "his": (admin, TokenFilter(user_id=alice.id), None, 1),
        "all": (admin, TokenFilter(), None, 1),
        "nothing found": (caller, TokenFilter(search="no such name"), None, 1),
        **{
            f"by {name}_{direction}": (caller, TokenFilter(), f"{name}_{direction}", 1)
            for name in SORTS
            for direction in ("asc", "desc")
        },
    }
    slow = {
        name: took
        for name, (who, filters, sort, page) in wanted.items()
        if (took := _seconds(lambda w=who, f=filters, s=sort, p=page: _list(store, w, f, s, p)))
        > QUICK_SECONDS
    }
    assert slow == {}


def _list(store: Store, who: Caller, wanted: TokenFilter, sort: str | None, page: int) -> None:
    list_tokens(store, who, wanted, sort=sort, page=PageRequest(page, 100))


def test_a_list_reads_one_page_and_counts_no_further_than_it_tells(
    store: Store, alice: UserRecord, query_recorder: QueryRecorder
) -> None:
    caller = caller_of(store, make_token(store, alice).secret)
    query_recorder.clear()
    page = list_tokens(store, caller, TokenFilter(), page=PageRequest(2, 100))
    assert len(query_recorder.statements) == 2
    assert (len(page.items), page.has_next, page.total) == (100, True, None)
    assert [token.name for token in page.items][:2] == ["token 100", "token 101"]


def test_a_user_with_very_many_tokens_can_be_deleted(store: Store, alice: UserRecord) -> None:
    users.delete(store, COMMAND_LINE, alice.id)
    with store.read() as session:
        assert session.scalar(select(func.count()).select_from(Token)) == 0
