"""Mistakes that were seen in other introspection servers, each tried on this one.

A row of the table says what goes wrong elsewhere, and its function shows what happens here. The
details have tests of their own beside this one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final
from urllib.parse import quote_plus

import pytest

from tests.conftest import START
from tests.oauth.conftest import World, basic
from tokensrv.domain.secret import digest
from tokensrv.models import Client
from tokensrv.services.directory import clients, user_states
from tokensrv.services.lifecycle import tokens
from tokensrv.services.trail.events import COMMAND_LINE

PATH = "/oauth/introspect"
INACTIVE = {"active": False}
TOMORROW = (START + timedelta(days=1)).date()


def an_error_instead_of_inactive(world: World) -> None:
    revoked = world.token(world.alice, "api")
    tokens.revoke(world.store, COMMAND_LINE, revoked.record.id)
    for bad in ("x", "ä", "\0", "x" * 10_000, "tsp_" + "0" * 36, revoked.secret):
        answer = world.service.introspect(bad)
        assert (answer.status_code, answer.get_json()) == (200, INACTIVE)


def a_hint_that_hides_the_token(world: World) -> None:
    for hint in ("access_token", "refresh_token", "pop", "nonsense", "", "ä"):
        assert world.service.told(world.alice_token.secret, token_type_hint=hint)["active"] is True


def dead_tokens_that_are_active(world: World) -> None:
    ends = world.token(world.alice, "api", expires_on=TOMORROW)
    revoked, blocked = world.token(world.alice, "api"), world.token(world.bob, "api")
    assert all(world.service.told(token.secret)["active"] for token in (ends, revoked, blocked))
    tokens.revoke(world.store, COMMAND_LINE, revoked.record.id)
    user_states.block(world.store, COMMAND_LINE, world.bob.id)
    world.clock.set(START.replace(hour=0) + timedelta(days=1))
    for token in (ends, revoked, blocked):
        assert world.service.told(token.secret) == INACTIVE


def an_exp_of_zero_for_never(world: World) -> None:
    assert {"exp", "expires_in"}.isdisjoint(world.service.told(world.alice_token.secret))


def a_token_type_that_is_none(world: World) -> None:
    assert world.service.told(world.alice_token.secret)["token_type"] == "Bearer"


def get_and_caches_and_403(world: World) -> None:
    got = world.http.get(PATH, query_string={"token": world.alice_token.secret})
    assert (got.status_code, got.headers["Allow"]) == (405, "POST")
    told = world.service.introspect(world.alice_token.secret)
    assert (told.headers["Cache-Control"], told.headers["Pragma"]) == ("no-store", "no-cache")
    stranger = world.http.post(PATH, data={"token": world.alice_token.secret})
    assert (stranger.status_code, stranger.get_json()["error"]) == (401, "invalid_client")


def callers_without_the_scope(world: World) -> None:
    def ask(*scopes: str) -> int:
        bearer = f"Bearer {world.token(world.root, *scopes).secret}"
        answer = world.service.introspect(world.alice_token.secret, {"Authorization": bearer})
        assert ("active" in answer.get_json()) is (answer.status_code == 200)
        return answer.status_code

    assert ask("introspect") == 200
    assert [ask("api"), ask("sudo"), ask("api", "sudo", "read_api")] == [403] * 3


def any_client_reads_any_token(world: World) -> None:
    other = world.service_with(name="other")
    bound = world.token(world.alice, "api", audience=(world.service.client_id,))
    assert world.service.told(bound.secret)["aud"] == [world.service.client_id]
    assert other.told(bound.secret) == INACTIVE
    limited = world.service_with(name="limited", scopes=("read_user",))
    assert limited.told(world.alice_token.secret)["scope"] == "read_user"
    assert limited.told(world.alice_token.secret, scope="read_api") == INACTIVE


def only_one_client_reads_a_token(world: World) -> None:
    other = world.service_with(name="other")
    both = world.token(world.alice, "api", audience=(world.service.client_id, other.client_id))
    for token in (world.alice_token, both):
        told = world.service.told(token.secret), other.told(token.secret)
        assert [answer["active"] for answer in told] == [True, True]


def two_ways_to_authenticate_at_once(world: World) -> None:
    good = {"client_id": world.service.client_id, "client_secret": world.service.secret}
    wrong = basic(world.service.client_id, "wrong")
    for header in (wrong, basic(world.service.client_id, world.service.secret)):
        answer = world.service.introspect(
            world.alice_token.secret, {"Authorization": header}, **good
        )
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")


def answers_that_tell_which_clients_exist(world: World) -> None:
    disabled = world.service_with(name="disabled")
    clients.disable(world.store, COMMAND_LINE, disabled.client_id)
    answers = set()
    for client_id, secret in (
        ("nobody", "wrong"),
        (world.service.client_id, "wrong"),
        (disabled.client_id, disabled.secret),
    ):
        form = {"token": world.alice_token.secret}
        header = {"Authorization": basic(client_id, secret)}
        body = {"client_id": client_id, "client_secret": secret}
        for answer in (
            world.http.post(PATH, data=form, headers=header),
            world.http.post(PATH, data=form | body),
        ):
            headers = {k: v for k, v in answer.headers.items() if k != "X-Request-Id"}
            answers.add((answer.status_code, answer.text, str(headers)))
    [(status, _, _)] = answers
    assert status == 401


def a_500_for_a_hostile_header(world: World) -> None:
    for pair in ((b"\xff\xfe", b"\xff"), (b"", b""), (b"\0", b"\0"), ("ä".encode("latin-1"), b"x")):
        answer = world.service.introspect("x", {"Authorization": basic(*pair)})
        assert answer.status_code == 401
    for header in ("Basic", "Basic =", "Basic \xff", "\xff", "Bearer \xff"):
        answer = world.service.introspect("x", {"Authorization": header})
        assert answer.status_code == 401


def a_challenge_without_a_realm(world: World) -> None:
    answer = world.service.introspect("x", {"Authorization": basic("nobody", "x")})
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="tokensrv"'


def a_plus_that_is_no_blank(world: World) -> None:
    imported = "two words"
    with world.store.write() as session:
        row = session.query(Client).filter_by(client_id=world.service.client_id).one()
        row.secret_digest = digest(imported)
    assert quote_plus(imported) == "two+words"
    header = {"Authorization": basic(world.service.client_id, quote_plus(imported))}
    assert world.service.told(world.alice_token.secret, header)["active"] is True


def the_first_of_two_tokens_wins(world: World) -> None:
    both = {"token": [world.alice_token.secret, world.admin_token.secret]}
    answer = world.service.post(PATH, both)
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")


def an_actor_that_is_not_told(world: World) -> None:
    told = world.service.told(world.admin_token.secret, sudo="alice")
    assert (told["username"], told["act"]["username"]) == ("alice", "root")


def an_earlier_answer_that_skips_a_check(world: World) -> None:
    # There is nothing to hit: after a yes, a question that asks for more is still a new one.
    secret = world.alice_token.secret
    assert world.service.told(secret, scope="read_api")["active"] is True
    assert world.service.told(secret, scope="api") == INACTIVE
    assert world.service.told(secret, scope="read_api", sudo="bob") == INACTIVE
    other = world.service_with(name="other", scopes=("read_user",))
    assert other.told(secret, scope="read_api") == INACTIVE
    clients.disable(world.store, COMMAND_LINE, world.service.client_id)
    assert world.service.introspect(secret, scope="read_api").status_code == 401


def scopes_cut_for_one_client_are_missing_for_the_next(world: World) -> None:
    limited = world.service_with(name="limited", scopes=("read_user",))
    before = world.service.told(world.alice_token.secret)["scope"]
    assert limited.told(world.alice_token.secret)["scope"] == "read_user"
    assert world.service.told(world.alice_token.secret)["scope"] == before == "read_api self_rotate"


MISTAKES: Final[dict[str, Callable[[World], None]]] = {
    "an error for a bad token (oxAuth, Fosite, Keycloak)": an_error_instead_of_inactive,
    "a hint kills the lookup (Duende, WSO2, Doorkeeper, Authlib)": a_hint_that_hides_the_token,
    "a dead token is active (Casdoor, Keycloak)": dead_tokens_that_are_active,
    "exp is 0 for never (Doorkeeper)": an_exp_of_zero_for_never,
    "token_type is access_token (Hydra)": a_token_type_that_is_none,
    "GET, no Cache-Control, 403 (django-oauth-toolkit)": get_and_caches_and_403,
    "the caller's scope is bypassed (django-oauth-toolkit)": callers_without_the_scope,
    "any client reads any token (Keycloak, Hydra, authentik)": any_client_reads_any_token,
    "only the issuing client reads it (better-auth, oxAuth)": only_one_client_reads_a_token,
    "two authentications at once (Authlib, Doorkeeper)": two_ways_to_authenticate_at_once,
    "the status tells whether a client exists (Authlib)": answers_that_tell_which_clients_exist,
    "500 for a hostile header (Authlib)": a_500_for_a_hostile_header,
    "a Basic challenge without realm (Authlib)": a_challenge_without_a_realm,
    "a plus in Basic is no blank (Authlib)": a_plus_that_is_no_blank,
    "the first of repeated tokens wins (Authlib)": the_first_of_two_tokens_wins,
    "act is missing (Keycloak)": an_actor_that_is_not_told,
    "a cache hit skips a check (Oathkeeper, heimdall)": an_earlier_answer_that_skips_a_check,
    "a cached object is cut (WSO2)": scopes_cut_for_one_client_are_missing_for_the_next,
}


@pytest.mark.rfc7662("2")
@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_of_others_is_not_made_here(
    world: World, mistake: Callable[[World], None]
) -> None:
    mistake(world)
