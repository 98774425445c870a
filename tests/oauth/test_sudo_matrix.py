"""Every way to ask for sudo gets the same decision: the API, introspection and exchange.

What is expected is written down here once more, from the rules and not from the code, and every
combination of caller, scopes, target, policy and form is held against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import product
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.factories import make_admin, make_exchanged, make_user
from tests.oauth.conftest import World
from tests.oauth.exchanges import ask, of_token, of_user
from tokensrv.domain.facts import TokenKind
from tokensrv.domain.scopes import passed_on
from tokensrv.oauth.token import ACCESS_TOKEN, GRANT_TYPE
from tokensrv.services.directory import user_states
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import NewToken
from tokensrv.services.trail.events import COMMAND_LINE

# What the scopes of a token become under sudo; None: they do not allow it.
SCOPES: dict[tuple[str, ...], str | None] = {
    ("sudo",): "api",
    ("api", "sudo"): "api",
    ("read_user", "write_registry", "sudo"): "read_user write_registry",
    ("self_rotate", "introspect", "sudo"): "",
    ("api",): None,
}
# In which state the users are whom these texts name; None: nobody.
TARGETS: dict[str, str | None] = {
    "alice": "active",
    "ALICE": "active",
    "ID of alice": "active",
    "blocked": "not active",
    "deactivated": "not active",
    "banned": "not active",
    "blocked-admin": "not active",
    "other-admin": "admin",
    "root": "admin",
    "nobody": None,
    "999999": None,
    "9" * 25: None,
    "alice@example.org": None,
}
UNREADABLE = ("", " ", "alice,bob", "al\u00efce", "alice\0")


@dataclass(frozen=True)
class Around:
    """What a decision depends on besides who asks for whom."""

    admin_targets: bool = False
    reason_required: bool = False
    reason: str | None = None


EVERYTHING_ALLOWED = Around(admin_targets=True, reason="ticket 7")
AROUND = (
    Around(),
    EVERYTHING_ALLOWED,
    Around(reason_required=True),
    Around(reason_required=True, reason="ticket 7"),
)


@dataclass(frozen=True)
class Asker:
    """Somebody with a token of these scopes; ``check`` refuses him whomever he asks for."""

    make: Callable[[World, tuple[str, ...]], NewToken]
    check: str = ""


def admin(world: World, scopes: tuple[str, ...]) -> NewToken:
    return world.token(world.root, *scopes)


def admin_by_impersonation(world: World, scopes: tuple[str, ...]) -> NewToken:
    return world.token(world.root, *scopes, kind=TokenKind.IMPERSONATION)


def demoted(world: World, scopes: tuple[str, ...]) -> NewToken:
    token = world.token(make_admin(world.store, "demoted"), *scopes)
    user_states.demote(world.store, COMMAND_LINE, token.record.user_id)
    return token


def blocked(world: World, scopes: tuple[str, ...]) -> NewToken:
    token = world.token(make_admin(world.store, "rogue"), *scopes)
    user_states.block(world.store, COMMAND_LINE, token.record.user_id)
    return token


def revoked(world: World, scopes: tuple[str, ...]) -> NewToken:
    token = admin(world, scopes)
    tokens.revoke(world.store, COMMAND_LINE, token.record.id)
    return token


def expired(world: World, scopes: tuple[str, ...]) -> NewToken:
    token = world.token(world.root, *scopes, expires_on=date(2026, 3, 11))
    world.clock.set(datetime(2026, 3, 11, tzinfo=UTC))
    return token


def user(world: World, scopes: tuple[str, ...]) -> NewToken:
    held = [scope for scope in scopes if scope not in {"sudo", "introspect"}]
    return world.token(world.bob, *(held or ["api"]))


def exchanged_to_a_user(world: World, scopes: tuple[str, ...]) -> NewToken:
    source = admin(world, ("api", "sudo"))
    # An exchange passes on no sudo, and never nothing at all.
    held = passed_on(scopes) or ("api",)
    return make_exchanged(world.store, source, world.bob, held, reason="ticket 1")


def exchanged_to_an_admin(world: World, scopes: tuple[str, ...]) -> NewToken:
    return make_exchanged(world.store, admin(world, scopes), world.root, scopes)


ASKERS = (
    Asker(admin),
    Asker(admin_by_impersonation),
    Asker(demoted, "admin"),
    Asker(user, "admin"),
    Asker(exchanged_to_a_user, "admin"),
    Asker(exchanged_to_an_admin, "credential"),
    Asker(blocked, "dead"),
    Asker(revoked, "dead"),
    Asker(expired, "dead"),
)


def expected(asker: Asker, scopes: tuple[str, ...], target: str, around: Around) -> str:
    """Return the check that refuses, or nothing when the sudo is allowed."""
    state = TARGETS.get(target)
    in_order = {
        "dead": asker.check == "dead",
        "sudo": target in UNREADABLE,
        asker.check: True,
        "scope": SCOPES[scopes] is None,
        "target": state is None,
        "target_state": state == "not active",
        "target_admin": state == "admin" and not around.admin_targets,
        "reason": around.reason_required and around.reason is None,
    }
    return next((check for check, refuses in in_order.items() if check and refuses), "")


def over_the_api(world: World, token: str, target: str, why: dict[str, str]) -> Iterator[str]:
    """Yield the verdict of every way to ask: a check, or who acts as whom."""
    header = {"environ_overrides": {"HTTP_SUDO": _on_the_wire(target)}}
    asked = {"sudo": target} | why
    ways: tuple[dict[str, Any], ...] = (
        header | {"query_string": why},
        header | {"query_string": asked},
        {"query_string": asked},
        {"method": "PATCH", "data": asked},
        {"method": "PATCH", "json": asked},
    )
    for way in ways:
        # Under sudo nobody may change it, but who asks as whom is decided, and said, before that.
        path = f"/api/v4/personal_access_tokens/{world.alice_token.record.id}"
        yield _verdict(world.http.open(path, headers={"PRIVATE-TOKEN": token}, **way))


def _verdict(answer: TestResponse) -> str:
    if "Tokensrv-Actor" in answer.headers:
        return f"{answer.headers['Tokensrv-Actor']} as {answer.headers['Tokensrv-Subject']}"
    body = answer.get_json()
    text = f"{answer.status_code} {body.get('message') or body['error']}"
    return next(check for words, check in _ANSWERS.items() if text.startswith(words))


_ANSWERS = {
    "401 invalid_token": "dead",
    "403 403 Forbidden - Your account has been blocked": "dead",
    "400 sudo is invalid": "sudo",
    "403 403 Forbidden - Must be admin to use sudo": "admin",
    "403 403 Forbidden - Must be authenticated using": "credential",
    "403 insufficient_scope": "scope",
    "404 404 User with ID or username": "target",
    "403 403 Forbidden - Must not sudo to a user who is not active": "target_state",
    "403 403 Forbidden - Must not sudo to an administrator": "target_admin",
    "400 sudo_reason is missing": "reason",
}


def by_introspection(world: World, token: str, target: str, why: dict[str, str]) -> Iterator[str]:
    """Yield the verdict of every way to ask: inactive, or who acts as whom with which scopes."""
    for in_header, in_form in ((True, False), (False, True), (True, True)):
        form = {"token": token} | why | ({"sudo": target} if in_form else {})
        header = {"HTTP_SUDO": _on_the_wire(target)} if in_header else {}
        answer = world.service.post("/oauth/introspect", form, environ_overrides=header)
        yield _told(answer.get_json())


def by_exchange(world: World, token: str, target: str, why: dict[str, str]) -> Iterator[str]:
    """Yield the refusal of every way to ask, or who acts as whom with which scopes afterwards."""
    for asked in (of_token(token, requested_subject=target), of_user(target, token)):
        answer = ask(world.service, **asked, **why).get_json()
        yield answer.get("error") or _told(world.service.told(answer["access_token"]))


def _on_the_wire(text: str) -> str:
    """Return a header's value as WSGI hands it over."""
    return text.encode().decode("latin-1")


def _told(answer: dict[str, Any]) -> str:
    if answer == {"active": False}:
        return "inactive"
    return f"{answer['act']['sub']} as {answer['sub']}: {answer['scope']}"


@pytest.mark.parametrize("scopes", SCOPES, ids=" ".join)
@pytest.mark.parametrize("asker", ASKERS, ids=lambda asker: asker.make.__name__)
def test_all_three_agree(
    world: World, monkeypatch: pytest.MonkeyPatch, asker: Asker, scopes: tuple[str, ...]
) -> None:
    _make_targets(world)
    token = asker.make(world, scopes)
    is_good = not asker.check and SCOPES[scopes] is not None
    settings = world.store.settings
    for around, target in product(
        # Whoever may not use sudo at all may not when everything is allowed.
        AROUND if is_good else [EVERYTHING_ALLOWED],
        (*TARGETS, *UNREADABLE),
    ):
        changed = replace(
            settings,
            sudo_admin_targets=around.admin_targets,
            sudo_reason_required=around.reason_required,
        )
        monkeypatch.setattr(world.store, "settings", changed)
        why = {} if around.reason is None else {"sudo_reason": around.reason}
        named = target.replace("ID of alice", str(world.alice.id))
        verdicts = tuple(
            set(way(world, token.secret, named, why))
            for way in (over_the_api, by_introspection, by_exchange)
        )
        check = expected(asker, scopes, target, around)
        if check:
            assert verdicts == ({check}, {"inactive"}, {_code(check, token)}), (target, around)
            continue
        subject = world.alice.id if TARGETS[target] == "active" else _admin(world, target)
        both = f"{world.root.id} as {subject}"
        granted = f"{both}: {SCOPES[scopes]}"
        # A token without any scope would be none.
        lasting = granted if SCOPES[scopes] else "invalid_scope"
        assert verdicts == ({both}, {granted}, {lasting}), (target, around)
    if not is_good:
        assert world.events("sudo.used") == world.events("token.exchanged") == []


def _make_targets(world: World) -> None:
    store = world.store
    user_states.block(store, COMMAND_LINE, make_user(store, "blocked").id)
    user_states.deactivate(store, COMMAND_LINE, make_user(store, "deactivated").id)
    user_states.ban(store, COMMAND_LINE, make_user(store, "banned").id)
    user_states.block(store, COMMAND_LINE, make_admin(store, "blocked-admin").id)


def _admin(world: World, username: str) -> int:
    return {"root": world.root.id, "other-admin": world.other_admin.id}[username]


def _code(check: str, token: NewToken) -> str:
    """Return how an exchange is refused: the request is wrong, or the target is."""
    is_request = check in {"dead", "sudo"} or "sudo" not in token.record.scopes
    return "invalid_request" if is_request else "invalid_target"


@pytest.mark.parametrize(
    ("query", "header"),
    [
        pytest.param("sudo=alice&sudo=alice", None, id="twice"),
        pytest.param("sudo=alice&sudo=bob", None, id="twice, two users"),
        pytest.param("sudo=alice", "bob", id="header and parameter disagree"),
        pytest.param("sudo=", "alice", id="an empty parameter beside a header"),
        pytest.param("sudo=alice", "", id="an empty header beside a parameter"),
        pytest.param("sudo[]=alice", None, id="in brackets"),
    ],
)
def test_a_form_that_could_mean_two_things_means_nothing(
    world: World, query: str, header: str | None
) -> None:
    headers = {} if header is None else {"Sudo": header}
    api = world.http.get(
        f"/api/v4/user?{query}", headers=headers | {"PRIVATE-TOKEN": world.admin_token.secret}
    )
    assert (api.status_code, api.get_json()) == (400, {"error": "sudo is invalid"})
    form = f"token={world.admin_token.secret}&{query}"
    answer = world.service.post(
        "/oauth/introspect", form, headers, content_type="application/x-www-form-urlencoded"
    )
    if query.count("sudo=") > 1:
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")
    else:
        assert (answer.status_code, answer.get_json()) == (200, {"active": False})
    named = query.replace("sudo", "requested_subject")
    body = f"grant_type={GRANT_TYPE}&subject_token={world.admin_token.secret}&{named}"
    exchange = world.service.post(
        "/oauth/token",
        f"{body}&subject_token_type={ACCESS_TOKEN}",
        headers,
        content_type="application/x-www-form-urlencoded",
    )
    assert exchange.status_code == 400


@pytest.mark.parametrize(
    ("value", "status"),
    [(None, 400), (True, 400), (1.5, 400), ([], 400), ({"id": 3}, 400), (-1, 404)],
    ids=repr,
)
def test_a_value_that_is_no_name_and_no_id_names_nobody(
    world: World, value: object, status: int
) -> None:
    secret = world.admin_token.secret
    api = world.http.get("/api/v4/user", headers={"PRIVATE-TOKEN": secret}, json={"sudo": value})
    assert api.status_code == status
    (told,) = world.service.ask_many([secret], sudo=value).get_json()["results"]
    assert told == {"active": False}
