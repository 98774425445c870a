"""Entrance: who comes in over SSH, at the login and at every command after it.

A connection may last for hours, so that whoever was let in is asked about anew each time.
"""

from __future__ import annotations

from tokensrv.db import Store
from tokensrv.domain.caller import Caller, Check, Refusal
from tokensrv.domain.caller import decide as judge_caller
from tokensrv.domain.facts import Facts
from tokensrv.domain.gates import Entry, NoEntry, Obstacle
from tokensrv.domain.usernames import key
from tokensrv.lookup import Lookup
from tokensrv.services import ssh_keys
from tokensrv.services.authority import policy
from tokensrv.services.gates import turned_away
from tokensrv.services.gates.entry import decide, enter
from tokensrv.services.gates.ssh import logins
from tokensrv.services.gates.visit import Visit
from tokensrv.services.ssh_keys import OwnedKey
from tokensrv.services.usage import Usage


def log_in(
    store: Store,
    usage: Usage,
    lookup: Lookup,
    visit: Visit,
    username: str,
    secret: str,
    connection: bytes | None,
) -> Entry | NoEntry:
    """Return who logs in under his own name with a token as the password.

    ``connection`` None: it is not known, and nothing can be done over it afterwards. Raises
    StorageUnavailable.
    """
    entry = enter(store, usage, lookup, visit, secret)
    if isinstance(entry, NoEntry):
        return entry
    caller = entry.caller
    if caller.token is None or key(caller.subject.username) != key(username):
        refused = NoEntry.after(entry, Obstacle.CREDENTIALS)
        return turned_away.record(store, usage, visit, refused)
    if connection is not None:
        logins.remember(store, connection, caller.token.id)
    return entry


def by_connection(
    store: Store, usage: Usage, lookup: Lookup, visit: Visit, connection: bytes | None
) -> Entry | NoEntry:
    """Return who does something over a connection, as far as its token goes by now.

    Raises StorageUnavailable.
    """
    digest = None if connection is None else logins.find_digest(store, connection)
    facts = Facts() if digest is None else lookup.find(digest=digest)
    return decide(store, usage, facts, visit)


def by_key(store: Store, usage: Usage, visit: Visit, key_id: int) -> Entry | NoEntry:
    """Return who does something with an SSH key, which holds what ``api`` holds.

    Raises StorageUnavailable.
    """
    found = ssh_keys.find(store, key_id)
    if found is None:
        return turned_away.record(store, usage, visit, NoEntry(Check.UNKNOWN))
    decision = _by_key(store, visit, found)
    if isinstance(decision, Refusal):
        return turned_away.record(store, usage, visit, NoEntry.by(decision))
    ssh_keys.used(store, found.key)
    return Entry(decision._replace(scopes=("api",)))


def _by_key(store: Store, visit: Visit, found: OwnedKey) -> Caller | Refusal:
    if found.key.is_expired:
        return Refusal(Check.EXPIRED, actor=found.owner)
    return judge_caller(
        None,
        found.owner,
        None,
        None,
        now_ms=store.clock.now_ms(),
        policy=policy(store),
        remote_ip=visit.origin.ip,
        is_session=True,
    )
