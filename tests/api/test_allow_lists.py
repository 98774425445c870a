"""Allow lists: from elsewhere a token is like one that nobody knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.api.conftest import Api
from tests.conftest import ManualClock
from tests.factories import make_admin, make_token
from tokensrv.db import Store
from tokensrv.domain.secret import Kind, mint
from tokensrv.services.directory import user_states
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import EventRecord, NewToken, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

TOKENS = "/personal_access_tokens"
SELF = f"{TOKENS}/self"
LIST = ("10.0.0.0/8", "2001:db8::1")
INSIDE, OUTSIDE = "10.1.2.3", "192.0.2.9"


@pytest.fixture
def placed(store: Store, root: UserRecord) -> NewToken:
    return make_token(store, root, ("api", "sudo"), allowed_ips=LIST)


@pytest.fixture
def holder(anonymous: Api, placed: NewToken) -> Api:
    """Whoever has that token."""
    return anonymous.holding(placed.secret)


def get(api: Api, ip: str | None, path: str = "/user", **options: Any) -> TestResponse:
    # A Unix socket has no address.
    return api.get(path, environ_overrides={"REMOTE_ADDR": ip or ""}, **options)


@pytest.mark.parametrize("ip", [INSIDE, "::ffff:10.1.2.3", "2001:db8::1"])
def test_opens_from_inside(holder: Api, alice: UserRecord, ip: str) -> None:
    assert get(holder, ip).json["username"] == "root"
    acting = get(holder, ip, headers={"Sudo": "alice"})
    assert (acting.status_code, acting.json["username"]) == (200, "alice")


@pytest.mark.parametrize("ip", [OUTSIDE, "2001:db8::2", "fe80::1%eth0", None])
@pytest.mark.parametrize(
    "headers", [{}, {"Sudo": "alice"}, {"Sudo": ""}], ids=["plain", "as", "bad"]
)
def test_is_unknown_from_elsewhere(
    holder: Api,
    alice: UserRecord,
    events: Callable[[str], list[EventRecord]],
    ip: str | None,
    headers: dict[str, str],
) -> None:
    stranger = holder.holding(mint("ts", Kind.PERSONAL))
    for path in ("/user", SELF):
        unknown = get(stranger, ip, path, headers=headers)
        answer = get(holder, ip, path, headers=headers)
        assert (answer.status_code, answer.data) == (401, unknown.data)
        assert answer.headers["WWW-Authenticate"] == unknown.headers["WWW-Authenticate"]
    assert events("sudo.used") == events("sudo.refused") == []


def test_says_nothing_of_its_owner_either(holder: Api, store: Store, root: UserRecord) -> None:
    # Somebody must be an admin.
    make_admin(store, "other")
    user_states.block(store, COMMAND_LINE, root.id)
    assert get(holder, OUTSIDE).json == {"message": "401 Unauthorized"}
    assert get(holder, INSIDE).status_code == 403


class TestBehindAProxy:
    @pytest.mark.parametrize(
        ("trusted", "forwarded", "status"),
        [
            pytest.param(("127.0.0.1",), INSIDE, 200, id="a trusted one says so"),
            pytest.param((), INSIDE, 401, id="anybody says so"),
            pytest.param(("127.0.0.1",), f"{INSIDE}, {OUTSIDE}", 401, id="the caller says so"),
            pytest.param(("127.0.0.1",), OUTSIDE, 401, id="from elsewhere"),
        ],
    )
    def test_the_address_is_the_callers(
        self,
        with_settings: Callable[..., Api],
        placed: NewToken,
        trusted: tuple[str, ...],
        forwarded: str,
        status: int,
    ) -> None:
        behind = with_settings(placed.secret, trusted_proxies=trusted)
        answer = get(behind, "127.0.0.1", headers={"X-Forwarded-For": forwarded})
        assert answer.status_code == status


def test_a_copy_betrays_itself_from_elsewhere_too(
    holder: Api, store: Store, clock: ManualClock
) -> None:
    here, there = ({"REMOTE_ADDR": ip} for ip in (INSIDE, OUTSIDE))
    new = holder.post(f"{SELF}/rotate", environ_overrides=here).json
    assert new["allowed_ips"] == list(LIST)
    clock.advance(seconds=1)
    assert holder.post(f"{SELF}/rotate", environ_overrides=there).status_code == 401
    assert tokens.get(store, None, new["id"]).is_revoked


class TestTheObject:
    def test_has_the_list_in_one_spelling(self, admin: Api, alice: UserRecord) -> None:
        wanted = {"name": "ci", "scopes": ["api"], "allowed_ips": ["2001:DB8::1", "10.0.0.0/8"]}
        for path in ("personal_access_tokens", "impersonation_tokens"):
            made = admin.post(f"/users/{alice.id}/{path}", json=wanted).json
            assert made["allowed_ips"] == ["2001:db8::1", "10.0.0.0/8"]
            shown = admin.get(f"{TOKENS}/{made['id']}").json
            assert shown["allowed_ips"] == made["allowed_ips"]

    @pytest.mark.parametrize(
        ("given", "error"),
        [
            (["here"], "allowed_ips does not have a valid value"),
            (
                ["10.0.0.1/8"],
                "allowed_ips has 10.0.0.1/8: write 10.0.0.1, or 10.0.0.0/8 for the whole network",
            ),
            (["10.0.0.1"] * 33, "allowed_ips has more than 32 entries"),
            ([1], "allowed_ips is invalid"),
            ({"a": 1}, "allowed_ips is invalid"),
        ],
    )
    def test_is_not_made_of_what_is_no_list(
        self, admin: Api, alice: UserRecord, given: Any, error: str
    ) -> None:
        wanted = {"name": "ci", "scopes": ["api"], "allowed_ips": given}
        answer = admin.post(f"/users/{alice.id}/personal_access_tokens", json=wanted)
        assert (answer.status_code, answer.json) == (400, {"error": error})

    def test_is_bound_by_the_token_that_makes_it_for_its_own_owner(self, holder: Api) -> None:
        here = {"REMOTE_ADDR": INSIDE}
        wanted: dict[str, Any] = {"name": "ci", "scopes": ["api"]}
        made = holder.post(f"/user{TOKENS}", json=wanted, environ_overrides=here).json
        assert made["allowed_ips"] == list(LIST)
        wider = wanted | {"allowed_ips": ["0.0.0.0/0"]}
        answer = holder.post(f"/user{TOKENS}", json=wider, environ_overrides=here)
        assert answer.status_code == 400
        text = "allowed_ips has more than the calling token may be used from"
        assert answer.json == {"error": text}

    def test_becomes_narrower_and_never_wider(
        self, user: Api, store: Store, alice: UserRecord
    ) -> None:
        path = f"{TOKENS}/{make_token(store, alice).record.id}"
        for narrower in (["10.0.0.0/8"], ["10.1.0.0/16", "10.2.0.1"], ["10.2.0.1"]):
            assert user.patch(path, json={"allowed_ips": narrower}).json["allowed_ips"] == narrower
        for wider in ([], ["10.2.0.2"], ["10.2.0.0/24"]):
            answer = user.patch(path, json={"allowed_ips": wider})
            assert answer.status_code == 400
            assert answer.json == {"message": "400 Bad request - A token can only be narrowed"}


def test_is_explained_to_those_who_may_see_it(admin: Api, placed: NewToken) -> None:
    def last(**asked: str) -> dict[str, Any]:
        answer = admin.post("/tokensrv/explain", json={"id": placed.record.id} | asked)
        found: dict[str, Any] = answer.json["checks"][-1]
        return found

    listed = "It may be used from 10.0.0.0/8, 2001:db8::1, and not from"
    failed = {"check": "network", "passed": False}
    assert last(remote_ip=OUTSIDE) == failed | {"detail": f"{listed} {OUTSIDE}."}
    assert last() == last(remote_ip="x") == failed | {"detail": f"{listed} an unknown address."}
    assert last(remote_ip=INSIDE)["check"] == "owner"
