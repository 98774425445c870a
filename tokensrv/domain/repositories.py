"""Repositories: what their paths are, and what a rule says about one.

A path is whole segments without slashes at its ends, such as ``team/app``, for Git and for
registries alike. Without any rule the scopes of a token decide alone; with rules, what none allows
is refused.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import accumulate, takewhile
from typing import Final

from tokensrv.domain.texts import is_storable
from tokensrv.errors import Invalid

MAX_LENGTH: Final = 255
# How the prefix of everything is written; it is stored, and compared, as the empty one.
EVERYTHING: Final = "/"
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
    """Return the prefix of a rule; ``/`` is every repository, "" then. Raises Invalid."""
    if text == EVERYTHING:
        return ""
    trimmed = path(text)
    if trimmed is None or len(trimmed) > MAX_LENGTH or text != text.strip():
        # Blanks around it are a slip: it would fit nothing, and yet close everything else.
        raise Invalid("prefix")
    return trimmed


def above(repository: str) -> list[str]:
    """Return every prefix that fits a repository's path: the empty one, ..., itself.

    None that is longer than a rule's can be: the path is a stranger's, and may be of any length.
    """
    grown = accumulate(repository.split("/"), "{}/{}".format)
    return ["", *takewhile(lambda prefix: len(prefix) <= MAX_LENGTH, grown)]


def _is_plain(text: str) -> bool:
    segments = text.split("/")
    return (
        not {"", ".", ".."} & set(segments)
        and not set("\\?#%") & set(text)
        and text.isprintable()
        and is_storable(text)
    )
