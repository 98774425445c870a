"""Houses: a tokensrv with the settings that pages ask for, alice, and her tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.databases import Databases
from tests.live.gates.tokens import Tokens
from tests.live.pages import variables_of, with_alice
from tests.live.servers import Server, initialise, serving


@dataclass(frozen=True)
class House:
    """A running tokensrv, what its pages take for granted, and who makes tokens there."""

    server: Server
    variables: dict[str, str]
    tokens: Tokens


# Gives the one for the text of a tokensrv.toml.
Houses = Callable[[str], House]


@contextmanager
def opened_house(settings: str, folder: Path, databases: Databases) -> Iterator[House]:
    """Give a new one with these settings."""
    instance = initialise(folder / "instance", databases)
    (folder / "instance" / "tokensrv.toml").write_text(settings, encoding="utf-8")
    with serving(instance, folder / "serve.log") as server:
        yield House(server, with_alice(variables_of(server)), Tokens(server))
