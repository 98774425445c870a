from __future__ import annotations

import pytest

from tokensrv.config import Settings
from tokensrv.domain.gates import Obstacle
from tokensrv.gate import forwarded
from tokensrv.gate.forwarded import Asked
from tokensrv.gate.original import Original

TABLE = Settings(gate_scopes=("GET,HEAD /files read_api", "* /files api", "GET / read_user"))


def asked(
    path: str = "",
    query: str = "",
    *,
    method: str = "GET",
    settings: Settings = TABLE,
    **headers: str,
) -> Asked:
    """Return what is asked at the gate, or below it, with these bytes in its path."""
    environ = {
        "PATH_INFO": f"{forwarded.PATH}{path}",
        "QUERY_STRING": query,
        "REQUEST_METHOD": method,
        **{f"HTTP_X_{name.upper()}": value for name, value in headers.items()},
    }
    return forwarded.read(environ, settings)


SCOPES = [
    pytest.param("", (), id="none"),
    pytest.param("scope=a", ("a",), id="one"),
    pytest.param("scope=a%20b", ("a", "b"), id="two in one"),
    pytest.param("scope=a+b&other=c&scope=d", ("a", "b", "d"), id="twice"),
    pytest.param("x=y&" * 20_000 + "scope=a", ("a",), id="in a huge query"),
]


@pytest.mark.parametrize(("query", "scopes"), SCOPES)
def test_all_scopes_of_the_query_are_required(query: str, scopes: tuple[str, ...]) -> None:
    assert asked(query=query, settings=Settings()) == Asked(Original(), scopes)


UNCLEAR = [
    pytest.param("scope", id="no value"),
    pytest.param("scope=", id="blank"),
    pytest.param("scope=a&scope=", id="one of them blank"),
    pytest.param("scope=%20%09", id="blanks"),
    pytest.param('scope=a"', id="a quote"),
    pytest.param("scope=a\\b", id="a backslash"),
    pytest.param("scope=%FF", id="no UTF-8"),
    pytest.param("scope=a%00b", id="NUL"),
    pytest.param("scope=%C3%BC", id="other letters"),
]


@pytest.mark.parametrize("query", UNCLEAR)
def test_a_scope_that_is_none_can_be_held_by_nobody(query: str) -> None:
    assert asked(query=query, settings=Settings()).obstacle is Obstacle.REQUEST


@pytest.mark.parametrize(
    ("query", "is_basic"),
    [
        ("", False),
        ("challenge=basic", True),
        ("challenge=bearer", False),
        ("challenge=Basic", False),
        ("challenge=bearer&challenge=basic", False),
        ("challenge=basic&scope=", True),
    ],
)
def test_the_query_says_how_to_ask_for_credentials(query: str, is_basic: bool) -> None:
    assert asked(query=query, settings=Settings()).is_basic == is_basic


NGINX = {"original_method": "GET", "original_uri": "/files/7"}


def test_the_query_adds_to_the_table() -> None:
    assert asked(query="scope=deploy", **NGINX).scopes == ("deploy", "read_api")
    assert asked(query="scope=read_api", **NGINX).scopes == ("read_api",)
    closed = asked(query="scope=deploy", **NGINX | {"original_method": "PUT", "original_uri": "/"})
    assert closed.obstacle is Obstacle.RULE


BELOW = [
    pytest.param("GET", "/files/7", "/files/7", ("read_api",), id="a line"),
    pytest.param("PUT", "/files/7", "/files/7", ("api",), id="another line"),
    pytest.param("PROPFIND", "/files", "/files", ("api",), id="any method"),
    pytest.param("GET", "/", "/", ("read_user",), id="the root"),
    pytest.param("GET", "/fi%6Ces", "/fi%6Ces", ("read_user",), id="encoded twice"),
    pytest.param("GET", "/\xc3\xbc\n", "/ü\n", ("read_user",), id="other letters"),
]


@pytest.mark.parametrize(("method", "path", "original", "scopes"), BELOW)
def test_below_the_path_a_request_is_the_original_one_and_the_query_its_own(
    method: str, path: str, original: str, scopes: tuple[str, ...]
) -> None:
    found = asked(path, "scope=deploy&challenge=basic", method=method)
    assert found == Asked(Original(method, original), scopes)


@pytest.mark.parametrize(
    "path", ["//files", "/files/../x", "/a?/../files", "/a#", "/\xff", "/a\0", "/a\\b"]
)
def test_a_path_below_that_is_unclear_is_closed(path: str) -> None:
    assert asked(path).obstacle is Obstacle.REQUEST


@pytest.mark.parametrize(
    ("headers", "obstacle"),
    [
        pytest.param({"original_uri": "/fi%6Ces?x=y"}, None, id="the same path"),
        pytest.param({"forwarded_method": "GET"}, None, id="the same method"),
        pytest.param({"original_uri": "/"}, Obstacle.REQUEST, id="another path"),
        pytest.param({"forwarded_uri": "/"}, Obstacle.REQUEST, id="the other style"),
        pytest.param({"original_method": "HEAD"}, Obstacle.REQUEST, id="another method"),
        pytest.param(
            {"original_uri": "/files", "forwarded_uri": "/"}, Obstacle.REQUEST, id="both styles"
        ),
    ],
)
def test_below_the_path_headers_tell_the_same_or_nothing_is_told(
    headers: dict[str, str], obstacle: Obstacle | None
) -> None:
    assert asked("/files", **headers).obstacle is obstacle


@pytest.mark.parametrize(
    ("path", "is_here"),
    [
        ("/gate/auth", True),
        ("/gate/auth/", True),
        ("/gate/auth//x", True),
        ("/gate/authority", False),
        ("/gate/auth.", False),
        ("//gate/auth", False),
        ("/gate/git", False),
        ("", False),
    ],
)
def test_whole_segments_make_it_this_gate(path: str, is_here: bool) -> None:
    assert forwarded.is_here(path) == is_here
