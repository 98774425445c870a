"""A real `tokensrv serve` in processes of its own, on the database of this run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import Databases
from tests.live.servers import Instance, Server, initialise, serving


@pytest.fixture
def live_instance(tmp_path: Path, databases: Databases) -> Instance:
    """An initialised instance that nobody serves yet, for this test alone."""
    return initialise(tmp_path / "instance", databases)


@pytest.fixture
def own_server(live_instance: Instance, tmp_path: Path) -> Iterator[Server]:
    """A server for a test that breaks it."""
    with serving(live_instance, tmp_path / "serve.log") as server:
        yield server


@pytest.fixture(scope="module")
def live_server(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Server]:
    """A server that the tests of a module share."""
    folder = tmp_path_factory.mktemp("live")
    with serving(initialise(folder / "instance", databases), folder / "serve.log") as server:
        yield server
