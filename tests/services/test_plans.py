"""That every list, the hot read and pruning find what they want in an index, already in order.

A plan does not depend on the rows here: SQLite keeps no statistics of them, and PostgreSQL has new
tables, and is told to read or sort a whole one only where nothing else is left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy import event, select

from tests.conftest import START
from tests.databases import truncate
from tests.factories import caller_of, make_token, make_user
from tokensrv.config import Settings
from tokensrv.db import Store
from tokensrv.domain.usernames import target
from tokensrv.lookup.statements import By, Shape, statement, values
from tokensrv.models import Token
from tokensrv.services import repositories
from tokensrv.services.directory.user_lists import UserFilter, list_users, list_users_after
from tokensrv.services.lifecycle.pruning import prune
from tokensrv.services.lifecycle.token_lists import (
    TokenFilter,
    list_tokens,
    list_tokens_after,
    order,
)
from tokensrv.services.pages import Key
from tokensrv.services.reports import event_lists, inventory
from tokensrv.services.reports.acted import acts
from tokensrv.services.reports.event_lists import EventFilter
from tokensrv.services.reports.token_statistics import token_statistics
from tokensrv.services.trail.events import COMMAND_LINE

TODAY = START.date()
WEEK = timedelta(days=7)
SORTS = ("created_at", "expires_at", "last_used_at", "name")
USER_ORDERS = {
    "id": None,
    "name": "ix_user_name_id",
    "username": "uq_user_username_key",
    "created_at": "ix_user_created_at_id",
    "updated_at": "ix_user_updated_at_id",
}
# SQLite numbers the indexes of constraints, and has no name for them.
_SQLITE_NAMES = {
    "uq_user_username_key": "sqlite_autoindex_user_2",
}
_LAST_RESORTS = ("seqscan", "bitmapscan", "sort", "hashjoin", "mergejoin", "material")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    if settings.sqlite_path is None:
        truncate(settings.database_url)
    return settings


@contextmanager
def _plans(store: Store) -> Iterator[list[str]]:
    """Give the plans of the queries that are sent meanwhile, each as its lines."""
    plans: list[str] = []
    is_sqlite = store.readers is not None

    def explain(connection: Any, _cursor: Any, sent: str, parameters: Any, *_rest: Any) -> None:
        if not sent.startswith(("SELECT", "WITH RECURSIVE")) or "event_head" in sent:
            return
        if is_sqlite:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sent}", parameters)
            plans.append("\n".join(row[3] for row in rows))
            return
        for resort in _LAST_RESORTS:
            connection.exec_driver_sql(f"SET enable_{resort} = off")
        rows = connection.exec_driver_sql(f"EXPLAIN (COSTS OFF) {sent}", parameters)
        plans.append("\n".join(row[0] for row in rows))

    event.listen(store.engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(store.engine, "before_cursor_execute", explain)


def _first_plan(store: Store, ask: Callable[[], object]) -> str:
    with _plans(store) as plans:
        ask()
    return plans[0]


def _reads_in_order(plan: str, index: str | None, table: str) -> bool:
    """Return whether nothing is sorted or read whole; no index: in the order of the ids.

    On SQLite that is the order of the table itself.
    """
    if any(word in plan for word in ("Sort", "TEMP B-TREE", "Seq Scan", "MULTI-INDEX")):
        return False
    if "Scan" in plan:
        return f"using {index or f'pk_{table}'} on" in plan
    if index is None:
        return plan == f"SCAN {table}" or "USING INTEGER PRIMARY KEY" in plan
    return f"INDEX {_SQLITE_NAMES.get(index, index)}" in plan


@pytest.mark.parametrize(
    ("wanted", "sort", "index"),
    [
        pytest.param({}, None, None, id="all"),
        *(
            pytest.param({}, f"{column.removesuffix('_at')}_{way}", f"ix_token_{column}_id")
            for column, way in product(SORTS, ("asc", "desc"))
        ),
        pytest.param({"user_id": 7}, None, "ix_token_user_id_id", id="owner"),
        pytest.param({"user_id": 7, "is_active": True}, None, "ix_token_user_id_id", id="his"),
        pytest.param({"name": "ci"}, None, "ix_token_name_id", id="exact name"),
        pytest.param({"created_after": START}, None, "ix_token_created_at_id", id="since"),
        pytest.param({"created_before": START}, None, "ix_token_created_at_id", id="until"),
        pytest.param(
            {"last_used_before": START}, "last_used_desc", "ix_token_last_used_at_id", id="unused"
        ),
        pytest.param({"is_active": True}, None, None, id="active"),
        pytest.param({"is_active": True}, "expires_asc", "ix_token_expires_at_id", id="by end"),
        pytest.param(
            {"is_active": True, "expires_before": TODAY + WEEK},
            "expires_asc",
            "ix_token_expires_at_id",
            id="ends soon",
        ),
        pytest.param({"is_active": False}, None, None, id="inactive"),
        pytest.param({"is_revoked": True}, None, None, id="revoked"),
        pytest.param({"is_revoked": False}, "name_asc", "ix_token_name_id", id="not revoked"),
        pytest.param({"search": "ci"}, "name_asc", "ix_token_name_id", id="search by name"),
    ],
)
def test_a_page_of_tokens_is_read_in_order(
    store: Store, wanted: dict[str, Any], sort: str | None, index: str | None
) -> None:
    plan = _first_plan(store, lambda: list_tokens(store, None, TokenFilter(**wanted), sort=sort))
    assert _reads_in_order(plan, index, "token"), plan


@pytest.mark.parametrize(
    ("wanted", "sort", "index"),
    [
        pytest.param({}, None, None, id="all"),
        pytest.param({}, "name_desc", "ix_token_name_id", id="by name"),
        pytest.param({}, "created_asc", "ix_token_created_at_id", id="by creation"),
        pytest.param({"user_id": 7}, None, "ix_token_user_id_id", id="owner"),
        pytest.param({"name": "ci"}, None, "ix_token_name_id", id="exact name"),
    ],
)
def test_a_page_of_tokens_begins_at_its_key(
    store: Store, wanted: dict[str, Any], sort: str | None, index: str | None
) -> None:
    asked = TokenFilter(**wanted)
    key = Key({"name": "m", "created_at": START}.get(order(asked, sort).name, 7), 7)
    plan = _first_plan(
        store, lambda: list_tokens_after(store, None, asked, sort=sort, after=key, limit=20)
    )
    assert _reads_in_order(plan, index, "token"), plan
    assert "SEARCH" in plan or "Index Cond" in plan


@pytest.mark.parametrize(
    ("wanted", "sort", "index"),
    [
        pytest.param({"scope": "sudo"}, None, "ix_token_created_at_id", id="newest"),
        pytest.param({"user_id": 7}, "name_asc", "ix_token_user_id_id", id="owner"),
        pytest.param({"is_used": False}, None, "ix_token_last_used_at_id", id="never used"),
        pytest.param({"is_revoked": True}, None, "ix_token_revoked_at_id", id="revoked"),
        pytest.param({"is_expired": True}, None, "ix_token_expires_at_id", id="expired"),
        pytest.param({"is_active": True}, "name_desc", "ix_token_name_id", id="by name"),
    ],
)
def test_what_the_inventory_looks_through_is_read_in_order(
    store: Store, wanted: dict[str, Any], sort: str | None, index: str
) -> None:
    with _plans(store) as plans:
        inventory.find(store, TokenFilter(**wanted), sort=sort)
    # The page itself is sorted anew out of what is read like this.
    page, beyond, *_ = plans
    assert _reads_in_order(beyond, index, "token"), beyond
    assert _SQLITE_NAMES.get(index, index) in page, page


def test_an_export_of_the_inventory_reads_portions_by_their_ids(store: Store) -> None:
    plan = _first_plan(store, lambda: inventory.each(store, TokenFilter(scope="sudo")))
    # The highest id of a portion is found among these alone.
    assert "USING INTEGER PRIMARY KEY" in plan or "using pk_token" in plan, plan
    assert not any(word in plan for word in ("TEMP B-TREE", "Seq Scan")), plan


def test_what_one_may_see_of_tokens_is_found_by_their_owner(store: Store) -> None:
    caller = caller_of(store, make_token(store, make_user(store)).secret)
    plan = _first_plan(store, lambda: list_tokens(store, caller, TokenFilter()))
    assert _reads_in_order(plan, "ix_token_user_id_id", "token"), plan


@pytest.mark.parametrize("is_descending", [True, False], ids=["desc", "asc"])
@pytest.mark.parametrize("order_by", USER_ORDERS)
def test_a_page_of_users_is_read_in_order(store: Store, order_by: str, is_descending: bool) -> None:
    asked = {"order_by": order_by, "is_descending": is_descending}
    plan = _first_plan(store, lambda: list_users(store, UserFilter(), **asked))
    assert _reads_in_order(plan, USER_ORDERS[order_by], "user"), plan
    value: Any = {"name": "m", "username": "m", "id": 7}.get(order_by, START)
    key = Key(value, 7)
    plan = _first_plan(
        store, lambda: list_users_after(store, UserFilter(), after=key, limit=20, **asked)
    )
    assert _reads_in_order(plan, USER_ORDERS[order_by], "user"), plan
    assert "SEARCH" in plan or "Index Cond" in plan


def test_admins_are_found_among_many_users(store: Store) -> None:
    plan = _first_plan(store, lambda: list_users(store, UserFilter(only_admins=True)))
    assert _reads_in_order(plan, "ix_user_is_admin", "user"), plan


@pytest.mark.parametrize("by", By)
@pytest.mark.parametrize("with_exchange", [True, False])
@pytest.mark.parametrize("with_client", [True, False])
def test_the_hot_read_asks_unique_indexes_alone(
    store: Store, by: By, with_exchange: bool, with_client: bool
) -> None:
    named = {By.NOTHING: None, By.ID: target("1"), By.NAME: target("root")}[by]
    asked = values("service", bytes(32), named)
    with _plans(store) as plans, store.glance() as connection:
        connection.execute(statement(Shape(with_client, by, with_exchange)), asked)
    reads = [line for line in plans[0].splitlines() if "SEARCH" in line or "Scan" in line]
    assert len(reads) == with_client + 2 + (by is not By.NOTHING) + 2 * with_exchange
    unique = ("INTEGER PRIMARY KEY", "autoindex", "using pk_", "using uq_")
    assert [line for line in reads if not any(word in line for word in unique)] == []
    assert "Seq Scan" not in plans[0]


def test_what_others_did_as_a_user_is_found_among_all_that_he_did_himself(store: Store) -> None:
    plan = _first_plan(store, lambda: acts(store, 7, before=99, limit=20))
    assert _reads_in_order(plan, "ix_event_acted_seq", "event"), plan


def test_the_tokens_that_are_counted_for_a_user_are_found_by_their_owner(store: Store) -> None:
    plan = _first_plan(store, lambda: token_statistics(store, 7))
    assert "ix_token_user_id_id" in plan, plan
    assert not any(word in plan for word in ("TEMP B-TREE", "Sort")), plan


def test_what_is_to_be_pruned_is_found_oldest_first(store: Store) -> None:
    with _plans(store) as plans:
        assert list(prune(store, COMMAND_LINE, days=30)) == []
    for plan, column in zip(plans, ("expires_at", "revoked_at"), strict=True):
        assert _reads_in_order(plan, f"ix_token_{column}_id", "token"), plan


@pytest.mark.parametrize(
    ("wanted", "indexes"),
    [
        pytest.param({}, [None], id="all"),
        pytest.param({"token_id": 7}, ["ix_event_token_id_seq"], id="token"),
        pytest.param({"actor": "7"}, ["ix_event_actor_id_seq"], id="actor"),
        pytest.param({"subject": "7"}, ["ix_event_subject_id_seq"], id="subject"),
        pytest.param({"client_id": "service"}, ["ix_event_client_id_seq"], id="client"),
        pytest.param({"ip": "192.0.2.7"}, ["ix_event_ip_seq"], id="address"),
        pytest.param({"request_id": "a"}, ["ix_event_request_id_seq"], id="request"),
        pytest.param({"action": "token.revoked"}, ["ix_event_action_seq"], id="action"),
        pytest.param(
            {"user": "7"},
            ["ix_event_actor_id_seq", "ix_event_subject_id_seq", "ix_event_about_id_seq"],
            id="user",
        ),
        pytest.param(
            {"token_id": 7, "actor": "7", "action": "sudo.used"},
            ["ix_event_token_id_seq"],
            id="fewest first",
        ),
        pytest.param({"user": "7", "ip": "192.0.2.7"}, ["ix_event_ip_seq"], id="user elsewhere"),
    ],
)
def test_a_page_of_events_is_read_in_order(
    store: Store, wanted: dict[str, Any], indexes: list[str | None]
) -> None:
    for place in ({}, {"before": 7}, {"after": 7}):
        with _plans(store) as plans:
            event_lists.page(store, EventFilter(**wanted), **place)
        for plan, index in zip(plans, indexes, strict=True):
            assert _reads_in_order(plan, index, "event"), plan


def test_days_are_found_without_reading_what_came_before(store: Store) -> None:
    wanted = EventFilter(token_id=7, first_day=TODAY, last_day=TODAY)
    plan = _first_plan(store, lambda: event_lists.page(store, wanted))
    assert not any(word in plan for word in ("Sort", "TEMP B-TREE", "Seq Scan", "SCAN event")), plan
    assert plan.count("ix_event_at_seq") == 2
    assert "ix_event_token_id_seq" in plan


def test_actions_are_found_without_reading_every_event(store: Store) -> None:
    plan = _first_plan(store, lambda: event_lists.actions(store))
    assert "ix_event_action_seq" in plan
    assert "Seq Scan" not in plan
    assert "SCAN event" not in plan


@pytest.mark.parametrize("column", ["previous_id", "source_id", "actor_id"])
def test_what_refers_to_a_deleted_row_is_found_although_its_index_holds_few(
    store: Store, column: str
) -> None:
    with _plans(store) as plans, store.read() as session:
        session.execute(select(Token.id).where(getattr(Token, column) == 7))
    assert _reads_in_order(plans[0], f"ix_token_{column}", "token"), plans[0]


def test_the_rule_that_allows_a_repository_is_found_however_many_there_are(store: Store) -> None:
    plan = _first_plan(store, lambda: repositories.allows(store, 7, "team/app", writes=True))
    assert "uq_repository_rule_user_id_prefix" in plan
    # Both columns are found in it. Whether there is any rule at all the first row tells.
    assert re.search(r"user_id ?=.* AND .*prefix", plan), plan
    assert "Seq Scan" not in plan
