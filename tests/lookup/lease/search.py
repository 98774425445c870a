"""The search for a run that breaks the promise, and the shortest one that still does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from tests.lookup.lease.code import Code
from tests.lookup.lease.database import CLIENT, EXCHANGED, OWNER, SOURCE
from tests.lookup.lease.policies import AtRandom, Policy, Replay
from tests.lookup.lease.world import Scenario, World

_STEPS: Final = 150

SCENARIOS: Final = {
    "two changes": Scenario(),
    "the same change twice": Scenario(changes=(1, 1)),
    "lost connections": Scenario(changes=(1, OWNER), cuts=2, late=2),
    "a cold start": Scenario(is_warm=False),
    "a crash": Scenario(cuts=1, crashes=1),
    "a shutdown": Scenario(shuts_down=True),
    "a fork": Scenario(forks=1),
    "a failover": Scenario(failovers=1),
    "a failover and one change": Scenario(changes=(2,), failovers=1),
    "a failover to a replica that is not far behind": Scenario(failovers=1, replications=1),
    "nothing special": Scenario(ticks=0),
    "a client's change": Scenario(changes=(CLIENT, 2)),
    "an exchange": Scenario(tokens=EXCHANGED, changes=(SOURCE, EXCHANGED[1])),
}


class Counterexample(NamedTuple):
    """A run that breaks the promise, after how many that do not."""

    runs: int
    failure: str
    steps: list[str]

    def __str__(self) -> str:
        return "\n".join([f"after {self.runs} runs: {self.failure}", *self.steps])


def search(code: Code, scenarios: Sequence[Scenario], *, runs: int) -> Counterexample | None:
    """Return what goes wrong in the first run in which something does; None: in none of them."""
    for number in range(runs):
        scenario = scenarios[number % len(scenarios)]
        world = _run(code, scenario, AtRandom(number, _STEPS))
        if world.scheduler.failure is not None:
            shortest = _shortened(code, scenario, world)
            scheduler = shortest.scheduler
            return Counterexample(number, str(scheduler.failure), scheduler.trace)
    return None


def _shortened(code: Code, scenario: Scenario, failed: World) -> World:
    """Leave out choices, in ever smaller pieces, as long as the run fails without them."""
    size = len(failed.scheduler.choices)
    while size := size // 2:
        at = 0
        while at < len(failed.scheduler.choices):
            choices = failed.scheduler.choices
            world = _run(code, scenario, Replay(choices[:at] + choices[at + size :]))
            shorter = len(world.scheduler.choices) < len(choices)
            if world.scheduler.failure is not None and shorter:
                failed = world
            else:
                at += size
    return failed


def _run(code: Code, scenario: Scenario, policy: Policy) -> World:
    world = World(code, scenario, policy)
    world.run()
    return world
