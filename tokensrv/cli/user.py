"""``tokensrv user``: the people and machines that own tokens, named by username or id."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

import click

from tokensrv.cli.asking import confirm, secret, yes_option
from tokensrv.cli.objects import moment, user_object, user_objects
from tokensrv.cli.output import json_option, show_list, show_one, tell
from tokensrv.cli.storage import current_store
from tokensrv.db import Store
from tokensrv.errors import NotFound
from tokensrv.services.account import resets, second_factors
from tokensrv.services.directory import user_states, users
from tokensrv.services.directory.user_lists import UserFilter, list_users_after
from tokensrv.services.pages import Key
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE, Origin

_COLUMNS = ("id", "username", "name", "email", "state", "role", "last_activity")
_CHUNK = 1_000

_user_argument: Callable[[Callable[..., Any]], Callable[..., Any]] = click.argument(
    "username", metavar="NAME"
)


@click.group("user")
def command() -> None:
    """Create, list, switch and delete users."""


@command.command("create")
@_user_argument
@click.option("--email", required=True)
@click.option("--name", help="The name to display; the username without it.")
@click.option("--admin", "is_admin", is_flag=True, help="Make the user an admin.")
@click.option(
    "--password-stdin", is_flag=True, help="Read a password, to be changed at the first sign-in."
)
@json_option
def create(
    *,
    username: str,
    email: str,
    name: str | None,
    is_admin: bool,
    password_stdin: bool,
    as_json: bool,
) -> None:
    """Make a user."""
    wanted = users.NewUser(
        username=username,
        email=email,
        name=name or username,
        is_admin=is_admin,
        password=secret("Password", is_new=True) if password_stdin else None,
    )
    with current_store() as store:
        user = users.create(store, COMMAND_LINE, wanted)
        made = user_object(store, user)
    tell(f"{user.username} is user {user.id}.", made, as_json=as_json)


@command.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """List all users, the oldest first."""
    with current_store() as store:
        items = partial(user_objects, store) if as_json else partial(map, _row)
        found = chain.from_iterable(map(items, _chunks(store)))
        show_list(found, _COLUMNS, as_json=as_json)


@command.command("show")
@_user_argument
@json_option
def show(*, username: str, as_json: bool) -> None:
    """Show a user."""
    with current_store() as store:
        user = get_user(store, username)
        show_one(user_object(store, user) if as_json else _details(user), as_json=as_json)


@command.command("set-password")
@_user_argument
@json_option
def set_password(*, username: str, as_json: bool) -> None:
    """Set a password, read from stdin, to be changed at the first sign-in."""
    with current_store() as store:
        user = get_user(store, username)
        password = secret("Password", is_new=True)
        users.set_password(store, COMMAND_LINE, user.id, password, is_expired=True)
        done = f"{user.username} has a new password and must change it at the first sign-in."
        tell(done, user_object(store, users.get(store, user.id)), as_json=as_json)


@command.command("reset-link")
@_user_argument
@json_option
def reset_link(*, username: str, as_json: bool) -> None:
    """Print a link with which a user sets a new password, once, within an hour."""
    with current_store() as store:
        user = get_user(store, username)
        link = resets.make(store, COMMAND_LINE, user.id)
        address = link.address(store.settings)
    made = {"url": address, "expires_at": moment(link.expires_at)}
    tell(address, made, as_json=as_json)


@command.command("delete")
@_user_argument
@yes_option
@json_option
def delete(*, username: str, yes: bool, as_json: bool) -> None:
    """Delete a user and all his tokens for good."""
    with current_store() as store:
        user = get_user(store, username)
        confirm(f"Delete {user.username} and all his tokens for good?", yes=yes)
        gone = user_object(store, user)
        users.delete(store, COMMAND_LINE, user.id)
    tell(f"{user.username} is deleted.", gone, as_json=as_json)


def _switch(
    verb: Callable[[Store, Origin, int], bool], *, state: str, question: str | None = None
) -> Callable[..., None]:
    """Return the body of a command that switches something; it asks if that takes power away."""

    def run(*, username: str, as_json: bool, yes: bool = False) -> None:
        with current_store() as store:
            user = get_user(store, username)
            if question is not None:
                confirm(question.format(user.username), yes=yes)
            has_changed = verb(store, COMMAND_LINE, user.id)
            found = user_object(store, users.get(store, user.id))
        verdict = "is" if has_changed else "was already"
        tell(f"{user.username} {verdict} {state}.", found, as_json=as_json)

    return _user_argument(json_option(run if question is None else yes_option(run)))


command.command("block", help="Block a user: nothing of his works any more.")(
    _switch(user_states.block, state="blocked", question="Block {} and all his tokens?")
)
command.command("unblock", help="Unblock a user: his tokens work again.")(
    _switch(user_states.unblock, state="active")
)
command.command("promote", help="Make a user an admin.")(
    _switch(user_states.promote, state="an admin")
)
command.command("demote", help="Make an admin an ordinary user.")(
    _switch(user_states.demote, state="no admin", question="Make {} an ordinary user?")
)

command.command("reset-two-factor", help="Remove the second factors that a user has lost.")(
    _switch(
        second_factors.remove_all,
        state="without a second factor",
        question="Remove every second factor of {}?",
    )
)


def get_user(store: Store, name: str) -> UserRecord:
    """Return whom a username or an id names; raises NotFound."""
    user = users.find(store, name)
    if user is None:
        raise NotFound("User", name)
    return user


def _chunks(store: Store) -> Iterator[Sequence[UserRecord]]:
    after: Key | None = None
    while True:
        found, after = list_users_after(
            store, UserFilter(), order_by="id", is_descending=False, after=after, limit=_CHUNK
        )
        yield found
        if after is None:
            return


def _row(user: UserRecord) -> dict[str, object]:
    return {
        "id": user.id,
        "username": user.username,
        "name": user.name,
        "email": user.email,
        "state": user.state,
        "role": "admin" if user.is_admin else "user",
        "last_activity": moment(user.last_activity_at) or "never",
    }


def _details(user: UserRecord) -> dict[str, object]:
    return _row(user) | {
        "password": "set" if user.has_password else "none",
        "created_at": moment(user.created_at),
        "updated_at": moment(user.updated_at),
    }
