"""Faults that the search must find, each one place of the real source.

They are the ways in which a lease like this has been, or could easily be, got wrong. What each
breaks stands beside it.
"""

from __future__ import annotations

from typing import Final

from tests.lookup.lease.code import Mutant

_CACHE, _LEASE, _POSTGRES = "lookup/cache", "lookup/lease", "lookup/postgres"
_SETTLEMENT, _FRESHNESS = "lookup/settlement", "services/freshness"

MUTANTS: Final = {
    "a fill is stored without a check": Mutant(_CACHE, "or seq < last.seq ", ""),
    "a fill from the server before this one is stored": Mutant(
        _CACHE,
        " or server != self._server:\n                return",
        ":\n                return",
        "a failover and one change",
    ),
    "a fill is checked first and stored later": Mutant(
        _CACHE,
        """                return
            self._drop(key)
""",
        """                return
        with self._mutex:
            self._drop(key)
""",
        "lost connections",
    ),
    "the entry is read before the clock": Mutant(
        _CACHE,
        """        deadline = self._deadline
        if self._clock.monotonic() >= deadline:
            return None
        return self._entries.get(key)
""",
        """        found = self._entries.get(key)
        return None if self._clock.monotonic() >= self._deadline else found
""",
        "lost connections",
    ),
    "evicting and moving on are two steps": Mutant(
        _CACHE,
        "            self._last, self._server = reading.head, reading.server\n",
        "        with self._mutex:\n"
        "            self._last, self._server = reading.head, reading.server\n",
        "a cold start",
    ),
    "a lapsed place in the log is taken for the last one": Mutant(
        _CACHE, "if reading.since is None or self._is_other", "if reading.since and self._is_other"
    ),
    "a client's change ends nothing": Mutant(
        _CACHE, "if key[0] == what.client_id]", "if not key]", "a client's change"
    ),
    "an exchanged token outlives its source": Mutant(
        _CACHE,
        "tokens = [found.token, found.exchange and found.exchange.source]",
        "tokens = [found.token]",
        "an exchange",
    ),
    "an exchanged token does not depend on its actor": Mutant(
        _CACHE,
        "users = [found.owner, found.target, found.exchange and found.exchange.source_owner]",
        "users = [found.owner, found.target]",
        "an exchange",
    ),
    "what two reads found is taken for one": Mutant(
        _POSTGRES,
        "found, seq, server = self._select(shape._replace(with_exchange=True), named)\n",
        "whole, seq, server = self._select(shape._replace(with_exchange=True), named)\n"
        "            found = found._replace(exchange=whole.exchange)\n",
        "an exchange",
    ),
    "the deadline counts from the reply": Mutant(
        _LEASE,
        "serve_until(anchor + self._serve_seconds)",
        "serve_until(self._clock.monotonic() + self._serve_seconds)",
    ),
    "the deadline counts from after the read": Mutant(
        _LEASE,
        "        head = self._cache.follow(reading)\n",
        "        anchor = self._clock.monotonic()\n        head = self._cache.follow(reading)\n",
        "lost connections",
    ),
    "it is acknowledged before it is evicted": Mutant(
        _LEASE,
        "        head = self._cache.follow(reading)\n",
        "        primary.acknowledge(self._lease_id, reading.head.seq)\n"
        "        head = self._cache.follow(reading)\n",
    ),
    "it serves on before it has evicted": Mutant(
        _LEASE,
        "        head = self._cache.follow(reading)\n",
        "        self._cache.serve_until(anchor + self._serve_seconds)\n"
        "        head = self._cache.follow(reading)\n",
    ),
    "the lease is renewed without reading the log": Mutant(
        _LEASE,
        "        reading = primary.read(before, self._lease_id)\n",
        "        if before and primary.acknowledge(self._lease_id, before.seq):\n"
        "            self._cache.serve_until(anchor + self._serve_seconds)\n"
        "            return True\n"
        "        reading = primary.read(before, self._lease_id)\n",
    ),
    "it registers as up to date while it is not": Mutant(
        _LEASE,
        "        acked_seq = self._cache.meet(primary.server())\n",
        '        acked_seq = primary.read(None, "").head.seq\n',
    ),
    "a row that is gone is not noticed": Mutant(
        _LEASE,
        """not primary.acknowledge(
            self._lease_id, head.seq
        )""",
        "primary.acknowledge(self._lease_id, head.seq) is None",
        "two changes",
    ),
    "it serves on without acknowledging what is new": Mutant(
        _LEASE, "(self._is_first or is_behind or head != before)", "self._is_first"
    ),
    "clocks are trusted to run alike": Mutant(_LEASE, "_MARGIN: Final = 0.8", "_MARGIN: Final = 1"),
    "the row is deleted before the cache is closed": Mutant(
        _LEASE,
        "        self._lease.close()\n        self._stopped.set()\n",
        "        with self._connect() as primary:\n"
        "            primary.release(self._lease._lease_id)\n"
        "        self._lease.close()\n        self._stopped.set()\n",
        "a shutdown",
    ),
    "a read that was sent earlier is shared": Mutant(
        _POSTGRES,
        "        found, seq, server = self._select(shape, named)\n        if needs",
        """        shared = vars(self).setdefault("_shared", {})
        if (flight := shared.get(key)) is not None:
            flight[0].wait()
            return flight[1]
        shared[key] = [threading.Event(), None]
        found, seq, server = self._select(shape, named)
        shared[key][1] = found
        shared.pop(key)[0].set()
        if needs""",
        "a cold start",
    ),
    "a forked child goes on with its parent's lease": Mutant(
        _POSTGRES, "        self._begin()\n\n    def find", "        pass\n\n    def find", "a fork"
    ),
    "whoever has nothing to change answers at once": Mutant(
        _FRESHNESS,
        "        settlement.settle(",
        "        if LAST_SEQ in session.info:\n            settlement.settle(",
    ),
    "the wait begins before the commit": Mutant(
        _FRESHNESS,
        """        with store.write() as session:
            server = session.execute(select(IDENTITY)).scalar_one()
            yield session
        settlement.settle(store, session.info.get(LAST_SEQ), server)
""",
        """        began = store.clock.monotonic()
        with store.write() as session:
            server = session.execute(select(IDENTITY)).scalar_one()
            yield session
        settlement._wait(store, session.info.get(LAST_SEQ), server, began)
""",
        "the same change twice",
    ),
    "who holds a lease is asked before the commit": Mutant(
        _SETTLEMENT,
        "            seen = self.polls\n",
        "            seen = self.polls - 1\n",
        "a cold start",
    ),
    "the wait is shorter than the others serve": Mutant(
        _SETTLEMENT, "if waited < max(", "if waited < 0.5 * max("
    ),
    "rows are deleted before a lease is over": Mutant(
        _SETTLEMENT,
        "            return False\n        # None of them",
        "            self._write_off(store, poll, seq)\n"
        "            return False\n        # None of them",
    ),
    "a row that has acknowledged meanwhile is deleted": Mutant(
        _SETTLEMENT, "_id.in_(gone), CacheLease.acked_seq < seq", "_id.in_(gone),", "a cold start"
    ),
    "acknowledgements count on a server that is not trusted yet": Mutant(
        _SETTLEMENT, "if not late and poll.is_trusted:", "if not late:"
    ),
    "a change that a failover may have lost is waited for on the other server": Mutant(
        _SETTLEMENT,
        "if poll.server != server:",
        "if False:",
        "a failover to a replica that is not far behind",
    ),
    "acknowledgements are waited for without end": Mutant(
        _SETTLEMENT, "waited < max([own, *(holder.lease_seconds for holder in late)])", "late"
    ),
}
