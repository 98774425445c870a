"""Debian's sshd with PAM, set up as ``docs/gates/git-ssh.md`` says, and the clients of it.

The page changes accounts and the files of ``/etc``. It is followed in a mount namespace of its own,
where these are copies; what begins at ``/opt``, ``/srv`` and ``/run`` there is the tests' too.
"""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.databases import opened
from tests.factories import make_token, make_user
from tests.live.pages import followed, variables_of
from tests.live.servers import REPOSITORY, SCRIPTS, Server
from tokensrv.config import load

PAGE = "docs/gates/git-ssh.md"
_PATIENCE_SECONDS = 60

# What the account git must run may stand where root alone gets to, such as in root's own folder.
_RUN = (Path(sys.base_prefix), SCRIPTS.parent, REPOSITORY)
# Everything that is mounted goes with the last process in the namespace.
_MACHINE = """
mount -t tmpfs tmpfs "$FOLDER"
cp --archive /etc "$FOLDER/etc"
mount --bind "$FOLDER/etc" /etc
for path in /opt /srv /run; do mount -t tmpfs -o mode=755 tmpfs "$path"; done
mkdir /opt/tokensrv /srv/tokensrv /run/sshd
mount --bind "$PROGRAM" /opt/tokensrv
mount --bind "$INSTANCE" /srv/tokensrv
for path in $HIDDEN; do mkdir -p "$FOLDER/kept$path"; mount --bind "$path" "$FOLDER/kept$path"; done
for path in $CLOSED; do mount -t tmpfs -o mode=755 tmpfs "$path"; done
for path in $HIDDEN; do mkdir -p "$path"; mount --bind "$FOLDER/kept$path" "$path"; done
echo ready
exec sleep infinity
"""

_INTO_IT = """#!/bin/sh
exec nsenter --mount=/proc/{pid}/ns/mnt --wdns="$PWD" /bin/bash "$@"
"""


Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Sshd:
    """The sshd of the page, with alice, whose key is on the page, too."""

    server: Server
    folder: Path
    variables: dict[str, str]

    def inside(self, script: str, given: str = "") -> Done:
        """Run a script on the machine of sshd to its end."""
        return _run(["bash", "-euc", script], self.variables, self.folder, given)

    def come(self, secret: str, address: str) -> Done:
        """Run ``ssh`` to its end for somebody who answers with a secret as alice, from an address.

        He is asked twice at most: keyboard-interactively first, and then for a password.
        """
        options = f"-F ssh_config -b {address} -o NumberOfPasswordPrompts=1".split()
        variables = {"SSH_ASKPASS": self._answering(), "SSH_ASKPASS_REQUIRE": "force"}
        command = ["ssh", *options, "alice@git.example.com"]
        return _run(command, dict(os.environ) | variables | {"SECRET": secret}, self.folder)

    def connect(self, address: str) -> socket.socket:
        """Return a connection from an address over which nobody has said anything yet."""
        [port] = re.findall(r"Port (\d+)", (self.folder / "ssh_config").read_text())
        return socket.create_connection(("127.0.0.1", int(port)), _PATIENCE_SECONDS, (address, 0))

    def _answering(self) -> str:
        found = self.folder / "answering"
        found.write_text("#!/bin/sh\nprintenv SECRET\n", encoding="utf-8")
        found.chmod(0o755)
        return str(found)

    def git(self, *words: str, secret: str, options: str = "") -> Done:
        """Run Git in the repository of the page, with a token as the password, to its end."""
        ssh = f"sshpass -e ssh -F {self.folder}/ssh_config {options}"
        variables = {"PATH": os.environ["PATH"], "SSHPASS": secret, "GIT_SSH_COMMAND": ssh}
        return _run(["git", *words], variables, self.folder / "app")


@contextmanager
def machine(server: Server, folder: Path) -> Iterator[dict[str, str]]:
    """Give the variables with which ``bash`` is one on a machine of its own."""
    instance = server.instance.environment["TOKENSRV_INSTANCE"]
    (folder / "tmpfs").mkdir()
    variables = dict(os.environ) | {
        "FOLDER": str(folder / "tmpfs"),
        "PROGRAM": str(SCRIPTS.parent),
        "INSTANCE": instance,
        "HIDDEN": " ".join(str(path) for path in _RUN if _closed(path)),
        "CLOSED": " ".join({str(folder) for path in _RUN for folder in _closed(path)[:1]}),
    }
    command = ["unshare", "--mount", "--propagation", "private", "bash", "-euc", _MACHINE]
    with subprocess.Popen(
        command, env=variables, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as keeper:
        try:
            assert keeper.stdout is not None
            assert keeper.stdout.readline() == "ready\n"
            bash = folder / "bin" / "bash"
            bash.parent.mkdir()
            bash.write_text(_INTO_IT.format(pid=keeper.pid), encoding="utf-8")
            bash.chmod(bash.stat().st_mode | stat.S_IXUSR)
            found = variables_of(server)
            yield found | {"PATH": f"{bash.parent}:{found['PATH']}", "TOKEN": _of_alice(server)}
        finally:
            keeper.terminate()


@contextmanager
def sshd(server: Server, folder: Path) -> Iterator[Sshd]:
    """Give the sshd of the page once everything is done that the page says."""
    with ExitStack() as stack:
        variables = stack.enter_context(machine(server, folder))
        page = folder / "page"
        stack.enter_context(followed(PAGE, server, variables, page, to_the_end=True))
        yield Sshd(server, page, variables)


def _of_alice(server: Server) -> str:
    with opened(load(server.instance.environment)) as store:
        return make_token(store, make_user(store)).secret


def _closed(path: Path) -> list[Path]:
    """Return the folders above a path that only their owner may pass, the topmost first."""
    above = reversed(path.resolve().parents)
    return [folder for folder in above if not folder.stat().st_mode & stat.S_IXOTH]


def _run(command: list[str], variables: dict[str, str], folder: Path, given: str = "") -> Done:
    return subprocess.run(
        command,
        check=False,
        env=variables,
        cwd=folder,
        input=given,
        capture_output=True,
        text=True,
        timeout=_PATIENCE_SECONDS,
    )
