"""Entry: whether a token opens a gate, recorded before it does.

The facts come from the hot read, the decision is introspection's (``domain.introspection.judge``),
so that a gate and an introspection never say different things about one token. What this adds is
the trail, and a limit on failures that costs no good token anything.
"""

from __future__ import annotations

from tokensrv.db import Store
from tokensrv.domain.caller import Check
from tokensrv.domain.facts import Facts
from tokensrv.domain.gates import ASKING, Entry, NoEntry, Obstacle, opens
from tokensrv.domain.introspection import Judgement, Verdict, judge, tell
from tokensrv.domain.secret import token_digest
from tokensrv.lookup import Lookup
from tokensrv.services.account import throttle
from tokensrv.services.account.throttle import TooMany
from tokensrv.services.authority import policy
from tokensrv.services.gates import turned_away
from tokensrv.services.gates.visit import Visit
from tokensrv.services.introspection import may_be_recorded
from tokensrv.services.metering.metrics import Metrics
from tokensrv.services.trail import sudo
from tokensrv.services.trail.usage import Usage


def enter(
    store: Store,
    usage: Usage,
    lookup: Lookup,
    visit: Visit,
    secret: str,
    *,
    metrics: Metrics | None = None,
) -> Entry | NoEntry:
    """Return who enters with this token; what he did and what he was refused is on record then.

    ``metrics`` None: it is not counted. Raises StorageUnavailable, and then nobody may enter.
    """
    found = decide(store, usage, facts_of(lookup, visit, secret), visit, metrics=metrics)
    if isinstance(found, Entry) and metrics is not None:
        metrics.at_gate(visit.gate, "entered")
    return found


def facts_of(lookup: Lookup, visit: Visit, secret: str) -> Facts:
    """Return what the decision is made of; what cannot be a token costs no look at storage."""
    digest, target = token_digest(secret), visit.question.target
    return Facts() if digest is None else lookup.find(digest=digest, target=target)


def decide(
    store: Store, usage: Usage, facts: Facts, visit: Visit, *, metrics: Metrics | None = None
) -> Entry | NoEntry:
    """Return the same for a token of which the facts are known.

    An entry is not counted yet: something behind this may still refuse it.
    """
    judgement = judged(store, facts, visit)
    if isinstance(judgement, Verdict):
        judgement = recorded(store, usage, facts, visit, judgement)
    elif judgement.is_sudo:
        record_sudo(store, usage, visit, judgement)
    if isinstance(judgement, Verdict):
        return _let_in(usage, visit, judgement, metrics)
    refused = NoEntry.by(judgement)
    if judgement.check is Check.WANTED and judgement.token is not None:
        # A good token was used, even if it does not open this.
        usage.used(judgement.token.id, judgement.token.user_id, visit.origin.ip)
    if judgement.check is Check.UNKNOWN and (spent := _spent(store, visit)) is not None:
        refused = NoEntry(Obstacle.TOO_MANY, retry_after_seconds=spent.seconds)
    return turned_away.record(store, usage, visit, refused, metrics=metrics)


def judged(store: Store, facts: Facts, visit: Visit) -> Judgement:
    """Return the decision about a token; nothing is on record yet."""
    asked = facts._replace(client=ASKING)
    return opens(judge(asked, visit.question, now_ms=store.clock.now_ms(), policy=policy(store)))


def recorded(store: Store, usage: Usage, facts: Facts, visit: Visit, verdict: Verdict) -> Judgement:
    """Return the verdict once its sudo, if it is one, stands in the log.

    A refusal where the decision, made again meanwhile, is one. Raises StorageUnavailable.
    """
    if not may_be_recorded(facts, visit.question):
        return verdict
    found = record_sudo(store, usage, visit, verdict)
    if not isinstance(found, Verdict):
        return found
    # What was cut since it was read opens nothing.
    return opens(tell(found.caller, facts._replace(client=ASKING), visit.question))


def record_sudo(store: Store, usage: Usage, visit: Visit, judgement: Judgement) -> Judgement:
    """Return what became of a sudo once it stands in the log; raises StorageUnavailable."""
    [found] = sudo.record(
        store,
        usage,
        [judgement],
        visit.origin,
        method=visit.method,
        path=visit.path,
        gate=visit.gate,
        scopes=visit.scopes,
    )
    return found


def _let_in(usage: Usage, visit: Visit, verdict: Verdict, metrics: Metrics | None) -> Entry:
    """Return the entry, remembered as a use of the token."""
    token = verdict.token
    usage.used(token.id, token.user_id, visit.origin.ip)
    if metrics is not None and verdict.caller.is_sudo:
        metrics.sudo("used")
    return Entry(verdict.caller)


def _spent(store: Store, visit: Visit) -> TooMany | None:
    return throttle.take(store, throttle.for_token(visit.origin.ip))
