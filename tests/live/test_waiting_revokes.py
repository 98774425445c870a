"""Revocations that wait for a node that stands still must not keep others from being answered."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.databases import Databases, connect
from tests.live.history.nodes import paused, sharing
from tests.live.servers import Instance, Server, serving, wait_for
from tokensrv.config import env_name

pytestmark = pytest.mark.postgres

THREADS = 4
# Long enough for everything that must be answered meanwhile, on a busy machine as well.
LEASE_SECONDS = 5
REVOKES = 3 * THREADS
QUESTIONS = 50


@pytest.fixture
def instances(tmp_path: Path, databases: Databases) -> list[Instance]:
    settings = {"lease_seconds": str(LEASE_SECONDS), "threads": str(THREADS)}
    return sharing(tmp_path, databases, 2, **settings)


@pytest.fixture
def here(instances: list[Instance], tmp_path: Path) -> Iterator[Server]:
    """The node that is asked to revoke."""
    with serving(instances[0], tmp_path / "here.log", "--workers", "1") as server:
        yield server


@pytest.fixture
def there(instances: list[Instance], tmp_path: Path) -> Iterator[Server]:
    """The node that everybody waits for."""
    with serving(instances[1], tmp_path / "there.log", "--workers", "1") as server:
        yield server


def call(server: Server, method: str, path: str, **fields: Any) -> requests.Response:
    headers = {"PRIVATE-TOKEN": server.instance.admin_token}
    url = f"{server.url}/api/v4{path}"
    return requests.request(method, url, headers=headers, json=fields, timeout=30)


def new_token(server: Server) -> tuple[int, str]:
    made = call(server, "POST", "/user/personal_access_tokens", name="one", scopes=["api"]).json()
    return made["id"], made["token"]


def revoked(server: Server) -> set[int]:
    """Return the tokens whose revocation stands in the event log."""
    with connect(server.instance.environment[env_name("database_url")]) as connection:
        found = connection.execute("SELECT token_id FROM event WHERE action = 'token.revoked'")
        return {row[0] for row in found}


def test_revocations_that_wait_leave_room_for_questions(here: Server, there: Server) -> None:
    tokens = dict(new_token(here) for _ in range(REVOKES))
    # Whoever has answered from memory is waited for.
    assert all(there.introspect(secret)["active"] for secret in tokens.values())
    with paused(there.workers()[0]), ThreadPoolExecutor(REVOKES) as pool:
        calls = {
            token_id: pool.submit(call, here, "DELETE", f"/personal_access_tokens/{token_id}")
            for token_id in tokens
        }
        turned_away = REVOKES - THREADS // 2
        wait_for(lambda: sum(one.done() for one in calls.values()) >= turned_away, "the refusals")
        assert all(here.introspect(here.instance.admin_token)["active"] for _ in range(QUESTIONS))
        assert sum(one.done() for one in calls.values()) == turned_away
        answers = {token_id: one.result() for token_id, one in calls.items()}
    done = {token_id for token_id, answer in answers.items() if answer.status_code == 204}
    refused = answers.keys() - done
    assert len(refused) == turned_away
    assert {answers[token_id].status_code for token_id in refused} == {503}
    assert {answers[token_id].headers["Retry-After"] for token_id in refused} == {"1"}
    assert revoked(here) == done
    for token_id, secret in tokens.items():
        told = here.introspect(secret), there.introspect(secret)
        assert [answer["active"] for answer in told] == [token_id in refused] * 2
    # Whoever comes again, as he was told to, is served.
    for token_id in refused:
        assert call(here, "DELETE", f"/personal_access_tokens/{token_id}").status_code == 204
