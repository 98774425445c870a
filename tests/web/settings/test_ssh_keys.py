"""The page of one's own SSH keys."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from urllib.parse import urlencode

import pytest

from tests.conftest import START, ManualClock
from tests.factories import make_user
from tests.services.conftest import contents, events_of
from tests.ssh_keys import make_ssh_key, new_line
from tests.web.conftest import Visitor
from tokensrv.db import Store
from tokensrv.services.account.sessions import FRESH
from tokensrv.services.keys import ssh_keys

PAGE = "/-/user_settings/ssh_keys"
NEW = f"{PAGE}/new"
PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE\n-----END"


def test_a_key_is_added_and_stands_in_the_list(store: Store, alice: Visitor) -> None:
    text = alice.text(PAGE)
    assert "No SSH keys" in text
    assert NEW in text
    line = new_line("alice@laptop")
    answer = alice.post(PAGE, key=f"{line}\r\n", title="", expires_at="2026-04-01")
    assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
    [key] = ssh_keys.live_keys(store, alice.user.id)
    text = alice.text(PAGE)
    for shown in (
        "The key is added.",
        "alice@laptop",
        key.fingerprint,
        "ssh-ed25519",
        "2026-04-01",
    ):
        assert shown in text
    [event] = events_of(store, "ssh_key.added")
    assert (event.actor, event.data["key_id"]) == ("alice", key.id)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        pytest.param({"key": ""}, "This is required.", id="nothing"),
        pytest.param({"key": "ssh-ed25519 AAAA"}, "This is no complete public key.", id="no key"),
        pytest.param({"key": new_line("")}, "This is required.", id="no title"),
        pytest.param(
            {"key": new_line(), "expires_at": "2026-03-10"},
            "The day must lie after today.",
            id="today",
        ),
        pytest.param(
            {"key": new_line(), "expires_at": "2027-03-11"},
            "The latest possible day is 2027-03-10.",
            id="too late",
        ),
        pytest.param({"key": new_line(), "expires_at": "soon"}, "This is not a date", id="no date"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    store: Store, alice: Visitor, fields: dict[str, str], sentence: str
) -> None:
    before = contents(store)
    answer = alice.post(PAGE, **fields)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert contents(store) == before


def test_a_key_that_is_there_is_refused_beside_the_key(store: Store, alice: Visitor) -> None:
    line = new_line()
    make_ssh_key(store, make_user(store, "bob"), line)
    answer = alice.post(PAGE, key=line)
    assert answer.status_code == 422
    assert 'id="key-error" role="alert">This has already been taken.' in answer.text


def test_a_good_key_is_still_there_when_something_else_is_wrong(alice: Visitor) -> None:
    line = new_line("alice@laptop")
    answer = alice.post(PAGE, key=line, expires_at="soon")
    assert f">{line}</textarea>" in answer.text


def test_a_link_fills_in_everything_but_the_key(alice: Visitor) -> None:
    line = new_line("alice@laptop")
    text = alice.text(f"{NEW}?{urlencode({'key': line, 'title': 'laptop'})}")
    assert 'value="laptop"' in text
    assert line.split()[1] not in unescape(text)


@pytest.mark.parametrize("expires_at", ["", "soon"])
def test_a_private_key_is_refused_and_not_shown_again(alice: Visitor, expires_at: str) -> None:
    answer = alice.post(PAGE, key=PRIVATE, title="laptop", expires_at=expires_at)
    assert answer.status_code == 422
    assert "b3Blb" not in answer.text
    assert 'value="laptop"' in answer.text


def test_a_key_is_removed_behind_a_question(store: Store, alice: Visitor) -> None:
    key = make_ssh_key(store, alice.user, title="old laptop")
    assert f"{PAGE}/{key.id}/remove" in alice.text(PAGE)
    text = alice.text(f"{PAGE}/{key.id}/remove")
    assert "Remove this SSH key?" in text
    assert "old laptop" in text
    assert key.fingerprint in text
    answer = alice.post(f"{PAGE}/{key.id}/remove")
    assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
    assert "The key is removed." in alice.text(PAGE)
    assert ssh_keys.live_keys(store, alice.user.id) == ()
    assert alice.post(f"{PAGE}/{key.id}/remove").status_code == 404


def test_the_key_of_somebody_else_is_not_there(store: Store, alice: Visitor) -> None:
    key = make_ssh_key(store, make_user(store, "bob"), title="bob's laptop")
    assert "bob" not in alice.text(PAGE)
    before = contents(store)
    assert alice.get(f"{PAGE}/{key.id}/remove").status_code == 404
    assert alice.post(f"{PAGE}/{key.id}/remove").status_code == 404
    assert contents(store) == before


def test_an_expired_key_says_so(store: Store, alice: Visitor, clock: ManualClock) -> None:
    make_ssh_key(store, alice.user, expires_on=START.date() + timedelta(days=1))
    assert "Expired" not in alice.text(PAGE)
    clock.advance(seconds=86_400)
    alice.sign_in(alice.user)
    assert "Expired" in alice.text(PAGE)


def test_whoever_acts_as_a_user_removes_keys_and_adds_none(
    store: Store, root: Visitor, alice: Visitor
) -> None:
    key = make_ssh_key(store, alice.user)
    root.act_as(alice.user)
    text = root.text(PAGE)
    assert key.fingerprint in text
    assert NEW not in text
    assert root.get(NEW).status_code == 403
    assert root.post(PAGE, key=new_line()).status_code == 403
    assert root.post(f"{PAGE}/{key.id}/remove").status_code == 303
    [event] = events_of(store, "ssh_key.removed")
    assert (event.actor, event.subject) == ("root", "alice")


def test_a_proof_in_between_keeps_the_form_but_not_the_key(
    alice: Visitor, clock: ManualClock
) -> None:
    clock.advance(seconds=(FRESH + timedelta(seconds=1)).total_seconds())
    alice.get(PAGE)
    answer = alice.post(PAGE, key=PRIVATE, title="laptop", expires_at="2026-04-01")
    assert answer.status_code == 303
    assert "title%3Dlaptop" in answer.headers["Location"]
    assert "PRIVATE" not in answer.headers["Location"]


def test_keys_stand_on_pages(store: Store, alice: Visitor) -> None:
    for number in range(21):
        make_ssh_key(store, alice.user, title=f"key number {number}")
    assert "key number 20" not in alice.text(PAGE)
    assert "key number 20" in alice.text(f"{PAGE}?page=2")
    beyond = alice.text(f"{PAGE}?page=3")
    assert "There is no such page" in beyond
    assert "No SSH keys" not in beyond
