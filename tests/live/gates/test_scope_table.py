"""The table of scopes, ``gate_scopes``, behind each proxy: no spelling of a path gets past it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.gates.houses import House, Houses
from tests.live.gates.proxies import KINDS, Kind, Proxy, bearer, settings_of
from tests.live.pages import followed

# What is stored where makes no difference to a proxy.
pytestmark = pytest.mark.sqlite


# What a proxy takes for no path at all it refuses before anybody is asked.
_REFUSED_BY_PROXY = {
    ("apache", "/admin%2f"): 404,
    ("apache", "/hello/..%2fadmin/"): 404,
    ("apache", "/hello%3f/../../admin/"): 400,
    ("envoy", "/hello/%00/../../admin/"): 400,
    ("nginx", "/hello/%00/../../admin/"): 400,
    ("nginx", "/hello%3f/../../admin/"): 400,
}


@pytest.fixture(scope="module")
def house(houses: Houses) -> House:
    """A tokensrv with the table of the page that has one."""
    return houses(settings_of("docs/gates/envoy.md"))


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def guarded(
    house: House, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Proxy]:
    kind: Kind = request.param
    folder: Path = tmp_path_factory.mktemp("guarded") / kind.name
    with followed(kind.page, house.server, house.variables, folder, to_the_end=False) as ports:
        yield Proxy(kind, ports)


@pytest.mark.parametrize(
    "path",
    [
        "/admin",
        "/admin/",
        "/admin?/hello",
        "//admin/",
        "/%61dmin/",
        "/admin%2f",
        "/hello/../admin/",
        "/hello/%2e%2e/admin/",
        "/hello/..%2fadmin/",
        "/hello/..;/admin/",
        "/admin;x/",
        "/;x/admin/",
        "/admin%3bx/",
        "/hello/..%5cadmin/",
        "/hello/%00/../../admin/",
        "/hello%3f/../../admin/",
    ],
)
def test_no_spelling_of_a_path_opens_more(guarded: Proxy, house: House, path: str) -> None:
    """The token is good for everything but what is below /admin."""
    answer = guarded.ask(bearer(house.tokens.secret("read_api", "read_user")), path=path)
    assert answer.status == _REFUSED_BY_PROXY.get((guarded.kind.name, path), 403)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/reports", 200),
        ("GET", "/reports/", 200),
        ("GET", "/reports/today?scope=api", 200),
        ("GET", "/reportsfrom", 403),
        ("GET", "/hello/../reports/", 200),
        ("GET", "/reports/../hello", 403),
        ("GET", "/hello?/reports/", 403),
        ("GET", "/hello?scope=read_user", 403),
        ("POST", "/reports/", 403),
    ],
)
def test_the_settings_say_what_opens_what(
    guarded: Proxy, house: House, method: str, path: str, status: int
) -> None:
    """The token is good for the reports alone, where the proxy itself asks for no scope."""
    answer = guarded.ask(bearer(house.tokens.secret("read_user")), path=path, method=method)
    assert answer.status == (status if guarded.kind.has_table else 403)
