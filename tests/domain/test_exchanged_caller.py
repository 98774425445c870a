"""The decision about exchanged tokens: they stand and fall with what they were exchanged for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensrv.domain.caller import (
    Caller,
    Check,
    InvalidSudo,
    Refusal,
    SudoAsk,
    SudoPolicy,
    decide,
)
from tokensrv.domain.facts import ExchangeFacts, TokenFacts, TokenKind, UserFacts, UserState
from tokensrv.domain.scopes import common, missing, under_sudo
from tokensrv.domain.usernames import target

NOW = 1_000_000
ROOT = UserFacts(1, "root", UserState.ACTIVE, is_admin=True)
ALICE = UserFacts(2, "alice", UserState.ACTIVE, is_admin=False)
SOURCE = TokenFacts(
    id=7,
    kind=TokenKind.PERSONAL,
    user_id=1,
    scopes=("api", "sudo"),
    audience=(),
    created_ms=0,
    expires_ms=NOW + 1,
    is_revoked=False,
)
TOKEN = SOURCE._replace(id=8, kind=TokenKind.EXCHANGED, user_id=2, scopes=("read_api", "read_user"))
NOT_ACTIVE = [state for state in UserState if state is not UserState.ACTIVE]
PLAIN = SudoPolicy()


def _decide(
    *,
    token: dict[str, Any] | None = None,
    owner: dict[str, Any] | None = None,
    source: dict[str, Any] | None = None,
    actor: dict[str, Any] | None = None,
    reason: str | None = "ticket 12",
    ask: SudoAsk | InvalidSudo | None = None,
    remote_ip: str | None = None,
    policy: SudoPolicy = PLAIN,
) -> Caller | Refusal:
    """Return the decision about a good token, but for what was changed about these four."""
    return decide(
        TOKEN._replace(**token or {}),
        ALICE._replace(**owner or {}),
        ask,
        ROOT,
        now_ms=NOW,
        policy=policy,
        remote_ip=remote_ip,
        exchange=ExchangeFacts(
            source=SOURCE._replace(**source or {}),
            source_owner=ROOT._replace(**actor or {}),
            has_actor=True,
            client_id="exchanger",
            reason=reason,
        ),
    )


def _downscoped(
    token: dict[str, Any] | None = None,
    source: dict[str, Any] | None = None,
    source_owner: UserFacts = ALICE,
) -> Caller | Refusal:
    """Return the decision about a narrower token of its own owner."""
    origin = SOURCE._replace(user_id=source_owner.id, scopes=("api",))
    return decide(
        TOKEN._replace(**token or {}),
        ALICE,
        None,
        None,
        now_ms=NOW,
        policy=PLAIN,
        exchange=ExchangeFacts(
            source=origin._replace(**source or {}),
            source_owner=source_owner,
            has_actor=False,
            client_id="exchanger",
            reason=None,
        ),
    )


def test_it_acts_as_its_owner_for_whoever_exchanged_it() -> None:
    scopes = ("read_api", "read_user")
    assert _decide() == Caller(ROOT, ALICE, TOKEN, scopes, is_sudo=True, reason="ticket 12")


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        pytest.param({"source": {"is_revoked": True}}, Check.REVOKED, id="source revoked"),
        pytest.param({"source": {"expires_ms": NOW}}, Check.EXPIRED, id="source expired"),
        pytest.param({"source": {"scopes": ("api",)}}, Check.SCOPE, id="source lost sudo"),
        pytest.param({"source": {"kind": "exchanged"}}, Check.SOURCE, id="source exchanged itself"),
        pytest.param({"actor": {"is_admin": False}}, Check.ADMIN, id="actor demoted"),
        *(
            pytest.param({"actor": {"state": state}}, Check.OWNER, id=f"actor {state}")
            for state in NOT_ACTIVE
        ),
        pytest.param({"owner": {"is_admin": True}}, Check.TARGET_ADMIN, id="target promoted"),
        pytest.param(
            {"policy": SudoPolicy(reason_required=True), "reason": None},
            Check.REASON,
            id="a reason is required meanwhile",
        ),
    ],
)
def test_it_dies_when_the_same_sudo_would_be_refused(changed: dict[str, Any], cause: Check) -> None:
    refused = _decide(**changed)
    assert isinstance(refused, Refusal)
    assert (refused.check, refused.source_check) == (Check.SOURCE, cause)
    # Nobody asked to act as somebody else: the credential is dead.
    assert not refused.is_sudo


@pytest.mark.parametrize(
    ("changed", "check"),
    [
        pytest.param({"token": {"expires_ms": NOW}}, Check.EXPIRED, id="expired"),
        pytest.param({"token": {"is_revoked": True}}, Check.REVOKED, id="revoked"),
        *(
            pytest.param({"owner": {"state": state}}, Check.OWNER, id=f"target {state}")
            for state in NOT_ACTIVE
        ),
    ],
)
def test_it_dies_like_any_token(changed: dict[str, Any], check: Check) -> None:
    refused = _decide(**changed, source={"is_revoked": True})
    assert isinstance(refused, Refusal)
    assert refused.check is check


def test_it_dies_when_its_source_is_gone() -> None:
    for build in (TOKEN, TOKEN._replace(scopes=("api",))):
        refused = decide(build, ALICE, None, None, now_ms=NOW, policy=PLAIN)
        assert refused == Refusal(Check.SOURCE, build, ALICE)


def test_a_promoted_target_is_no_obstacle_where_admins_may_be_targets() -> None:
    caller = _decide(owner={"is_admin": True}, policy=SudoPolicy(admin_targets=True))
    assert isinstance(caller, Caller)


def test_it_loses_what_its_source_has_lost_and_keeps_the_rest() -> None:
    caller = _decide(source={"scopes": ("read_user", "sudo")})
    assert isinstance(caller, Caller)
    assert caller.scopes == ("read_user",)


def test_a_source_that_holds_sudo_alone_gives_what_that_gives() -> None:
    caller = _decide(source={"scopes": ("sudo",)}, token={"scopes": ("api",)})
    assert isinstance(caller, Caller)
    assert caller.scopes == ("api",)


@pytest.mark.parametrize("scope", ["sudo", "introspect", "self_rotate"])
def test_it_never_has_what_does_not_pass_to_the_subject(scope: str) -> None:
    everything = ("api", "sudo", "introspect", "self_rotate")
    caller = _decide(source={"scopes": everything}, token={"scopes": ("read_api", scope)})
    assert isinstance(caller, Caller)
    # "api" contains self_rotate, which nothing under sudo can use.
    expected = ("read_api", scope) if scope == "self_rotate" else ("read_api",)
    assert caller.scopes == expected


@pytest.mark.parametrize("is_admin", [True, False])
def test_it_cannot_be_used_for_a_further_sudo(is_admin: bool) -> None:
    refused = _decide(
        owner={"is_admin": is_admin},
        token={"scopes": ("api", "sudo")},
        ask=SudoAsk(target("root"), "ticket 12"),
        policy=SudoPolicy(admin_targets=True),
    )
    assert isinstance(refused, Refusal)
    assert refused.check is (Check.CREDENTIAL if is_admin else Check.ADMIN)
    assert refused.is_sudo


@pytest.mark.parametrize("ask", [SudoAsk(target("root")), InvalidSudo()], ids=["good", "junk"])
def test_a_dead_one_that_asks_for_sudo_is_a_dead_credential_and_no_sudo(
    ask: SudoAsk | InvalidSudo,
) -> None:
    refused = _decide(source={"is_revoked": True}, ask=ask)
    assert isinstance(refused, Refusal)
    assert refused.check is Check.SOURCE


def test_a_sudo_that_cannot_be_read_is_not_ignored() -> None:
    refused = _decide(ask=InvalidSudo())
    assert isinstance(refused, Refusal)
    assert refused.check is Check.SUDO


def test_a_narrower_token_of_the_same_owner_acts_as_nobody_else() -> None:
    caller = _downscoped()
    assert caller == Caller(ALICE, ALICE, TOKEN, TOKEN.scopes)


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        pytest.param({"is_revoked": True}, Check.REVOKED, id="revoked"),
        pytest.param({"expires_ms": NOW}, Check.EXPIRED, id="expired"),
        pytest.param({"kind": "exchanged"}, Check.SOURCE, id="exchanged itself"),
    ],
)
def test_a_narrower_token_dies_with_its_source(source: dict[str, Any], cause: Check) -> None:
    refused = _downscoped(source=source)
    assert isinstance(refused, Refusal)
    assert (refused.check, refused.source_check) == (Check.SOURCE, cause)


def test_a_narrower_token_is_narrowed_further_with_its_source() -> None:
    caller = _downscoped(source={"scopes": ("read_user",)})
    assert isinstance(caller, Caller)
    assert caller.scopes == ("read_user",)


def test_without_an_actor_nobody_elses_token_counts_as_a_source() -> None:
    refused = _downscoped(source_owner=ROOT)
    assert refused == Refusal(Check.SOURCE, TOKEN, ALICE)


@pytest.mark.parametrize(
    ("own", "source", "effective"),
    [
        pytest.param((), (), (), id="for everybody"),
        pytest.param(("a",), (), ("a",), id="its own"),
        pytest.param((), ("a",), ("a",), id="the source's, narrowed meanwhile"),
        pytest.param(("a", "b"), ("b", "c"), ("b",), id="what both have"),
    ],
)
def test_it_is_for_no_client_for_which_its_source_is_not(
    own: tuple[str, ...], source: tuple[str, ...], effective: tuple[str, ...]
) -> None:
    caller = _decide(token={"audience": own}, source={"audience": source})
    assert isinstance(caller, Caller)
    assert caller.token == TOKEN._replace(audience=effective)


def test_it_dies_when_no_client_is_left() -> None:
    refused = _decide(token={"audience": ("a",)}, source={"audience": ("b",)})
    assert isinstance(refused, Refusal)
    assert (refused.check, refused.source_check) == (Check.SOURCE, None)


@pytest.mark.parametrize(
    ("own", "source", "check"),
    [
        pytest.param(("10.0.0.0/8",), ("10.0.0.0/8",), None, id="in both lists"),
        pytest.param((), ("10.0.0.0/8",), None, id="in the source's alone"),
        pytest.param(("10.0.0.0/8",), ("192.0.2.7",), Check.SOURCE, id="not in the source's"),
        pytest.param((), ("192.0.2.7",), Check.SOURCE, id="not in the source's alone"),
        pytest.param(("192.0.2.7",), (), Check.NETWORK, id="not in its own"),
    ],
)
def test_it_is_good_from_no_place_from_where_its_source_is_not(
    own: tuple[str, ...], source: tuple[str, ...], check: Check | None
) -> None:
    changed = {"token": {"allowed_ips": own}, "source": {"allowed_ips": source}}
    found = _decide(**changed, remote_ip="10.1.2.3")
    assert (found.check if isinstance(found, Refusal) else None) is check
    nowhere = _decide(**changed)
    assert isinstance(nowhere, Refusal)
    if check is Check.SOURCE:
        assert isinstance(found, Refusal)
        assert found.source_check is Check.NETWORK


@pytest.mark.parametrize(
    ("own", "source", "end"),
    [
        pytest.param(NOW + 2, NOW + 1, NOW + 1, id="the source's"),
        pytest.param(NOW + 1, NOW + 2, NOW + 1, id="its own"),
        pytest.param(NOW + 1, None, NOW + 1, id="a source without end"),
        pytest.param(None, None, None, id="none"),
    ],
)
def test_it_ends_no_later_than_its_source(
    own: int | None, source: int | None, end: int | None
) -> None:
    caller = _decide(token={"expires_ms": own}, source={"expires_ms": source})
    assert isinstance(caller, Caller)
    assert caller.token == TOKEN._replace(expires_ms=end)


SCOPES = st.lists(
    st.sampled_from(["api", "sudo", "read_user", "read_api", "introspect", "self_rotate"]),
    min_size=1,
    unique=True,
).map(tuple)
STATES = st.sampled_from(UserState)
MOMENTS = st.none() | st.integers(NOW - 1, NOW + 1)


@given(
    token=st.fixed_dictionaries({"scopes": SCOPES, "expires_ms": MOMENTS}),
    source=st.fixed_dictionaries(
        {"scopes": SCOPES, "expires_ms": MOMENTS, "is_revoked": st.booleans()}
    ),
    owner=st.fixed_dictionaries({"state": STATES, "is_admin": st.booleans()}),
    actor=st.fixed_dictionaries({"state": STATES, "is_admin": st.booleans()}),
    reason=st.none() | st.just("why"),
    policy=st.builds(SudoPolicy, st.booleans(), st.booleans()),
)
def test_it_is_never_worth_more_than_the_sudo_that_it_stands_for(
    token: dict[str, Any],
    source: dict[str, Any],
    owner: dict[str, Any],
    actor: dict[str, Any],
    reason: str | None,
    policy: SudoPolicy,
) -> None:
    found = _decide(
        token=token, source=source, owner=owner, actor=actor, reason=reason, policy=policy
    )
    subject = ALICE._replace(**owner)
    anew = decide(
        SOURCE._replace(**source),
        ROOT._replace(**actor),
        SudoAsk(target("2"), reason),
        subject,
        now_ms=NOW,
        policy=policy,
    )
    is_dead = token["expires_ms"] is not None and token["expires_ms"] <= NOW
    is_left = isinstance(anew, Caller) and bool(common(token["scopes"], anew.scopes))
    assert isinstance(found, Caller) == (is_left and not is_dead)
    if isinstance(found, Caller) and isinstance(anew, Caller):
        assert (found.actor, found.subject) == (anew.actor, anew.subject)
        assert not missing(found.scopes, token["scopes"])
        assert not missing(found.scopes, under_sudo(source["scopes"]))
