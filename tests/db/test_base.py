from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import text

from tokensrv.db import Store
from tokensrv.models import Client

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
LONG_AGO = datetime(1969, 7, 20, tzinfo=UTC)
FAR_AWAY = datetime(9999, 12, 31, tzinfo=UTC)


def _add(store: Store, **values: Any) -> None:
    given = {"client_id": "c", "name": "n", "auth_methods": (), "created_at": NOON}
    with store.write() as session:
        session.add(Client(**given | {"updated_at": NOON} | values))


def _get(store: Store) -> Client:
    with store.read() as session:
        return session.query(Client).one()


@pytest.mark.parametrize(
    ("moment", "found"),
    [
        pytest.param(NOON.replace(microsecond=7999), NOON.replace(microsecond=7000), id="cut"),
        pytest.param(
            datetime(2026, 3, 10, 13, tzinfo=timezone(timedelta(hours=1))), NOON, id="in UTC"
        ),
        pytest.param(
            datetime(1969, 7, 20, tzinfo=UTC), datetime(1969, 7, 20, tzinfo=UTC), id="old"
        ),
        pytest.param(
            datetime(9999, 12, 31, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC), id="far"
        ),
        pytest.param(None, None, id="none"),
    ],
)
def test_a_moment_comes_back(store: Store, moment: datetime | None, found: datetime | None) -> None:
    _add(store, disabled_at=moment)
    assert _get(store).disabled_at == found


def test_a_moment_is_stored_as_milliseconds(store: Store) -> None:
    _add(store)
    with store.read() as session:
        assert session.scalar(text("SELECT created_at FROM client")) == 1_773_144_000_000


@pytest.mark.parametrize("words", [None, (), ("api",), ("b", "a", "read_api")])
def test_words_come_back_in_their_order(store: Store, words: tuple[str, ...] | None) -> None:
    _add(store, scopes=words)
    assert _get(store).scopes == words


def test_ids_never_come_back(store: Store) -> None:
    _add(store)
    with store.write() as session:
        session.delete(session.query(Client).one())
    _add(store)
    assert _get(store).id == 2
