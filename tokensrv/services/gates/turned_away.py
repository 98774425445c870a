"""Turned away: the record of everybody whom a gate did not let in.

The first of a kind in a minute is an event of its own, the rest is counted: whoever tries a million
secrets fills no log. Over SSH, ``services.gates.ssh.brief_usage`` says what becomes of the rest.
That nothing was presented is no refusal, and is not recorded: every client of Git and of a registry
begins so. ``services.trail.sudo`` records a sudo that was refused, unless it could not even be
read.
"""

from __future__ import annotations

from dataclasses import replace

from tokensrv.db import Store
from tokensrv.domain.caller import Check
from tokensrv.domain.gates import NoEntry, Obstacle
from tokensrv.domain.secret import masked
from tokensrv.services.account.throttle import network
from tokensrv.services.gates.visit import Visit
from tokensrv.services.metering.metrics import Metrics
from tokensrv.services.trail.events import NewEvent, append
from tokensrv.services.trail.repeated import MANY_KINDS, Repeated
from tokensrv.services.trail.usage import Usage

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
    event = _event(visit, refused)
    key = _key(usage, visit, refused, event)
    if usage.is_repeated(key):
        return refused
    with store.write() as session:
        append(session, store.clock, visit.origin, [event])
    usage.written(key, visit.origin, event)
    return refused


def _is_recorded(refused: NoEntry) -> bool:
    if refused.is_sudo:
        return refused.check is Check.SUDO
    return refused.check is not Obstacle.ANONYMOUS


def _key(usage: Usage, visit: Visit, refused: NoEntry, event: NewEvent) -> Repeated:
    """Return what is counted together.

    Of somebody known that is the same thing from the same place, until he has tried many. Of
    strangers it is all that comes from one place: what they want is theirs to make up. Somebody
    with a million addresses must not write a million events, so that where it is crowded they
    count as one.
    """
    token_id = None if refused.token is None else refused.token.id
    user_id = None if refused.user is None else refused.user.id
    check = f"{visit.gate.value} {refused.check.value}"
    key = Repeated(ACTION, token_id, user_id, None, check)
    is_known = token_id is not None or user_id is not None
    if usage.is_crowded or (is_known and usage.kinds(token_id, user_id) >= MANY_KINDS):
        return key
    what = (visit.origin.ip, refused.subject, *event.data.values())
    return replace(
        key, network=network(visit.origin.ip), what=tuple(map(str, what)) if is_known else None
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
