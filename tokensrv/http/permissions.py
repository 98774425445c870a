"""Permissions: which route asks for what. This table is the only place that says so.

A route that stands neither here nor among the public ones is closed. ``refusal`` turns a row
and a caller into a yes or the answer that says no; what a role or a scope does not decide (whose
token it is, who is the last admin) the services decide.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from tokensrv.domain.caller import Caller
from tokensrv.domain.scopes import missing
from tokensrv.http.answers import ApiError, forbidden, insufficient_scope


class Admin(StrEnum):
    """When a route that only admins may use says so."""

    BEFORE_VALIDATION = "before"
    AFTER_VALIDATION = "after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What a route asks for."""

    # The scope that opens it, in whatever contains it. None: every scope does, and it is the
    # presented token that counts, also under sudo.
    needs: str | None
    # What GitLab's refusal names, whatever the method.
    reported: str
    admin: Admin | None = None
    # False: what it makes would outlive the request that acts as another user.
    under_sudo: bool = True
    # Parameters with which it would make such a thing.
    mints: frozenset[str] = field(default=frozenset())
    # It is about the presented token itself, so a token meant for other services opens it too.
    is_self: bool = False
    # A revoked token that asks for it was copied: its successors are revoked.
    detects_reuse: bool = False
    # The parameter sudo is part of the question, not of the request; the header is refused.
    asks_about_sudo: bool = False
    # Anonymous callers are told 403 instead of 401.
    hides_from_anonymous: bool = False


_READ = Permission(needs="read_api", reported="api read_api")
_WRITE = Permission(needs="api", reported="api read_api")
_READ_USERS = Permission(needs="read_user", reported="read_user api read_api")
_WRITE_USERS = Permission(needs="api", reported="read_user api read_api")
_SELF = Permission(needs=None, reported="api read_api", is_self=True)

_ADMIN_READ = replace(_READ, admin=Admin.BEFORE_VALIDATION)
_ADMIN_WRITE = replace(_WRITE, admin=Admin.BEFORE_VALIDATION)
_MANAGE = replace(_WRITE_USERS, admin=Admin.AFTER_VALIDATION)
_ADMIN_READ_USERS = replace(_READ_USERS, admin=Admin.BEFORE_VALIDATION)
_ADMIN_WRITE_USERS = replace(_WRITE_USERS, admin=Admin.BEFORE_VALIDATION)

PERMISSIONS: Final[dict[str, Permission]] = {
    "tokens.list_tokens": _READ,
    "tokens.get_token": _READ,
    "tokens.change_token": replace(_WRITE, under_sudo=False),
    "tokens.revoke_token": _WRITE,
    "tokens.rotate_token": replace(_WRITE, under_sudo=False, detects_reuse=True),
    "self_token.show": _SELF,
    "self_token.associations": _SELF,
    "self_token.revoke": replace(_SELF, under_sudo=False),
    "self_token.rotate": Permission(
        needs="self_rotate",
        reported="api self_rotate api read_api",
        under_sudo=False,
        is_self=True,
        detects_reuse=True,
    ),
    "user_tokens.create_for_user": replace(_ADMIN_WRITE, under_sudo=False),
    "user_tokens.create_for_self": replace(_WRITE, under_sudo=False),
    "impersonation_tokens.list_tokens": _ADMIN_READ_USERS,
    "impersonation_tokens.get": _ADMIN_READ_USERS,
    "impersonation_tokens.create": replace(_ADMIN_WRITE_USERS, under_sudo=False),
    "impersonation_tokens.revoke": _ADMIN_WRITE_USERS,
    "admin_token.identify": _ADMIN_WRITE,
    "admin_token.revoke": _ADMIN_WRITE,
    "users.current_user": _READ_USERS,
    "users.list_users": replace(_READ_USERS, hides_from_anonymous=True),
    "users.get_user": replace(_READ_USERS, hides_from_anonymous=True),
    # A new user comes with a password.
    "users.create_user": replace(_MANAGE, under_sudo=False),
    "users.change_user": replace(_MANAGE, mints=frozenset({"password", "admin"})),
    "users.delete_user": _MANAGE,
    "users.block": _MANAGE,
    "users.unblock": _MANAGE,
    "users.activate": _MANAGE,
    "users.deactivate": _MANAGE,
    "users.ban": _MANAGE,
    "users.unban": _MANAGE,
    "clients.list_clients": _ADMIN_READ,
    "clients.get_client": _ADMIN_READ,
    "clients.create_client": replace(_ADMIN_WRITE, under_sudo=False),
    # Keys and ways to authenticate are credentials.
    "clients.change_client": replace(_ADMIN_WRITE, under_sudo=False),
    "clients.update_client": replace(_ADMIN_WRITE, under_sudo=False),
    "clients.delete_client": _ADMIN_WRITE,
    "clients.rotate_secret": replace(_ADMIN_WRITE, under_sudo=False),
    "clients.disable_client": _ADMIN_WRITE,
    "clients.enable_client": replace(_ADMIN_WRITE, under_sudo=False),
    "repository_rules.list_rules": _ADMIN_READ,
    # A rule outlives the request, and so does what is open without the last one.
    "repository_rules.add_rule": replace(_ADMIN_WRITE, under_sudo=False),
    "repository_rules.remove_rule": replace(_ADMIN_WRITE, under_sudo=False),
    "ssh_keys.list_own": _READ_USERS,
    "ssh_keys.get_own": _READ_USERS,
    "ssh_keys.add_own": replace(_WRITE_USERS, under_sudo=False),
    "ssh_keys.remove_own": _WRITE_USERS,
    "ssh_keys.list_of_user": _READ_USERS,
    "ssh_keys.get_of_user": _READ_USERS,
    "ssh_keys.add_for_user": replace(_ADMIN_WRITE_USERS, under_sudo=False),
    "ssh_keys.remove_of_user": _ADMIN_WRITE_USERS,
    "about.version": _READ_USERS,
    "about.metadata": _READ_USERS,
    "explanation.explain": replace(_READ, asks_about_sudo=True),
    "events.list_events": _ADMIN_READ,
    "metrics.show": _ADMIN_READ,
}

# These tell no secret, or authenticate their callers themselves: the clients, whoever is at a gate.
PUBLIC: Final = frozenset(
    {
        "gate.auth",
        "gate.git",
        "gate.registry",
        "health.healthz",
        "health.readyz",
        "metadata.authorization_server",
        "metadata.protected_resource",
        "metadata.secrets",
        "oauth.introspect",
        "oauth.introspect_batch",
        "oauth.jwks",
        "oauth.revoke",
        "oauth.token",
        "api-docs.openapi_json",
    }
)


def refusal(
    permission: Permission,
    caller: Caller,
    *,
    parameters: Collection[str],
    available: tuple[str, ...],
) -> ApiError | None:
    """Return why this caller may not use the route, None when he may.

    ``parameters`` are the names that the request gives, ``available`` the instance's scopes.
    """
    if caller.is_lent and not _may_be_sudoed(permission, parameters):
        return forbidden("Not allowed while using sudo")
    if caller.token is not None and caller.token.audience and not permission.is_self:
        return insufficient_scope(permission.reported)
    if not _has_scope(permission, caller, available):
        return insufficient_scope(permission.reported)
    if permission.admin is Admin.BEFORE_VALIDATION:
        return role_refusal(permission, caller)
    return None


def role_refusal(permission: Permission, caller: Caller) -> ApiError | None:
    """Return 403 when the route is for admins and the subject is none, else None."""
    if permission.admin is not None and not caller.subject.is_admin:
        return forbidden()
    return None


def _may_be_sudoed(permission: Permission, parameters: Collection[str]) -> bool:
    return permission.under_sudo and permission.mints.isdisjoint(parameters)


def _has_scope(permission: Permission, caller: Caller, available: tuple[str, ...]) -> bool:
    if permission.needs is not None:
        return not missing((permission.needs,), caller.scopes)
    granted = caller.token.scopes if caller.token is not None else ()
    return not set(granted).isdisjoint(available)
