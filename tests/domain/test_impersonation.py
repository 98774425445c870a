from __future__ import annotations

from typing import Any

import pytest

from tokensrv.domain.caller import REASON_LENGTH, Caller, Check, Refusal, SudoPolicy
from tokensrv.domain.facts import UserFacts, UserState
from tokensrv.domain.impersonation import impersonate

ROOT = UserFacts(1, "root", UserState.ACTIVE, is_admin=True)
ALICE = UserFacts(2, "alice", UserState.ACTIVE, is_admin=False)
NOT_ACTIVE = [state for state in UserState if state is not UserState.ACTIVE]

# In the order of the decision: what breaks each check, given that those before it hold.
BREAKS: list[tuple[Check, dict[str, Any]]] = [
    (Check.UNKNOWN, {"actor": None}),
    (Check.OWNER, {"actor": ROOT._replace(state=UserState.BLOCKED)}),
    (Check.ADMIN, {"actor": ROOT._replace(is_admin=False)}),
    (Check.TARGET, {"target": None}),
    (Check.TARGET_STATE, {"target": ALICE._replace(state=UserState.BANNED)}),
    (Check.TARGET_ADMIN, {"target": ALICE._replace(is_admin=True)}),
    (Check.REASON, {"reason": ""}),
]
IDS = [check.value for check, _ in BREAKS]


def _impersonate(**changed: Any) -> Caller | Refusal:
    facts = {"actor": ROOT, "target": ALICE, "reason": "ticket 12"} | changed
    policy = facts.pop("policy", SudoPolicy())
    return impersonate(facts["actor"], facts["target"], facts["reason"], policy=policy)


def test_an_admin_acts_as_a_user_without_any_scope() -> None:
    assert _impersonate() == Caller(ROOT, ALICE, None, (), is_sudo=True, reason="ticket 12")


@pytest.mark.parametrize(("check", "breaks"), BREAKS, ids=IDS)
def test_it_is_refused_for_one_reason(check: Check, breaks: dict[str, Any]) -> None:
    refused = _impersonate(**breaks)
    assert isinstance(refused, Refusal)
    assert refused.check is check


@pytest.mark.parametrize("first", range(len(BREAKS)), ids=IDS)
def test_of_several_reasons_the_first_counts(first: int) -> None:
    everything: dict[str, Any] = {}
    for _, breaks in reversed(BREAKS[first:]):
        everything |= breaks
    refused = _impersonate(**everything)
    assert isinstance(refused, Refusal)
    assert refused.check is BREAKS[first][0]


@pytest.mark.parametrize("state", NOT_ACTIVE)
@pytest.mark.parametrize("who", ["actor", "target"])
def test_both_must_be_active(who: str, state: UserState) -> None:
    user = {"actor": ROOT, "target": ALICE}[who]
    assert isinstance(_impersonate(**{who: user._replace(state=state)}), Refusal)


def test_a_setting_allows_admins_as_targets() -> None:
    other = ALICE._replace(is_admin=True)
    allowed = _impersonate(target=other, policy=SudoPolicy(admin_targets=True))
    assert isinstance(allowed, Caller)
    assert allowed.subject == other


@pytest.mark.parametrize(
    ("length", "kind"), [(REASON_LENGTH, Caller), (REASON_LENGTH + 1, Refusal)]
)
def test_a_reason_has_an_end(length: int, kind: type) -> None:
    assert isinstance(_impersonate(reason="x" * length), kind)


def test_nothing_that_lasts_can_be_made_by_it() -> None:
    caller = _impersonate()
    assert isinstance(caller, Caller)
    assert caller.is_lent
