from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from tokensrv import services
from tokensrv.lookup.eviction import Ended, OfClient, OfUser, Whole, ended, is_harmless

SERVICES = Path(services.__file__).parent
KINDS = {
    "client",
    "feed",
    "gate",
    "impersonation",
    "instance",
    "key",
    "passkey",
    "password_reset",
    "recovery_code",
    "recovery_codes",
    "repository_rule",
    "schema",
    "second_factor",
    "session",
    "ssh_key",
    "sudo",
    "token",
    "totp",
    "user",
}
NOTHING, EVERYTHING = Whole.NOTHING, Whole.EVERYTHING
USER, TOKEN, CLIENT = OfUser(7), OfUser(7, frozenset({3})), OfClient("service")
# What each of our own events ends; a new one must be thought about, and then it stands here.
ENDS: dict[str, Ended] = {
    "client.changed": CLIENT,
    "client.created": NOTHING,
    "client.deleted": CLIENT,
    "client.disabled": CLIENT,
    "client.enabled": CLIENT,
    "client.secret_rotated": CLIENT,
    "gate.counted": NOTHING,
    "gate.refused": NOTHING,
    "impersonation.started": NOTHING,
    "impersonation.stopped": NOTHING,
    "feed.made": NOTHING,
    "feed.revoked": NOTHING,
    "instance.initialised": NOTHING,
    "key.created": NOTHING,
    "key.rotated": NOTHING,
    "passkey.added": NOTHING,
    "passkey.removed": NOTHING,
    "password_reset.made": NOTHING,
    "recovery_code.used": NOTHING,
    "recovery_codes.made": NOTHING,
    "repository_rule.added": NOTHING,
    "repository_rule.removed": NOTHING,
    "schema.upgraded": EVERYTHING,
    "second_factor.reset": NOTHING,
    "session.ended": NOTHING,
    "ssh_key.added": NOTHING,
    "ssh_key.removed": NOTHING,
    "sudo.counted": NOTHING,
    "sudo.refused": NOTHING,
    "sudo.used": NOTHING,
    "token.changed": TOKEN,
    "token.created": NOTHING,
    "token.exchanged": NOTHING,
    "token.pruned": NOTHING,
    "token.reused": TOKEN,
    "token.revoked": TOKEN,
    "token.rotated": TOKEN,
    "totp.added": NOTHING,
    "totp.removed": NOTHING,
    "user.activated": USER,
    "user.banned": USER,
    "user.blocked": USER,
    "user.changed": USER,
    "user.created": NOTHING,
    "user.deactivated": USER,
    "user.deleted": USER,
    "user.demoted": USER,
    "user.password_set": NOTHING,
    "user.promoted": USER,
    "user.signed_in": NOTHING,
    "user.unbanned": USER,
    "user.unblocked": USER,
}


def _what(action: str, **given: Any) -> Ended:
    event: dict[str, Any] = {"token_id": 3, "client_id": "service", "data": {"user_id": 7}}
    return ended(action, **event | given)


def _actions_in_the_source() -> set[str]:
    nodes = [
        node for file in SERVICES.rglob("*.py") for node in ast.walk(ast.parse(file.read_text()))
    ]
    words = {
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {word for word in words if word.count(".") == 1 and word.partition(".")[0] in KINDS}


def test_every_event_that_can_be_written_is_known_here() -> None:
    assert _actions_in_the_source() == set(ENDS)


@pytest.mark.parametrize("action", list(ENDS))
def test_an_event_ends(action: str) -> None:
    assert _what(action) == ENDS[action]


@pytest.mark.parametrize("action", list(ENDS))
def test_only_what_ends_nothing_is_harmless(action: str) -> None:
    assert is_harmless(action) is (ENDS[action] is NOTHING)


def test_a_reuse_ends_every_token_that_it_revokes() -> None:
    what = _what("token.reused", data={"user_id": 7, "revoked": [4, 5]})
    assert what == OfUser(7, frozenset({3, 4, 5}))


@pytest.mark.parametrize(
    ("action", "given"),
    [
        pytest.param("token.revoked", {"data": {}}, id="token without owner"),
        pytest.param("token.revoked", {"token_id": None}, id="token without id"),
        pytest.param("token.reused", {"data": {"user_id": 7, "revoked": None}}, id="no list"),
        pytest.param("token.revoked", {"data": None}, id="token without data"),
        pytest.param("user.blocked", {"data": [7]}, id="data of another shape"),
        pytest.param("user.blocked", {"data": {}}, id="user without id"),
        pytest.param("user.blocked", {"data": {"user_id": "7"}}, id="user with a strange id"),
        pytest.param("client.disabled", {"client_id": None}, id="client without id"),
        pytest.param("token", {"token_id": None, "data": {}}, id="no event of ours"),
        pytest.param("group.removed", {}, id="event of a newer version"),
    ],
)
def test_what_is_not_understood_ends_everything(action: str, given: dict[str, Any]) -> None:
    assert _what(action, **given) is EVERYTHING
