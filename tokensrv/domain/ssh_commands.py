"""SSH commands: what somebody asks for over SSH, read from the text that his client sent.

Pure functions. Nothing of the text ever reaches a shell: it is one of the few commands here, word
for word, or it is none.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tokensrv.domain import repositories
from tokensrv.domain.scopes import BUILT_IN, missing

NEW_TOKEN: Final = "personal_access_token"  # noqa: S105  # a command, no secret
# What GitLab's users know it by.
USAGE: Final = f"Usage: {NEW_TOKEN} <name> <scope1[,scope2,...]> [ttl_days]"
# What a key holds, of which a token over SSH can have a part.
SCOPES: Final = tuple(scope for scope in BUILT_IN if not missing((scope,), ("api",)))

_DAYS: Final = re.compile(r"[0-9]+", re.ASCII)
# More than this are beyond every lifetime, and soon beyond every calendar.
_MOST_DAYS: Final = 99_999


class GitService(StrEnum):
    """What a Git client runs on the other side."""

    UPLOAD_PACK = "git-upload-pack"
    UPLOAD_ARCHIVE = "git-upload-archive"
    RECEIVE_PACK = "git-receive-pack"

    @property
    def writes(self) -> bool:
        """Return whether it is a push; whatever uploads is a fetch to the client."""
        return self is GitService.RECEIVE_PACK

    @property
    def scope(self) -> str:
        """Return the scope that it takes."""
        return "write_repository" if self.writes else "read_repository"


_SERVICES: Final = {service.value: service for service in GitService}


@dataclass(frozen=True, slots=True)
class Greeting:
    """Nothing was asked for."""


@dataclass(frozen=True, slots=True)
class GitCommand:
    """Git, for the repository of this path, as ``domain.repositories`` spells it."""

    service: GitService
    repository: str


@dataclass(frozen=True, slots=True)
class NewTokenCommand:
    """A token that somebody wants; ``days`` None: he said nothing of its life."""

    name: str
    scopes: tuple[str, ...]
    days: int | None = None


@dataclass(frozen=True, slots=True)
class Mistake:
    """A command that is known, with words behind it that make no sense; ``text`` says why.

    ``scope``: the one that nobody gets here, whether or not it exists.
    """

    text: str
    scope: str | None = None


Command = Greeting | GitCommand | NewTokenCommand | Mistake


def read(text: str | None) -> Command | None:
    """Return the command, None for one that there is not, and for a path that may mean two."""
    try:
        words = shlex.split(text or "")
    except ValueError:
        return None
    match words:
        case []:
            return Greeting()
        case ["git", service, path]:
            return _git(f"git-{service}", path)
        case [command, *arguments] if command == NEW_TOKEN:
            return _new_token(arguments)
        case [service, path]:
            return _git(service, path)
    return None


def _git(word: str, path: str) -> GitCommand | None:
    service, repository = _SERVICES.get(word), repositories.path(path)
    # To a shell the first means a home, and to a program the second an option.
    if service is None or repository is None or repository[0] in "~-":
        return None
    return GitCommand(service, repository)


def _new_token(arguments: list[str]) -> NewTokenCommand | Mistake:
    if len(arguments) not in (2, 3):
        return Mistake(USAGE)
    name, scopes, *days = arguments
    if days and not _DAYS.fullmatch(days[0]):
        return Mistake(f"Invalid value for days_ttl: '{days[0]}'")
    if not name.strip():
        return Mistake("No token name specified")
    if not scopes.strip():
        return Mistake("No token scopes specified")
    for scope in scopes.split(","):
        if scope not in SCOPES:
            valid = ", ".join(f'"{one}"' for one in SCOPES)
            return Mistake(f"Invalid scope: '{scope}'. Valid scopes are: [{valid}]", scope)
    return NewTokenCommand(name, tuple(scopes.split(",")), _days(days[0]) if days else None)


def _days(digits: str) -> int:
    # A number is not read before it is known to be short: a long one takes its time.
    length = len(str(_MOST_DAYS))
    return int(digits[-length:]) if len(digits.lstrip("0")) <= length else _MOST_DAYS
