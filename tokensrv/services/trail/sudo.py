"""Sudo: the record of who acted as whom, written before anything is answered.

The decision itself is ``domain.caller.decide``. Here it is made again inside the transaction
that records it, so that what is recorded was true when it was recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from tokensrv.db import Store
from tokensrv.domain.caller import Caller, Check, Refusal
from tokensrv.domain.gates import Gate
from tokensrv.domain.introspection import Judgement, Verdict
from tokensrv.domain.secret import masked
from tokensrv.services.authority import decide_again
from tokensrv.services.trail.events import NewEvent, Origin, append
from tokensrv.services.trail.repeated import MANY_KINDS, Repeated
from tokensrv.services.trail.usage import Usage

# What somebody wrote is kept, but not a book of it.
_LONGEST = 255


def use(
    store: Store, caller: Caller, origin: Origin, *, method: str, path: str
) -> Caller | Refusal:
    """Record that the actor acts as the subject; durable when this returns the caller.

    Returns the refusal instead when the decision, made again, is a no. Raises
    StorageUnavailable, and then nothing may be answered.
    """
    data = {"method": method, "path": path}
    with store.write() as session:
        [decision] = decide_again(session, store, [caller])
        if isinstance(decision, Caller):
            append(session, store.clock, origin, [_used(decision, data)])
        # As it is now, which may be less than it was a moment ago.
        return decision


def refused(
    store: Store, usage: Usage, refusal: Refusal, origin: Origin, *, method: str, path: str
) -> None:
    """Record a refused sudo: the first per token, check and minute now, the rest counted.

    A sudo that could not even be read is for the log, not for the trail, and a dead credential
    is no sudo at all. Raises StorageUnavailable.
    """
    record(store, usage, [refusal], origin, method=method, path=path)


def record(
    store: Store,
    usage: Usage,
    judgements: Sequence[Judgement],
    origin: Origin,
    *,
    method: str,
    path: str,
    gate: Gate | None = None,
    scopes: Sequence[str] = (),
) -> list[Judgement]:
    """Record every sudo, used or refused, among what a client asked about, in one transaction.

    ``method`` and ``path`` are those of tokensrv's own API, or of what stands behind the ``gate``,
    which wants these ``scopes``. The first per (token, subject, client) or (token, check) in a
    minute is written now, the rest is counted; at a gate, where each is about something else,
    only the very same again. Returns the judgements with the callers as they were found while
    recording them: where the decision, made again, is a no, its refusal. Raises
    StorageUnavailable.
    """
    found = list(judgements)
    data = {"method": method, "path": path} | _wanted(gate, scopes)
    key_of = partial(_key, usage, origin, data)
    due, again = _due(usage, found, key_of)
    if not due:
        return found
    with store.write() as session:
        uses = [(at, verdict) for at in due if isinstance(verdict := found[at], Verdict)]
        decisions = decide_again(session, store, [verdict.caller for _, verdict in uses])
        for (at, verdict), decision in zip(uses, decisions, strict=True):
            if isinstance(decision, Refusal):
                found[at] = decision
            else:
                found[at] = verdict._replace(caller=decision)
        written = [(key, _event(found[at], data)) for at in due if (key := key_of(found[at]))]
        if written:
            append(session, store.clock, origin, [event for _, event in written])
    for key, event in written:
        usage.written(key, origin, event)
    for at, first in again:
        found[at] = found[first]
        if (key := key_of(found[first])) is not None:
            usage.is_repeated(key)
    return found


def _due(
    usage: Usage, judgements: Sequence[Judgement], key_of: Callable[[Judgement], Repeated | None]
) -> tuple[list[int], list[tuple[int, int]]]:
    """Return the places of what is to be written, and (place, first place) of what comes again.

    The same token twice in one list is one sudo; what becomes of the first holds for both.
    """
    firsts: dict[Repeated, int] = {}
    again: list[tuple[int, int]] = []
    for at, judgement in enumerate(judgements):
        key = key_of(judgement)
        if key is None:
            continue
        if key in firsts:
            again.append((at, firsts[key]))
        elif not usage.is_repeated(key):
            firsts[key] = at
    return list(firsts.values()), again


def _wanted(gate: Gate | None, scopes: Sequence[str]) -> dict[str, str]:
    wanted = {"wanted": " ".join(scopes)} if scopes else {}
    return {} if gate is None else {"gate": gate.value} | wanted


def _key(
    usage: Usage, origin: Origin, data: dict[str, str], judgement: Judgement
) -> Repeated | None:
    """Return what is counted of it within a minute, None for what is not recorded at all."""
    token_id = judgement.token.id if judgement.token else None
    if isinstance(judgement, Verdict):
        caller = judgement.caller
        if not caller.is_sudo:
            return None
        key = Repeated("sudo.used", token_id, caller.subject.id, origin.client_id)
        return key if "gate" not in data else replace(key, what=_what(origin, caller.reason, data))
    if not judgement.is_sudo or judgement.check is Check.SUDO:
        return None
    key = Repeated("sudo.refused", token_id, None, None, judgement.check.value)
    if "gate" not in data or usage.kinds(token_id, None) >= MANY_KINDS:
        return key
    event = _event(judgement, data)
    return replace(key, what=_what(origin, event.reason, event.data))


def _what(origin: Origin, reason: str | None, data: Mapping[str, str]) -> tuple[str, ...]:
    return (origin.ip or "", reason or "", *data.values())


def _event(judgement: Judgement, data: dict[str, str]) -> NewEvent:
    if isinstance(judgement, Verdict):
        return _used(judgement.caller, data)
    ask = judgement.ask
    return NewEvent(
        action="sudo.refused",
        token_id=judgement.token.id if judgement.token else None,
        actor=judgement.actor,
        subject=judgement.target,
        # Masked first: what is left of a secret that was cut looks like none.
        reason=masked(ask.reason)[:_LONGEST] if ask and ask.reason else None,
        data=data
        | {
            "check": judgement.check.value,
            "target": masked(ask.target.text)[:_LONGEST] if ask else "",
        },
    )


def _used(caller: Caller, data: dict[str, str]) -> NewEvent:
    return NewEvent(
        action="sudo.used",
        token_id=caller.token.id if caller.token else None,
        actor=caller.actor,
        subject=caller.subject,
        reason=caller.reason,
        data=data,
    )
