"""Whatever takes tokens says of one what introspection says of it, in every state.

Nothing here says what is right: that is what the tests of each part are for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from tests.conftest import ManualClock
from tests.factories import make_client
from tests.gate import states
from tests.gate.transports import Shown, Told, all_of, introspected
from tests.oauth.conftest import as_service
from tokensrv.app import create_app
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.domain.scopes import ADMIN_ONLY, available

SINGLE = [(scope,) for scope in available(("deploy",)) if scope not in ADMIN_ONLY]
PAIRS = [("read_user", "write_repository"), ("read_registry", "write_registry", "deploy")]
# What is special about a token is so whatever its scopes.
FEW = [("api", "deploy"), ("read_repository", "write_registry")]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """An instance with a scope of its own, and with a cache, as it is in earnest."""
    return replace(settings, cache_entries=1000, extra_scopes=("deploy",))


@pytest.fixture
def tabled(settings: Settings, clock: ManualClock) -> Iterator[Flask]:
    """The same instance, for a proxy that can ask below a path only."""
    app = create_app(replace(settings, gate_scopes=("* /reports/ read_api",)), clock)
    yield app
    for part in ("tokensrv_usage", "tokensrv_lookup", "tokensrv"):
        app.extensions[part].close()


@pytest.fixture
def shown(store: Store) -> dict[tuple[str, ...], Shown]:
    """Tokens by their state and their scopes, everything having happened to them."""
    cast = states.build(store)
    tables = [
        (states.usual, SINGLE + PAIRS),
        (states.alive, FEW),
        (states.dead, FEW),
        (states.refused, FEW),
    ]
    found = {
        (state, *scopes): token
        for make, several in tables
        for scopes in several
        for state, token in make(cast, scopes).items()
    }
    cast.fall()
    return found


def test_whatever_takes_tokens_says_what_introspection_says(
    app: Flask, tabled: Flask, store: Store, shown: dict[tuple[str, ...], Shown]
) -> None:
    service = as_service(app.test_client(), make_client(store, allow=("sudo", "batch")))
    ways = all_of(app, tabled, service)
    asked = {way.needs for way in ways}
    wrong, opened = [], Counter[str]()
    for state, token in shown.items():
        answers = {scope: introspected(service, token, scope) for scope in asked}
        for way in [way for way in ways if way.takes(token)]:
            told, seen = answers[way.needs], way.ask(token)
            if not agree(told, seen):
                wrong.append((way.name, state, told, seen))
            opened[way.name] += seen is not None
    assert wrong == []
    # Nobody has let in everybody, or nobody.
    assert all(0 < opened[way.name] < len(shown) for way in ways)


def agree(told: Told | None, seen: Told | None) -> bool:
    """Return whether both say no, or the same of whatever ``seen`` tells."""
    if told is None or seen is None:
        return told is seen
    return {name: told[name] for name in seen} == seen
