from __future__ import annotations

import pytest

from tests.conftest import ManualClock
from tests.factories import make_token, make_user
from tests.services.conftest import failing
from tests.services.gates.conftest import ELSEWHERE, HERE, Porch, visit_of
from tokensrv.domain.gates import Gate, NoEntry, Obstacle
from tokensrv.domain.secret import Kind, mint
from tokensrv.errors import StorageUnavailable
from tokensrv.services.gates import turned_away
from tokensrv.services.lifecycle import tokens
from tokensrv.services.trail import usage
from tokensrv.services.trail.events import COMMAND_LINE
from tokensrv.services.trail.repeated import MANY_KINDS


def turn_away(porch: Porch, check: Obstacle, **visit: object) -> None:
    refused = NoEntry(check)
    found = turned_away.record(
        porch.store, porch.usage, visit_of(**visit), refused, metrics=porch.metrics
    )
    assert found is refused


def test_who_presents_nothing_is_counted_and_leaves_no_event(porch: Porch) -> None:
    turn_away(porch, Obstacle.ANONYMOUS)
    assert (porch.counted("anonymous"), porch.events()) == (1, [])


def test_the_first_of_a_kind_in_a_minute_is_written_and_the_rest_counted(
    porch: Porch, clock: ManualClock
) -> None:
    for _ in range(5):
        turn_away(porch, Obstacle.CREDENTIALS)
    assert porch.counted("credentials") == 5
    clock.advance(seconds=60)
    porch.usage.flush()
    turn_away(porch, Obstacle.CREDENTIALS)
    first, counted, second = porch.events()
    assert (first.action, second.action) == ("gate.refused", "gate.refused")
    assert counted.action == "gate.counted"
    # What a stranger wanted may differ, so that it is told of none of them.
    assert counted.data == {
        "gate": "auth",
        "check": "credentials",
        "of": "gate.refused",
        "count": 4,
        "minute": "2026-03-10T12:00:00.000Z",
    }
    assert (counted.ip, counted.request_id) == (HERE, None)
    assert first.data.keys() - counted.data.keys() == {"method", "path"}


KINDS = [
    pytest.param({"ip": ELSEWHERE}, id="from another network"),
    pytest.param({"ip": None}, id="from the machine itself"),
    pytest.param({"gate": Gate.GIT}, id="at another gate"),
    pytest.param({"check": Obstacle.REQUEST}, id="for another reason"),
]


@pytest.mark.parametrize("other", KINDS)
def test_another_kind_is_an_event_of_its_own(porch: Porch, other: dict[str, object]) -> None:
    turn_away(porch, Obstacle.CREDENTIALS)
    turn_away(porch, **{"check": Obstacle.CREDENTIALS} | other)  # type: ignore[arg-type]
    assert len(porch.events("gate.refused")) == 2


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"path": "/another"}, id="for another path"),
        pytest.param({"method": "DELETE"}, id="for another method"),
    ],
)
def test_what_whoever_tries_can_choose_makes_no_event_of_its_own(
    porch: Porch, other: dict[str, object]
) -> None:
    turn_away(porch, Obstacle.CREDENTIALS)
    turn_away(porch, Obstacle.CREDENTIALS, **other)
    assert len(porch.events("gate.refused")) == 1


def test_one_network_of_ipv6_is_one_however_many_addresses_it_has(porch: Porch) -> None:
    for host in range(1, 4):
        turn_away(porch, Obstacle.CREDENTIALS, ip=f"2001:db8::{host}")
    assert len(porch.events("gate.refused")) == 1


def test_strangers_from_everywhere_at_once_become_one(
    porch: Porch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "_MANY_KINDS", 3)
    for host in range(10):
        turn_away(porch, Obstacle.CREDENTIALS, ip=f"192.0.2.{host}")
    assert len(porch.events("gate.refused")) == 4
    porch.usage.close()
    assert [event.data["count"] for event in porch.events("gate.counted")] == [6]


@pytest.fixture
def dead(porch: Porch) -> str:
    token = make_token(porch.store, make_user(porch.store))
    tokens.revoke(porch.store, COMMAND_LINE, token.record.id)
    return token.secret


def test_what_a_known_token_is_refused_is_told_one_by_one(porch: Porch, dead: str) -> None:
    tries = [{"ip": HERE}, {"ip": ELSEWHERE}, {"path": "/payroll"}, {"method": "POST"}]
    for what in (*tries, *tries):
        porch.come(dead, **what)
    told = porch.events("gate.refused")
    assert [(event.ip, event.data["method"], event.data["path"]) for event in told] == [
        (HERE, "GET", "/files/7"),
        (ELSEWHERE, "GET", "/files/7"),
        (HERE, "GET", "/payroll"),
        (HERE, "POST", "/files/7"),
    ]
    porch.usage.close()
    counted = porch.events("gate.counted")
    assert [event.data["count"] for event in counted] == [1, 1, 1, 1]
    assert [event.data["path"] for event in counted] == [event.data["path"] for event in told]


def test_whoever_tries_many_things_with_a_known_token_fills_no_log(porch: Porch, dead: str) -> None:
    for number in range(2 * MANY_KINDS):
        porch.come(dead, path=f"/{number}")
    assert len(porch.events("gate.refused")) == MANY_KINDS + 1
    porch.usage.close()
    [counted] = porch.events("gate.counted")
    assert (counted.data["count"], counted.actor) == (MANY_KINDS - 1, "alice")
    assert counted.data.keys() == {"gate", "check", "of", "count", "minute"}
    assert counted.ip is None


def test_what_somebody_wrote_is_kept_but_not_a_book_of_it_and_no_secret(porch: Porch) -> None:
    secret = mint("ts", Kind.PERSONAL)
    turn_away(porch, Obstacle.REQUEST, path=f"/{secret}/" + "x" * 999, method="M" * 999)
    [event] = porch.events()
    path, method = event.data["path"], event.data["method"]
    assert (path[:10], len(method)) == ("/tsp_***/x", 255)
    assert len(path) == 255
    assert secret not in str(event)


def test_what_cannot_be_recorded_is_tried_again(porch: Porch) -> None:
    with failing(porch.store, "INSERT"), pytest.raises(StorageUnavailable):
        turn_away(porch, Obstacle.CREDENTIALS)
    turn_away(porch, Obstacle.CREDENTIALS)
    assert len(porch.events()) == 1
