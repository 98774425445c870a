"""What clients of a proxy claim: who they are, what they ask for, what is to be taken away."""

from __future__ import annotations

import pytest

from tests.live.gates.proxies import (
    ALICE,
    AS_ALICE,
    CLIENT,
    IDENTITY,
    ROOT,
    Proxy,
    bearer,
    twins,
    who,
)
from tests.live.gates.tokens import Tokens
from tests.live.servers import Server

# What is stored where makes no difference to a proxy.
pytestmark = pytest.mark.sqlite


@pytest.mark.parametrize("nominated", ["Sudo", "close, Sudo", "keep-alive, sudo"])
def test_a_sudo_that_is_named_in_connection_is_not_let_through_without_it(
    proxy: Proxy, sudo_only: str, nominated: str
) -> None:
    answer = proxy.ask(bearer(sudo_only), ("Connection", nominated), ("Sudo", "alice"))
    if proxy.kind.is_robbed:
        assert answer.status == 403
    else:
        assert who(answer) == AS_ALICE


def test_a_token_that_opens_more_than_sudo_needs_a_proxy_that_loses_nothing(
    proxy: Proxy, server: Server
) -> None:
    """Which is why the page of one that does says which tokens to hand out."""
    admin = bearer(server.instance.admin_token)
    answer = proxy.ask(admin, ("Connection", "close, Sudo"), ("Sudo", "alice"))
    assert who(answer) == (ROOT if proxy.kind.is_robbed else AS_ALICE)


def test_what_the_service_is_told_cannot_be_taken_away(proxy: Proxy, sudo_only: str) -> None:
    named = ", ".join(("close", *IDENTITY))
    answer = proxy.ask(bearer(sudo_only), ("Connection", named), ("Sudo", "alice"))
    assert who(answer) == AS_ALICE
    assert set(answer.identity) == set(IDENTITY)
    # Nor on the way from the service, which may be a proxy, too.
    told = [value for name, value in answer.arrived if name == "connection"]
    assert "x-auth" not in "".join(told).lower()


@pytest.mark.parametrize("name", IDENTITY)
def test_nobody_says_himself_who_he_is(proxy: Proxy, secret: str, name: str) -> None:
    spellings = (name, name.title(), name.upper())
    answer = proxy.ask(bearer(secret), *((spelling, "root") for spelling in spellings))
    assert who(answer) == ALICE
    assert "root" not in answer.identity.values()


@pytest.mark.parametrize("name", IDENTITY)
def test_nobody_says_it_by_a_name_that_means_the_same_to_others(
    proxy: Proxy, secret: str, name: str
) -> None:
    for twin in twins(name):
        answer = proxy.ask(bearer(secret), (twin, "root"))
        if proxy.kind.refuses_underscores and "_" in twin:
            assert answer.status == 400
        else:
            assert who(answer) == ALICE
            assert "root" not in answer.identity.values()


@pytest.mark.parametrize(
    "claimed",
    [
        ("X-Original-URI", "/reports/"),
        ("X-Original-Method", "HEAD"),
        ("X-Forwarded-Uri", "/reports/"),
        ("X-Forwarded-Method", "HEAD"),
        ("X_Original_URI", "/reports/"),
        ("X_Forwarded_Uri", "/reports/"),
        ("X-Original_Method", "HEAD"),
        ("X-Forwarded-For", "192.0.2.9"),
        ("X_Forwarded_For", "192.0.2.9"),
    ],
    ids=lambda pair: pair[0],
)
def test_what_is_judged_is_the_request_that_was_made(
    proxy: Proxy, tokens: Tokens, claimed: tuple[str, str]
) -> None:
    made = tokens.make("read_user")
    answer = proxy.ask(bearer(made["token"]), claimed, path="/hello")
    if proxy.kind.refuses_underscores and "_" in claimed[0]:
        assert answer.status == 400
        return
    assert answer.status == 403
    event = tokens.refused(made["id"])
    assert (event["data"]["method"], event["data"]["path"]) == ("GET", "/hello")
    if proxy.kind.hides_loopback:
        assert event["ip"] != claimed[1]
    else:
        assert event["ip"] == CLIENT


@pytest.mark.parametrize("name", ["PRIVATE_TOKEN", "Private_Token"])
def test_a_token_counts_by_its_own_name_alone(proxy: Proxy, secret: str, name: str) -> None:
    expected = 400 if proxy.kind.refuses_underscores else 401
    assert proxy.ask((name, secret)).status == expected
