from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.conftest import START, ManualClock
from tests.factories import make_client, make_exchanged, make_token, make_user
from tests.services.conftest import failing
from tests.services.gates.conftest import ELSEWHERE, HERE, Porch, visit_of
from tokensrv.clock import midnight
from tokensrv.domain.caller import Check
from tokensrv.domain.gates import Entry, NoEntry, Obstacle
from tokensrv.domain.secret import Kind, mint
from tokensrv.errors import StorageUnavailable
from tokensrv.models import Token
from tokensrv.services.account.throttle import TOKEN
from tokensrv.services.directory import user_states
from tokensrv.services.gates import entry
from tokensrv.services.lifecycle import tokens
from tokensrv.services.lifecycle.token_values import TokenChanges
from tokensrv.services.records import NewToken, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE


@pytest.fixture
def alice(porch: Porch) -> UserRecord:
    return make_user(porch.store)


def refused(found: Entry | NoEntry) -> NoEntry:
    assert isinstance(found, NoEntry)
    return found


def let_in(found: Entry | NoEntry) -> Entry:
    assert isinstance(found, Entry), found
    return found


def is_used(porch: Porch, token: NewToken) -> bool:
    porch.usage.flush()
    with porch.store.read() as session:
        return session.get_one(Token, token.record.id).last_used_at is not None


def test_a_good_token_enters_and_was_used(porch: Porch, alice: UserRecord) -> None:
    token = make_token(porch.store, alice, ("read_api",))
    caller = let_in(porch.come(token.secret, scopes=("read_user", "read_api"))).caller
    assert (caller.actor.username, caller.subject.username) == ("alice", "alice")
    assert (caller.scopes, caller.is_sudo) == (("read_api",), False)
    assert porch.events() == []
    assert (is_used(porch, token), porch.counted("entered")) == (True, 1)


def revoked(porch: Porch, token: NewToken) -> NewToken:
    tokens.revoke(porch.store, COMMAND_LINE, token.record.id)
    return token


def of_revoked(porch: Porch, alice: UserRecord) -> NewToken:
    source = make_token(porch.store, alice)
    found = make_exchanged(porch.store, source, alice)
    revoked(porch, source)
    return found


DEAD: dict[Check, Callable[[Porch, UserRecord], NewToken | str]] = {
    Check.UNKNOWN: lambda *_: mint("ts", Kind.PERSONAL),
    Check.AUDIENCE: lambda porch, alice: make_token(
        porch.store, alice, audience=(make_client(porch.store).record.client_id,)
    ),
    Check.EXPIRED: lambda porch, alice: make_token(
        porch.store, alice, expires_on=START.date() + timedelta(days=1)
    ),
    Check.REVOKED: lambda porch, alice: revoked(porch, make_token(porch.store, alice)),
    Check.NETWORK: lambda porch, alice: make_token(
        porch.store, alice, allowed_ips=("198.51.100.0/24",)
    ),
    Check.OWNER: lambda porch, _: make_token(
        porch.store, make_user(porch.store, "mallory"), name="of a blocked one"
    ),
    Check.SOURCE: of_revoked,
}


@pytest.mark.parametrize("check", DEAD)
def test_what_is_dead_elsewhere_is_dead_at_a_gate(
    porch: Porch, alice: UserRecord, clock: ManualClock, check: Check
) -> None:
    token = DEAD[check](porch, alice)
    if check is Check.OWNER:
        user_states.block(porch.store, COMMAND_LINE, alice.id + 1)
    if check is Check.EXPIRED:
        clock.set(midnight(START.date() + timedelta(days=1)))
    secret = token if isinstance(token, str) else token.secret
    found = refused(porch.come(secret))
    assert (found.check, found.is_forbidden, found.retry_after_seconds) == (check, False, 0)
    [event] = porch.events()
    assert (event.action, event.ip, event.request_id) == ("gate.refused", HERE, "request-1")
    assert event.data == {
        "gate": "auth",
        "check": check.value,
        "method": "GET",
        "path": "/files/7",
    }
    assert event.token_id == (None if isinstance(token, str) else token.record.id)
    assert porch.counted(check.value) == 1
    assert isinstance(token, str) or not is_used(porch, token)


def test_what_cannot_be_a_token_is_unknown(porch: Porch) -> None:
    assert refused(porch.come("garbage")).check is Check.UNKNOWN


def test_a_good_token_without_the_scopes_is_refused_but_was_used(
    porch: Porch, alice: UserRecord
) -> None:
    token = make_token(porch.store, alice, ("read_user",))
    found = refused(porch.come(token.secret, scopes=("read_user", "api", "deploy")))
    assert (found.check, found.is_forbidden) == (Check.WANTED, True)
    assert found.missing == ("api", "deploy")
    [event] = porch.events()
    assert (event.actor, event.data["missing"]) == ("alice", "api deploy")
    assert is_used(porch, token)


@pytest.mark.parametrize("scope", ["sudo", "introspect", "self_rotate"])
def test_a_token_that_opens_nothing_opens_no_gate_that_is_told_no_scope(
    porch: Porch, root: UserRecord, scope: str
) -> None:
    found = refused(porch.come(make_token(porch.store, root, (scope,)).secret))
    assert (found.check, found.is_forbidden) == (Check.WANTED, True)


@pytest.mark.parametrize(
    ("granted", "effective"), [(("sudo",), ("api",)), (("read_api", "sudo"), ("read_api",))]
)
def test_an_admin_enters_as_somebody_else_once_that_is_on_record(
    porch: Porch,
    root: UserRecord,
    alice: UserRecord,
    granted: tuple[str, ...],
    effective: tuple[str, ...],
) -> None:
    token = make_token(porch.store, root, granted)
    caller = let_in(porch.come(token.secret, sudo="ALICE")).caller
    assert (caller.actor.username, caller.subject.username) == ("root", "alice")
    assert (caller.is_sudo, caller.scopes) == (True, effective)
    [event] = porch.events()
    assert (event.action, event.actor, event.subject) == ("sudo.used", "root", "alice")
    assert event.data == {"gate": "auth", "method": "GET", "path": "/files/7"}


def test_a_sudo_is_an_event_once_a_minute_and_counted_after_it(
    porch: Porch, root: UserRecord, alice: UserRecord, clock: ManualClock
) -> None:
    secret = make_token(porch.store, root, ("sudo",)).secret
    for _ in range(3):
        let_in(porch.come(secret, sudo="alice"))
    assert [event.action for event in porch.events()] == ["sudo.used"]
    clock.advance(seconds=60)
    porch.usage.flush()
    let_in(porch.come(secret, sudo="alice"))
    found = [(event.action, event.data.get("count")) for event in porch.events()]
    assert found == [("sudo.used", None), ("sudo.counted", 2), ("sudo.used", None)]


SUDO = [
    pytest.param("alice", ("api",), "bob", Check.ADMIN, id="no admin"),
    pytest.param("root", ("api",), "alice", Check.SCOPE, id="no scope"),
    pytest.param("root", ("api", "sudo"), "nobody", Check.TARGET, id="nobody"),
    pytest.param("root", ("api", "sudo"), "root", Check.TARGET_ADMIN, id="an admin"),
    pytest.param("root", ("api", "sudo"), "bob", Check.TARGET_STATE, id="a blocked user"),
]


@pytest.mark.parametrize(("who", "scopes", "sudo", "check"), SUDO)
def test_a_refused_sudo_is_an_event_of_its_own_the_first_time(
    porch: Porch,
    root: UserRecord,
    alice: UserRecord,
    who: str,
    scopes: tuple[str, ...],
    sudo: str,
    check: Check,
) -> None:
    bob = make_user(porch.store, "bob")
    user_states.block(porch.store, COMMAND_LINE, bob.id)
    token = make_token(porch.store, {"root": root, "alice": alice}[who], scopes)
    for _ in range(2):
        found = refused(porch.come(token.secret, sudo=sudo))
        assert (found.check, found.is_sudo, found.is_forbidden) == (check, True, True)
    [event] = porch.events()
    assert (event.action, event.actor, event.data["check"]) == ("sudo.refused", who, check.value)
    assert (event.data["path"], event.data["target"]) == ("/files/7", sudo)
    assert event.data["gate"] == "auth"


def test_a_sudo_that_cannot_be_read_is_refused_and_recorded(porch: Porch, root: UserRecord) -> None:
    secret = make_token(porch.store, root, ("api", "sudo")).secret
    found = refused(porch.come(secret, sudo=""))
    assert (found.check, found.is_forbidden) == (Check.SUDO, True)
    [event] = porch.events()
    assert (event.action, event.actor, event.data["check"]) == ("gate.refused", "root", "sudo")


def test_an_admin_who_is_none_any_more_keeps_what_is_no_admins(
    porch: Porch, root: UserRecord, alice: UserRecord
) -> None:
    user_states.promote(porch.store, COMMAND_LINE, alice.id)
    token = make_token(porch.store, alice, ("api", "sudo"))
    make_user(porch.store, "bob")
    user_states.demote(porch.store, COMMAND_LINE, alice.id)
    assert let_in(porch.come(token.secret)).caller.scopes == ("api",)
    assert refused(porch.come(token.secret, sudo="bob")).check is Check.ADMIN


def test_an_exchanged_token_says_who_really_acts(
    porch: Porch, root: UserRecord, alice: UserRecord
) -> None:
    source = make_token(porch.store, root, ("api", "sudo"))
    caller = let_in(porch.come(make_exchanged(porch.store, source, alice).secret)).caller
    assert (caller.actor.username, caller.subject.username) == ("root", "alice")
    assert [event.action for event in porch.events()] == ["sudo.used"]


def test_a_token_that_was_only_made_narrower_is_its_owners(porch: Porch, alice: UserRecord) -> None:
    source = make_token(porch.store, alice)
    narrower = make_exchanged(porch.store, source, alice, ("read_user",))
    caller = let_in(porch.come(narrower.secret)).caller
    assert (caller.is_sudo, caller.scopes) == (False, ("read_user",))
    assert porch.events() == []


def test_an_exchanged_token_cannot_sudo(porch: Porch, root: UserRecord, alice: UserRecord) -> None:
    make_user(porch.store, "bob")
    source = make_token(porch.store, root, ("api", "sudo"))
    secret = make_exchanged(porch.store, source, alice).secret
    found = refused(porch.come(secret, sudo="bob"))
    assert (found.check, found.is_sudo) == (Check.ADMIN, True)


def test_the_source_of_an_exchanged_token_must_open_the_gate_as_well(
    porch: Porch, alice: UserRecord
) -> None:
    client_id = make_client(porch.store).record.client_id
    source = make_token(porch.store, alice, audience=(client_id,))
    found = refused(porch.come(make_exchanged(porch.store, source, alice).secret))
    assert found.check is Check.AUDIENCE


CHANGES: dict[Check, Callable[[Porch, UserRecord, NewToken], Any]] = {
    Check.REVOKED: lambda porch, _, token: revoked(porch, token),
    Check.ADMIN: lambda porch, root, _: user_states.demote(porch.store, COMMAND_LINE, root.id),
}


@pytest.mark.parametrize("check", CHANGES)
def test_what_changes_while_a_sudo_is_recorded_counts(
    porch: Porch, root: UserRecord, alice: UserRecord, check: Check
) -> None:
    make_token(porch.store, root)
    user_states.promote(porch.store, COMMAND_LINE, make_user(porch.store, "carol").id)
    token = make_token(porch.store, root, ("api", "sudo"))
    visit = visit_of(sudo="alice")
    facts = entry.facts_of(porch.lookup, visit, token.secret)
    CHANGES[check](porch, root, token)
    found = refused(entry.decide(porch.store, porch.usage, facts, visit))
    assert found.check is check
    action = "sudo.refused" if found.is_sudo else "gate.refused"
    assert [event.action for event in porch.events()] == [action]


def test_what_is_cut_from_a_token_while_a_sudo_is_recorded_opens_nothing(
    porch: Porch, root: UserRecord, alice: UserRecord
) -> None:
    token = make_token(porch.store, root, ("api", "sudo", "introspect"))
    visit = visit_of(sudo="alice")
    facts = entry.facts_of(porch.lookup, visit, token.secret)
    changes = TokenChanges(scopes=("sudo", "introspect"))
    tokens.change(porch.store, COMMAND_LINE, token.record.id, changes)
    found = refused(entry.decide(porch.store, porch.usage, facts, visit))
    assert found.check is Check.WANTED


@pytest.mark.parametrize(
    ("secret", "sudo"),
    [pytest.param("admin", "alice", id="a sudo"), pytest.param("none", None, id="a refusal")],
)
def test_what_cannot_be_recorded_is_not_answered(
    porch: Porch, root: UserRecord, alice: UserRecord, secret: str, sudo: str | None
) -> None:
    token = make_token(porch.store, root, ("api", "sudo"))
    shown = token.secret if secret == "admin" else mint("ts", Kind.PERSONAL)
    with failing(porch.store, "INSERT"), pytest.raises(StorageUnavailable):
        porch.come(shown, sudo=sudo)
    assert (porch.events(), is_used(porch, token)) == ([], False)
    # Nothing was taken for written that is not.
    porch.come(shown, sudo=sudo)
    assert len(porch.events()) == 1


def test_unknown_tokens_are_limited_by_where_they_come_from_and_good_ones_never(
    throttled: Porch,
) -> None:
    alice = make_user(throttled.store)
    good = make_token(throttled.store, alice).secret
    unknown = mint("ts", Kind.PERSONAL)
    found = [refused(throttled.come(unknown)) for _ in range(TOKEN.count + 2)]
    assert [one.check for one in found] == [Check.UNKNOWN] * TOKEN.count + [Obstacle.TOO_MANY] * 2
    assert (found[-1].is_forbidden, found[-1].retry_after_seconds) == (True, 15 * 60)
    let_in(throttled.come(good))
    assert refused(throttled.come(unknown, ip=ELSEWHERE)).check is Check.UNKNOWN
    checks = [(event.data["check"], event.ip) for event in throttled.events()]
    assert checks == [("unknown", HERE), ("too_many", HERE), ("unknown", ELSEWHERE)]


def test_a_known_token_that_is_dead_costs_its_network_nothing(throttled: Porch) -> None:
    alice = make_user(throttled.store)
    dead = revoked(throttled, make_token(throttled.store, alice)).secret
    found = [refused(throttled.come(dead)).check for _ in range(TOKEN.count + 1)]
    assert found == [Check.REVOKED] * (TOKEN.count + 1)
