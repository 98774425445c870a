from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.conftest import START, ManualClock
from tokensrv.clock import to_ms
from tokensrv.domain.facts import (
    ClientFacts,
    ExchangeFacts,
    Facts,
    TokenFacts,
    TokenKind,
    UserFacts,
    UserState,
)
from tokensrv.lookup.cache import Cache, Key
from tokensrv.lookup.primary import Happened, Position, Reading

CLIENT = ClientFacts(1, "service", (), is_disabled=False, scopes=None, allow=())
ALICE, BOB = UserFacts(7, "alice", "active", is_admin=False), UserFacts(8, "bob", "active", False)
ROOT = UserFacts(1, "root", "active", is_admin=True)
TOKEN = TokenFacts(3, TokenKind.PERSONAL, 7, ("api",), (), 0, None, is_revoked=False)
FACTS = Facts(CLIENT, TOKEN, ALICE)
KEY: Key = ("service", b"3", None)
SERVER, OTHER_SERVER = "1773144000.0/00000001", "1773144900.0/00000002"
HEAD = Position(5, "five")


@pytest.fixture
def cache(clock: ManualClock) -> Cache:
    """A cache that may answer for a second."""
    cache = Cache(clock, 3)
    cache.follow(Reading(SERVER, HEAD, None, (), 0))
    cache.serve_until(1)
    return cache


def _keep(cache: Cache, key: Key = KEY, facts: Facts = FACTS, *, seq: int = 5) -> bool:
    cache.store(key, facts, seq=seq, server=SERVER)
    return cache.find(key) is facts


def _happen(cache: Cache, *events: Happened) -> None:
    assert cache.last is not None
    head = Position(cache.last.seq + len(events), "next")
    cache.follow(Reading(SERVER, head, cache.last, events, 0))


def _event(action: str, token_id: int | None = None, **data: Any) -> Happened:
    return Happened(action, token_id, "service" if action.startswith("client") else None, data)


def _exchanged(source: TokenFacts, source_owner: UserFacts) -> Facts:
    token = TOKEN._replace(id=9, kind=TokenKind.EXCHANGED)
    exchange = ExchangeFacts(source, source_owner, has_actor=True, client_id="service", reason=None)
    return Facts(CLIENT, token, ALICE, None, exchange)


def _others(cache: Cache) -> list[Key]:
    """Keep facts that have nothing to do with client, token or owner of the usual ones."""
    keys: list[Key] = [("other", b"8", None)]
    facts = Facts(CLIENT._replace(client_id="other"), TOKEN._replace(id=8, user_id=8), BOB)
    assert _keep(cache, keys[0], facts)
    return keys


def test_what_was_kept_is_found_until_the_deadline_and_not_at_it(
    cache: Cache, clock: ManualClock
) -> None:
    assert _keep(cache)
    clock.advance(seconds=0.999)
    assert cache.find(KEY) is FACTS
    clock.advance(seconds=0.001)
    assert cache.find(KEY) is None
    assert cache.seconds_left <= 0


def test_a_deadline_only_moves_on(cache: Cache, clock: ManualClock) -> None:
    assert _keep(cache)
    cache.serve_until(0.1)
    clock.advance(seconds=0.5)
    assert cache.find(KEY) is FACTS


def test_nothing_is_found_before_the_first_round(clock: ManualClock) -> None:
    assert not _keep(Cache(clock, 3))


def test_the_jump_of_a_wall_clock_is_no_time(cache: Cache, clock: ManualClock) -> None:
    assert _keep(cache)
    clock.set(START.replace(year=2040))
    assert cache.find(KEY) is FACTS


def test_there_are_never_more_than_the_limit_and_the_oldest_go(cache: Cache) -> None:
    keys: list[Key] = [("service", bytes([number]), None) for number in range(5)]
    assert all(_keep(cache, key) for key in keys)
    assert len(cache) == 3
    assert [cache.find(key) is not None for key in keys] == [False, False, True, True, True]


def test_what_is_kept_again_takes_no_second_place(cache: Cache) -> None:
    assert all(_keep(cache, facts=FACTS._replace(target=None)) for _ in range(5))
    assert len(cache) == 1


@pytest.mark.parametrize(("seq", "is_kept"), [(4, False), (5, True), (6, True)])
def test_what_was_read_before_the_log_is_not_kept(cache: Cache, seq: int, is_kept: bool) -> None:
    assert _keep(cache, seq=seq) is is_kept


def test_what_another_server_said_is_not_kept(cache: Cache) -> None:
    cache.store(KEY, FACTS, seq=9, server=OTHER_SERVER)
    assert len(cache) == 0


@pytest.mark.parametrize(
    ("key", "facts"),
    [
        pytest.param(KEY, Facts(), id="unknown client"),
        pytest.param(KEY, Facts(CLIENT), id="unknown token"),
        pytest.param(KEY, FACTS._replace(client=CLIENT._replace(is_disabled=True)), id="disabled"),
        pytest.param(KEY, FACTS._replace(token=TOKEN._replace(is_revoked=True)), id="revoked"),
        pytest.param(
            KEY, FACTS._replace(token=TOKEN._replace(expires_ms=to_ms(START))), id="expired"
        ),
        pytest.param(KEY, FACTS._replace(owner=None), id="no owner"),
        *(
            pytest.param(KEY, FACTS._replace(owner=ALICE._replace(state=state)), id=state)
            for state in UserState
            if state is not UserState.ACTIVE
        ),
        pytest.param(("service", b"3", "bob"), FACTS, id="unknown target"),
        pytest.param((None, None, None), Facts(), id="nothing asked"),
    ],
)
def test_what_is_not_active_or_not_known_is_never_kept(
    cache: Cache, key: Key, facts: Facts
) -> None:
    cache.store(key, facts, seq=5, server=SERVER)
    assert len(cache) == 0


@pytest.mark.parametrize(
    ("key", "facts"),
    [
        pytest.param((None, b"3", None), FACTS._replace(client=None), id="no client asked for"),
        pytest.param(("service", None, None), Facts(CLIENT), id="a client alone"),
        pytest.param(("service", b"3", "bob"), FACTS._replace(target=BOB), id="with a target"),
    ],
)
def test_other_questions_are_kept_too(cache: Cache, key: Key, facts: Facts) -> None:
    assert _keep(cache, key, facts)


@pytest.mark.parametrize(
    ("key", "facts", "event"),
    [
        pytest.param(KEY, FACTS, _event("token.revoked", 3, user_id=7), id="token"),
        pytest.param(KEY, FACTS, _event("token.rotated", 3, user_id=7), id="rotated token"),
        pytest.param(
            KEY, FACTS, _event("token.reused", 2, user_id=7, revoked=[3]), id="token of a family"
        ),
        pytest.param(KEY, FACTS, _event("user.blocked", user_id=7), id="owner"),
        pytest.param(KEY, FACTS, _event("client.disabled"), id="client"),
        pytest.param(
            ("service", None, None), Facts(CLIENT), _event("client.changed"), id="client alone"
        ),
        pytest.param(
            ("service", b"3", "bob"),
            FACTS._replace(owner=ROOT, target=BOB),
            _event("user.blocked", user_id=8),
            id="target",
        ),
        pytest.param(
            ("service", b"3", "bob"),
            FACTS._replace(owner=ROOT, target=BOB),
            _event("user.demoted", user_id=1),
            id="actor",
        ),
        pytest.param(
            ("service", b"9", None),
            _exchanged(TOKEN._replace(id=2, user_id=1), ROOT),
            _event("token.revoked", 2, user_id=1),
            id="source of an exchanged token",
        ),
        pytest.param(
            ("service", b"9", None),
            _exchanged(TOKEN._replace(id=2, user_id=1), ROOT),
            _event("user.demoted", user_id=1),
            id="actor of an exchanged token",
        ),
        pytest.param(
            ("service", b"9", None),
            _exchanged(TOKEN._replace(id=2, user_id=1), ROOT),
            _event("token.revoked", 9, user_id=7),
            id="exchanged token itself",
        ),
    ],
)
def test_an_event_ends_what_depends_on_it_and_nothing_else(
    cache: Cache, key: Key, facts: Facts, event: Happened
) -> None:
    assert _keep(cache, key, facts)
    others: Iterable[Key] = () if facts.target is BOB else _others(cache)
    _happen(cache, event)
    assert cache.find(key) is None
    assert all(cache.find(other) is not None for other in others)


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(_event("token.revoked", 4, user_id=7), id="another token of the owner"),
        pytest.param(_event("token.created", 3, user_id=7), id="harmless"),
        pytest.param(_event("user.blocked", user_id=99), id="another user"),
    ],
)
def test_an_event_about_others_ends_nothing(cache: Cache, event: Happened) -> None:
    assert _keep(cache)
    _happen(cache, event)
    assert cache.find(KEY) is FACTS


def test_an_unknown_event_ends_everything(cache: Cache) -> None:
    assert _keep(cache)
    _others(cache)
    _happen(cache, _event("group.removed"))
    assert len(cache) == 0


@pytest.mark.parametrize(
    ("server", "since"),
    [
        pytest.param(OTHER_SERVER, HEAD, id="another server"),
        pytest.param(SERVER, Position(5, "another"), id="another event in the last one's place"),
        pytest.param(SERVER, None, id="no such place any more"),
    ],
)
def test_another_log_ends_everything(cache: Cache, server: str, since: Position | None) -> None:
    assert _keep(cache)
    assert cache.follow(Reading(server, HEAD, since, (), 0)) == HEAD
    assert len(cache) == 0


def test_meeting_another_server_ends_everything(cache: Cache) -> None:
    assert _keep(cache)
    assert cache.meet(SERVER) == 5
    assert len(cache) == 1
    assert cache.meet(OTHER_SERVER) == 0
    assert len(cache) == 0


def test_once_it_is_closed_nothing_is_found_kept_or_allowed(cache: Cache) -> None:
    assert _keep(cache)
    cache.close()
    cache.serve_until(10)
    cache.follow(Reading(SERVER, HEAD, HEAD, (), 0))
    assert not _keep(cache)
    assert len(cache) == 0


def test_what_is_gone_leaves_nothing_behind(cache: Cache) -> None:
    for number in range(100):
        user = ALICE._replace(id=number)
        facts = Facts(CLIENT, TOKEN._replace(id=number, user_id=number), user)
        assert _keep(cache, ("service", bytes([number]), None), facts)
    _happen(cache, *(_event("user.blocked", user_id=number) for number in range(100)))
    kept = [size for size in map(len, _containers(cache)) if size]
    assert kept == []


def _containers(cache: Cache) -> list[Any]:
    return [value for value in vars(cache).values() if isinstance(value, dict)]
