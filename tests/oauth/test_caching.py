"""How long an answer may be kept: not at all, unless the instance says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.conftest import START
from tests.oauth.conftest import World
from tokensrv.clock import to_ms
from tokensrv.services.lifecycle import tokens
from tokensrv.services.trail.events import COMMAND_LINE

NOW = to_ms(START) // 1000
TOMORROW = date(2026, 3, 11)
KEEP = "X-Accel-Expires"

SoftExp = Callable[[int], None]


@pytest.fixture
def soft_exp(world: World, monkeypatch: pytest.MonkeyPatch) -> SoftExp:
    """Let the instance give up that a revocation counts at once."""

    def be(seconds: int) -> None:
        settings = replace(world.store.settings, soft_exp_seconds=seconds)
        monkeypatch.setattr(world.store, "settings", settings)

    return be


def kept(world: World, token: str, **parameters: str) -> int:
    return int(world.service.introspect(token, **parameters).headers[KEEP])


def test_nothing_is_kept_unless_the_instance_says_so(world: World) -> None:
    dated = world.token(world.alice, "api", expires_on=TOMORROW).secret
    for token in (world.alice_token.secret, dated, "no token"):
        assert kept(world, token) == 0


def test_a_token_without_end_gets_one_that_moves_on(world: World, soft_exp: SoftExp) -> None:
    soft_exp(30)
    for later in (0, 3600):
        world.clock.set(START + timedelta(seconds=later))
        told = world.service.told(world.alice_token.secret)
        assert (told["exp"], told["expires_in"]) == (NOW + later + 30, 30)
        assert kept(world, world.alice_token.secret) == 30


def test_nothing_is_kept_beyond_the_real_end(world: World, soft_exp: SoftExp) -> None:
    soft_exp(30)
    token = world.token(world.alice, "api", expires_on=TOMORROW).secret
    assert kept(world, token) == 30
    midnight = datetime(2026, 3, 11, tzinfo=UTC)
    world.clock.set(midnight - timedelta(seconds=12))
    told = world.service.told(token)
    assert (told["exp"], told["expires_in"]) == (to_ms(midnight) // 1000, 12)
    assert kept(world, token) == 12
    world.clock.set(midnight - timedelta(milliseconds=1))
    assert kept(world, token) <= 1


def test_a_no_is_never_kept(world: World, soft_exp: SoftExp) -> None:
    soft_exp(30)
    tokens.revoke(world.store, COMMAND_LINE, world.alice_token.record.id)
    for token in (world.alice_token.secret, "no token"):
        assert kept(world, token) == 0


def test_what_goes_on_record_each_time_is_never_kept(world: World, soft_exp: SoftExp) -> None:
    soft_exp(30)
    assert kept(world, world.admin_token.secret) == 30
    assert kept(world, world.admin_token.secret, sudo="alice") == 0


def test_a_batch_is_never_kept(world: World, soft_exp: SoftExp) -> None:
    soft_exp(30)
    answer = world.service.ask_many([world.alice_token.secret])
    assert answer.headers[KEEP] == "0"
    assert answer.get_json()["results"][0]["expires_in"] == 30
