"""``tokensrv gate ssh-auth``: for PAM, whether what somebody typed as his password is his token.

``pam_exec.so expose_authtok`` calls it: who it is stands in the environment, the secret comes on
stdin. The exit code is the answer.
"""

from __future__ import annotations

import os
import sys

import click

from tokensrv import lookup
from tokensrv.cli.gate import connection
from tokensrv.cli.storage import current_store
from tokensrv.domain import networks
from tokensrv.domain.gates import Entry, Gate, NoEntry
from tokensrv.domain.usernames import is_username
from tokensrv.services.directory import users
from tokensrv.services.gates.ssh.brief_usage import brief_usage
from tokensrv.services.gates.ssh.entrance import log_in
from tokensrv.services.gates.visit import Visit
from tokensrv.services.trail.events import Origin

# Whatever is longer is no token.
_LONGEST = 1024
# PAM asks at other moments, too, and these say nothing of who somebody is (pam_exec(8)).
_NOTHING_TO_SAY = frozenset({"account", "open_session", "close_session"})


@click.command("ssh-auth")
def command() -> None:
    """Exit with 0 for a token of PAM_USER, on stdin, that may at least read repositories."""
    kind = os.environ.get("PAM_TYPE", "auth")
    if kind in _NOTHING_TO_SAY:
        return
    username = os.environ.get("PAM_USER", "")
    if kind != "auth" or not username:
        raise click.UsageError("PAM_USER must be set, and PAM_TYPE be auth: see pam_exec(8).")
    entry = _ask(username, _secret())
    if isinstance(entry, NoEntry):
        # Without the name, which sshd logs beside it: people type passwords where it belongs.
        raise click.ClickException(f"Nobody is let in: {entry.check.value}.")
    caller = entry.caller
    token_id = "" if caller.token is None else caller.token.id
    click.echo(f"{caller.subject.username} is let in with the token {token_id}.", err=True)


def _secret() -> str:
    given = sys.stdin.buffer.read(_LONGEST)
    for end in (b"\0", b"\r\n", b"\n"):
        given = given.removesuffix(end)
    # What is not UTF-8 is no token, and is refused as such.
    return given.decode(errors="replace")


def _ask(username: str, secret: str) -> Entry | NoEntry:
    origin = Origin(ip=networks.spelling(os.environ.get("PAM_RHOST")), via="ssh")
    here = connection.of(os.getppid())
    with current_store() as store, brief_usage(store) as usage:
        # Whom nobody knows is not recorded either. A number would be somebody's id.
        known = users.find(store, username) if is_username(username) else None
        path = "" if known is None else known.username
        visit = Visit(Gate.SSH, origin, "login", path, scopes=("read_repository",))
        return log_in(store, usage, lookup.build(store), visit, username, secret, here)
