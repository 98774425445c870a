"""Introspection: one decision about each token for a client, recorded before it is answered.

The facts come from the one statement of the lookup; the decision and the answer are pure
(``domain.introspection``). What this adds is the trail of sudo and the memory of the use.
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
from tokensrv.services import sudo
from tokensrv.services.authority import policy
from tokensrv.services.events import Origin
from tokensrv.services.usage import Usage


def introspect(
    store: Store,
    usage: Usage,
    facts: Facts,
    question: Question,
    origin: Origin,
    *,
    method: str,
    path: str,
) -> Answer:
    """Return the answer of RFC 7662 §2.2 about ``facts.token``.

    ``facts.client`` None: asked by no client. A sudo is recorded before this returns; raises
    StorageUnavailable when it cannot be.
    """
    [answer] = introspect_many(store, usage, [facts], question, origin, method=method, path=path)
    return answer


def introspect_many(
    store: Store,
    usage: Usage,
    many: Sequence[Facts],
    question: Question,
    origin: Origin,
    *,
    method: str,
    path: str,
) -> list[Answer]:
    """Return the answers about many tokens, in order; all their events are one transaction.

    Raises StorageUnavailable, and then nothing may be answered.
    """
    now_ms, rules = store.clock.now_ms(), policy(store)
    found = [judge(facts, question, now_ms=now_ms, policy=rules) for facts in many]
    if question.ask is not None or any(map(_is_sudo, found)):
        recorded = sudo.record(store, usage, found, origin, method=method, path=path)
        # What was cut since it was read is not told.
        found = [
            tell(one.caller, facts, question) if isinstance(one, Verdict) else one
            for facts, one in zip(many, recorded, strict=True)
        ]
    answers = []
    for facts, verdict in zip(many, found, strict=True):
        if not isinstance(verdict, Verdict):
            answers.append(inactive())
            continue
        usage.used(verdict.token.id, verdict.token.user_id, question.remote_ip)
        told = active(
            verdict,
            facts,
            issuer=store.settings.external_url,
            now_ms=now_ms,
            soft_exp_seconds=store.settings.soft_exp_seconds,
        )
        answers.append(told)
    return answers


def _is_sudo(judgement: Judgement) -> bool:
    # An exchanged token acts as its owner without asking for it.
    return isinstance(judgement, Verdict) and judgement.caller.is_sudo
