"""What is asked of any node again and again, and what a yes to each question depends on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from tests.live.history.calls import Reply, Request, api, oauth
from tests.live.history.powers import Client, Token, User


class Reading(NamedTuple):
    """One thing that a reply says: yes or no to what needs these powers."""

    needs: tuple[str, ...]
    is_yes: bool


class Question(Protocol):
    """Something to ask a node."""

    @property
    def request(self) -> Request: ...

    def read(self, reply: Reply) -> Iterator[Reading]:
        """Give what the reply says; nothing for one that does not belong to the question."""


@dataclass(frozen=True, slots=True)
class Introspect:
    """A client asks about a token, perhaps for a scope."""

    client: Client
    token: Token
    scope: str = ""

    @property
    def request(self) -> Request:
        scope = {"scope": self.scope} if self.scope else {}
        return oauth("introspect", self.client, token=self.token.secret, **scope)

    def read(self, reply: Reply) -> Iterator[Reading]:
        """Give whether the client is let in, whether the token is active, which scopes it shows."""
        if reply.status not in (200, 401):
            return
        yield Reading((self.client.is_enabled,), reply.status == 200)
        if reply.status == 200:
            yield from self._told(reply.document)

    def _told(self, answer: dict[str, Any]) -> Iterator[Reading]:
        token = self.token
        needs = token.needs() + token.needs_for(self.client)
        if self.scope:
            needs += token.needs_of(self.scope)
        yield Reading(needs, answer["active"])
        if answer["active"]:
            shown = answer["scope"].split()
            for scope in token.scopes:
                yield Reading(token.needs_of(scope), scope in shown)


@dataclass(frozen=True, slots=True)
class IntrospectAs:
    """A client asks whether a token may act as a user."""

    client: Client
    token: Token
    target: User

    @property
    def request(self) -> Request:
        return oauth("introspect", self.client, token=self.token.secret, sudo=self.target.name)

    def read(self, reply: Reply) -> Iterator[Reading]:
        """Give whether the client is let in, and whether the token may."""
        if reply.status not in (200, 401):
            return
        yield Reading((self.client.is_enabled,), reply.status == 200)
        if reply.status == 200:
            needs = (*self.token.needs_for_sudo(self.target), self.client.may_sudo)
            yield Reading(needs, reply.document["active"])


@dataclass(frozen=True, slots=True)
class Self:
    """Whoever has a token asks the API about it."""

    token: Token

    @property
    def request(self) -> Request:
        return api("GET", "/personal_access_tokens/self", self.token.secret)

    def read(self, reply: Reply) -> Iterator[Reading]:
        """Give whether the token is let in."""
        # 403: whoever is blocked is told so. 404: deleted when he had just been let in.
        if reply.status in (200, 401, 403, 404):
            yield Reading(self.token.needs(), reply.status == 200)


@dataclass(frozen=True, slots=True)
class As:
    """Whoever has an admin's token calls the API as another user."""

    token: Token
    target: User

    @property
    def request(self) -> Request:
        return api("GET", "/user", self.token.secret, sudo=self.target.name)

    def read(self, reply: Reply) -> Iterator[Reading]:
        """Give whether he was let in as that user."""
        if reply.status in (200, 401, 403, 404):
            yield Reading(self.token.needs_for_sudo(self.target), reply.status == 200)
