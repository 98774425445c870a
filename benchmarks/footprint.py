"""The footprint of PostgreSQL's cache: what a worker's memory grows by for each entry of it.

The facts are read from SQLite, where they are the same values as from PostgreSQL.
"""

from __future__ import annotations

import gc
import os

from benchmarks.instances import SEED, Instance
from benchmarks.processes import memory_mb
from tokensrv.clock import SystemClock
from tokensrv.domain.secret import token_digest
from tokensrv.lookup import Lookup
from tokensrv.lookup.cache import Cache
from tokensrv.lookup.primary import START, Reading

ENTRIES = 100_000
_SERVER = "benchmark"


def entry_bytes(lookup: Lookup, instance: Instance) -> int:
    """Return the bytes that an entry takes, the mean of many that one client has asked about.

    Raises RuntimeError when the instance has too few tokens that are active.
    """
    secrets = SEED.active_secrets(ENTRIES, among=instance.tokens)
    cache = Cache(SystemClock(), ENTRIES)
    cache.follow(Reading(_SERVER, START, since=None, events=(), acked_seq=None))
    gc.collect()
    before = memory_mb([os.getpid()])
    for secret in secrets:
        digest = token_digest(secret)
        found = lookup.find(client_id=instance.client_id, digest=digest)
        cache.store((instance.client_id, digest, None), found, seq=START.seq, server=_SERVER)
    gc.collect()
    grown = memory_mb([os.getpid()]) - before
    if len(cache) < ENTRIES:
        raise RuntimeError(f"only {len(cache):,} of {ENTRIES:,} tokens are active")
    return round(grown * 2**20 / len(cache))
