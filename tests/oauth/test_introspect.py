"""RFC 7662: what a client is told about a token, and for how many reasons it is told nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from tests.conftest import QueryRecorder
from tests.oauth.conftest import Service, World
from tokensrv.domain import secret
from tokensrv.domain.facts import TokenKind
from tokensrv.services.directory import clients, user_states, users
from tokensrv.services.lifecycle import rotation, tokens
from tokensrv.services.trail.events import COMMAND_LINE

INACTIVE = b'{"active":false}\n'
TOMORROW = date(2026, 3, 11)
TOMORROW_0_00 = datetime(2026, 3, 11, tzinfo=UTC)

Case = Callable[[World], str]


def unknown(world: World) -> str:
    return secret.mint("ts", secret.Kind.PERSONAL)


def malformed(world: World) -> str:
    return "no token at all"


def not_ascii(world: World) -> str:
    return "tsp_" + "ä" * 36


def over_long(world: World) -> str:
    return "tsp_" + "a" * 60_000


def a_clients_secret(world: World) -> str:
    return world.service.secret


def expired_at_this_moment(world: World) -> str:
    token = world.token(world.alice, "api", expires_on=TOMORROW)
    world.clock.set(TOMORROW_0_00)
    return token.secret


def revoked(world: World) -> str:
    tokens.revoke(world.store, COMMAND_LINE, world.alice_token.record.id)
    return world.alice_token.secret


def rotated(world: World) -> str:
    rotation.rotate(world.store, COMMAND_LINE, world.alice_token.record.id)
    return world.alice_token.secret


def owner_blocked(world: World) -> str:
    user_states.block(world.store, COMMAND_LINE, world.alice.id)
    return world.alice_token.secret


def owner_deactivated(world: World) -> str:
    user_states.deactivate(world.store, COMMAND_LINE, world.alice.id)
    return world.alice_token.secret


def owner_banned(world: World) -> str:
    user_states.ban(world.store, COMMAND_LINE, world.alice.id)
    return world.alice_token.secret


def owner_deleted(world: World) -> str:
    users.delete(world.store, COMMAND_LINE, world.alice.id)
    return world.alice_token.secret


def admin_blocked(world: World) -> str:
    user_states.block(world.store, COMMAND_LINE, world.root.id)
    return world.admin_token.secret


def for_another_client(world: World) -> str:
    other = world.service_with(name="other")
    return world.token(world.alice, "api", audience=(other.client_id,)).secret


@pytest.mark.rfc7662("2.2")
@pytest.mark.parametrize(
    "case",
    [
        unknown,
        malformed,
        not_ascii,
        over_long,
        a_clients_secret,
        expired_at_this_moment,
        revoked,
        rotated,
        owner_blocked,
        owner_deactivated,
        owner_banned,
        owner_deleted,
        admin_blocked,
        for_another_client,
    ],
)
def test_an_inactive_token_is_answered_alike_whatever_the_reason(world: World, case: Case) -> None:
    answer = world.service.introspect(case(world))
    assert (answer.status_code, answer.data) == (200, INACTIVE)


@pytest.mark.rfc7662("2.2")
@pytest.mark.parametrize("scopes", ["api", "read_api write_repository", "nonsense", "sudo"])
def test_a_token_that_does_not_hold_what_is_asked_for_is_inactive(
    world: World, scopes: str
) -> None:
    assert world.service.introspect(world.alice_token.secret, scope=scopes).data == INACTIVE


def test_a_client_with_a_limit_cannot_ask_for_scopes_beyond_it(world: World) -> None:
    limited = world.service_with(scopes=("read_user",))
    assert limited.introspect(world.alice_token.secret, scope="read_api").data == INACTIVE


def strict_parts(token: str) -> Iterator[str]:
    yield from (token[:end] for end in range(1, len(token)))
    yield from (token[start:] for start in range(1, len(token)))


def flipped(token: str) -> Iterator[str]:
    for at, letter in enumerate(token):
        if letter.isalpha():
            yield token[:at] + letter.swapcase() + token[at + 1 :]


def with_one_other_letter(token: str) -> Iterator[str]:
    for at, letter in enumerate(token):
        yield token[:at] + ("0" if letter != "0" else "1") + token[at + 1 :]


def with_one_other_letter_and_a_right_checksum(token: str) -> Iterator[str]:
    for changed in with_one_other_letter(token[: -secret.CHECKSUM_LENGTH]):
        yield changed + secret.checksum(changed)


def with_something_around_it(token: str) -> Iterator[str]:
    for around in (" ", "\t", "\n", "\0", "a", "_", "%00", "\ufeff"):
        yield token + around
        yield around + token
    yield f"Bearer {token}"
    yield token * 2


@pytest.mark.parametrize(
    "variants",
    [
        strict_parts,
        flipped,
        with_one_other_letter,
        with_one_other_letter_and_a_right_checksum,
        with_something_around_it,
    ],
)
def test_whatever_is_not_the_very_secret_is_inactive(
    world: World, variants: Callable[[str], Iterator[str]]
) -> None:
    token = world.alice_token.secret
    tried = list(variants(token))
    assert len(tried) > 10
    assert [one for one in tried if world.service.introspect(one).data != INACTIVE] == []
    assert world.service.told(token)["active"] is True


@pytest.mark.rfc7662("2.2")
def test_an_active_token_is_told_member_by_member(world: World) -> None:
    world.clock.advance(seconds=90)
    token = world.token(world.alice, "read_user", "api", expires_on=TOMORROW)
    created = datetime(2026, 3, 10, 12, 1, 30, tzinfo=UTC)
    world.clock.advance(seconds=10.75)
    answer = world.service.introspect(token.secret)
    assert list(answer.get_json().items()) == [
        ("active", True),
        ("scope", "read_user api"),
        ("client_id", world.service.client_id),
        ("username", "alice"),
        ("token_type", "Bearer"),
        ("exp", int(TOMORROW_0_00.timestamp())),
        ("iat", int(created.timestamp())),
        ("nbf", int(created.timestamp())),
        ("sub", str(world.alice.id)),
        ("iss", "http://127.0.0.1:8000"),
        ("jti", str(token.record.id)),
        ("expires_in", int((TOMORROW_0_00 - created).total_seconds()) - 10),
    ]


@pytest.mark.rfc7662("2.2")
def test_a_token_without_end_has_neither_exp_nor_expires_in(world: World) -> None:
    told = world.service.told(world.alice_token.secret)
    assert told["active"] is True
    assert not {"exp", "expires_in", "aud", "act"} & told.keys()


def test_a_token_lives_until_the_last_moment_of_its_last_day(world: World) -> None:
    token = world.token(world.alice, "api", expires_on=TOMORROW)
    world.clock.set(TOMORROW_0_00)
    world.clock.advance(seconds=-0.001)
    told = world.service.told(token.secret)
    assert (told["active"], told["expires_in"]) == (True, 1)


def test_a_token_for_this_client_among_others_names_its_audience(world: World) -> None:
    other = world.service_with(name="other")
    audience = (other.client_id, world.service.client_id)
    token = world.token(world.alice, "api", audience=audience)
    assert world.service.told(token.secret)["aud"] == list(audience)


def test_impersonation_tokens_are_told_like_others(world: World) -> None:
    token = world.token(world.alice, "api", kind=TokenKind.IMPERSONATION)
    assert world.service.told(token.secret)["sub"] == str(world.alice.id)


def test_a_token_made_under_another_prefix_stays_valid(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.store, "settings", replace(world.store.settings, prefix="acme"))
    assert world.token(world.alice, "api").secret.startswith("acmep_")
    assert world.service.told(world.alice_token.secret)["active"] is True


def test_the_issuer_is_the_external_url_and_never_the_host_header(world: World) -> None:
    headers = {"Host": "evil.example"}
    told = world.service.told(world.alice_token.secret, headers)
    assert told["iss"] == "http://127.0.0.1:8000"


def test_scopes_asked_for_may_be_held_within_wider_ones(world: World) -> None:
    token = world.alice_token.secret
    told = world.service.told(token, scope="read_user self_rotate  read_repository")
    assert told["scope"] == "read_api self_rotate"


def test_an_empty_scope_parameter_asks_for_nothing(world: World) -> None:
    assert world.service.told(world.alice_token.secret, scope="")["active"] is True


@pytest.mark.parametrize(
    ("limit", "shown"),
    [
        (("read_user", "read_registry", "write_registry"), "read_user read_registry"),
        (("sudo",), ""),
    ],
)
def test_a_client_with_a_limit_sees_those_of_its_scopes_that_are_held(
    world: World, limit: tuple[str, ...], shown: str
) -> None:
    told = world.service_with(scopes=limit).told(world.alice_token.secret)
    assert (told["active"], told["scope"]) == (True, shown)


@pytest.mark.rfc7662("2.1")
@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense", ""])
def test_no_hint_hides_a_token(service: Service, world: World, hint: str) -> None:
    assert service.told(world.alice_token.secret, token_type_hint=hint)["active"] is True


@pytest.mark.rfc7662("2.1")
def test_unknown_parameters_are_ignored(service: Service, world: World) -> None:
    told = service.told(world.alice_token.secret, token_hint="access_token", resource="x")
    assert told["active"] is True


@pytest.mark.rfc7662("4")
@pytest.mark.parametrize("case", [unknown, lambda world: world.alice_token.secret])
def test_answers_are_json_for_nobody_to_keep(world: World, case: Case) -> None:
    answer = world.service.introspect(case(world))
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("case", "parameters"),
    [
        (lambda world: world.alice_token.secret, {}),
        (lambda world: world.alice_token.secret, {"scope": "read_user", "remote_ip": "::1"}),
        (unknown, {}),
        (malformed, {}),
    ],
)
def test_client_token_and_owner_are_read_by_one_statement(
    world: World, query_recorder: QueryRecorder, case: Case, parameters: dict[str, str]
) -> None:
    token = case(world)
    query_recorder.clear()
    world.service.told(token, **parameters)
    assert len(query_recorder.statements) == len(query_recorder.selects) == 1


def test_a_string_that_cannot_be_a_token_is_never_looked_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookup = world.http.application.extensions["tokensrv_lookup"]
    find, digests = lookup.find, []

    def watched(*, digest: bytes | None = None, **rest: object) -> object:
        digests.append(digest)
        return find(digest=digest, **rest)

    monkeypatch.setattr(lookup, "find", watched)
    for case in (malformed, not_ascii, over_long, a_clients_secret):
        world.service.told(case(world))
    assert digests == [None] * 4


@pytest.mark.rfc7662("2.2")
def test_power_taken_away_counts_with_the_next_question(world: World) -> None:
    assert world.service.told(world.alice_token.secret)["active"] is True
    narrowed = tokens.TokenChanges(scopes=("read_user",))
    tokens.change(world.store, COMMAND_LINE, world.alice_token.record.id, narrowed)
    assert world.service.told(world.alice_token.secret)["scope"] == "read_user"
    clients.disable(world.store, COMMAND_LINE, world.service.client_id)
    assert world.service.introspect(world.alice_token.secret).status_code == 401


def test_being_asked_about_counts_as_use_of_the_token(world: World) -> None:
    for ip in ("192.0.2.1", "2001:DB8::1", "192.0.2.1"):
        world.clock.advance(seconds=1)
        world.service.told(world.alice_token.secret, remote_ip=ip)
    world.usage.flush()
    used = tokens.get(world.store, None, world.alice_token.record.id)
    assert used.last_used_at == datetime(2026, 3, 10, 12, 0, 3, tzinfo=UTC)
    assert used.last_used_ips == ("2001:db8::1", "192.0.2.1")


@pytest.mark.parametrize("ip", ["", "nonsense", "192.0.2.1, 192.0.2.2", "fe80::1%zone", "1.2.3"])
def test_a_remote_ip_that_is_none_is_ignored(world: World, ip: str) -> None:
    assert world.service.told(world.alice_token.secret, remote_ip=ip)["active"] is True
    world.usage.flush()
    used = tokens.get(world.store, None, world.alice_token.record.id)
    assert (used.last_used_at is not None, used.last_used_ips) == (True, ())


def test_a_token_that_was_not_told_about_was_not_used(world: World) -> None:
    world.service.told(world.alice_token.secret, scope="api")
    world.service.told(revoked(world))
    world.usage.flush()
    assert tokens.get(world.store, None, world.alice_token.record.id).last_used_at is None
