"""Whatever takes power away never gives any, however it is combined with what was before."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.properties.doors import Doors
from tests.properties.worlds import ALICE, ASKS, HERE, SCENES, SCOPES, Ask, Paper, Scene, Stage
from tokensrv.domain.facts import TokenKind
from tokensrv.domain.scopes import closure
from tokensrv.errors import TokensrvError
from tokensrv.services.directory import clients, user_states
from tokensrv.services.directory.client_values import ClientValues
from tokensrv.services.lifecycle import tokens
from tokensrv.services.lifecycle.token_values import TokenChanges
from tokensrv.services.trail.events import COMMAND_LINE

Told = dict[str, Any]
Loss = Callable[[Stage], object]


def _revoke(which: str) -> Loss:
    return lambda stage: tokens.revoke(stage.store, COMMAND_LINE, _id(stage, which))


def _lose_scope(which: str, scope: str) -> Loss:
    def lose(stage: Stage) -> object:
        granted = tokens.get(stage.store, None, _id(stage, which)).scopes
        rest = TokenChanges(scopes=tuple(held for held in granted if held != scope))
        return tokens.change(stage.store, COMMAND_LINE, _id(stage, which), rest)

    return lose


def _lose_audience(which: str) -> Loss:
    def lose(stage: Stage) -> object:
        left = TokenChanges(audience=(stage.limited.record.client_id,))
        return tokens.change(stage.store, COMMAND_LINE, _id(stage, which), left)

    return lose


def _lose_places(which: str) -> Loss:
    left = TokenChanges(allowed_ips=(HERE,))
    return lambda stage: tokens.change(stage.store, COMMAND_LINE, _id(stage, which), left)


def _switch(verb: Callable[..., bool], who: str) -> Loss:
    return lambda stage: verb(stage.store, COMMAND_LINE, getattr(stage, who).id)


def _restrict(values: ClientValues) -> Loss:
    return lambda stage: clients.change(stage.store, COMMAND_LINE, _limited(stage), values)


def _disable(stage: Stage) -> object:
    return clients.disable(stage.store, COMMAND_LINE, _limited(stage))


def _id(stage: Stage, which: str) -> int:
    token_id: int = getattr(stage, which).record.id
    return token_id


def _limited(stage: Stage) -> str:
    return stage.limited.record.client_id


PAPERS = ("token", "source")
# Alice is not demoted: whom nobody may act as, being an admin, may be acted as afterwards.
LOSSES: dict[str, Loss] = {
    **{f"revoke {which}": _revoke(which) for which in PAPERS},
    **{f"{which} loses {one}": _lose_scope(which, one) for which in PAPERS for one in SCOPES},
    **{f"{which} is for one client": _lose_audience(which) for which in PAPERS},
    **{f"{which} is good from one place": _lose_places(which) for which in PAPERS},
    **{
        f"{verb.__name__} {who}": _switch(verb, who)
        for who in ("carol", "alice")
        for verb in (user_states.block, user_states.deactivate, user_states.ban)
    },
    "demote carol": _switch(user_states.demote, "carol"),
    "the client may not sudo": _restrict(ClientValues(allow=("batch",))),
    "the client may see nothing": _restrict(ClientValues(scopes=())),
    "the client is disabled": _disable,
}
# What nobody may be told any more after one of them.
GONE: dict[str, Callable[[Scene, Told], bool]] = {
    "revoke token": lambda _scene, _told: True,
    # She is the owner, or the source is hers.
    "block carol": lambda _scene, _told: True,
    "demote carol": lambda _scene, told: _who(told)[1] is not None,
    "block alice": lambda _scene, told: told["sub"] == str(ALICE[1]),
    "revoke source": lambda scene, _told: scene.kind is TokenKind.EXCHANGED,
}
EXCHANGED = Scene(kind=TokenKind.EXCHANGED, token=Paper(("api",)))
# Every example sets the rows of the one database anew.
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@SHARED
@given(scene=SCENES, ask=ASKS, losses=st.lists(st.sampled_from(sorted(LOSSES)), min_size=1))
@example(scene=Scene(), ask=Ask(header="alice", reason="x"), losses=["demote carol"])
@example(
    scene=Scene(token=Paper(("read_user", "sudo"))),
    ask=Ask(header="alice", reason="x", scopes=("api",)),
    losses=["token loses read_user"],
)
@example(
    scene=Scene(
        kind=TokenKind.EXCHANGED,
        token=Paper(("api",)),
        source=Paper(("read_user", "sudo")),
    ),
    ask=Ask(scopes=("api",)),
    losses=["source loses read_user"],
)
def test_what_was_inactive_stays_so_and_what_was_not_held_is_not_held(
    stage: Stage, doors: Doors, scene: Scene, ask: Ask, losses: list[str]
) -> None:
    stage.set(scene)
    before = _told(stage, doors, ask)
    for name in losses:
        # What would have made the token wider, or changed a dead one, is refused.
        with suppress(TokensrvError):
            LOSSES[name](stage)
    after = _told(stage, doors, ask)
    for earlier, later in zip(before, after, strict=True):
        if later["active"]:
            assert earlier["active"]
            assert closure(later["scope"].split()) <= closure(earlier["scope"].split())
            assert _who(later) == _who(earlier)


@SHARED
@given(scene=SCENES, ask=ASKS, loss=st.sampled_from(sorted(GONE)))
@example(scene=Scene(), ask=Ask(header="alice", reason="x"), loss="demote carol")
@example(scene=EXCHANGED, ask=Ask(), loss="demote carol")
@example(scene=EXCHANGED, ask=Ask(), loss="revoke source")
@example(scene=EXCHANGED, ask=Ask(), loss="block alice")
@example(scene=Scene(), ask=Ask(), loss="block carol")
@example(scene=Scene(), ask=Ask(), loss="revoke token")
def test_what_was_taken_away_is_gone_behind_every_door(
    stage: Stage, doors: Doors, scene: Scene, ask: Ask, loss: str
) -> None:
    stage.set(scene)
    _told(stage, doors, ask)
    # A user who is not active already cannot be blocked, say; then it is gone all the same.
    with suppress(TokensrvError):
        LOSSES[loss](stage)
    for told in _told(stage, doors, ask):
        assert not told["active"] or not GONE[loss](scene, told)


def _told(stage: Stage, doors: Doors, ask: Ask) -> list[Told]:
    """Return what two clients and the API say, a client that is told nothing as if inactive."""
    plain = replace(ask, scopes=())
    own = doors.own(plain)
    acts = own.actor_id != own.subject_id
    in_api: Told = {"active": own.is_active, "scope": "", "sub": str(own.subject_id)}
    in_api |= {"act": {"sub": str(own.actor_id)}} if acts else {}
    told = [doors.introspect(client, ask) for client in (stage.open, stage.limited)]
    return [in_api, *({"active": False} if one is None else one for one in told)]


def _who(told: Told) -> tuple[str, str | None]:
    return told["sub"], told.get("act", {}).get("sub")
