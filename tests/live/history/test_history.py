"""Nothing that was taken away is answered from memory: three nodes of two workers, under load.

Every test lets thousands of calls run at once, does something to the nodes meanwhile, and has
every answer checked. What counts as wrong is ``checker``'s.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from itertools import cycle

import pytest

from tests.conftest import PROFILE
from tests.databases import Databases
from tests.live.history.calls import Request, Wire
from tests.live.history.lives import LIVES, as_root, new_client, new_token, new_user
from tests.live.history.nodes import DISTANT, Nodes, cut, paused
from tests.live.history.questions import Introspect, Question, Self
from tests.live.history.workload import Driver, History, Stage, load
from tests.live.servers import wait_for

pytestmark = pytest.mark.postgres

LEASE_SECONDS = 1
# Of load before and after whatever happens to the nodes.
LOAD_SECONDS = 30 if PROFILE == "full" else 1.5
PAUSE_SECONDS = 2.5 * LEASE_SECONDS
# What a busy machine may add to what the protocol promises.
SLACK_SECONDS = 4
# With fewer than these there was no load.
FEWEST_ANSWERS, FEWEST_CHANGES = 300, 10
# So many connections that each worker of a node has some of them.
CONNECTIONS = 16
CALM_REVOKES = 100


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("nodes")
    with closing(Nodes(folder, databases, lease_seconds=str(LEASE_SECONDS))) as found:
        found.start()
        yield found


@pytest.fixture
def stage(nodes: Nodes) -> Iterator[Stage]:
    """The same without any load."""
    with closing(Stage(nodes)) as found:
        yield found


def under_load(nodes: Nodes, happens: Callable[[Nodes], None]) -> History:
    """Return the history of a load during which something happens."""
    with load(nodes, LIVES) as stage:
        time.sleep(LOAD_SECONDS)
        happens(nodes)
        time.sleep(LOAD_SECONDS)
    nodes.start_missing()
    report(happens.__name__, stage.history)
    return stage.history


def assert_right(history: History) -> None:
    """Hold every answer of a history against every change."""
    assert [str(one) for one in history.wrong()] == []
    assert history.surprises == []
    assert len(history.answers) >= FEWEST_ANSWERS
    assert len(history.taken()) >= FEWEST_CHANGES
    assert {answer.is_yes for answer in history.answers} == {True, False}


def nothing(_nodes: Nodes) -> None:
    time.sleep(PAUSE_SECONDS)


def a_worker_is_killed(nodes: Nodes) -> None:
    before = set(nodes.servers[0].workers())
    os.kill(min(before), signal.SIGKILL)
    wait_for(lambda: len(set(nodes.servers[0].workers()) - before) == 1, "another worker")
    time.sleep(PAUSE_SECONDS)


def a_worker_stands_still(nodes: Nodes) -> None:
    with paused(nodes.servers[0].workers()[0]):
        time.sleep(PAUSE_SECONDS)


def a_node_is_cut_off(nodes: Nodes) -> None:
    with cut(nodes.proxy):
        time.sleep(PAUSE_SECONDS)
    wait_for(nodes.servers[DISTANT].is_ready, "the node to be back")


def a_node_is_stopped(nodes: Nodes) -> None:
    nodes.servers[1].stop()
    time.sleep(LEASE_SECONDS)


def a_node_is_killed(nodes: Nodes) -> None:
    nodes.kill(1)
    time.sleep(PAUSE_SECONDS)


@pytest.mark.parametrize(
    "happens", [nothing, a_worker_stands_still, a_node_is_cut_off, a_node_is_stopped]
)
def test_no_answer_is_wrong_while(nodes: Nodes, happens: Callable[[Nodes], None]) -> None:
    assert_right(under_load(nodes, happens))


@pytest.mark.parametrize("happens", [a_worker_is_killed, a_node_is_killed])
def test_whoever_is_dead_is_waited_for_one_lease_at_most_when(
    nodes: Nodes, happens: Callable[[Nodes], None]
) -> None:
    history = under_load(nodes, happens)
    assert_right(history)
    assert history.taken()[-1] < LEASE_SECONDS + SLACK_SECONDS


class Crowd:
    """Many connections to one node, so that each of its workers has some of them."""

    def __init__(self, nodes: Nodes, stage: Stage, node: int) -> None:
        self._history, self._node = stage.history, node
        self._wires = [Wire(nodes.servers) for _ in range(CONNECTIONS)]

    def ask(self, questions: Sequence[Question]) -> None:
        """Have each question asked by some of the connections, all at once."""

        def ask(wire: Wire, question: Question) -> None:
            self._history.answered(question, self._node, wire.call(self._node, question.request))

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            # Taken out of the iterator, so that a failure is one of the test.
            list(pool.map(ask, self._wires, cycle(questions)))

    def close(self) -> None:
        """Hang up."""
        for wire in self._wires:
            wire.close()


def one_of_each(driver: Driver) -> list[tuple[Question, Request, str]]:
    """Return questions, each with what makes its answer a no, and the power that this takes."""
    client, service = driver.stage.client, new_client(driver)
    token, other = (new_token(driver, new_user(driver), ("read_user",)) for _ in range(2))
    admin = new_token(driver, new_user(driver, is_admin=True), ("api", "sudo"))
    revoke = as_root(driver, "DELETE", f"/personal_access_tokens/{token.id}")
    block = as_root(driver, "POST", f"/users/{other.owner.id}/block")
    demote = as_root(driver, "PUT", f"/users/{admin.owner.id}", {"admin": False})
    disable = as_root(driver, "POST", f"/tokensrv/clients/{service.id}/disable")
    return [
        (Introspect(client, token), revoke, token.is_alive),
        (Self(other), block, other.owner.is_active),
        (Introspect(client, admin), demote, admin.owner.is_admin),
        (Introspect(service, admin), disable, service.is_enabled),
    ]


def taken_while(
    away: AbstractContextManager[None], driver: Driver, crowd: Crowd
) -> tuple[int, int]:
    """Take away what a node knows while it is away, and have it asked at once.

    Returns when it was asked and when it came back, in nanoseconds.
    """
    doomed = one_of_each(driver)
    questions = [question for question, _, _ in doomed]
    for turn in range(len(questions)):
        crowd.ask(questions[turn:] + questions[:turn])
    assert all(answer.is_yes for answer in driver.stage.history.answers)
    with ThreadPoolExecutor(1) as pool:
        with away:
            for _, request, power in doomed:
                driver.do(request, taken=[power])
            asked = time.monotonic_ns()
            answers = pool.submit(crowd.ask, questions)
            time.sleep(PAUSE_SECONDS)
            back = time.monotonic_ns()
        answers.result()
    return asked, back


def test_a_worker_that_stood_still_answers_nothing_old(nodes: Nodes, stage: Stage) -> None:
    standing = paused(nodes.servers[0].workers()[0])
    with closing(Crowd(nodes, stage, 0)) as crowd:
        _, back = taken_while(standing, Driver(stage, 1), crowd)
    history = stage.history
    assert [str(one) for one in history.wrong()] == []
    # Some were asked while it stood still and answered when it went on.
    assert any(one.start < back < one.end for one in history.answers)


def test_a_node_that_is_cut_off_does_not_guess_and_comes_back(nodes: Nodes, stage: Stage) -> None:
    driver = Driver(stage, 1)
    with closing(Crowd(nodes, stage, DISTANT)) as crowd:
        asked, back = taken_while(cut(nodes.proxy), driver, crowd)
    history = stage.history
    assert [one for one in history.answers if asked < one.start and one.end < back] == []
    wait_for(nodes.servers[DISTANT].is_ready, "the node to be back")
    still_active = new_token(driver, new_user(driver), ("read_user",))
    assert nodes.servers[DISTANT].introspect(still_active.secret)["active"]
    assert [str(one) for one in history.wrong()] == []


def test_a_revocation_in_peace_waits_for_no_lease(nodes: Nodes, stage: Stage) -> None:
    driver = Driver(stage, 0)
    owner = new_user(driver)
    tokens = [new_token(driver, owner, ("read_user",)) for _ in range(CALM_REVOKES)]
    for token in tokens:
        for node in range(stage.node_count):
            stage.ask(node, Introspect(stage.client, token))
        revoke = as_root(driver, "DELETE", f"/personal_access_tokens/{token.id}")
        driver.do(revoke, taken=[token.is_alive])
        for node in range(stage.node_count):
            stage.ask(node, Introspect(stage.client, token))
    report("one revocation after the other", stage.history)
    assert_right(stage.history)
    taken = stage.history.taken()
    assert taken[len(taken) // 2] < LEASE_SECONDS / 2


def report(what: str, history: History) -> None:
    """Show with -s what the load was; how long a revocation takes is asserted nowhere else."""
    taken = history.taken() or [0.0]
    p50, p99 = (taken[int(len(taken) * share)] * 1000 for share in (0.5, 0.99))
    refusals = sum(not answer.is_yes for answer in history.answers)
    unknown = sum(change.end is None for change in history.changes)
    print(  # noqa: T201  # for whoever asks for it
        f"\n{what}: {len(history.changes)} changes ({unknown} of unknown outcome),"
        f" {len(history.answers)} answers ({refusals} refused); {len(taken)} times to take"
        f" power away: p50 {p50:.1f} ms, p99 {p99:.1f} ms, at most {taken[-1] * 1000:.0f} ms"
    )
