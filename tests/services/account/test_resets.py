from __future__ import annotations

from dataclasses import replace

import pytest

from tests.conftest import ManualClock
from tests.factories import (
    BROWSER,
    current_of,
    make_admin,
    make_session,
    make_token,
    make_user,
    origin_in,
    origin_of,
)
from tests.services.conftest import at_once, contents, events_of
from tokensrv.db import Store
from tokensrv.errors import Forbidden, Invalid, InvalidRecord, NotFound
from tokensrv.services.account import impersonation, resets, signing_in
from tokensrv.services.account.proof import Denied
from tokensrv.services.directory import user_states
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE, Origin

pytestmark = pytest.mark.usefixtures("cheap_hashes")

NEW = "staple of a new one"
ORIGIN = Origin(ip=BROWSER.ip, request_id="request-1")


@pytest.fixture
def alice(store: Store) -> UserRecord:
    return make_user(store)


def make(store: Store, user: UserRecord) -> str:
    return resets.make(store, COMMAND_LINE, user.id).secret


def use(store: Store, code: str, new: str = NEW) -> None:
    resets.use(store, ORIGIN, code, new)


def test_a_link_sets_a_password_and_ends_all_sessions(store: Store, alice: UserRecord) -> None:
    code = make(store, alice)
    make_session(store, alice)
    use(store, code)
    assert contents(store)["web_session"] == contents(store)["password_reset"] == []
    [event] = events_of(store, "user.password_set")
    assert (event.actor_id, event.data["by"], event.ip) == (alice.id, "reset link", BROWSER.ip)
    answer = signing_in.sign_in(store, ORIGIN, "alice", NEW, BROWSER)
    assert not isinstance(answer, Denied)


def test_a_link_stands_behind_the_mark_that_no_server_sees(store: Store, alice: UserRecord) -> None:
    settings = replace(store.settings, external_url="https://tokens.example.org/base")
    link = resets.make(store, COMMAND_LINE, alice.id)
    address = link.address(settings)
    assert address == f"https://tokens.example.org/base/users/password/reset#{link.secret}"
    assert len(link.secret) >= 43
    assert link.secret not in f"{link}{contents(store)}"


@pytest.mark.parametrize("form", [" {} \n", "http://127.0.0.1:8000/users/password/reset#{}"])
def test_a_code_may_be_pasted_with_what_stands_around_it(
    store: Store, alice: UserRecord, form: str
) -> None:
    use(store, form.format(make(store, alice)))


def refusal(store: Store, code: str) -> str:
    before = contents(store)
    with pytest.raises(Invalid) as refused:
        use(store, code)
    assert contents(store) == before
    return str(refused.value)


def test_why_a_code_is_refused_is_not_told(
    store: Store, alice: UserRecord, clock: ManualClock
) -> None:
    make_admin(store)
    replaced, used = make(store, alice), make(store, alice)
    use(store, used)
    blocked = make(store, alice)
    user_states.block(store, COMMAND_LINE, alice.id)
    refusals = {refusal(store, code) for code in ("", "junk", replaced, used, blocked)}
    user_states.unblock(store, COMMAND_LINE, alice.id)
    clock.advance(seconds=resets.LIFETIME.total_seconds())
    assert {refusal(store, blocked)} == refusals


def test_a_link_lives_an_hour(store: Store, alice: UserRecord, clock: ManualClock) -> None:
    code = make(store, alice)
    clock.advance(seconds=resets.LIFETIME.total_seconds() - 0.001)
    use(store, code)


@pytest.mark.parametrize("new", ["short", "password1", "alice@example.org"])
def test_a_password_that_is_refused_leaves_the_link(
    store: Store, alice: UserRecord, new: str
) -> None:
    code = make(store, alice)
    with pytest.raises(InvalidRecord):
        use(store, code, new)
    use(store, code)


def test_of_two_who_use_a_link_at_once_one_does(store: Store, alice: UserRecord) -> None:
    code = make(store, alice)
    answers = at_once([lambda: use(store, code, NEW), lambda: use(store, code, NEW + "!")])
    assert sorted(type(answer) for answer in answers if answer is not None) == [Invalid]
    assert len(events_of(store, "user.password_set")) == 1


def test_a_link_is_an_admins_to_make(store: Store, alice: UserRecord) -> None:
    root, bob = make_admin(store), make_user(store, "bob")
    current = current_of(store, make_session(store, root))
    resets.make(store, origin_in(current), alice.id)
    acting = impersonation.start(store, origin_in(current), current, bob.id, "a reason")
    sudo = make_token(store, root, ("api", "sudo")).secret
    for origin in (
        origin_in(current_of(store, make_session(store, bob))),
        origin_in(current_of(store, acting)),
        origin_of(store, sudo, sudo="bob"),
    ):
        with pytest.raises(Forbidden):
            resets.make(store, origin, alice.id)
    with pytest.raises(NotFound):
        resets.make(store, COMMAND_LINE, 99)
    [event] = events_of(store, "password_reset.made")
    assert (event.actor_id, event.data["user_id"]) == (root.id, alice.id)
