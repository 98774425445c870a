from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensrv.domain.caller import (
    REASON_LENGTH,
    Caller,
    Check,
    InvalidSudo,
    Refusal,
    SudoAsk,
    SudoPolicy,
    decide,
)
from tokensrv.domain.facts import TokenFacts, TokenKind, UserFacts, UserState
from tokensrv.domain.usernames import target

NOW = 1_000_000
ROOT = UserFacts(1, "root", UserState.ACTIVE, is_admin=True)
ALICE = UserFacts(2, "alice", UserState.ACTIVE, is_admin=False)
TOKEN = TokenFacts(
    id=7,
    kind=TokenKind.PERSONAL,
    user_id=1,
    scopes=("api", "sudo"),
    audience=(),
    created_ms=0,
    expires_ms=NOW + 1,
    is_revoked=False,
)
ASK = SudoAsk(target("alice"), "ticket 12")
NOT_OF_SUDO = {
    Check.UNKNOWN,
    Check.EXPIRED,
    Check.REVOKED,
    Check.NETWORK,
    Check.OWNER,
    Check.SOURCE,
    Check.AUDIENCE,
    Check.WANTED,
    Check.LIMIT,
}
NOT_ACTIVE = [state for state in UserState if state is not UserState.ACTIVE]

# Everything is in order: each case below breaks one thing, or several.
GOOD: dict[str, Any] = {
    "token": TOKEN,
    "owner": ROOT,
    "ask": ASK,
    "target": ALICE,
    "now_ms": NOW,
    "policy": SudoPolicy(reason_required=True),
    "is_session": False,
    "client_may_sudo": True,
}


def _decide(**changed: Any) -> Caller | Refusal:
    return decide(**GOOD | changed)


def _token(**changed: Any) -> TokenFacts:
    return TOKEN._replace(**changed)


def _user(user: UserFacts, **changed: Any) -> UserFacts:
    return user._replace(**changed)


# In the order of the decision: what breaks each check, given that those before it hold. A check
# is broken without mending those after it, which the test of the order relies on.
BREAKS: list[tuple[Check, dict[str, Any]]] = [
    (Check.UNKNOWN, {"token": None}),
    (Check.EXPIRED, {"expires_ms": NOW}),
    (Check.REVOKED, {"is_revoked": True}),
    (Check.NETWORK, {"allowed_ips": ("10.0.0.0/8",)}),
    (Check.OWNER, {"owner_state": UserState.BLOCKED}),
    (Check.SUDO, {"ask": InvalidSudo()}),
    (Check.CLIENT, {"client_may_sudo": False}),
    (Check.ADMIN, {"owner_is_admin": False}),
    (Check.SCOPE, {"scopes": ("api",)}),
    (Check.TARGET, {"target": None}),
    (Check.TARGET_STATE, {"target_state": UserState.BANNED}),
    (Check.TARGET_ADMIN, {"target_is_admin": True}),
    (Check.REASON, {"reason": None}),
]


def _broken(breaks: dict[str, Any]) -> Caller | Refusal:
    facts = {
        name: breaks[name]
        for name in ("expires_ms", "is_revoked", "allowed_ips", "scopes")
        if name in breaks
    }
    owner = _user(
        ROOT,
        state=breaks.get("owner_state", ROOT.state),
        is_admin=breaks.get("owner_is_admin", True),
    )
    subject = _user(
        ALICE,
        state=breaks.get("target_state", ALICE.state),
        is_admin=breaks.get("target_is_admin", False),
    )
    return _decide(
        token=breaks.get("token", _token(**facts)),
        owner=owner,
        ask=breaks.get("ask", SudoAsk(ASK.target, breaks.get("reason", ASK.reason))),
        target=breaks.get("target", subject),
        client_may_sudo=breaks.get("client_may_sudo", True),
    )


def test_sudo_is_granted_to_the_actor_as_the_subject() -> None:
    assert _decide() == Caller(ROOT, ALICE, TOKEN, ("api",), is_sudo=True, reason="ticket 12")


@pytest.mark.parametrize(("check", "breaks"), BREAKS, ids=[check.value for check, _ in BREAKS])
def test_sudo_is_refused_for_one_reason(check: Check, breaks: dict[str, Any]) -> None:
    refused = _broken(breaks)
    assert isinstance(refused, Refusal)
    assert refused.check is check


@pytest.mark.parametrize("first", range(len(BREAKS)), ids=[check.value for check, _ in BREAKS])
def test_of_several_reasons_the_first_counts(first: int) -> None:
    everything: dict[str, Any] = {}
    for _, breaks in BREAKS[first:]:
        everything |= breaks
    refused = _broken(everything)
    assert isinstance(refused, Refusal)
    assert refused.check is BREAKS[first][0]


def test_the_checks_are_listed_in_the_order_of_the_decision() -> None:
    tested = [check for check, _ in BREAKS]
    # An exchanged token and a web session are broken in ways of their own; the last three are
    # asked by introspection.
    others = {Check.SOURCE, Check.CREDENTIAL, Check.AUDIENCE, Check.WANTED, Check.LIMIT}
    assert tested == [check for check in Check if check not in others]


def test_a_web_session_may_not_sudo_even_an_admins() -> None:
    refused = _decide(token=None, is_session=True)
    assert refused == Refusal(Check.CREDENTIAL, None, ROOT, ASK, ALICE)


def test_a_web_session_of_no_admin_hears_of_that_first() -> None:
    refused = _decide(token=None, is_session=True, owner=_user(ROOT, is_admin=False))
    assert isinstance(refused, Refusal)
    assert refused.check is Check.ADMIN


@pytest.mark.parametrize("state", NOT_ACTIVE, ids=str)
def test_only_an_active_owner_can_do_anything(state: UserState) -> None:
    refused = _decide(owner=_user(ROOT, state=state), ask=None)
    assert refused == Refusal(Check.OWNER, TOKEN, _user(ROOT, state=state))


@pytest.mark.parametrize("state", NOT_ACTIVE, ids=str)
def test_only_an_active_user_can_be_acted_as(state: UserState) -> None:
    refused = _decide(target=_user(ALICE, state=state))
    assert isinstance(refused, Refusal)
    assert refused.check is Check.TARGET_STATE


def test_a_token_dies_at_the_very_moment_of_its_expiry() -> None:
    assert isinstance(_decide(token=_token(expires_ms=NOW + 1), ask=None), Caller)
    refused = _decide(token=_token(expires_ms=NOW), ask=None)
    assert isinstance(refused, Refusal)
    assert refused.check is Check.EXPIRED


def test_a_token_without_expiry_does_not_die() -> None:
    assert isinstance(_decide(token=_token(expires_ms=None), now_ms=2**60, ask=None), Caller)


@pytest.mark.parametrize(
    ("remote_ip", "is_good"),
    [
        pytest.param("10.1.2.3", True, id="inside"),
        pytest.param("192.0.2.7", False, id="outside"),
        pytest.param(None, False, id="nobody knows"),
    ],
)
@pytest.mark.parametrize("ask", [None, ASK], ids=["plain", "sudo"])
def test_a_token_with_an_allow_list_is_good_from_there_alone(
    ask: SudoAsk | None, remote_ip: str | None, is_good: bool
) -> None:
    token = _token(allowed_ips=("10.0.0.0/8",))
    found = _decide(token=token, ask=ask, remote_ip=remote_ip)
    if is_good:
        assert isinstance(found, Caller)
        # From where he calls goes with the caller, so that it is asked again with him.
        assert (found.token, found.remote_ip) == (token, remote_ip)
    else:
        assert found == Refusal(Check.NETWORK, token, ROOT)


def test_from_elsewhere_nothing_is_said_of_the_owner_or_of_sudo() -> None:
    token = _token(allowed_ips=("10.0.0.0/8",))
    blocked = _user(ROOT, state=UserState.BLOCKED)
    for ask in (None, InvalidSudo(), ASK):
        refused = _decide(token=token, owner=blocked, ask=ask, remote_ip="192.0.2.7")
        assert refused == Refusal(Check.NETWORK, token, blocked)


def test_a_revoked_token_betrays_a_copy_from_wherever_it_comes() -> None:
    token = _token(allowed_ips=("10.0.0.0/8",), is_revoked=True)
    assert _decide(token=token, remote_ip="192.0.2.7") == Refusal(Check.REVOKED, token, ROOT)


def test_without_sudo_actor_and_subject_are_the_owner_with_the_scopes_as_granted() -> None:
    assert _decide(ask=None) == Caller(ROOT, ROOT, TOKEN, ("api", "sudo"))


def test_a_client_that_may_not_sudo_may_ask_without() -> None:
    assert isinstance(_decide(ask=None, client_may_sudo=False), Caller)


def test_a_web_session_is_a_caller_without_token() -> None:
    caller = _decide(token=None, is_session=True, ask=None)
    assert caller == Caller(ROOT, ROOT, None, ())


def test_sudo_to_oneself_is_refused_like_any_admin() -> None:
    refused = _decide(target=ROOT)
    assert isinstance(refused, Refusal)
    assert refused.check is Check.TARGET_ADMIN


def test_a_setting_allows_admins_as_targets() -> None:
    caller = _decide(target=ROOT, policy=SudoPolicy(admin_targets=True))
    assert isinstance(caller, Caller)
    assert caller.is_sudo
    assert caller.subject == ROOT


def test_a_setting_for_admin_targets_lets_no_blocked_admin_through() -> None:
    refused = _decide(
        target=_user(ROOT, state=UserState.BLOCKED), policy=SudoPolicy(admin_targets=True)
    )
    assert isinstance(refused, Refusal)
    assert refused.check is Check.TARGET_STATE


@pytest.mark.parametrize(
    ("reason", "is_required", "is_granted"),
    [
        pytest.param(None, False, True, id="none, none required"),
        pytest.param(None, True, False, id="none"),
        pytest.param("", False, False, id="empty"),
        pytest.param("x", True, True, id="one letter"),
        pytest.param("x" * REASON_LENGTH, True, True, id="the longest"),
        pytest.param("x" * (REASON_LENGTH + 1), False, False, id="too long"),
    ],
)
def test_a_reason(reason: str | None, is_required: bool, is_granted: bool) -> None:
    found = _decide(ask=SudoAsk(ASK.target, reason), policy=SudoPolicy(reason_required=is_required))
    assert isinstance(found, Caller) == is_granted


def test_the_scopes_that_api_contains_do_not_include_sudo() -> None:
    refused = _decide(token=_token(scopes=("api", "introspect")))
    assert isinstance(refused, Refusal)
    assert refused.check is Check.SCOPE


@pytest.mark.parametrize(
    ("check", "is_sudo"),
    [pytest.param(check, check not in NOT_OF_SUDO, id=check.value) for check in Check],
)
def test_a_refusal_says_whether_the_credential_itself_was_good(check: Check, is_sudo: bool) -> None:
    assert Refusal(check).is_sudo == is_sudo


USERS = st.builds(
    UserFacts, st.integers(1, 5), st.just("u"), st.sampled_from(UserState), st.booleans()
)
TOKENS = st.builds(
    TokenFacts,
    id=st.just(1),
    kind=st.sampled_from(TokenKind),
    user_id=st.just(1),
    scopes=st.lists(st.sampled_from(["api", "sudo", "read_user", "introspect"]), min_size=1).map(
        tuple
    ),
    audience=st.just(()),
    created_ms=st.just(0),
    expires_ms=st.none() | st.integers(NOW - 2, NOW + 2),
    is_revoked=st.booleans(),
    allowed_ips=st.sampled_from([(), ("10.0.0.0/8",)]),
)
ASKS = (
    st.none()
    | st.just(InvalidSudo())
    | st.builds(SudoAsk, st.just(ASK.target), st.none() | st.text(max_size=3))
)


@given(
    token=st.none() | TOKENS,
    owner=st.none() | USERS,
    ask=ASKS,
    found=st.none() | USERS,
    policy=st.builds(SudoPolicy, st.booleans(), st.booleans()),
    remote_ip=st.sampled_from([None, "10.1.2.3", "192.0.2.7"]),
    is_session=st.booleans(),
    client_may_sudo=st.booleans(),
)
def test_whoever_becomes_another_has_everything_that_it_takes(
    token: TokenFacts | None,
    owner: UserFacts | None,
    ask: SudoAsk | InvalidSudo | None,
    found: UserFacts | None,
    policy: SudoPolicy,
    remote_ip: str | None,
    is_session: bool,
    client_may_sudo: bool,
) -> None:
    caller = decide(
        token,
        owner,
        ask,
        found,
        now_ms=NOW,
        policy=policy,
        remote_ip=remote_ip,
        is_session=is_session,
        client_may_sudo=client_may_sudo,
    )
    if isinstance(caller, Refusal):
        return
    assert caller.actor == owner
    assert owner is not None
    assert owner.state == UserState.ACTIVE
    assert token is None or not (token.is_revoked or token.is_expired(NOW))
    assert token is None or not token.allowed_ips or remote_ip == "10.1.2.3"
    assert caller.is_sudo == (ask is not None)
    if not caller.is_sudo:
        assert caller.subject == owner
        return
    assert owner.is_admin
    assert client_may_sudo
    assert token is not None
    assert "sudo" in token.scopes
    assert caller.subject == found
    assert found is not None
    assert found.state == UserState.ACTIVE
    assert policy.admin_targets or not found.is_admin
    assert "sudo" not in caller.scopes
