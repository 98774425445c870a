"""What came out of an exchange, as long as it lives: everywhere under sudo, and never for long."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.oauth.conftest import World
from tests.oauth.exchanges import exchanged, of_token, of_user
from tests.oauth.test_introspect import INACTIVE
from tests.oauth.test_introspect_sudo import demote, set_policy
from tests.oauth.test_revoke import assert_done
from tokensrv.domain.facts import TokenKind
from tokensrv.services.directory import user_states, users
from tokensrv.services.lifecycle import rotation, tokens
from tokensrv.services.lifecycle.token_values import TokenChanges
from tokensrv.services.records import NewToken
from tokensrv.services.trail.events import COMMAND_LINE

SELF = "/personal_access_tokens/self"
NOT_UNDER_SUDO = {"message": "403 Forbidden - Not allowed while using sudo"}
ANY_KIND = pytest.mark.parametrize("kind", ["of another user", "of his own"])


def acting(world: World, **more: Any) -> str:
    """Return the secret of a token with which root acts as alice."""
    asked = of_token(world.admin_token.secret, requested_subject="alice")
    return exchanged(world.service, **asked, **more)


def narrowed(world: World, source: NewToken, **more: Any) -> str:
    """Return the secret of a token that is merely narrower than its source."""
    return exchanged(world.service, **of_token(source.secret), **more)


def of_roots_own(world: World, **more: Any) -> str:
    """Return the secret of a token that is narrower than root's."""
    return narrowed(world, world.admin_token, **more)


def call(world: World, method: str, path: str, secret: str, **options: Any) -> TestResponse:
    headers = {"PRIVATE-TOKEN": secret} | options.pop("headers", {})
    return world.http.open(f"/api/v4{path}", method=method, headers=headers, **options)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def assert_dead(world: World, secret: str) -> None:
    assert world.service.introspect(secret).data == INACTIVE
    answer = call(world, "GET", "/user", secret)
    assert answer.status_code in {401, 403}
    assert answer.get_json().get("username") is None


def change_source(world: World, **changed: Any) -> None:
    changes = TokenChanges(**changed)
    tokens.change(world.store, COMMAND_LINE, world.admin_token.record.id, changes)


class TestItDies:
    @pytest.mark.parametrize(
        "take_away",
        [
            pytest.param(
                lambda w: tokens.revoke(w.store, COMMAND_LINE, w.admin_token.record.id),
                id="source revoked",
            ),
            pytest.param(
                lambda w: rotation.rotate(w.store, COMMAND_LINE, w.admin_token.record.id),
                id="source rotated",
            ),
            pytest.param(lambda w: change_source(w, scopes=("api",)), id="source without sudo"),
            pytest.param(demote, id="actor demoted"),
            pytest.param(
                lambda w: user_states.block(w.store, COMMAND_LINE, w.root.id), id="actor blocked"
            ),
            pytest.param(
                lambda w: users.delete(w.store, COMMAND_LINE, w.root.id), id="actor deleted"
            ),
            pytest.param(
                lambda w: user_states.promote(w.store, COMMAND_LINE, w.alice.id),
                id="subject promoted",
            ),
            pytest.param(
                lambda w: user_states.deactivate(w.store, COMMAND_LINE, w.alice.id),
                id="subject deactivated",
            ),
            pytest.param(
                lambda w: users.delete(w.store, COMMAND_LINE, w.alice.id), id="subject deleted"
            ),
        ],
    )
    def test_the_moment_that_the_sudo_would_be_refused(
        self, world: World, take_away: Callable[[World], object]
    ) -> None:
        secret = acting(world)
        assert world.service.told(secret)["active"] is True
        take_away(world)
        assert_dead(world, secret)

    def test_when_the_policy_wants_a_reason_that_it_has_not(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        without, reasoned = acting(world), acting(world, sudo_reason="ticket 7")
        set_policy(world, monkeypatch, sudo_reason_required=True)
        assert_dead(world, without)
        assert world.service.told(reasoned)["active"] is True

    def test_when_the_policy_allows_admins_no_more(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = of_token(world.admin_token.secret)
        with monkeypatch.context() as patch:
            set_policy(world, patch, sudo_admin_targets=True)
            as_admin = exchanged(world.service, **asked, requested_subject="other-admin")
            as_himself = exchanged(world.service, **asked, requested_subject="root")
            assert world.service.told(as_himself)["act"]["username"] == "root"
            assert world.service.told(as_admin)["username"] == "other-admin"
        assert_dead(world, as_admin)
        assert_dead(world, as_himself)

    @pytest.mark.parametrize(
        "take_away",
        [
            pytest.param(
                lambda w: tokens.revoke(w.store, COMMAND_LINE, w.alice_token.record.id),
                id="source revoked",
            ),
            pytest.param(
                lambda w: rotation.rotate(w.store, COMMAND_LINE, w.alice_token.record.id),
                id="source rotated",
            ),
            pytest.param(
                lambda w: user_states.ban(w.store, COMMAND_LINE, w.alice.id), id="owner banned"
            ),
            pytest.param(
                lambda w: users.delete(w.store, COMMAND_LINE, w.alice.id), id="owner deleted"
            ),
        ],
    )
    def test_with_its_source_and_its_owner(
        self, world: World, take_away: Callable[[World], object]
    ) -> None:
        secret = narrowed(world, world.alice_token)
        assert world.service.told(secret)["active"] is True
        take_away(world)
        assert_dead(world, secret)


class TestItShrinks:
    def test_with_the_scopes_of_its_source(self, world: World) -> None:
        source = world.token(world.root, "read_api", "write_registry", "sudo")
        asked = of_token(source.secret, requested_subject="alice")
        wide = exchanged(world.service, **asked)
        narrow = exchanged(world.service, **asked, scope="read_user")
        changes = TokenChanges(scopes=("read_api", "sudo"))
        tokens.change(world.store, COMMAND_LINE, source.record.id, changes)
        assert world.service.told(wide)["scope"] == "read_api"
        assert world.service.told(wide, scope="write_registry") == {"active": False}
        assert world.service.told(narrow)["scope"] == "read_user"

    def test_with_the_end_of_its_source(self, world: World) -> None:
        world.clock.set(datetime(2026, 3, 10, 23, 30, tzinfo=UTC))
        secret = acting(world, expires_in="3600")
        assert world.service.told(secret)["expires_in"] == 3600
        change_source(world, expires_on=date(2026, 3, 11))
        assert world.service.told(secret)["expires_in"] == 1800
        world.clock.advance(seconds=1800)
        assert_dead(world, secret)

    @ANY_KIND
    def test_with_the_audience_of_its_source(self, world: World, kind: str) -> None:
        other, third = world.service_with(name="other"), world.service_with(name="third")
        make = acting if kind == "of another user" else of_roots_own
        anywhere, there = make(world), make(world, audience=[other.client_id, third.client_id])
        assert call(world, "GET", "/user", anywhere).status_code == 200
        change_source(world, audience=(other.client_id,))
        for secret in (anywhere, there):
            assert other.told(secret)["aud"] == [other.client_id]
            assert third.told(secret) == world.service.told(secret) == {"active": False}
            assert call(world, "GET", "/user", secret).status_code == 403

    def test_to_nothing_when_it_has_no_client_in_common_with_its_source(self, world: World) -> None:
        other = world.service_with(name="other")
        secret = acting(world, audience=other.client_id)
        change_source(world, audience=(world.service.client_id,))
        assert other.told(secret) == {"active": False}
        assert_dead(world, secret)


class TestOverTheApi:
    def test_it_acts_as_the_user_and_every_use_is_on_record(self, world: World) -> None:
        answer = call(world, "GET", "/user", acting(world))
        assert (answer.status_code, answer.get_json()["username"]) == (200, "alice")
        assert answer.headers["Tokensrv-Actor"] == str(world.root.id)
        assert answer.headers["Tokensrv-Subject"] == str(world.alice.id)
        [event] = world.events("sudo.used")
        assert (event.actor, event.subject) == ("root", "alice")
        assert event.data == {"method": "GET", "path": "/api/v4/user"}

    def test_of_ones_own_is_no_sudo(self, world: World) -> None:
        answer = call(world, "GET", "/user", narrowed(world, world.alice_token))
        assert (answer.status_code, answer.get_json()["username"]) == (200, "alice")
        assert "Tokensrv-Actor" not in answer.headers
        assert world.events("sudo.used") == []

    @ANY_KIND
    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("POST", "/user/personal_access_tokens", {"name": "new", "scopes": ["read_user"]}),
            ("POST", "/personal_access_tokens/OWN/rotate", {}),
            ("PATCH", "/personal_access_tokens/OWN", {"name": "new"}),
            ("POST", f"{SELF}/rotate", {}),
            ("DELETE", SELF, None),
        ],
    )
    def test_it_makes_nothing_that_would_outlive_it(
        self, world: World, kind: str, method: str, path: str, body: object
    ) -> None:
        own = world.token(world.alice, "api")
        secret = acting(world) if kind == "of another user" else narrowed(world, own)
        path = path.replace("OWN", str(own.record.id))
        answer = call(world, method, path, secret, json=body)
        assert (answer.status_code, answer.get_json()) == (403, NOT_UNDER_SUDO)
        assert world.service.told(secret)["active"] is True

    def test_of_an_admins_own_it_makes_neither_users_nor_tokens_nor_clients(
        self, world: World
    ) -> None:
        secret = narrowed(world, world.admin_token)
        alice, new = world.alice.id, {"name": "new", "scopes": ["read_user"]}
        for path in (
            f"/users/{alice}/personal_access_tokens",
            f"/users/{alice}/impersonation_tokens",
        ):
            assert call(world, "POST", path, secret, json=new).get_json() == NOT_UNDER_SUDO
        assert call(world, "GET", f"/users/{alice}", secret).status_code == 200

    @ANY_KIND
    @pytest.mark.parametrize("user", ["bob", "alice", "root"])
    def test_it_acts_as_nobody_else(self, world: World, kind: str, user: str) -> None:
        make = acting if kind == "of another user" else of_roots_own
        secret = make(world)
        answer = call(world, "GET", "/user", secret, headers={"Sudo": user})
        assert answer.status_code == 403
        assert world.service.told(secret, sudo=user) == {"active": False}

    @ANY_KIND
    def test_it_shows_itself(self, world: World, kind: str) -> None:
        make = acting if kind == "of another user" else of_roots_own
        shown = call(world, "GET", SELF, make(world)).get_json()
        assert (shown["scopes"], shown["active"]) == (["api"], True)
        assert shown["expires_at"] == "2026-03-10"
        associations = call(world, "GET", f"{SELF}/associations", make(world))
        assert associations.status_code == 200

    def test_it_may_end_the_users_tokens(self, world: World) -> None:
        own = world.token(world.alice, "api")
        path = f"/personal_access_tokens/{own.record.id}"
        assert call(world, "DELETE", path, acting(world)).status_code == 204
        [event] = world.events("token.revoked")
        assert (event.actor, event.subject) == ("root", "alice")

    @ANY_KIND
    def test_for_other_services_it_opens_only_what_is_about_itself(
        self, world: World, kind: str
    ) -> None:
        make = acting if kind == "of another user" else of_roots_own
        secret = make(world, audience=world.service.client_id)
        assert call(world, "GET", "/user", secret).status_code == 403
        assert call(world, "GET", SELF, secret).status_code == 200

    def test_it_stands_in_no_list_of_the_users_but_in_an_admins(self, world: World) -> None:
        own = world.token(world.alice, "api")
        for secret in (acting(world), narrowed(world, own)):
            token_id = call(world, "GET", SELF, secret).get_json()["id"]
            path = "/personal_access_tokens?per_page=100"
            listed = call(world, "GET", path, own.secret).get_json()
            assert token_id not in [token["id"] for token in listed]
            listed = call(world, "GET", path, world.admin_token.secret).get_json()
            assert token_id in [token["id"] for token in listed]
            one = f"/personal_access_tokens/{token_id}"
            assert call(world, "GET", one, own.secret).status_code == 401
            assert call(world, "GET", one, world.admin_token.secret).status_code == 200

    def test_even_an_admin_rotates_it_not(self, world: World) -> None:
        token_id = call(world, "GET", SELF, acting(world)).get_json()["id"]
        path = f"/personal_access_tokens/{token_id}/rotate"
        assert call(world, "POST", path, world.admin_token.secret).status_code == 403

    def test_the_user_may_end_it_by_its_id(self, world: World) -> None:
        own, secret = world.token(world.alice, "api"), acting(world)
        token_id = call(world, "GET", SELF, secret).get_json()["id"]
        stranger = world.token(world.bob, "api")
        path = f"/personal_access_tokens/{token_id}"
        assert call(world, "DELETE", path, stranger.secret).status_code == 400
        assert call(world, "DELETE", path, own.secret).status_code == 204
        assert_dead(world, secret)

    def test_under_sudo_nobody_ends_the_admins_own_token_as_the_user(self, world: World) -> None:
        path = f"/personal_access_tokens/{world.admin_token.record.id}"
        answer = call(world, "DELETE", path, world.admin_token.secret, headers={"Sudo": "alice"})
        assert answer.status_code == 400
        assert call(world, "DELETE", path, acting(world)).status_code == 400
        assert world.service.told(world.admin_token.secret)["active"] is True


class TestRevocation:
    @pytest.mark.rfc7009("2.1")
    @ANY_KIND
    def test_it_may_end_itself(self, world: World, kind: str) -> None:
        make = acting if kind == "of another user" else of_roots_own
        secret = make(world, scope="read_user")
        assert_done(world.service.revoke(secret, bearer(secret)))
        assert_dead(world, secret)
        [event] = world.events("token.revoked")
        subject = "alice" if kind == "of another user" else "root"
        assert (event.actor, event.subject) == ("root", subject)
        assert len(world.events("sudo.used")) == int(kind == "of another user")

    @pytest.mark.rfc7009("2.1")
    @pytest.mark.parametrize("who", ["subject", "actor", "another admin", "client"])
    def test_it_ends_by_the_hand_of_whoever_has_a_say(self, world: World, who: str) -> None:
        secret = acting(world)
        headers = {
            "subject": bearer(world.token(world.alice, "api").secret),
            "actor": bearer(world.token(world.root, "api").secret),
            "another admin": bearer(world.token(world.other_admin, "api").secret),
            "client": None,
        }[who]
        assert_done(world.service.revoke(secret, headers))
        assert_dead(world, secret)

    @pytest.mark.parametrize("who", ["stranger", "client", "token made for him"])
    def test_others_learn_nothing_and_change_nothing(self, world: World, who: str) -> None:
        secret = acting(world)
        stranger = world.token(world.bob, "api")
        if who == "client":
            plain = world.service_with(name="plain", allow=("exchange",))
            assert_done(plain.revoke(secret))
        elif who == "stranger":
            assert_done(world.service.revoke(secret, bearer(stranger.secret)))
        else:
            hidden = world.token(world.bob, "api", kind=TokenKind.IMPERSONATION)
            assert_done(world.service.revoke(secret, bearer(hidden.secret)))
        assert world.service.told(secret)["active"] is True

    def test_it_ends_the_users_other_tokens_on_record(self, world: World) -> None:
        own, secret = world.token(world.alice, "api"), acting(world)
        assert_done(world.service.revoke(own.secret, bearer(secret)))
        assert world.service.told(own.secret) == {"active": False}
        [used], [ended] = world.events("sudo.used"), world.events("token.revoked")
        assert used.seq < ended.seq
        assert (used.actor, used.subject) == (ended.actor, ended.subject) == ("root", "alice")
        assert used.data == {"method": "POST", "path": "/oauth/revoke"}

    def test_a_narrow_one_ends_no_other(self, world: World) -> None:
        secret = acting(world, scope="read_user")
        answer = world.service.revoke(world.alice_token.secret, bearer(secret))
        assert (answer.status_code, answer.get_json()["error"]) == (403, "insufficient_scope")
        assert world.service.told(world.alice_token.secret)["active"] is True

    def test_a_dead_one_ends_nothing(self, world: World) -> None:
        secret = acting(world)
        demote(world)
        answer = world.service.revoke(world.alice_token.secret, bearer(secret))
        assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_token")
        assert world.service.told(world.alice_token.secret)["active"] is True

    def test_its_end_is_not_its_sources(self, world: World) -> None:
        first, second = acting(world), acting(world)
        assert_done(world.service.revoke(first))
        assert world.service.told(second)["active"] is True
        assert world.service.told(world.admin_token.secret)["active"] is True


def test_both_forms_give_the_same_token(world: World) -> None:
    by_name = exchanged(world.service, **of_user("alice", world.admin_token.secret))
    told = [world.service.told(secret) for secret in (by_name, acting(world))]
    assert told[0].pop("jti") != told[1].pop("jti")
    assert told[0] == told[1]
