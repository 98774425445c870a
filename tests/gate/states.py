"""The states in which a token may be when it is shown somewhere, each brought about by its verb."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import update

from tests.factories import make_admin, make_client, make_exchanged, make_token, make_user
from tests.gate.transports import THERE, Shown
from tokensrv.clock import from_ms
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind
from tokensrv.domain.secret import Kind, mint
from tokensrv.models import Token
from tokensrv.services.directory import user_states, users
from tokensrv.services.lifecycle import rotation, tokens
from tokensrv.services.records import NewClient, NewToken, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

Scopes = tuple[str, ...]

# What becomes of whom.
FALLS: Final[dict[str, Callable[..., object]]] = {
    "blocked": user_states.block,
    "banned": user_states.ban,
    "deactivated": user_states.deactivate,
    "deleted": users.delete,
    "demoted": user_states.demote,
}


@dataclass(frozen=True)
class Cast:
    """People, some of whom will come to no good, and the tokens that others come from."""

    store: Store
    # Admins are root and carol.
    people: dict[str, UserRecord]
    sources: dict[str, NewToken]
    other_client: NewClient

    def token(
        self, owner: str, scopes: Scopes, ends_ms: int | None = None, **wanted: Any
    ) -> NewToken:
        """Return a new token, which ends so many milliseconds from now."""
        store, new = self.store, make_token(self.store, self.people[owner], scopes, **wanted)
        if ends_ms is not None:
            ends = from_ms(store.clock.now_ms() + ends_ms)
            with store.write() as session:
                session.execute(
                    update(Token).where(Token.id == new.record.id).values(expires_at=ends)
                )
        return new

    def revoked(self, scopes: Scopes) -> NewToken:
        """Return a token that was revoked."""
        new = self.token("alice", scopes)
        tokens.revoke(self.store, COMMAND_LINE, new.record.id)
        return new

    def rotated(self, scopes: Scopes) -> tuple[NewToken, NewToken]:
        """Return a token that was rotated away, and its successor."""
        old = self.token("alice", scopes)
        return old, rotation.rotate(self.store, COMMAND_LINE, old.record.id)

    def exchanged(self, source: str, scopes: Scopes) -> NewToken:
        """Return what alice was given for a token."""
        return make_exchanged(self.store, self.sources[source], self.people["alice"], scopes)

    def fall(self) -> None:
        """Let happen to people and to sources what their names tell."""
        for name, verb in FALLS.items():
            verb(self.store, COMMAND_LINE, self.people[name].id)
        tokens.revoke(self.store, COMMAND_LINE, self.sources["revoked"].record.id)


def build(store: Store) -> Cast:
    """Return the cast in an empty instance, before anybody falls."""
    admins = {name: make_admin(store, name) for name in ("root", "carol", "demoted")}
    others = ("alice", "bob", *(name for name in FALLS if name not in admins))
    people = admins | {name: make_user(store, name) for name in others}
    sources = {"alice": "alice", "root": "root", "revoked": "root", "demoted": "demoted"}
    return Cast(
        store=store,
        people=people,
        sources={
            name: make_token(
                store, people[owner], ("api", "deploy", *(("sudo",) if owner in admins else ()))
            )
            for name, owner in sources.items()
        },
        other_client=make_client(store, "another"),
    )


def usual(cast: Cast, scopes: Scopes) -> dict[str, Shown]:
    """Return tokens of which the scopes reach the gate in different ways."""
    admins = cast.token("carol", (*scopes, "sudo")).secret
    return {
        "good": Shown(cast.token("alice", scopes).secret),
        "made narrower": Shown(cast.exchanged("alice", scopes).secret),
        "lent": Shown(cast.exchanged("root", scopes).secret),
        "admin's": Shown(admins),
        "as alice": Shown(admins, sudo="Alice"),
    }


def alive(cast: Cast, scopes: Scopes) -> dict[str, Shown]:
    """Return tokens that open what their scopes open, although something is special about each."""
    _, successor = cast.rotated(scopes)
    found = {
        "about to end": cast.token("alice", scopes, ends_ms=1),
        "rotated": successor,
        "at home": cast.token("alice", scopes, allowed_ips=("192.0.2.0/24",)),
        "impersonation": cast.token("alice", scopes, kind=TokenKind.IMPERSONATION),
        "demoted admin's": cast.token("demoted", (*scopes, "sudo")),
    }
    sudo = cast.token("carol", ("sudo",)).secret
    return {name: Shown(token.secret) for name, token in found.items()} | {
        "sudo alone": Shown(sudo),
        "sudo alone as her id": Shown(sudo, sudo=str(cast.people["alice"].id)),
    }


def dead(cast: Cast, scopes: Scopes) -> dict[str, Shown]:
    """Return what opens nothing at all, by the reason."""
    predecessor, _ = cast.rotated(scopes)
    found = {
        "ended": cast.token("alice", scopes, ends_ms=0),
        "revoked": cast.revoked(scopes),
        "rotated away": predecessor,
        "for another": cast.token("alice", scopes, audience=(cast.other_client.record.client_id,)),
        "of a revoked one": cast.exchanged("revoked", scopes),
        "lent by a demoted admin": cast.exchanged("demoted", scopes),
        **{f"{name} owner's": cast.token(name, scopes) for name in FALLS if name != "demoted"},
    }
    unknown = mint("ts", Kind.PERSONAL)
    placed = cast.token("alice", scopes, allowed_ips=("192.0.2.0/24",))
    return {name: Shown(token.secret) for name, token in found.items()} | {
        "from elsewhere": Shown(placed.secret, ip=THERE),
        "unknown": Shown(unknown),
        "mistyped": Shown(unknown.swapcase()),
        "a client's": Shown(cast.other_client.secret),
    }


def refused(cast: Cast, scopes: Scopes) -> dict[str, Shown]:
    """Return good tokens with a sudo that is refused, whatever their scopes."""
    admins = cast.token("carol", (*scopes, "sudo")).secret
    targets = {
        "nobody": "nobody",
        "an admin": "root",
        "somebody blocked": "blocked",
        "nothing": "",
        "blanks": "  ",
        "two": "alice,bob",
        "beyond ASCII": "alic\xe9",
    }
    as_alice = {
        "a user's": cast.token("bob", scopes),
        "an admin's without the scope": cast.token("carol", scopes),
        "a demoted admin's": cast.token("demoted", (*scopes, "sudo")),
        "lent": cast.exchanged("root", scopes),
        "made narrower": cast.exchanged("alice", scopes),
    }
    return {f"as {name}": Shown(admins, sudo=text) for name, text in targets.items()} | {
        f"{name} as alice": Shown(token.secret, sudo="alice") for name, token in as_alice.items()
    }
