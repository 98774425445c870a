from __future__ import annotations

import re
from datetime import date, timedelta

import pytest

from tests.conftest import START, ManualClock
from tests.factories import make_exchanged, make_token, make_user
from tests.services.conftest import contents, events_of
from tests.web.conftest import SESSION, Visitor
from tests.web.test_new_token import LAST_DAY, errors_of, shown_secret
from tests.web.test_tokens import PAGE, rows
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import NewToken
from tokensrv.services.trail.events import COMMAND_LINE

TODAY = START.date()


@pytest.fixture
def token(store: Store, alice: Visitor) -> NewToken:
    """A token of alice that lives for 40 days."""
    return make_token(store, alice.user, name="laptop", expires_on=TODAY + timedelta(days=40))


def _state(store: Store, token: NewToken) -> tuple[bool, date | None]:
    record = tokens.find_by_secret(store, token.secret)
    assert record is not None
    return record.is_active, record.expires_on


def test_revoking_is_confirmed_with_the_same_word(
    store: Store, alice: Visitor, token: NewToken
) -> None:
    path = f"{PAGE}/{token.record.id}/revoke"
    text = alice.text(path)
    assert "<bdi>laptop</bdi>" in text
    assert '<button class="button is-bad">Revoke</button>' in text
    assert _state(store, token)[0]
    answer = alice.post(path)
    assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
    assert not _state(store, token)[0]
    listed = alice.text(PAGE)
    assert "The token is revoked." in listed
    assert rows(listed) == []
    (event,) = events_of(store, "token.revoked")
    assert (event.actor, event.token_id) == ("alice", token.record.id)


def test_revoking_again_changes_nothing(store: Store, alice: Visitor, token: NewToken) -> None:
    for _ in range(2):
        assert alice.post(f"{PAGE}/{token.record.id}/revoke").status_code == 303
    assert len(events_of(store, "token.revoked")) == 1


def test_rotating_shows_a_new_secret_in_this_answer_alone(
    store: Store, alice: Visitor, token: NewToken
) -> None:
    path = f"{PAGE}/{token.record.id}/rotate"
    text = alice.text(path)
    assert "<bdi>laptop</bdi>" in text
    assert ">Rotate</button>" in text
    # It is to live as long as the one before was.
    assert f'value="{(TODAY + timedelta(days=40)).isoformat()}" required' in text
    answer = alice.post(path, expires_at="2026-05-01")
    assert answer.status_code == 200
    secret = shown_secret(answer)
    record = tokens.find_by_secret(store, secret)
    assert record is not None
    assert (record.name, record.previous_id) == ("laptop", token.record.id)
    assert record.expires_on == date(2026, 5, 1)
    assert not _state(store, token)[0]
    assert secret not in alice.text(PAGE) + repr(contents(store))


def test_a_successor_lives_as_long_as_its_token_was_to(
    store: Store, alice: Visitor, token: NewToken, clock: ManualClock
) -> None:
    clock.advance(seconds=timedelta(days=10).total_seconds())
    alice.sign_in(alice.user)
    text = alice.text(f"{PAGE}/{token.record.id}/rotate")
    assert f'value="{(TODAY + timedelta(days=50)).isoformat()}"' in text


def test_a_token_without_end_stays_without_end(store: Store, alice: Visitor) -> None:
    endless = make_token(store, alice.user)
    path = f"{PAGE}/{endless.record.id}/rotate"
    assert re.search(r'id="expires_at"[^>]* value="" min=', alice.text(path))
    record = tokens.find_by_secret(store, shown_secret(alice.post(path, expires_at="")))
    assert record is not None
    assert record.expires_at is None


def test_a_wrong_day_is_an_error_beside_its_field_and_nothing_is_rotated(
    store: Store, alice: Visitor, token: NewToken
) -> None:
    wrong = {
        "soon": "This is not a date: write it as 2027-01-31.",
        "2026-03-10": "The day must lie after today.",
        "2027-03-11": f"The latest possible day is {LAST_DAY}.",
    }
    for day, sentence in wrong.items():
        answer = alice.post(f"{PAGE}/{token.record.id}/rotate", expires_at=day)
        assert errors_of(answer) == {"expires_at": sentence}
        assert f'value="{day}"' in answer.text
    assert _state(store, token)[0]


def test_a_rotation_that_is_sent_twice_makes_one_token(
    store: Store, alice: Visitor, token: NewToken
) -> None:
    path = f"{PAGE}/{token.record.id}/rotate"
    secret = shown_secret(alice.post(path, expires_at="2026-05-01"))
    again = alice.post(path, expires_at="2026-05-01")
    assert again.status_code == 422
    assert "Token already revoked." in again.text
    assert secret not in again.text
    record = tokens.find_by_secret(store, secret)
    assert record is not None
    assert record.is_active


@pytest.mark.parametrize("verb", ["rotate", "revoke"])
def test_what_is_not_in_ones_list_is_not_there_for_an_admin_either(
    store: Store, root: Visitor, verb: str
) -> None:
    bob, own = make_user(store, "bob"), make_token(store, root.user)
    others = [
        make_token(store, bob).record.id,
        make_token(store, root.user, kind=TokenKind.IMPERSONATION).record.id,
        make_exchanged(store, own, root.user).record.id,
        999,
        10**30,
    ]
    before, pages = contents(store), set()
    for token_id in others:
        path = f"{PAGE}/{token_id}/{verb}"
        for answer in (root.get(path), root.post(path, expires_at="2026-05-01")):
            assert answer.status_code == 404
            pages.add(re.sub(r'name="csrf_token" value="\w+"', "", answer.text))
    assert len(pages) == 1
    assert contents(store) == before


def test_an_admin_who_acts_as_a_user_can_revoke_and_make_nothing(
    store: Store, root: Visitor, alice: Visitor, token: NewToken
) -> None:
    root.act_as(alice.user)
    text = root.text(PAGE)
    assert rows(text) == ["laptop"]
    assert ">Revoke<" in text
    assert "Add new token" not in text
    assert ">Rotate<" not in text
    assert "Make link" not in text
    assert root.post(PAGE, name="x", scopes="api").status_code == 403
    assert root.post(f"{PAGE}/{token.record.id}/rotate").status_code == 403
    assert root.post(f"{PAGE}/{token.record.id}/revoke").status_code == 303
    (event,) = events_of(store, "token.revoked")
    assert (event.actor, event.subject) == ("root", "alice")


def test_a_token_that_an_admin_revoked_meanwhile_is_not_rotated(
    store: Store, alice: Visitor, token: NewToken
) -> None:
    tokens.revoke(store, COMMAND_LINE, token.record.id)
    answer = alice.post(f"{PAGE}/{token.record.id}/rotate", expires_at="2026-05-01")
    assert (answer.status_code, "Token already revoked." in answer.text) == (422, True)


def test_after_the_reveal_no_page_log_or_cookie_holds_a_secret(
    alice: Visitor, root: Visitor, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = {"name": "laptop", "scopes": "read_user", "expires_at": "2026-05-01"}
    secrets = [
        shown_secret(alice.post(PAGE, **wanted)),
        shown_secret(alice.post(f"{PAGE}/1/rotate", expires_at="2026-05-01")),
        shown_secret(alice.post(f"{PAGE}/calendar")).rpartition("/")[2].removesuffix(".ics"),
    ]
    paths = ["", "?state=all", "/new", "/1/rotate", "/2/rotate", "/2/revoke", "/calendar"]
    answers = [alice.get(f"{PAGE}{path}") for path in paths]
    answers.append(alice.get("/-/user_settings/account"))
    answers += [root.get(path) for path in ("/admin", "/admin/tokens", "/admin/events")]
    assert {answer.status_code for answer in answers} == {200}
    said = "".join(f"{answer.headers}{answer.text}" for answer in answers)
    kept = f"{alice.http.get_cookie(SESSION)}{alice.http.get_cookie('tokensrv_notice')}"
    logged = "".join(capsys.readouterr())
    assert logged.count('"event": "request"') == len(answers) + 3
    assert [len(secret) for secret in secrets] == [40, 40, 43]
    assert [secret for secret in secrets if secret in said + kept + logged] == []
