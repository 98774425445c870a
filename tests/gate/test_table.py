from __future__ import annotations

import pytest

from tokensrv.config import load
from tokensrv.domain.gates import Obstacle
from tokensrv.gate.original import of_uri
from tokensrv.gate.table import required

LINES = "GET,HEAD /files/ read_api; * /files api\nPOST /hooks deploy read_user;; GET / read_user"
TABLE = load({"TOKENSRV_GATE_SCOPES": LINES}).gate_scopes

FITS = [
    pytest.param("GET", "/files", "read_api", id="the prefix itself"),
    pytest.param("GET", "/files/", "read_api", id="with a slash"),
    pytest.param("HEAD", "/files/7?x=y", "read_api", id="below it"),
    pytest.param("GET", "/fi%6Ces/7", "read_api", id="encoded"),
    pytest.param("GET", "/hooks%2F7", "read_user", id="an encoded slash"),
    pytest.param("POST", "/files/7", "api", id="the next line"),
    pytest.param("PROPFIND", "/files/7", "api", id="every method"),
    pytest.param("POST", "/hooks/7", "deploy read_user", id="several scopes"),
    pytest.param("GET", "/filesystem", "read_user", id="whole segments"),
    pytest.param("GET", "/Files", "read_user", id="other letters"),
    pytest.param("GET", "/", "read_user", id="the root"),
    pytest.param("GET", "/a\n", "read_user", id="a line break"),
    pytest.param("GET", "/a;b=c/d", "read_user", id="parameters"),
    pytest.param("GET", "/files/a;b=c", "read_api", id="parameters below the prefix"),
]


@pytest.mark.parametrize(("method", "uri", "scopes"), FITS)
def test_the_first_line_that_fits_decides(method: str, uri: str, scopes: str) -> None:
    assert required(TABLE, of_uri(method, uri)) == tuple(scopes.split())


@pytest.mark.parametrize("uri", ["/", "/hooksale", "/a%2Fhooks"])
def test_what_no_line_fits_is_closed(uri: str) -> None:
    assert required(TABLE, of_uri("POST", uri)) is Obstacle.RULE


@pytest.mark.parametrize(
    ("method", "uri"),
    [
        pytest.param("", "/files", id="no method"),
        pytest.param("GET", "", id="no path"),
        pytest.param("GET", "/other/../files", id="a path that means another"),
        pytest.param("GET", "/other%3F/../files", id="a path that was cut"),
        pytest.param("GET", "//files", id="an empty segment"),
        pytest.param("GET", "/;a/files", id="a segment of parameters alone"),
        pytest.param("GET", "/\xff", id="no UTF-8"),
        pytest.param("GET", "/files;a=b/c", id="parameters that hide a prefix"),
        pytest.param("GET", "/files%3B/c", id="encoded parameters that hide a prefix"),
    ],
)
def test_what_lines_cannot_be_held_against_is_closed(method: str, uri: str) -> None:
    assert required((*TABLE, "* / api"), of_uri(method, uri)) is Obstacle.REQUEST


def test_without_any_line_nothing_is_required_of_anything() -> None:
    assert required((), of_uri("", "/a/../b")) == ()
