"""Clients: the internal services that may introspect; made, changed, switched, deleted.

What they are made of is ``services.directory.client_values``; that an assertion of theirs is used
once is ``services.assertions``.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tokensrv.clock import to_ms, utcnow
from tokensrv.db import Store
from tokensrv.domain import texts
from tokensrv.domain.secret import Kind, digest, mint, mint_client_id
from tokensrv.errors import Invalid, NotFound, Stale
from tokensrv.models import Client
from tokensrv.services import submissions
from tokensrv.services.authority import confirm, refuse_minting, require_admin
from tokensrv.services.directory.client_values import (
    PRIVATE_KEY_JWT,
    SECRET_METHODS,
    SIGNED_RESPONSE_ALGS,
    ClientValues,
    set_values,
    shown,
    uses_secret,
)
from tokensrv.services.freshness import settled
from tokensrv.services.lifecycle.token_values import KEEP
from tokensrv.services.pages import Order, Page, PageRequest, fetch
from tokensrv.services.records import ClientRecord, NewClient, client_record
from tokensrv.services.trail.events import NewEvent, Origin, append


def create(
    store: Store, origin: Origin, values: ClientValues, *, submission: str | None = None
) -> NewClient:
    """Make a client, with a secret if it may use one.

    ``submission`` is the value of the form that asks for it, None for no form. Raises Forbidden,
    Invalid, SentTwice, Refused.
    """
    refuse_minting(origin)
    with store.write() as session:
        require_admin(confirm(session, store, origin))
        _claim(session, store, origin, submission)
        new = add(session, store, values)
        event = NewEvent(
            action="client.created", client_id=new.record.client_id, data=shown(new.record)
        )
        append(session, store.clock, origin, [event])
        return new


def add(session: Session, store: Store, values: ClientValues) -> NewClient:
    """Add a client's row within a transaction; its event is the caller's to append."""
    if values.name is KEEP:
        raise Invalid("name", "is missing")
    now = utcnow(store.clock)
    has_keys = values.jwks is not KEEP and values.jwks is not None
    client = Client(
        client_id=mint_client_id(),
        description="",
        auth_methods=(PRIVATE_KEY_JWT,) if has_keys else SECRET_METHODS,
        allow=(),
        introspection_signed_response_alg=SIGNED_RESPONSE_ALGS[0],
        created_at=now,
        updated_at=now,
    )
    set_values(store, client, values)
    secret = mint(store.settings.prefix, Kind.CLIENT) if uses_secret(client) else None
    client.secret_digest = None if secret is None else digest(secret)
    session.add(client)
    session.flush()
    return NewClient(client_record(client), secret)


def change(
    store: Store,
    origin: Origin,
    client_id: str,
    values: ClientValues,
    *,
    seen_ms: int | None = None,
) -> ClientRecord:
    """Change a client. Raises Forbidden, Invalid, NotFound, Refused, Stale.

    New keys and new ways to authenticate are credentials, so that whoever may not make one may
    not change a client either. Secrets that no method uses any more are gone. ``seen_ms`` is
    the ``updated_at`` of what the change is based on, in milliseconds since the epoch: Stale, if
    it is not the client's any more.
    """
    refuse_minting(origin)
    with settled(store) as session:
        client = _lock(session, store, origin, client_id)
        if seen_ms is not None and to_ms(client.updated_at) != seen_ms:
            raise Stale
        before = shown(client_record(client))
        set_values(store, client, values)
        if not uses_secret(client):
            client.secret_digest = client.previous_secret_digest = None
        after = shown(client_record(client))
        if after != before:
            client.updated_at = utcnow(store.clock)
            changed = {key: after[key] for key in after if after[key] != before[key]}
            _append(session, store, origin, client, "client.changed", {"changed": changed})
        return client_record(client)


def delete(store: Store, origin: Origin, client_id: str) -> None:
    """Delete a client at once and for good; its id never comes back.

    A token that is meant for it alone is inactive for all others, as before. Raises Forbidden,
    NotFound, Refused.
    """
    with settled(store) as session:
        client = _lock(session, store, origin, client_id)
        session.delete(client)
        _append(session, store, origin, client, "client.deleted", {"name": client.name})


def list_clients(store: Store) -> list[ClientRecord]:
    """Return all clients, the oldest first."""
    with store.read() as session:
        return [client_record(row) for row in session.scalars(select(Client).order_by(Client.id))]


def list_page(store: Store, page: PageRequest) -> Page[ClientRecord]:
    """Return one page of the clients, the oldest first."""
    with store.read() as session:
        return fetch(session, select(Client), Order(Client.id), page, client_record)


def get(store: Store, client_id: str) -> ClientRecord:
    """Return a client; raises NotFound."""
    with store.read() as session:
        return client_record(_find(session, client_id))


def disable(store: Store, origin: Origin, client_id: str) -> bool:
    """Disable a client: it cannot authenticate any more. False when it was disabled already."""
    return _switch(store, origin, client_id, is_disabled=True)


def enable(store: Store, origin: Origin, client_id: str) -> bool:
    """Enable a client again; False when it was enabled."""
    return _switch(store, origin, client_id, is_disabled=False)


def rotate_secret(
    store: Store, origin: Origin, client_id: str, *, submission: str | None = None
) -> NewClient:
    """Give a client a new secret; the one before it stays valid until the next rotation.

    ``submission`` is as in ``create``: a form that is sent twice would end the secret in use.
    Raises NotFound, Forbidden, Invalid (it authenticates without one), SentTwice, Refused.
    """
    refuse_minting(origin)
    with settled(store) as session:
        client = _lock(session, store, origin, client_id)
        _claim(session, store, origin, submission)
        if not uses_secret(client):
            raise Invalid("auth_methods", "of this client use no secret")
        secret = mint(store.settings.prefix, Kind.CLIENT)
        client.previous_secret_digest, client.secret_digest = client.secret_digest, digest(secret)
        client.updated_at = utcnow(store.clock)
        _append(session, store, origin, client, "client.secret_rotated")
        return NewClient(client_record(client), secret)


def _switch(store: Store, origin: Origin, client_id: str, *, is_disabled: bool) -> bool:
    with settled(store) as session:
        client = _lock(session, store, origin, client_id)
        if (client.disabled_at is not None) == is_disabled:
            return False
        now = utcnow(store.clock)
        client.disabled_at = now if is_disabled else None
        client.updated_at = now
        action = "client.disabled" if is_disabled else "client.enabled"
        _append(session, store, origin, client, action)
        return True


def _claim(session: Session, store: Store, origin: Origin, submission: str | None) -> None:
    if origin.caller is not None:
        submissions.claim(session, store, origin.caller.subject.id, submission)


def _lock(session: Session, store: Store, origin: Origin, client_id: str) -> Client:
    require_admin(confirm(session, store, origin))
    return _find(session, client_id, is_locked=True)


def _find(session: Session, client_id: str, *, is_locked: bool = False) -> Client:
    query = select(Client).where(Client.client_id == client_id)
    if is_locked:
        query = query.with_for_update()
    client = session.scalars(query).first() if texts.is_storable(client_id) else None
    if client is None:
        raise NotFound("Client", client_id)
    return client


def _append(
    session: Session,
    store: Store,
    origin: Origin,
    client: Client,
    action: str,
    data: dict[str, Any] | None = None,
) -> None:
    event = NewEvent(action=action, client_id=client.client_id, data=data or {})
    append(session, store.clock, origin, [event])
