"""Somebody who guesses tokens through a proxy: he is stopped, his neighbours are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.gates.houses import Houses
from tests.live.gates.proxies import KINDS, Kind, Proxy, bearer, settings_of
from tests.live.pages import followed
from tokensrv.domain import secret
from tokensrv.services.account.throttle import TOKEN

# What is stored where makes no difference to a proxy.
pytestmark = pytest.mark.sqlite

# An address for each, from which no other test asks.
GUESSERS = {"nginx": "127.0.0.3", "haproxy": "127.0.0.4"}


@pytest.mark.parametrize(
    "guessed_at", [kind for kind in KINDS if kind.name in GUESSERS], ids=lambda kind: kind.name
)
def test_who_guesses_tokens_is_stopped_and_stands_in_the_log(
    guessed_at: Kind, houses: Houses, tmp_path: Path
) -> None:
    house, address = houses(settings_of(guessed_at.page)), GUESSERS[guessed_at.name]
    good, folder = house.tokens.secret("read_api"), tmp_path / "page"
    with followed(
        guessed_at.page, house.server, house.variables, folder, to_the_end=False
    ) as ports:
        guesser, neighbour = Proxy(guessed_at, ports, address), Proxy(guessed_at, ports)
        statuses = [_guess(guesser) for _ in range(TOKEN.count + 2)]
        assert statuses == [401] * TOKEN.count + [403] * 2
        assert guesser.ask(bearer(good)).status == 200
        assert neighbour.ask(bearer(good)).status == 200
        assert _guess(neighbour) == 401
    # Not one for each guess: the second process of tokensrv may write what the first one has, and
    # both may once more when another minute begins.
    checks = [event["data"]["check"] for event in house.tokens.refused_from(address)]
    assert set(checks) == {"unknown", "too_many"}
    assert len(checks) <= 8


def _guess(proxy: Proxy) -> int:
    return proxy.ask(bearer(secret.mint("ts", secret.Kind.PERSONAL))).status
