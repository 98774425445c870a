from __future__ import annotations

import dataclasses
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.conftest import START, ManualClock
from tests.factories import (
    caller_of,
    make_admin,
    make_client,
    make_exchanged,
    make_token,
    make_user,
    origin_of,
)
from tests.services.conftest import at_once, contents, events_of
from tokensrv.clock import midnight
from tokensrv.db import Store
from tokensrv.domain import scopes
from tokensrv.domain.caller import Check, Refused
from tokensrv.domain.facts import TokenKind
from tokensrv.errors import (
    AlreadyRevoked,
    Forbidden,
    Invalid,
    LifetimeExceeded,
    NotFound,
    NotNarrower,
    ScopesNotHeld,
)
from tokensrv.services.directory import users
from tokensrv.services.lifecycle import tokens
from tokensrv.services.lifecycle.token_values import TokenChanges
from tokensrv.services.records import TokenRecord, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

TODAY = START.date()
TOMORROW = TODAY + timedelta(days=1)
WEEK = TODAY + timedelta(days=7)
LAST = TODAY + timedelta(days=365)
SCOPES = st.lists(st.sampled_from(sorted(scopes.BUILT_IN)), min_size=1, max_size=4, unique=True)


def _change(store: Store, token_id: int, **changes: object) -> TokenRecord:
    return tokens.change(store, COMMAND_LINE, token_id, TokenChanges(**changes))


def test_a_change_is_stored_and_recorded_with_what_it_changed(
    store: Store, root: UserRecord, clock: ManualClock
) -> None:
    token = make_token(store, root, ("api", "sudo"), description="old").record
    clock.advance(seconds=1)
    changed = _change(
        store, token.id, name="new", description=None, scopes=("read_api",), expires_on=WEEK
    )
    assert tokens.get(store, None, token.id) == changed
    assert (changed.name, changed.description, changed.scopes) == ("new", None, ("read_api",))
    assert changed.expires_at == midnight(WEEK)
    assert changed.updated_at == START + timedelta(seconds=1)
    row = events_of(store)[-1]
    assert (row.action, row.token_id) == ("token.changed", token.id)
    assert row.data["changed"] == {
        "name": "new",
        "description": None,
        "scopes": ["read_api"],
        "expires_at": "2026-03-17",
    }


def test_a_change_to_what_is_already_so_is_no_event(
    store: Store, root: UserRecord, clock: ManualClock
) -> None:
    token = make_token(store, root, expires_on=WEEK).record
    clock.advance(seconds=1)
    before = contents(store)
    unchanged = _change(store, token.id, name=token.name, scopes=token.scopes, expires_on=WEEK)
    assert unchanged == token
    assert contents(store) == before


@pytest.mark.parametrize(
    ("granted", "wanted"),
    [
        pytest.param(("api",), ("read_api", "self_rotate"), id="contained"),
        pytest.param(("api", "sudo"), ("api",), id="without sudo"),
        pytest.param(("api", "sudo"), ("sudo",), id="sudo alone acts with api, as before"),
        pytest.param(("write_repository",), ("read_repository",), id="read"),
        pytest.param(("read_user", "sudo"), ("sudo", "read_user"), id="another order"),
    ],
)
def test_scopes_may_become_fewer(
    store: Store, root: UserRecord, granted: tuple[str, ...], wanted: tuple[str, ...]
) -> None:
    token = make_token(store, root, granted).record
    assert _change(store, token.id, scopes=wanted).scopes == wanted


@pytest.mark.parametrize(
    ("granted", "wanted"),
    [
        pytest.param(("read_api",), ("api",), id="more"),
        pytest.param(("api",), ("api", "sudo"), id="sudo"),
        pytest.param(("read_user", "sudo"), ("sudo",), id="sudo alone would act with api"),
        pytest.param(("self_rotate", "sudo"), ("sudo",), id="self_rotate is nothing under sudo"),
        pytest.param(("introspect", "sudo"), ("sudo",), id="introspect is nothing under sudo"),
        pytest.param(("read_repository",), ("read_registry",), id="others"),
    ],
)
def test_scopes_never_become_more(
    store: Store, root: UserRecord, granted: tuple[str, ...], wanted: tuple[str, ...]
) -> None:
    token = make_token(store, root, granted).record
    before = contents(store)
    with pytest.raises(NotNarrower):
        _change(store, token.id, scopes=wanted)
    assert contents(store) == before


@examples(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(granted=SCOPES, wanted=SCOPES)
def test_no_change_of_scopes_gives_power_with_or_without_sudo(
    store: Store, granted: list[str], wanted: list[str]
) -> None:
    owner = users.find(store, "root") or make_admin(store)
    token = make_token(store, owner, tuple(granted)).record
    try:
        after = _change(store, token.id, scopes=tuple(wanted)).scopes
    except NotNarrower:
        after = token.scopes
    assert scopes.closure(after) <= scopes.closure(granted)
    if "sudo" in after:
        power = scopes.closure(scopes.under_sudo(tuple(granted)))
        assert scopes.closure(scopes.under_sudo(after)) <= power


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        pytest.param({"scopes": ()}, "scopes", id="no scopes"),
        pytest.param({"scopes": ("nope",)}, "scopes", id="unknown scope"),
        pytest.param({"name": ""}, "name", id="no name"),
        pytest.param({"name": "x" * 256}, "name", id="long name"),
        pytest.param({"description": "x" * 256}, "description", id="long description"),
        pytest.param({"audience": ("nobody",)}, "audience", id="unknown client"),
        pytest.param({"allowed_ips": ("here",)}, "allowed_ips", id="no address"),
        pytest.param({"expires_on": TODAY}, "expires_at", id="today"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(
    store: Store, root: UserRecord, changes: dict[str, object], field: str
) -> None:
    token = make_token(store, root).record
    with pytest.raises(Invalid) as refused:
        _change(store, token.id, **changes)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("old", "wanted", "error"),
    [
        pytest.param(None, LAST, None, id="an end for an endless one"),
        pytest.param(None, LAST + timedelta(days=1), LifetimeExceeded, id="beyond the maximum"),
        pytest.param(None, None, None, id="still endless"),
        pytest.param(WEEK, TOMORROW, None, id="earlier"),
        pytest.param(WEEK, WEEK, None, id="the same"),
        pytest.param(WEEK, WEEK + timedelta(days=1), NotNarrower, id="later"),
        pytest.param(WEEK, None, NotNarrower, id="endless"),
    ],
)
def test_the_end_only_comes_nearer(
    store: Store,
    root: UserRecord,
    old: date | None,
    wanted: date | None,
    error: type[Exception] | None,
) -> None:
    token = make_token(store, root, expires_on=old).record
    if error is None:
        assert _change(store, token.id, expires_on=wanted).expires_on == wanted
    else:
        with pytest.raises(error):
            _change(store, token.id, expires_on=wanted)
        assert tokens.get(store, None, token.id).expires_on == old


def test_an_audience_only_becomes_smaller(store: Store, root: UserRecord) -> None:
    one, two = (make_client(store, name).record.client_id for name in ("one", "two"))
    token = make_token(store, root).record
    assert _change(store, token.id, audience=(one, two, one)).audience == (one, two)
    assert _change(store, token.id, audience=(two,)).audience == (two,)
    for wider in ((), (one,), (one, two)):
        with pytest.raises(NotNarrower):
            _change(store, token.id, audience=wider)


@pytest.mark.parametrize(
    ("old", "wanted", "is_narrower"),
    [
        pytest.param((), ("192.0.2.7",), True, id="some out of none"),
        pytest.param(("10.0.0.0/8",), ("10.1.0.0/16", "10.2.0.1"), True, id="parts"),
        pytest.param(("10.0.0.0/8",), (), False, id="none out of some"),
        pytest.param(("10.0.0.0/8",), ("10.1.0.0/16", "192.0.2.7"), False, id="one more"),
        pytest.param(("10.0.0.0/8",), ("0.0.0.0/0",), False, id="a wider one"),
    ],
)
def test_an_allow_list_only_becomes_narrower(
    store: Store,
    root: UserRecord,
    old: tuple[str, ...],
    wanted: tuple[str, ...],
    is_narrower: bool,
) -> None:
    token = make_token(store, root, allowed_ips=old).record
    if is_narrower:
        assert _change(store, token.id, allowed_ips=wanted).allowed_ips == wanted
        assert events_of(store)[-1].data["changed"] == {"allowed_ips": list(wanted)}
    else:
        with pytest.raises(NotNarrower):
            _change(store, token.id, allowed_ips=wanted)


def test_from_elsewhere_nothing_is_done_although_it_was_decided_before(
    store: Store, root: UserRecord
) -> None:
    held, other = make_token(store, root), make_token(store, root)
    origin = origin_of(store, held.secret)
    _change(store, held.record.id, allowed_ips=("10.0.0.0/8",))
    before = contents(store)
    with pytest.raises(Refused) as refused:
        tokens.revoke(store, origin, other.record.id)
    assert refused.value.refusal.check is Check.NETWORK
    assert contents(store) == before


def test_a_revoked_token_is_not_changed(store: Store, root: UserRecord) -> None:
    token = make_token(store, root).record
    tokens.revoke(store, COMMAND_LINE, token.id)
    with pytest.raises(AlreadyRevoked):
        _change(store, token.id, name="new")


def test_nothing_is_changed_under_sudo(store: Store, root: UserRecord) -> None:
    token = make_token(store, make_user(store)).record
    origin = origin_of(store, make_token(store, root, ("sudo",)).secret, sudo="alice")
    with pytest.raises(Forbidden, match="Not allowed while using sudo"):
        tokens.change(store, origin, token.id, TokenChanges(name="new"))


def test_changes_at_once_are_all_applied(store: Store, root: UserRecord) -> None:
    token = make_token(store, root, ("api", "sudo")).record
    at_once(
        [
            lambda: _change(store, token.id, name="new"),
            lambda: _change(store, token.id, description="new"),
            lambda: _change(store, token.id, scopes=("read_api",)),
            lambda: _change(store, token.id, expires_on=WEEK),
        ]
    )
    changed = tokens.get(store, None, token.id)
    assert (changed.name, changed.description, changed.expires_on) == ("new", "new", WEEK)
    assert changed.scopes == ("read_api",)
    assert len(events_of(store, "token.changed")) == 4


@pytest.mark.parametrize("expires_on", [None, WEEK], ids=["endless", "expiring"])
def test_a_revoked_token_is_dead_for_good(
    store: Store, root: UserRecord, expires_on: date | None
) -> None:
    token = make_token(store, root, expires_on=expires_on)
    origin = origin_of(store, token.secret)
    tokens.revoke(store, origin, token.record.id, reason="lost")
    record = tokens.get(store, None, token.record.id)
    assert (record.is_revoked, record.is_active, record.revoked_at) == (True, False, START)
    row = events_of(store)[-1]
    assert (row.action, row.token_id, row.reason) == ("token.revoked", token.record.id, "lost")
    with pytest.raises(Refused) as refused:
        tokens.revoke(store, origin, token.record.id)
    assert refused.value.refusal.check is Check.REVOKED


def test_revoking_again_succeeds_and_is_no_second_event(
    store: Store, root: UserRecord, clock: ManualClock
) -> None:
    token = make_token(store, root).record
    tokens.revoke(store, COMMAND_LINE, token.id)
    clock.advance(seconds=1)
    before = contents(store)
    tokens.revoke(store, COMMAND_LINE, token.id)
    assert contents(store) == before


def test_many_revocations_at_once_are_one_event(store: Store, root: UserRecord) -> None:
    token = make_token(store, root).record
    assert at_once([lambda: tokens.revoke(store, COMMAND_LINE, token.id)] * 8) == [None] * 8
    assert len(events_of(store, "token.revoked")) == 1


def test_under_sudo_the_targets_tokens_can_be_revoked_and_only_his(
    store: Store, root: UserRecord
) -> None:
    alices = make_token(store, make_user(store)).record
    secret = make_token(store, root, ("api", "sudo"))
    foreign = make_token(store, make_user(store, "carol")).record
    origin = origin_of(store, secret.secret, sudo="alice")
    tokens.revoke(store, origin, alices.id)
    assert tokens.get(store, None, alices.id).is_revoked
    for other in (foreign.id, secret.record.id):
        with pytest.raises(NotFound):
            tokens.revoke(store, origin, other)


@pytest.mark.parametrize("is_admin", [True, False], ids=["an admin's", "a user's"])
def test_an_impersonation_token_cannot_revoke_itself(
    store: Store, root: UserRecord, is_admin: bool
) -> None:
    owner = root if is_admin else make_user(store)
    token = make_token(store, owner, kind=TokenKind.IMPERSONATION)
    with pytest.raises(Forbidden):
        tokens.revoke(store, origin_of(store, token.secret), token.record.id)
    assert tokens.get(store, None, token.record.id).is_active


def test_an_owner_sees_neither_foreign_tokens_nor_those_that_impersonate_him(
    store: Store, root: UserRecord
) -> None:
    alice = make_user(store)
    own = make_token(store, alice)
    caller = caller_of(store, own.secret)
    hidden = make_token(store, alice, kind=TokenKind.IMPERSONATION).record
    foreign = make_token(store, root).record
    assert tokens.get(store, caller, own.record.id).id == own.record.id
    for token_id in (hidden.id, foreign.id, 2**63 - 1):
        with pytest.raises(NotFound):
            tokens.get(store, caller, token_id)
        with pytest.raises(NotFound):
            tokens.revoke(store, origin_of(store, own.secret), token_id)
        with pytest.raises(NotFound):
            tokens.change(store, origin_of(store, own.secret), token_id, TokenChanges(name="mine"))


def test_an_admin_sees_all(store: Store, root: UserRecord) -> None:
    alice = make_user(store)
    source = make_token(store, root, ("api", "sudo"))
    caller = caller_of(store, source.secret)
    for token in (
        make_token(store, alice),
        make_token(store, alice, kind=TokenKind.IMPERSONATION),
        make_exchanged(store, source, alice),
    ):
        assert tokens.get(store, caller, token.record.id) == token.record


def test_the_presented_token_shows_itself_even_one_that_is_hidden(
    store: Store, root: UserRecord
) -> None:
    token = make_token(store, make_user(store), kind=TokenKind.IMPERSONATION)
    assert tokens.get_own(store, caller_of(store, token.secret)).id == token.record.id


def test_the_presented_token_is_unknown_once_its_owner_was_deleted(
    store: Store, root: UserRecord
) -> None:
    alice = make_user(store)
    caller = caller_of(store, make_token(store, alice).secret)
    users.delete(store, COMMAND_LINE, alice.id)
    with pytest.raises(Refused) as refused:
        tokens.get_own(store, caller)
    assert refused.value.refusal.check is Check.UNKNOWN


def test_under_sudo_the_presented_token_is_the_admins(store: Store, root: UserRecord) -> None:
    make_user(store)
    token = make_token(store, root, ("sudo",))
    caller = caller_of(store, token.secret, sudo="alice")
    assert tokens.get_own(store, caller).id == token.record.id


def test_a_token_is_found_by_its_secret_in_any_state(store: Store, root: UserRecord) -> None:
    token = make_token(store, root)
    tokens.revoke(store, COMMAND_LINE, token.record.id)
    found = tokens.find_by_secret(store, token.secret)
    assert found is not None
    assert (found.id, found.is_revoked) == (token.record.id, True)


@pytest.mark.parametrize("secret", ["", "tsp_", "ü", "\0", "\ud800", "x" * 10_000])
def test_what_is_no_secret_finds_nothing(store: Store, root: UserRecord, secret: str) -> None:
    assert tokens.find_by_secret(store, secret) is None


def test_no_secret_of_a_client_is_one_of_a_token(store: Store) -> None:
    assert tokens.find_by_secret(store, make_client(store).secret) is None


def test_a_scope_that_was_cut_meanwhile_is_not_used(store: Store, root: UserRecord) -> None:
    token, other = make_token(store, root, ("api",)), make_token(store, root)
    origin = dataclasses.replace(origin_of(store, token.secret), needs="api")
    tokens.change(store, COMMAND_LINE, token.record.id, TokenChanges(scopes=("read_api",)))
    with pytest.raises(ScopesNotHeld):
        tokens.revoke(store, origin, other.record.id)
    assert not tokens.get(store, None, other.record.id).is_revoked
