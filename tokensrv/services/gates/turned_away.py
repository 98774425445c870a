"""Turned away: the record of everybody whom a gate did not let in.

The first of a kind in a minute is an event of its own, the rest is counted: whoever tries a
million secrets fills no log. Over SSH, ``services.gates.ssh.brief_usage`` says what becomes of the
rest. That nothing was presented is no refusal, and is not recorded: every client of Git and of a
registry begins so. ``services.sudo`` records a sudo that was refused, unless it could not even be
read.
"""

from __future__ import annotations

from tokensrv.db import Store
from tokensrv.domain.caller import Check
from tokensrv.domain.gates import NoEntry, Obstacle
from tokensrv.domain.secret import masked
from tokensrv.services.account.throttle import network
from tokensrv.services.events import NewEvent, append
from tokensrv.services.gates.visit import Visit
from tokensrv.services.metrics import Metrics
from tokensrv.services.usage import Repeated, Usage

ACTION = "gate.refused"
# What somebody wrote is kept, but not a book of it.
_LONGEST = 255


def record(
    store: Store, usage: Usage, visit: Visit, refused: NoEntry, *, metrics: Metrics | None = None
) -> NoEntry:
    """Return who was not let in once that stands in the log; raises StorageUnavailable."""
    if metrics is not None:
        metrics.at_gate(visit.gate, refused.check.value)
        if refused.is_sudo:
            metrics.sudo(refused.check.value)
    if not _is_recorded(refused):
        # Others may have something to be written.
        usage.start()
        return refused
    key = _key(visit, refused, is_crowded=usage.is_crowded)
    if usage.is_repeated(key):
        return refused
    event = _event(visit, refused)
    with store.write() as session:
        append(session, store.clock, visit.origin, [event])
    usage.written(key, visit.origin, event)
    return refused


def _is_recorded(refused: NoEntry) -> bool:
    if refused.is_sudo:
        return refused.check is Check.SUDO
    return refused.check is not Obstacle.ANONYMOUS


def _key(visit: Visit, refused: NoEntry, *, is_crowded: bool) -> Repeated:
    """Return what is counted together: of nobody's token, by where it came from.

    Somebody with a million addresses must not write a million events, so that where it is crowded
    they count as one.
    """
    token_id = None if refused.token is None else refused.token.id
    where = network(visit.origin.ip) if token_id is None and not is_crowded else None
    user_id = None if refused.user is None else refused.user.id
    return Repeated(
        ACTION, token_id, user_id, None, f"{visit.gate.value} {refused.check.value}", where
    )


def _event(visit: Visit, refused: NoEntry) -> NewEvent:
    data = {
        "gate": visit.gate.value,
        "check": refused.check.value,
        # Masked first: what is left of a secret that was cut looks like none.
        "method": masked(visit.method)[:_LONGEST],
        "path": masked(visit.path)[:_LONGEST],
    }
    if refused.missing:
        data["missing"] = masked(" ".join(refused.missing))[:_LONGEST]
    return NewEvent(
        action=ACTION,
        token_id=None if refused.token is None else refused.token.id,
        actor=refused.user,
        subject=refused.subject or refused.user,
        data=data,
    )
