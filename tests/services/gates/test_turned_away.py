from __future__ import annotations

import pytest

from tests.conftest import ManualClock
from tests.factories import make_token, make_user
from tests.services.conftest import failing
from tests.services.gates.conftest import ELSEWHERE, HERE, Porch, visit_of
from tokensrv.domain.gates import Gate, NoEntry, Obstacle
from tokensrv.domain.secret import Kind, mint
from tokensrv.errors import StorageUnavailable
from tokensrv.services import tokens, usage
from tokensrv.services.events import COMMAND_LINE
from tokensrv.services.gates import turned_away


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
    assert counted.data == first.data | {
        "of": "gate.refused",
        "count": 4,
        "minute": counted.data["minute"],
    }
    assert (counted.ip, counted.request_id) == (HERE, "request-1")


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


def test_a_dead_token_is_one_kind_wherever_it_comes_from(porch: Porch) -> None:
    token = make_token(porch.store, make_user(porch.store))
    tokens.revoke(porch.store, COMMAND_LINE, token.record.id)
    for ip in (HERE, ELSEWHERE):
        porch.come(token.secret, ip=ip)
    assert [event.token_id for event in porch.events()] == [token.record.id]


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
