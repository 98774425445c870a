from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensrv.domain import scopes

SETS = st.lists(st.sampled_from([*scopes.BUILT_IN, "deploy"]), unique=True).map(tuple)


@pytest.mark.parametrize(
    ("granted", "held"),
    [
        pytest.param(
            "api",
            "api read_api read_user self_rotate read_repository write_repository read_registry"
            " write_registry",
            id="api",
        ),
        pytest.param("read_api", "read_api read_user read_repository read_registry", id="read_api"),
        pytest.param("write_repository", "write_repository read_repository", id="write_repository"),
        pytest.param("write_registry", "write_registry", id="write_registry reads nothing"),
        pytest.param("sudo", "sudo", id="sudo stands alone"),
        pytest.param("introspect", "introspect", id="introspect stands alone"),
        pytest.param("deploy", "deploy", id="the deployment's own stand alone"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_a_scope_contains(granted: str, held: str) -> None:
    assert scopes.closure(granted.split()) == set(held.split())


@given(SETS)
def test_closing_twice_changes_nothing(granted: tuple[str, ...]) -> None:
    assert scopes.closure(scopes.closure(granted)) == scopes.closure(granted)


@given(SETS, SETS)
def test_more_scopes_never_hold_less(some: tuple[str, ...], more: tuple[str, ...]) -> None:
    assert scopes.closure(some) <= scopes.closure(some + more)


@given(SETS)
def test_nothing_is_missing_from_itself(granted: tuple[str, ...]) -> None:
    assert scopes.missing(granted, granted) == ()


def test_what_is_missing_keeps_its_order() -> None:
    assert scopes.missing(("sudo", "read_user", "api"), ("read_api",)) == ("sudo", "api")


def test_the_deployments_own_scopes_come_last_and_once() -> None:
    available = scopes.available(["deploy", "api", "deploy"])
    assert available == (*scopes.BUILT_IN, "deploy")


@pytest.mark.parametrize(
    ("granted", "effective"),
    [
        pytest.param("sudo", "api", id="sudo alone becomes api"),
        pytest.param("api sudo", "api", id="api sudo"),
        pytest.param("sudo read_user", "read_user", id="only what is granted beside it"),
        pytest.param("sudo introspect", "", id="two admins' scopes leave nothing"),
        pytest.param("sudo self_rotate", "", id="self_rotate does not pass on"),
        pytest.param("sudo deploy", "deploy", id="the deployment's own"),
    ],
)
def test_scopes_under_sudo(granted: str, effective: str) -> None:
    assert scopes.under_sudo(tuple(granted.split())) == tuple(effective.split())


@given(SETS)
def test_nothing_that_mints_or_acts_passes_to_the_subject(granted: tuple[str, ...]) -> None:
    assert not {"sudo", "introspect", "self_rotate"} & set(scopes.under_sudo(granted))


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (("api",), ("api",), ("api",)),
        (("api",), ("read_user",), ("read_user",)),
        (("read_user",), ("api",), ("read_user",)),
        (("api", "read_user"), ("read_api",), ("read_user", "read_api")),
        (("read_repository",), ("read_user",), ()),
        (("sudo",), ("api",), ()),
    ],
)
def test_common_is_what_both_cover(
    one: tuple[str, ...], other: tuple[str, ...], both: tuple[str, ...]
) -> None:
    assert scopes.common(one, other) == both
