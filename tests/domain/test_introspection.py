from __future__ import annotations

from typing import Any

import pytest

from tokensrv.domain.caller import Check, Refusal, SudoAsk, SudoPolicy
from tokensrv.domain.facts import (
    ClientFacts,
    ExchangeFacts,
    Facts,
    TokenFacts,
    TokenKind,
    UserFacts,
    UserState,
)
from tokensrv.domain.introspection import (
    Judgement,
    Question,
    Verdict,
    active,
    inactive,
    is_for,
    judge,
)
from tokensrv.domain.usernames import target

ISSUER = "https://tokens.example"
CREATED_MS, EXPIRES_MS, NOW_MS = 1_000_999, 3_600_000_000, 2_000_500
ROOT = UserFacts(1, "root", UserState.ACTIVE, is_admin=True)
ALICE = UserFacts(2, "alice", UserState.ACTIVE, is_admin=False)
TOKEN = TokenFacts(
    id=7,
    kind=TokenKind.PERSONAL,
    user_id=1,
    scopes=("api", "sudo"),
    audience=("asker", "other"),
    created_ms=CREATED_MS,
    expires_ms=EXPIRES_MS,
    is_revoked=False,
)
CLIENT = ClientFacts(
    id=3, client_id="asker", secret_digests=(), is_disabled=False, scopes=None, allow=()
)

pytestmark = pytest.mark.rfc7662("2.2")


EXCHANGED = TOKEN._replace(
    id=8, kind=TokenKind.EXCHANGED, user_id=2, scopes=("read_api",), audience=()
)
EXCHANGE = ExchangeFacts(TOKEN, ROOT, has_actor=True, client_id="exchanger", reason="ticket 12")


GOOD, PLAIN = Facts(CLIENT, TOKEN, ROOT), Question()


def _answer(facts: Facts = GOOD, question: Question = PLAIN, **options: Any) -> dict[str, Any]:
    """Return the answer about facts that are good."""
    verdict = _judged(facts, question)
    assert isinstance(verdict, Verdict), verdict
    return active(verdict, facts, issuer=ISSUER, now_ms=NOW_MS, **options)


def _judged(facts: Facts, question: Question = PLAIN) -> Judgement:
    return judge(facts, question, now_ms=NOW_MS, policy=SudoPolicy())


def _token(**changed: Any) -> TokenFacts:
    return TOKEN._replace(**changed)


def _client(**changed: Any) -> ClientFacts:
    return CLIENT._replace(**changed)


def test_inactive_is_one_member_and_nothing_more() -> None:
    assert inactive() == {"active": False}


def test_an_active_token_has_all_its_members() -> None:
    assert _answer() == {
        "active": True,
        "scope": "api sudo",
        "client_id": "asker",
        "username": "root",
        "token_type": "Bearer",
        "exp": 3_600_000,
        "iat": 1000,
        "nbf": 1000,
        "sub": "1",
        "aud": ["asker", "other"],
        "iss": ISSUER,
        "jti": "7",
        "expires_in": 3_598_000,
    }


def test_what_does_not_apply_is_absent() -> None:
    token = _token(expires_ms=None, audience=())
    answer = _answer(Facts(None, token, ROOT))
    assert {"exp", "expires_in", "aud", "client_id", "act"}.isdisjoint(answer)


def test_under_sudo_it_speaks_of_the_subject_and_names_the_actor() -> None:
    facts = Facts(_client(allow=("sudo",)), TOKEN, ROOT, ALICE)
    answer = _answer(facts, Question(SudoAsk(target("alice"))))
    assert (answer["sub"], answer["username"], answer["scope"]) == ("2", "alice", "api")
    assert answer["act"] == {"sub": "1", "username": "root", "jti": "7"}


@pytest.mark.parametrize("allow", [(), ("sudo",)])
def test_an_exchanged_token_names_who_exchanged_it_and_the_actor(allow: tuple[str, ...]) -> None:
    facts = Facts(_client(allow=allow), EXCHANGED, ALICE, exchange=EXCHANGE)
    answer = _answer(facts)
    assert (answer["client_id"], answer["jti"], answer["scope"]) == ("exchanger", "8", "read_api")
    assert (answer["sub"], answer["username"]) == ("2", "alice")
    # RFC 8693 §4.1; the token of the actor is the one that was exchanged.
    assert answer["act"] == {"sub": "1", "username": "root", "jti": "7"}


def test_a_token_that_was_only_made_narrower_names_no_actor() -> None:
    exchange = ExchangeFacts(_token(user_id=2), ALICE, False, "exchanger", None)
    token = EXCHANGED._replace(scopes=("api",))
    assert "act" not in _answer(Facts(CLIENT, token, ALICE, exchange=exchange))


@pytest.mark.parametrize(
    ("expires_ms", "soft", "exp"),
    [
        pytest.param(None, 60, 2060, id="gives an end to what has none"),
        pytest.param(EXPIRES_MS, 60, 2060, id="is earlier than the end"),
        pytest.param(2_030_000, 60, 2030, id="is never later than the end"),
        pytest.param(None, None, None, id="is off"),
    ],
)
def test_a_soft_end(expires_ms: int | None, soft: int | None, exp: int | None) -> None:
    facts = Facts(CLIENT, _token(expires_ms=expires_ms), ROOT)
    answer = _answer(facts, soft_exp_seconds=soft)
    assert answer.get("exp") == exp
    assert answer.get("expires_in") == (None if exp is None else exp - NOW_MS // 1000)


@pytest.mark.parametrize(
    ("audience", "client", "is_told"),
    [
        pytest.param((), CLIENT, True, id="a token for everybody"),
        pytest.param(("asker",), CLIENT, True, id="a client in the audience"),
        pytest.param(("other",), CLIENT, False, id="a client outside it"),
        pytest.param(("ask",), CLIENT, False, id="a part of a client id"),
        pytest.param(("other",), None, True, id="no client"),
    ],
)
def test_the_audience(audience: tuple[str, ...], client: ClientFacts | None, is_told: bool) -> None:
    token = _token(audience=audience)
    assert is_for(token, client) == is_told
    judged = _judged(Facts(client, token, ROOT))
    assert isinstance(judged, Verdict) == is_told
    assert is_told or judged == Refusal(Check.AUDIENCE, token, ROOT)


@pytest.mark.parametrize(
    ("remote_ip", "is_told"), [("10.1.2.3", True), ("192.0.2.7", False), (None, False)]
)
def test_the_allow_list(remote_ip: str | None, is_told: bool) -> None:
    token = _token(allowed_ips=("10.0.0.0/8",))
    judged = _judged(Facts(CLIENT, token, ROOT), Question(remote_ip=remote_ip))
    assert isinstance(judged, Verdict) == is_told
    assert is_told or judged == Refusal(Check.NETWORK, token, ROOT)


@pytest.mark.parametrize(
    ("granted", "client", "wanted", "shown"),
    [
        pytest.param(("api",), CLIENT, (), ("api",), id="as granted"),
        pytest.param(("api",), None, ("read_user",), ("api",), id="no client"),
        pytest.param(("api",), CLIENT, ("read_user",), ("api",), id="wanted and contained"),
        pytest.param(
            ("api",),
            _client(scopes=("read_user", "deploy")),
            (),
            ("read_user",),
            id="of the limit, what is held",
        ),
        pytest.param(("deploy",), _client(scopes=("api",)), (), (), id="none of the limit is held"),
        pytest.param(("api",), _client(scopes=()), (), (), id="a limit of nothing"),
        pytest.param(
            ("api",),
            _client(scopes=("read_api",)),
            ("read_user",),
            ("read_api",),
            id="wanted within the limit",
        ),
    ],
)
def test_the_scopes_that_a_client_sees(
    granted: tuple[str, ...],
    client: ClientFacts | None,
    wanted: tuple[str, ...],
    shown: tuple[str, ...],
) -> None:
    judged = _judged(Facts(client, _token(scopes=granted), ROOT), Question(scopes=wanted))
    assert isinstance(judged, Verdict)
    assert judged.scopes == shown


@pytest.mark.parametrize(
    ("granted", "limit", "wanted", "check", "missing"),
    [
        pytest.param(("read_user",), None, ("api",), Check.WANTED, ("api",), id="not held"),
        pytest.param(
            ("api",), None, ("read_user", "deploy"), Check.WANTED, ("deploy",), id="held in part"
        ),
        pytest.param(("api",), None, ("sudo",), Check.WANTED, ("sudo",), id="contained in none"),
        pytest.param(
            ("api",), ("read_user",), ("api",), Check.LIMIT, ("api",), id="beyond the limit"
        ),
        pytest.param(
            ("read_user",), ("deploy",), ("api",), Check.WANTED, ("api",), id="the token is first"
        ),
    ],
)
def test_wanted_scopes_that_are_not_granted_are_refused_by_name(
    granted: tuple[str, ...],
    limit: tuple[str, ...] | None,
    wanted: tuple[str, ...],
    check: Check,
    missing: tuple[str, ...],
) -> None:
    token = _token(scopes=granted)
    judged = _judged(Facts(_client(scopes=limit), token, ROOT), Question(scopes=wanted))
    assert judged == Refusal(check, token, ROOT, target=ROOT, missing=missing)


def test_under_sudo_the_effective_scopes_count() -> None:
    question = Question(SudoAsk(target("alice")), scopes=("sudo",))
    judged = _judged(Facts(None, TOKEN, ROOT, ALICE), question)
    assert isinstance(judged, Refusal)
    assert judged.check is Check.WANTED


def test_a_client_that_may_not_sudo_is_refused_before_anything_is_said_about_the_target() -> None:
    judged = _judged(Facts(CLIENT, TOKEN, ROOT, None), Question(SudoAsk(target("nobody"))))
    assert isinstance(judged, Refusal)
    assert judged.check is Check.CLIENT
