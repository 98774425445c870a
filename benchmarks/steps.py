"""The steps of a hot introspection on SQLite, each as the fast path takes it, to be called alone.

Together they are what ``oauth.fastpath`` does; the whole is called as Granian calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import urlencode

from flask import Flask
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from werkzeug.test import EnvironBuilder

from benchmarks.instances import SEED, Instance
from benchmarks.peers.oauth import Client
from tokensrv.db.sqlite import driver, file_id
from tokensrv.domain.introspection import PLAIN
from tokensrv.domain.secret import token_digest
from tokensrv.http import wsgi
from tokensrv.http.parse import clients, form
from tokensrv.lookup.statements import USUAL, facts, prepared, values
from tokensrv.oauth import fastpath, plain, question
from tokensrv.oauth.told import Rendered, Told
from tokensrv.services.introspection import introspect
from tokensrv.services.trail.events import Origin

WHOLE, ANEW = "in all", "deciding and rendering anew"
# The first holds the others.
FINDING, *FOUND_BY = (
    "finding the facts",
    "the statement: client, token and owner",
    "whether the file is still the same one",
    "the row as facts",
)
ASKED = 100
_NOWHERE = Origin()


class Step(NamedTuple):
    """Something to do for each question, with these arguments."""

    name: str
    do: Callable[..., object]
    asked: Sequence[tuple[Any, ...]]


def steps(app: Flask, instance: Instance) -> Iterator[Step]:
    """Yield the whole and its steps, in the order in which they are done."""
    secrets = SEED.active_secrets(ASKED, among=instance.tokens)
    bodies = [urlencode({"token": secret}).encode() for secret in secrets]
    authorization = Client(instance.client_id, instance.client_secret).headers()["Authorization"]
    environs = [_environ(body, authorization) for body in bodies]
    # The first request goes through Flask, which looks at the schema.
    app.wsgi_app(_environ(bodies[0], authorization), _start_response)
    yield Step(WHOLE, app.wsgi_app, [(environ, _start_response) for environ in environs])
    places = wsgi.places(app)
    yield Step(
        "receiving the body",
        wsgi.body,
        [(environ, places, form.MAX_BYTES) for environ in environs],
    )
    yield Step("the request's id", wsgi.request_id, [(environ,) for environ in environs])
    yield Step("reading the form", _read, [(body,) for body in bodies])
    yield _authenticating(app, instance, authorization)
    yield from _finding(app, instance, secrets)
    yield from _answering(app, instance, secrets)


def _authenticating(app: Flask, instance: Instance, authorization: str) -> Step:
    client = app.extensions["tokensrv_lookup"].find(client_id=instance.client_id).client

    def authenticates(header: str, nothing: form.Form) -> bool:
        presented = clients.read(header, nothing)
        return isinstance(presented, clients.ClientCredentials) and clients.authenticates(
            client, presented.digests
        )

    name = "the Basic header, comparing the client's secret"
    return Step(name, authenticates, [(authorization, form.Form({}))] * ASKED)


def _finding(app: Flask, instance: Instance, secrets: Sequence[str]) -> Iterator[Step]:
    find, client_id = app.extensions["tokensrv_lookup"].find, instance.client_id
    yield Step(
        "shape, checksum and digest of the secret",
        token_digest,
        [(secret,) for secret in secrets],
    )
    named = [values(client_id, token_digest(secret), None) for secret in secrets]
    chosen = prepared(SQLiteDialect_pysqlite(paramstyle="qmark"), USUAL)
    path = cast(Path, instance.settings.sqlite_path)
    cursor = driver.connect(f"{path.as_uri()}?mode=ro", uri=True).cursor()

    def fetched(parameters: list[Any]) -> list[Any]:
        rows: list[Any] = cursor.execute(chosen.sql, parameters).fetchall()
        return rows

    parameters = [[one[name] for name in chosen.parameters] for one in named]
    statement, same_file, as_facts = FOUND_BY
    yield Step(statement, fetched, [(one,) for one in parameters])
    yield Step(same_file, file_id, [(str(path),)] * ASKED)
    yield Step(as_facts, facts, [(fetched(one)[0], USUAL) for one in parameters])
    digests = [one["digest"] for one in named]
    yield Step(
        FINDING,
        lambda digest: find(client_id=client_id, digest=digest, target=None),
        [(digest,) for digest in digests],
    )


def _answering(app: Flask, instance: Instance, secrets: Sequence[str]) -> Iterator[Step]:
    store, usage, metrics, lookup = (
        app.extensions[f"tokensrv{name}"] for name in ("", "_usage", "_metrics", "_lookup")
    )
    # Each question reads facts of its own, and an answer is kept from the second one on.
    before, later, found = (
        [lookup.find(client_id=instance.client_id, digest=token_digest(one)) for one in secrets]
        for _ in range(3)
    )
    told, now_ms = Told(), store.clock.now_ms()
    for one in before + later:
        told.keep(one, store.settings, now_ms, Rendered([], b""))

    def again(one: Any) -> None:
        store.clock.now_ms()
        told.find(one, store.settings, now_ms)
        usage.used(one.token.id, one.token.user_id, None)
        metrics.introspected("active")

    yield Step("the answer of this second, its use counted", again, [(one,) for one in found])

    def anew(one: Any) -> bytes:
        answer = introspect(store, usage, one, PLAIN, _NOWHERE, method="POST", path=fastpath.PATH)
        plain.headers(answer, store.settings)
        return plain.body(answer)

    yield Step(ANEW, anew, [(one,) for one in found])


def _read(body: bytes) -> object:
    read = form.read(form.MEDIA_TYPE, body)
    return isinstance(read, form.Form) and question.read(read, sudo_header=None, reason_header=None)


def _environ(body: bytes, authorization: str) -> dict[str, Any]:
    """Return a request; it can be asked again, since the fast path leaves its body to others."""
    builder = EnvironBuilder(
        path=fastpath.PATH, method="POST", data=body, content_type=form.MEDIA_TYPE
    )
    return builder.get_environ() | {"HTTP_AUTHORIZATION": authorization}


def _start_response(status: str, *_: object) -> Callable[[bytes], object]:
    if status != "200 OK":
        raise RuntimeError(f"the answer was {status}")
    return _write


def _write(_data: bytes) -> None:
    """Do nothing: no answer is written in this old way of WSGI."""
