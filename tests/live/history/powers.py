"""Who and what the calls are about: users, tokens, clients, and the powers that each has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class User:
    """A user; an admin and a plain user are each a power, for nobody may sudo to an admin."""

    id: int
    name: str

    @property
    def is_active(self) -> str:
        return f"user {self.id} is active"

    @property
    def is_admin(self) -> str:
        return f"user {self.id} is an admin"

    @property
    def is_plain(self) -> str:
        return f"user {self.id} is no admin"


@dataclass(frozen=True, slots=True)
class Client:
    """A client with its secret."""

    id: str
    secret: str

    @property
    def is_enabled(self) -> str:
        return f"client {self.id} is enabled"

    @property
    def may_sudo(self) -> str:
        return f"client {self.id} may ask about sudo"


@dataclass(frozen=True, slots=True)
class Token:
    """A token of any kind; ``lent_by`` the token that it came out of by an exchange."""

    id: int
    secret: str
    owner: User
    scopes: tuple[str, ...] = ()
    audience: tuple[Client, ...] = ()
    lent_by: Token | None = None

    @property
    def is_alive(self) -> str:
        return f"token {self.id} is not revoked"

    def holds(self, scope: str) -> str:
        """Return the power that a scope is."""
        return f"token {self.id} holds {scope}"

    def is_for(self, client: Client) -> str:
        """Return the power to be shown to a client."""
        return f"token {self.id} is for client {client.id}"

    def needs(self) -> tuple[str, ...]:
        """Return what it needs to be active at all."""
        own = (self.is_alive, self.owner.is_active)
        if self.lent_by is None:
            return own
        return own + self.lent_by.needs_for_sudo(self.owner)

    def needs_of(self, scope: str) -> tuple[str, ...]:
        """Return what it needs to show a scope, beside being active."""
        return (self.holds(scope), *([self.owner.is_admin] if scope == "sudo" else []))

    def needs_for(self, client: Client) -> tuple[str, ...]:
        """Return what it needs to be shown to a client, beside being active."""
        return (self.is_for(client),) if client in self.audience else ()

    def needs_for_sudo(self, target: User) -> tuple[str, ...]:
        """Return what it needs to act as a target."""
        return (*self.needs(), *self.needs_of("sudo"), target.is_active, target.is_plain)
