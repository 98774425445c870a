"""Users: who one is, lists, and what admins make of others. States are ``user_states``."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request
from flask.typing import ResponseReturnValue

from tokensrv.api.blueprint import Blueprint
from tokensrv.api.pagination import check_offset, headers, keyset_headers, read_cursor
from tokensrv.api.schemas.base import Wire
from tokensrv.api.schemas.fields import Flag
from tokensrv.api.schemas.user_forms import (
    AdminUser,
    admin_forms,
    form_for,
    listed_forms,
    own_form,
)
from tokensrv.api.schemas.user_listing import ListUsers, UserListing
from tokensrv.api.schemas.users import ChangeUser, CreateUser
from tokensrv.http.answers import forbidden
from tokensrv.http.context import caller, origin, store
from tokensrv.services.directory import user_lists, users
from tokensrv.services.directory.users import NewUser, UserChanges

bp = Blueprint("users", __name__, url_prefix="/api/v4")


class DeleteUser(Wire):
    """The parameters of ``DELETE /users/:id``; deleting is always for good."""

    hard_delete = Flag()


@bp.verb("GET", "/user", gives=AdminUser)
def current_user() -> Response:
    """Show the user as whom one calls."""
    return jsonify(own_form(store(), users.get(store(), caller().subject.id)))


@bp.verb("GET", "/users", takes=ListUsers, gives=AdminUser(many=True), fails={405})
def list_users(wanted: UserListing) -> ResponseReturnValue:
    """List and search users."""
    viewer = caller().subject
    if not viewer.is_admin:
        if wanted.asks_for_identity:
            raise forbidden()
        wanted = wanted.for_everybody()
    found, links = (_after if wanted.is_keyset else _page)(wanted)
    return jsonify(listed_forms(store(), viewer, found)), links


@bp.verb("GET", "/users/<id:user_id>", gives=AdminUser, fails={404})
def get_user(user_id: int) -> Response:
    """Show a user."""
    return jsonify(form_for(store(), caller().subject, users.get(store(), user_id)))


@bp.verb("POST", "/users", takes=CreateUser, gives=AdminUser, status=201, fails={409})
def create_user(wanted: NewUser) -> ResponseReturnValue:
    """Make a user. Admins only."""
    [form] = admin_forms(store(), [users.create(store(), origin(), wanted)])
    return jsonify(form), 201


@bp.verb("PUT", "/users/<id:user_id>", takes=ChangeUser, gives=AdminUser, fails={404, 409})
def change_user(changes: UserChanges, user_id: int) -> Response:
    """Change a user. Admins only."""
    [form] = admin_forms(store(), [users.change(store(), origin(), user_id, changes)])
    return jsonify(form)


@bp.verb("DELETE", "/users/<id:user_id>", takes=DeleteUser, status=204, fails={404, 412})
def delete_user(_how: dict[str, Any], user_id: int) -> None:
    """Delete a user at once and for good, his tokens with him. Admins only."""
    users.delete(store(), origin(), user_id, unmodified_since=request.if_unmodified_since)


def _page(wanted: UserListing) -> tuple[Any, dict[str, str]]:
    check_offset(wanted.page, "User", has_keyset=True)
    page = user_lists.list_users(
        store(),
        wanted.filter(by_private_email=caller().subject.is_admin),
        order_by=wanted.order_by,
        is_descending=wanted.is_descending,
        page=wanted.page,
    )
    return page.items, headers(page)


def _after(wanted: UserListing) -> tuple[Any, dict[str, str]]:
    found, following = user_lists.list_users_after(
        store(),
        wanted.filter(by_private_email=caller().subject.is_admin),
        order_by=wanted.order_by,
        is_descending=wanted.is_descending,
        after=read_cursor(wanted.cursor, wanted.order_by),
        limit=wanted.page.per_page,
    )
    return found, keyset_headers(following, wanted.page.per_page)
