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
from tokensrv.services.authority import policy
from tokensrv.services.gates import turned_away
from tokensrv.services.gates.entry import decide, enter
from tokensrv.services.gates.ssh import logins
from tokensrv.services.gates.visit import Visit
from tokensrv.services.keys import ssh_keys
from tokensrv.services.keys.ssh_keys import KeyRecord, OwnedKey
from tokensrv.services.trail.usage import Usage


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


def offer(
    store: Store, usage: Usage, visit: Visit, fingerprint: str, user_id: int | None = None
) -> KeyRecord | None:
    """Return the key that somebody offers to log in with, None unless it opens something.

    ``user_id``: whose it must be. A key that nobody knows is no refusal, for clients offer all they
    have; one that is known and opens nothing is. Raises StorageUnavailable.
    """
    found = ssh_keys.find_by_fingerprint(store, fingerprint)
    if found is None or user_id not in {None, found.owner.id}:
        return None
    decision = _by_key(store, visit, found)
    if isinstance(decision, Refusal):
        turned_away.record(store, usage, visit, NoEntry.by(decision))
        return None
    return found.key


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
