"""That what the seeder writes is what tokensrv would have, and is found by its secrets."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from benchmarks.rows import is_active, kind_of
from benchmarks.seed import Seed, command, fill
from tests.factories import make_token, make_user
from tokensrv import lookup
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.domain.facts import Facts, UserState
from tokensrv.domain.secret import token_digest
from tokensrv.errors import Forbidden
from tokensrv.models import Token, User
from tokensrv.services.directory import users
from tokensrv.services.instance import initialise
from tokensrv.services.trail.events import COMMAND_LINE

SEED = Seed()
# The last of them belong to the hundredth user, who is blocked.
TOKENS = 2_000


@pytest.fixture
def initialised(store: Store) -> Store:
    initialise(store, COMMAND_LINE)
    return store


@pytest.fixture
def seeded(initialised: Store) -> Store:
    fill(initialised, SEED, TOKENS, print)
    return initialised


def _facts(store: Store, index: int) -> Facts:
    return lookup.build(store).find(digest=token_digest(SEED.secret(index)))


def _count(store: Store, table: type[Token | User]) -> int:
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def _is_active(facts: Facts, now_ms: int) -> bool:
    token, owner = facts.token, facts.owner
    assert token is not None
    assert owner is not None
    is_over = token.expires_ms is not None and token.expires_ms <= now_ms
    return not (token.is_revoked or is_over) and owner.state == UserState.ACTIVE


def test_every_secret_is_found_and_in_the_state_that_its_index_says(seeded: Store) -> None:
    now_ms = seeded.clock.now_ms()
    for index in (*range(120), *range(TOKENS - 25, TOKENS)):
        facts = _facts(seeded, index)
        assert facts.token is not None
        assert facts.token.kind == kind_of(index)
        assert _is_active(facts, now_ms) == is_active(index), index


def test_an_exchanged_token_came_out_of_the_one_before_it(seeded: Store) -> None:
    facts, source = _facts(seeded, 13), _facts(seeded, 12)
    assert facts.exchange is not None
    assert source.token is not None
    assert facts.exchange.source.id == source.token.id
    assert facts.exchange.source_owner == facts.owner


def test_three_of_four_are_active() -> None:
    secrets = SEED.active_secrets(TOKENS, among=TOKENS)
    assert len(secrets) == sum(map(is_active, range(TOKENS)))
    assert 0.7 < len(secrets) / TOKENS < 0.8


def test_random_ones_are_the_same_for_the_same_number() -> None:
    first, again, other = (SEED.active_secrets(50, among=TOKENS, choice=n) for n in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) == 50


def test_it_grows_to_what_is_asked_for(seeded: Store) -> None:
    made = make_token(seeded, users.get(seeded, 1)).record
    fill(seeded, SEED, TOKENS + 5, print)
    # Whole users at a time.
    assert _count(seeded, Token) == 1 + TOKENS + 1 + 20
    grown = _facts(seeded, TOKENS).token
    assert grown is not None
    assert grown.id > made.id
    fill(seeded, SEED, TOKENS, print)
    assert _count(seeded, User) == 1 + 101


def test_ids_go_on_behind_it(seeded: Store) -> None:
    last = _facts(seeded, TOKENS - 1).token
    assert last is not None
    assert make_token(seeded, users.get(seeded, 1)).record.id == last.id + 1
    assert make_user(seeded).id == last.user_id + 1


def test_users_of_others_are_left_alone(initialised: Store) -> None:
    make_user(initialised)
    with pytest.raises(Forbidden):
        fill(initialised, SEED, 20, print)
    assert _count(initialised, Token) == 1


def test_it_is_a_command(initialised: Store, settings: Settings) -> None:
    url = settings.database_url or f"sqlite:///{settings.sqlite_path}"
    done = CliRunner().invoke(command, ["--database", url, "--tokens", "40"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert _facts(initialised, 39).token is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--database", "mysql://db"], "mysql"),
        (["--database", "sqlite:////nowhere/t.sqlite3"], "tokensrv init"),
        (["--database", "sqlite:////nowhere/t.sqlite3", "--seed", "a-b"], "a-z"),
    ],
)
def test_what_cannot_be_seeded_is_refused(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code != 0
    assert said in done.stderr
