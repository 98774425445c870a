from __future__ import annotations

import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tests.processes import Process
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.errors import Invalid, StorageUnavailable

COUNT = text("SELECT count(*) FROM event_head WHERE seq = 1")
CHANGE = text("UPDATE event_head SET seq = 1")

# It uses the Store before the fork and after it, in both processes.
_FORKING = """
from sqlalchemy import text
read, write = text("SELECT seq FROM event_head"), text("UPDATE event_head SET seq = seq + 1")
with opened(settings) as store:
    with store.write() as session:
        session.execute(write)
    child = os.fork()
    for _ in range(50):
        with store.write() as session:
            session.execute(write)
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with store.read() as session:
        print(session.scalar(read))
"""


def _count(store: Store) -> int:
    with store.read() as session:
        return int(session.scalar(COUNT) or 0)


def test_what_is_written_is_there_afterwards(store: Store) -> None:
    with store.write() as session:
        session.execute(CHANGE)
    assert _count(store) == 1


@pytest.mark.parametrize("error", [Invalid("name"), RuntimeError("bug"), KeyboardInterrupt()])
def test_an_exception_takes_everything_back(store: Store, error: BaseException) -> None:
    def fail() -> None:
        with store.write() as session:
            session.execute(CHANGE)
            raise error

    with pytest.raises(type(error)):
        fail()
    assert _count(store) == 0


def test_after_an_exception_the_next_one_may_write(store: Store) -> None:
    def fail() -> None:
        with store.write():
            raise RuntimeError

    for _ in range(20):
        with pytest.raises(RuntimeError):
            fail()
    with store.write() as session:
        session.execute(CHANGE)
    assert _count(store) == 1


def test_a_reading_session_keeps_nothing(store: Store) -> None:
    with store.read() as session:
        session.execute(text("SELECT 1"))
        session.execute(CHANGE)
    assert _count(store) == 0


def test_an_error_of_the_statement_stays_what_it_is(store: Store) -> None:
    with pytest.raises(IntegrityError), store.write() as session:
        session.execute(text("INSERT INTO event_head (id, seq, hash) VALUES (2, 0, '')"))


def test_a_glance_sees_each_commit_at_once(store: Store) -> None:
    with store.glance() as connection:
        assert connection.scalar(COUNT) == 0
        with store.write() as session:
            session.execute(CHANGE)
        assert connection.scalar(COUNT) == 1


def test_a_store_that_was_closed_opens_again(store: Store) -> None:
    assert _count(store) == 0
    store.close()
    assert _count(store) == 0


def test_a_row_that_somebody_else_holds_is_unavailable_after_the_time_limit(
    store: Store, impatient: Settings
) -> None:
    other = Process(
        """
from sqlalchemy import text
with opened(settings) as store, store.engine.connect() as connection:
    connection.execution_options(tokensrv_begin="IMMEDIATE")
    connection.execute(text("UPDATE event_head SET seq = 1"))
    print("held", flush=True)
    input()
""",
        impatient,
    )
    assert other.hear() == "held"
    begin = time.monotonic()
    with pytest.raises(StorageUnavailable), store.write() as session:
        session.execute(CHANGE)
    waited = time.monotonic() - begin
    other.say()
    other.end()
    assert 0.2 < waited < 2
    with store.write() as session:
        session.execute(CHANGE)
    assert _count(store) == 1


def test_parent_and_child_use_one_store_without_harm(impatient: Settings) -> None:
    assert Process(_FORKING, impatient).end() == "101"
