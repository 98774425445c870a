"""The proxies of ``docs/gates``, each in front of a tokensrv with the settings of its own page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from tests.databases import Databases
from tests.live.gates.houses import House, Houses, opened_house
from tests.live.gates.proxies import KINDS, Kind, Proxy, settings_of
from tests.live.gates.tokens import Tokens
from tests.live.pages import followed
from tests.live.servers import Server


@pytest.fixture(scope="package")
def houses(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Houses]:
    """One tokensrv for all pages that ask for the same settings."""
    with ExitStack() as stack:

        @cache
        def house(settings: str) -> House:
            folder = tmp_path_factory.mktemp("tokensrv")
            return stack.enter_context(opened_house(settings, folder, databases))

        yield house


@pytest.fixture(scope="package", params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each proxy that has a page."""
    found: Kind = request.param
    return found


@pytest.fixture(scope="package")
def page_house(kind: Kind, houses: Houses) -> House:
    """The tokensrv that its page describes."""
    return houses(settings_of(kind.page))


@pytest.fixture(scope="package")
def proxy(
    kind: Kind, page_house: House, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    """The proxy, once everything is done that its page says."""
    folder = tmp_path_factory.mktemp("proxy") / kind.name
    server, variables = page_house.server, page_house.variables
    with followed(kind.page, server, variables, folder, to_the_end=True) as ports:
        yield Proxy(kind, ports)


@pytest.fixture(scope="package")
def server(page_house: House) -> Server:
    return page_house.server


@pytest.fixture(scope="package")
def variables(page_house: House) -> dict[str, str]:
    return page_house.variables


@pytest.fixture(scope="package")
def tokens(page_house: House) -> Tokens:
    """Make tokens for alice."""
    return page_house.tokens


@pytest.fixture(scope="package")
def secret(tokens: Tokens) -> str:
    """Return a good token of alice."""
    return tokens.secret("read_api", "read_user")


@pytest.fixture(scope="package")
def sudo_only(tokens: Tokens) -> str:
    """Return a token of the admin that is for nothing but to act as others."""
    return tokens.secret("sudo", user_id=1)
