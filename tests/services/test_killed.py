"""kill -9 in the middle of a rotation: the old token alone, or old and new; never none, or two."""

from __future__ import annotations

import random
import time

import pytest

from tests.conftest import ManualClock
from tests.factories import make_token
from tests.processes import Process
from tests.services.conftest import events_of
from tests.services.trail.test_events import assert_unbroken
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.services.lifecycle import rotation
from tokensrv.services.lifecycle.token_lists import TokenFilter, list_tokens
from tokensrv.services.records import UserRecord
from tokensrv.services.trail.events import COMMAND_LINE

KILLS = 12

_ROTATE_ON = """
from tokensrv.services.lifecycle import rotation
from tokensrv.services.trail.events import COMMAND_LINE
with opened(settings, SystemClock()) as store:
    token_id = {token_id}
    while True:
        token_id = rotation.rotate(store, COMMAND_LINE, token_id).record.id
        print(token_id, flush=True)
"""


@pytest.mark.parametrize("seed", range(KILLS // 4))
def test_a_killed_rotation_happened_or_did_not(
    settings: Settings, store: Store, root: UserRecord, clock: ManualClock, seed: int
) -> None:
    wait = random.Random(seed)  # noqa: S311  # no secret, only moments
    head = make_token(store, root).record.id
    for _ in range(4):
        process = Process(_ROTATE_ON.format(token_id=head), settings)
        assert int(process.hear()) > head
        time.sleep(wait.uniform(0, 0.05))
        process.kill()
        (alive,) = list_tokens(store, None, TokenFilter(is_active=True)).items
        head = alive.id
    assert rotation.rotate(store, COMMAND_LINE, head).record.previous_id == head
    rows = events_of(store)
    assert_unbroken(rows)
    rotations = [row for row in rows if row.action == "token.rotated"]
    made = list_tokens(store, None, TokenFilter()).total
    assert made == len(rotations) + 1
