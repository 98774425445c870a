"""SSH keys: who may add them, how long they live, who finds them, who removes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial

import pytest

from tests.conftest import START, ManualClock
from tests.databases import opened
from tests.factories import (
    BROWSER,
    current_of,
    make_admin,
    make_exchanged,
    make_session,
    make_token,
    make_user,
    origin_in,
    origin_of,
)
from tests.services.conftest import at_once, contents, events_of
from tests.ssh_keys import make_ssh_key, new_line
from tokensrv.clock import midnight
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.domain.caller import Refused
from tokensrv.domain.facts import TokenKind
from tokensrv.errors import Forbidden, Invalid, InvalidRecord, LifetimeExceeded, NotFound
from tokensrv.services.account import impersonation
from tokensrv.services.directory import user_states, users
from tokensrv.services.keys import ssh_key_minting, ssh_keys
from tokensrv.services.keys.ssh_key_minting import KeyWish
from tokensrv.services.keys.ssh_keys import KeyRecord
from tokensrv.services.lifecycle import tokens
from tokensrv.services.pages import PageRequest
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE, Origin

TODAY = START.date()
TOMORROW = TODAY + timedelta(days=1)
LAST = TODAY + timedelta(days=365)


@pytest.fixture
def alice(store: Store, root: UserRecord) -> UserRecord:
    return make_user(store)


@pytest.fixture
def strict(settings: Settings, clock: ManualClock) -> Iterator[Store]:
    """A Store of an instance that requires an expiry, of 30 days at most."""
    changed = dataclasses.replace(settings, require_expiry=True, max_lifetime_days=30)
    with opened(changed, clock) as store:
        yield store


def with_token(store: Store, user: UserRecord, **wanted: object) -> Origin:
    """Return the origin of a request with a new token of a user that may do what ``api`` does."""
    return origin_of(store, make_token(store, user, **wanted).secret)


def add(store: Store, origin: Origin, user: UserRecord, **wanted: object) -> KeyRecord:
    wish = dataclasses.replace(KeyWish(key=new_line()), **wanted)
    return ssh_key_minting.add(store, origin, user.id, wish)


class TestAdding:
    def test_keeps_the_key_without_its_comment_which_becomes_the_title(
        self, store: Store, alice: UserRecord
    ) -> None:
        line = new_line("alice@laptop, at home")
        key = add(store, with_token(store, alice), alice, key=line)
        assert key.key == line.removesuffix(" alice@laptop, at home")
        assert (key.title, key.user_id, key.kind) == (
            "alice@laptop, at home",
            alice.id,
            "ssh-ed25519",
        )
        assert (key.created_at, key.expires_at, key.last_used_at) == (START, None, None)
        assert ssh_keys.get(store, alice.id, key.id) == key

    def test_is_an_event_that_does_not_hold_the_key(self, store: Store, alice: UserRecord) -> None:
        origin = with_token(store, alice)
        key = add(store, origin, alice, title="laptop", expires_on=TOMORROW)
        [event] = events_of(store, "ssh_key.added")
        assert (event.actor, event.subject, event.ip) == ("alice", "alice", BROWSER.ip)
        assert origin.caller is not None
        assert event.token_id == origin.caller.token.id
        assert event.data == {
            "user_id": alice.id,
            "key_id": key.id,
            "title": "laptop",
            "fingerprint": key.fingerprint,
            "expires_at": "2026-03-11",
        }

    def test_is_what_an_admin_may_do_for_anybody(
        self, store: Store, root: UserRecord, alice: UserRecord
    ) -> None:
        key = add(store, with_token(store, root), alice)
        assert ssh_keys.get(store, alice.id, key.id) == key
        [event] = events_of(store, "ssh_key.added")
        assert (event.actor, event.data["user_id"]) == ("root", alice.id)

    def test_is_no_business_of_another_user(self, store: Store, alice: UserRecord) -> None:
        bob = with_token(store, make_user(store, "bob"))
        before = contents(store)
        with pytest.raises(Forbidden):
            add(store, bob, alice)
        assert contents(store) == before

    def test_for_nobody_is_not_found(self, store: Store, root: UserRecord) -> None:
        with pytest.raises(NotFound):
            ssh_key_minting.add(store, COMMAND_LINE, 10**17, KeyWish(key=new_line()))

    @pytest.mark.parametrize("whose", ["his own", "somebody else's"])
    def test_a_key_that_is_there_is_refused_whosever_it_is(
        self, store: Store, alice: UserRecord, whose: str
    ) -> None:
        line = new_line()
        make_ssh_key(store, alice, line)
        user = alice if whose == "his own" else make_user(store, "bob")
        with pytest.raises(InvalidRecord) as refused:
            add(store, with_token(store, user), user, key=f"{line} again")
        assert str(refused.value) == "key has already been taken"

    def test_one_key_at_once_is_added_once(self, store: Store, alice: UserRecord) -> None:
        line, bob = new_line(), make_user(store, "bob")
        verbs = [partial(make_ssh_key, store, user, line) for user in (alice, bob)]
        found = at_once(verbs)
        assert sorted(type(one).__name__ for one in found) == ["KeyRecord", "KeyTaken"]
        assert len(events_of(store, "ssh_key.added")) == 1

    @pytest.mark.parametrize(
        ("title", "comment", "problem"),
        [
            ("", "", "title can't be blank"),
            (" ", " ", "title can't be blank"),
            ("x" * 256, "", "title is too long (maximum is 255 characters)"),
            ("a\0b", "", "title is invalid"),
            ("", "a\0b", "title is invalid"),
            ("-----BEGIN PRIVATE KEY-----\nMC4CAQAw", "", "title is a private key"),
        ],
    )
    def test_needs_a_title(
        self, store: Store, alice: UserRecord, title: str, comment: str, problem: str
    ) -> None:
        with pytest.raises(InvalidRecord) as refused:
            make_ssh_key(store, alice, new_line(comment), title=title)
        assert str(refused.value) == problem

    def test_cuts_a_comment_that_is_too_long_for_a_title(
        self, store: Store, alice: UserRecord
    ) -> None:
        assert make_ssh_key(store, alice, new_line("x" * 300)).title == "x" * 255

    def test_of_a_private_key_leaves_nothing_of_it_behind(
        self, store: Store, alice: UserRecord
    ) -> None:
        before = contents(store)
        pasted = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE\n-----END"
        with pytest.raises(InvalidRecord) as refused:
            make_ssh_key(store, alice, pasted)
        assert "b3Blb" not in f"{refused.value} {KeyWish(key=pasted)}"
        assert contents(store) == before


class TestMinting:
    """What could outlive or widen the power that adds it is not added."""

    def test_is_refused_under_sudo(self, store: Store, root: UserRecord, alice: UserRecord) -> None:
        secret = make_token(store, root, ("api", "sudo")).secret
        with pytest.raises(Forbidden) as refused:
            add(store, origin_of(store, secret, sudo="alice"), alice)
        assert refused.value.reason == "Not allowed while using sudo"

    def test_is_refused_with_an_exchanged_token(
        self, store: Store, root: UserRecord, alice: UserRecord
    ) -> None:
        source = make_token(store, root, ("api", "sudo"))
        for new in (
            make_exchanged(store, source, alice),
            make_exchanged(store, make_token(store, alice), alice),
        ):
            with pytest.raises(Forbidden):
                add(store, origin_of(store, new.secret), alice)

    def test_is_refused_with_an_impersonation_token(self, store: Store, alice: UserRecord) -> None:
        with pytest.raises(Forbidden):
            add(store, with_token(store, alice, kind=TokenKind.IMPERSONATION), alice)

    def test_is_refused_in_a_session_that_acts_as_somebody_else(
        self, store: Store, root: UserRecord, alice: UserRecord
    ) -> None:
        current = current_of(store, make_session(store, root))
        new = impersonation.start(store, origin_in(current), current, alice.id, "a ticket")
        acting = origin_in(current_of(store, new))
        with pytest.raises(Forbidden):
            add(store, acting, alice)
        key = make_ssh_key(store, alice)
        ssh_keys.remove(store, acting, alice.id, key.id)
        assert ssh_keys.live_keys(store, alice.id) == ()

    @pytest.mark.parametrize("who", ["himself", "an admin"])
    def test_is_refused_with_a_token_that_is_good_from_some_places_only(
        self, store: Store, root: UserRecord, alice: UserRecord, who: str
    ) -> None:
        caller = alice if who == "himself" else root
        origin = with_token(store, caller, allowed_ips=(BROWSER.ip,))
        with pytest.raises(Forbidden) as refused:
            add(store, origin, alice)
        assert refused.value.reason == "Not allowed with a token that has an IP allow list"

    def test_is_refused_once_the_token_is_revoked(self, store: Store, alice: UserRecord) -> None:
        new = make_token(store, alice)
        origin = origin_of(store, new.secret)
        tokens.revoke(store, COMMAND_LINE, new.record.id)
        with pytest.raises(Refused):
            add(store, origin, alice)

    @pytest.mark.parametrize(
        ("token_day", "wanted", "day"),
        [
            (None, None, None),
            (None, LAST, LAST),
            (TOMORROW, None, TOMORROW),
            (LAST, None, LAST),
            (LAST, TOMORROW, TOMORROW),
            (TOMORROW, TOMORROW, TOMORROW),
        ],
    )
    def test_a_key_dies_with_the_token_that_added_it_at_the_latest(
        self,
        store: Store,
        alice: UserRecord,
        token_day: date | None,
        wanted: date | None,
        day: date | None,
    ) -> None:
        origin = with_token(store, alice, expires_on=token_day)
        assert add(store, origin, alice, expires_on=wanted).expires_on == day

    @pytest.mark.parametrize("who", ["himself", "an admin"])
    @pytest.mark.parametrize(
        ("token_day", "wanted", "last"),
        [(TOMORROW, TODAY + timedelta(days=2), TOMORROW), (None, LAST + timedelta(days=1), LAST)],
    )
    def test_a_day_beyond_that_or_beyond_the_maximum_is_refused(
        self,
        store: Store,
        root: UserRecord,
        alice: UserRecord,
        who: str,
        token_day: date | None,
        wanted: date,
        last: date,
    ) -> None:
        caller = alice if who == "himself" else root
        with pytest.raises(LifetimeExceeded) as refused:
            add(store, with_token(store, caller, expires_on=token_day), alice, expires_on=wanted)
        assert refused.value.last_day == last

    def test_today_is_no_day_to_die(self, store: Store, alice: UserRecord) -> None:
        with pytest.raises(Invalid) as refused:
            make_ssh_key(store, alice, expires_on=TODAY)
        assert refused.value.field == "expires_at"

    def test_where_tokens_must_expire_keys_do(self, strict: Store) -> None:
        key = make_ssh_key(strict, make_admin(strict))
        assert key.expires_on == TODAY + timedelta(days=30)


class TestFinding:
    def test_lists_all_of_one_user_page_by_page(self, store: Store, alice: UserRecord) -> None:
        keys = [make_ssh_key(store, alice, title=f"key {number}") for number in range(3)]
        make_ssh_key(store, make_user(store, "bob"))
        first = ssh_keys.list_keys(store, alice.id, PageRequest(1, 2))
        second = ssh_keys.list_keys(store, alice.id, PageRequest(2, 2))
        assert [*first.items, *second.items] == keys
        assert (first.has_next, second.has_next, second.total) == (True, False, 3)

    def test_by_id_and_by_fingerprint_tells_the_owner(
        self, store: Store, alice: UserRecord
    ) -> None:
        key = make_ssh_key(store, alice)
        found = ssh_keys.find(store, key.id)
        assert found is not None
        assert found == ssh_keys.find_by_fingerprint(store, key.fingerprint)
        assert (found.key, found.owner.username, found.is_good) == (key, "alice", True)

    def test_what_is_not_there_is_none(self, store: Store, alice: UserRecord) -> None:
        key = make_ssh_key(store, alice)
        assert ssh_keys.find(store, key.id + 1) is None
        for fingerprint in ("", "SHA256:AAAA", key.fingerprint.lower(), "SHA256:" + "A" * 43):
            assert ssh_keys.find_by_fingerprint(store, fingerprint) is None

    def test_the_key_of_another_user_is_not_found(self, store: Store, alice: UserRecord) -> None:
        key = make_ssh_key(store, alice)
        bob = make_user(store, "bob")
        with pytest.raises(NotFound) as refused:
            ssh_keys.get(store, bob.id, key.id)
        assert refused.value.kind == "Key"

    def test_an_expired_key_is_shown_and_opens_nothing(
        self, store: Store, alice: UserRecord, clock: ManualClock
    ) -> None:
        key = make_ssh_key(store, alice, expires_on=TOMORROW)
        endless = make_ssh_key(store, alice)
        clock.advance(seconds=(midnight(TOMORROW) - START).total_seconds() - 0.001)
        assert ssh_keys.live_keys(store, alice.id) == (key, endless)
        clock.advance(seconds=0.001)
        assert ssh_keys.live_keys(store, alice.id) == (endless,)
        found = ssh_keys.find(store, key.id)
        assert found is not None
        assert (found.key.is_expired, found.is_good) == (True, False)
        assert len(ssh_keys.list_keys(store, alice.id).items) == 2

    def test_the_keys_of_a_blocked_user_open_nothing(self, store: Store, alice: UserRecord) -> None:
        key = make_ssh_key(store, alice)
        user_states.block(store, COMMAND_LINE, alice.id)
        found = ssh_keys.find(store, key.id)
        assert found is not None
        assert not found.is_good
        assert ssh_keys.live_keys(store, alice.id) == ()
        user_states.unblock(store, COMMAND_LINE, alice.id)
        assert ssh_keys.live_keys(store, alice.id) == (key,)

    def test_a_use_is_remembered_once_a_minute(
        self, store: Store, alice: UserRecord, clock: ManualClock
    ) -> None:
        key = make_ssh_key(store, alice)
        last_used = []
        for _ in range(4):
            ssh_keys.used(store, ssh_keys.get(store, alice.id, key.id))
            last_used.append(ssh_keys.get(store, alice.id, key.id).last_used_at)
            clock.advance(seconds=30)
        later = START + timedelta(minutes=1)
        assert last_used == [START, START, later, later]


class TestRemoving:
    @pytest.mark.parametrize("how", ["himself", "an admin", "under sudo", "on the command line"])
    def test_ends_a_key(self, store: Store, root: UserRecord, alice: UserRecord, how: str) -> None:
        key, other = make_ssh_key(store, alice), make_ssh_key(store, alice)
        sudo = make_token(store, root, ("api", "sudo")).secret
        origin = {
            "himself": with_token(store, alice),
            "an admin": with_token(store, root),
            "under sudo": origin_of(store, sudo, sudo="alice"),
            "on the command line": COMMAND_LINE,
        }[how]
        ssh_keys.remove(store, origin, alice.id, key.id)
        assert ssh_keys.live_keys(store, alice.id) == (other,)
        [event] = events_of(store, "ssh_key.removed")
        assert (event.actor, event.subject) == {
            "himself": ("alice", "alice"),
            "an admin": ("root", "root"),
            "under sudo": ("root", "alice"),
            "on the command line": (None, None),
        }[how]
        assert (event.data["key_id"], event.data["fingerprint"]) == (key.id, key.fingerprint)

    def test_is_no_business_of_another_user(self, store: Store, alice: UserRecord) -> None:
        key, bob = make_ssh_key(store, alice), make_user(store, "bob")
        origin = with_token(store, bob)
        before = contents(store)
        with pytest.raises(Forbidden):
            ssh_keys.remove(store, origin, alice.id, key.id)
        with pytest.raises(NotFound):
            ssh_keys.remove(store, origin, bob.id, key.id)
        assert contents(store) == before

    def test_once_more_is_not_found(self, store: Store, alice: UserRecord) -> None:
        key = make_ssh_key(store, alice)
        ssh_keys.remove(store, COMMAND_LINE, alice.id, key.id)
        with pytest.raises(NotFound) as refused:
            ssh_keys.remove(store, COMMAND_LINE, alice.id, key.id)
        assert refused.value.kind == "Key"
        assert len(events_of(store, "ssh_key.removed")) == 1

    def test_leaves_the_key_free_for_others_but_not_its_id(
        self, store: Store, alice: UserRecord
    ) -> None:
        line = new_line()
        key = make_ssh_key(store, alice, line)
        ssh_keys.remove(store, COMMAND_LINE, alice.id, key.id)
        assert make_ssh_key(store, make_user(store, "bob"), line).id > key.id

    def test_goes_with_the_user(self, store: Store, alice: UserRecord) -> None:
        key = make_ssh_key(store, alice)
        users.delete(store, COMMAND_LINE, alice.id)
        assert ssh_keys.find(store, key.id) is None
