from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensrv.domain import networks
from tokensrv.errors import Invalid

LIST = ("10.0.0.0/8", "192.0.2.7", "2001:db8::/32")


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        pytest.param("192.0.2.7", "192.0.2.7", id="address"),
        pytest.param("192.0.2.7/32", "192.0.2.7", id="network of one"),
        pytest.param("10.0.0.0/8", "10.0.0.0/8", id="network"),
        pytest.param("10.0.0.0/255.0.0.0", "10.0.0.0/8", id="mask"),
        pytest.param("0.0.0.0/0", "0.0.0.0/0", id="all of IPv4"),
        pytest.param("2001:DB8:0::1", "2001:db8::1", id="IPv6 address"),
        pytest.param("2001:db8::1/128", "2001:db8::1", id="IPv6 network of one"),
        pytest.param("2001:0db8::/32", "2001:db8::/32", id="IPv6 network"),
        pytest.param("::ffff:192.0.2.7", "192.0.2.7", id="mapped address"),
        pytest.param("::ffff:10.0.0.0/104", "10.0.0.0/8", id="mapped network"),
        pytest.param("::ffff:0:0/96", "0.0.0.0/0", id="all that is mapped"),
    ],
)
def test_what_is_listed_has_one_spelling(written: str, spelled: str) -> None:
    assert networks.allow_list((written,)) == (spelled,)
    assert networks.allow_list((spelled,)) == (spelled,)


def test_a_list_has_each_once_in_the_order_of_the_wish() -> None:
    wanted = ("192.0.2.7/32", "10.0.0.0/8", "192.0.2.7", "::ffff:192.0.2.7")
    assert networks.allow_list(wanted) == ("192.0.2.7", "10.0.0.0/8")
    assert networks.allow_list(()) == ()


@pytest.mark.parametrize(
    "written",
    [
        "",
        "x",
        "example.org",
        "10.0.0",
        "10.0.0.256",
        "010.0.0.1",
        "10.0.0.1/33",
        "10.0.0.1/-1",
        "10.0.0.1 ",
        "10.0.0.0 /8",
        "10.0.0.1,10.0.0.2",
        "\u0661.0.0.1",
        "2001:db8::/129",
        "fe80::1%eth0",
        "fe80::%<b>/64",
    ],
)
def test_what_is_no_address_and_no_network_is_refused(written: str) -> None:
    with pytest.raises(Invalid) as refused:
        networks.allow_list(("192.0.2.7", written))
    assert str(refused.value) == "allowed_ips does not have a valid value"


@pytest.mark.parametrize(
    ("written", "way_on"),
    [
        ("10.0.0.5/8", "write 10.0.0.5, or 10.0.0.0/8 for the whole network"),
        ("2001:db8::1/32", "write 2001:db8::1, or 2001:db8::/32 for the whole network"),
    ],
)
def test_bits_beyond_the_prefix_are_not_guessed_about(written: str, way_on: str) -> None:
    with pytest.raises(Invalid) as refused:
        networks.allow_list((written,))
    assert str(refused.value) == f"allowed_ips has {written}: {way_on}"


def test_a_list_has_32_entries_and_no_more() -> None:
    most = tuple(f"192.0.2.{number}" for number in range(networks.SIZE))
    assert networks.allow_list(most) == most
    with pytest.raises(Invalid, match="has more than 32 entries"):
        networks.allow_list((*most, "192.0.2.99"))


@pytest.mark.parametrize(
    ("ip", "is_allowed"),
    [
        pytest.param("10.255.0.1", True, id="in a network"),
        pytest.param("192.0.2.7", True, id="the address"),
        pytest.param("2001:db8:1::1", True, id="in an IPv6 network"),
        pytest.param("::ffff:10.0.0.1", True, id="IPv4 in the clothes of IPv6"),
        pytest.param("192.0.2.8", False, id="beside the address"),
        pytest.param("11.0.0.0", False, id="beside the network"),
        pytest.param("::1", False, id="another IPv6 address"),
        pytest.param("::10.0.0.1", False, id="what only looks mapped"),
        pytest.param("2001:db8::1%eth0", False, id="a zone"),
        pytest.param("10.0.0.1/32", False, id="a network"),
        pytest.param("10.0.0.1, 192.0.2.9", False, id="several"),
        pytest.param("nonsense", False, id="nonsense"),
        pytest.param("", False, id="empty"),
        pytest.param(None, False, id="nobody knows"),
    ],
)
def test_a_token_is_good_only_from_an_address_that_is_known_and_inside(
    ip: str | None, is_allowed: bool
) -> None:
    assert networks.allows(LIST, ip) == is_allowed


@pytest.mark.parametrize("ip", ["192.0.2.99", "::1", "nonsense", "", None])
def test_without_a_list_it_is_good_from_anywhere(ip: str | None) -> None:
    assert networks.allows((), ip)


@pytest.mark.parametrize("every", ["0.0.0.0/0", "::/0"])
def test_all_of_one_kind_is_nothing_of_the_other(every: str) -> None:
    assert networks.allows((every,), "192.0.2.7") == (every == "0.0.0.0/0")
    assert networks.allows((every,), "2001:db8::1") == (every == "::/0")


@pytest.mark.parametrize(
    ("wanted", "granted", "is_narrower"),
    [
        pytest.param((), (), True, id="none out of none"),
        pytest.param(LIST, (), True, id="some out of none"),
        pytest.param((), LIST, False, id="none out of some"),
        pytest.param(LIST, LIST, True, id="the same"),
        pytest.param(("10.1.0.0/16", "2001:db8::1"), LIST, True, id="parts"),
        pytest.param(("10.0.0.0/7",), LIST, False, id="a wider network"),
        pytest.param(("10.1.0.0/16", "192.0.2.8"), LIST, False, id="one beyond"),
        pytest.param(("0.0.0.0/0",), ("::/0",), False, id="another kind"),
        pytest.param(("::/0",), ("0.0.0.0/0",), False, id="another kind the other way"),
    ],
)
def test_a_list_is_narrower(
    wanted: tuple[str, ...], granted: tuple[str, ...], is_narrower: bool
) -> None:
    assert networks.is_narrower(wanted, granted) == is_narrower


def test_without_a_wish_the_list_is_that_of_the_calling_token() -> None:
    assert networks.bounded((), LIST) == LIST
    assert networks.bounded((), ()) == ()
    assert networks.bounded(("10.1.0.0/16",), LIST) == ("10.1.0.0/16",)
    assert networks.bounded(("192.0.2.8",), ()) == ("192.0.2.8",)
    with pytest.raises(Invalid, match="than the calling token may be used from"):
        networks.bounded(("10.1.0.0/16", "192.0.2.8"), LIST)


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("2001:DB8::1", "2001:db8::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", None),
        ("x" * 10_000, None),
        ("", None),
        (None, None),
    ],
)
def test_an_address_has_one_spelling_too(text: str | None, spelled: str | None) -> None:
    assert networks.spelling(text) == spelled


# Few bits differ, so that networks often lie within each other.
V4 = st.integers(0, 7).map(lambda bits: f"192.0.2.{bits}")
V6 = st.integers(0, 7).map(lambda bits: f"2001:db8::{bits}")
NETWORKS = st.one_of(
    st.builds(lambda ip, bits: str(ip_network((ip, bits), strict=False)), V4, st.integers(29, 32)),
    st.builds(
        lambda ip, bits: str(ip_network((ip, bits), strict=False)), V6, st.integers(125, 128)
    ),
)
LISTS = st.lists(NETWORKS, max_size=3).map(lambda words: networks.allow_list(tuple(words)))


@given(allowed=LISTS, ip=V4 | V6)
def test_it_is_allowed_where_one_of_the_networks_has_the_address(
    allowed: tuple[str, ...], ip: str
) -> None:
    has_it = any(ip_address(ip) in ip_network(word) for word in allowed)
    assert networks.allows(allowed, ip) == (has_it or not allowed)


@given(wanted=LISTS, granted=LISTS, ip=V4 | V6 | st.none())
def test_a_narrower_list_allows_nothing_that_the_wider_one_does_not(
    wanted: tuple[str, ...], granted: tuple[str, ...], ip: str | None
) -> None:
    if networks.is_narrower(wanted, granted) and networks.allows(wanted, ip):
        assert networks.allows(granted, ip)
