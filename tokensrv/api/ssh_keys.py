"""SSH keys: one's own, and those of a user, which everybody sees and admins change."""

from __future__ import annotations

from typing import Any

from tokensrv.api.blueprint import Blueprint
from tokensrv.api.pagination import check_offset, headers
from tokensrv.api.schemas.ssh_keys import AddKey, KeyObject, ListKeys
from tokensrv.errors import NotFound
from tokensrv.http.context import caller, origin, store
from tokensrv.services.directory import users
from tokensrv.services.keys import ssh_key_minting, ssh_keys
from tokensrv.services.keys.ssh_key_minting import KeyWish
from tokensrv.services.keys.ssh_keys import KeyRecord
from tokensrv.services.pages import PageRequest

bp = Blueprint("ssh_keys", __name__, url_prefix="/api/v4")


@bp.verb("GET", "/user/keys", takes=ListKeys, gives=KeyObject(many=True), fails={405})
def list_own(wanted: PageRequest) -> Any:
    """List one's own SSH keys, the oldest first."""
    return _list(caller().subject.id, wanted)


@bp.verb("POST", "/user/keys", takes=AddKey, gives=KeyObject, status=201, fails={422})
def add_own(wish: KeyWish) -> KeyRecord:
    """Add an SSH key of one's own; it dies with the calling token at the latest."""
    return ssh_key_minting.add(store(), origin(), caller().subject.id, wish)


@bp.verb("GET", "/user/keys/<id:key_id>", gives=KeyObject, fails={404})
def get_own(key_id: int) -> KeyRecord:
    """Show an SSH key of one's own."""
    return ssh_keys.get(store(), caller().subject.id, key_id)


@bp.verb("DELETE", "/user/keys/<id:key_id>", status=204, fails={404})
def remove_own(key_id: int) -> None:
    """Remove an SSH key of one's own."""
    ssh_keys.remove(store(), origin(), caller().subject.id, key_id)


@bp.verb(
    "GET",
    "/users/<user_id>/keys",
    takes=ListKeys,
    gives=KeyObject(many=True),
    fails={404, 405},
)
def list_of_user(wanted: PageRequest, user_id: str) -> Any:
    """List the SSH keys of the user with an id or a username, the oldest first."""
    return _list(_user(user_id), wanted)


@bp.verb(
    "POST",
    "/users/<user_id>/keys",
    takes=AddKey,
    gives=KeyObject,
    status=201,
    fails={404, 422},
)
def add_for_user(wish: KeyWish, user_id: str) -> KeyRecord:
    """Add an SSH key for the user with an id or a username. Admins only."""
    return ssh_key_minting.add(store(), origin(), _user(user_id), wish)


@bp.verb("GET", "/users/<id:user_id>/keys/<id:key_id>", gives=KeyObject, fails={404})
def get_of_user(user_id: int, key_id: int) -> KeyRecord:
    """Show an SSH key of a user."""
    return ssh_keys.get(store(), users.get(store(), user_id).id, key_id)


@bp.verb("DELETE", "/users/<id:user_id>/keys/<id:key_id>", status=204, fails={404})
def remove_of_user(user_id: int, key_id: int) -> None:
    """Remove an SSH key of a user. Admins only."""
    ssh_keys.remove(store(), origin(), user_id, key_id)


def _user(name: str) -> int:
    found = users.find(store(), name)
    if found is None:
        raise NotFound("User")
    return found.id


def _list(user_id: int, wanted: PageRequest) -> Any:
    check_offset(wanted, "Key")
    page = ssh_keys.list_keys(store(), user_id, wanted)
    return page.items, headers(page)
