"""Introspection: one decision about each token for a client, recorded before it is answered.

The facts come from the one statement of the lookup; the decision and the answer are pure
(``domain.introspection``). What this adds is the trail of sudo, the memory of the use and the
count.
"""

from __future__ import annotations

from collections.abc import Sequence

from tokensrv.db import Store
from tokensrv.domain.facts import Facts
from tokensrv.domain.introspection import (
    Answer,
    Judgement,
    Question,
    Verdict,
    active,
    inactive,
    judge,
    tell,
)
from tokensrv.services.authority import policy
from tokensrv.services.metering.metrics import Metrics
from tokensrv.services.trail import sudo
from tokensrv.services.trail.events import Origin
from tokensrv.services.trail.usage import Usage


def introspect(
    store: Store,
    usage: Usage,
    facts: Facts,
    question: Question,
    origin: Origin,
    *,
    method: str,
    path: str,
    metrics: Metrics | None = None,
) -> Answer:
    """Return the answer of RFC 7662 §2.2 about ``facts.token``.

    ``facts.client`` None: asked by no client. A sudo is recorded before this returns; raises
    StorageUnavailable when it cannot be. ``metrics`` None: it is not counted.
    """
    now_ms = store.clock.now_ms()
    found = judge(facts, question, now_ms=now_ms, policy=policy(store))
    if may_be_recorded(facts, question):
        [found] = _recorded(
            store, usage, [facts], question, [found], origin, method=method, path=path
        )
    return _answer(store, usage, metrics, facts, question, found, now_ms)


def introspect_many(
    store: Store,
    usage: Usage,
    many: Sequence[Facts],
    question: Question,
    origin: Origin,
    *,
    method: str,
    path: str,
    metrics: Metrics | None = None,
) -> list[Answer]:
    """Return the answers about many tokens, in order; all their events are one transaction.

    Raises StorageUnavailable, and then nothing may be answered.
    """
    now_ms, rules = store.clock.now_ms(), policy(store)
    found = [judge(facts, question, now_ms=now_ms, policy=rules) for facts in many]
    if any(may_be_recorded(facts, question) for facts in many):
        found = _recorded(store, usage, many, question, found, origin, method=method, path=path)
    return [
        _answer(store, usage, metrics, facts, question, one, now_ms)
        for facts, one in zip(many, found, strict=True)
    ]


def may_be_recorded(facts: Facts, question: Question) -> bool:
    """Return whether the question can leave an event behind, whatever is decided.

    An exchanged token acts as its owner without asking for it.
    """
    return question.ask is not None or facts.exchange is not None


def _recorded(
    store: Store,
    usage: Usage,
    many: Sequence[Facts],
    question: Question,
    found: list[Judgement],
    origin: Origin,
    *,
    method: str,
    path: str,
) -> list[Judgement]:
    recorded = sudo.record(store, usage, found, origin, method=method, path=path)
    # What was cut since it was read is not told.
    return [
        tell(one.caller, facts, question) if isinstance(one, Verdict) else one
        for facts, one in zip(many, recorded, strict=True)
    ]


def _answer(
    store: Store,
    usage: Usage,
    metrics: Metrics | None,
    facts: Facts,
    question: Question,
    judgement: Judgement,
    now_ms: int,
) -> Answer:
    if metrics is not None:
        _count(metrics, judgement)
    if not isinstance(judgement, Verdict):
        # It was no use of the token, but it is counted.
        usage.start()
        return inactive()
    token, settings = judgement.token, store.settings
    usage.used(token.id, token.user_id, question.remote_ip)
    return active(
        judgement,
        facts,
        issuer=settings.external_url,
        now_ms=now_ms,
        soft_exp_seconds=settings.soft_exp_seconds,
    )


def _count(metrics: Metrics, judgement: Judgement) -> None:
    if isinstance(judgement, Verdict):
        metrics.introspected("active")
        if judgement.caller.is_sudo:
            metrics.sudo("used")
        return
    metrics.introspected(judgement.check.value)
    if judgement.is_sudo:
        metrics.sudo(judgement.check.value)
