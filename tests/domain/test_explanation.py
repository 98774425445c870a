from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensrv.domain.caller import Check, InvalidSudo, Refusal, SudoAsk, SudoPolicy
from tokensrv.domain.explanation import CLIENT_ENABLED, Explanation, Step, explain
from tokensrv.domain.facts import (
    ClientFacts,
    ExchangeFacts,
    Facts,
    TokenFacts,
    TokenKind,
    UserFacts,
    UserState,
)
from tokensrv.domain.introspection import Question, Verdict, judge
from tokensrv.domain.secret import Kind, mint
from tokensrv.domain.usernames import target

NOW = 1_773_144_000_000
ROOT = UserFacts(1, "root", UserState.ACTIVE, is_admin=True)
ALICE = UserFacts(2, "alice", UserState.ACTIVE, is_admin=False)
TOKEN = TokenFacts(
    id=7,
    kind=TokenKind.PERSONAL,
    user_id=1,
    scopes=("api", "sudo"),
    audience=(),
    created_ms=0,
    expires_ms=NOW + 1000,
    is_revoked=False,
)
EXCHANGED = TOKEN._replace(id=8, kind=TokenKind.EXCHANGED, user_id=2, scopes=("api",))
CLIENT = ClientFacts(
    id=3, client_id="asker", secret_digests=(), is_disabled=False, scopes=None, allow=("sudo",)
)
ASK = SudoAsk(target("alice"), "ticket 12")
SUDO = Question(ASK)
PLAIN = Question()
STRICT = SudoPolicy(reason_required=True)


def _explain(
    question: Question = PLAIN,
    *,
    client: dict[str, Any] | None = None,
    token: dict[str, Any] | None = None,
    owner: dict[str, Any] | None = None,
    target: UserFacts | None = ALICE,
    policy: SudoPolicy = STRICT,
) -> Explanation:
    """Return the explanation of good facts, but for what was changed about them."""
    facts = Facts(
        client=None if client is None else CLIENT._replace(**client),
        token=TOKEN._replace(**token or {}),
        owner=ROOT._replace(**owner or {}),
        target=target,
    )
    return explain(facts, question, now_ms=NOW, policy=policy)


def _names(found: Explanation) -> list[str]:
    return [step.check for step in found.steps]


def test_a_good_token_has_passed_what_every_token_must() -> None:
    assert _explain() == Explanation(
        True,
        (
            Step("unknown", True, "It is the personal token 7 of root."),
            Step("expired", True, "It lasts until 2026-03-10T12:00:01.000Z."),
            Step("revoked", True, "It was not revoked."),
            Step("owner", True, "Its owner root is active."),
        ),
    )


def test_a_client_that_asks_for_all_at_once_is_told_every_check_in_its_order() -> None:
    question = Question(ASK, scopes=("api",), remote_ip="10.1.2.3")
    found = _explain(
        question,
        client={"scopes": ("api", "read_api")},
        token={"allowed_ips": ("10.0.0.0/8",)},
    )
    left_out = {Check.SOURCE}
    expected = [check.value for check in Check if check not in left_out]
    assert found.is_active
    assert _names(found) == [CLIENT_ENABLED, *expected]
    assert all(step.passed and step.detail.endswith(".") for step in found.steps)


@pytest.mark.parametrize(
    ("question", "client", "asked"),
    [
        pytest.param(PLAIN, None, [], id="nothing more"),
        pytest.param(PLAIN, {}, [CLIENT_ENABLED, "audience"], id="a client"),
        pytest.param(
            PLAIN, {"scopes": ("api",)}, [CLIENT_ENABLED, "audience"], id="a limit, nothing wanted"
        ),
        pytest.param(Question(scopes=("api",)), None, ["wanted"], id="scopes"),
        pytest.param(
            Question(scopes=("api",)),
            {"scopes": ("api",)},
            [CLIENT_ENABLED, "audience", "wanted", "limit"],
            id="scopes of a client with a limit",
        ),
        pytest.param(
            Question(SudoAsk(ASK.target)),
            None,
            ["sudo", "admin", "credential", "scope", "target", "target_state", "target_admin"],
            id="sudo without a reason",
        ),
    ],
)
def test_only_what_the_question_depends_on_is_told(
    question: Question, client: dict[str, Any] | None, asked: list[str]
) -> None:
    found = _explain(question, client=client, policy=SudoPolicy())
    always = {"unknown", "expired", "revoked", "owner"}
    assert [name for name in _names(found) if name not in always] == asked


FAILURES = [
    pytest.param(
        {"token": {"expires_ms": NOW}}, "expired", "It expired at 2026-03-10T12:00:00.000Z."
    ),
    pytest.param(
        {"token": {"is_revoked": True}}, "revoked", "It was revoked; the event log says by whom."
    ),
    pytest.param(
        {
            "token": {"allowed_ips": ("10.0.0.0/8", "192.0.2.7")},
            "question": Question(remote_ip="192.0.2.8"),
        },
        "network",
        "It may be used from 10.0.0.0/8, 192.0.2.7, and not from 192.0.2.8.",
    ),
    pytest.param(
        {"token": {"allowed_ips": ("::1",)}},
        "network",
        "It may be used from ::1, and not from an unknown address.",
    ),
    pytest.param({"owner": {"state": "banned"}}, "owner", "Its owner root is banned."),
    pytest.param(
        {"question": Question(InvalidSudo())},
        "sudo",
        "The user to act as is empty or cannot be read.",
    ),
    pytest.param(
        {"client": {"allow": ()}, "question": SUDO},
        "client",
        "The client asker may not ask about sudo.",
    ),
    pytest.param(
        {"owner": {"is_admin": False}, "question": SUDO}, "admin", "root is not an admin."
    ),
    pytest.param(
        {"token": {"scopes": ("api", "introspect")}, "question": SUDO},
        "scope",
        "It does not have the scope sudo: api introspect.",
    ),
    pytest.param({"target": None, "question": SUDO}, "target", "There is no user alice."),
    pytest.param(
        {"target": ALICE._replace(state="blocked"), "question": SUDO},
        "target_state",
        "alice is blocked.",
    ),
    pytest.param(
        {"target": ROOT, "question": Question(SudoAsk(target("root"), "x"))},
        "target_admin",
        "root is an admin, whom nobody may act as.",
    ),
    pytest.param(
        {"question": Question(SudoAsk(ASK.target))}, "reason", "The reason is missing or too long."
    ),
    pytest.param(
        {"client": {}, "token": {"audience": ("other", "third")}},
        "audience",
        "It is meant for other clients than asker: other third.",
    ),
    pytest.param(
        {"question": Question(scopes=("api", "deploy"))}, "wanted", "It does not hold: deploy."
    ),
    pytest.param(
        {"client": {"scopes": ("read_user",)}, "question": Question(scopes=("api", "read_user"))},
        "limit",
        "The client asker may not see: api.",
    ),
]


@pytest.mark.parametrize(
    ("changed", "check", "detail"), FAILURES, ids=[str(case.values[1]) for case in FAILURES]
)
def test_what_failed_comes_last_and_says_why(
    changed: dict[str, Any], check: str, detail: str
) -> None:
    found = _explain(**changed)
    *before, last = found.steps
    assert not found.is_active
    assert last == Step(check, False, detail)
    assert all(step.passed for step in before)


def test_a_disabled_client_is_told_nothing_of_the_token() -> None:
    found = _explain(client={"is_disabled": True})
    detail = "The client asker is disabled and is told nothing."
    assert found == Explanation(False, (Step(CLIENT_ENABLED, False, detail),))


def test_an_unknown_token_ends_it() -> None:
    found = explain(Facts(), PLAIN, now_ms=NOW, policy=STRICT)
    assert found == Explanation(False, (Step("unknown", False, "There is no such token."),))


def test_a_token_without_end_says_so() -> None:
    assert (
        Step("expired", True, "It lasts without end.") in _explain(token={"expires_ms": None}).steps
    )


@pytest.mark.parametrize(
    ("asking", "check"),
    [
        pytest.param(lambda text: Question(SudoAsk(target(text), "x")), "target", id="name"),
        pytest.param(lambda text: Question(scopes=(text,)), "wanted", id="scope"),
    ],
)
def test_a_secret_in_the_place_of_something_else_is_not_repeated(
    asking: Callable[[str], Question], check: str
) -> None:
    secret = mint("ts", Kind.PERSONAL)
    found = _explain(asking(secret), target=None)
    assert found.steps[-1].check == check
    assert "tsp_***" in found.steps[-1].detail
    assert secret[-36:] not in str(found)


def _exchanged(
    question: Question = PLAIN,
    *,
    source: dict[str, Any] | None = None,
    actor: dict[str, Any] | None = None,
    is_gone: bool = False,
    policy: SudoPolicy = STRICT,
) -> Explanation:
    exchange = ExchangeFacts(
        source=TOKEN._replace(**source or {}),
        source_owner=ROOT._replace(**actor or {}),
        has_actor=True,
        client_id="exchanger",
        reason="ticket 12",
    )
    facts = Facts(CLIENT, EXCHANGED, ALICE, ROOT, None if is_gone else exchange)
    return explain(facts, question, now_ms=NOW, policy=policy)


def test_an_exchanged_token_names_its_source() -> None:
    detail = "Token 7 of root, for which it was exchanged, would still get it."
    assert Step("source", True, detail) in _exchanged().steps


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        pytest.param({"is_gone": True}, "Its source is gone.", id="gone"),
        pytest.param(
            {"source": {"is_revoked": True}},
            "Of its source, token 7: It was revoked; the event log says by whom.",
            id="revoked",
        ),
        pytest.param(
            {
                "source": {"allowed_ips": ("10.0.0.0/8",)},
                "question": Question(remote_ip="192.0.2.8"),
            },
            "Of its source, token 7: It may be used from 10.0.0.0/8, and not from 192.0.2.8.",
            id="good from elsewhere",
        ),
        pytest.param(
            {"actor": {"is_admin": False}},
            "Of its source, token 7: root is not an admin.",
            id="actor demoted",
        ),
        pytest.param(
            {"source": {"kind": "exchanged"}},
            "Of its source, token 7: What it was exchanged for does not count any more."
            " Its source is gone.",
            id="exchanged itself",
        ),
    ],
)
def test_an_exchanged_token_says_what_became_of_its_source(
    changed: dict[str, Any], cause: str
) -> None:
    found = _exchanged(**changed)
    detail = f"What it was exchanged for does not count any more. {cause}"
    assert found.steps[-1] == Step("source", False, detail)


def test_a_further_sudo_with_an_exchanged_token_is_explained() -> None:
    exchange = ExchangeFacts(TOKEN, ROOT, has_actor=True, client_id="exchanger", reason="x")
    owner = ALICE._replace(is_admin=True)
    facts = Facts(None, EXCHANGED, owner, ROOT, exchange)
    found = explain(facts, SUDO, now_ms=NOW, policy=SudoPolicy(admin_targets=True))
    detail = "An exchanged token may not act as yet another user."
    assert found.steps[-1] == Step("credential", False, detail)


def test_the_audience_of_the_source_counts_too() -> None:
    source = TOKEN._replace(audience=("other",), is_revoked=True)
    exchange = ExchangeFacts(source, ROOT, has_actor=True, client_id="exchanger", reason="x")
    found = explain(
        Facts(CLIENT, EXCHANGED, ALICE, None, exchange), PLAIN, now_ms=NOW, policy=STRICT
    )
    detail = "It is meant for other clients than asker: other."
    assert found.steps[-1] == Step("audience", False, detail)


def _holds(check: str, facts: Facts, question: Question, policy: SudoPolicy) -> bool:
    """Return whether what a passed check says is so, found out in another way."""
    token, owner, target, client = facts.token, facts.owner, facts.target, facts.client
    ask, exchange = question.ask, facts.exchange
    if check == CLIENT_ENABLED:
        return client is not None and not client.is_disabled
    if token is None or owner is None:
        return False
    return {
        "unknown": True,
        "audience": all(
            not paper.audience or "asker" in paper.audience
            for paper in (token, exchange.source if exchange else token)
        ),
        "expired": token.expires_ms is None or token.expires_ms > NOW,
        "revoked": not token.is_revoked,
        "network": question.remote_ip == "10.1.2.3",
        "owner": owner.state == "active",
        "source": exchange is not None and not exchange.source.is_revoked,
        "sudo": isinstance(ask, SudoAsk),
        "client": client is not None and "sudo" in client.allow,
        "admin": owner.is_admin,
        "credential": token.kind != "exchanged",
        "scope": "sudo" in token.scopes,
        "target": target is not None,
        "target_state": target is not None and target.state == "active",
        "target_admin": target is not None and (policy.admin_targets or not target.is_admin),
        "reason": isinstance(ask, SudoAsk) and bool(ask.reason),
        # Nothing contains these.
        "wanted": {"sudo", "deploy"} & set(question.scopes) <= set(token.scopes),
    }[check]


USERS = st.builds(
    UserFacts, st.integers(1, 3), st.just("u"), st.sampled_from(UserState), st.booleans()
)
WORDS = st.lists(st.sampled_from(["api", "sudo", "read_user", "deploy"]), unique=True).map(tuple)
AUDIENCES = st.sampled_from([(), ("asker",), ("other",)])
TOKENS = st.builds(
    TokenFacts,
    id=st.integers(1, 2),
    kind=st.sampled_from(TokenKind),
    user_id=st.just(1),
    scopes=WORDS,
    audience=AUDIENCES,
    created_ms=st.just(0),
    expires_ms=st.none() | st.integers(NOW - 1, NOW + 1),
    is_revoked=st.booleans(),
    allowed_ips=st.sampled_from([(), ("10.0.0.0/8",)]),
)
CLIENTS = st.builds(
    ClientFacts,
    id=st.just(1),
    client_id=st.just("asker"),
    secret_digests=st.just(()),
    is_disabled=st.booleans(),
    scopes=st.none() | WORDS,
    allow=st.sampled_from([(), ("sudo",)]),
)
EXCHANGES = st.builds(
    ExchangeFacts,
    TOKENS,
    USERS,
    has_actor=st.booleans(),
    client_id=st.just("exchanger"),
    reason=st.none() | st.just("why"),
)


@st.composite
def found_facts(draw: st.DrawFn) -> Facts:
    """Return facts as the lookup finds them: every token has an owner."""
    client, target = draw(st.none() | CLIENTS), draw(st.none() | USERS)
    token = draw(st.none() | TOKENS)
    is_exchanged = token is not None and token.kind == TokenKind.EXCHANGED
    return Facts(
        client=client,
        token=token,
        owner=None if token is None else draw(USERS),
        target=target,
        exchange=draw(st.none() | EXCHANGES) if is_exchanged else None,
    )


QUESTIONS = st.builds(
    Question,
    ask=st.none()
    | st.just(InvalidSudo())
    | st.builds(SudoAsk, st.just(ASK.target), st.none() | st.text(max_size=2)),
    scopes=WORDS,
    remote_ip=st.sampled_from([None, "10.1.2.3", "192.0.2.7"]),
)


@given(
    facts=found_facts(),
    question=QUESTIONS,
    policy=st.builds(SudoPolicy, st.booleans(), st.booleans()),
)
def test_it_says_what_is_answered_and_its_last_check_is_the_refused_one(
    facts: Facts, question: Question, policy: SudoPolicy
) -> None:
    found = explain(facts, question, now_ms=NOW, policy=policy)
    judged = judge(facts, question, now_ms=NOW, policy=policy)
    is_told = facts.client is None or not facts.client.is_disabled
    assert found.is_active == (is_told and isinstance(judged, Verdict))
    assert found.is_active == all(step.passed for step in found.steps)
    assert all(step.passed for step in found.steps[:-1])
    if is_told and isinstance(judged, Refusal):
        assert found.steps[-1].check == judged.check
        assert all(_holds(step.check, facts, question, policy) for step in found.steps[:-1])
    order = [CLIENT_ENABLED, *Check]
    assert _names(found) == sorted(_names(found), key=order.index)
