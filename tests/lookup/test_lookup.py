from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.conftest import START, ManualClock, QueryRecorder
from tests.databases import migrate, opened
from tests.factories import make_admin, make_client, make_token, make_user
from tests.keys import key_for, public
from tokensrv import lookup
from tokensrv.clock import midnight, to_ms
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.domain.facts import ClientFacts, Facts, TokenFacts, TokenKind, UserFacts
from tokensrv.domain.secret import digest
from tokensrv.domain.usernames import target
from tokensrv.errors import StorageUnavailable
from tokensrv.lookup import Lookup
from tokensrv.services.directory import clients, user_states, users
from tokensrv.services.lifecycle import tokens
from tokensrv.services.trail.events import COMMAND_LINE

TODAY = START.date()
NOBODY = digest("nobody")


@pytest.fixture
def hot(store: Store) -> Lookup:
    return lookup.build(store)


def test_everything_comes_back_as_values_of_the_same_kind_on_both_engines(
    store: Store, hot: Lookup
) -> None:
    root, alice = make_admin(store), make_user(store)
    client = make_client(
        store,
        allow=("sudo", "batch"),
        scopes=("api", "read_user"),
        auth_methods=("client_secret_post", "private_key_jwt"),
        jwks=public(key_for("ES256")),
        introspection_signed_response_alg="ES256",
    )
    client_id = client.record.client_id
    again = clients.rotate_secret(store, COMMAND_LINE, client_id)
    token = make_token(
        store,
        root,
        ("api", "sudo"),
        expires_on=TODAY + timedelta(days=1),
        audience=(client_id,),
        allowed_ips=("10.0.0.0/8", "2001:db8::1"),
    )
    found = hot.find(client_id=client_id, digest=digest(token.secret), target=target("ALICE"))
    expected = Facts(
        client=ClientFacts(
            id=1,
            client_id=client_id,
            secret_digests=(digest(again.secret), digest(client.secret)),
            is_disabled=False,
            scopes=("api", "read_user"),
            allow=("sudo", "batch"),
            auth_methods=("client_secret_post", "private_key_jwt"),
            jwks=json.dumps(client.record.jwks),
            introspection_signed_response_alg="ES256",
        ),
        token=TokenFacts(
            id=token.record.id,
            kind="personal",
            user_id=root.id,
            scopes=("api", "sudo"),
            audience=(client_id,),
            created_ms=to_ms(START),
            expires_ms=to_ms(midnight(TODAY + timedelta(days=1))),
            is_revoked=False,
            allowed_ips=("10.0.0.0/8", "2001:db8::1"),
        ),
        owner=UserFacts(root.id, "root", "active", is_admin=True),
        target=UserFacts(alice.id, "alice", "active", is_admin=False),
    )
    assert found == expected
    # Equal is not enough: 1 == True, and bytes of another kind would compare as well.
    assert repr(found) == repr(expected)


def test_nothing_given_is_nothing_found(hot: Lookup) -> None:
    assert hot.find() == Facts()


def test_no_limit_of_scopes_and_no_end_are_none(store: Store, hot: Lookup) -> None:
    token = make_token(store, make_admin(store))
    client = make_client(store)
    found = hot.find(client_id=client.record.client_id, digest=digest(token.secret))
    assert found.client is not None
    assert found.token is not None
    assert (found.client.scopes, found.client.allow) == (None, ())
    assert (found.token.expires_ms, found.token.audience) == (None, ())


def test_an_unknown_client_is_told_nothing_not_even_about_a_token(
    store: Store, hot: Lookup
) -> None:
    token = make_token(store, make_admin(store))
    for client_id in ("", "nobody", "x" * 300, "%", "'"):
        found = hot.find(client_id=client_id, digest=digest(token.secret), target=target("root"))
        assert found == Facts()


def test_a_known_client_and_an_unknown_token_are_told_apart(store: Store, hot: Lookup) -> None:
    client_id = make_client(store).record.client_id
    for wanted in (NOBODY, None):
        found = hot.find(client_id=client_id, digest=wanted)
        assert found.client is not None
        assert (found.token, found.owner) == (None, None)


@pytest.mark.parametrize(
    ("named", "is_found"),
    [
        pytest.param("alice", True, id="name"),
        pytest.param("aLICE", True, id="name in any case"),
        pytest.param("2", True, id="id"),
        pytest.param("002", True, id="id with zeros"),
        pytest.param("alice@example.org", False, id="address"),
        pytest.param("ali", False, id="part of a name"),
        pytest.param("99", False, id="unknown id"),
        pytest.param("9" * 18, False, id="largest id"),
        pytest.param("2" * 19, False, id="too many digits"),
        pytest.param("%", False, id="pattern"),
    ],
)
def test_a_target_is_found_by_id_or_name(
    store: Store, hot: Lookup, named: str, is_found: bool
) -> None:
    token = make_token(store, make_admin(store))
    alice = make_user(store)
    found = hot.find(digest=digest(token.secret), target=target(named))
    assert found.token is not None
    assert (found.target is not None) is is_found
    if found.target is not None:
        assert found.target.id == alice.id


def test_a_target_comes_back_even_without_a_token(store: Store, hot: Lookup) -> None:
    make_user(store)
    found = hot.find(digest=NOBODY, target=target("alice"))
    assert found.token is None
    assert found.target is not None


def test_the_states_of_everybody_are_told(store: Store, hot: Lookup) -> None:
    make_admin(store)
    alice = make_user(store)
    client_id = make_client(store).record.client_id
    token = make_token(store, alice, kind=TokenKind.IMPERSONATION)
    tokens.revoke(store, COMMAND_LINE, token.record.id)
    user_states.ban(store, COMMAND_LINE, alice.id)
    clients.disable(store, COMMAND_LINE, client_id)
    found = hot.find(client_id=client_id, digest=digest(token.secret), target=target("alice"))
    assert found.client is not None
    assert found.token is not None
    assert found.client.is_disabled
    assert (found.token.is_revoked, found.token.kind) == (True, "impersonation")
    assert found.owner == found.target == UserFacts(alice.id, "alice", "banned", is_admin=False)


@pytest.mark.parametrize("with_client", [True, False], ids=["client", "nobody"])
@pytest.mark.parametrize("named", [None, "root", "1"], ids=["no target", "by name", "by id"])
def test_every_form_is_one_statement_and_one_indexed_row_of_each_table(
    store: Store,
    hot: Lookup,
    query_recorder: QueryRecorder,
    with_client: bool,
    named: str | None,
) -> None:
    token = make_token(store, make_admin(store))
    client_id = make_client(store).record.client_id if with_client else None
    query_recorder.clear()
    wanted = None if named is None else target(named)
    found = hot.find(client_id=client_id, digest=digest(token.secret), target=wanted)
    assert found.owner is not None
    (statement,) = query_recorder.statements
    assert statement.startswith("SELECT")
    assert statement.count("LEFT OUTER JOIN") == (2 if named is None else 3)


@pytest.mark.sqlite
@pytest.mark.parametrize("with_client", [True, False], ids=["client", "nobody"])
def test_no_form_scans_a_table(
    store: Store, hot: Lookup, query_recorder: QueryRecorder, with_client: bool
) -> None:
    client_id = make_client(store).record.client_id if with_client else None
    query_recorder.clear()
    for named in (None, target("root"), target("1")):
        hot.find(client_id=client_id, digest=NOBODY, target=named)
    for statement in list(query_recorder.statements):
        count = statement.count("?")
        assert store.readers is not None
        plan = store.readers.fetch(f"EXPLAIN QUERY PLAN {statement}", ["x"] * count)
        steps = [step[-1] for step in plan]
        # "nobody" is the one row that stands in for a client.
        assert set(steps) & {"SCAN client", "SCAN token", "SCAN owner", "SCAN target"} == set()
        assert len([step for step in steps if step.startswith("SEARCH")]) >= 2


@pytest.mark.postgres
@pytest.mark.parametrize("with_client", [True, False], ids=["client", "nobody"])
def test_every_form_has_a_plan_of_indexes_alone(
    store: Store, hot: Lookup, query_recorder: QueryRecorder, with_client: bool
) -> None:
    client_id = make_client(store).record.client_id if with_client else None
    query_recorder.clear()
    for named in (None, target("root"), target("1")):
        hot.find(client_id=client_id, digest=NOBODY, target=named)
    statements = list(query_recorder.statements)
    with store.read() as session:
        # Tables that are almost empty would be scanned, and rightly so.
        session.execute(text("SET enable_seqscan = off"))
        for statement in statements:
            named = 1 if "id = %(target" in statement else "x"
            values = {"client_id": "x", "digest": NOBODY, "target": named}
            plan = session.connection().exec_driver_sql(f"EXPLAIN {statement}", values)
            assert "Seq Scan" not in "\n".join(plan.scalars())


def test_what_was_committed_counts_for_every_lookup_that_begins_later(
    store: Store, hot: Lookup
) -> None:
    """Nothing is cached: a revocation that has returned is seen, whichever connection reads."""
    root = make_admin(store)
    for _ in range(20):
        token = make_token(store, root)
        seen: list[bool] = []

        def look(secret: str = token.secret, seen: list[bool] = seen) -> None:
            found = hot.find(digest=digest(secret)).token
            assert found is not None
            seen.append(found.is_revoked)

        look()
        tokens.revoke(store, COMMAND_LINE, token.record.id)
        threads = [threading.Thread(target=look) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert seen == [False, True, True, True]


def test_a_deleted_owner_takes_his_token_out_of_the_lookup(store: Store, hot: Lookup) -> None:
    make_admin(store)
    alice = make_user(store)
    token = make_token(store, alice)
    users.delete(store, COMMAND_LINE, alice.id)
    assert hot.find(digest=digest(token.secret)) == Facts()


@pytest.mark.sqlite
def test_without_tables_storage_is_away_and_nothing_is_guessed(
    empty_settings: Settings, clock: ManualClock
) -> None:
    with opened(empty_settings, clock) as store:
        with pytest.raises(StorageUnavailable):
            lookup.build(store).find(client_id="x", digest=NOBODY)
        # Once they are there, the very same Store finds them.
        with store.engine.begin() as connection:
            migrate(connection)
        assert lookup.build(store).find(client_id="x", digest=NOBODY) == Facts()
