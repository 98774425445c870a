"""Exchange inside its transaction: what the lookup found is decided once more, on locked rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from tests.conftest import QueryRecorder
from tests.factories import make_admin, make_client, make_token, make_user
from tests.services.conftest import at_once, events_of, failing
from tokensrv import lookup
from tokensrv.db import Store
from tokensrv.domain.caller import Check, Refused, SudoAsk
from tokensrv.domain.facts import Facts
from tokensrv.domain.introspection import inactive
from tokensrv.domain.secret import token_digest
from tokensrv.domain.usernames import target
from tokensrv.errors import NotFound, StorageUnavailable
from tokensrv.models import Token
from tokensrv.services.directory import clients, user_states, users
from tokensrv.services.directory.client_values import ClientValues
from tokensrv.services.introspection import Question, introspect
from tokensrv.services.lifecycle import tokens
from tokensrv.services.lifecycle.exchange import ExchangeWish, exchange
from tokensrv.services.records import NewClient, NewToken, UserRecord
from tokensrv.services.trail.events import COMMAND_LINE, Origin
from tokensrv.services.trail.usage import Usage

AS_ALICE = ExchangeWish(ask=SudoAsk(target("alice"), "ticket 7"))


@dataclass(frozen=True)
class Asking:
    """A client that holds an admin's token, with what it found out about it a moment ago."""

    store: Store
    usage: Usage
    root: UserRecord
    alice: UserRecord
    client: NewClient
    source: NewToken

    @property
    def client_id(self) -> str:
        return self.client.record.client_id

    def facts(self, secret: str) -> Facts:
        return lookup.build(self.store).find(
            client_id=self.client_id, digest=token_digest(secret), target=target("alice")
        )

    def exchange(self, facts: Facts, wish: ExchangeWish = AS_ALICE) -> NewToken:
        origin = Origin(client_id=self.client_id)
        return exchange(
            self.store, self.usage, facts, wish, origin, method="POST", path="/oauth/token"
        )

    def told(self, secret: str) -> dict[str, object]:
        facts = lookup.build(self.store).find(digest=token_digest(secret))
        return introspect(
            self.store, self.usage, facts, Question(), Origin(), method="POST", path="/"
        )

    def exchanged(self) -> list[Token]:
        with self.store.read() as session:
            return list(session.scalars(select(Token).where(Token.kind == "exchanged")))


@pytest.fixture
def asking(store: Store, usage: Usage, root: UserRecord) -> Asking:
    make_admin(store, "second")
    return Asking(
        store,
        usage,
        root,
        make_user(store),
        make_client(store, allow=("exchange",)),
        make_token(store, root, ("api", "sudo")),
    )


@pytest.mark.parametrize(
    ("take_away", "check"),
    [
        (lambda a: tokens.revoke(a.store, COMMAND_LINE, a.source.record.id), Check.REVOKED),
        (lambda a: user_states.block(a.store, COMMAND_LINE, a.root.id), Check.OWNER),
        (lambda a: users.delete(a.store, COMMAND_LINE, a.root.id), Check.UNKNOWN),
        (lambda a: user_states.demote(a.store, COMMAND_LINE, a.root.id), Check.ADMIN),
        (
            lambda a: tokens.change(
                a.store,
                COMMAND_LINE,
                a.source.record.id,
                tokens.TokenChanges(scopes=("api",)),
            ),
            Check.SCOPE,
        ),
        (
            lambda a: tokens.change(
                a.store,
                COMMAND_LINE,
                a.source.record.id,
                tokens.TokenChanges(allowed_ips=("10.0.0.0/8",)),
            ),
            Check.NETWORK,
        ),
        (lambda a: users.delete(a.store, COMMAND_LINE, a.alice.id), Check.TARGET),
        (lambda a: user_states.block(a.store, COMMAND_LINE, a.alice.id), Check.TARGET_STATE),
        (lambda a: user_states.promote(a.store, COMMAND_LINE, a.alice.id), Check.TARGET_ADMIN),
    ],
    ids=[
        "source revoked",
        "actor blocked",
        "actor deleted",
        "actor demoted",
        "scope cut",
        "allow list",
        "target deleted",
        "target blocked",
        "target promoted",
    ],
)
def test_what_changed_since_the_lookup_counts(
    asking: Asking, take_away: Callable[[Asking], object], check: Check
) -> None:
    facts = asking.facts(asking.source.secret)
    take_away(asking)
    with pytest.raises(Refused) as refused:
        asking.exchange(facts)
    assert refused.value.refusal.check is check
    assert asking.exchanged() == []
    recorded = [event.data["check"] for event in events_of(asking.store, "sudo.refused")]
    assert recorded == ([check.value] if refused.value.refusal.is_sudo else [])


def without_exchange(store: Store, origin: Origin, client_id: str) -> None:
    clients.change(store, origin, client_id, ClientValues(allow=("sudo",)))


@pytest.mark.parametrize("verb", [clients.disable, clients.delete, without_exchange])
def test_a_client_that_was_taken_away_since_the_lookup_gets_nothing(
    asking: Asking, verb: Callable[[Store, Origin, str], object]
) -> None:
    facts = asking.facts(asking.source.secret)
    verb(asking.store, COMMAND_LINE, asking.client_id)
    with pytest.raises(NotFound):
        asking.exchange(facts)
    assert asking.exchanged() == []


def test_the_secret_is_stored_nowhere(asking: Asking) -> None:
    new = asking.exchange(asking.facts(asking.source.secret))
    assert new.secret not in repr(new)
    assert new.secret not in repr(events_of(asking.store))
    [token] = asking.exchanged()
    assert (token.source_id, token.actor_id) == (asking.source.record.id, asking.root.id)
    assert (token.exchanged_by, token.reason) == (asking.client_id, "ticket 7")


def test_without_its_event_there_is_no_token(asking: Asking) -> None:
    facts = asking.facts(asking.source.secret)
    with failing(asking.store, "INSERT INTO event"), pytest.raises(StorageUnavailable):
        asking.exchange(facts)
    assert asking.exchanged() == []


def test_a_refusal_that_cannot_be_recorded_is_not_answered(asking: Asking) -> None:
    user_states.demote(asking.store, COMMAND_LINE, asking.root.id)
    facts = asking.facts(asking.source.secret)
    with failing(asking.store, "INSERT INTO event"), pytest.raises(StorageUnavailable):
        asking.exchange(facts)


def test_a_dead_source_costs_no_transaction(asking: Asking, query_recorder: QueryRecorder) -> None:
    tokens.revoke(asking.store, COMMAND_LINE, asking.source.record.id)
    facts = asking.facts(asking.source.secret)
    query_recorder.clear()
    with pytest.raises(Refused):
        asking.exchange(facts)
    assert query_recorder.statements == []


@pytest.mark.parametrize(
    "take_away",
    [
        lambda a: user_states.demote(a.store, COMMAND_LINE, a.root.id),
        lambda a: user_states.block(a.store, COMMAND_LINE, a.alice.id),
        lambda a: tokens.revoke(a.store, COMMAND_LINE, a.source.record.id),
    ],
    ids=["demoted", "target blocked", "source revoked"],
)
def test_whichever_comes_first_nothing_good_is_left(
    asking: Asking, take_away: Callable[[Asking], object]
) -> None:
    facts = asking.facts(asking.source.secret)
    done = at_once([*(lambda: asking.exchange(facts) for _ in range(3)), lambda: take_away(asking)])
    for outcome in done[:3]:
        assert isinstance(outcome, NewToken | Refused)
        if isinstance(outcome, NewToken):
            assert asking.told(outcome.secret) == inactive()
