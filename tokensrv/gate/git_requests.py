"""Git requests: which repository a request is about, and whether it fetches or pushes.

Pure functions over what Git's smart and dumb protocols look like from outside (gitprotocol-http).
A gate sees the first line of a request and none of its body: whatever is not certainly a fetch
counts as a push, and whatever could mean another repository to Git is no request at all.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote_plus

from tokensrv.domain import repositories
from tokensrv.gate.original import Original

_PUSH: Final = "git-receive-pack"
_FETCHES: Final = ("/git-upload-pack", "/git-upload-archive")
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

# What follows a repository in a path; the first that fits makes the shortest repository, of which
# no rule says more than of one below it.
_SERVICE: Final = re.compile(
    r"/(?:HEAD|info/refs|info/lfs(?:/.*)?|git-receive-pack|git-upload-pack|git-upload-archive"
    r"|objects/(?:info/[^/]+|pack/[^/]+|[0-9a-f]{2}/[0-9a-f]+))\Z"
)


class GitRequest(NamedTuple):
    """What is asked of a repository."""

    repository: str
    writes: bool

    @property
    def scopes(self) -> tuple[str, ...]:
        """Return what a token must hold for it."""
        return ("write_repository" if self.writes else "read_repository",)


def read(original: Original | None, root: str) -> GitRequest | None:
    """Return what is asked; None for what cannot be told for certain.

    ``root`` is the path below which the repositories are, with or without slashes around it.
    """
    if original is None or not original.is_judgeable:
        return None
    above = f"/{root.strip('/')}".rstrip("/")
    if not original.path.startswith(f"{above}/"):
        return None
    repository = repositories.path(_SERVICE.sub("", original.path.removeprefix(above)))
    return None if repository is None else GitRequest(repository, _is_push(original))


def _is_push(original: Original) -> bool:
    method, path, query = original.method, original.path, unquote_plus(original.query)
    # Anywhere in it: Git and whatever else reads a query differ in what separates its parts.
    if _PUSH in query or path.endswith(f"/{_PUSH}"):
        return True
    if method:
        return method not in _READS and not (method == "POST" and path.endswith(_FETCHES))
    # Nobody told the method, and what names itself a fetch is one.
    return not path.endswith((*_FETCHES, "/info/refs"))
