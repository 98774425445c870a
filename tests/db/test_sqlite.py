from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.databases import opened
from tests.db.conftest import TIMEOUT_SECONDS, wait_until
from tests.processes import Process
from tokensrv.config import Settings
from tokensrv.db import Store, sqlite
from tokensrv.db.sqlite import Readers, driver
from tokensrv.db.writers import FairLock, Writers
from tokensrv.errors import StorageUnavailable

pytestmark = pytest.mark.sqlite

Start = Callable[[Callable[[], object]], threading.Thread]
PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}

_HOLDING = """
from tokensrv.db.writers import Writers
with Writers(settings.sqlite_path, 5).turn():
    print("held", flush=True)
    input()
"""

# The child inherits a lock that a thread of the parent holds, and that nobody in it will release.
_FORK_WHILE_WRITING = """
from tokensrv.db.writers import Writers
writers = Writers(settings.sqlite_path, 5)
with writers.turn():
    child = os.fork()
    if child:
        print(child, flush=True)
    time.sleep(60)
"""

_FORKED_READER = """
from tokensrv.db.sqlite import Readers
readers = Readers(settings.sqlite_path, 5)
readers.fetch("SELECT 1", ())
opened_before = set(os.listdir("/proc/self/fd"))
child = os.fork()
if child == 0:
    assert readers.fetch("SELECT seq FROM event_head", ()) == [(0,)]
    # A connection of its own: the inherited one was neither used nor closed.
    assert len(os.listdir("/proc/self/fd")) > len(opened_before)
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""


@pytest.fixture
def readers(settings: Settings) -> Iterator[Readers]:
    found = Readers(settings.sqlite_path, TIMEOUT_SECONDS)
    yield found
    found.close()


@pytest.fixture
def writers(settings: Settings) -> Iterator[Writers]:
    found = Writers(settings.sqlite_path, TIMEOUT_SECONDS)
    yield found
    found.close()


def _waiting(lock: FairLock) -> int:
    return len(lock._waiters)  # noqa: SLF001  # nothing else tells that somebody waits


def _open_files(path: Path) -> int:
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum(os.path.realpath(link) == str(path) for link in links)


def test_a_connection_is_durable_and_checks_references(store: Store) -> None:
    with store.engine.connect() as connection:
        found = {name: connection.scalar(text(f"PRAGMA {name}")) for name in PRAGMAS}
    assert found == PRAGMAS


@pytest.fixture
def switching(empty_settings: Settings) -> Iterator[Any]:
    """Somebody else who is about to switch a new file to WAL mode."""
    empty_settings.sqlite_path.touch(mode=0o600)
    with closing(driver.connect(empty_settings.sqlite_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def test_a_process_waits_while_another_one_switches_a_new_file_to_wal(
    empty_settings: Settings, switching: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite.time, "sleep", lambda _: switching.execute("COMMIT"))
    with opened(empty_settings) as store, store.glance() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"


@pytest.mark.usefixtures("switching")
def test_a_process_waits_no_longer_than_the_time_limit(empty_settings: Settings) -> None:
    hasty = dataclasses.replace(empty_settings, storage_timeout_seconds=0.01)
    with opened(hasty) as store, pytest.raises(StorageUnavailable), store.glance():
        pass


def test_the_library_is_free_of_the_corruption_bug() -> None:
    assert driver.sqlite_version_info >= (3, 51, 3)


def test_a_fair_lock_is_handed_over_in_the_order_of_asking(in_thread: Start) -> None:
    lock, order = FairLock(), []
    assert lock.acquire(1)

    def take(number: int) -> None:
        assert lock.acquire(10)
        order.append(number)
        lock.release()

    for number in range(5):
        in_thread(lambda number=number: take(number))
        wait_until(lambda number=number: _waiting(lock) == number + 1)
    lock.release()
    wait_until(lambda: len(order) == 5)
    assert order == [0, 1, 2, 3, 4]


def test_a_fair_lock_gives_up_and_is_handed_to_nobody_who_did() -> None:
    lock = FairLock()
    assert lock.acquire(1)
    assert not lock.acquire(0.05)
    assert _waiting(lock) == 0
    lock.release()
    assert lock.acquire(0.05)


def test_a_fair_lock_excludes_whatever_the_timing(in_thread: Start) -> None:
    lock, inside, taken = FairLock(), [], []

    def hurry() -> None:
        for _ in range(300):
            # As long as the lock is held: handing over and giving up often meet.
            if lock.acquire(0.0002):
                inside.append(1)
                taken.append(len(inside))
                time.sleep(0.0002)
                inside.pop()
                lock.release()

    threads = [in_thread(hurry) for _ in range(4)]
    for thread in threads:
        thread.join(30)
    assert set(taken) == {1}
    assert lock.acquire(1)


def test_a_writer_that_waits_too_long_is_told_so(writers: Writers, in_thread: Start) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with writers.turn():
            entered.set()
            leave.wait(10)

    in_thread(hold)
    assert entered.wait(10)
    begin = time.monotonic()
    with pytest.raises(StorageUnavailable), writers.turn():
        pass
    assert TIMEOUT_SECONDS <= time.monotonic() - begin < 5
    leave.set()


def test_a_writer_waits_for_one_of_another_process(
    writers: Writers, settings: Settings, in_thread: Start
) -> None:
    other, order = Process(_HOLDING, settings), []
    assert other.hear() == "held"

    def write() -> None:
        with writers.turn():
            order.append("written")

    in_thread(write)
    time.sleep(0.1)
    order.append("released")
    other.say()
    other.end()
    wait_until(lambda: len(order) == 2)
    assert order == ["released", "written"]


def test_a_stopped_writer_elsewhere_costs_one_thread_and_no_answer(
    writers: Writers, settings: Settings, in_thread: Start
) -> None:
    other = Process(_HOLDING, settings)
    assert other.hear() == "held"
    outcomes = []

    def write() -> None:
        try:
            with writers.turn():
                outcomes.append("written")
        except StorageUnavailable:
            outcomes.append("unavailable")

    before = threading.active_count()
    for _ in range(3):
        in_thread(write)
    wait_until(lambda: len(outcomes) == 3)
    assert outcomes == ["unavailable"] * 3
    # The one that blocks on; it lets go at once of what comes too late.
    wait_until(lambda: threading.active_count() == before + 1)
    other.kill()
    wait_until(lambda: threading.active_count() == before)
    write()
    assert outcomes[3:] == ["written"]


def test_a_short_wait_for_another_process_is_granted(
    writers: Writers, settings: Settings, in_thread: Start
) -> None:
    other, written = Process(_HOLDING, settings), threading.Event()
    assert other.hear() == "held"

    def write() -> None:
        with writers.turn():
            written.set()

    in_thread(write)
    other.kill()
    assert written.wait(5)


def test_a_file_that_was_removed_or_replaced_is_not_read_on(
    settings: Settings, tmp_path: Path
) -> None:
    path = settings.sqlite_path
    assert path is not None
    readers = Readers(path, TIMEOUT_SECONDS)
    assert readers.fetch("SELECT count(*) FROM event", ()) == [(0,)]
    kept = path.rename(tmp_path / "kept")
    with pytest.raises(StorageUnavailable):
        readers.fetch("SELECT count(*) FROM event", ())
    shutil.copyfile(kept, path)
    with closing(driver.connect(path)) as other:
        other.execute("DROP TABLE event")
        other.commit()
    with pytest.raises(StorageUnavailable):
        readers.fetch("SELECT count(*) FROM event", ())
    readers.close()


def test_a_file_that_was_removed_is_not_written_on(store: Store, tmp_path: Path) -> None:
    with store.write() as session:
        assert session.scalar(text("SELECT count(*) FROM event")) == 0
    path = store.settings.sqlite_path
    assert path is not None
    kept = path.rename(tmp_path / "kept")
    with pytest.raises(StorageUnavailable), store.write() as session:
        session.execute(text("DELETE FROM event"))
    assert not path.exists()
    kept.rename(path)
    with store.read() as session:
        assert session.scalar(text("SELECT count(*) FROM event")) == 0


def test_a_writer_that_was_killed_leaves_no_lock_in_its_child(
    writers: Writers, settings: Settings, in_thread: Start
) -> None:
    parent, written = Process(_FORK_WHILE_WRITING, settings), threading.Event()
    child = int(parent.hear())

    def write() -> None:
        with writers.turn():
            written.set()

    try:
        parent.kill()
        in_thread(write)
        assert written.wait(5)
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_lock_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    writers = Writers(tmp_path / "missing" / "file", TIMEOUT_SECONDS)
    with (
        pytest.raises(StorageUnavailable, match=r"missing/file\.lock: No such file"),
        writers.turn(),
    ):
        pass
    # The lock of this process was given back.
    with pytest.raises(StorageUnavailable, match="No such file"), writers.turn():
        pass


def test_a_reader_uses_its_connection_again(readers: Readers, settings: Settings) -> None:
    for _ in range(100):
        assert readers.fetch("SELECT seq FROM event_head WHERE id = ?", (1,)) == [(0,)]
    assert _open_files(settings.sqlite_path) == 1


def test_readers_at_once_open_no_more_connections_than_they_are(
    readers: Readers, settings: Settings, in_thread: Start
) -> None:
    def read() -> None:
        for _ in range(200):
            assert readers.fetch("SELECT seq FROM event_head", ()) == [(0,)]

    for _ in range(10):
        threads = [in_thread(read) for _ in range(4)]
        for thread in threads:
            thread.join(30)
    assert 1 <= _open_files(settings.sqlite_path) <= 4


def test_a_reader_sees_each_commit_at_once(readers: Readers, store: Store) -> None:
    for seq in range(1, 5):
        with store.write() as session:
            session.execute(text("UPDATE event_head SET seq = :seq"), {"seq": seq})
        assert readers.fetch("SELECT seq FROM event_head", ()) == [(seq,)]


def test_readers_are_not_held_up_by_a_writer(readers: Readers, store: Store) -> None:
    with store.write() as session:
        session.execute(text("UPDATE event_head SET seq = 9"))
        assert readers.fetch("SELECT seq FROM event_head", ()) == [(0,)]


def test_a_reader_cannot_write(readers: Readers) -> None:
    with pytest.raises(StorageUnavailable):
        readers.fetch("UPDATE event_head SET seq = 9", ())
    assert readers.fetch("SELECT seq FROM event_head", ()) == [(0,)]


def test_a_file_that_is_gone_is_unavailable_and_is_not_made(tmp_path: Path) -> None:
    readers = Readers(tmp_path / "gone.sqlite3", TIMEOUT_SECONDS)
    with pytest.raises(StorageUnavailable):
        readers.fetch("SELECT 1", ())
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_unavailable(settings: Settings, store: Store) -> None:
    settings.sqlite_path.write_bytes(b"no database at all " * 1000)
    with pytest.raises(StorageUnavailable):
        store.readers.fetch("SELECT seq FROM event_head", ())
    with pytest.raises(StorageUnavailable), store.read() as session:
        session.execute(text("SELECT seq FROM event_head"))
    with pytest.raises(StorageUnavailable), store.write():
        pass


def test_a_forked_child_reads_over_connections_of_its_own(settings: Settings) -> None:
    assert Process(_FORKED_READER, settings).end() == "0"
