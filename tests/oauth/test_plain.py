"""Plain answers: a template that writes what a library would."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensrv.config import Settings
from tokensrv.domain.caller import Caller
from tokensrv.domain.facts import ClientFacts, ExchangeFacts, Facts, TokenFacts, UserFacts
from tokensrv.domain.introspection import Answer, Verdict, active, inactive
from tokensrv.oauth import plain

# Letters that JSON must escape, and others.
TEXTS = st.text(max_size=20) | st.sampled_from(['"', "\\", "\n", "\x7f", "ü", "\U0001f600"])
NUMBERS = st.integers(1, 2**63 - 1)
USERS = st.builds(UserFacts, NUMBERS, TEXTS, st.just("active"), st.booleans())
TOKENS = st.builds(
    TokenFacts,
    id=NUMBERS,
    kind=st.just("personal"),
    user_id=NUMBERS,
    scopes=st.lists(TEXTS, max_size=3).map(tuple),
    audience=st.lists(TEXTS, max_size=3).map(tuple),
    created_ms=st.integers(0, 2**50),
    expires_ms=st.none() | st.integers(0, 2**50),
    is_revoked=st.just(False),
)
CALLERS = st.builds(
    Caller, actor=USERS, subject=USERS, token=TOKENS, scopes=st.just(()), is_sudo=st.booleans()
)
CLIENTS = st.builds(
    ClientFacts, NUMBERS, TEXTS, st.just(()), st.just(False), st.none(), st.just(())
)
EXCHANGES = st.builds(ExchangeFacts, TOKENS, USERS, st.booleans(), TEXTS, st.none())
ANSWERS = st.builds(
    active,
    st.builds(Verdict, CALLERS, TOKENS, st.lists(TEXTS, max_size=3).map(tuple)),
    st.builds(Facts, client=st.none() | CLIENTS, exchange=st.none() | EXCHANGES),
    issuer=TEXTS,
    now_ms=st.integers(0, 2**50),
    soft_exp_seconds=st.none() | st.integers(1, 3600),
)


@given(ANSWERS | st.builds(inactive))
def test_every_answer_is_written_as_the_library_writes_it(answer: Answer) -> None:
    written = plain.body(answer)
    assert written == json.dumps(answer, separators=(",", ":")).encode() + b"\n"
    # The same members in the same order, whatever letters they are of.
    assert list(json.loads(written).items()) == list(answer.items())


@pytest.mark.parametrize(
    ("soft_exp_seconds", "more", "seconds"),
    [
        pytest.param(None, {}, "0", id="as a rule"),
        pytest.param(30, {}, "30", id="where that is the setting"),
        pytest.param(30, {"active": False}, "0", id="never for an inactive token"),
        pytest.param(30, {"act": {}}, "0", id="never under sudo"),
    ],
)
def test_a_proxy_may_keep_an_answer_only_where_the_instance_says_so(
    soft_exp_seconds: int | None, more: Answer, seconds: str
) -> None:
    settings = Settings(soft_exp_seconds=soft_exp_seconds)
    answer = {"active": True, "expires_in": 30} | more
    assert ("X-Accel-Expires", seconds) in plain.headers(answer, settings)
