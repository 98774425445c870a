"""Other token services beside tokensrv: the same load, the same core, the same run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from subprocess import CalledProcessError

import httpx

from benchmarks.bench import Bench
from benchmarks.cases import GOALS, Database
from benchmarks.introspections import costs, failures
from benchmarks.measurements import Goal, Row
from benchmarks.peers import Peer
from benchmarks.peers.known import PEERS

SECTION = "other services, 1 token, 1 core"
# Of the CPU time of the fastest of them.
_SHARE = {
    Database.SQLITE: Goal("of_fastest_peer", at_most=round(1 / 3, 3)),
    Database.POSTGRES: Goal("of_fastest_peer", at_most=0.25),
}


def rows(bench: Bench) -> Iterator[Row]:
    """Yield the row of each known service; one that cannot run here says why."""
    for peer in PEERS:
        yield _missing(peer, why) if (why := peer.why_not()) else _measured(bench, peer)


def _measured(bench: Bench, peer: Peer) -> Row:
    try:
        peer.install()
        with peer.running(bench.cores.of(1)) as endpoint:
            cost = bench.cost(endpoint)
    except (CalledProcessError, httpx.HTTPError, OSError, RuntimeError) as error:
        return _missing(peer, f"{type(error).__name__}: {str(error).splitlines()[0]}")
    values, note = costs(bench, cost), failures(cost.burst.failures)
    return Row(section=SECTION, name=peer.name, values=values, note=note)


def compared(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield what the hot introspections of these rows cost beside the other services.

    Compared is the CPU time, each in constant handlers of its own moment.
    """
    others = {
        row.name: row.values["ratio"] for row in rows if row.section == SECTION and row.values
    }
    for database, wanted in GOALS.items():
        ours = next((row.values["ratio"] for row in rows if row.goal == wanted), None)
        if not others or ours is None:
            continue
        shares = {name: theirs / ours for name, theirs in others.items()}
        yield Row(
            section=SECTION,
            name=f"tokensrv on {database.value}",
            values={"of_fastest_peer": max(shares.values())},
            goal=_SHARE[database],
            note="; ".join(f"{share:.2f} of {name}" for name, share in shares.items()),
        )


def _missing(peer: Peer, why: str) -> Row:
    return Row(section=SECTION, name=peer.name, note=f"not measured: {why}")
