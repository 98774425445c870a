"""Repositories: what their paths are, and what a rule says about one.

A path is whole segments without slashes at its ends, such as ``team/app``, for Git and for
registries alike. Without any rule the scopes of a token decide alone; with rules, what none allows
is refused.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from tokensrv.domain.texts import is_storable
from tokensrv.errors import Invalid

MAX_LENGTH: Final = 255
_SUFFIX: Final = ".git"


class Access(StrEnum):
    """What a rule allows; to write is to read as well."""

    READ = "read"
    WRITE = "write"


def path(text: str) -> str | None:
    """Return the path of a repository, with or without slashes around it and ``.git`` at its end.

    None for what could mean another one to somebody else, and for nothing at all.
    """
    trimmed = text.strip("/").removesuffix(_SUFFIX)
    return trimmed if trimmed and _is_plain(trimmed) else None


def prefix(text: str) -> str:
    """Return the prefix of a rule; ``/`` is every repository. Raises Invalid."""
    trimmed = text.strip("/").removesuffix(_SUFFIX)
    is_everything = text == "/"
    if is_everything or (trimmed and len(trimmed) <= MAX_LENGTH and _is_plain(trimmed)):
        return trimmed
    raise Invalid("prefix")


def above(repository: str) -> list[str]:
    """Return every prefix that fits a repository's path: the empty one, ..., itself."""
    segments = repository.split("/")
    return ["", *("/".join(segments[:count]) for count in range(1, len(segments) + 1))]


def _is_plain(text: str) -> bool:
    segments = text.split("/")
    return (
        not {"", ".", ".."} & set(segments)
        and not set("\\?#%") & set(text)
        and text.isprintable()
        and is_storable(text)
    )
