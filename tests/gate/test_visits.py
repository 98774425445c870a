from __future__ import annotations

import pytest

from tokensrv.config import Settings
from tokensrv.domain.caller import InvalidSudo, SudoAsk
from tokensrv.domain.gates import Gate
from tokensrv.domain.usernames import target
from tokensrv.gate import visits
from tokensrv.gate.original import Original
from tokensrv.services.gates.visit import Visit

ASKED = Original("GET", "/a")
PROXIED = {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "192.0.2.7"}


def visit(environ: dict[str, str], original: Original = ASKED, *trusted: str) -> Visit:
    settings = Settings(trusted_proxies=trusted)
    return visits.of(environ, settings, Gate.AUTH, original, request_id="id-1", scopes=("api",))


def test_it_is_what_the_original_request_wants() -> None:
    found = visit({"REMOTE_ADDR": "192.0.2.9"})
    assert (found.gate, found.method, found.path) == (Gate.AUTH, "GET", "/a")
    assert (found.origin.ip, found.origin.request_id) == ("192.0.2.9", "id-1")
    assert (found.ask, found.scopes) == (None, ("api",))


def test_an_address_is_a_clients_as_far_as_proxies_are_trusted() -> None:
    assert visit(PROXIED).origin.ip == "127.0.0.1"
    assert visit(PROXIED, Original(), "127.0.0.0/8").origin.ip == "192.0.2.7"


@pytest.mark.parametrize(
    ("headers", "ask"),
    [
        pytest.param({"HTTP_SUDO": "alice"}, SudoAsk(target("alice")), id="somebody"),
        pytest.param({"HTTP_SUDO": ""}, InvalidSudo(), id="blank"),
        pytest.param({"HTTP_SUDO": "alice,bob"}, InvalidSudo(), id="two"),
        pytest.param(
            {"HTTP_SUDO": "7", "HTTP_SUDO_REASON": "why"}, SudoAsk(target("7"), "why"), id="why"
        ),
        pytest.param({"HTTP_SUDO_REASON": "why"}, None, id="a reason for nothing"),
        pytest.param({"QUERY_STRING": "sudo=alice"}, None, id="of somebody else's URL"),
    ],
)
def test_a_sudo_stands_in_headers_alone(headers: dict[str, str], ask: object) -> None:
    assert visit(headers).ask == ask


def test_parameters_of_the_url_can_be_read_whatever_they_hold() -> None:
    environ = {"QUERY_STRING": "a=1&a=b+%C3%BC&\xff=3&a=\xff&a&b=4"}
    assert visits.given(environ, "a") == ["1", "b ü", "\ufffd", ""]
    assert visits.given(environ, "c") == visits.given({}, "a") == []


def test_what_no_database_can_store_is_not_what_is_recorded() -> None:
    found = visit({}, Original("G\0", "/\udcff\0ü"))
    assert (found.method, found.path) == ("G?", "/??ü")
