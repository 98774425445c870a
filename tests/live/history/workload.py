"""The load: threads that ask every node, threads that give and take, and the record of it all.

It owns who calls whom and how a call is written down. What is done to users, tokens and clients
is ``lives``, what is asked about them ``questions``.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from itertools import count
from typing import Final

from tests.live.history.calls import NOT_SENT, Reply, Request, Wire
from tests.live.history.checker import Answer, Change, Wrong, wrong
from tests.live.history.nodes import Nodes
from tests.live.history.powers import Client
from tests.live.history.questions import Question

# Threads at each node: some that ask, some that give and take.
_ASKERS: Final = 3
_DRIVERS: Final = 2
# Recent enough to be asked at every node many times before and after a change.
_TOPICS: Final = 40
_TRIES: Final = 4
# What opens another connection every now and then, and with it perhaps another worker.
_HANG_UP: Final = 0.02
_ANSWERED_SECONDS: Final = 0.005
_UNANSWERED_SECONDS: Final = 0.02


class Lost(Exception):
    """A call did not succeed, or nobody knows, so that there is no use in going on from it."""


class History:
    """What was called and what came of it; appending to a list is safe in any thread."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.answers: list[Answer] = []
        # Replies that belong to no question and no change.
        self.surprises: list[str] = []

    def wrong(self) -> list[Wrong]:
        """Return the answers that nothing explains."""
        return wrong(self.changes, self.answers)

    def taken(self) -> list[float]:
        """Return how long each call took that took power away and succeeded, in seconds."""
        return sorted(
            (change.end - change.start) / 1e9
            for change in self.changes
            if change.end is not None and not change.is_held
        )

    def answered(self, question: Question, node: int, reply: Reply) -> bool:
        """Keep what a reply says; returns whether it said anything."""
        readings = list(question.read(reply))
        for needs, is_yes in readings:
            asked = type(question).__name__
            self.answers.append(Answer(asked, node, reply.start, reply.end, needs, is_yes))
        if not readings and not reply.is_unknown and reply.status != NOT_SENT:
            self.surprises.append(f"{question}: {reply}")
        return bool(readings)

    def changed(self, reply: Reply, taken: Sequence[str], given: Sequence[str]) -> None:
        """Keep that a call took powers away or gave them, or may have."""
        end = reply.end if reply.is_success else None
        for powers, is_held in ((taken, False), (given, True)):
            self.changes += [Change(power, is_held, reply.start, end) for power in powers]


class Stage:
    """What all threads of a load share; each of them calls by connections of its own."""

    def __init__(self, nodes: Nodes) -> None:
        self.history = History()
        self.is_over = threading.Event()
        self.root_secret = nodes.root.admin_token
        self.client = Client(nodes.root.client_id, nodes.root.client_secret)
        self.node_count = len(nodes.servers)
        self.chance = random.Random()  # noqa: S311  # no secret, only turns and moments
        self.numbers = count(time.monotonic_ns())
        # To ask now and then, and to ask next, at each node.
        self.topics: deque[Question] = deque(maxlen=_TOPICS)
        self.urgent: list[deque[Question]] = [deque() for _ in nodes.servers]
        self.doubles = ThreadPoolExecutor(self.node_count * 2)
        self._servers = nodes.servers
        self._local = threading.local()
        self._wires: list[Wire] = []

    def wire(self) -> Wire:
        """Return the connections of this thread."""
        if not hasattr(self._local, "wire"):
            self._local.wire = Wire(self._servers)
            self._wires.append(self._local.wire)
        wire: Wire = self._local.wire
        return wire

    def ask(self, node: int, question: Question) -> bool:
        """Ask a node and keep its answer; returns whether there was one."""
        return self.history.answered(question, node, self.wire().call(node, question.request))

    def next_question(self, node: int) -> Question | None:
        """Return what a node is to be asked next, None when there is nothing to ask about."""
        try:
            return self.urgent[node].popleft()
        except IndexError:
            return self.chance.choice(self.topics) if self.topics else None

    def ask_everywhere(self, questions: Sequence[Question]) -> None:
        """Have these asked at every node before anything else is."""
        for urgent in self.urgent:
            urgent.extend(questions)

    def close(self) -> None:
        """Wait for what is under way and hang up."""
        self.doubles.shutdown()
        for wire in self._wires:
            wire.close()


class Driver:
    """One thread that gives and takes, at a node of its own unless that one fails."""

    def __init__(self, stage: Stage, home: int) -> None:
        self.stage = stage
        self._nodes = [(home + step) % stage.node_count for step in range(stage.node_count)]
        # What a change is asked about at once, everywhere.
        self._shown: tuple[Question, ...] = ()

    def show(self, *questions: Question) -> None:
        """Have these asked everywhere for a while, so that every worker knows the answers."""
        self._shown = questions
        self.stage.topics.extend(questions)
        self.stage.ask_everywhere(questions)
        self.rest()

    def rest(self) -> None:
        """Leave things as they are for a moment."""
        time.sleep(self.stage.chance.uniform(0.01, 0.1))

    def do(
        self,
        request: Request,
        *,
        taken: Sequence[str] = (),
        given: Sequence[str] = (),
        tolerated: Sequence[int] = (),
    ) -> Reply:
        """Call until it succeeds, at one node after the other; raises Lost.

        ``tolerated`` are refusals of something that somebody else has done already.
        """
        unknown = False
        for attempt in range(_TRIES):
            if self.stage.is_over.is_set():
                break
            node = self._nodes[attempt % len(self._nodes)]
            reply = self.stage.wire().call(node, request)
            if reply.is_success or reply.is_unknown:
                self.stage.history.changed(reply, taken, given)
            if reply.is_success:
                self.stage.ask_everywhere(self._shown)
                return reply
            unknown |= reply.is_unknown
            if not reply.is_unknown and reply.status != NOT_SENT:
                if not unknown and reply.status not in tolerated:
                    self.stage.history.surprises.append(f"{request.method} {request.path}: {reply}")
                raise Lost
        raise Lost

    def do_twice(
        self, request: Request, *, taken: Sequence[str], tolerated: Sequence[int] = ()
    ) -> None:
        """Call at two nodes at once: neither may answer before the power is gone everywhere.

        Raises Lost when neither of them succeeds.
        """
        other = Driver(self.stage, self._nodes[1])
        other._shown = self._shown
        second = self.stage.doubles.submit(other.do, request, taken=taken, tolerated=tolerated)
        try:
            self.do(request, taken=taken, tolerated=tolerated)
        except Lost:
            second.result()
        wait([second])
        self.rest()


Life = Callable[[Driver], None]


@contextmanager
def load(nodes: Nodes, lives: Sequence[Life]) -> Iterator[Stage]:
    """Put all nodes under load: at each of them threads that ask, and threads that live."""
    threads_in_all = len(nodes.servers) * (_ASKERS + _DRIVERS)
    with closing(Stage(nodes)) as stage, ThreadPoolExecutor(threads_in_all) as pool:
        threads = []
        for node in range(stage.node_count):
            threads += [pool.submit(_keep_asking, stage, node) for _ in range(_ASKERS)]
            threads += [pool.submit(_keep_living, stage, node, lives) for _ in range(_DRIVERS)]
        try:
            yield stage
        finally:
            stage.is_over.set()
    for thread in threads:
        thread.result()


def _keep_asking(stage: Stage, node: int) -> None:
    while not stage.is_over.is_set():
        question = stage.next_question(node)
        if question is None or not stage.ask(node, question):
            time.sleep(_UNANSWERED_SECONDS)
        elif not stage.urgent[node]:
            # Whoever gives and takes needs the machine as well.
            time.sleep(_ANSWERED_SECONDS)
        if stage.chance.random() < _HANG_UP:
            stage.wire().hang_up(node)


def _keep_living(stage: Stage, node: int, lives: Sequence[Life]) -> None:
    while not stage.is_over.is_set():
        for life in stage.chance.sample(lives, len(lives)):
            with suppress(Lost):
                life(Driver(stage, node))
