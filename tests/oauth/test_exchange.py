"""RFC 8693: what a request for an exchange must be, and what comes out of it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from tests.conftest import QueryRecorder
from tests.factories import make_client
from tests.keys import claims_of, key_for, public, signed
from tests.oauth.conftest import World, basic
from tests.oauth.exchanges import PATH, ask, exchanged, of_token, of_user, refused
from tests.oauth.test_introspect_sudo import demote, set_policy
from tokensrv.domain import secret
from tokensrv.domain.facts import TokenKind
from tokensrv.models import EventHead, Token
from tokensrv.oauth.token import ACCESS_TOKEN, GRANT_TYPE, USER
from tokensrv.services.directory import clients, user_states, users
from tokensrv.services.lifecycle import tokens
from tokensrv.services.trail.events import COMMAND_LINE

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
REFRESH = "urn:ietf:params:oauth:token-type:refresh_token"
NOW = int(datetime(2026, 3, 10, 12, tzinfo=UTC).timestamp())


def as_alice(world: World, **more: Any) -> dict[str, Any]:
    return of_token(world.admin_token.secret, requested_subject="alice", **more)


class TestTheAnswer:
    @pytest.mark.rfc8693("2.2.1")
    def test_is_a_token_with_its_type_end_and_scope(self, world: World) -> None:
        answer = ask(world.service, **as_alice(world))
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Pragma"] == "no-cache"
        document = answer.get_json()
        token = document.pop("access_token")
        assert token.startswith("tse_")
        assert secret.has_shape(token)
        assert document == {
            "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "api",
        }

    @pytest.mark.rfc8693("4.1")
    @pytest.mark.parametrize("user", ["alice", "ALICE", "ID"])
    @pytest.mark.parametrize("form", ["requested_subject", "subject"])
    def test_acts_as_the_user_and_names_the_actor(self, world: World, user: str, form: str) -> None:
        user = user.replace("ID", str(world.alice.id))
        admins = world.admin_token.secret
        asked = of_user(user, admins)
        if form == "requested_subject":
            asked = of_token(admins, requested_subject=user)
        told = world.service.told(exchanged(world.service, **asked))
        assert (told["username"], told["sub"], told["scope"]) == (
            "alice",
            str(world.alice.id),
            "api",
        )
        assert told["act"] == {
            "sub": str(world.root.id),
            "username": "root",
            "jti": str(world.admin_token.record.id),
        }
        assert (told["client_id"], told["iat"]) == (world.service.client_id, NOW)
        assert (told["exp"], told["expires_in"]) == (NOW + 300, 300)

    def test_is_merely_narrower_without_another_user(self, world: World) -> None:
        token = world.token(world.alice, "api", expires_on=date(2026, 3, 20))
        narrow = exchanged(world.service, **of_token(token.secret, scope="read_user"))
        told = world.service.told(narrow)
        assert (told["username"], told["scope"], told["expires_in"]) == ("alice", "read_user", 300)
        assert "act" not in told

    def test_names_the_client_that_exchanged_whoever_asks(self, world: World) -> None:
        token = exchanged(world.service, **as_alice(world))
        other = world.service_with(name="other")
        assert other.told(token)["client_id"] == world.service.client_id

    def test_stays_with_the_one_statement_before_anything_is_written(
        self, world: World, query_recorder: QueryRecorder
    ) -> None:
        query_recorder.clear()
        ask(world.service, **of_token("nonsense"))
        assert len(query_recorder.statements) == 1


class TestTheRequest:
    @pytest.mark.rfc8693("2.1")
    @pytest.mark.parametrize(
        "changed",
        [
            pytest.param({"subject_token": None}, id="no subject"),
            pytest.param({"subject_token": ""}, id="blank subject"),
            pytest.param({"subject_token_type": None}, id="no type"),
            pytest.param({"subject_token_type": ""}, id="blank type"),
            pytest.param({"subject_token_type": REFRESH}, id="another type"),
            pytest.param({"subject_token_type": "nonsense"}, id="no type at all"),
            pytest.param({"requested_token_type": REFRESH}, id="another type requested"),
            pytest.param({"actor_token_type": ACCESS_TOKEN}, id="type of no actor"),
            pytest.param({"actor_token": "x"}, id="actor without a type"),
            pytest.param(
                {"actor_token": "x", "actor_token_type": ACCESS_TOKEN}, id="two access tokens"
            ),
            pytest.param({"actor_token": ""}, id="blank actor"),
            pytest.param({"subject_token": ["a", "b"]}, id="two subjects"),
            pytest.param({"scope": ["api", "api"]}, id="scope twice"),
            pytest.param({"requested_subject": ["alice", "alice"]}, id="two users"),
            pytest.param({"requested_subject": ""}, id="blank user"),
            pytest.param({"requested_subject": "alice,bob"}, id="two users in one"),
            pytest.param({"expires_in": "0"}, id="no time"),
            pytest.param({"expires_in": "-5"}, id="time that was"),
            pytest.param({"expires_in": "5m"}, id="no number"),
            pytest.param({"expires_in": "1e3"}, id="no whole number"),
            pytest.param({"expires_in": "9" * 40}, id="eternity"),
            pytest.param({"expires_in": "\u0665"}, id="other digits"),
            pytest.param({"sudo": "alice"}, id="sudo"),
            pytest.param({"sudo": ""}, id="blank sudo"),
            pytest.param(
                {"requested_subject": None, "requested_subject[]": "alice"}, id="list of users"
            ),
            pytest.param({"sudo[]": "alice"}, id="list of sudo"),
        ],
    )
    def test_with_a_parameter_that_is_wrong_is_invalid(
        self, world: World, changed: dict[str, Any]
    ) -> None:
        asked = as_alice(world) | changed
        asked = {key: value for key, value in asked.items() if value is not None}
        assert refused(ask(world.service, **asked)) == "invalid_request"
        assert world.events("token.exchanged") == []

    @pytest.mark.rfc8693("2.1")
    @pytest.mark.parametrize(
        "changed",
        [
            pytest.param({"actor_token": None}, id="no actor"),
            pytest.param({"actor_token": ""}, id="blank actor"),
            pytest.param({"actor_token_type": None}, id="no type"),
            pytest.param({"actor_token_type": USER}, id="user as actor"),
            pytest.param({"actor_token": "nonsense"}, id="no token"),
            pytest.param({"subject_token": "a b,c"}, id="no user"),
            pytest.param({"requested_subject": "bob"}, id="two users"),
        ],
    )
    def test_with_a_user_as_subject_needs_one_actor_and_no_other_user(
        self, world: World, changed: dict[str, Any]
    ) -> None:
        asked = of_user("alice", world.admin_token.secret) | changed
        asked = {key: value for key, value in asked.items() if value is not None}
        assert refused(ask(world.service, **asked)) == "invalid_request"
        assert world.events("token.exchanged") == []

    @pytest.mark.rfc6749("5.2")
    @pytest.mark.parametrize("grant", ["client_credentials", "password", "\xff", "tsp_" + "0" * 36])
    def test_for_another_grant_is_refused_without_repeating_it(
        self, world: World, grant: str
    ) -> None:
        answer = ask(world.service, **(as_alice(world) | {"grant_type": grant}))
        assert refused(answer) == "unsupported_grant_type"
        assert grant not in answer.text

    @pytest.mark.rfc6749("5.2")
    @pytest.mark.parametrize("grant", [{}, {"grant_type": ""}])
    def test_without_a_grant_is_invalid(self, world: World, grant: dict[str, str]) -> None:
        parameters = as_alice(world) | grant
        assert refused(world.service.post(PATH, parameters)) == "invalid_request"

    @pytest.mark.rfc6749("3.2")
    def test_in_the_url_is_no_request(self, world: World) -> None:
        asked = as_alice(world)
        token = asked.pop("subject_token")
        url = f"{PATH}?subject_token={token}"
        form = asked | {"grant_type": GRANT_TYPE}
        assert refused(world.service.post(url, form)) == "invalid_request"

    @pytest.mark.rfc6749("3.2")
    def test_is_a_post_of_a_form(self, world: World) -> None:
        assert world.http.get(PATH).status_code == 405
        asked = as_alice(world) | {"grant_type": GRANT_TYPE}
        headers = {"Authorization": basic(world.service.client_id, world.service.secret)}
        assert refused(world.http.post(PATH, json=asked, headers=headers)) == "invalid_request"

    @pytest.mark.parametrize("value", ["alice", "", "a,b"])
    def test_with_a_sudo_header_is_refused(self, world: World, value: str) -> None:
        answer = ask(world.service, {"Sudo": value}, **as_alice(world))
        assert refused(answer) == "invalid_request"
        assert world.events("token.exchanged") == []

    @pytest.mark.rfc8693("2.1")
    def test_may_name_what_it_gets_anyway_and_things_that_nobody_knows(self, world: World) -> None:
        asked = as_alice(world, requested_token_type=ACCESS_TOKEN, nonsense="x", scope=" ")
        assert ask(world.service, **asked).get_json()["scope"] == "api"


class TestTheClient:
    @pytest.mark.rfc6749("5.2")
    def test_must_be_who_it_says(self, world: World) -> None:
        wrong = {"Authorization": basic(world.service.client_id, "wrong")}
        bearer = {"Authorization": f"Bearer {world.admin_token.secret}"}
        for headers in (wrong, bearer, {"Authorization": ""}):
            answer = ask(world.service, headers, **as_alice(world))
            assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
            assert answer.headers["WWW-Authenticate"] == 'Basic realm="tokensrv"'

    def test_may_say_so_in_the_form(self, world: World) -> None:
        service = world.service
        form = {"client_id": service.client_id, "client_secret": service.secret}
        answer = ask(service, {"Authorization": ""}, **as_alice(world), **form)
        assert answer.status_code == 200
        assert refused(ask(service, **as_alice(world), **form)) == "invalid_request"

    def test_may_sign_who_it_is(self, world: World) -> None:
        key = key_for("ES256")
        client = make_client(world.store, jwks=public(key), allow=("exchange",))
        url = "http://127.0.0.1:8000/oauth/token"
        claims = claims_of(client.record.client_id, world.clock, aud=url)
        form = as_alice(world) | {
            "grant_type": GRANT_TYPE,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": signed(claims, key, "ES256"),
        }
        assert world.http.post(PATH, data=form).status_code == 200
        assert world.http.post(PATH, data=form).status_code == 401
        assert len(world.events("token.exchanged")) == 1

    @pytest.mark.rfc6749("5.2")
    def test_must_be_allowed_to_exchange(self, world: World) -> None:
        plain = world.service_with(name="plain", allow=("sudo", "batch", "revoke"))
        for asked in (as_alice(world), of_token("nonsense"), of_token(world.alice_token.secret)):
            assert refused(ask(plain, **asked)) == "unauthorized_client"
        assert world.events("token.exchanged") == []

    def test_needs_no_other_power_for_it(self, world: World) -> None:
        modest = world.service_with(name="modest", allow=("exchange",))
        assert modest.told(exchanged(modest, **as_alice(world)))["act"]["username"] == "root"

    def test_must_not_be_disabled(self, world: World) -> None:
        clients.disable(world.store, COMMAND_LINE, world.service.client_id)
        assert ask(world.service, **as_alice(world)).status_code == 401

    def test_gets_no_scope_beyond_its_limit(self, world: World) -> None:
        limited = world.service_with(name="limited", allow=("exchange",), scopes=("read_api",))
        assert ask(limited, **as_alice(world)).get_json()["scope"] == "read_api"
        assert refused(ask(limited, **as_alice(world, scope="api"))) == "invalid_scope"


class TestTheScope:
    @pytest.mark.parametrize(
        ("held", "default"),
        [
            (("api", "sudo"), "api"),
            (("sudo",), "api"),
            (("read_user", "sudo", "introspect", "self_rotate"), "read_user"),
            (("read_user", "write_registry", "sudo"), "read_user write_registry"),
        ],
    )
    def test_is_what_sudo_would_grant(
        self, world: World, held: tuple[str, ...], default: str
    ) -> None:
        token = world.token(world.root, *held).secret
        answer = ask(world.service, **of_token(token, requested_subject="alice"))
        assert answer.get_json()["scope"] == default
        assert world.service.told(token, sudo="alice")["scope"] == default

    @pytest.mark.parametrize("scope", ["read_user", "read_api read_registry", "write_repository"])
    def test_is_narrower_on_request(self, world: World, scope: str) -> None:
        token = exchanged(world.service, **as_alice(world, scope=scope))
        assert world.service.told(token)["scope"] == scope

    @pytest.mark.rfc6749("5.2")
    @pytest.mark.parametrize(
        "scope", ["api", "read_user api", "sudo", "introspect", "nonsense", "read_user\x00"]
    )
    def test_is_never_wider(self, world: World, scope: str) -> None:
        token = world.token(world.root, "read_api", "sudo", "introspect").secret
        asked = of_token(token, requested_subject="alice", scope=scope)
        assert refused(ask(world.service, **asked)) == "invalid_scope"
        own = world.token(world.root, "read_api", "sudo", "introspect").secret
        assert refused(ask(world.service, **of_token(own, scope=scope))) == "invalid_scope"
        assert world.events("token.exchanged") == []

    @pytest.mark.parametrize("held", ["sudo", "introspect", "self_rotate"])
    def test_cannot_be_nothing(self, world: World, held: str) -> None:
        token = world.token(world.root, held).secret
        assert refused(ask(world.service, **of_token(token))) == "invalid_scope"

    def test_of_ones_own_never_holds_what_cannot_be_passed_on(self, world: World) -> None:
        token = exchanged(world.service, **of_token(world.admin_token.secret))
        assert world.service.told(token)["scope"] == "api"


class TestTheEnd:
    @pytest.mark.parametrize(
        ("asked", "seconds"), [("1", 1), ("60", 60), ("3600", 3600), ("3601", 3600), ("", 300)]
    )
    def test_is_what_was_asked_for_within_an_hour(
        self, world: World, asked: str, seconds: int
    ) -> None:
        answer = ask(world.service, **as_alice(world, expires_in=asked)).get_json()
        assert answer["expires_in"] == seconds
        world.clock.advance(seconds=seconds - 0.001)
        assert world.service.told(answer["access_token"])["expires_in"] == 1
        world.clock.advance(seconds=0.001)
        assert world.service.told(answer["access_token"]) == {"active": False}

    @pytest.mark.parametrize(
        ("before_the_end", "expires_in"), [(1000, 300), (300, 300), (299, 299), (0.5, 1)]
    )
    def test_is_never_after_the_sources(
        self, world: World, before_the_end: float, expires_in: int
    ) -> None:
        source = world.token(world.root, "sudo", expires_on=date(2026, 3, 11))
        end = datetime(2026, 3, 11, tzinfo=UTC)
        world.clock.set(end - timedelta(seconds=before_the_end))
        asked = of_token(source.secret, requested_subject="alice")
        assert ask(world.service, **asked).get_json()["expires_in"] == expires_in
        world.clock.set(end)
        assert refused(ask(world.service, **asked)) == "invalid_request"


class TestTheAudience:
    def test_is_the_clients_that_are_named(self, world: World) -> None:
        other, third = world.service_with(name="other"), world.service_with(name="third")
        audience = [other.client_id, third.client_id]
        token = exchanged(world.service, **as_alice(world, audience=audience))
        assert other.told(token)["aud"] == audience
        assert third.told(token)["active"] is True
        assert world.service.told(token) == {"active": False}

    @pytest.mark.rfc8693("2.2.2")
    @pytest.mark.parametrize("audience", ["nobody", "", "https://example.org"])
    def test_must_exist(self, world: World, audience: str) -> None:
        asked = as_alice(world, audience=[world.service.client_id, audience])
        assert refused(ask(world.service, **asked)) == "invalid_target"

    @pytest.mark.rfc8693("2.2.2")
    def test_lies_within_the_sources(self, world: World) -> None:
        other = world.service_with(name="other")
        audience = (world.service.client_id, other.client_id)
        source = world.token(world.alice, "api", audience=audience).secret
        told = other.told(exchanged(world.service, **of_token(source)))
        assert told["aud"] == list(audience)
        narrow = exchanged(world.service, **of_token(source, audience=other.client_id))
        assert other.told(narrow)["aud"] == [other.client_id]
        third = world.service_with(name="third").client_id
        assert refused(ask(world.service, **of_token(source, audience=third))) == "invalid_target"

    @pytest.mark.parametrize("sudo", [{}, {"requested_subject": "alice"}])
    def test_of_the_source_must_hold_the_client_that_asks(
        self, world: World, sudo: dict[str, str]
    ) -> None:
        other = world.service_with(name="other")
        source = world.token(world.root, "api", audience=(other.client_id,)).secret
        assert refused(ask(world.service, **of_token(source, **sudo))) == "invalid_request"
        assert world.events("sudo.refused") == []

    @pytest.mark.rfc8693("2.2.2")
    def test_may_be_our_own_api_and_no_other_resource(self, world: World) -> None:
        own = world.http.get("/.well-known/oauth-protected-resource").get_json()["resource"]
        token = exchanged(world.service, **as_alice(world, resource=own))
        assert world.http.get("/api/v4/user", headers={"PRIVATE-TOKEN": token}).status_code == 200
        for wrong in (
            {"resource": "https://other.example"},
            {"resource": [own, "https://other.example"]},
            {"resource": ""},
            {"resource": own, "audience": world.service.client_id},
        ):
            assert refused(ask(world.service, **as_alice(world, **wrong))) == "invalid_target"


class TestTheSource:
    @pytest.mark.rfc8693("2.2.2")
    @pytest.mark.parametrize(
        "source",
        ["unknown", "nonsense", "client's secret", "revoked", "expired", "blocked", "over-long"],
    )
    @pytest.mark.parametrize("form", ["sudo", "user", "own"])
    def test_that_is_dead_is_invalid_and_nobody_learns_why(
        self, world: World, source: str, form: str
    ) -> None:
        token = world.token(world.other_admin, "api", "sudo", expires_on=date(2026, 3, 11))
        if source == "revoked":
            tokens.revoke(world.store, COMMAND_LINE, token.record.id)
        if source == "blocked":
            user_states.block(world.store, COMMAND_LINE, world.other_admin.id)
        if source == "expired":
            world.clock.set(datetime(2026, 3, 11, tzinfo=UTC))
        value = {
            "unknown": secret.mint("ts", secret.Kind.PERSONAL),
            "nonsense": "nonsense",
            "client's secret": world.service.secret,
            "over-long": "tsp_" + "a" * 50_000,
        }.get(source, token.secret)
        answer = ask(
            world.service,
            **{
                "sudo": of_token(value, requested_subject="alice"),
                "user": of_user("alice", value),
                "own": of_token(value),
            }[form],
        )
        assert refused(answer) == "invalid_request"
        why = "The token is unknown, expired, revoked or not for this client."
        assert answer.get_json()["error_description"] == why
        assert world.events("sudo.refused") == []

    @pytest.mark.parametrize("owner", ["alice", "root"])
    def test_without_sudo_is_invalid_for_another_user(self, world: World, owner: str) -> None:
        token = world.token(getattr(world, owner), "api").secret
        assert refused(ask(world.service, **of_user("bob", token))) == "invalid_request"
        [event] = world.events("sudo.refused")
        assert event.data["check"] == ("admin" if owner == "alice" else "scope")

    @pytest.mark.parametrize(
        ("make", "check"),
        [
            (demote, "admin"),
            (lambda world: users.delete(world.store, COMMAND_LINE, world.alice.id), "target"),
            (
                lambda world: user_states.ban(world.store, COMMAND_LINE, world.alice.id),
                "target_state",
            ),
            (
                lambda world: user_states.promote(world.store, COMMAND_LINE, world.alice.id),
                "target_admin",
            ),
        ],
        ids=["demoted", "deleted", "banned", "promoted"],
    )
    def test_that_may_not_act_as_the_user_is_an_invalid_target(
        self, world: World, make: Any, check: str
    ) -> None:
        make(world)
        answer = ask(world.service, **as_alice(world, sudo_reason="ticket 7"))
        assert refused(answer) == "invalid_target"
        [event] = world.events("sudo.refused")
        assert (event.data["check"], event.data["path"]) == (check, PATH)
        assert (event.client_id, event.actor, event.reason) == (
            world.service.client_id,
            "root",
            "ticket 7",
        )
        assert world.events("token.exchanged") == []

    def test_is_used_by_it(self, world: World) -> None:
        ask(world.service, **as_alice(world, remote_ip="192.0.2.9"))
        world.usage.flush()
        used = tokens.get(world.store, None, world.admin_token.record.id)
        assert (used.last_used_at is not None, used.last_used_ips) == (True, ("192.0.2.9",))

    @pytest.mark.parametrize("owner", ["alice", "root"])
    def test_that_an_admin_made_for_somebody_becomes_none_of_his_own(
        self, world: World, owner: str
    ) -> None:
        token = world.token(getattr(world, owner), "api", kind=TokenKind.IMPERSONATION)
        assert refused(ask(world.service, **of_token(token.secret))) == "invalid_request"

    def test_that_an_admin_made_for_another_admin_has_its_sudo(self, world: World) -> None:
        token = world.token(world.other_admin, "sudo", kind=TokenKind.IMPERSONATION)
        as_bob = exchanged(world.service, **of_user("bob", token.secret))
        assert world.service.told(as_bob)["act"]["username"] == "other-admin"

    @pytest.mark.parametrize("again", [{}, {"requested_subject": "bob"}])
    @pytest.mark.parametrize("with_actor", [True, False])
    def test_is_never_what_came_out_of_an_exchange(
        self, world: World, again: dict[str, str], *, with_actor: bool
    ) -> None:
        first = as_alice(world) if with_actor else of_token(world.admin_token.secret)
        token = exchanged(world.service, **first)
        assert refused(ask(world.service, **of_token(token, **again))) == "invalid_request"
        if again:
            assert refused(ask(world.service, **of_user("bob", token))) == "invalid_request"
        assert len(world.events("token.exchanged")) == 1


class TestTheReason:
    def test_is_kept_with_the_token_and_stands_in_every_event(self, world: World) -> None:
        token = exchanged(world.service, **as_alice(world, sudo_reason=" ticket 7 "))
        world.service.told(token)
        for action in ("token.exchanged", "sudo.used"):
            [event] = world.events(action)
            assert (event.actor, event.subject, event.reason) == ("root", "alice", "ticket 7")

    def test_may_stand_in_the_header(self, world: World) -> None:
        ask(world.service, {"Sudo-Reason": "ticket 8"}, **as_alice(world))
        assert world.events("token.exchanged")[0].reason == "ticket 8"

    @pytest.mark.parametrize("reason", [{}, {"sudo_reason": " "}, {"sudo_reason": "x" * 256}])
    def test_is_needed_where_the_policy_says_so(
        self, world: World, monkeypatch: pytest.MonkeyPatch, reason: dict[str, str]
    ) -> None:
        set_policy(world, monkeypatch, sudo_reason_required=True)
        assert refused(ask(world.service, **as_alice(world, **reason))) == "invalid_target"
        assert world.events("sudo.refused")[0].data["check"] == "reason"
        assert ask(world.service, **as_alice(world, sudo_reason="x")).status_code == 200

    def test_is_not_needed_for_ones_own(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        set_policy(world, monkeypatch, sudo_reason_required=True)
        token = exchanged(world.service, **of_token(world.alice_token.secret))
        assert world.service.told(token)["active"] is True


class TestTheEvent:
    def test_names_both_users_the_new_token_the_client_and_the_source(self, world: World) -> None:
        headers = {"X-Request-Id": "request-7"}
        ask(world.service, headers, **as_alice(world, scope="read_user", expires_in="60"))
        [event] = world.events("token.exchanged")
        assert (event.actor_id, event.subject_id) == (world.root.id, world.alice.id)
        assert (event.client_id, event.request_id) == (world.service.client_id, "request-7")
        with world.store.read() as session:
            token = session.get(Token, event.token_id)
            assert token is not None
            assert (token.kind, token.user_id) == ("exchanged", world.alice.id)
        assert event.data == {
            "user_id": world.alice.id,
            "source_id": world.admin_token.record.id,
            "scopes": ["read_user"],
            "audience": [],
            "allowed_ips": [],
            "expires_at": "2026-03-10T12:01:00.000Z",
        }

    def test_of_ones_own_has_one_user(self, world: World) -> None:
        ask(world.service, **of_token(world.alice_token.secret))
        [event] = world.events("token.exchanged")
        assert (event.actor, event.subject) == ("alice", "alice")

    def test_that_cannot_be_written_leaves_no_token(self, world: World) -> None:
        with world.store.write() as session:
            # Whoever holds the head of the log keeps everybody else from writing to it.
            session.scalars(select(EventHead).with_for_update()).one()
            answer = ask(world.service, **as_alice(world))
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert answer.get_json() == {"error": "temporarily_unavailable"}
        with world.store.read() as session:
            assert session.scalars(select(Token).where(Token.kind == "exchanged")).all() == []
