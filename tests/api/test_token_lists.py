"""Lists of personal access tokens: whose, filtered, sorted."""

from __future__ import annotations

from datetime import date

import pytest

from tests.api.conftest import Api, ids
from tests.conftest import ManualClock
from tests.factories import make_token
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.services.lifecycle import tokens
from tokensrv.services.records import NewToken, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

TOKENS = "/personal_access_tokens"
UNKNOWN_IDS = ("999", "9223372036854775807", "9223372036854775808", "9" * 400)


def revoke(store: Store, token: NewToken) -> None:
    tokens.revoke(store, COMMAND_LINE, token.record.id)


class TestList:
    def test_gives_an_admin_every_token(
        self, admin: Api, user: Api, store: Store, alice: UserRecord
    ) -> None:
        hidden = make_token(store, alice, kind=TokenKind.IMPERSONATION)
        assert ids(admin.get(TOKENS)) == [1, 2, hidden.record.id]

    def test_gives_a_user_his_own_without_impersonation_tokens(
        self, admin: Api, user: Api, store: Store, alice: UserRecord
    ) -> None:
        make_token(store, alice, kind=TokenKind.IMPERSONATION)
        assert [item["user_id"] for item in user.get(TOKENS).json] == [alice.id]

    def test_gives_an_admin_the_tokens_of_one_user(
        self, admin: Api, user: Api, alice: UserRecord
    ) -> None:
        listed = admin.get(f"{TOKENS}?user_id={alice.id}").json
        assert [item["user_id"] for item in listed] == [alice.id]

    def test_gives_a_user_his_own_by_his_id(self, user: Api, alice: UserRecord) -> None:
        assert user.get(f"{TOKENS}?user_id={alice.id}").status_code == 200

    def test_is_401_for_another_users_id(self, user: Api, root: UserRecord) -> None:
        answer = user.get(f"{TOKENS}?user_id={root.id}")
        assert (answer.status_code, answer.json) == (401, {"message": "401 Unauthorized"})

    @pytest.mark.parametrize("user_id", ["", *UNKNOWN_IDS])
    def test_is_404_for_an_admin_who_names_nobody(self, admin: Api, user_id: str) -> None:
        answer = admin.get(f"{TOKENS}?user_id={user_id}")
        assert (answer.status_code, answer.json) == (404, {"message": "404 Not Found"})

    @pytest.mark.parametrize(
        ("query", "named"),
        [
            pytest.param("revoked=true", ["dead"], id="revoked"),
            pytest.param("revoked=0", ["spent", "young", "Used"], id="not-revoked"),
            pytest.param("state=active", ["young", "Used"], id="active"),
            pytest.param("state=inactive", ["dead", "spent"], id="inactive"),
            pytest.param("search=USE", ["Used"], id="search"),
            pytest.param("search=", ["dead", "spent", "young", "Used"], id="search-for-nothing"),
            pytest.param("search=%25", [], id="search-for-a-wildcard"),
            pytest.param("created_before=2026-03-10T12:00:00Z", ["dead"], id="created-until"),
            pytest.param(
                "created_after=2026-03-11T12:00:00.000Z",
                ["spent", "young", "Used"],
                id="created-since",
            ),
            pytest.param("created_after=2026-03-11T12:00:00.001Z", ["young", "Used"], id="later"),
            pytest.param("created_after=2026-03-13T13:00:00%2B01:00", ["Used"], id="offset"),
            pytest.param("last_used_before=2026-03-13", [], id="never-used"),
            pytest.param("last_used_after=2026-03-13T12:00:00Z", ["Used"], id="used-since"),
            pytest.param("last_used_before=2026-03-13T12:00:00Z", ["Used"], id="used-until"),
            pytest.param("expires_before=2026-03-12", [], id="expires-before-is-strict"),
            pytest.param("expires_before=2026-03-13T01:00:00Z", ["spent"], id="expires-before"),
            pytest.param("expires_after=2026-04-01T09:00", ["young"], id="expires-after-inclusive"),
            pytest.param("state=active&search=o", ["young"], id="both"),
        ],
    )
    def test_filters(
        self,
        admin: Api,
        store: Store,
        clock: ManualClock,
        alice: UserRecord,
        query: str,
        named: list[str],
    ) -> None:
        revoke(store, make_token(store, alice, name="dead"))
        clock.advance(seconds=86400)
        make_token(store, alice, name="spent", expires_on=date(2026, 3, 12))
        clock.advance(seconds=86400)
        make_token(store, alice, name="young", expires_on=date(2026, 4, 1))
        clock.advance(seconds=86400)
        used = make_token(store, alice, name="Used")
        admin.holding(used.secret).get("/user")
        admin.client.application.extensions["tokensrv_usage"].flush()
        listed = admin.get(f"{TOKENS}?user_id={alice.id}&{query}")
        assert listed.status_code == 200, listed.text
        assert [item["name"] for item in listed.json] == named

    @pytest.mark.parametrize(
        ("sort", "named"),
        [
            ("created_asc", ["b", "a", "c"]),
            ("created_desc", ["c", "a", "b"]),
            ("name_asc", ["a", "b", "c"]),
            ("name_desc", ["c", "b", "a"]),
            ("expires_asc", ["c", "a", "b"]),
            ("expires_desc", ["b", "a", "c"]),
            # Among those never used the later one comes first.
            ("last_used_desc", ["b", "c", "a"]),
            ("junk", ["b", "a", "c"]),
            ("name", ["b", "a", "c"]),
        ],
    )
    def test_sorts_and_ignores_unknown_orders(
        self,
        admin: Api,
        store: Store,
        clock: ManualClock,
        alice: UserRecord,
        sort: str,
        named: list[str],
    ) -> None:
        for name, day in (("b", date(2026, 5, 2)), ("a", date(2026, 5, 1)), ("c", None)):
            token = make_token(store, alice, name=name, expires_on=day)
            clock.advance(seconds=1)
            if name == "b":
                admin.holding(token.secret).get("/user")
        admin.client.application.extensions["tokensrv_usage"].flush()
        listed = admin.get(f"{TOKENS}?user_id={alice.id}&sort={sort}").json
        assert [item["name"] for item in listed] == named

    @pytest.mark.parametrize(
        ("query", "error"),
        [
            ("user_id=junk", "user_id is invalid"),
            ("user_id=-1", "user_id is invalid"),
            ("user_id=%D9%A1", "user_id is invalid"),
            ("revoked=junk", "revoked is invalid"),
            ("revoked=", "revoked is invalid"),
            ("state=junk", "state does not have a valid value"),
            ("created_before=junk", "created_before is invalid"),
            ("created_after=2026-13-01", "created_after is invalid"),
            ("created_after=0001-01-01T00:00:00%2B14:00", "created_after is invalid"),
            ("last_used_before=1", "last_used_before is invalid"),
            ("last_used_after=%D9%A1", "last_used_after is invalid"),
            ("expires_before=2026-02-30", "expires_before is invalid"),
            ("expires_after=tomorrow", "expires_after is invalid"),
            ("search=%00", "search is invalid"),
            ("search=%FF", "search is invalid"),
            ("state=active&state=active", "state is invalid"),
            ("revoked=x&state=y", "revoked is invalid, state does not have a valid value"),
        ],
    )
    def test_names_every_bad_parameter(self, admin: Api, query: str, error: str) -> None:
        answer = admin.get(f"{TOKENS}?{query}")
        assert (answer.status_code, answer.json) == (400, {"error": error})

    @pytest.mark.parametrize("text", ["true", "True", "1", "t", "on"])
    def test_reads_every_way_to_write_true(self, admin: Api, text: str) -> None:
        assert ids(admin.get(f"{TOKENS}?revoked={text}")) == []

    @pytest.mark.parametrize("text", ["false", "False", "0", "f", "off"])
    def test_reads_every_way_to_write_false(self, admin: Api, text: str) -> None:
        assert ids(admin.get(f"{TOKENS}?revoked={text}")) == [1]


class TestExactName:
    def test_finds_it_letter_by_letter(self, user: Api, store: Store, alice: UserRecord) -> None:
        found = [make_token(store, alice, name="ci").record.id for _ in range(2)]
        for other in ("CI", "ci ", "c%", "ci-1"):
            make_token(store, alice, name=other)
        assert ids(user.get(f"{TOKENS}?name=ci")) == found
        assert ids(user.get(f"{TOKENS}?name=c%25"))[0] > found[1]

    def test_finds_no_name_that_nobody_can_give(self, user: Api) -> None:
        assert user.get(f"{TOKENS}?name=").json == []
        assert user.get(f"{TOKENS}?name={'x' * 300}").json == []

    def test_shows_nobody_more_than_he_may_see(
        self, user: Api, store: Store, root: UserRecord
    ) -> None:
        make_token(store, root, name="ci")
        assert user.get(f"{TOKENS}?name=ci").json == []


class TestKeyset:
    @pytest.mark.parametrize(
        ("query", "is_reversed"),
        [
            ("", False),
            ("sort=nothing", False),
            ("created_after=2020-01-01", False),
            ("sort=created_asc", False),
            ("sort=created_desc", True),
            ("sort=name_asc", False),
            ("sort=name_desc", True),
        ],
    )
    def test_holds_everything_once(
        self, user: Api, store: Store, alice: UserRecord, query: str, is_reversed: bool
    ) -> None:
        own = [make_token(store, alice, name="same").record.id for _ in range(4)]
        path: str | None = f"{TOKENS}?pagination=keyset&per_page=2&search=same&{query}"
        seen: list[int] = []
        while path is not None:
            page = user.get(path)
            assert "X-Page" not in page.headers
            seen += ids(page)
            link = page.headers.get("Link")
            path = link and link.partition(">")[0].partition("/api/v4")[2]
        assert seen == (own[::-1] if is_reversed else own)

    @pytest.mark.parametrize("sort", ["expires_asc", "last_used_desc"])
    def test_is_refused_where_a_token_may_have_no_place_in_the_order(
        self, user: Api, sort: str
    ) -> None:
        answer = user.get(f"{TOKENS}?pagination=keyset&sort={sort}")
        assert answer.status_code == 400
        assert answer.json == {"error": "sort does not have a valid value"}

    @pytest.mark.parametrize("cursor", ["", "x", "W10=", "WyJhIiwxXQ=="])
    def test_refuses_what_is_no_cursor(self, user: Api, cursor: str) -> None:
        answer = user.get(f"{TOKENS}?pagination=keyset&cursor={cursor}")
        assert (answer.status_code, answer.json) == (400, {"error": "cursor is invalid"})

    def test_asks_for_what_there_is(self, user: Api) -> None:
        answer = user.get(f"{TOKENS}?pagination=sideways")
        assert answer.json == {"error": "pagination does not have a valid value"}
