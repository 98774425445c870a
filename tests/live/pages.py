"""The documentation as programs: what a page tells people to type, typed.

The marked blocks of a page are taken in their order, in a folder of the page's own. One that
follows ``<!-- runs: TEXT -->`` is run, and what it prints must contain TEXT; after ``<!-- file:
NAME -->`` it becomes that file; after ``<!-- starts: PORT -->`` it is run in the background, and
the next one waits until it listens. Ports from 8000 (tokensrv's) to 8099 become free ones; nothing
else is changed.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.live.servers import NODE, REPOSITORY, SCRIPTS, Server, free_port, listens, wait_for

_BLOCK = re.compile(
    r"<!-- (?P<what>runs|file|starts): (?P<value>[^\n]+) -->\n"
    r"```(?P<language>[a-z]+)\n(?P<code>.*?\n)```\n",
    re.DOTALL,
)
_PORT = re.compile(r"\b80[0-9]{2}\b")
_PATIENCE_SECONDS = 60

# Puts a free port for each port of a page, each time the same for the same.
Ports = Callable[[str], str]


def blocks(page: str) -> list[re.Match[str]]:
    """Return the marked blocks of a page."""
    return list(_BLOCK.finditer((REPOSITORY / page).read_text(encoding="utf-8")))


@contextmanager
def followed(
    page: str, server: Server, variables: dict[str, str], folder: Path, *, to_the_end: bool
) -> Iterator[Ports]:
    """Do what a page says, to its end or until everything runs that it starts."""
    folder.mkdir()
    # What a reader installs from npm is installed already.
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    found, ports = blocks(page), _free_ports(server)
    if not to_the_end:
        found = found[: 1 + max(i for i, block in enumerate(found) if block["what"] == "starts")]
    with ExitStack() as background:
        for block in found:
            code, value = ports(block["code"]), block["value"]
            if block["what"] == "file":
                (folder / value).write_text(code, encoding="utf-8")
            elif block["what"] == "starts":
                background.enter_context(_started(code, variables, folder, int(ports(value))))
            else:
                printed = typed(code, variables, block["language"], folder)
                assert _same(value) in _same(printed), printed
        yield ports


def typed(
    code: str, variables: dict[str, str], language: str = "sh", folder: Path | None = None
) -> str:
    """Return everything that a piece of code prints; it must succeed."""
    interpreter = ["bash", "-euc"] if language == "sh" else [sys.executable, "-c"]
    done = subprocess.run(
        [*interpreter, code],
        check=False,
        env=variables,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def variables_of(server: Server) -> dict[str, str]:
    """Return what the pages take for granted."""
    instance = server.instance
    return {
        **instance.environment,
        # Debian has servers where only root looks for commands.
        "PATH": f"{SCRIPTS}:{os.environ['PATH']}:/usr/sbin",
        "URL": server.url,
        "ADMIN_TOKEN": instance.admin_token,
        "CLIENT_ID": instance.client_id,
        "CLIENT_SECRET": instance.client_secret,
    }


def with_alice(variables: dict[str, str]) -> dict[str, str]:
    """Make the user alice as the first page does, and return her token with the others."""
    user, token = blocks("README.md")[:2]
    typed(user["code"], variables)
    return variables | {"TOKEN": typed(token["code"], variables).strip()}


@contextmanager
def _started(code: str, variables: dict[str, str], folder: Path, port: int) -> Iterator[None]:
    log = folder / f"{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["bash", "-euc", code],
            env=variables,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def is_up() -> bool:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        return listens(port)

    try:
        wait_for(is_up, f"what listens at {port}")
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_PATIENCE_SECONDS)


def _free_ports(server: Server) -> Ports:
    ports = {"8000": str(server.port)}

    def replaced(text: str) -> str:
        return _PORT.sub(lambda found: ports.setdefault(found[0], str(free_port())), text)

    return replaced


def _same(text: str) -> str:
    """Return a text in which JSON is always written the same way."""
    return re.sub(r"([:,]) ", r"\1", text)
