"""Visitors: people with a browser, signed in or not, who press buttons without scripts."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.factories import make_admin, make_user
from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.models import User, WebSession
from tokensrv.services.account import sessions
from tokensrv.services.account.sessions import Browser, Stage
from tokensrv.services.records import UserRecord
from tokensrv.web import csrf

SESSION = "tokensrv_session"
VISIT = "tokensrv_visit"


class Visitor:
    """Somebody with a browser of his own."""

    def __init__(self, app: Flask, user: UserRecord | None = None) -> None:
        self.http: FlaskClient = app.test_client()
        self._store: Store = app.extensions["tokensrv"]
        self.user = user
        if user is not None:
            self.sign_in(user)

    def sign_in(self, user: UserRecord, stage: Stage = Stage.FULL) -> None:
        """Open a session without going through the pages for it."""
        with self._store.write() as session:
            row = session.get_one(User, user.id)
            new = sessions.add(
                session,
                self._store,
                row,
                stage=stage,
                methods=("password",),
                browser=Browser("192.0.2.7", "a browser"),
            )
        self.user = user
        self.http.set_cookie(SESSION, new.secret)

    def act_as(self, user: UserRecord) -> None:
        """Let this admin's session act as a user, as if it had been asked for and granted."""
        assert self.user is not None
        with self._store.write() as session:
            row = session.scalars(select(WebSession).filter_by(user_id=self.user.id)).one()
            row.subject_id, row.reason = user.id, "to see what is wrong"
            row.impersonating_since = utcnow(self._store.clock)

    def cookie(self, name: str) -> str | None:
        """Return the value of a cookie of this browser, None when it has none."""
        found = self.http.get_cookie(name)
        return None if found is None else found.value

    def get(self, path: str, **options: Any) -> TestResponse:
        """Open a page."""
        return self.http.get(path, headers={"Accept": "text/html"}, **options)

    def text(self, path: str) -> str:
        """Return a page's HTML; it must be there."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.status
        return answer.get_data(as_text=True)

    def post(self, path: str, **fields: Any) -> TestResponse:
        """Send a form as our own pages send it."""
        seed = self.cookie(SESSION) or self.cookie(VISIT)
        if seed is None:
            self.get("/users/sign_in")
            seed = self.cookie(VISIT) or ""
        form = {csrf.FIELD: csrf.token_for(seed)} | fields
        return self.http.post(path, data=form, headers={"Accept": "text/html"})


@pytest.fixture
def anybody(app: Flask) -> Visitor:
    """Somebody who is not signed in."""
    return Visitor(app)


@pytest.fixture
def alice(app: Flask, store: Store) -> Visitor:
    """A user who is signed in."""
    return Visitor(app, make_user(store, "alice"))


@pytest.fixture
def root(app: Flask, store: Store) -> Visitor:
    """An admin who is signed in."""
    return Visitor(app, make_admin(store, "root"))
