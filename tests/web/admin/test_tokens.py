"""The inventory as an admin sees it: found, looked at, exported, revoked one by one or at once."""

from __future__ import annotations

import csv
import re
from datetime import timedelta

import pytest

from tests.conftest import START, ManualClock
from tests.factories import make_client, make_exchanged, make_token, make_user
from tests.services.conftest import contents, events_of
from tests.web.conftest import Visitor
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.services.lifecycle import rotation, tokens
from tokensrv.services.records import TokenRecord, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

LIST = "/admin/tokens"
TODAY = START.date()
HOSTILE = '<img src=x onerror="alert(1)">\u202egnp'
INERT = "<bdi>&lt;img src=x onerror=&#34;alert(1)&#34;&gt;\u202egnp</bdi>"
# The names of those that are listed at an address.
LISTED = {
    "": ["exchanged", "support", "debug", "ci"],
    "kind=personal": ["support", "ci"],
    "state=expiring": ["ci"],
    "state=revoked": [],
    "scope=sudo&owner=ROOT&used=never": ["support"],
    "search=DEB&sort=name_desc": ["debug"],
    "state=&sort=name_asc": ["ci", "debug", "exchanged", "support"],
    "created_before=2026-03-10": [],
    "created_after=2026-03-10&owner=2&kind=exchanged": ["exchanged"],
    "page=9": [],
    "sort=x": ["exchanged", "support", "debug", "ci"],
}


@pytest.fixture
def bob(store: Store, root: Visitor) -> UserRecord:
    return make_user(store, "bob")


@pytest.fixture
def few(store: Store, root: Visitor, bob: UserRecord) -> list[TokenRecord]:
    """Three tokens of bob: personal, impersonation, exchanged; the last is of root's, with sudo."""
    personal = make_token(store, bob, ("read_api",), name="ci", expires_on=TODAY + timedelta(9))
    impersonation = make_token(store, bob, name="debug", kind=TokenKind.IMPERSONATION)
    assert root.user is not None
    source = make_token(store, root.user, ("sudo",), name="support")
    client_id = make_client(store).record.client_id
    exchanged = make_exchanged(store, source, bob, client_id=client_id, reason="ticket 4711")
    return [new.record for new in (personal, impersonation, exchanged, source)]


def _names(page: str) -> list[str]:
    return re.findall(r'<th scope="row"[^>]*>\s*<a [^>]*><bdi>(.*?)</bdi>', page)


def test_the_address_says_what_is_listed(root: Visitor, few: list[TokenRecord]) -> None:
    found = {query: _names(root.text(f"{LIST}?{query}")) for query in LISTED}
    assert found == LISTED


def test_a_filter_that_makes_no_sense_is_said_beside_its_field(
    root: Visitor, few: list[TokenRecord]
) -> None:
    for query, sentence in (
        ("owner=nobody", "There is no such user."),
        ("owner=a%00b", "There is no such user."),
        ("expires_before=soon", "This is not a date"),
        # As if they were not there, more would be listed than somebody may want to revoke.
        ("scope=gone", "There is no such choice."),
        ("used=x", "There is no such choice."),
        ("state=x", "There is no such choice."),
        ("search=a%00b", "Nothing can be called so."),
    ):
        answer = root.get(f"{LIST}?{query}&kind=personal")
        assert answer.status_code == 422
        name = query.partition("=")[0]
        assert f'id="{name}-error" role="alert">{sentence}' in answer.text
        assert '<option value="personal" selected>' in answer.text
        assert _names(answer.text) == []
        export = root.get(f"{LIST}/export?{query}")
        assert (export.status_code, export.location) == (303, f"{LIST}?{query}")


def test_the_page_says_when_there_is_nothing(root: Visitor) -> None:
    assert "Nobody has an active token yet." in root.text(LIST)
    assert "No token is like that." in root.text(f"{LIST}?search=x")


def test_the_page_says_what_was_not_looked_through(
    root: Visitor, few: list[TokenRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokensrv.services.reports.inventory.LOOKED_THROUGH", 1)
    page = root.text(f"{LIST}?state=")
    assert _names(page) == ["exchanged"]
    assert "1+ found" in page
    assert "there are more" in page
    nothing = root.text(f"{LIST}?scope=read_api")
    assert "Only 1 tokens were looked through" in nothing
    assert "None of those that were looked through is like that." in nothing


def test_a_page_has_as_many_rows_as_the_address_says(
    root: Visitor, store: Store, bob: UserRecord
) -> None:
    for number in range(21):
        make_token(store, bob, name=f"token {number}")
    first = root.text(LIST)
    assert (len(_names(first)), "Page 1 · 21 in all" in first) == (20, True)
    assert _names(root.text(f"{LIST}?page=2")) == ["token 0"]
    assert f'href="{LIST}?per_page=50"' in first
    assert len(_names(root.text(f"{LIST}?per_page=50"))) == 21
    assert root.get(f"{LIST}?page=9999").status_code == 404


def test_all_of_a_token_is_told_and_what_it_came_from(
    root: Visitor, store: Store, few: list[TokenRecord]
) -> None:
    new = rotation.rotate(store, COMMAND_LINE, few[0].id)
    page = root.text(f"{LIST}/{new.record.id}")
    assert new.secret not in page
    assert "Personal token" in page
    assert f'href="/admin/events?token_id={new.record.id}"' in page
    assert f'href="/admin/explain?id={new.record.id}"' in page
    assert f'<a href="{LIST}/{few[0].id}">Token {few[0].id}</a>' in page
    exchanged = root.text(f"{LIST}/{few[2].id}")
    assert f'<a href="{LIST}/{few[3].id}">Token {few[3].id}</a>' in exchanged
    assert "ticket 4711" in exchanged
    assert f'href="/admin/clients/{few[2].exchanged_by}"' in exchanged
    assert "root" in exchanged


def test_there_is_no_page_of_a_token_that_nobody_has(root: Visitor) -> None:
    for number in ("7", str(2**80)):
        for path in (f"{LIST}/{number}", f"{LIST}/{number}/revoke"):
            assert root.get(path).status_code == 404
    assert root.post(f"{LIST}/7/revoke", reason="x").status_code == 404


def test_what_people_chose_is_inert(root: Visitor, store: Store, bob: UserRecord) -> None:
    token = make_token(store, bob, name=HOSTILE, description=HOSTILE).record
    for path in (LIST, f"{LIST}/{token.id}", f"{LIST}/revoke?id={token.id}"):
        page = root.text(path)
        assert INERT in page
        assert "<img" not in page
    assert INERT in root.text(f"{LIST}/{token.id}/revoke")
    root.post(f"{LIST}/{token.id}/revoke", reason=HOSTILE)
    # What is said once afterwards comes from a cookie, which must not hold it.
    assert "img" not in (root.cookie("tokensrv_notice") or "img")


def test_an_export_has_the_filters_of_the_list(root: Visitor, few: list[TokenRecord]) -> None:
    answer = root.get(f"{LIST}/export?kind=personal&owner=bob")
    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="tokens.csv"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert [row["name"] for row in csv.DictReader(answer.text.splitlines())] == ["ci"]
    assert 'href="/admin/tokens/export?kind=personal"' in root.text(f"{LIST}?kind=personal")


def test_a_token_is_revoked_once_a_reason_is_given(
    root: Visitor, store: Store, few: list[TokenRecord]
) -> None:
    path = f"{LIST}/{few[0].id}/revoke"
    assert "Revoke this token?" in root.text(path)
    before = contents(store)
    refused = root.post(path, reason=" ")
    assert refused.status_code == 422
    assert 'id="reason-error"' in refused.text
    assert contents(store) == before
    assert root.post(path, reason="it leaked").location == f"{LIST}/{few[0].id}"
    assert "The token is revoked." in root.text(f"{LIST}/{few[0].id}")
    root.post(path, reason="again")
    assert "The token had ended before." in root.text(f"{LIST}/{few[0].id}")
    (event,) = events_of(store, "token.revoked")
    assert (event.token_id, event.actor, event.reason) == (few[0].id, "root", "it leaked")


def test_those_that_were_ticked_are_revoked_together(
    root: Visitor, store: Store, few: list[TokenRecord]
) -> None:
    tokens.revoke(store, COMMAND_LINE, few[1].id)
    ids = [few[0].id, few[1].id, few[2].id]
    query = "&".join(f"id={one}" for one in (*ids, 987_654))
    page = root.text(f"{LIST}/revoke?{query}&back=kind%3Dpersonal%26page%3D2")
    assert "Revoke 3 tokens?" in page
    assert re.findall(r'name="id" value="(\d+)"', page) == [str(one) for one in ids]
    refused = root.post(f"{LIST}/revoke", id=ids, reason="")
    assert (refused.status_code, 'id="reason-error"' in refused.text) == (422, True)
    answer = root.post(f"{LIST}/revoke", id=ids, reason="why", back="kind=personal&page=2")
    assert answer.location == f"{LIST}?kind=personal&page=2"
    assert "2 tokens revoked. 1 token had ended before." in root.text(answer.location)
    again = root.post(f"{LIST}/revoke", id=ids, reason="why")
    assert again.location == LIST
    assert "0 tokens revoked. 3 tokens had ended before." in root.text(LIST)
    assert [row.reason for row in events_of(store, "token.revoked")] == [None, "why", "why"]


def test_nothing_ticked_leads_back_to_the_list(root: Visitor) -> None:
    answer = root.get(f"{LIST}/revoke?id=x&back=state%3Drevoked")
    assert answer.location == f"{LIST}?state=revoked"
    assert "Nothing was selected" in root.text(answer.location)


def test_the_way_back_leads_nowhere_else(root: Visitor, few: list[TokenRecord]) -> None:
    answer = root.post(
        f"{LIST}/revoke", id=few[0].id, reason="why", back="//evil.example/?a=1\r\nX: y"
    )
    assert answer.location.startswith(f"{LIST}?")
    assert "X" not in answer.headers


def test_more_than_a_page_holds_cannot_be_revoked_at_once(root: Visitor, store: Store) -> None:
    before = contents(store)
    answer = root.post(f"{LIST}/revoke", id=list(range(1, 102)), reason="why")
    assert answer.status_code == 422
    assert "more than 100" in answer.text
    assert contents(store) == before


def test_what_ends_while_it_is_looked_at_is_shown_so(
    root: Visitor, few: list[TokenRecord], clock: ManualClock
) -> None:
    assert "Expiring soon" in root.text(LIST)
    clock.advance(seconds=timedelta(days=9).total_seconds())
    assert root.user is not None
    root.sign_in(root.user)
    page = root.text(f"{LIST}/{few[0].id}")
    assert "Expired" in page
    assert f'action="{LIST}/{few[0].id}/revoke"' not in page
