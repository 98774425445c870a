"""What schemathesis is told about this API: how its requests get a token.

A module of hooks for its command; ``test_openapi.py`` says in the environment for whom. Many of
the requests revoke, rotate or delete what they come upon, their own token included, so that each
one gets a token of its own, straight from the database.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

import schemathesis

from tests.databases import opened
from tests.factories import make_token
from tokensrv.config import load
from tokensrv.services.directory import users


@schemathesis.auth(refresh_interval=None, retry_on=[])
class TokenOfItsOwn:
    """Signs each request with a new token of the user that the environment names."""

    def __init__(self) -> None:
        variables = {key: value for key, value in os.environ.items() if key.startswith("TOKENSRV_")}
        # Open until the command ends.
        self._store = ExitStack().enter_context(opened(load(variables)))
        self._user = users.get(self._store, int(os.environ["FUZZING_USER_ID"]))

    def get(self, _case: schemathesis.Case, _context: object) -> str:
        """Return the secret of a new token."""
        scopes = tuple(os.environ["FUZZING_SCOPES"].split())
        return make_token(self._store, self._user, scopes).secret

    def set(self, case: schemathesis.Case, data: str, _context: object) -> None:
        """Put it where the API looks for it."""
        case.headers["PRIVATE-TOKEN"] = data
