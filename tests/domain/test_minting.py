from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensrv.domain import minting
from tokensrv.domain.scopes import available
from tokensrv.errors import Invalid, LifetimeExceeded, ScopesNotHeld

TODAY = date(2026, 3, 10)
TOMORROW = TODAY + timedelta(days=1)
LAST = TODAY + timedelta(days=365)
BEYOND = LAST + timedelta(days=1)
WEEK = TODAY + timedelta(days=7)
DAYS = st.dates(TODAY - timedelta(days=400), TODAY + timedelta(days=800))


@pytest.mark.parametrize(
    ("wanted", "owner_is_admin", "problem"),
    [
        pytest.param((), True, "scopes is missing", id="none"),
        pytest.param(("api", "nope"), True, "scopes does not have a valid value", id="unknown"),
        pytest.param(("sudo",), False, "scopes does not have a valid value", id="sudo for a user"),
        pytest.param(
            ("introspect",), False, "scopes does not have a valid value", id="introspect for a user"
        ),
    ],
)
def test_scopes_are_refused(wanted: tuple[str, ...], owner_is_admin: bool, problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        minting.check_scopes(wanted, available=available(), owner_is_admin=owner_is_admin)


@pytest.mark.parametrize(
    ("wanted", "owner_is_admin"),
    [
        pytest.param(("api", "deploy"), False, id="a user, with the deployment's own"),
        pytest.param(("sudo", "introspect"), True, id="an admin"),
    ],
)
def test_scopes_are_allowed(wanted: tuple[str, ...], owner_is_admin: bool) -> None:
    minting.check_scopes(wanted, available=available(["deploy"]), owner_is_admin=owner_is_admin)


def test_an_admin_gives_away_scopes_that_his_token_lacks_but_no_admins_scopes() -> None:
    minting.check_held_by_admin(("api", "read_user"), ("sudo",))
    minting.check_held_by_admin(("sudo",), ("sudo", "read_user"))
    with pytest.raises(ScopesNotHeld) as refused:
        minting.check_held_by_admin(("api", "sudo", "introspect"), ("api", "introspect"))
    assert refused.value.missing == ("sudo",)


def test_a_user_gives_himself_only_what_his_token_holds() -> None:
    minting.check_held_by_self(("read_user", "self_rotate"), ("api",))
    with pytest.raises(ScopesNotHeld) as refused:
        minting.check_held_by_self(("read_user", "api"), ("read_api",))
    assert refused.value.missing == ("api",)


@pytest.mark.parametrize("scope", ["sudo", "introspect"])
def test_nobody_gives_himself_an_admins_scope(scope: str) -> None:
    with pytest.raises(Invalid):
        minting.check_held_by_self((scope,), (scope, "api"))


@pytest.mark.parametrize(
    ("cap", "last"),
    [
        pytest.param(None, LAST, id="no cap"),
        pytest.param(TOMORROW, TOMORROW, id="an earlier cap counts"),
        pytest.param(BEYOND, LAST, id="a later one does not"),
    ],
)
def test_the_last_day(cap: date | None, last: date) -> None:
    assert minting.last_day(TODAY, max_lifetime_days=365, cap=cap) == last


@pytest.mark.parametrize("wanted", [TOMORROW, LAST], ids=["tomorrow", "the last day"])
def test_an_expiry_is_allowed(wanted: date) -> None:
    minting.check_expiry(wanted, TODAY, LAST)


@pytest.mark.parametrize("wanted", [TODAY, TODAY - timedelta(days=1)], ids=["today", "yesterday"])
def test_an_expiry_that_has_come_is_invalid(wanted: date) -> None:
    with pytest.raises(Invalid, match="expires_at is invalid"):
        minting.check_expiry(wanted, TODAY, LAST)


def test_an_expiry_too_late_names_the_last_allowed_day() -> None:
    with pytest.raises(LifetimeExceeded, match="must be before 2027-03-10") as refused:
        minting.check_expiry(BEYOND, TODAY, LAST)
    assert refused.value.last_day == LAST


@pytest.mark.parametrize(
    ("wanted", "is_required", "cap", "expiry"),
    [
        pytest.param(None, False, None, None, id="none wanted, none required"),
        pytest.param(None, True, None, LAST, id="required"),
        pytest.param(None, False, WEEK, WEEK, id="the calling token's own"),
        pytest.param(None, False, BEYOND, LAST, id="the calling token's own, too late"),
        pytest.param(TOMORROW, True, WEEK, TOMORROW, id="wanted"),
    ],
)
def test_the_expiry_of_a_new_token(
    wanted: date | None, is_required: bool, cap: date | None, expiry: date | None
) -> None:
    found = minting.new_expiry(wanted, TODAY, last=LAST, is_required=is_required, cap=cap)
    assert found == expiry


@pytest.mark.parametrize(
    ("wanted", "old", "is_required", "cap", "expiry"),
    [
        pytest.param(None, None, False, None, None, id="one without end stays so"),
        pytest.param(None, LAST, False, None, WEEK, id="an expiring one lives a week"),
        pytest.param(None, TODAY, False, None, WEEK, id="an expired one, too"),
        pytest.param(None, None, True, None, WEEK, id="an expiry is required"),
        pytest.param(None, None, False, TOMORROW, TOMORROW, id="the calling token ends"),
        pytest.param(LAST, TOMORROW, False, None, LAST, id="wanted"),
    ],
)
def test_the_expiry_of_a_rotated_token(
    wanted: date | None, old: date | None, is_required: bool, cap: date | None, expiry: date | None
) -> None:
    found = minting.rotated_expiry(
        wanted, TODAY, old=old, last=LAST, is_required=is_required, cap=cap
    )
    assert found == expiry


def test_a_week_is_cut_at_the_last_allowed_day() -> None:
    found = minting.rotated_expiry(None, TODAY, old=LAST, last=TOMORROW, is_required=False)
    assert found == TOMORROW


@given(st.none() | DAYS, st.none() | DAYS, st.none() | DAYS, st.booleans())
def test_no_expiry_that_is_granted_lies_beyond_the_last_day(
    wanted: date | None, old: date | None, cap: date | None, is_required: bool
) -> None:
    last = minting.last_day(TODAY, max_lifetime_days=365, cap=cap)
    try:
        new = minting.new_expiry(wanted, TODAY, last=last, is_required=is_required, cap=cap)
        rotated = minting.rotated_expiry(
            wanted, TODAY, old=old, last=last, is_required=is_required, cap=cap
        )
    except (Invalid, LifetimeExceeded):
        assert wanted is not None
        return
    assert new is None or new <= last
    assert rotated is None or rotated <= last
    if old is not None or is_required or cap is not None:
        assert rotated is not None
