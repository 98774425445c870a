"""The benchmark measures: a small instance, really served, really asked, its answers read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import footprint, paced
from benchmarks.cases import Case, Database, Deployment, Tokens
from benchmarks.instances import Instance, Server, prepare, serving
from benchmarks.load import Load
from benchmarks.peers import Endpoint
from benchmarks.questions import forward_auth, introspection
from benchmarks.steps import ANEW, FINDING, FOUND_BY, WHOLE, steps
from tests.databases import Databases
from tokensrv.app import create_app

CORE = min(os.sched_getaffinity(0))
SMALL = Deployment(Database.SQLITE, 100)


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, databases: Databases
) -> Iterator[tuple[Instance, Server]]:
    folder = tmp_path_factory.mktemp("benchmarks") / "instance"
    instance = prepare(folder, databases.own(folder), 100)
    with serving(instance, workers=1, cores=[CORE]) as server:
        yield instance, server


@pytest.fixture
def hot(served: tuple[Instance, Server]) -> Endpoint:
    return introspection(Case(SMALL, Tokens.HUNDRED), *served)


@pytest.mark.parametrize("tokens", Tokens, ids=lambda tokens: tokens.name.lower())
def test_every_case_is_answered_as_it_should(
    tokens: Tokens, served: tuple[Instance, Server], tmp_path: Path
) -> None:
    endpoint = introspection(Case(SMALL, tokens), *served)
    found = paced.ask(replace(endpoint, bodies=endpoint.bodies[:50]), rate=100, seconds=0.3)
    assert found.answers > 0
    assert found.failures == 0
    assert 0 < found.p50_ms <= found.p99_ms <= found.longest_ms


def test_a_gate_lets_in_under_load(served: tuple[Instance, Server], tmp_path: Path) -> None:
    endpoint = forward_auth(*served)
    burst = Load(endpoint, tmp_path, core=CORE).measure(1).burst
    assert (burst.answers > 0, burst.failures) == (True, 0)
    unknown = replace(endpoint, headers={**endpoint.headers, "Authorization": "Bearer x"})
    burst = Load(unknown, tmp_path, core=CORE).measure(1).burst
    assert burst.failures == burst.answers > 0


def test_an_answer_costs_the_server_time(hot: Endpoint, tmp_path: Path) -> None:
    load = Load(hot, tmp_path, core=CORE)
    load.warm(1, until_all=True)
    cost = load.measure(1)
    assert cost.burst.failures == 0
    assert cost.burst.rate > 0
    assert cost.cpu_us > 0
    assert cost.storage_cpu_us is None


def test_a_server_tells_its_start_and_its_memory(served: tuple[Instance, Server]) -> None:
    server = served[1]
    assert server.startup_s > 0
    assert server.memory_mb() > 1


def test_wrong_answers_end_the_warming(hot: Endpoint, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="answers wrongly under load"):
        Load(replace(hot, expected='"active":false'), tmp_path, core=CORE).warm(1)


def test_refused_answers_are_failures(hot: Endpoint, tmp_path: Path) -> None:
    refused = replace(hot, headers={**hot.headers, "Authorization": "Basic AAAA"})
    burst = Load(refused, tmp_path, core=CORE).measure(1).burst
    assert burst.failures == burst.answers > 0


def test_the_paced_client_reads_every_answer(hot: Endpoint) -> None:
    found = paced.ask(replace(hot, expected='"active":false'), rate=100, seconds=0.3)
    assert found.failures == found.answers > 0


def test_the_steps_of_the_profile_can_be_done_again_and_again(tmp_path: Path) -> None:
    instance = prepare(tmp_path, "", 100)
    app = create_app(instance.settings)
    found = {step.name: step for step in steps(app, instance)}
    assert {WHOLE, FINDING, *FOUND_BY, ANEW} < found.keys()
    for _ in range(2):
        for step in found.values():
            answers = [step.do(*arguments) for arguments in step.asked]
            assert all(answers) == (step.name != "the answer of this second, its use counted")
    app.extensions["tokensrv_usage"].close()
    app.extensions["tokensrv"].close()


def test_an_entry_is_measured_with_as_many_as_the_cache_holds(tmp_path: Path) -> None:
    instance = prepare(tmp_path, "", 100)
    app = create_app(instance.settings)
    with pytest.raises(RuntimeError, match="of 100,000 tokens are active"):
        footprint.entry_bytes(app.extensions["tokensrv_lookup"], instance)
    app.extensions["tokensrv"].close()
