"""Whether workers can be started now: tried in a process of its own before anybody relies on it.

A start brings the database to this code's schema; a reload only looks whether it has it, because
the workers of before go on with it. The main process opens no database: workers are forked from it.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Final

import click

from tokensrv.app import create_app
from tokensrv.cli.serve.certificate import Certificate
from tokensrv.clock import SystemClock
from tokensrv.config import Settings, load
from tokensrv.db import Store
from tokensrv.errors import SchemaMismatch
from tokensrv.services import instance, schema

# The main process does nothing else meanwhile, so that a reload must not wait for ever.
_RELOAD_SECONDS: Final = 30.0


def prepared(certificate: Certificate | None) -> Settings:
    """Return the settings with which workers can be started; the schema is upgraded.

    That may take long. Raises what is refused: by the certificate, the settings or the database.
    """
    return in_child(partial(_prepare, certificate), seconds=None)


def checked(certificate: Certificate | None) -> Settings:
    """Return the settings as they are now, if workers can be started with them.

    Nothing is changed. Raises what is refused, a schema that does not fit too, and TimeoutError.
    """
    return in_child(partial(_check, certificate), seconds=_RELOAD_SECONDS)


def in_child(task: Callable[[], Settings], *, seconds: float | None) -> Settings:
    """Return what the task returns in a forked process, or raise what it raises there.

    After so many seconds (None: never) the process is killed, not waited for, and TimeoutError
    raised. Raises ClickException when the process ends without an answer.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    with receiver:
        child = context.Process(target=_tell, args=(sender, task))
        child.start()
        sender.close()
        if not receiver.poll(seconds):
            child.kill()
            raise TimeoutError(f"Trying certificate, settings and database took over {seconds} s.")
        try:
            answer = receiver.recv()
        except EOFError:
            raise click.ClickException(
                "The process that tries certificate, settings and database ended by itself."
            ) from None
        child.join(seconds)
    if isinstance(answer, Settings):
        return answer
    raise answer


def _tell(sender: Connection[Settings | Exception], task: Callable[[], Settings]) -> None:
    try:
        answer: Settings | Exception = task()
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the parent's to raise
        answer = error
    sender.send(answer)
    sender.close()


def _prepare(certificate: Certificate | None) -> Settings:
    settings = _loaded(certificate)
    schema.upgrade(settings, SystemClock())
    _require_users(create_app(settings).extensions["tokensrv"])
    return settings


def _check(certificate: Certificate | None) -> Settings:
    settings = _loaded(certificate)
    store: Store = create_app(settings).extensions["tokensrv"]
    advice = schema.ADVICE.get(schema.state(store))
    if advice is not None:
        raise SchemaMismatch(advice)
    _require_users(store)
    return settings


def _loaded(certificate: Certificate | None) -> Settings:
    if certificate is not None:
        certificate.check()
    return load(os.environ)


def _require_users(store: Store) -> None:
    if instance.is_empty(store):
        raise click.ClickException("The database has no user yet; run `tokensrv init`.")
