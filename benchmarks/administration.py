"""Administration under measurement: lists, new tokens, revocations, over HTTP by an admin.

Every answer is checked: a list that is fast because it is wrong is worth nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import httpx

from benchmarks.bench import Bench
from benchmarks.cases import MANY, Deployment
from benchmarks.instances import SEED, Instance, Server
from benchmarks.introspections import costs, failures
from benchmarks.measurements import Goal, Row
from benchmarks.paced import Latencies, latencies
from benchmarks.peers import Endpoint

_TOKENS = "/api/v4/personal_access_tokens"
_FORM = "application/x-www-form-urlencoded"
_LISTED, _LISTED_SECONDS = 50, 5
_REVOKED = 200
_PATIENCE_SECONDS = 30
_PROMPT = Goal("p99_ms", at_most=20)
_LIST = _PROMPT._replace(tokens=MANY)
_CREATED = Goal("requests_per_second", at_least=500)
_NEW = {"name": "benchmark", "scopes[]": "read_api"}


def lists(bench: Bench, deployment: Deployment) -> Iterator[Row]:
    """Yield how long an admin's lists take, one after the other."""
    with bench.serving(deployment) as (instance, server), _admin(instance, server) as client:
        for name, path, is_right, goal in _shapes(client):
            answers = _asked(client, path)
            wrong = sum(not answer.is_success or not is_right(answer.json()) for answer in answers)
            taken = latencies([answer.elapsed.total_seconds() for answer in answers], wrong)
            wanted = goal and goal.at(deployment.tokens)
            yield _row(f"{deployment.name}: lists", name, taken, wanted)


def writes(bench: Bench, deployment: Deployment) -> Iterator[Row]:
    """Yield how many tokens are made in a second, and how long a revocation takes."""
    with bench.serving(deployment) as (instance, server), _admin(instance, server) as client:
        path = f"/api/v4/users/{_user_id(client)}/personal_access_tokens"
        yield _creations(bench, deployment, instance, server, path)
        yield _revocations(deployment, instance, client, path)


def _creations(
    bench: Bench, deployment: Deployment, instance: Instance, server: Server, path: str
) -> Row:
    headers = {"PRIVATE-TOKEN": instance.admin_token, "Content-Type": _FORM}
    bodies = [urlencode(_NEW)]
    endpoint = Endpoint(
        server.url + path, server.service.pids, headers, bodies, '"token":', warm_seconds=1
    )
    cost = bench.cost(endpoint, storage=bench.storage(deployment.database))
    return Row(
        section=f"{deployment.name}: writes",
        name="tokens created",
        values=costs(bench, cost),
        goal=_CREATED,
        note=failures(cost.burst.failures),
    )


def _revocations(
    deployment: Deployment, instance: Instance, client: httpx.Client, path: str
) -> Row:
    """Measure revocations; a token that was not active before, or still is after, is a failure."""
    taken_s, wrong = [], 0
    for _ in range(_REVOKED):
        made = client.post(path, data=_NEW).json()
        wrong += not _is_active(client, instance, made["token"])
        began = time.perf_counter()
        client.delete(f"{_TOKENS}/{made['id']}").raise_for_status()
        taken_s.append(time.perf_counter() - began)
        wrong += _is_active(client, instance, made["token"])
    section = f"{deployment.name}: writes"
    return _row(section, "a revocation, answered", latencies(taken_s, wrong), _PROMPT)


def _asked(client: httpx.Client, path: str) -> list[httpx.Response]:
    """Return what is answered to the same question again and again, for a while."""
    answers: list[httpx.Response] = []
    end = time.monotonic() + _LISTED_SECONDS
    while len(answers) < _LISTED and time.monotonic() < end:
        answers.append(client.get(path))
    return answers


@contextmanager
def _admin(instance: Instance, server: Server) -> Iterator[httpx.Client]:
    headers = {"PRIVATE-TOKEN": instance.admin_token}
    with httpx.Client(base_url=server.url, headers=headers, timeout=_PATIENCE_SECONDS) as client:
        yield client


def _shapes(
    client: httpx.Client,
) -> Iterator[tuple[str, str, Callable[[Any], bool], Goal | None]]:
    """Yield each list: its name, its path, what is true of a right answer, and what is wanted."""
    user_id, token = _user_id(client), _named_token(client)
    name = token["name"]
    keyset = f"{_TOKENS}?pagination=keyset&order_by=id&per_page=20"
    following = client.get(keyset).links["next"]["url"]
    yield "first page", _TOKENS, lambda found: len(found) == 20, _LIST
    yield "second page by key", following, lambda found: len(found) == 20, _LIST
    yield "one by id", f"{_TOKENS}/{token['id']}", lambda found: found["name"] == name, _LIST
    owner = f"{_TOKENS}?user_id={user_id}"
    yield "of one owner", owner, lambda found: {one["user_id"] for one in found} == {user_id}, _LIST
    exact = f"{_TOKENS}?name={name}"
    yield "by exact name", exact, lambda found: [one["name"] for one in found] == [name], _LIST
    part = f"{_TOKENS}?search={name}"
    yield "by a part of the name", part, lambda found: name in {one["name"] for one in found}, None


def _user_id(client: httpx.Client) -> int:
    [user] = client.get("/api/v4/users", params={"username": SEED.username(1)}).json()
    return int(user["id"])


def _named_token(client: httpx.Client) -> dict[str, Any]:
    """Return a token whose name no other has."""
    found = client.get(_TOKENS, params={"user_id": _user_id(client)}).json()
    token: dict[str, Any] = next(one for one in found if one["name"].startswith("ci-"))
    return token


def _is_active(client: httpx.Client, instance: Instance, secret: str) -> bool:
    answer = client.post(
        "/oauth/introspect",
        data={"token": secret},
        auth=(instance.client_id, instance.client_secret),
    )
    return bool(answer.raise_for_status().json()["active"])


def _row(section: str, name: str, taken: Latencies, goal: Goal | None) -> Row:
    values = {"p50_ms": taken.p50_ms, "p99_ms": taken.p99_ms}
    return Row(section=section, name=name, values=values, goal=goal, note=failures(taken.failures))
