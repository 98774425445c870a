"""The instance: an instance is its database, and it is empty as long as it has no user."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.domain.facts import TokenKind, UserFacts
from tokensrv.errors import Forbidden
from tokensrv.models import EventHead, User
from tokensrv.services.directory import clients, passwords
from tokensrv.services.directory.client_values import ALLOWABLE, ClientValues
from tokensrv.services.lifecycle import minting
from tokensrv.services.records import NewClient, NewToken, UserRecord, user_record
from tokensrv.services.trail.events import NewEvent, Origin, append

ADMIN = "root"
ADMIN_SCOPES = ("api", "sudo")


@dataclass(frozen=True, slots=True)
class Initialised:
    """What `init` made, and the secrets that are shown once."""

    admin: UserRecord
    password: str = field(repr=False)
    token: NewToken
    client: NewClient


def is_empty(store: Store) -> bool:
    """Return whether the database has no user yet."""
    with store.read() as session:
        return session.scalars(select(User.id).limit(1)).first() is None


def initialise(store: Store, origin: Origin) -> Initialised:
    """Make the first admin, a token for him and a client that may do all a client can.

    Raises Forbidden, and changes nothing, when there is a user already.
    """
    password = passwords.generate()
    password_hash = passwords.store_form(password)
    with store.write() as session:
        # The head of the log is the mutex of two nodes that start at once.
        session.scalars(select(EventHead).with_for_update()).one()
        if session.scalars(select(User.id).limit(1)).first() is not None:
            raise Forbidden("This instance has users already; nothing was changed.")
        admin = _admin(session, store, password_hash)
        token = minting.add(
            session,
            store,
            user_id=admin.id,
            wish=minting.TokenWish(name="init", scopes=ADMIN_SCOPES),
        )
        client = clients.add(session, store, ClientValues(name="first client", allow=ALLOWABLE))
        append(session, store.clock, origin, _events(admin.facts(), token, client))
        return Initialised(user_record(admin), password, token, client)


def _admin(session: Session, store: Store, password_hash: str) -> User:
    now = utcnow(store.clock)
    admin = User(
        username=ADMIN,
        username_key=ADMIN,
        email="root@localhost.localdomain",
        email_key="root@localhost.localdomain",
        name="Administrator",
        state="active",
        is_admin=True,
        password_hash=password_hash,
        created_at=now,
        updated_at=now,
    )
    session.add(admin)
    session.flush()
    session.refresh(admin)
    return admin


def _events(admin: UserFacts, token: NewToken, client: NewClient) -> list[NewEvent]:
    user = {"user_id": admin.id, "username": admin.username}
    return [
        NewEvent(action="instance.initialised"),
        NewEvent(action="user.created", data=user | {"is_admin": True}),
        NewEvent(
            action="token.created",
            token_id=token.record.id,
            data={"user_id": admin.id, "kind": TokenKind.PERSONAL.value}
            | {"name": token.record.name, "scopes": list(token.record.scopes)},
        ),
        NewEvent(
            action="client.created",
            client_id=client.record.client_id,
            data={"name": client.record.name, "allow": list(client.record.allow)},
        ),
    ]
