"""Lists of users: filters, orders, and pages that go on after a key."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.api.conftest import Api, ids
from tests.api.test_user_forms import ADMIN, BASIC
from tests.conftest import ManualClock
from tests.factories import make_admin, make_user
from tokensrv.db import Store
from tokensrv.services.directory import user_states
from tokensrv.services.trail.events import COMMAND_LINE


@pytest.fixture
def people(store: Store, clock: ManualClock, admin: Api, user: Api) -> None:
    """root (an admin) and alice, and later bob (blocked), Carl (external) and dora (an admin)."""
    clock.advance(seconds=60)
    bob = make_user(store, "bob", name="Zed", profile={"public_email": "public@example.org"})
    user_states.block(store, COMMAND_LINE, bob.id)
    clock.advance(seconds=60)
    make_user(store, "Carl", name="Alice's friend", profile={"external": True})
    make_admin(store, "dora", name="Dora_%")


@pytest.mark.usefixtures("people")
class TestFilters:
    @pytest.mark.parametrize(
        ("query", "named"),
        [
            ("", "dora Carl bob alice root"),
            ("username=ALICE", "alice"),
            ("username=ali", ""),
            ("search=alice", "Carl alice"),
            ("search=CAR", "Carl"),
            ("search=%25", "dora"),
            ("search=_", "dora"),
            ("search=public@example.org", "bob"),
            ("search=public@example", ""),
            ("active=true", "dora Carl alice root"),
            ("active=false", "dora Carl bob alice root"),
            ("blocked=true", "bob"),
            ("blocked=false", "dora Carl bob alice root"),
            ("exclude_active=true", "bob"),
            ("active=true&exclude_active=true", ""),
            ("external=true", "Carl"),
            ("exclude_external=true", "dora bob alice root"),
            ("external=true&exclude_external=1", ""),
            ("humans=true", "dora Carl bob alice root"),
            ("exclude_humans=true", ""),
            ("exclude_internal=true&without_project_bots=true", "dora Carl bob alice root"),
            ("admins=true", "dora root"),
            ("admins=false", "dora Carl bob alice root"),
            ("search=alice&external=true", "Carl"),
        ],
    )
    @pytest.mark.parametrize("who", ["admin", "user"])
    def test_are_for_everybody(
        self, request: pytest.FixtureRequest, who: str, query: str, named: str
    ) -> None:
        caller: Api = request.getfixturevalue(who)
        listed = caller.get(f"/users?{query}")
        assert listed.status_code == 200, listed.text
        assert [item["username"] for item in listed.json] == named.split()

    @pytest.mark.parametrize(
        ("query", "named"),
        [
            ("order_by=username&sort=asc", "alice bob Carl dora root"),
            ("order_by=name&sort=asc", "alice Carl dora root bob"),
            ("order_by=created_at", "dora Carl bob alice root"),
            ("sort=asc", "root alice bob Carl dora"),
            ("two_factor=enabled", ""),
            ("two_factor=disabled", "dora Carl bob alice root"),
            ("without_projects=true", "dora Carl bob alice root"),
            ("created_before=2026-03-10T12:00:59.999Z", "alice root"),
            ("created_after=2026-03-10T12:02:00Z", "dora Carl"),
            ("search=alice@example.org", "alice"),
            ("extern_uid=1&provider=ldap", ""),
        ],
    )
    def test_that_only_admins_have_are_dropped_for_others(
        self, admin: Api, user: Api, query: str, named: str
    ) -> None:
        listed = admin.get(f"/users?{query}")
        assert listed.status_code == 200, listed.text
        assert [item["username"] for item in listed.json] == named.split()
        others = user.get(f"/users?{query}")
        if "extern_uid" in query:
            assert (others.status_code, others.json) == (403, {"message": "403 Forbidden"})
        elif "search" in query:
            assert others.json == []
        else:
            assert ids(others) == [5, 4, 3, 2, 1]

    @pytest.mark.parametrize(
        ("query", "error"),
        [
            ("active=junk", "active is invalid"),
            ("order_by=email", "order_by does not have a valid value"),
            ("sort=up", "sort does not have a valid value"),
            ("two_factor=junk", "two_factor does not have a valid value"),
            ("created_after=junk", "created_after is invalid"),
            ("provider=ldap", "extern_uid, provider provide all or none of parameters"),
            ("extern_uid=1", "extern_uid, provider provide all or none of parameters"),
            ("pagination=junk", "pagination does not have a valid value"),
            ("username=a&username=b", "username is invalid"),
        ],
    )
    def test_name_what_is_wrong(self, admin: Api, query: str, error: str) -> None:
        answer = admin.get(f"/users?{query}")
        assert (answer.status_code, answer.json) == (400, {"error": error})


def test_show_a_user_little_and_an_admin_everything(admin: Api, user: Api) -> None:
    assert all(item.keys() == BASIC for item in user.get("/users").json)
    assert all(item.keys() == ADMIN for item in admin.get("/users").json)


@pytest.mark.usefixtures("people")
class TestKeyset:
    @pytest.mark.parametrize("sort", ["asc", "desc"])
    @pytest.mark.parametrize("order_by", ["id", "name", "username", "created_at", "updated_at"])
    def test_walks_over_everybody_once(self, admin: Api, order_by: str, sort: str) -> None:
        query = f"order_by={order_by}&sort={sort}"
        expected = ids(admin.get(f"/users?{query}"))
        found: list[int] = []
        path: str | None = f"/users?pagination=keyset&per_page=2&{query}"
        while path is not None:
            page = admin.get(path)
            found += ids(page)
            assert "X-Page" not in page.headers
            path = following(page.headers.get("Link"))
        assert found == expected

    def test_starts_with_the_latest(self, user: Api) -> None:
        page = user.get("/users?pagination=keyset&per_page=2")
        assert ids(page) == [5, 4]
        assert ids(user.get(following(page.headers["Link"]) or "")) == [3, 2]

    def test_filters_too(self, admin: Api) -> None:
        assert ids(admin.get("/users?pagination=keyset&blocked=true")) == [3]

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(b"junk", id="no-json"),
            pytest.param(b"5", id="no-pair"),
            pytest.param(b"[1]", id="one"),
            pytest.param(b"[1, 2, 3]", id="three"),
            pytest.param(b'["a", 1]', id="no-number"),
            pytest.param(b"[1, true]", id="no-id"),
            pytest.param(b"[1, -1]", id="negative"),
            pytest.param(b"[99999999999999999999, 1]", id="giant"),
            pytest.param(b"[" * 100_000, id="deep"),
            pytest.param(b"\xff", id="no-text"),
        ],
    )
    @pytest.mark.parametrize("order_by", ["id", "created_at"])
    def test_refuses_a_cursor_that_it_did_not_give(
        self, admin: Api, content: bytes, order_by: str
    ) -> None:
        cursor = base64.urlsafe_b64encode(content).decode()
        query = {"pagination": "keyset", "order_by": order_by, "cursor": cursor}
        answer = admin.get("/users", query_string=query)
        assert (answer.status_code, answer.json) == (400, {"error": "cursor is invalid"})

    @pytest.mark.parametrize("value", ["a\0b", "\ud800", 5, None, ["a"]])
    def test_refuses_a_cursor_that_no_name_has(self, admin: Api, value: object) -> None:
        cursor = base64.urlsafe_b64encode(json.dumps([value, 1]).encode()).decode()
        answer = admin.get(f"/users?pagination=keyset&order_by=name&cursor={cursor}")
        assert (answer.status_code, answer.json) == (400, {"error": "cursor is invalid"})

    @pytest.mark.parametrize("cursor", ["%C3%A9", "a", "!!!!"])
    def test_refuses_a_cursor_that_is_no_base64(self, admin: Api, cursor: str) -> None:
        answer = admin.get(f"/users?pagination=keyset&cursor={cursor}")
        assert (answer.status_code, answer.json) == (400, {"error": "cursor is invalid"})


def following(link: str | None) -> str | None:
    """Return the path of the one link there is, below the API's."""
    if link is None:
        return None
    target, _, rel = link.partition(">; ")
    assert rel == 'rel="next"'
    parts = urlsplit(target.removeprefix("<"))
    assert parse_qs(parts.query).keys() >= {"cursor", "per_page"}
    return f"{parts.path.removeprefix('/api/v4')}?{parts.query}"
