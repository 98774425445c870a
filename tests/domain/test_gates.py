from __future__ import annotations

import pytest

from tokensrv.domain.caller import Caller, Check, Refusal
from tokensrv.domain.facts import TokenFacts, TokenKind, UserFacts, UserState
from tokensrv.domain.gates import NoEntry, Obstacle, opens
from tokensrv.domain.introspection import Verdict

ROOT = UserFacts(1, "root", UserState.ACTIVE, is_admin=True)


def verdict(*scopes: str) -> Verdict:
    token = TokenFacts(7, TokenKind.PERSONAL, ROOT.id, scopes, (), 0, None, is_revoked=False)
    return Verdict(Caller(ROOT, ROOT, token, scopes), token, scopes)


@pytest.mark.parametrize("scopes", [("read_user",), ("api", "sudo"), ("deploy",)])
def test_what_opens_something_opens_a_gate(scopes: tuple[str, ...]) -> None:
    assert opens(verdict(*scopes)) == verdict(*scopes)


@pytest.mark.parametrize(
    "scopes", [("sudo",), ("introspect",), ("self_rotate",), ("sudo", "introspect"), ()]
)
def test_what_opens_nothing_of_its_own_opens_no_gate(scopes: tuple[str, ...]) -> None:
    found = verdict(*scopes)
    assert opens(found) == Refusal(Check.WANTED, found.token, ROOT, target=ROOT)


def test_a_refusal_stays_what_it_is() -> None:
    refused = Refusal(Check.EXPIRED, verdict("api").token, ROOT)
    assert opens(refused) is refused


FORBIDDEN = {
    Check.SUDO,
    Check.CLIENT,
    Check.ADMIN,
    Check.CREDENTIAL,
    Check.SCOPE,
    Check.TARGET,
    Check.TARGET_STATE,
    Check.TARGET_ADMIN,
    Check.REASON,
    Check.WANTED,
    Obstacle.REQUEST,
    Obstacle.RULE,
    Obstacle.LIFETIME,
    Obstacle.TOO_MANY,
}


@pytest.mark.parametrize("check", [*Check, *Obstacle])
def test_other_credentials_may_help_but_where_they_are_good_already(
    check: Check | Obstacle,
) -> None:
    refused = NoEntry.by(Refusal(check)) if isinstance(check, Check) else NoEntry(check)
    assert refused.is_forbidden == (check in FORBIDDEN)
