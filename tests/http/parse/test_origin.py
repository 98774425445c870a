from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensrv.http.parse.origin import client_address, request_id

PROXY = ("10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize("given_id", ["a", "0af7-651916cd43dd_8448.eb", "x" * 64])
def test_a_sane_request_id_is_kept(given_id: str) -> None:
    assert request_id(given_id) == given_id


@pytest.mark.parametrize("given_id", [None, "", " ", "a b", "a\n", "ü", "x" * 65, "a,b", '"'])
def test_anything_else_gets_a_new_one(given_id: str | None) -> None:
    first, second = request_id(given_id), request_id(given_id)
    assert re.fullmatch(r"[0-9a-f]{32}", first)
    assert first != second


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "trusted", "address"),
    [
        pytest.param("192.0.2.1", None, (), "192.0.2.1", id="direct"),
        pytest.param("192.0.2.1", "198.51.100.7", (), "192.0.2.1", id="nobody is trusted"),
        pytest.param("192.0.2.1", "198.51.100.7", PROXY, "192.0.2.1", id="not a proxy of ours"),
        pytest.param("10.0.0.1", "198.51.100.7", PROXY, "198.51.100.7", id="our proxy"),
        pytest.param("10.0.0.1", "1.1.1.1, 198.51.100.7", PROXY, "198.51.100.7", id="spoofed"),
        pytest.param("10.0.0.1", "198.51.100.7,10.0.0.2", PROXY, "198.51.100.7", id="two proxies"),
        pytest.param("10.0.0.1", "10.0.0.3,10.0.0.2", PROXY, "10.0.0.3", id="all of them ours"),
        pytest.param("10.0.0.1", None, PROXY, "10.0.0.1", id="the proxy itself"),
        pytest.param("10.0.0.1", "198.51.100.7, junk", PROXY, "10.0.0.1", id="junk"),
        pytest.param("10.0.0.1", "", PROXY, "10.0.0.1", id="empty"),
        pytest.param("fd00::1", "2001:db8::7", PROXY, "2001:db8::7", id="IPv6"),
        pytest.param("::ffff:10.0.0.1", "198.51.100.7", PROXY, "198.51.100.7", id="mapped IPv4"),
        pytest.param("", "198.51.100.7", PROXY, None, id="a Unix socket"),
        pytest.param(None, "198.51.100.7", PROXY, None, id="no peer"),
    ],
)
def test_the_address_is_the_rightmost_that_is_no_proxy_of_ours(
    peer: str | None, forwarded_for: str | None, trusted: tuple[str, ...], address: str | None
) -> None:
    assert client_address(peer, forwarded_for, trusted) == address


@given(st.none() | st.text(), st.none() | st.text())
def test_hostile_text_never_raises(peer: str | None, forwarded_for: str | None) -> None:
    client_address(peer, forwarded_for, PROXY)
    client_address("10.0.0.1", forwarded_for, PROXY)
