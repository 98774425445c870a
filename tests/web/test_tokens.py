from __future__ import annotations

import re
from datetime import date, timedelta
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.conftest import START, ManualClock
from tests.factories import make_exchanged, make_token, make_user
from tests.web.conftest import Visitor
from tokensrv.clock import midnight
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import NewToken
from tokensrv.services.trail.events import COMMAND_LINE
from tokensrv.services.trail.usage import Usage

PAGE = "/-/user_settings/personal_access_tokens"
TODAY = START.date()
HOSTILE = "<script>alert(1)</script>\u202e=cmd"


def rows(text: str) -> list[str]:
    """Return the names of the tokens in the table, in their order."""
    found = re.findall(r'<th scope="row" id="token-\d+">\s*<bdi>(.*?)</bdi>', text, re.DOTALL)
    return [unescape(name) for name in found]


def _day(days: int | None) -> date | None:
    return None if days is None else TODAY + timedelta(days=days)


@pytest.fixture
def several(store: Store, alice: Visitor, clock: ManualClock) -> dict[str, NewToken]:
    """Tokens of alice in every state, a second apart; the first of them will be over tomorrow."""
    ends = {"over": 1, "late": 90, "never": None, "soon": 9, "gone": 30}
    made = {}
    for name, days in ends.items():
        made[name] = make_token(store, alice.user, name=name, expires_on=_day(days))
        clock.advance(seconds=1)
    tokens.revoke(store, COMMAND_LINE, made["gone"].record.id)
    clock.set(midnight(TODAY + timedelta(days=1)))
    alice.sign_in(alice.user)
    return made


def test_without_any_token_the_page_says_what_to_do(alice: Visitor) -> None:
    text = alice.text(PAGE)
    assert "No access tokens" in text
    assert text.count("Add new token") == 1
    assert "<table" not in text
    assert "Apply filters" not in text


def test_active_tokens_come_first_the_soonest_expiry_first(
    alice: Visitor, several: dict[str, NewToken]
) -> None:
    text = alice.text(PAGE)
    assert rows(text) == ["soon", "late", "never"]
    assert text.count("Expiring soon") == 1


FOUND = {
    "state=active": ["soon", "late", "never"],
    "state=inactive": ["over", "gone"],
    "state=all": ["over", "soon", "gone", "late", "never"],
    "state=inactive&revoked=true": ["gone"],
    "state=inactive&revoked=false": ["over"],
    "search=AT": ["late"],
    "state=all&expires_before=2026-04-09": ["over", "soon"],
    "expires_after=2026-03-19": ["soon", "late"],
    "created_after=2026-03-10&created_before=2026-03-11": ["soon", "late", "never"],
    "created_before=2026-03-10": [],
    "last_used_after=2026-03-01": ["late"],
    "last_used_before=2026-03-10": [],
    "state=all&sort=name_asc": ["gone", "late", "never", "over", "soon"],
    "sort=created_desc": ["soon", "never", "late"],
    "sort=expires_desc": ["late", "soon", "never"],
}


def test_filters_and_the_order_stand_in_the_address(
    store: Store, alice: Visitor, several: dict[str, NewToken]
) -> None:
    late = several["late"].record
    usage = Usage(store)
    usage.used(late.id, late.user_id, "192.0.2.9")
    usage.close()
    texts = {query: alice.text(f"{PAGE}?{query}") for query in FOUND}
    assert {query: rows(text) for query, text in texts.items()} == FOUND
    for query, text in texts.items():
        is_default = query == "state=active" or query.startswith("sort=")
        assert ("Clear filters" in text) is not is_default, query
        for [value] in parse_qs(query).values():
            assert re.search(rf'value="{value}"( selected)?>', text), query


def test_each_number_leads_to_the_tokens_that_it_counts(
    alice: Visitor, several: dict[str, NewToken]
) -> None:
    text = alice.text(PAGE)
    cards = re.findall(
        r"<span>([^<]+)</span>\s*<strong>(\d+)</strong>\s*<a href=\"([^\"]+)\">Filter list", text
    )
    assert [(words, int(count)) for words, count, _ in cards] == [
        ("Active tokens", 3),
        ("Tokens expiring in 2 weeks", 1),
        ("Revoked tokens", 1),
        ("Expired tokens", 1),
    ]
    for words, count, address in cards:
        assert len(rows(alice.text(unescape(address)))) == int(count), words


def test_a_filter_that_finds_nothing_says_so(alice: Visitor, several: dict[str, NewToken]) -> None:
    text = alice.text(f"{PAGE}?search=nothing+of+that+name")
    assert "No access tokens" in text
    assert "Clear filters" in text
    assert "<table" not in text


def test_what_is_no_day_is_an_error_beside_its_field_and_no_filter(
    alice: Visitor, several: dict[str, NewToken]
) -> None:
    answer = alice.get(f"{PAGE}?created_before=yesterday")
    assert answer.status_code == 422
    assert 'id="created_before-error"' in answer.text
    assert 'value="yesterday"' in answer.text
    assert "<details" in answer.text
    assert " open>" in answer.text
    assert rows(answer.text) == ["soon", "late", "never"]


def test_use_is_shown_with_when_and_where_from(
    store: Store, alice: Visitor, clock: ManualClock
) -> None:
    record = make_token(store, alice.user).record
    usage = Usage(store)
    for ip in ("192.0.2.9", "2001:db8::7"):
        usage.used(record.id, record.user_id, ip)
    usage.close()
    clock.advance(seconds=120)
    text = alice.text(PAGE)
    assert "2 minutes ago" in text
    assert "<bdi>2001:db8::7, 192.0.2.9</bdi>" in text


def test_limits_of_a_token_are_shown(store: Store, alice: Visitor) -> None:
    make_token(store, alice.user, allowed_ips=("10.0.0.0/8",), description="for <b>me</b>")
    text = alice.text(PAGE)
    assert "Only from <bdi>10.0.0.0/8</bdi>" in text
    assert "<bdi>for &lt;b&gt;me&lt;/b&gt;</bdi>" in text


def test_a_long_list_has_pages(store: Store, alice: Visitor) -> None:
    for number in range(13):
        make_token(store, alice.user, name=f"token {number:02}")
    first = alice.text(f"{PAGE}?sort=name_asc")
    assert len(rows(first)) == 10
    assert "Page 1 · 13 in all" in first
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following is not None
    second = alice.text(unescape(following[1]))
    assert rows(second) == ["token 10", "token 11", "token 12"]
    assert 'rel="prev"' in second
    assert 'rel="next"' not in second


def test_only_ones_own_personal_tokens_are_there_for_an_admin_as_well(
    store: Store, root: Visitor
) -> None:
    own = make_token(store, root.user, name="own")
    make_token(store, root.user, name="hidden", kind=TokenKind.IMPERSONATION)
    make_exchanged(store, own, root.user)
    make_token(store, make_user(store, "bob"), name="bob's")
    assert rows(root.text(f"{PAGE}?state=all&search=")) == ["own"]


@pytest.mark.parametrize(
    ("field", "value"), [("search", "%00"), ("state", "gone"), ("revoked", "perhaps")]
)
def test_a_filter_that_makes_no_sense_is_an_error_beside_its_field(
    alice: Visitor, several: dict[str, NewToken], field: str, value: str
) -> None:
    answer = alice.get(f"{PAGE}?{field}={value}")
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text


def test_a_hostile_name_is_inert(store: Store, alice: Visitor) -> None:
    record = make_token(store, alice.user, name=HOSTILE, description=HOSTILE).record
    for path in (PAGE, f"{PAGE}/{record.id}/revoke", f"{PAGE}/{record.id}/rotate"):
        text = alice.text(path)
        assert "<script>alert" not in text
        # The mark of its writing direction cannot leave the element.
        assert text.count("\u202e") == text.count("&lt;/script&gt;\u202e=cmd</bdi>")
    assert rows(alice.text(PAGE)) == [HOSTILE]


def test_rows_have_buttons_that_ask_first_where_there_is_something_to_end(
    alice: Visitor, several: dict[str, NewToken]
) -> None:
    text = alice.text(f"{PAGE}?state=all")
    forms = re.findall(r'<form method="get" action="([^"]+)">\s*<button[^>]*>(\w+)<', text)
    alive = [several[name].record.id for name in ("soon", "late", "never")]
    assert forms == [
        (f"{PAGE}/{token_id}/{verb.lower()}", verb)
        for token_id in alive
        for verb in ("Rotate", "Revoke")
    ]


def test_the_front_door_leads_here(alice: Visitor) -> None:
    answer = alice.get("/")
    assert urlsplit(answer.headers["Location"]).path == PAGE
