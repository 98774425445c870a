"""Whoever is asked about a token, and however, the answer is the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings

from tests.properties.doors import INACTIVE, Doors
from tests.properties.worlds import (
    ALICE,
    ASKS,
    CAROL,
    SCENES,
    THERE,
    Ask,
    Paper,
    Person,
    Scene,
    Stage,
)
from tokensrv.domain.facts import TokenKind
from tokensrv.domain.scopes import closure

EXCHANGED = Scene(kind=TokenKind.EXCHANGED, token=Paper(("read_api",)))
NARROWED = Scene(kind=TokenKind.EXCHANGED, token=Paper(("read_api",)), is_narrowed=True)
PLACED = Paper(("api", "sudo"), allowed_ips=("192.0.2.0/24",))
AS_ALICE = Ask(header="alice", reason="ticket 7")

# Every example sets the rows of the one database anew.
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@SHARED
@given(scene=SCENES, ask=ASKS)
@example(scene=Scene(), ask=Ask())
@example(scene=Scene(), ask=AS_ALICE)
@example(scene=EXCHANGED, ask=Ask())
@example(scene=NARROWED, ask=Ask())
@example(scene=Scene(limit=("read_user",)), ask=Ask(scopes=("read_user",)))
@example(scene=Scene(token=PLACED), ask=AS_ALICE)
@example(scene=Scene(token=PLACED), ask=Ask(ip=THERE))
def test_a_client_is_told_the_same_alone_in_a_batch_and_by_the_explanation(
    stage: Stage, doors: Doors, scene: Scene, ask: Ask
) -> None:
    stage.set(scene)
    told, many = doors.introspect(stage.limited, ask), doors.batch(stage.limited, ask)
    explained = doors.explain(stage.limited, ask)
    assert explained["active"] == all(check["passed"] for check in explained["checks"])
    if scene.is_disabled:
        assert (told, many, explained["active"]) == (None, None, False)
        return
    assert told is not None
    assert many == [told, INACTIVE]
    assert told["active"] == explained["active"]
    assert told["active"] or told == INACTIVE


@SHARED
@given(scene=SCENES, ask=ASKS)
@example(scene=Scene(), ask=Ask())
@example(scene=Scene(), ask=AS_ALICE)
@example(scene=EXCHANGED, ask=Ask())
@example(scene=NARROWED, ask=Ask())
@example(scene=Scene(token=Paper(("sudo",))), ask=AS_ALICE)
@example(scene=Scene(token=PLACED), ask=AS_ALICE)
@example(scene=replace(EXCHANGED, source=PLACED), ask=Ask(ip=THERE))
def test_a_client_is_told_what_the_api_lets_the_same_caller_do(
    stage: Stage, doors: Doors, scene: Scene, ask: Ask
) -> None:
    stage.set(scene)
    plain = replace(ask, scopes=())
    seen, explained = doors.own(plain), doors.explain(None, plain)
    told = doors.introspect(stage.open, plain)
    assert seen.is_active == explained["active"]
    assert told is not None
    reaches = _effective_audience(scene)
    assert told["active"] == (seen.is_active and (not reaches or "open" in reaches))
    held = closure(told["scope"].split()) if told["active"] else frozenset()
    # The API itself is in nobody's audience, and then "self" alone opens.
    opens = held if not reaches else frozenset()
    expected_user = seen.subject_id if "read_user" in opens else None
    assert doors.user_id(plain) == expected_user
    assert doors.may_list(plain) == ("read_api" in opens)
    if told["active"]:
        assert int(told["sub"]) == seen.subject_id
        assert int(told.get("act", {"sub": told["sub"]})["sub"]) == seen.actor_id
        assert ("act" in told) == (seen.actor_id != seen.subject_id or _is_sudo(scene, plain))


def _effective_audience(scene: Scene) -> set[str]:
    own, source = set(scene.token.audience), set(scene.source.audience)
    if scene.kind is not TokenKind.EXCHANGED or not source:
        return own
    return own & source if own else source


def _is_sudo(scene: Scene, ask: Ask) -> bool:
    is_lent = scene.kind is TokenKind.EXCHANGED and not scene.is_narrowed
    return is_lent or ask.header is not None or ask.parameter is not None


@pytest.mark.parametrize(
    ("scene", "ask", "sub", "actor"),
    [
        pytest.param(Scene(), Ask(), CAROL, None, id="plain"),
        pytest.param(Scene(), AS_ALICE, ALICE, CAROL, id="sudo by header"),
        pytest.param(
            Scene(), Ask(parameter="3", reason="ticket 7"), ALICE, CAROL, id="sudo by parameter"
        ),
        pytest.param(EXCHANGED, Ask(), ALICE, CAROL, id="exchanged"),
        pytest.param(NARROWED, Ask(), CAROL, None, id="made narrower"),
        pytest.param(
            Scene(carol=Person(), token=Paper(("read_user",))), Ask(), CAROL, None, id="no admin"
        ),
        pytest.param(Scene(token=PLACED), AS_ALICE, ALICE, CAROL, id="from inside an allow list"),
    ],
)
def test_where_everything_is_in_order_all_doors_open(
    stage: Stage,
    doors: Doors,
    scene: Scene,
    ask: Ask,
    sub: tuple[str, int],
    actor: tuple[str, int] | None,
) -> None:
    stage.set(scene)
    for client in (stage.open, stage.limited):
        told = doors.introspect(client, ask)
        assert told is not None
        assert (told["active"], told["username"], told["sub"]) == (True, sub[0], str(sub[1]))
        assert _actor(told) == actor
    assert doors.own(ask).is_active
    assert doors.user_id(ask) == sub[1]


def _actor(told: dict[str, Any]) -> tuple[str, int] | None:
    act = told.get("act")
    return None if act is None else (act["username"], int(act["sub"]))
