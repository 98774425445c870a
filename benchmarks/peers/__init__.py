"""Other token services under the same load: what each must offer to be measured.

It owns the two types that the benchmark sees, `Peer` and `Endpoint`. Each module beside it runs
one service, `processes.py` is how they are started and stopped, `known.py` lists them. How they
are configured, and why, stands in `README.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Endpoint:
    """Where a running service introspects one live token, and how it is asked.

    Each of `bodies` is the form of one POST to `url` with these headers; every answer must hold
    the text `expected`. `pids` gives all processes of the service, whose CPU time counts. It is as
    fast as it gets after `warm_seconds` under load.
    """

    url: str
    pids: Callable[[], list[int]]
    headers: Mapping[str, str]
    bodies: Sequence[str]
    expected: str
    warm_seconds: int = 3


class Peer(Protocol):
    """A token service that the benchmark can install, start and ask."""

    @property
    def name(self) -> str:
        """Return its name and version, as the table shows them."""

    def why_not(self) -> str | None:
        """Return one sentence why it cannot run on this machine; None where it can."""

    def install(self) -> None:
        """Build or unpack it into the cache folder, once; raises CalledProcessError."""

    def running(self, cores: Collection[int]) -> AbstractContextManager[Endpoint]:
        """Give it on these cores, once it has answered right; nothing of it runs afterwards.

        Raises RuntimeError where it does not start or answers wrongly, CalledProcessError where a
        command that prepares it fails.
        """
