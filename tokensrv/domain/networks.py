"""Networks: from which addresses a token may be used, as its allow list says.

An allow list is a tuple of IPv4 and IPv6 addresses and networks in their one spelling; an empty
one means from anywhere. Which address somebody calls from is found out at the edges. An address
that is not known is in no network, and neither is one with a zone, which means something on one
machine only.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Final

from tokensrv.errors import Invalid

# A token for more places than this is a token for all of them.
SIZE: Final = 32
FIELD: Final = "allowed_ips"
_NO_VALID_VALUE: Final = "does not have a valid value"
# IPv4 addresses in the clothes of IPv6 (RFC 4291 §2.5.5.2) are what follows these bits.
_MAPPED_BITS: Final = 96
# Whatever is longer is no address, and is not remembered.
_LONGEST: Final = 45

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


# Few clients ask, and they ask often.
@lru_cache(maxsize=1024)
def address(text: str) -> Address | None:
    """Return an address, an IPv4-mapped one as IPv4; None for whatever is none."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    if getattr(found, "scope_id", None) is not None:
        return None
    # A socket that listens on IPv6 shows IPv4 clients in this form.
    return getattr(found, "ipv4_mapped", None) or found


def spelling(text: str | None) -> str | None:
    """Return an address in its one spelling, None for whatever is none."""
    found = None if text is None or len(text) > _LONGEST else address(text)
    return None if found is None else str(found)


def allow_list(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the addresses and networks, each in its one spelling and once.

    Raises Invalid for what is none, for a network with bits beyond its prefix (it may be meant
    for a single address), and for more than ``SIZE``.
    """
    if len(words) > SIZE:
        raise Invalid(FIELD, f"has more than {SIZE} entries")
    return tuple(dict.fromkeys(_spelled(_network(word)) for word in words))


def allows(allowed_ips: tuple[str, ...], ip: str | None) -> bool:
    """Return whether a token with this list may be used from here; ``ip`` None: nobody knows."""
    if not allowed_ips:
        return True
    found = None if ip is None else address(ip)
    return found is not None and any(found in network for network in _networks(allowed_ips))


def is_narrower(wanted: tuple[str, ...], granted: tuple[str, ...]) -> bool:
    """Return whether each of the wanted networks lies within a granted one.

    An empty list means from anywhere, so it is wider than any other.
    """
    if not granted:
        return True
    return bool(wanted) and all(
        any(_is_within(one, other) for other in _networks(granted)) for one in _networks(wanted)
    )


def bounded(wanted: tuple[str, ...], bound: tuple[str, ...]) -> tuple[str, ...]:
    """Return the wanted networks, all of the bound's without a wish.

    Raises Invalid for one that lies beyond.
    """
    if wanted and not is_narrower(wanted, bound):
        raise Invalid(FIELD, "has more than the calling token may be used from")
    return wanted or bound


def _network(word: str) -> Network:
    try:
        written = ip_interface(word)
    except ValueError:
        raise Invalid(FIELD, _NO_VALID_VALUE) from None
    if getattr(written, "scope_id", None) is not None:
        raise Invalid(FIELD, _NO_VALID_VALUE)
    network = written.network
    if written.ip != network.network_address:
        raise Invalid(FIELD, f"has {word}: write {written.ip}, or {network} for the whole network")
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    return ip_network((mapped, network.prefixlen - _MAPPED_BITS)) if mapped else network


def _spelled(network: Network) -> str:
    is_single = network.prefixlen == network.max_prefixlen
    return str(network.network_address if is_single else network)


@lru_cache(maxsize=1024)
def _networks(allowed_ips: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(word) for word in allowed_ips)


def _is_within(one: Network, other: Network) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.subnet_of(other)
    return isinstance(other, IPv6Network) and one.subnet_of(other)
