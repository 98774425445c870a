"""Pages and their headers, as GitLab's clients read them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.api.conftest import Api, ids
from tests.factories import make_token
from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.models import Token
from tokensrv.services.records import UserRecord

TOKENS = "/personal_access_tokens"
BASE = "http://127.0.0.1:8000/api/v4/personal_access_tokens"


@pytest.fixture
def five(user: Api, store: Store, alice: UserRecord) -> Api:
    """alice, with five tokens."""
    for _ in range(4):
        make_token(store, alice)
    return user


def test_is_20_items_by_default(user: Api, store: Store, alice: UserRecord) -> None:
    for _ in range(20):
        make_token(store, alice)
    page = user.get(TOKENS)
    assert len(ids(page)) == 20
    assert (page.headers["X-Per-Page"], page.headers["X-Next-Page"]) == ("20", "2")


@pytest.mark.parametrize(
    ("page", "count", "numbers", "rels"),
    [
        pytest.param(1, 2, ("1", "2", ""), "next=2 first=1 last=3", id="first"),
        pytest.param(2, 2, ("2", "3", "1"), "prev=1 next=3 first=1 last=3", id="middle"),
        pytest.param(3, 1, ("3", "", "2"), "prev=2 first=1 last=3", id="last"),
        pytest.param(4, 0, ("4", "", ""), "first=1 last=3", id="beyond"),
    ],
)
def test_says_where_one_can_go(
    five: Api, page: int, count: int, numbers: tuple[str, str, str], rels: str
) -> None:
    answer = five.get(f"{TOKENS}?per_page=2&page={page}")
    assert len(ids(answer)) == count
    headers = answer.headers
    assert (headers["X-Page"], headers["X-Next-Page"], headers["X-Prev-Page"]) == numbers
    assert (headers["X-Per-Page"], headers["X-Total"], headers["X-Total-Pages"]) == ("2", "5", "3")
    assert headers["Link"] == ", ".join(
        f'<{BASE}?page={number}&per_page=2>; rel="{rel}"'
        for rel, _, number in (part.partition("=") for part in rels.split())
    )


def test_of_an_empty_list_is_one_page(admin: Api) -> None:
    headers = admin.get(f"{TOKENS}?revoked=true").headers
    assert (headers["X-Total"], headers["X-Total-Pages"]) == ("0", "1")
    assert headers["Link"].count("page=1&") == 2


def test_works_as_head(five: Api) -> None:
    answer = five.call("HEAD", f"{TOKENS}?per_page=2")
    assert (answer.data, answer.headers["X-Total"]) == (b"", "5")


@pytest.mark.parametrize("per_page", ["101", "9" * 30])
def test_clamps_per_page(five: Api, per_page: str) -> None:
    headers = five.get(f"{TOKENS}?per_page={per_page}").headers
    assert headers["X-Per-Page"] == "100"
    assert "per_page=100>" in headers["Link"]


def test_of_a_list_that_is_always_empty_have_any_number(user: Api) -> None:
    answer = user.get(f"{TOKENS}/self/associations?page={'9' * 400}")
    assert (answer.status_code, answer.json) == (200, {"groups": [], "projects": []})


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("page=junk", "page is invalid"),
        ("page=", "page is invalid"),
        ("page=-1", "page is invalid"),
        ("page=1.0", "page is invalid"),
        ("page=%D9%A1", "page is invalid"),
        ("page=0", "page does not have a valid value"),
        ("per_page=junk", "per_page is invalid"),
        ("per_page=0", "per_page does not have a valid value"),
        ("per_page=1&per_page=2", "per_page is invalid"),
    ],
)
@pytest.mark.parametrize("path", [TOKENS, "/users"])
def test_names_what_is_wrong(user: Api, path: str, query: str, error: str) -> None:
    answer = user.get(f"{path}?{query}")
    assert (answer.status_code, answer.json) == (400, {"error": error})


def test_links_repeat_the_query_without_credentials(five: Api) -> None:
    query = (
        "search=a%2Cb,c&x=%FF&revoked=false&per_page=2"
        f"&private_token={five.secret}&access_token=&bearer_token"
    )
    link = five.holding(None).get(f"{TOKENS}?{query}").headers["Link"]
    kept = "search=a%2Cb%2Cc&x=%FF&revoked=false"
    assert link.split(", ")[0] == f'<{BASE}?{kept}&page=1&per_page=2>; rel="first"'
    assert "token=" not in link


@pytest.mark.parametrize("name", ["private_token", "access_token[]", "bearer_token[x]"])
def test_links_repeat_no_credential_that_was_ignored_either(
    user: Api, with_settings: Callable[..., Api], name: str
) -> None:
    closed = with_settings(user.secret, query_tokens=False)
    answer = closed.get(TOKENS, query_string={name: "s3cret"})
    assert answer.status_code == 200
    assert "s3cret" not in answer.headers["Link"]


def test_links_begin_with_the_external_url_whatever_the_host_says(
    user: Api, with_settings: Callable[..., Api]
) -> None:
    own = with_settings(user.secret, external_url="https://id.example.org/tokens")
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    link = own.get(TOKENS, headers=headers).headers["Link"]
    assert link.startswith("<https://id.example.org/tokens/api/v4/personal_access_tokens?")
    assert "evil" not in link


def test_counts_no_further_than_10000(user: Api, store: Store, alice: UserRecord) -> None:
    now = utcnow(store.clock)
    row = {
        "kind": "personal",
        "user_id": alice.id,
        "name": "many",
        "scopes": ("api",),
        "created_at": now,
        "updated_at": now,
    }
    with store.write() as session:
        session.bulk_insert_mappings(
            Token.__mapper__,
            [row | {"digest": number.to_bytes(32, "big")} for number in range(10_000)],
        )
    headers = user.get(f"{TOKENS}?per_page=1").headers
    assert not {"X-Total", "X-Total-Pages"} & set(headers.keys())
    assert headers["X-Next-Page"] == "2"
    assert 'rel="last"' not in headers["Link"]


@pytest.mark.parametrize(
    ("path", "kind", "has_keyset"),
    [
        pytest.param("/users", "User", True, id="users"),
        pytest.param(TOKENS, "PersonalAccessToken", True, id="tokens"),
        pytest.param(
            "/users/1/impersonation_tokens",
            "PersonalAccessToken",
            False,
            id="impersonation tokens",
        ),
        pytest.param("/tokensrv/clients", "Client", False, id="clients"),
    ],
)
def test_end_at_an_offset_of_50000(admin: Api, path: str, kind: str, has_keyset: bool) -> None:
    assert admin.get(f"{path}?per_page=100&page=501").json == []
    more = " Remaining records can be retrieved using keyset pagination."
    expected = (
        "Offset pagination has a maximum allowed offset of 50000 for requests that return objects"
        f" of type {kind}.{more if has_keyset else ''}"
    )
    for page in ("502", "9223372036854775808", "9" * 400):
        answer = admin.get(f"{path}?per_page=100&page={page}")
        assert (answer.status_code, answer.json) == (405, {"error": expected})


@pytest.mark.parametrize("path", ["/users", TOKENS])
def test_by_key_are_found_whatever_the_number(admin: Api, path: str) -> None:
    answer = admin.get(f"{path}?pagination=keyset&order_by=id&per_page=100&page={'9' * 400}")
    assert (answer.status_code, bool(answer.json)) == (200, True)
