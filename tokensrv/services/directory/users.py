"""Users: made, changed, deleted. ``services.directory.user_states`` switches them on and off."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tokensrv.clock import utcnow
from tokensrv.db import Store
from tokensrv.domain.texts import is_storable
from tokensrv.domain.usernames import target
from tokensrv.errors import Forbidden, NotFound, Taken
from tokensrv.models import User
from tokensrv.services.account.sessions import end_all
from tokensrv.services.authority import confirm, refuse_minting, refuse_stale, require_admin
from tokensrv.services.directory import passwords
from tokensrv.services.directory.profiles import (
    PROFILE_FLAGS,
    PROFILE_TEXTS,
    set_identity,
    set_profile,
)
from tokensrv.services.freshness import settled
from tokensrv.services.records import UserRecord, user_record
from tokensrv.services.trail.events import NewEvent, Origin, append


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """The user that somebody wants. ``password`` None: he cannot sign in with one yet."""

    username: str
    email: str
    name: str
    password: str | None = field(default=None, repr=False)
    is_admin: bool = False
    profile: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChanges:
    """What to change; None leaves a value as it is."""

    username: str | None = None
    email: str | None = None
    name: str | None = None
    password: str | None = field(default=None, repr=False)
    is_admin: bool | None = None
    profile: dict[str, Any] = field(default_factory=dict)


def create(store: Store, origin: Origin, wanted: NewUser) -> UserRecord:
    """Make a user; a password that an admin chose must be changed at the first sign-in.

    Raises Forbidden, InvalidRecord, Taken, Refused.
    """
    password_hash = None if wanted.password is None else _hash(origin, wanted.password)
    with store.write() as session:
        require_admin(confirm(session, store, origin))
        now = utcnow(store.clock)
        user = User(
            state="active",
            is_admin=wanted.is_admin,
            password_hash=password_hash,
            password_expired=password_hash is not None,
            created_at=now,
            updated_at=now,
            created_by_id=origin.subject.id if origin.subject else None,
        )
        set_identity(user, username=wanted.username, email=wanted.email, name=wanted.name)
        set_profile(user, wanted.profile)
        if wanted.password is not None:
            _check_against(wanted.password, user)
        session.add(user)
        _flush(session, user)
        session.refresh(user)
        data = {"user_id": user.id, "username": user.username, "is_admin": user.is_admin}
        append(session, store.clock, origin, [NewEvent(action="user.created", data=data)])
        return user_record(user)


def change(store: Store, origin: Origin, user_id: int, changes: UserChanges) -> UserRecord:
    """Change a user; nobody demotes himself, and the last admin stays one.

    A new password ends all his sessions. Raises NotFound, Forbidden, InvalidRecord, Taken, Refused.
    """
    password_hash = None if changes.password is None else _hash(origin, changes.password)
    with settled(store) as session:
        demotes = changes.is_admin is False
        locked = confirm(session, store, origin, users=[user_id], every_admin=demotes)
        require_admin(locked)
        user = locked.user(user_id)
        if demotes and user.is_admin:
            refuse_losing_admin(origin, user, others=locked.other_active_admins(user.id))
        before = _shown(user)
        set_identity(user, username=changes.username, email=changes.email, name=changes.name)
        set_profile(user, changes.profile)
        is_other = origin.subject is None or origin.subject.id != user.id
        if changes.password is not None:
            _check_against(changes.password, user)
            user.password_hash, user.password_expired = password_hash, is_other
        has_new_power = bool(changes.is_admin) and not user.is_admin
        user.is_admin = changes.is_admin if changes.is_admin is not None else user.is_admin
        events = _changes(user, before, has_new_password=password_hash is not None)
        if events:
            user.updated_at = utcnow(store.clock)
            _flush(session, user)
            if password_hash is not None or has_new_power:
                end_all(session, user.id)
            append(session, store.clock, origin, events)
        return user_record(user)


def delete(
    store: Store, origin: Origin, user_id: int, *, unmodified_since: datetime | None = None
) -> None:
    """Delete a user for good, his tokens with him; his id never comes back.

    Raises NotFound, Forbidden, Stale (he was changed after ``unmodified_since``), Refused.
    """
    with settled(store) as session:
        # The database will touch those whom he had made, so that they are locked in their turn.
        locked = confirm(session, store, origin, users=[user_id], every_admin=True, made_by=user_id)
        require_admin(locked)
        user = locked.user(user_id)
        refuse_stale(user.updated_at, unmodified_since)
        refuse_losing_admin(origin, user, others=locked.other_active_admins(user.id))
        data = {"user_id": user.id, "username": user.username}
        session.delete(user)
        append(session, store.clock, origin, [NewEvent(action="user.deleted", data=data)])


def set_password(
    store: Store, origin: Origin, user_id: int, password: str, *, is_expired: bool
) -> None:
    """Give a user a password, which ends his sessions; expired: he must change it at the next.

    Raises NotFound, Forbidden, InvalidRecord, Refused.
    """
    password_hash = _hash(origin, password)
    with store.write() as session:
        locked = confirm(session, store, origin, users=[user_id])
        require_admin(locked)
        user = locked.user(user_id)
        _check_against(password, user)
        user.password_hash, user.password_expired = password_hash, is_expired
        user.updated_at = utcnow(store.clock)
        end_all(session, user.id)
        data = {"user_id": user.id, "username": user.username}
        append(session, store.clock, origin, [NewEvent(action="user.password_set", data=data)])


def get(store: Store, user_id: int) -> UserRecord:
    """Return a user; raises NotFound."""
    with store.read() as session:
        user = session.get(User, user_id)
        if user is None:
            raise NotFound("User", user_id)
        return user_record(user)


def find(store: Store, name: str) -> UserRecord | None:
    """Return whom an id or a username names, in any case."""
    # Nobody is called what no database can even be asked for.
    if not is_storable(name):
        return None
    named = target(name)
    column, value = (User.id, named.id) if named.id is not None else (User.username_key, named.key)
    with store.read() as session:
        user = session.scalars(select(User).where(column == value)).first()
        return None if user is None else user_record(user)


def refuse_losing_admin(origin: Origin, user: User, *, others: bool) -> None:
    """Raise Forbidden when nobody would be left to administrate, or it is oneself."""
    if origin.subject is not None and origin.subject.id == user.id:
        raise Forbidden("Not allowed for your own account")
    if user.is_admin and user.state == "active" and not others:
        raise Forbidden("The last active admin must stay one")


def _hash(origin: Origin, password: str) -> str:
    # A password is a credential too: nobody makes one for another user while he acts as him.
    refuse_minting(origin)
    return passwords.store_form(password)


def _check_against(password: str, user: User) -> None:
    passwords.check_against(password, username=user.username, email=user.email)


def _flush(session: Session, user: User) -> None:
    # The unique indexes are the judges: whoever asks first could be overtaken.
    try:
        session.flush()
    except IntegrityError as error:
        # PostgreSQL tells the values on further lines, and they are the caller's words.
        message = str(error.orig).partition("\n")[0]
        raise Taken("Username" if "username_key" in message else "Email") from None


def _shown(user: User) -> dict[str, Any]:
    names = ("username", "email", "name", *PROFILE_TEXTS, *PROFILE_FLAGS)
    return {name: getattr(user, name) for name in names} | {"is_admin": user.is_admin}


def _changes(user: User, before: dict[str, Any], *, has_new_password: bool) -> list[NewEvent]:
    after = _shown(user)
    subject = {"user_id": user.id, "username": user.username}
    changed = {name: after[name] for name in after if after[name] != before[name]}
    events = []
    if (is_admin := changed.pop("is_admin", None)) is not None:
        action = "user.promoted" if is_admin else "user.demoted"
        events.append(NewEvent(action=action, data=subject))
    if changed:
        events.append(NewEvent(action="user.changed", data=subject | {"changed": changed}))
    if has_new_password:
        events.append(NewEvent(action="user.password_set", data=subject))
    return events
