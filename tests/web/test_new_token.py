from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.conftest import START, ManualClock
from tests.factories import caller_of, make_client
from tests.services.conftest import contents, events_of
from tests.web.conftest import SESSION, Visitor
from tests.web.test_tokens import PAGE, rows
from tokensrv.app import create_app
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.models import Token
from tokensrv.services.account.sessions import FRESH
from tokensrv.services.lifecycle import tokens
from tokensrv.services.lifecycle.token_lists import TokenFilter, list_tokens
from tokensrv.services.records import NewToken, TokenRecord, token_record
from tokensrv.web.tokens.reveal import commands

NEW = f"{PAGE}/new"
TODAY = START.date()
IN_30_DAYS = (TODAY + timedelta(days=30)).isoformat()
LAST_DAY = (TODAY + timedelta(days=365)).isoformat()
GOOD = {"name": "laptop", "scopes": ["read_user"], "expires_at": IN_30_DAYS}


def shown_secret(answer: TestResponse) -> str:
    found = re.search(r'<input id="secret"[^>]* readonly value="([^"]+)"', answer.text)
    assert found is not None
    return found[1]


def errors_of(answer: TestResponse) -> dict[str, str]:
    assert answer.status_code == 422
    return dict(
        re.findall(r'<p class="error" id="(\w+)-error" role="alert">([^<]+)</p>', answer.text)
    )


def _ticked(text: str) -> list[str]:
    return re.findall(r'name="scopes" value="(\w+)" checked', text)


def _all(store: Store) -> tuple[TokenRecord, ...]:
    return list_tokens(store, None, TokenFilter()).items


def test_the_form_offers_every_scope_with_its_meaning_and_a_day_ahead(alice: Visitor) -> None:
    text = alice.text(NEW)
    for words in ("Token name", "Description", "Expiration date"):
        assert re.search(rf"<label for=\"\w+\">{words}</label>", text)
    assert f'value="{IN_30_DAYS}" min="2026-03-11" max="{LAST_DAY}"' in text
    scopes = re.findall(r'<label for="scopes-\w+">(\w+)</label>\s*<span class="hint"', text)
    assert scopes[:3] == ["api", "read_api", "read_user"]
    assert "sudo" not in text
    assert "introspect" not in text
    assert ">Create personal access token</button>" in text
    assert "<summary>More</summary>" in text


def test_admins_are_offered_what_is_theirs_alone(root: Visitor) -> None:
    text = root.text(NEW)
    hints = re.findall(r'id="scopes-(\w+)-hint">([^<]+)<', text)
    assert [name for name, hint in hints if "Admins only" in hint] == ["introspect", "sudo"]


def test_a_token_is_made_and_its_secret_shown_in_this_answer_alone(
    store: Store, alice: Visitor
) -> None:
    answer = alice.post(PAGE, **GOOD, description="for work")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    secret = shown_secret(answer)
    assert "Your new personal access token" in answer.text
    assert ">Copy<" in answer.text
    record = tokens.find_by_secret(store, secret)
    assert record is not None
    assert record.user_id == alice.user.id
    assert (record.name, record.description, record.kind) == ("laptop", "for work", "personal")
    assert (record.scopes, record.expires_on) == (("read_user",), TODAY + timedelta(days=30))
    assert caller_of(store, secret).subject.username == "alice"
    # Where the answer stands there is the list, without it.
    assert "Location" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    text = alice.text(PAGE)
    assert rows(text) == ["laptop"]
    assert secret not in text
    assert secret not in repr(contents(store))
    (event,) = events_of(store, "token.created")
    assert (event.actor, event.subject, event.token_id) == ("alice", "alice", record.id)


def test_more_limits_are_taken(store: Store, alice: Visitor) -> None:
    client_id = make_client(store).record.client_id
    more = {"audience": f" {client_id}\r\n", "allowed_ips": "192.0.2.0/24, 2001:db8::1\r\n"}
    secret = shown_secret(alice.post(PAGE, **GOOD, **more))
    record = tokens.find_by_secret(store, secret)
    assert record is not None
    assert record.audience == (client_id,)
    assert record.allowed_ips == ("192.0.2.0/24", "2001:db8::1")


def test_without_a_day_it_never_expires(store: Store, alice: Visitor) -> None:
    answer = alice.post(PAGE, **GOOD | {"expires_at": ""})
    record = tokens.find_by_secret(store, shown_secret(answer))
    assert record is not None
    assert record.expires_at is None
    assert "It never ends" in answer.text


def test_an_admin_may_give_himself_sudo(store: Store, root: Visitor) -> None:
    secret = shown_secret(root.post(PAGE, **GOOD | {"scopes": ["sudo"]}))
    assert caller_of(store, secret).scopes == ("sudo",)


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"name": " "}, "name", "This is not valid."),
    ({"name": "x" * 256}, "name", "This is not valid."),
    ({"description": "x" * 256}, "description", "This is not valid."),
    ({"scopes": []}, "scopes", "At least one scope is required."),
    ({"scopes": ["all"]}, "scopes", "This does not have a valid value."),
    ({"scopes": ["sudo"]}, "scopes", "This does not have a valid value."),
    ({"expires_at": "tomorrow"}, "expires_at", "This is not a date: write it as 2027-01-31."),
    ({"expires_at": "2026-03-10"}, "expires_at", "The day must lie after today."),
    ({"expires_at": "2027-03-11"}, "expires_at", f"The latest possible day is {LAST_DAY}."),
    ({"audience": "nobody"}, "audience", "This does not have a valid value."),
    ({"allowed_ips": "everywhere"}, "allowed_ips", "This does not have a valid value."),
]


def test_what_is_wrong_stands_beside_its_field_and_the_form_stays_filled(
    store: Store, alice: Visitor
) -> None:
    before = contents(store)
    for wrong, field, sentence in WRONG:
        answer = alice.post(PAGE, **GOOD | {"description": "kept"} | wrong)
        assert errors_of(answer) == {field: sentence}
        assert ('value="laptop"' in answer.text) is (field != "name")
        assert _ticked(answer.text) == ([] if field == "scopes" else ["read_user"])
        is_of_more = field in {"audience", "allowed_ips"}
        assert ('<details class="more" open>' in answer.text) is is_of_more
    assert contents(store) == before


@pytest.mark.parametrize("scopes", ["scopes=api,read_user", "scopes=api&scopes=read_user"])
def test_an_address_fills_the_form_in_and_makes_nothing(
    store: Store, alice: Visitor, scopes: str
) -> None:
    before = contents(store)
    text = alice.text(f"{NEW}?name=My+tool&description=%3Cb%3E&expires_at=2026-04-01&{scopes}")
    assert 'value="My tool"' in text
    assert ">&lt;b&gt;</textarea>" in text
    assert 'value="2026-04-01"' in text
    assert _ticked(text) == ["api", "read_user"]
    assert contents(store) == before


def test_links_to_the_list_as_gitlab_has_them_fill_the_form_in_too(alice: Visitor) -> None:
    query = "name=a%26b&scopes=api%2Cread_user&description=%C3%A9"
    answer = alice.get(f"{PAGE}?{query}")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{NEW}?{query}")


@pytest.fixture
def strict(settings: Settings, clock: ManualClock, store: Store) -> Iterator[Flask]:
    """An application that wants an expiry of at most 20 days, and has a scope of its own."""
    app = create_app(
        replace(settings, require_expiry=True, max_lifetime_days=20, extra_scopes=("deploy",)),
        clock,
    )
    yield app
    app.extensions["tokensrv_usage"].close()
    app.extensions["tokensrv"].close()


def test_the_form_follows_the_settings(strict: Flask, alice: Visitor) -> None:
    visitor = Visitor(strict)
    visitor.http.set_cookie(SESSION, alice.cookie(SESSION) or "")
    text = visitor.text(NEW)
    last = (TODAY + timedelta(days=20)).isoformat()
    assert f'value="{last}" required min="2026-03-11" max="{last}"' in text
    assert re.findall(r'data-days="(\d*)"', text) == ["7"]
    assert "No expiration" not in text
    assert "Left empty, it never ends" not in text
    assert "Defined by this installation." in text
    assert (
        visitor.post(PAGE, **GOOD | {"expires_at": last, "scopes": ["deploy"]}).status_code == 200
    )


def test_a_form_that_is_sent_twice_makes_one_token(store: Store, alice: Visitor) -> None:
    (submission,) = re.findall(r'name="submission" value="([^"]+)"', alice.text(NEW))
    sent = GOOD | {"submission": submission}
    # It was refused at first, and shown again with the same value.
    again = alice.post(PAGE, **sent | {"scopes": []})
    assert f'name="submission" value="{submission}"' in again.text
    secret = shown_secret(alice.post(PAGE, **sent))
    second = alice.post(PAGE, **sent)
    assert second.status_code == 409
    assert "This form was sent twice: one token was made" in second.text
    assert secret not in second.text
    assert len(_all(store)) == 1


def test_no_two_forms_are_the_same_one(alice: Visitor) -> None:
    values = re.findall(r'name="submission" value="([^"]+)"', alice.text(NEW) + alice.text(NEW))
    assert len(set(values)) == 2


@pytest.mark.parametrize("how", ["stale", "signed out"])
def test_a_proof_in_between_costs_nothing_that_was_filled_in(
    store: Store, alice: Visitor, clock: ManualClock, how: str
) -> None:
    filled = GOOD | {"scopes": ["api", "read_user"], "description": "two words", "audience": "a\nb"}
    if how == "stale":
        clock.advance(seconds=FRESH.total_seconds())
        answer, step = alice.post(PAGE, **filled), "/users/confirm"
    else:
        alice.http.delete_cookie(SESSION)
        answer, step = alice.post(PAGE, **filled), "/users/sign_in"
    assert answer.status_code == 303
    address = urlsplit(answer.headers["Location"])
    assert address.path == step
    assert _all(store) == ()
    (way_back,) = parse_qs(address.query)["next"]
    alice.sign_in(alice.user)
    text = alice.text(way_back)
    assert 'value="laptop"' in text
    assert ">two words</textarea>" in text
    assert f'value="{IN_30_DAYS}"' in text
    assert _ticked(text) == ["api", "read_user"]
    assert re.search(r">a\s+b</textarea>", text)


def _lines(*scopes: str, audience: tuple[str, ...] = ()) -> dict[str, str]:
    record = token_record(Token(id=7, scopes=scopes, audience=audience), START)
    found = commands(NewToken(record, "tsp_x"), "alice", "https://t.example")
    return {command.title: command.text for command in found}


SELF = 'curl --header "PRIVATE-TOKEN: tsp_x" https://t.example/api/v4/personal_access_tokens/self'
USER = 'curl --header "PRIVATE-TOKEN: tsp_x" https://t.example/api/v4/user'
CLONE = "git clone https://alice@git.example.org/group/project.git"
LOGIN = "echo tsp_x | docker login registry.example.org --username alice --password-stdin"


@pytest.mark.parametrize(
    ("scopes", "found"),
    [
        (("api",), {"curl": USER, "Git": CLONE, "Docker": LOGIN}),
        (("read_user",), {"curl": USER}),
        (("self_rotate",), {"curl": SELF}),
        (("read_repository",), {"curl": SELF, "Git": CLONE}),
        (("write_repository",), {"curl": SELF, "Git": CLONE}),
        (("write_registry",), {"curl": SELF, "Docker": LOGIN}),
        (
            ("sudo",),
            {
                "curl": SELF,
                "As another user": f'{USER.rpartition(" ")[0]} --header "Sudo: USERNAME"'
                " https://t.example/api/v4/user",
            },
        ),
    ],
)
def test_ready_made_lines_are_those_that_the_scopes_open(
    scopes: tuple[str, ...], found: dict[str, str]
) -> None:
    assert _lines(*scopes) == found


def test_a_token_for_some_services_only_tells_about_itself() -> None:
    assert _lines("api", "sudo", audience=("service",)) == {"curl": SELF}


def test_the_lines_can_be_copied_and_go_with_the_page(alice: Visitor) -> None:
    answer = alice.post(PAGE, **GOOD)
    secret = shown_secret(answer)
    assert unescape(answer.text).count(secret) == 2
    holders = re.findall(r"<(?:input|pre)[^>]*data-secret[^>]*>", answer.text)
    assert len(holders) == 2
