from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.conftest import START, ManualClock, QueryRecorder
from tests.factories import make_admin, make_client, make_token, make_user
from tests.services.conftest import contents, events_of, failing
from tokensrv import lookup
from tokensrv.clock import midnight
from tokensrv.db import Store
from tokensrv.domain.caller import InvalidSudo, SudoAsk
from tokensrv.domain.introspection import Answer, Question
from tokensrv.domain.secret import token_digest
from tokensrv.domain.usernames import target
from tokensrv.errors import StorageUnavailable
from tokensrv.services import introspection
from tokensrv.services.directory import user_states, users
from tokensrv.services.lifecycle import rotation, tokens
from tokensrv.services.metering.metrics import Metrics
from tokensrv.services.records import NewClient, NewToken, UserRecord
from tokensrv.services.reports.tallies import Tallies, counted
from tokensrv.services.trail.events import COMMAND_LINE, Origin
from tokensrv.services.trail.usage import Usage

TODAY = START.date()
WHERE = {"method": "POST", "path": "/oauth/introspect"}

Ask = Callable[..., Answer]


@pytest.fixture
def service(store: Store) -> NewClient:
    return make_client(store, allow=("sudo",))


@pytest.fixture
def alice(store: Store, root: UserRecord) -> UserRecord:
    return make_user(store)


@pytest.fixture
def token(store: Store, alice: UserRecord) -> NewToken:
    return make_token(store, alice, ("api",), expires_on=TODAY + timedelta(days=1))


@pytest.fixture
def ask(store: Store, usage: Usage, service: NewClient) -> Ask:
    """Ask about a secret as the edge does: one lookup, then the verb."""

    def introspect(
        secret: str,
        question: Question | None = None,
        *,
        client: NewClient | None = service,
    ) -> Answer:
        question = question or Question()
        named = question.ask.target if isinstance(question.ask, SudoAsk) else None
        client_id = None if client is None else client.record.client_id
        facts = lookup.build(store).find(
            client_id=client_id, digest=token_digest(secret), target=named
        )
        origin = Origin(ip="192.0.2.7", request_id="request-1", client_id=client_id)
        return introspection.introspect(store, usage, facts, question, origin, **WHERE)

    return introspect


def _sudo(name: str, reason: str | None = None, **more: Any) -> Question:
    return Question(SudoAsk(target(name), reason), **more)


@pytest.mark.rfc7662("2.2")
def test_an_active_token_is_described(
    ask: Ask, service: NewClient, token: NewToken, alice: UserRecord
) -> None:
    created, end = int(START.timestamp()), int(midnight(TODAY + timedelta(days=1)).timestamp())
    assert ask(token.secret) == {
        "active": True,
        "scope": "api",
        "client_id": service.record.client_id,
        "username": "alice",
        "token_type": "Bearer",
        "exp": end,
        "iat": created,
        "nbf": created,
        "sub": str(alice.id),
        "iss": "http://127.0.0.1:8000",
        "jti": str(token.record.id),
        "expires_in": end - created,
    }


def test_asking_is_a_use_of_the_token(
    store: Store, usage: Usage, ask: Ask, token: NewToken
) -> None:
    ask(token.secret, Question(remote_ip="198.51.100.1"))
    usage.flush()
    record = tokens.get(store, None, token.record.id)
    assert (record.last_used_at, record.last_used_ips) == (START, ("198.51.100.1",))


def _revoke(store: Store, token: NewToken, _clock: ManualClock) -> None:
    tokens.revoke(store, COMMAND_LINE, token.record.id)


def _rotate(store: Store, token: NewToken, _clock: ManualClock) -> None:
    rotation.rotate(store, COMMAND_LINE, token.record.id)


def _expire(_store: Store, _token: NewToken, clock: ManualClock) -> None:
    clock.set(midnight(TODAY + timedelta(days=1)))


def _state(verb: Callable[..., Any]) -> Callable[..., None]:
    return lambda store, token, _clock: verb(store, COMMAND_LINE, token.record.user_id)


def _other_audience(store: Store, token: NewToken, _clock: ManualClock) -> None:
    other = make_client(store, "other").record.client_id
    changes = tokens.TokenChanges(audience=(other,))
    tokens.change(store, COMMAND_LINE, token.record.id, changes)


@pytest.mark.rfc7662("2.2")
@pytest.mark.parametrize(
    "strike",
    [
        pytest.param(_revoke, id="revoked"),
        pytest.param(_rotate, id="rotated"),
        pytest.param(_expire, id="expired"),
        pytest.param(_state(user_states.block), id="owner blocked"),
        pytest.param(_state(user_states.deactivate), id="owner deactivated"),
        pytest.param(_state(user_states.ban), id="owner banned"),
        pytest.param(_state(users.delete), id="owner deleted"),
        pytest.param(_other_audience, id="for another client"),
    ],
)
def test_an_inactive_token_is_the_same_whatever_the_reason(
    store: Store,
    usage: Usage,
    clock: ManualClock,
    ask: Ask,
    token: NewToken,
    strike: Callable[..., None],
) -> None:
    assert ask(token.secret)["active"]
    usage.flush()
    strike(store, token, clock)
    clock.advance(seconds=1)
    before = contents(store)
    assert ask(token.secret) == {"active": False}
    usage.flush()
    assert contents(store) == before


def test_a_secret_that_is_almost_right_is_inactive(ask: Ask, token: NewToken) -> None:
    secret = token.secret
    flipped = secret[:-1] + ("0" if secret[-1] != "0" else "1")
    for wrong in (secret[:-1], secret[1:], secret + "0", secret.swapcase(), flipped, ""):
        assert ask(wrong) == {"active": False}


def test_a_clients_own_secret_is_no_token(ask: Ask, service: NewClient) -> None:
    assert ask(service.secret) == {"active": False}


def test_the_last_millisecond_counts(ask: Ask, token: NewToken, clock: ManualClock) -> None:
    clock.set(midnight(TODAY + timedelta(days=1)) - timedelta(milliseconds=1))
    assert ask(token.secret)["active"]
    clock.advance(seconds=0.001)
    assert ask(token.secret) == {"active": False}


@pytest.mark.parametrize(
    ("wanted", "is_active"),
    [
        pytest.param(("read_user",), True, id="contained"),
        pytest.param(("api", "write_registry"), True, id="both"),
        pytest.param(("read_user", "sudo"), False, id="one is missing"),
        pytest.param(("nope",), False, id="unknown"),
    ],
)
def test_wanted_scopes_must_all_be_held(
    ask: Ask, token: NewToken, wanted: tuple[str, ...], is_active: bool
) -> None:
    assert ask(token.secret, Question(scopes=wanted))["active"] is is_active


def test_a_limited_client_sees_its_scopes_alone(store: Store, ask: Ask, token: NewToken) -> None:
    limited = make_client(store, "limited", scopes=("read_registry", "sudo"))
    assert ask(token.secret, client=limited)["scope"] == "read_registry"
    nothing = make_client(store, "nothing", scopes=())
    assert ask(token.secret, client=nothing)["scope"] == ""
    assert ask(token.secret, Question(scopes=("read_user",)), client=limited) == {"active": False}


def test_the_command_line_asks_as_no_client(store: Store, ask: Ask, token: NewToken) -> None:
    _other_audience(store, token, ManualClock(START))
    answer = ask(token.secret, client=None)
    assert answer["active"]
    assert "client_id" not in answer


def test_a_sudo_is_recorded_and_told(
    store: Store, usage: Usage, ask: Ask, root: UserRecord, alice: UserRecord, service: NewClient
) -> None:
    admins = make_token(store, root, ("read_user", "sudo"))
    answer = ask(admins.secret, _sudo("ALICE", "ticket 12"))
    assert (answer["sub"], answer["username"], answer["scope"]) == (
        str(alice.id),
        "alice",
        "read_user",
    )
    assert answer["act"] == {
        "sub": str(root.id),
        "username": "root",
        "jti": str(admins.record.id),
    }
    row = events_of(store)[-1]
    assert (row.action, row.actor, row.subject) == ("sudo.used", "root", "alice")
    assert (row.client_id, row.reason) == (service.record.client_id, "ticket 12")
    usage.flush()
    assert tokens.get(store, None, admins.record.id).last_used_at == START


def test_a_token_that_holds_sudo_alone_shows_it_and_acts_with_api(
    store: Store, ask: Ask, root: UserRecord, alice: UserRecord
) -> None:
    secret = make_token(store, root, ("sudo",)).secret
    assert ask(secret)["scope"] == "sudo"
    assert ask(secret, _sudo("alice"))["scope"] == "api"


def test_a_sudo_that_cannot_be_recorded_is_not_answered(
    store: Store, ask: Ask, root: UserRecord, alice: UserRecord
) -> None:
    secret = make_token(store, root, ("api", "sudo")).secret
    with failing(store, "INSERT INTO event "), pytest.raises(StorageUnavailable):
        ask(secret, _sudo("alice"))


@pytest.mark.parametrize(
    ("name", "scopes", "check"),
    [
        pytest.param("nobody", ("api", "sudo"), "target", id="nobody"),
        pytest.param("blocked", ("api", "sudo"), "target_state", id="a blocked user"),
        pytest.param("other", ("api", "sudo"), "target_admin", id="an admin"),
        pytest.param("root", ("api", "sudo"), "target_admin", id="himself"),
        pytest.param("alice", ("api",), "scope", id="without the scope"),
    ],
)
def test_a_refused_sudo_is_inactive_and_its_reason_stands_in_the_log_alone(
    store: Store,
    ask: Ask,
    root: UserRecord,
    alice: UserRecord,
    name: str,
    scopes: tuple[str, ...],
    check: str,
) -> None:
    make_admin(store, "other")
    user_states.block(store, COMMAND_LINE, make_user(store, "blocked").id)
    secret = make_token(store, root, scopes).secret
    assert ask(secret, _sudo(name)) == {"active": False}
    row = events_of(store)[-1]
    assert (row.action, row.data["check"]) == ("sudo.refused", check)
    assert events_of(store, "sudo.used") == []


def test_a_user_cannot_sudo(store: Store, ask: Ask, token: NewToken) -> None:
    make_user(store, "carol")
    assert ask(token.secret, _sudo("carol")) == {"active": False}
    assert events_of(store)[-1].data["check"] == "admin"


def test_a_client_asks_about_sudo_only_if_it_may(
    store: Store, ask: Ask, root: UserRecord, alice: UserRecord
) -> None:
    secret = make_token(store, root, ("api", "sudo")).secret
    plain = make_client(store, "plain")
    assert ask(secret, _sudo("alice"), client=plain) == {"active": False}
    assert events_of(store)[-1].data["check"] == "client"
    assert ask(secret, client=plain)["active"]


def test_a_sudo_that_cannot_be_read_is_inactive_and_no_event(
    store: Store, ask: Ask, root: UserRecord
) -> None:
    secret = make_token(store, root, ("api", "sudo")).secret
    before = contents(store)
    assert ask(secret, Question(InvalidSudo())) == {"active": False}
    assert contents(store) == before


def test_a_sudo_about_a_token_for_another_client_is_not_used(
    store: Store, ask: Ask, root: UserRecord, alice: UserRecord
) -> None:
    admins = make_token(store, root, ("api", "sudo"))
    _other_audience(store, admins, ManualClock(START))
    assert ask(admins.secret, _sudo("alice")) == {"active": False}
    assert events_of(store, "sudo.used") == []


def test_wanted_scopes_are_those_under_sudo(
    store: Store, ask: Ask, root: UserRecord, alice: UserRecord
) -> None:
    secret = make_token(store, root, ("read_user", "sudo")).secret
    assert ask(secret, _sudo("alice", scopes=("sudo",))) == {"active": False}
    assert events_of(store, "sudo.used") == []
    assert ask(secret, _sudo("alice", scopes=("read_user",)))["active"]


def test_power_that_ends_between_lookup_and_record_is_inactive_and_refused(
    store: Store, usage: Usage, root: UserRecord, alice: UserRecord, service: NewClient
) -> None:
    secret = make_token(store, root, ("api", "sudo")).secret
    question = _sudo("alice")
    facts = lookup.build(store).find(
        client_id=service.record.client_id,
        digest=token_digest(secret),
        target=target("alice"),
    )
    user_states.block(store, COMMAND_LINE, alice.id)
    origin = Origin(client_id=service.record.client_id)
    answer = introspection.introspect(store, usage, facts, question, origin, **WHERE)
    assert answer == {"active": False}
    row = events_of(store)[-1]
    assert (row.action, row.data["check"]) == ("sudo.refused", "target_state")


@pytest.mark.rfc7662("2.2")
def test_asking_without_sudo_is_one_statement_and_no_write(
    ask: Ask, token: NewToken, query_recorder: QueryRecorder
) -> None:
    query_recorder.clear()
    assert ask(token.secret)["active"]
    assert len(query_recorder.statements) == 1
    query_recorder.clear()
    assert ask("tsp_" + "0" * 36) == {"active": False}
    assert query_recorder.writes == []


def test_a_repeated_sudo_within_the_minute_is_one_statement_too(
    store: Store, ask: Ask, root: UserRecord, alice: UserRecord, query_recorder: QueryRecorder
) -> None:
    secret = make_token(store, root, ("api", "sudo")).secret
    first = ask(secret, _sudo("alice"))
    query_recorder.clear()
    assert ask(secret, _sudo("alice")) == first
    assert len(query_recorder.statements) == 1


def test_an_instances_policy_may_let_admins_be_targets(
    store: Store, usage: Usage, ask: Ask, root: UserRecord
) -> None:
    make_admin(store, "other")
    secret = make_token(store, root, ("api", "sudo")).secret
    store.settings = dataclasses.replace(
        store.settings, sudo_admin_targets=True, sudo_reason_required=True
    )
    assert ask(secret, _sudo("other")) == {"active": False}
    assert events_of(store)[-1].data["check"] == "reason"
    for name in ("other", "root"):
        assert ask(secret, _sudo(name, "ticket 12"))["username"] == name


def test_where_only_dead_tokens_are_asked_about_the_counts_are_written_too(
    store: Store, service: NewClient
) -> None:
    metrics = Metrics()
    usage = Usage(store, tallies=Tallies(store, metrics), begins=lambda: began.append(True))
    began: list[bool] = []
    facts = lookup.build(store).find(client_id=service.record.client_id, digest=None)
    introspection.introspect(store, usage, facts, Question(), Origin(), metrics=metrics, **WHERE)
    assert began == [True]
    usage.close()
    (counted_once,) = counted(store, START)
    assert (counted_once.kind, counted_once.outcome) == ("introspection", "unknown")
    assert counted_once.count == 1


def test_a_sudo_that_a_client_asks_about_is_counted_as_one(
    store: Store, usage: Usage, root: UserRecord, alice: UserRecord, service: NewClient
) -> None:
    metrics = Metrics()
    secret = make_token(store, root, ("sudo",)).secret
    for name in ("alice", "alice", "root", "nobody"):
        question = Question(ask=SudoAsk(target(name)))
        facts = lookup.build(store).find(
            client_id=service.record.client_id,
            digest=token_digest(secret),
            target=target(name),
        )
        origin = Origin(client_id=service.record.client_id)
        introspection.introspect(store, usage, facts, question, origin, metrics=metrics, **WHERE)
    assert metrics.tallied() == {
        "introspection.active": 2,
        "introspection.target_admin": 1,
        "introspection.target": 1,
        "sudo.used": 2,
        "sudo.target_admin": 1,
        "sudo.target": 1,
    }
