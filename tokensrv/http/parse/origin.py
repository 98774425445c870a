"""Origin: under which id a request is logged, and from which address it came."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_network

from tokensrv.domain.networks import Address, Network, address
from tokensrv.domain.secret import masked

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def request_id(given: str | None) -> str:
    """Return the id that a proxy gave to the request, or a new one.

    It is stored and sent back, so that a secret is no id.
    """
    if given is not None and _REQUEST_ID.fullmatch(given) and masked(given) == given:
        return given
    # Whoever calls may choose one himself, so that it need not be hard to guess.
    return f"{random.getrandbits(128):032x}"


def client_address(
    peer: str | None, forwarded_for: str | None, trusted: tuple[str, ...]
) -> str | None:
    """Return the address of the client, None when it is not known (a Unix socket).

    ``X-Forwarded-For`` counts only as far as trusted proxies wrote it: it is read from the
    right, up to the first address that is not one of theirs.
    """
    nearest = address(peer or "")
    if nearest is None:
        return None
    for entry in reversed((forwarded_for or "").split(",")):
        if not _is_within(nearest, _networks(trusted)):
            break
        previous = address(entry.strip())
        if previous is None:
            break
        nearest = previous
    return str(nearest)


@lru_cache(maxsize=8)
def _networks(words: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(word) for word in words)


def _is_within(one: Address, networks: Iterable[Network]) -> bool:
    return any(one in network for network in networks)
