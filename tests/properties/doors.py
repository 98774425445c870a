"""The doors through which one token and one question can be put to the server, each over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.oauth.conftest import basic
from tests.properties.worlds import Ask
from tokensrv.services.records import NewClient

INACTIVE = {"active": False}


@dataclass(frozen=True)
class Seen:
    """What the API shows of somebody who calls it: as whom, who really, with which scopes."""

    is_active: bool
    subject_id: int | None = None
    actor_id: int | None = None


@dataclass(frozen=True)
class Doors:
    """One secret, and whoever can be asked about it."""

    http: FlaskClient
    secret: str
    admin_secret: str

    def introspect(self, client: NewClient, ask: Ask) -> dict[str, Any] | None:
        """Return what a client is told, None when it is told nothing, being disabled."""
        form = {"token": self.secret} | ask.parameters | _more(ask)
        headers = {"Authorization": _basic(client)} | ask.headers
        return _document(self.http.post("/oauth/introspect", data=form, headers=headers))

    def batch(self, client: NewClient, ask: Ask) -> list[dict[str, Any]] | None:
        """Return what a client is told about the token and about one that nobody knows."""
        question = {"tokens": [self.secret, "nobody's"]} | ask.as_parameters | _more(ask)
        headers = {"Authorization": _basic(client)}
        answer = self.http.post("/oauth/introspect/batch", json=question, headers=headers)
        document = _document(answer)
        return None if document is None else list(document["results"])

    def explain(self, client: NewClient | None, ask: Ask) -> dict[str, Any]:
        """Return why a client, or nobody in particular, is told what it is told."""
        asking = {} if client is None else {"client_id": client.record.client_id}
        question = {"token": self.secret} | asking | ask.as_parameters | _more(ask)
        headers = {"PRIVATE-TOKEN": self.admin_secret}
        answer = self.http.post("/api/v4/tokensrv/explain", json=question, headers=headers)
        document = _document(answer)
        assert document is not None
        return document

    def own(self, ask: Ask) -> Seen:
        """Return what ``self`` shows, which opens to every token."""
        answer = self._get("/personal_access_tokens/self", ask)
        if answer.status_code != 200:
            assert answer.status_code in {400, 401, 403, 404}, answer.text
            return Seen(is_active=False)
        actor, subject = (
            answer.headers.get("Tokensrv-Actor"),
            answer.headers.get("Tokensrv-Subject"),
        )
        owner_id = int(answer.get_json()["user_id"])
        if actor is None or subject is None:
            return Seen(True, owner_id, owner_id)
        return Seen(True, int(subject), int(actor))

    def user_id(self, ask: Ask) -> int | None:
        """Return as whom ``GET /user`` sees the caller, None when it turns him away."""
        answer = self._get("/user", ask)
        return int(answer.get_json()["id"]) if answer.status_code == 200 else None

    def may_list(self, ask: Ask) -> bool:
        """Return whether the tokens may be listed, for which reading the API is needed."""
        return self._get("/personal_access_tokens", ask).status_code == 200

    def _get(self, path: str, ask: Ask) -> TestResponse:
        headers = {"PRIVATE-TOKEN": self.secret} | ask.headers
        return self.http.get(
            f"/api/v4{path}",
            query_string=ask.parameters,
            headers=headers,
            environ_overrides={"REMOTE_ADDR": ask.ip},
        )


def _basic(client: NewClient) -> str:
    return basic(client.record.client_id, client.secret)


def _more(ask: Ask) -> dict[str, str]:
    scope = {"scope": " ".join(ask.scopes)} if ask.scopes else {}
    return {"remote_ip": ask.ip} | scope


def _document(answer: TestResponse) -> dict[str, Any] | None:
    if answer.status_code == 401:
        return None
    assert answer.status_code == 200, answer.text
    found: Mapping[str, Any] = answer.get_json()
    return dict(found)
