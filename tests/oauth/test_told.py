"""Told: an answer is found again for the very same facts only, and not for long."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tokensrv.config import Settings
from tokensrv.domain.facts import ClientFacts, Facts, TokenFacts, UserFacts
from tokensrv.oauth.told import LIMIT, Rendered, Told

NOW_MS = 1_000_500
SETTINGS = Settings()
CLIENT = ClientFacts(1, "service", (b"digest",), is_disabled=False, scopes=None, allow=())
TOKEN = TokenFacts(7, "personal", 2, ("api",), (), 0, NOW_MS + 100, is_revoked=False)
OWNER = UserFacts(2, "alice", "active", is_admin=False)
FACTS = Facts(CLIENT, TOKEN, OWNER)
ANSWER = Rendered([("Vary", "Accept")], b"{}")


@pytest.fixture
def told() -> Told:
    found = Told()
    keep(found, FACTS)
    return found


def keep(told: Told, facts: Facts) -> None:
    """Keep the answer, which is worth it from the second question on."""
    told.keep(facts, SETTINGS, NOW_MS, ANSWER)
    told.keep(facts, SETTINGS, NOW_MS, ANSWER)


def test_the_same_facts_read_anew_find_the_answer_within_its_second(told: Told) -> None:
    again = Facts(CLIENT._replace(), TOKEN._replace(), OWNER._replace())
    assert told.find(again, SETTINGS, NOW_MS + 99) is ANSWER


def test_the_first_answer_about_a_token_is_not_kept() -> None:
    told = Told()
    told.keep(FACTS, SETTINGS, NOW_MS, ANSWER)
    assert told.find(FACTS, SETTINGS, NOW_MS) is None


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(FACTS._replace(token=TOKEN._replace(is_revoked=True)), id="revoked"),
        pytest.param(FACTS._replace(token=TOKEN._replace(scopes=("read_api",))), id="narrower"),
        pytest.param(FACTS._replace(token=TOKEN._replace(audience=("other",))), id="audience"),
        pytest.param(FACTS._replace(token=TOKEN._replace(allowed_ips=("::1",))), id="allow list"),
        pytest.param(FACTS._replace(token=TOKEN._replace(expires_ms=None)), id="end"),
        pytest.param(FACTS._replace(token=TOKEN._replace(id=8)), id="another token"),
        pytest.param(FACTS._replace(token=None, owner=None), id="no token"),
        pytest.param(FACTS._replace(owner=OWNER._replace(state="blocked")), id="blocked"),
        pytest.param(FACTS._replace(owner=OWNER._replace(username="bob")), id="renamed"),
        pytest.param(FACTS._replace(owner=OWNER._replace(is_admin=True)), id="promoted"),
        pytest.param(FACTS._replace(target=OWNER), id="a target"),
        pytest.param(FACTS._replace(client=CLIENT._replace(scopes=("api",))), id="limit"),
        pytest.param(FACTS._replace(client=CLIENT._replace(is_disabled=True)), id="disabled"),
        pytest.param(FACTS._replace(client=CLIENT._replace(id=9)), id="another client"),
        pytest.param(FACTS._replace(client=None), id="no client"),
    ],
)
def test_other_facts_find_nothing(told: Told, facts: Facts) -> None:
    assert told.find(facts, SETTINGS, NOW_MS) is None


@pytest.mark.parametrize(
    ("settings", "now_ms"),
    [
        pytest.param(replace(SETTINGS, soft_exp_seconds=3), NOW_MS, id="other settings"),
        pytest.param(SETTINGS, NOW_MS + 100, id="expired"),
        pytest.param(SETTINGS, NOW_MS + 1000, id="another second"),
        pytest.param(SETTINGS, NOW_MS - 1000, id="a clock that was set back"),
    ],
)
def test_another_moment_or_other_settings_find_nothing(
    told: Told, settings: Settings, now_ms: int
) -> None:
    assert told.find(FACTS, settings, now_ms) is None


def test_they_are_few() -> None:
    told = Told()
    every = [FACTS._replace(token=TOKEN._replace(id=number)) for number in range(3 * LIMIT)]
    for facts in every:
        keep(told, facts)
    found = [facts for facts in every if told.find(facts, SETTINGS, NOW_MS)]
    assert 0 < len(found) <= LIMIT


def test_what_belongs_to_nobody_is_not_kept() -> None:
    told = Told()
    for facts in (FACTS._replace(client=None), FACTS._replace(token=None)):
        keep(told, facts)
        assert told.find(facts, SETTINGS, NOW_MS) is None
