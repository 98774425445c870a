"""Origin: under which id a request is logged, and from which address it came."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from tokensrv.domain.secret import masked

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

_Address = IPv4Address | IPv6Address
_Networks = tuple[IPv4Network | IPv6Network, ...]


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
    nearest = _address(peer or "")
    if nearest is None:
        return None
    for entry in reversed((forwarded_for or "").split(",")):
        if not _is_within(nearest, _networks(trusted)):
            break
        previous = _address(entry.strip())
        if previous is None:
            break
        nearest = previous
    return str(nearest)


@lru_cache(maxsize=8)
def _networks(words: tuple[str, ...]) -> _Networks:
    return tuple(ip_network(word) for word in words)


def _is_within(address: _Address, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    return any(address in network for network in networks)


# Few clients ask, and they ask often.
@lru_cache(maxsize=1024)
def _address(text: str) -> _Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if getattr(address, "scope_id", None) is not None:
        # A zone means something on one machine only, and may be any text.
        return None
    # A socket that listens on IPv6 shows IPv4 clients in this form.
    return getattr(address, "ipv4_mapped", None) or address
