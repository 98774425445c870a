"""Git over HTTP: a token, or for want of one a password, and then what the rules allow."""

from __future__ import annotations

from tokensrv.db import Store
from tokensrv.domain.gates import Entry, NoEntry
from tokensrv.domain.secret import token_digest
from tokensrv.lookup import Lookup
from tokensrv.services.gates import entry, passwords
from tokensrv.services.gates.reach import reach
from tokensrv.services.gates.visit import Visit
from tokensrv.services.metering.metrics import Metrics
from tokensrv.services.trail.usage import Usage


def enter(
    store: Store,
    usage: Usage,
    lookup: Lookup,
    visit: Visit,
    secret: str,
    username: str | None,
    repository: str,
    *,
    writes: bool,
    metrics: Metrics | None = None,
) -> Entry | NoEntry:
    """Return who may do to a repository what the visit wants.

    ``username`` is what came with the secret; it counts only where that is no token, for then it is
    the password of the account that it names. Raises StorageUnavailable.
    """
    if username and token_digest(secret) is None:
        entered = passwords.enter(store, usage, visit, username, secret, metrics=metrics)
    else:
        facts = entry.facts_of(lookup, visit, secret)
        entered = entry.decide(store, usage, facts, visit, metrics=metrics)
    if isinstance(entered, NoEntry):
        return entered
    return reach(store, usage, visit, entered, repository, writes=writes, metrics=metrics)
