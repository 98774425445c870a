from __future__ import annotations

import pytest

from tests.factories import make_admin, make_token
from tokensrv.db import Store
from tokensrv.services.lifecycle import rotation
from tokensrv.services.reports import rotations
from tokensrv.services.trail.events import COMMAND_LINE


def test_a_chain_is_told_from_any_of_its_tokens(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_admin(store)
    other = make_token(store, root).record.id
    ids = [make_token(store, root).record.id]
    for _ in range(3):
        ids.append(rotation.rotate(store, COMMAND_LINE, ids[-1]).record.id)
    for token_id in ids:
        assert [token.id for token in rotations.chain_of(store, token_id)] == ids
    assert [token.id for token in rotations.chain_of(store, other)] == [other]
    assert rotations.chain_of(store, 987_654) == ()
    monkeypatch.setattr(rotations, "MAX_STEPS", 1)
    assert [token.id for token in rotations.chain_of(store, ids[1])] == ids[:3]
