"""Sudo inside introspection: a token asked about as another user, by parameter or by header."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import select

from tests.oauth.conftest import Service, World
from tests.oauth.test_introspect import INACTIVE
from tokensrv.models import EventHead
from tokensrv.services.directory import user_states, users
from tokensrv.services.directory.users import UserChanges
from tokensrv.services.lifecycle import tokens
from tokensrv.services.trail.events import COMMAND_LINE


def demote(world: World) -> None:
    users.change(world.store, COMMAND_LINE, world.root.id, UserChanges(is_admin=False))


def set_policy(world: World, monkeypatch: pytest.MonkeyPatch, **changed: bool) -> None:
    monkeypatch.setattr(world.store, "settings", replace(world.store.settings, **changed))


@pytest.mark.parametrize("name", ["alice", "ALICE", "ID"], ids=["by name", "in any case", "by id"])
@pytest.mark.parametrize("form", ["parameter", "header", "both"])
def test_an_admins_token_is_told_as_the_other_user_with_the_admin_as_actor(
    world: World, name: str, form: str
) -> None:
    target = name.replace("ID", str(world.alice.id))
    told = world.service.told(
        world.admin_token.secret,
        {"Sudo": target} if form in {"header", "both"} else None,
        **({"sudo": target.lower()} if form in {"parameter", "both"} else {}),
    )
    assert told == {
        "active": True,
        "scope": "api",
        "client_id": world.service.client_id,
        "username": "alice",
        "token_type": "Bearer",
        "iat": int(datetime(2026, 3, 10, 12, tzinfo=UTC).timestamp()),
        "nbf": int(datetime(2026, 3, 10, 12, tzinfo=UTC).timestamp()),
        "sub": str(world.alice.id),
        "iss": "http://127.0.0.1:8000",
        "jti": str(world.admin_token.record.id),
        "act": {
            "sub": str(world.root.id),
            "username": "root",
            "jti": str(world.admin_token.record.id),
        },
    }


def test_a_token_of_sudo_alone_opens_nothing_by_itself_and_everything_as_another(
    world: World,
) -> None:
    token = world.token(world.root, "sudo").secret
    assert world.service.told(token)["scope"] == "sudo"
    assert world.service.told(token, sudo="alice")["scope"] == "api"


def test_what_never_passes_to_another_user_is_not_among_the_scopes(world: World) -> None:
    token = world.token(world.root, "sudo", "introspect", "self_rotate", "read_user").secret
    assert world.service.told(token, sudo="alice")["scope"] == "read_user"


@pytest.mark.parametrize(
    ("scope", "is_active"), [("read_user", True), ("api read_registry", True), ("sudo", False)]
)
def test_the_scopes_asked_for_must_be_held_under_sudo(
    world: World, scope: str, *, is_active: bool
) -> None:
    told = world.service.told(world.admin_token.secret, sudo="alice", scope=scope)
    assert told["active"] is is_active
    assert len(world.events("sudo.used")) == int(is_active)


UNREADABLE = ["", " ", "\t", "alice,bob", "alice,", "älice", "alice\0", "\xe4"]


@pytest.mark.parametrize("value", UNREADABLE)
def test_a_sudo_that_cannot_be_read_is_inactive_and_never_overlooked(
    world: World, value: str
) -> None:
    assert world.service.introspect(world.admin_token.secret, sudo=value).data == INACTIVE


@pytest.mark.parametrize("value", ["", "  ", "alice,bob", "alice, alice", "\xe4lice", "\xc3\xa4"])
def test_a_sudo_header_that_cannot_be_read_is_inactive_and_never_overlooked(
    world: World, value: str
) -> None:
    answer = world.service.introspect(world.admin_token.secret, {"Sudo": value})
    assert answer.data == INACTIVE


@pytest.mark.parametrize(
    ("header", "parameter"),
    [("alice", "bob"), ("alice", ""), ("", "alice"), ("", ""), ("ID", "alice"), ("alice", "ID")],
)
def test_header_and_parameter_that_disagree_are_inactive(
    world: World, header: str, parameter: str
) -> None:
    header, parameter = (value.replace("ID", str(world.alice.id)) for value in (header, parameter))
    answer = world.service.introspect(world.admin_token.secret, {"Sudo": header}, sudo=parameter)
    assert answer.data == INACTIVE
    assert world.events("sudo.used") == world.events("sudo.refused") == []


def test_a_sudo_given_twice_is_invalid(world: World) -> None:
    answer = world.service.introspect(world.admin_token.secret, sudo=["alice", "alice"])
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")


Ask = tuple[Service, str, dict[str, Any]]
Case = Callable[[World, pytest.MonkeyPatch], Ask]


def client_without_sudo(world: World, patch: pytest.MonkeyPatch) -> Ask:
    service = world.service_with(name="plain", allow=("revoke", "batch", "exchange"))
    return service, world.admin_token.secret, {"sudo": "alice"}


def demoted_admin(world: World, patch: pytest.MonkeyPatch) -> Ask:
    demote(world)
    return world.service, world.admin_token.secret, {"sudo": "alice"}


def plain_user(world: World, patch: pytest.MonkeyPatch) -> Ask:
    return world.service, world.alice_token.secret, {"sudo": "bob"}


def user_as_himself(world: World, patch: pytest.MonkeyPatch) -> Ask:
    return world.service, world.alice_token.secret, {"sudo": "alice"}


def token_without_sudo(world: World, patch: pytest.MonkeyPatch) -> Ask:
    return world.service, world.token(world.root, "api").secret, {"sudo": "alice"}


def unknown_target(world: World, patch: pytest.MonkeyPatch) -> Ask:
    return world.service, world.admin_token.secret, {"sudo": "mallory"}


def giant_id(world: World, patch: pytest.MonkeyPatch) -> Ask:
    return world.service, world.admin_token.secret, {"sudo": "9" * 30}


def blocked_target(world: World, patch: pytest.MonkeyPatch) -> Ask:
    user_states.block(world.store, COMMAND_LINE, world.alice.id)
    return world.service, world.admin_token.secret, {"sudo": "alice"}


def deactivated_target(world: World, patch: pytest.MonkeyPatch) -> Ask:
    user_states.deactivate(world.store, COMMAND_LINE, world.alice.id)
    return world.service, world.admin_token.secret, {"sudo": "alice"}


def admin_target(world: World, patch: pytest.MonkeyPatch) -> Ask:
    return world.service, world.admin_token.secret, {"sudo": "other-admin"}


def admin_as_himself(world: World, patch: pytest.MonkeyPatch) -> Ask:
    return world.service, world.admin_token.secret, {"sudo": "root"}


def no_reason(world: World, patch: pytest.MonkeyPatch) -> Ask:
    set_policy(world, patch, sudo_reason_required=True)
    return world.service, world.admin_token.secret, {"sudo": "alice", "sudo_reason": " "}


def too_long_a_reason(world: World, patch: pytest.MonkeyPatch) -> Ask:
    reason = "a" * 256
    return world.service, world.admin_token.secret, {"sudo": "alice", "sudo_reason": reason}


@pytest.mark.parametrize(
    ("case", "check"),
    [
        (client_without_sudo, "client"),
        (demoted_admin, "admin"),
        (plain_user, "admin"),
        (user_as_himself, "admin"),
        (token_without_sudo, "scope"),
        (unknown_target, "target"),
        (giant_id, "target"),
        (blocked_target, "target_state"),
        (deactivated_target, "target_state"),
        (admin_target, "target_admin"),
        (admin_as_himself, "target_admin"),
        (no_reason, "reason"),
        (too_long_a_reason, "reason"),
    ],
)
def test_a_refused_sudo_is_inactive_and_the_log_knows_why(
    world: World, monkeypatch: pytest.MonkeyPatch, case: Case, check: str
) -> None:
    service, token, parameters = case(world, monkeypatch)
    assert service.introspect(token, **parameters).data == INACTIVE
    [event] = world.events("sudo.refused")
    assert event.data["check"] == check
    assert (event.data["method"], event.data["path"]) == ("POST", "/oauth/introspect")
    assert event.client_id == service.client_id
    assert world.events("sudo.used") == []


def test_a_dead_token_is_dead_before_sudo_is_looked_at(world: World) -> None:
    tokens.revoke(world.store, COMMAND_LINE, world.admin_token.record.id)
    assert world.service.introspect(world.admin_token.secret, sudo="alice").data == INACTIVE
    assert world.events("sudo.refused") == []


def test_a_token_for_another_client_is_inactive_under_sudo_too(world: World) -> None:
    other = world.service_with(name="other")
    token = world.token(world.root, "api", "sudo", audience=(other.client_id,))
    assert world.service.introspect(token.secret, sudo="alice").data == INACTIVE
    assert world.events("sudo.used") == []


def test_a_policy_may_allow_admins_as_targets(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_policy(world, monkeypatch, sudo_admin_targets=True)
    told = world.service.told(world.admin_token.secret, sudo="other-admin")
    assert (told["username"], told["act"]["username"]) == ("other-admin", "root")


@pytest.mark.parametrize(
    ("headers", "parameters"),
    [
        ({"Sudo-Reason": "ticket 7"}, {}),
        ({}, {"sudo_reason": " ticket 7 "}),
        ({"Sudo-Reason": "ticket 7"}, {"sudo_reason": "ticket 7"}),
    ],
)
def test_the_event_stands_before_the_answer_with_both_users_and_the_reason(
    world: World, headers: dict[str, str], parameters: dict[str, str]
) -> None:
    headers |= {"X-Request-Id": "request-7"}
    world.service.told(world.admin_token.secret, headers, sudo="alice", **parameters)
    [event] = world.events("sudo.used")
    assert (event.actor_id, event.actor) == (world.root.id, "root")
    assert (event.subject_id, event.subject) == (world.alice.id, "alice")
    assert event.token_id == world.admin_token.record.id
    assert event.client_id == world.service.client_id
    assert (event.reason, event.request_id, event.ip) == ("ticket 7", "request-7", "127.0.0.1")
    assert event.data == {"method": "POST", "path": "/oauth/introspect"}


def test_reasons_that_disagree_are_inactive(world: World) -> None:
    answer = world.service.introspect(
        world.admin_token.secret, {"Sudo-Reason": "one"}, sudo="alice", sudo_reason="two"
    )
    assert answer.data == INACTIVE


def test_the_first_use_of_a_minute_is_written_and_the_rest_are_counted(world: World) -> None:
    for _ in range(3):
        world.service.told(world.admin_token.secret, sudo="alice")
    world.service.told(world.admin_token.secret, sudo="bob")
    assert [event.subject for event in world.events("sudo.used")] == ["alice", "bob"]
    world.usage.flush()
    assert world.events("sudo.counted") == []
    world.clock.advance(seconds=60)
    world.usage.flush()
    [counted] = world.events("sudo.counted")
    assert (counted.subject, counted.actor) == ("alice", "root")
    assert (counted.data["of"], counted.data["count"]) == ("sudo.used", 2)
    assert counted.data["minute"] == "2026-03-10T12:00:00.000Z"
    world.service.told(world.admin_token.secret, sudo="alice")
    assert len(world.events("sudo.used")) == 3


def test_another_client_has_a_first_use_of_its_own(world: World) -> None:
    other = world.service_with(name="other", allow=("sudo",))
    for service in (world.service, other):
        service.told(world.admin_token.secret, sudo="alice")
    used = world.events("sudo.used")
    assert [event.client_id for event in used] == [world.service.client_id, other.client_id]


def test_the_first_refusal_of_a_minute_is_written_and_the_rest_are_counted(world: World) -> None:
    for target in ("mallory", "mallory", "nobody", "other-admin"):
        world.service.told(world.admin_token.secret, sudo=target)
    refused = world.events("sudo.refused")
    assert [event.data["check"] for event in refused] == ["target", "target_admin"]
    world.clock.advance(seconds=60)
    world.usage.flush()
    [counted] = world.events("sudo.counted")
    assert (counted.data["of"], counted.data["count"]) == ("sudo.refused", 2)


@pytest.mark.parametrize(
    "take_away",
    [
        demote,
        lambda world: user_states.block(world.store, COMMAND_LINE, world.root.id),
        lambda world: user_states.block(world.store, COMMAND_LINE, world.alice.id),
        lambda world: users.delete(world.store, COMMAND_LINE, world.alice.id),
        lambda world: tokens.change(
            world.store,
            COMMAND_LINE,
            world.admin_token.record.id,
            tokens.TokenChanges(scopes=("api",)),
        ),
    ],
    ids=["demoted", "blocked", "target blocked", "target deleted", "scope cut"],
)
def test_sudo_ends_at_once_when_the_power_is_taken_away(
    world: World, take_away: Callable[[World], object]
) -> None:
    assert world.service.told(world.admin_token.secret, sudo="alice")["active"] is True
    take_away(world)
    # Within the same minute, in which a use would only have been counted.
    assert world.service.introspect(world.admin_token.secret, sudo="alice").data == INACTIVE


def test_a_promoted_target_ends_sudo_at_once(world: World) -> None:
    assert world.service.told(world.admin_token.secret, sudo="alice")["active"] is True
    users.change(world.store, COMMAND_LINE, world.alice.id, UserChanges(is_admin=True))
    assert world.service.introspect(world.admin_token.secret, sudo="alice").data == INACTIVE


def test_a_demoted_admins_token_stays_good_without_sudo(world: World) -> None:
    demote(world)
    told = world.service.told(world.admin_token.secret)
    assert (told["active"], told["username"]) == (True, "root")


def test_a_sudo_that_cannot_be_recorded_is_not_answered(world: World) -> None:
    with world.store.write() as session:
        # Whoever holds the head of the log keeps everybody else from writing to it.
        session.scalars(select(EventHead).with_for_update()).one()
        answer = world.service.introspect(world.admin_token.secret, sudo="alice")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.get_json() == {"error": "temporarily_unavailable"}
    assert world.events("sudo.used") == []
    assert world.service.told(world.admin_token.secret, sudo="alice")["active"] is True
    assert len(world.events("sudo.used")) == 1


def test_sudo_is_use_of_the_admins_token(world: World) -> None:
    expiring = world.token(world.root, "sudo", expires_on=date(2026, 3, 11))
    world.service.told(expiring.secret, sudo="alice", remote_ip="192.0.2.9")
    world.usage.flush()
    used = tokens.get(world.store, None, expiring.record.id)
    assert (used.last_used_at is not None, used.last_used_ips) == (True, ("192.0.2.9",))
