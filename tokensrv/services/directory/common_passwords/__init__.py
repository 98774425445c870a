"""Common passwords: those that have leaked most often, which whoever guesses tries first.

It owns the list, 17,950 passwords of at least eight letters in lower case, and nothing else. The
list is what ``@zxcvbn-ts/language-common`` 4.1.3 (npm, ``src/passwords.json``, SHA-256
``f422773d94d630f27e08b26d7017e847bb1feb2a84809340e9c0b0c47b33e3f1``) holds of that length; its
licence stands beside it.
"""

from __future__ import annotations

import gzip
from functools import cache
from importlib import resources


def is_common(password: str) -> bool:
    """Return whether this is one of them, in any case."""
    return password.casefold() in _list()


@cache
def _list() -> frozenset[str]:
    # Read when the first password is chosen: most processes never need it.
    packed = (resources.files(__name__) / "list.txt.gz").read_bytes()
    return frozenset(gzip.decompress(packed).decode().split("\n"))
