"""Allow lists: a token with one is active for whoever says that it is used from inside."""

from __future__ import annotations

from typing import Any

import pytest

from tests.oauth.conftest import World
from tests.oauth.exchanges import ask, exchanged, of_token, refused
from tests.oauth.test_introspect import INACTIVE
from tokensrv.services.lifecycle import tokens
from tokensrv.services.lifecycle.token_values import TokenChanges
from tokensrv.services.records import NewToken
from tokensrv.services.trail.events import COMMAND_LINE

LIST = ("10.0.0.0/8", "2001:db8::/32")
INSIDE, OUTSIDE = "10.1.2.3", "192.0.2.9"
NOT_INSIDE = pytest.mark.parametrize(
    "asked",
    [
        pytest.param({}, id="not said"),
        pytest.param({"remote_ip": ""}, id="empty"),
        pytest.param({"remote_ip": "nonsense"}, id="unreadable"),
        pytest.param({"remote_ip": "10.1.2.3, 192.0.2.9"}, id="several"),
        pytest.param({"remote_ip": "2001:db8::1%eth0"}, id="with a zone"),
        pytest.param({"remote_ip": OUTSIDE}, id="outside"),
    ],
)


@pytest.fixture
def placed(world: World) -> NewToken:
    """A token of root's that may act as others, from certain networks."""
    return world.token(world.root, "api", "sudo", allowed_ips=LIST)


@pytest.mark.parametrize("ip", [INSIDE, "2001:DB8::1", "::ffff:10.1.2.3"])
@pytest.mark.parametrize("sudo", [{}, {"sudo": "alice"}], ids=["plain", "sudo"])
def test_from_inside_it_is_active(
    world: World, placed: NewToken, ip: str, sudo: dict[str, str]
) -> None:
    told = world.service.told(placed.secret, remote_ip=ip, **sudo)
    assert (told["active"], told["username"]) == (True, sudo.get("sudo", "root"))
    [alone] = world.service.ask_many([placed.secret], remote_ip=ip, **sudo).get_json()["results"]
    assert alone == told


@NOT_INSIDE
@pytest.mark.parametrize("sudo", [{}, {"sudo": "alice"}], ids=["plain", "sudo"])
def test_from_anywhere_else_it_is_like_one_that_nobody_knows(
    world: World, placed: NewToken, asked: dict[str, str], sudo: dict[str, str]
) -> None:
    assert world.service.introspect(placed.secret, **asked, **sudo).data == INACTIVE
    many = world.service.ask_many([placed.secret], **asked, **sudo)
    assert many.get_json() == {"results": [{"active": False}]}
    world.usage.flush()
    assert tokens.get(world.store, None, placed.record.id).last_used_at is None
    # It is no sudo that was refused: the credential itself is worth nothing there.
    assert world.events("sudo.used") == world.events("sudo.refused") == []


def test_the_address_that_counts_is_the_one_that_is_named_and_not_the_clients_own(
    world: World, placed: NewToken
) -> None:
    here = {"environ_overrides": {"REMOTE_ADDR": INSIDE}}
    assert (
        world.service.post("/oauth/introspect", {"token": placed.secret}, **here).data == INACTIVE
    )


def test_a_narrower_list_counts_with_the_next_question(world: World, placed: NewToken) -> None:
    asked: dict[str, Any] = {"remote_ip": INSIDE, "sudo": "alice"}
    assert world.service.told(placed.secret, **asked)["active"] is True
    changes = TokenChanges(allowed_ips=("10.9.0.0/16",))
    tokens.change(world.store, COMMAND_LINE, placed.record.id, changes)
    assert world.service.introspect(placed.secret, **asked).data == INACTIVE
    assert world.service.told(placed.secret, remote_ip="10.9.0.1")["active"] is True


class TestExchange:
    @NOT_INSIDE
    def test_gives_nothing_from_elsewhere(
        self, world: World, placed: NewToken, asked: dict[str, str]
    ) -> None:
        for more in ({}, {"requested_subject": "alice"}):
            answer = ask(world.service, **of_token(placed.secret), **more, **asked)
            assert refused(answer) == "invalid_request"
        assert world.events("token.exchanged") == []

    @pytest.mark.parametrize("more", [{}, {"requested_subject": "alice"}], ids=["own", "acting"])
    def test_gives_a_token_that_is_good_where_its_source_is(
        self, world: World, placed: NewToken, more: dict[str, str]
    ) -> None:
        parameters = of_token(placed.secret, remote_ip=INSIDE)
        secret = exchanged(world.service, **parameters, **more)
        [event] = world.events("token.exchanged")
        assert event.data["allowed_ips"] == list(LIST)
        assert world.service.told(secret, remote_ip="2001:db8::1")["active"] is True
        assert world.service.introspect(secret).data == INACTIVE
        assert world.service.introspect(secret, remote_ip=OUTSIDE).data == INACTIVE
        changes = TokenChanges(allowed_ips=("10.1.2.3",))
        tokens.change(world.store, COMMAND_LINE, placed.record.id, changes)
        assert world.service.introspect(secret, remote_ip="2001:db8::1").data == INACTIVE
        assert world.service.told(secret, remote_ip=INSIDE)["active"] is True


@pytest.mark.parametrize("path", ["/oauth/introspect", "/oauth/revoke"])
def test_a_token_that_asks_itself_is_used_from_where_the_request_comes(
    world: World, path: str
) -> None:
    asking = world.token(world.root, "api", "introspect", allowed_ips=LIST)
    headers = {"Authorization": f"Bearer {asking.secret}"}
    form = {"token": world.alice_token.secret, "remote_ip": INSIDE}
    status = {}
    for ip in (OUTSIDE, INSIDE):
        here = {"REMOTE_ADDR": ip}
        answer = world.http.post(path, data=form, headers=headers, environ_overrides=here)
        status[ip] = answer.status_code
    assert status == {OUTSIDE: 401, INSIDE: 200}
    assert len(world.events("token.revoked")) == (path == "/oauth/revoke")


def test_a_client_ends_a_token_from_anywhere(world: World, placed: NewToken) -> None:
    assert world.service.revoke(placed.secret).status_code == 200
    assert tokens.get(world.store, None, placed.record.id).is_revoked
