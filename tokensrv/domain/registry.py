"""Container registries: what their clients ask for, and which scope grants it.

The grammar is that of the token authentication of Docker's registry: ``repository:team/app:pull``.
What it does not know, and what names nothing that there is, is not asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from tokensrv.domain.repositories import MAX_LENGTH
from tokensrv.domain.scopes import missing

# An action of a repository, and the scope that grants it. The star is everything: with it a
# registry lets somebody do what he likes.
NEEDED: Final = {"pull": "read_registry", "push": "write_registry", "delete": "api", "*": "api"}
# The clients of a registry ask for three at most: one to push to, two to take layers from.
MOST: Final = 20

_REPOSITORY: Final = "repository"
# The names of Docker's registry. Each is taken as it is: ``app`` and ``app.git`` are two.
_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_NAME: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")


class Resource(NamedTuple):
    """Something in a registry, and what somebody wants to do, or may do, with it."""

    kind: str
    name: str
    actions: tuple[str, ...]

    @property
    def is_catalog(self) -> bool:
        """Return whether it is the list of all repositories."""
        return self.kind != _REPOSITORY


CATALOG: Final = Resource("registry", "catalog", ("*",))


def asked(scopes: Iterable[str]) -> list[Resource]:
    """Return what these parameters ask for; each may hold several scopes, separated by blanks."""
    texts = dict.fromkeys(text for scope in scopes for text in scope.split(" "))
    found = [resource for text in texts if (resource := _resource(text)) is not None]
    return found[:MOST]


def is_any_held(scopes: Iterable[str]) -> bool:
    """Return whether these scopes of a token are good for anything in a registry."""
    wanted = dict.fromkeys(NEEDED.values())
    return len(missing(wanted, scopes)) < len(wanted)


def _resource(text: str) -> Resource | None:
    parts = text.split(":")
    if len(parts) != 3:
        return None
    kind, name, listed = parts
    actions = tuple(action for action in dict.fromkeys(listed.split(",")) if action in NEEDED)
    found = Resource(kind, name, actions)
    if found == CATALOG:
        return found
    is_repository = kind == _REPOSITORY and len(name) <= MAX_LENGTH and _NAME.fullmatch(name)
    return found if is_repository and actions else None
