"""Registry: what somebody may do in a container registry, as it is now.

What is asked for and not granted is left out, and the registry refuses it later; it stands in the
log all the same. Only who can do nothing at all is not let in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from tokensrv.db import Store
from tokensrv.domain.caller import Caller, Check
from tokensrv.domain.gates import NoEntry, Obstacle
from tokensrv.domain.introspection import Verdict
from tokensrv.domain.registry import NEEDED, Resource, is_any_held
from tokensrv.domain.scopes import missing
from tokensrv.lookup import Lookup
from tokensrv.services import repositories
from tokensrv.services.gates import turned_away
from tokensrv.services.gates.entry import decide, facts_of, judged
from tokensrv.services.gates.visit import Visit
from tokensrv.services.metering.metrics import Metrics
from tokensrv.services.trail.usage import Usage


@dataclass(frozen=True, slots=True)
class Grant:
    """Who is let in, and what he may do of what he asked for."""

    caller: Caller
    access: tuple[Resource, ...]


def enter(
    store: Store,
    usage: Usage,
    lookup: Lookup,
    visit: Visit,
    secret: str,
    wanted: Sequence[Resource],
    *,
    metrics: Metrics | None = None,
) -> Grant | NoEntry:
    """Return what a token grants; everything that it does not is on record then.

    Raises StorageUnavailable, and then it grants nothing.
    """
    facts = facts_of(lookup, visit, secret)
    judgement = judged(store, facts, visit)
    if isinstance(judgement, Verdict) and not is_any_held(judgement.caller.scopes):
        # The least of what would be good for something: so it stands in the log.
        visit = replace(visit, scopes=(NEEDED["pull"],))
    entered = decide(store, usage, facts, visit, metrics=metrics)
    if isinstance(entered, NoEntry):
        return entered
    if metrics is not None:
        metrics.at_gate(visit.gate, "entered")
    granted = [_granted(store, usage, visit, entered.caller, resource) for resource in wanted]
    return Grant(entered.caller, tuple(resource for resource in granted if resource.actions))


def _granted(
    store: Store, usage: Usage, visit: Visit, caller: Caller, resource: Resource
) -> Resource:
    """Return the resource with those actions that are granted; that others are not is recorded."""
    refusals = {action: _refusal(store, caller, resource, action) for action in resource.actions}
    refused = [refusal for refusal in refusals.values() if refusal is not None]
    if refused:
        what = replace(visit, method=",".join(resource.actions), path=resource.name)
        # One of them tells enough: the scope comes before the rule, as it does everywhere.
        turned_away.record(store, usage, what, refused[0])
    actions = tuple(action for action, refusal in refusals.items() if refusal is None)
    return resource._replace(actions=actions)


def _refusal(store: Store, caller: Caller, resource: Resource, action: str) -> NoEntry | None:
    refused = partial(NoEntry, token=caller.token, user=caller.actor, subject=caller.subject)
    if lacking := missing((NEEDED[action],), caller.scopes):
        return refused(Check.WANTED, missing=lacking)
    if resource.is_catalog:
        return None if caller.subject.is_admin else refused(Check.ADMIN)
    writes, user_id = action != "pull", caller.subject.id
    if repositories.allows(store, user_id, resource.name, writes=writes):
        return None
    return refused(Obstacle.RULE)
