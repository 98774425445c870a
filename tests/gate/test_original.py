from __future__ import annotations

import pytest

from tokensrv.domain.secret import Kind, mint
from tokensrv.gate.original import Original, of_path, of_uri, read


def environ(**headers: str) -> dict[str, str]:
    return {f"HTTP_X_{name.upper()}": value for name, value in headers.items()}


TOLD = [
    pytest.param({}, Original(), id="nothing"),
    pytest.param(
        {"original_method": "get", "original_uri": "/a?b"}, Original("GET", "/a", "b"), id="nginx"
    ),
    pytest.param(
        {"forwarded_method": "PUT", "forwarded_uri": "/a"}, Original("PUT", "/a"), id="Traefik"
    ),
    pytest.param({"original_uri": "/a"}, Original("", "/a"), id="no method"),
    pytest.param({"original_method": "GET"}, Original("GET"), id="no URI"),
    pytest.param({"original_method": "GET", "original_uri": ""}, Original("GET"), id="blank"),
    pytest.param(
        {
            "original_method": "GET",
            "original_uri": "/a",
            "forwarded_method": " GET",
            "forwarded_uri": "/a ",
        },
        Original("GET", "/a"),
        id="both agree",
    ),
]


@pytest.mark.parametrize(("headers", "found"), TOLD)
def test_a_request_is_told_in_either_style(headers: dict[str, str], found: Original) -> None:
    assert read(environ(**headers)) == found


NGINX = {"original_method": "GET", "original_uri": "/a"}
DIFFER = [
    pytest.param(NGINX | {"forwarded_method": "PUT", "forwarded_uri": "/a"}, id="methods"),
    pytest.param(NGINX | {"forwarded_method": "GET", "forwarded_uri": "/b"}, id="URIs"),
    pytest.param(NGINX | {"forwarded_method": "GET", "forwarded_uri": "/a?b"}, id="queries"),
    pytest.param(NGINX | {"forwarded_uri": "/a"}, id="half of one beside a whole one"),
    pytest.param({"original_uri": "/a", "forwarded_method": "GET"}, id="two halves"),
    pytest.param(
        {"original_uri": "", "forwarded_method": "GET", "forwarded_uri": "/a"},
        id="one that a server could not read",
    ),
]


@pytest.mark.parametrize("headers", DIFFER)
def test_two_styles_that_differ_tell_nothing(headers: dict[str, str]) -> None:
    assert read(environ(**headers)) is None


PATHS = [
    pytest.param("/", "/", id="the root"),
    pytest.param("/a/b/", "/a/b/", id="a slash at its end"),
    pytest.param("/%61%2Fb", "/a/b", id="encoded"),
    pytest.param("/%2561", "/%61", id="encoded twice"),
    pytest.param("/%C3%BC", "/ü", id="UTF-8"),
    pytest.param("/\xc3\xbc", "/ü", id="UTF-8 as it was"),
    pytest.param("/a+b", "/a+b", id="a plus"),
    pytest.param("/a;b=c", "/a;b=c", id="parameters"),
    pytest.param("/..a/.b", "/..a/.b", id="dots of names"),
    pytest.param("/a%zz", "/a%zz", id="no encoding"),
]


@pytest.mark.parametrize(("uri", "path"), PATHS)
def test_a_path_that_names_one_thing_is_judged(uri: str, path: str) -> None:
    found = of_uri("GET", uri)
    assert (found.path, found.is_judgeable) == (path, True)


UNCLEAR = {
    "nothing": "",
    "no path": "a/b",
    "all of a server": "*",
    "a whole URL": "http://example.org/a",
    "an empty segment": "/a//b",
    "an empty segment at the start": "//a",
    "an empty segment at the end": "/a//",
    "a dot": "/a/./b",
    "two dots": "/a/../b",
    "dots at the end": "/a/..",
    "encoded dots": "/a/%2e%2E/b",
    "dots behind an encoded slash": "/a%2F..%2Fb",
    "dots with parameters": "/a/..;x=1/b",
    "a backslash": "/a\\..\\b",
    "an encoded backslash": "/a%5Cb",
    "NUL": "/a%00b",
    "no UTF-8": "/%FF",
    "half of a surrogate pair": "/%ED%A0%80",
    "an encoded question mark": "/a%3Fb",
    "an encoded hash": "/a%23b",
    "a hash": "/a#b",
    "letters that no server hands over": "/\u0103",
}


@pytest.mark.parametrize("uri", UNCLEAR.values(), ids=UNCLEAR)
def test_a_path_that_names_something_else_to_others_is_not(uri: str) -> None:
    assert not of_uri("GET", uri).is_judgeable


@pytest.mark.parametrize("uri", ["/a%3Fb/../c", "/a?b", "/a%23b", "/a#?b", "/a?b#c"])
def test_a_path_ends_where_anybody_might_think_so(uri: str) -> None:
    assert of_uri("GET", uri).path == "/a"


def test_a_secret_in_the_place_of_a_method_is_masked() -> None:
    secret = mint("ts", Kind.PERSONAL)
    assert of_uri(secret, "/a").method == of_path(secret, "/a").method == "TSP_***"


def test_a_path_that_a_server_has_decoded_is_decoded_no_more() -> None:
    assert of_path("get", "/a%2e/\xc3\xbc") == Original("GET", "/a%2e/ü")
    assert of_path("GET", "/a?b") == Original("GET", "/a", is_cut=True)
    assert not of_path("GET", "/\xff").is_judgeable
