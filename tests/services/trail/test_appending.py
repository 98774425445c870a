from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest
from sqlalchemy.exc import IntegrityError

from tests.lookup.lease.code import Mutant, load_one
from tests.services.conftest import events_of
from tokensrv.db import Store
from tokensrv.services.trail import events
from tokensrv.services.trail.events import COMMAND_LINE, NewEvent

pytestmark = pytest.mark.postgres

WITHOUT_THE_LOCK = Mutant("services/trail/appending", "_END.with_for_update().cte(", "_END.cte(")
# Long enough to overtake whoever has not committed yet, if that were possible.
A_WHILE = 0.2


def _order_of_commits(store: Store) -> list[str]:
    """Let somebody append who commits only once somebody else has appended, or tried to."""
    committed = []

    def append(name: str, before_commit: Callable[[], None]) -> None:
        with store.write() as session:
            event = NewEvent(action="user.blocked", reason=name)
            events.append(session, store.clock, COMMAND_LINE, [event])
            before_commit()
            # Whoever has appended has the lock, so that this is the order of the commits.
            committed.append(name)

    def overtake() -> None:
        overtaking.append(pool.submit(append, "second", lambda: None))
        wait(overtaking, A_WHILE)

    overtaking: list[Future[None]] = []
    with ThreadPoolExecutor(1) as pool:
        append("first", overtake)
        overtaking[0].result(10)
    return committed


def test_events_stand_in_the_log_in_the_order_of_their_commits(store: Store) -> None:
    committed = _order_of_commits(store)
    logged = events_of(store)
    assert [row.reason for row in logged] == committed == ["first", "second"]
    assert [row.seq for row in logged] == [1, 2]
    assert logged[1].prev_hash == logged[0].hash


def test_without_the_lock_two_would_want_the_same_place(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "extend", load_one(WITHOUT_THE_LOCK).extend)
    with pytest.raises(IntegrityError):
        _order_of_commits(store)
