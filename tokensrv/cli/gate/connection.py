"""Connection: which one it is over which sshd has started this process, read from ``/proc``.

For each connection sshd starts a process that leads a session of its own, and everything it does
for the connection, asking PAM among it, is done by that process or within its session. So the
nearest sshd above this process leads to it. What several connections share, the listening sshd
and whatever started it, leads other sessions.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
# The newer ones are called `sshd-session` and the like.
_SSHD = "sshd"


class _Process(NamedTuple):
    name: str
    parent: int
    session: int
    # In ticks since the machine was started: with the id it names one process for good.
    started: str


def of(pid: int) -> bytes | None:
    """Return a digest of what names the connection that a process serves.

    None where it serves none, or where ``/proc`` does not show it.
    """
    sshd = _nearest_sshd(pid)
    leader = None if sshd is None else _find(sshd.session)
    if sshd is None or leader is None or not leader.name.startswith(_SSHD):
        return None
    machine = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    # Two containers of one machine may each have a process of the same id.
    namespace = (_PROC / "self/ns/pid").readlink()
    words = (machine, str(namespace), str(sshd.session), leader.started)
    return hashlib.sha256("\0".join(words).encode()).digest()


def _nearest_sshd(pid: int) -> _Process | None:
    while (process := _find(pid)) is not None:
        if process.name.startswith(_SSHD):
            return process
        pid = process.parent
    return None


def _find(pid: int) -> _Process | None:
    """Return what proc(5) tells of a process in ``stat``; the name there may hold anything."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    before, _, after = text.rpartition(")")
    fields = after.split()
    return _Process(before.partition("(")[2], int(fields[1]), int(fields[3]), fields[19])
