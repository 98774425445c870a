"""The JSON forms of what commands show, and their short forms for people.

Users, tokens and clients look as in the API, whose schemas are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from tokensrv.api.schemas.clients import ClientObject, NewClientObject
from tokensrv.api.schemas.explanations import ExplanationObject
from tokensrv.api.schemas.repository_rules import RuleObject
from tokensrv.api.schemas.tokens import NewTokenObject, TokenObject
from tokensrv.api.schemas.user_forms import admin_forms
from tokensrv.db import Store
from tokensrv.domain.explanation import Explanation
from tokensrv.services.records import (
    ClientRecord,
    NewClient,
    NewToken,
    TokenRecord,
    UserRecord,
)
from tokensrv.services.repositories import RuleRecord

Object = dict[str, Any]


def user_object(store: Store, user: UserRecord) -> Object:
    """Return a user as the API shows him to admins."""
    return user_objects(store, [user])[0]


def user_objects(store: Store, users: Sequence[UserRecord]) -> list[Object]:
    """Return users as the API shows them to admins."""
    return admin_forms(store, users)


def token_object(token: TokenRecord) -> Object:
    """Return a token as the API shows it."""
    return cast(Object, TokenObject().dump(token))


def new_token_object(new: NewToken) -> Object:
    """Return a token just made, with its secret."""
    return cast(Object, NewTokenObject().dump(new))


def client_object(client: ClientRecord) -> Object:
    """Return a client as the API shows it."""
    return cast(Object, ClientObject().dump(client))


def new_client_object(new: NewClient) -> Object:
    """Return a client just made, or given a new secret, with that secret."""
    return cast(Object, NewClientObject().dump(new))


def rule_object(rule: RuleRecord) -> Object:
    """Return a rule for repositories as the API shows it."""
    return cast(Object, RuleObject().dump(rule))


def explanation_object(explanation: Explanation) -> Object:
    """Return an explanation as the API shows it."""
    return cast(Object, ExplanationObject().dump(explanation))


def moment(at: datetime | None) -> str:
    """Return a moment as people read it, in UTC to the second."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%SZ}"
