"""An instance with people, and a proxy that asks for each request whether it may go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import Client, TestResponse

from tests.conftest import ManualClock
from tests.factories import make_admin, make_token, make_user
from tests.services.conftest import events_of
from tokensrv.db import Store
from tokensrv.services.metering.metrics import Metrics
from tokensrv.services.records import EventRecord, NewToken, UserRecord
from tokensrv.services.trail.usage import Usage

HERE = "192.0.2.7"


@dataclass(frozen=True)
class Proxy:
    """Two people, and what asks about their requests."""

    app: Flask
    store: Store
    clock: ManualClock
    root: UserRecord
    alice: UserRecord

    @property
    def usage(self) -> Usage:
        """Return what remembers the uses."""
        found: Usage = self.app.extensions["tokensrv_usage"]
        return found

    @property
    def metrics(self) -> Metrics:
        """Return what counts."""
        found: Metrics = self.app.extensions["tokensrv_metrics"]
        return found

    def token(self, user: UserRecord, *scopes: str, **wanted: Any) -> NewToken:
        """Return a new token of a user."""
        return make_token(self.store, user, scopes, **wanted)

    def ask(
        self,
        path: str = "/gate/auth",
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        environ: Mapping[str, Any] | None = None,
    ) -> TestResponse:
        """Return the answer to a request, whose headers are as they stand in no dictionary."""
        told = {f"HTTP_{name.upper().replace('-', '_')}": v for name, v in (headers or {}).items()}
        return Client(self.app.wsgi_app, use_cookies=False).open(
            path, method=method, environ_overrides={"REMOTE_ADDR": HERE, **told, **(environ or {})}
        )

    def asked(self, method: str, uri: str, secret: str, query: str = "") -> TestResponse:
        """Return the answer about an original request, as nginx asks."""
        headers = {"PRIVATE-TOKEN": secret, "X-Original-Method": method, "X-Original-URI": uri}
        return self.ask(f"/gate/auth{query}", headers=headers)

    def change(self, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
        """Have other settings from now on."""
        monkeypatch.setattr(self.store, "settings", replace(self.store.settings, **settings))

    def events(self) -> list[EventRecord]:
        """Return the events of gates and of sudo."""
        return [e for e in events_of(self.store) if e.action.startswith(("gate.", "sudo."))]


@pytest.fixture
def proxy(app: Flask, store: Store, clock: ManualClock) -> Proxy:
    root, alice = make_admin(store), make_user(store)
    # The first request of a process also looks at the schema.
    assert app.test_client().get("/.well-known/tokensrv-secrets").status_code == 200
    return Proxy(app, store, clock, root, alice)
