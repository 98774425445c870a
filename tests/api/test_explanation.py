"""`POST /tokensrv/explain`: owners and admins learn why, strangers learn nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from tests.api.conftest import Api
from tests.conftest import ManualClock, QueryRecorder
from tests.factories import make_client, make_exchanged, make_token, make_user
from tests.services.conftest import contents
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.domain.secret import Kind, mint
from tokensrv.services.directory import clients
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import NewToken, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

PATH = "/tokensrv/explain"


@pytest.fixture
def token(store: Store, alice: UserRecord) -> NewToken:
    """A token of alice's beside the one with which she asks."""
    return make_token(store, alice, ("read_api",))


def explained(api: Api, **asked: Any) -> dict[str, Any]:
    answer = api.post(PATH, json=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def last(found: dict[str, Any]) -> dict[str, Any]:
    check: dict[str, Any] = found["checks"][-1]
    return check


def test_names_the_checks_in_their_order(user: Api, token: NewToken) -> None:
    number = token.record.id
    assert explained(user, token=token.secret) == {
        "active": True,
        "checks": [
            {
                "check": "unknown",
                "passed": True,
                "detail": f"It is the personal token {number} of alice.",
            },
            {"check": "expired", "passed": True, "detail": "It lasts without end."},
            {"check": "revoked", "passed": True, "detail": "It was not revoked."},
            {"check": "owner", "passed": True, "detail": "Its owner alice is active."},
        ],
    }


@pytest.mark.parametrize("asking", ["user", "admin"])
def test_takes_the_secret_or_the_id(
    request: pytest.FixtureRequest, asking: str, token: NewToken
) -> None:
    api: Api = request.getfixturevalue(asking)
    by_secret = explained(api, token=token.secret)
    assert (
        by_secret == explained(api, id=token.record.id) == explained(api, id=str(token.record.id))
    )


def test_ends_with_the_check_that_failed(user: Api, store: Store, token: NewToken) -> None:
    tokens.revoke(store, COMMAND_LINE, token.record.id)
    found = explained(user, id=token.record.id)
    assert found["active"] is False
    assert [check["passed"] for check in found["checks"]] == [True, True, False]
    assert last(found) == {
        "check": "revoked",
        "passed": False,
        "detail": "It was revoked; the event log says by whom.",
    }


@pytest.mark.parametrize(
    "secret", ["", "junk", mint("ts", Kind.PERSONAL)], ids=["none", "junk", "of nobody"]
)
def test_tells_of_an_unknown_secret_what_is_told_of_an_unknown_id(
    user: Api, admin: Api, secret: str
) -> None:
    for api, status in ((user, 401), (admin, 404)):
        shown = api.get("/personal_access_tokens/999")
        assert shown.status_code == status
        for asked in ({"token": secret}, {"id": 999}, {"id": 10**30}):
            answer = api.post(PATH, json=asked)
            assert (answer.status_code, answer.json) == (status, shown.json)


def test_a_stranger_learns_nothing(user: Api, store: Store, root: UserRecord) -> None:
    client = make_client(store).record
    alice = make_user(store, "other")
    admins = make_token(store, root, ("sudo",))
    foreign = (
        admins,
        make_token(store, alice),
        make_token(store, root, kind=TokenKind.IMPERSONATION),
    )
    unknown = user.post(PATH, json={"id": 999})
    for token in foreign:
        for named in ({"id": token.record.id}, {"token": token.secret}):
            for more in (
                {},
                {"sudo": "alice"},
                {"scope": "api"},
                {"client_id": client.client_id},
                {"client_id": "nobody"},
            ):
                answer = user.post(PATH, json=named | more)
                assert (answer.status_code, answer.data) == (401, unknown.data)


def test_the_owner_of_hidden_tokens_learns_nothing_of_them(
    user: Api, store: Store, admin: Api, root: UserRecord, alice: UserRecord
) -> None:
    source = make_token(store, root, ("api", "sudo"))
    for hidden in (
        make_token(store, alice, kind=TokenKind.IMPERSONATION),
        make_exchanged(store, source, alice),
    ):
        assert user.post(PATH, json={"token": hidden.secret}).status_code == 401
        assert explained(admin, token=hidden.secret)["active"] is True


def test_an_owner_sees_what_he_made_narrower_and_not_what_acts_as_him(
    user: Api, admin: Api, store: Store, root: UserRecord, alice: UserRecord, token: NewToken
) -> None:
    narrower = make_exchanged(store, token, alice, ("read_user",))
    assert explained(user, token=narrower.secret)["active"] is True
    acting = make_exchanged(store, make_token(store, root, ("sudo",)), alice)
    assert user.post(PATH, json={"token": acting.secret}).status_code == 401
    assert explained(admin, token=acting.secret)["active"] is True


def test_is_closed_to_anonymous_callers(anonymous: Api, token: NewToken) -> None:
    assert anonymous.post(PATH, json={"token": token.secret}).status_code == 401


def test_an_admin_sees_why_a_sudo_is_refused(
    admin: Api, store: Store, root: UserRecord, alice: UserRecord
) -> None:
    source = make_token(store, root, ("api", "sudo"))
    granted = explained(admin, id=source.record.id, sudo="ALICE")
    assert granted["active"] is True
    assert last(granted)["check"] == "target_admin"
    for target, check in (
        ("root", "target_admin"),
        ("nobody", "target"),
        (str(root.id), "target_admin"),
    ):
        found = explained(admin, id=source.record.id, sudo=target)
        assert (found["active"], last(found)["check"]) == (False, check)


@pytest.mark.parametrize("value", ["", " ", "a,b", "zoë", None, True, 1.5, ["alice"], {"id": 2}])
def test_a_sudo_that_cannot_be_read_is_explained_not_refused(
    admin: Api, store: Store, root: UserRecord, value: object
) -> None:
    source = make_token(store, root, ("sudo",))
    found = explained(admin, id=source.record.id, sudo=value)
    assert (found["active"], last(found)["check"]) == (False, "sudo")


def test_an_integer_names_a_user(
    admin: Api, store: Store, root: UserRecord, alice: UserRecord
) -> None:
    source = make_token(store, root, ("sudo",))
    assert explained(admin, id=source.record.id, sudo=alice.id)["active"] is True


def test_a_reason_counts_where_one_is_required(
    with_settings: Callable[..., Api], store: Store, root: UserRecord, alice: UserRecord
) -> None:
    source = make_token(store, root, ("api", "sudo"))
    api = with_settings(source.secret, sudo_reason_required=True)
    assert last(explained(api, id=source.record.id, sudo="alice"))["check"] == "reason"
    found = explained(api, id=source.record.id, sudo="alice", sudo_reason="ticket 12")
    assert found["active"] is True


def test_the_sudo_is_asked_about_and_not_used(
    admin: Api, store: Store, root: UserRecord, alice: UserRecord
) -> None:
    source = make_token(store, root, ("sudo",))
    before = contents(store)
    for target in ("alice", "root"):
        answer = admin.post(PATH, json={"token": source.secret, "sudo": target})
        assert "Tokensrv-Actor" not in answer.headers
    in_url = admin.post(f"{PATH}?sudo=alice", json={"id": source.record.id})
    assert (in_url.status_code, in_url.json["active"]) == (200, True)
    admin.client.application.extensions["tokensrv_usage"].flush()
    after = contents(store)
    # Only the token with which was asked has been used.
    assert after["event"] == before["event"]
    changed = set(after["token"]) - set(before["token"])
    assert source.record.id not in {row[0] for row in changed}


@pytest.mark.parametrize("value", ["alice", "", "a,b"])
@pytest.mark.parametrize("asking", ["admin", "user"])
def test_refuses_the_header_sudo(
    request: pytest.FixtureRequest, asking: str, token: NewToken, value: str
) -> None:
    api: Api = request.getfixturevalue(asking)
    answer = api.post(PATH, json={"token": token.secret}, headers={"Sudo": value})
    assert answer.status_code == 400
    assert answer.json["error"] == "invalid_request"


def test_a_dead_credential_comes_before_the_header(anonymous: Api, token: NewToken) -> None:
    api = anonymous.holding(mint("ts", Kind.PERSONAL))
    answer = api.post(PATH, json={"token": token.secret}, headers={"Sudo": "alice"})
    assert answer.status_code == 401


def test_speaks_for_a_client(user: Api, store: Store, alice: UserRecord) -> None:
    one, other = (make_client(store, name).record.client_id for name in ("one", "other"))
    token = make_token(store, alice, audience=(one,))
    assert explained(user, id=token.record.id)["active"] is True
    assert explained(user, id=token.record.id, client_id=one)["active"] is True
    found = explained(user, id=token.record.id, client_id=other)
    assert (found["active"], last(found)["check"]) == (False, "audience")
    clients.disable(store, COMMAND_LINE, one)
    found = explained(user, id=token.record.id, client_id=one)
    assert (found["active"], last(found)["check"]) == (False, "client_enabled")


def test_an_unknown_client_is_a_fault_of_the_question(user: Api, token: NewToken) -> None:
    for client_id in ("", "nobody"):
        answer = user.post(PATH, json={"id": token.record.id, "client_id": client_id})
        assert answer.status_code == 400
        assert answer.json == {"error": "client_id does not have a valid value"}


def test_names_the_scopes_that_are_missing(user: Api, token: NewToken) -> None:
    found = explained(user, id=token.record.id, scope="read_user write_registry")
    assert last(found) == {
        "check": "wanted",
        "passed": False,
        "detail": "It does not hold: write_registry.",
    }
    assert explained(user, id=token.record.id, scope="read_user")["active"] is True


def test_says_when_it_expired(
    admin: Api, store: Store, alice: UserRecord, clock: ManualClock
) -> None:
    token = make_token(store, alice, expires_on=date(2026, 3, 11)).record
    clock.advance(seconds=12 * 3600)
    assert last(explained(admin, id=token.id)) == {
        "check": "expired",
        "passed": False,
        "detail": "It expired at 2026-03-11T00:00:00.000Z.",
    }


def test_says_what_became_of_the_source_of_an_exchanged_token(
    admin: Api, store: Store, root: UserRecord, alice: UserRecord
) -> None:
    source = make_token(store, root, ("api", "sudo"))
    exchanged = make_exchanged(store, source, alice)
    assert last(explained(admin, id=exchanged.record.id)) == {
        "check": "source",
        "passed": True,
        "detail": f"Token {source.record.id} of root, for which it was exchanged, would still get"
        " it.",
    }
    tokens.revoke(store, COMMAND_LINE, source.record.id)
    assert last(explained(admin, id=exchanged.record.id)) == {
        "check": "source",
        "passed": False,
        "detail": "What it was exchanged for does not count any more. Of its source, token"
        f" {source.record.id}: It was revoked; the event log says by whom.",
    }


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "token, id are missing, exactly one parameter must be provided"),
        ({"sudo": "alice"}, "token, id are missing, exactly one parameter must be provided"),
        ({"token": "x", "id": 1}, "token, id are mutually exclusive"),
        ({"token": 7}, "token is invalid"),
        ({"token": None}, "token is invalid"),
        ({"id": "x"}, "id is invalid"),
        ({"id": -1}, "id is invalid"),
        ({"id": 1, "scope": ["api"]}, "scope is invalid"),
        ({"id": 1, "client_id": 5}, "client_id is invalid"),
    ],
    ids=str,
)
def test_a_question_that_makes_no_sense_is_refused(
    user: Api, body: dict[str, Any], problem: str
) -> None:
    answer = user.post(PATH, json=body)
    assert (answer.status_code, answer.json) == (400, {"error": problem})


def test_a_parameter_given_twice_is_refused(user: Api, token: NewToken) -> None:
    answer = user.post(f"{PATH}?sudo=alice", json={"id": token.record.id, "sudo": "alice"})
    assert (answer.status_code, answer.json) == (400, {"error": "sudo is invalid"})


def test_asking_costs_one_read_for_the_caller_and_one_for_the_token(
    user: Api, token: NewToken, query_recorder: QueryRecorder
) -> None:
    user.post(PATH, json={"token": token.secret})
    query_recorder.clear()
    user.post(PATH, json={"token": token.secret, "sudo": "root"})
    assert len(query_recorder.selects) == 2
    assert query_recorder.writes == []
