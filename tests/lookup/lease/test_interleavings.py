"""The promise under whatever interleaving a search finds, and that search put to the test."""

from __future__ import annotations

import logging
from typing import Final

import pytest

from tests.conftest import PROFILE
from tests.lookup.lease.code import load
from tests.lookup.lease.mutants import MUTANTS
from tests.lookup.lease.search import SCENARIOS, search

# It is about PostgreSQL alone, though no server is needed.
pytestmark = pytest.mark.postgres

_RUNS: Final = {"default": 200, "ci": 500, "full": 20_000}[PROFILE]
# Many times what the slowest of them needs.
_RUNS_FOR_A_FAULT: Final = 40_000


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Connections are lost thousands of times, and a line for each would be all that one sees."""
    caplog.set_level(logging.CRITICAL, "tokensrv.lease")


@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_no_interleaving_breaks_the_promise_in(scenario: str) -> None:
    found = search(load(), [SCENARIOS[scenario]], runs=_RUNS)
    assert found is None, str(found)


@pytest.mark.parametrize("name", list(MUTANTS))
def test_the_search_finds_what_is_wrong_when(name: str) -> None:
    mutant = MUTANTS[name]
    scenarios = [SCENARIOS[mutant.scenario]] if mutant.scenario else list(SCENARIOS.values())
    found = search(load(mutant), scenarios, runs=_RUNS_FOR_A_FAULT)
    assert found is not None
    # An error of the mutant's own would prove nothing.
    assert "failed" not in found.failure
