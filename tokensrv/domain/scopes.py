"""Scopes: which exist, what each contains, which are for admins only.

*Held*, *subset* and *narrower* always mean "after closing under this table"; what is shown is
always the scopes as granted, never the closure.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

_CONTAINS: dict[str, tuple[str, ...]] = {
    "api": (
        "read_api",
        "read_user",
        "self_rotate",
        "read_repository",
        "write_repository",
        "read_registry",
        "write_registry",
    ),
    "read_api": ("read_user", "read_repository", "read_registry"),
    "write_repository": ("read_repository",),
}

BUILT_IN: dict[str, str] = {
    "api": "Everything its owner may do over the API, in Git and in the registry.",
    "read_api": "Reading everything over the API, in Git and in the registry.",
    "read_user": "Reading users over the API.",
    "read_repository": "Pulling with Git.",
    "write_repository": "Pulling and pushing with Git.",
    "read_registry": "Pulling from the container registry.",
    "write_registry": "Pushing to the container registry.",
    "self_rotate": "Rotating the token itself.",
    "introspect": "Asking about tokens in place of a client. Admins only.",
    "sudo": "Acting as another user. Admins only. Given alone it does nothing else.",
}

ADMIN_ONLY = frozenset({"sudo", "introspect"})

# What never passes from the actor's token to the subject, nor into what an exchange makes of it.
_NEVER_PASSED_ON = frozenset({"sudo", "introspect", "self_rotate"})


def available(extra: Iterable[str] = ()) -> tuple[str, ...]:
    """Return every scope of an instance, the deployment's own last."""
    return tuple(dict.fromkeys((*BUILT_IN, *extra)))


def closure(scopes: Iterable[str]) -> frozenset[str]:
    """Return these scopes and all that they contain."""
    return _closed(tuple(scopes))


@lru_cache(maxsize=1024)
def _closed(scopes: tuple[str, ...]) -> frozenset[str]:
    return frozenset(scopes).union(*(_CONTAINS.get(scope, ()) for scope in scopes))


def missing(wanted: Iterable[str], held: Iterable[str]) -> tuple[str, ...]:
    """Return those of ``wanted``, in their order, that ``held`` does not cover."""
    closed = closure(held)
    return tuple(scope for scope in dict.fromkeys(wanted) if scope not in closed)


def common(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """Return what both grant: of each, the scopes that the other one covers."""
    kept = tuple(scope for scope in one if scope in closure(other))
    more = (scope for scope in other if scope in closure(one) and scope not in closure(kept))
    return kept + tuple(more)


def of_owner(granted: tuple[str, ...], *, is_admin: bool) -> tuple[str, ...]:
    """Return what a token grants to its owner: the admins' scopes mean nothing to others.

    An admin who is none any more keeps his tokens, but not these powers.
    """
    if is_admin or ADMIN_ONLY.isdisjoint(granted):
        return granted
    return tuple(scope for scope in granted if scope not in ADMIN_ONLY)


def under_sudo(granted: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a token grants while acting as another user.

    A token that holds ``sudo`` alone acts with ``api``: without the header it opens nothing,
    so it is the form to recommend.
    """
    return ("api",) if set(granted) == {"sudo"} else passed_on(granted)


def passed_on(granted: Iterable[str]) -> tuple[str, ...]:
    """Return those of a token's scopes that another user, or another token, can get from it."""
    return tuple(scope for scope in granted if scope not in _NEVER_PASSED_ON)
