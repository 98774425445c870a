from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensrv.domain import scopes
from tokensrv.domain.exchange import exchanged_audience, exchanged_expiry, exchanged_scopes
from tokensrv.domain.scopes import BUILT_IN, closure, missing
from tokensrv.errors import Invalid, ScopesNotHeld

NOW = 1_773_144_000_700
SECOND = 1000
SOME = st.lists(st.sampled_from(tuple(BUILT_IN)), unique=True, max_size=4).map(tuple)


@pytest.mark.parametrize(
    ("wanted", "effective", "granted"),
    [
        ((), ("api",), ("api",)),
        ((), ("read_user", "sudo", "introspect", "self_rotate"), ("read_user",)),
        (("read_user",), ("api",), ("read_user",)),
        (("read_user", "read_user"), ("api",), ("read_user",)),
        (("deploy",), ("deploy", "api"), ("deploy",)),
    ],
)
def test_without_a_wish_everything_is_passed_on_that_can_be(
    wanted: tuple[str, ...], effective: tuple[str, ...], granted: tuple[str, ...]
) -> None:
    assert exchanged_scopes(wanted, effective) == granted


@pytest.mark.parametrize(
    ("wanted", "effective"),
    [
        pytest.param(("api",), ("read_api",), id="wider"),
        pytest.param(("read_api", "api"), ("read_api",), id="one of them wider"),
        pytest.param(("nonsense",), ("api",), id="unknown"),
        pytest.param(("sudo",), ("api", "sudo"), id="sudo"),
        pytest.param(("introspect",), ("introspect", "api"), id="introspect"),
        pytest.param(("self_rotate",), ("api",), id="contained but never passed on"),
        pytest.param((), ("sudo", "introspect"), id="nothing is left"),
        pytest.param((), (), id="nothing was there"),
    ],
)
def test_what_is_not_held_is_refused(wanted: tuple[str, ...], effective: tuple[str, ...]) -> None:
    with pytest.raises(ScopesNotHeld):
        exchanged_scopes(wanted, effective)


@given(wanted=SOME, effective=SOME)
def test_whatever_comes_out_is_never_wider_and_never_an_admins(
    wanted: tuple[str, ...], effective: tuple[str, ...]
) -> None:
    try:
        granted = exchanged_scopes(wanted, effective)
    except ScopesNotHeld:
        return
    assert granted
    assert not missing(granted, effective)
    assert not {"sudo", "introspect"} & closure(granted)


def test_a_token_of_sudo_alone_becomes_no_other_power_of_its_owner() -> None:
    assert scopes.under_sudo(("sudo",)) == ("api",)
    assert scopes.passed_on(("sudo",)) == ()


@pytest.mark.parametrize(
    ("wanted", "source_in_ms", "seconds"),
    [
        pytest.param(None, None, 300, id="default"),
        pytest.param(1, None, 1, id="short"),
        pytest.param(3600, None, 3600, id="maximum"),
        pytest.param(3601, None, 3600, id="beyond the maximum"),
        pytest.param(999_999_999, None, 3600, id="far beyond it"),
        pytest.param(None, 400 * SECOND, 300, id="source later"),
        pytest.param(None, 300 * SECOND, 300, id="source at the same second"),
        pytest.param(None, 299 * SECOND, 299, id="source earlier"),
        pytest.param(3600, SECOND, 1, id="source in a second"),
    ],
)
def test_the_end_is_a_whole_second_and_never_after_the_source(
    wanted: int | None, source_in_ms: int | None, seconds: int
) -> None:
    whole = NOW // SECOND * SECOND
    source_ms = None if source_in_ms is None else whole + source_in_ms
    ends = exchanged_expiry(NOW, wanted_seconds=wanted, source_ms=source_ms)
    assert ends == whole + seconds * SECOND


@pytest.mark.parametrize(
    ("wanted", "source", "audience"),
    [
        ((), (), ()),
        ((), ("a", "b"), ("a", "b")),
        (("b",), ("a", "b"), ("b",)),
        (("b", "a", "b"), (), ("b", "a")),
    ],
)
def test_the_audience_is_the_sources_or_within_it(
    wanted: tuple[str, ...], source: tuple[str, ...], audience: tuple[str, ...]
) -> None:
    assert exchanged_audience(wanted, source) == audience


@pytest.mark.parametrize("wanted", [("b",), ("a", "b"), ("A",), ("",)])
def test_an_audience_beyond_the_sources_is_refused(wanted: tuple[str, ...]) -> None:
    with pytest.raises(Invalid):
        exchanged_audience(wanted, ("a",))
