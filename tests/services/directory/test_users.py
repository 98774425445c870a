from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from tests.conftest import START, ManualClock
from tests.factories import caller_of, make_admin, make_token, make_user, origin_of
from tests.services.conftest import at_once, contents, events_of
from tokensrv import lookup
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.domain.caller import Caller, Check, Refused
from tokensrv.domain.facts import TokenKind
from tokensrv.domain.secret import digest
from tokensrv.errors import Forbidden, InvalidRecord, NotFound, Stale, Taken
from tokensrv.models import Token, User
from tokensrv.services.directory import user_states, users
from tokensrv.services.directory.users import NewUser, UserChanges
from tokensrv.services.lifecycle import tokens
from tokensrv.services.lifecycle.token_lists import TokenFilter, list_tokens
from tokensrv.services.records import UserRecord
from tokensrv.services.trail import sudo
from tokensrv.services.trail.events import COMMAND_LINE, Origin

PASSWORD = "correct horse battery"


def _new(**changed: Any) -> NewUser:
    values = {"username": "alice", "email": "alice@example.org", "name": "Alice"}
    return NewUser(**values | changed)


def _change(store: Store, user_id: int, **changes: Any) -> UserRecord:
    return users.change(store, COMMAND_LINE, user_id, UserChanges(**changes))


def test_a_new_user_is_active_and_known_by_id_and_name(store: Store, root: UserRecord) -> None:
    alice = users.create(store, COMMAND_LINE, _new(username="Alice", profile={"bio": "hi"}))
    assert (alice.state, alice.is_admin, alice.created_at) == ("active", False, START)
    assert (alice.username, alice.bio, alice.note, alice.has_password) == (
        "Alice",
        "hi",
        None,
        False,
    )
    assert users.get(store, alice.id) == alice
    for name in ("Alice", "ALICE", "alice", str(alice.id)):
        assert users.find(store, name) == alice
    row = events_of(store)[-1]
    assert row.action == "user.created"
    assert row.data == {"user_id": alice.id, "username": "Alice", "is_admin": False, "via": "cli"}


def test_who_made_a_user_is_remembered_until_he_is_gone(store: Store, root: UserRecord) -> None:
    other = make_admin(store, "other")
    origin = origin_of(store, make_token(store, other).secret)
    alice = users.create(store, origin, _new())
    assert (root.created_by_id, alice.created_by_id) == (None, other.id)
    users.delete(store, COMMAND_LINE, other.id)
    assert users.get(store, alice.id).created_by_id is None


def test_only_an_admin_makes_changes_and_deletes_users(store: Store, root: UserRecord) -> None:
    alice = make_user(store)
    origin = origin_of(store, make_token(store, alice).secret)
    before = contents(store)
    for verb in (
        lambda: users.create(store, origin, _new(username="carol", email="c@example.org")),
        lambda: users.change(store, origin, alice.id, UserChanges(is_admin=True)),
        lambda: users.set_password(store, origin, alice.id, PASSWORD, is_expired=False),
        lambda: users.delete(store, origin, root.id),
    ):
        with pytest.raises(Forbidden):
            verb()
    assert contents(store) == before


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        pytest.param({"username": ""}, "username", id="no username"),
        pytest.param({"username": "42"}, "username", id="digits"),
        pytest.param({"username": "a,b"}, "username", id="comma"),
        pytest.param({"username": "a b"}, "username", id="blank"),
        pytest.param({"username": "ålice"}, "username", id="other letters"),
        pytest.param({"username": "alice\n"}, "username", id="newline"),
        pytest.param({"username": "a" * 256}, "username", id="long username"),
        pytest.param({"email": ""}, "email", id="no e-mail"),
        pytest.param({"email": "alice"}, "email", id="no address"),
        pytest.param({"email": "a @example.org"}, "email", id="blank in the address"),
        pytest.param({"email": "a\0@example.org"}, "email", id="NUL in the address"),
        pytest.param({"email": "a" * 251 + "@b.c"}, "email", id="long address"),
        pytest.param({"email": "İ" * 200 + "@b.c"}, "email", id="too long in lower case"),
        pytest.param({"name": " "}, "name", id="blank name"),
        pytest.param({"name": "\ud800"}, "name", id="half a letter"),
        pytest.param({"name": "x" * 256}, "name", id="long name"),
        pytest.param({"password": "x" * 7}, "password", id="short password"),
        pytest.param({"password": "x" * 129}, "password", id="long password"),
        pytest.param({"profile": {"bio": "x" * 2001}}, "bio", id="long bio"),
        pytest.param({"profile": {"note": "\0"}}, "note", id="NUL in a note"),
        pytest.param({"profile": {"is_admin": True}}, "is_admin", id="power by the profile"),
        pytest.param({"profile": {"state": "active"}}, "state", id="state by the profile"),
        pytest.param({"profile": {"id": 1}}, "id", id="id by the profile"),
    ],
)
def test_a_value_that_no_user_may_have_is_refused_by_name(
    store: Store, root: UserRecord, changed: dict[str, Any], field: str
) -> None:
    before = contents(store)
    with pytest.raises(InvalidRecord) as refused:
        users.create(store, COMMAND_LINE, _new(**changed))
    assert refused.value.field == field
    with pytest.raises(InvalidRecord):
        _change(store, root.id, **changed)
    assert contents(store) == before


def test_no_value_in_a_profile_means_empty(store: Store, root: UserRecord) -> None:
    nothing = {"bio": None, "note": None, "external": None}
    alice = users.create(store, COMMAND_LINE, _new(profile=nothing))
    assert (alice.bio, alice.note, alice.external) == ("", None, False)
    full = _change(store, alice.id, profile={"bio": "b", "note": "n", "external": True})
    assert (full.bio, full.note, full.external) == ("b", "n", True)
    emptied = _change(store, alice.id, profile=nothing)
    assert (emptied.bio, emptied.note, emptied.external) == ("", None, False)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        pytest.param({"email": "new@example.org"}, "Username", id="username"),
        pytest.param(
            {"username": "ALICE", "email": "n@example.org"}, "Username", id="username in any case"
        ),
        pytest.param({"username": "new"}, "Email", id="e-mail"),
        pytest.param({"username": "new", "email": "ALICE@example.ORG"}, "Email", id="any case"),
    ],
)
def test_names_and_addresses_are_unique_without_regard_to_case(
    store: Store, root: UserRecord, changed: dict[str, Any], field: str
) -> None:
    users.create(store, COMMAND_LINE, _new())
    with pytest.raises(Taken) as refused:
        users.create(store, COMMAND_LINE, _new(**changed))
    assert refused.value.field == field
    wanted = {"username": "alice", "email": "alice@example.org"} | changed
    with pytest.raises(Taken) as refused:
        _change(store, make_user(store, "carol").id, **wanted)
    assert refused.value.field == field


def test_an_address_that_looks_like_a_column_is_still_an_address(
    store: Store, root: UserRecord
) -> None:
    make_user(store, email="uq_user_username_key@example.org")
    with pytest.raises(Taken) as refused:
        make_user(store, "carol", email="uq_user_username_key@example.org")
    assert refused.value.field == "Email"


def test_of_many_who_want_one_name_at_once_one_gets_it(store: Store, root: UserRecord) -> None:
    results = at_once(
        [
            lambda n=n: users.create(
                store, COMMAND_LINE, _new(username="aLiCe", email=f"{n}@example.org")
            )
            for n in range(6)
        ]
    )
    assert sorted(type(result).__name__ for result in results) == ["Taken"] * 5 + ["UserRecord"]
    assert len(events_of(store, "user.created")) == 2


def test_a_change_tells_what_was_changed(
    store: Store, root: UserRecord, clock: ManualClock
) -> None:
    alice = make_user(store)
    clock.advance(seconds=1)
    changed = _change(store, alice.id, username="carol", profile={"private_profile": True})
    assert changed.updated_at == START + timedelta(seconds=1)
    assert users.get(store, alice.id) == changed
    row = events_of(store)[-1]
    assert row.action == "user.changed"
    assert row.data["changed"] == {"username": "carol", "private_profile": True}


def test_a_change_to_what_is_already_so_is_no_event(
    store: Store, root: UserRecord, clock: ManualClock
) -> None:
    clock.advance(seconds=1)
    before = contents(store)
    _change(store, root.id, username="root", name=root.name, is_admin=True)
    assert contents(store) == before


def test_a_password_that_an_admin_chose_is_expired_and_his_own_is_not(
    store: Store, root: UserRecord
) -> None:
    origin = origin_of(store, make_token(store, root).secret)
    alice = users.create(store, origin, _new(password=PASSWORD))
    assert _is_expired(store, alice.id)
    users.set_password(store, COMMAND_LINE, alice.id, PASSWORD, is_expired=False)
    assert not _is_expired(store, alice.id)
    users.change(store, origin, alice.id, UserChanges(password=PASSWORD + "!"))
    assert _is_expired(store, alice.id)
    users.change(store, origin, root.id, UserChanges(password=PASSWORD))
    assert not _is_expired(store, root.id)
    assert len(events_of(store, "user.password_set")) == 3


def _is_expired(store: Store, user_id: int) -> bool:
    with store.read() as session:
        expired = session.scalar(select(User.password_expired).where(User.id == user_id))
        return bool(expired)


def test_a_password_is_neither_stored_nor_told(store: Store, root: UserRecord) -> None:
    wanted = _new(password=PASSWORD)
    alice = users.create(store, COMMAND_LINE, wanted)
    _change(store, alice.id, password=PASSWORD + "!")
    assert PASSWORD not in str(contents(store))
    assert PASSWORD not in repr(wanted)
    assert "$argon2id$" not in repr(alice)


def test_a_password_is_a_credential_that_neither_sudo_nor_impersonation_makes(
    settings: Settings, store: Store, root: UserRecord
) -> None:
    alice = make_user(store)
    sudo = _sudo_as_admin(store, root, make_admin(store, "other"))
    impersonating = origin_of(store, make_token(store, root, kind=TokenKind.IMPERSONATION).secret)
    before = contents(store)
    for origin in (sudo, impersonating):
        for verb in (
            lambda o=origin: users.create(
                store, o, _new(username="c", email="c@d", password=PASSWORD)
            ),
            lambda o=origin: users.change(store, o, alice.id, UserChanges(password=PASSWORD)),
            lambda o=origin: users.set_password(store, o, alice.id, PASSWORD, is_expired=False),
        ):
            with pytest.raises(Forbidden):
                verb()
    assert contents(store) == before


def _sudo_as_admin(store: Store, root: UserRecord, target: UserRecord) -> Origin:
    """Return what an instance makes of a sudo that lets admins be targets."""
    secret = make_token(store, root, ("api", "sudo")).secret
    caller = caller_of(store, secret)
    subject = caller_of(store, make_token(store, target).secret).subject
    return Origin(
        type(caller)(caller.actor, subject, caller.token, ("api",), is_sudo=True), "192.0.2.7"
    )


def test_a_deleted_user_takes_everything_with_him(store: Store, root: UserRecord) -> None:
    alice = make_user(store)
    token = make_token(store, alice)
    make_token(store, alice, kind=TokenKind.IMPERSONATION)
    kept = make_token(store, root)
    origin = origin_of(store, token.secret)
    users.delete(store, COMMAND_LINE, alice.id)
    assert users.find(store, "alice") is None
    assert lookup.build(store).find(digest=digest(token.secret)).token is None
    assert [t.id for t in list_tokens(store, None, TokenFilter()).items] == [kept.record.id]
    with pytest.raises(Refused) as refused:
        tokens.revoke(store, origin, kept.record.id)
    assert refused.value.refusal.check is Check.UNKNOWN
    row = events_of(store, "user.deleted")[0]
    assert row.data == {"user_id": alice.id, "username": "alice", "via": "cli"}


def test_names_are_free_again_and_the_successor_inherits_nothing(
    store: Store, root: UserRecord
) -> None:
    alice = make_user(store, is_admin=True)
    old = make_token(store, alice, ("api", "sudo"))
    users.delete(store, COMMAND_LINE, alice.id)
    successor = make_user(store)
    assert (successor.id > alice.id, successor.is_admin) == (True, False)
    assert list_tokens(store, None, TokenFilter(user_id=successor.id)).items == ()
    assert lookup.build(store).find(digest=digest(old.secret)).token is None
    with store.read() as session:
        assert session.scalars(select(Token)).all() == []


def test_deleting_again_finds_nobody(store: Store, root: UserRecord) -> None:
    alice = make_user(store)
    results = at_once([lambda: users.delete(store, COMMAND_LINE, alice.id)] * 4)
    assert sorted(type(result).__name__ for result in results) == ["NoneType"] + ["NotFound"] * 3
    assert len(events_of(store, "user.deleted")) == 1


def test_a_user_changed_since_is_not_deleted(
    store: Store, root: UserRecord, clock: ManualClock
) -> None:
    alice = make_user(store)
    clock.advance(seconds=10.5)
    _change(store, alice.id, name="Alice B.")
    changed_at = (START + timedelta(seconds=10)).replace(microsecond=0)
    earlier = changed_at - timedelta(seconds=1)
    with pytest.raises(Stale):
        users.delete(store, COMMAND_LINE, alice.id, unmodified_since=earlier)
    users.delete(store, COMMAND_LINE, alice.id, unmodified_since=changed_at)
    assert users.find(store, "alice") is None


@pytest.mark.parametrize("unknown", [0, 99, 2**63 - 1])
def test_an_unknown_user_is_not_found(store: Store, root: UserRecord, unknown: int) -> None:
    for verb in (
        lambda: users.get(store, unknown),
        lambda: _change(store, unknown, name="x"),
        lambda: users.delete(store, COMMAND_LINE, unknown),
        lambda: users.set_password(store, COMMAND_LINE, unknown, PASSWORD, is_expired=True),
        lambda: user_states.block(store, COMMAND_LINE, unknown),
        lambda: user_states.promote(store, COMMAND_LINE, unknown),
    ):
        with pytest.raises(NotFound):
            verb()
    assert users.find(store, str(unknown)) is None


@pytest.mark.parametrize("name", ["", "alice@example.org", "nobody", "٤٢", "\ud800", "1" * 19])
def test_what_names_nobody_finds_nobody(store: Store, root: UserRecord, name: str) -> None:
    make_user(store)
    if name == "\ud800":
        name = name.encode("utf-8", "replace").decode()
    assert users.find(store, name) is None


def test_a_deletion_and_a_sudo_at_once_never_wait_for_each_other_in_a_circle(
    store: Store, root: UserRecord
) -> None:
    """A deletion locks all admins, and touches the users whom the deleted one had made."""
    for number in range(8):
        maker = make_admin(store, f"maker{number}")
        origin = origin_of(store, make_token(store, maker).secret)
        new = _new(username=f"made{number}", email=f"{number}@example.org")
        made = users.create(store, origin, new)
        secret = make_token(store, make_admin(store, f"late{number}"), ("sudo",)).secret
        caller = caller_of(store, secret, sudo=made.username)
        results = at_once(
            [
                lambda maker=maker: users.delete(store, COMMAND_LINE, maker.id),
                *[lambda caller=caller: _use_often(store, caller)] * 3,
            ]
        )
        assert results == [None] * 4


def _use_often(store: Store, caller: Caller) -> None:
    for _ in range(6):
        assert sudo.use(store, caller, COMMAND_LINE, method="GET", path="/") == caller
